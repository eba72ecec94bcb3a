#include "tasktracker/pages.h"

#include <stdio.h>

#include "core/http/page.h"
#include "libmr/task.h"
#include "tasktracker/tt_priv.h"

#define HTTP_PORT 50060
#define CONNECTION_MAX 64
#define LIVE_MS 2000

static const struct page_link links[] = {
    { "/", "Attempts" },
    { "/metrics", "Metrics" },
    { NULL, NULL },
};

static const char *
phase_name(uint32_t phase)
{
    static const char *const names[] = { [MR_PHASE_MAP] = "map", [MR_PHASE_SORT] = "sort", [MR_PHASE_SHUFFLE] = "shuffle",
                                         [MR_PHASE_MERGE] = "merge", [MR_PHASE_REDUCE] = "reduce",
                                         [MR_PHASE_OUTPUT] = "output" };

    return phase < ARRAY_LEN(names) ? names[phase] : "";
}

static void
page_attempts(void *arg, const struct http_request *req, struct http_reply *reply)
{
    static const char *const heads[] = { "Attempt", "Phase", "Progress", "Status", NULL };
    struct tt *tt = arg;
    struct buf *b = &reply->body;
    struct tt_attempt *a;
    char where[NET_ADDR_TEXT], text[32];
    struct page page = { .daemon = "TaskTracker", .where = net_addr_text(&tt->at, where), .title = "Attempts", .path = "/",
                         .links = links, .live_ms = LIVE_MS };
    unsigned n = 0;

    (void)req;
    page_begin(b, &page);
    tt_lock(tt);
    DL_COUNT(tt->attempts, a, n);
    page_cards_begin(b);
    snprintf(text, sizeof text, "%u", n);
    page_card(b, "Running attempts", text, "", NULL);
    snprintf(text, sizeof text, "%llu + %llu", (unsigned long long)tt->conf.map_slots,
             (unsigned long long)tt->conf.reduce_slots);
    page_card(b, "Slots, map + reduce", text, "", NULL);
    page_card(b, "JobTracker", tt->epoch ? "registered" : "not registered", tt->epoch ? "good" : "bad", tt->conf.jt_address);
    page_card(b, "Sandbox", tt->crew->plain ? "plain" : "isolated", "", tt->crew->text);
    page_cards_end(b);
    page_table_begin(b, heads);
    DL_FOREACH(tt->attempts, a) {
        page_row(b);
        page_cell(b, a->id);
        page_cell(b, phase_name(a->progress.phase));
        page_cell_progress(b, a->progress.fraction);
        page_cell_wrap(b, a->progress.last && a->progress.last->status ? a->progress.last->status : "");
    }
    tt_unlock(tt);
    page_table_end(b, "Nothing runs here now.");
    page_end(b);
}

static void
page_health(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct tt *tt = arg;
    bool registered;

    (void)req;
    tt_lock(tt);
    registered = tt->epoch != 0;
    tt_unlock(tt);
    reply->type = "text/plain; charset=utf-8";
    buf_put_str(&reply->body, registered ? "ok\n" : "ok, not registered with the JobTracker yet\n");
}

static void
page_metrics(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct tt *tt = arg;
    struct tt_attempt *a;
    unsigned n = 0;

    (void)req;
    tt_lock(tt);
    DL_COUNT(tt->attempts, a, n);
    tt_unlock(tt);
    metric_set(&tt->metrics.tasks_running, n);
    reply->type = METRICS_TYPE;
    metrics_put(&reply->body, tt_metric_rows, &tt->metrics);
    metrics_put_process(&reply->body);
}

static const struct http_route routes[] = {
    { "GET", "/", page_attempts },
    { "GET", "/healthz", page_health },
    { "GET", "/metrics", page_metrics },
    { "GET", "/static/*", page_static },
};

enum rc
tt_pages_start(struct tt *tt, struct http_server **ret, struct net_addr *ret_at, struct why *why)
{
    struct net_addr at;
    enum rc rc;

    if ((rc = net_addr_parse(tt->conf.tt_http_bind, HTTP_PORT, &at, why)) != RC_OK)
        return rc;
    return http_start(&at, routes, ARRAY_LEN(routes), tt, CONNECTION_MAX, ret, ret_at, why);
}
