#include "datanode/pages.h"

#include <stdio.h>

#include "core/base/attr.h"
#include "core/http/page.h"
#include "datanode/link.h"

#define HTTP_PORT 9864
#define HTTP_THREADS 2
#define LIVE_MS 3000

static const struct page_link links[] = {
    { "/", "Volumes" },
    { "/metrics", "Metrics" },
    { NULL, NULL },
};

static void
volumes(void *arg, const struct http_request *req, struct http_reply *reply)
{
    static const char *const heads[] = { "Storage", "State", "#Capacity", "#Free for blocks", "In use", NULL };
    struct dn *dn = arg;
    struct buf *b = &reply->body;
    bool up = dn->link != NULL && dn_link_is_up(dn->link);
    uint64_t replicas, bytes;
    char where[NET_ADDR_TEXT], text[32];
    struct page page = { .daemon = "DataNode", .where = net_addr_text(&dn->data_at, where), .title = "Volumes", .path = "/",
                         .links = links, .live_ms = LIVE_MS };

    (void)req;
    dn_store_totals(dn->store, &replicas, &bytes);
    page_begin(b, &page);
    page_cards_begin(b);
    page_card(b, "Replicas", page_number(replicas, text), "", NULL);
    page_card(b, "Bytes of blocks", page_bytes(bytes, text), "", NULL);
    snprintf(text, sizeof text, "%u", (unsigned)dn_transfers(dn));
    page_card(b, "Transfers", text, "", NULL);
    page_card(b, "NameNode", up ? "registered" : "not registered", up ? "good" : "bad", dn->conf.fs_default);
    page_cards_end(b);
    page_table_begin(b, heads);
    for (unsigned i = 0; i < dn_store_volume_count(dn->store); i++) {
        struct dn_volume_stat st;

        dn_store_volume_stat(dn->store, i, &st);
        page_row(b);
        page_cell(b, st.uuid);
        page_cell_tone(b, st.failed ? "failed" : "good", st.failed ? "bad" : "good");
        page_cell_bytes(b, st.capacity);
        page_cell_bytes(b, st.remaining);
        page_cell_progress(b, st.capacity ? (double)st.used / (double)st.capacity : 0);
    }
    page_table_end(b, "No volume is in use.");
    page_end(b);
}

static void
healthz(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct dn *dn = arg;
    bool failed = dn_store_has_failed(dn->store);

    (void)req;
    reply->type = "text/plain; charset=utf-8";
    reply->status = failed ? 503 : 200;
    buf_put_str(&reply->body, failed ? "failed: too many volumes\n"
                              : dn->link != NULL && dn_link_is_up(dn->link) ? "ok\n" : "ok, not registered with the NameNode yet\n");
}

static void
metrics(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct dn *dn = arg;
    struct dn_volume_stat st;
    uint64_t capacity = 0, free_bytes = 0, failed = 0, replicas, bytes;

    (void)req;
    for (unsigned i = 0; i < dn_store_volume_count(dn->store); i++) {
        dn_store_volume_stat(dn->store, i, &st);
        capacity += st.capacity;
        free_bytes += st.remaining;
        failed += st.failed;
    }
    dn_store_totals(dn->store, &replicas, &bytes);
    metric_set(&dn->metrics.replicas, replicas);
    metric_set(&dn->metrics.used_bytes, bytes);
    metric_set(&dn->metrics.capacity_bytes, capacity);
    metric_set(&dn->metrics.free_bytes, free_bytes);
    metric_set(&dn->metrics.volumes_failed, failed);
    metric_set(&dn->metrics.transfers, dn_transfers(dn));
    reply->type = METRICS_TYPE;
    metrics_put(&reply->body, dn_metric_rows, &dn->metrics);
    metrics_put_process(&reply->body);
}

static const struct http_route routes[] = {
    { "GET", "/", volumes },
    { "GET", "/static/*", page_static },
    { "GET", "/healthz", healthz },
    { "GET", "/metrics", metrics },
};

enum rc
dn_http_start(struct dn *dn, struct why *why)
{
    struct net_addr at;
    enum rc rc;

    if ((rc = net_addr_parse(dn->conf.dn_http_bind, HTTP_PORT, &at, why)) != RC_OK)
        return rc;
    return http_start(&at, routes, ARRAY_LEN(routes), dn, HTTP_THREADS, &dn->http, &dn->http_at, why);
}
