#include "jobtracker/pages.h"

#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/conf/metrics.h"
#include "core/http/page.h"
#include "core/proto/jobtracker.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"

#define CALL_MS         10000
#define ANSWER_MAX      (64 * MB)
#define THREADS         4
#define LIVE_MS         2000

struct jt_pages {
    const struct world *w;
    struct rpc_client *client;
    struct http_server *http;
    char where[NET_ADDR_TEXT];
    const struct jt_metrics *metrics;       /* the JobTracker's */
};

static const struct page_link links[] = {
    { "/", "Jobs" },
    { "/trackers", "TaskTrackers" },
    { "/metrics", "Metrics" },
    { NULL, NULL },
};

/* One request to the JobTracker; a failure becomes the page's text. */
static const void *
ask(struct jt_pages *p, size_t method, const ProtobufCMessage *request, struct arena *a, struct http_reply *reply)
{
    const ProtobufCMessage *answer;
    struct why why;

    if (rpc_client_call(p->client, method, request, a, CALL_MS, &answer, &why) == RC_OK)
        return answer;
    http_fail(reply, &why);
    return NULL;
}

static void
begin(struct jt_pages *p, struct buf *b, const char *title, const char *path)
{
    const struct page page = { .daemon = "JobTracker", .where = p->where, .title = title, .path = path, .links = links,
                               .live_ms = LIVE_MS };

    page_begin(b, &page);
}

static const char *
tone_of(const char *state)
{
    if (strcmp(state, "SUCCEEDED") == 0 || strcmp(state, "ALIVE") == 0)
        return "good";
    if (strcmp(state, "FAILED") == 0 || strcmp(state, "LOST") == 0)
        return "bad";
    return strcmp(state, "KILLED") == 0 ? "warn" : "";
}

static bool
has_ended(const JtJobStatus *j)
{
    return j->finished_ms != 0;
}

static void
job_row(struct buf *b, const JtJobStatus *j)
{
    char path[128], text[64];

    snprintf(path, sizeof path, "/job?id=%s", j->id);
    page_row(b);
    page_cell_link(b, path, j->id);
    page_cell(b, j->name);
    page_cell(b, j->user);
    page_cell_tone(b, j->state, tone_of(j->state));
    snprintf(text, sizeof text, "%u / %u", j->maps->done, j->maps->total);
    page_cell(b, text);
    snprintf(text, sizeof text, "%u / %u", j->reduces->done, j->reduces->total);
    page_cell(b, text);
    page_cell(b, page_duration(j->elapsed_ms, text));
    page_cell(b, page_time(j->submitted_ms, text));
}

static void
job_table(struct buf *b, const JtListReply *list, bool ended, const char *empty)
{
    static const char *const heads[] = { "Job", "Name", "User", "State", "Maps", "Reduces", "Time", "Submitted (UTC)", NULL };

    page_table_begin(b, heads);
    for (size_t i = list->n_jobs; i-- > 0;)
        if (has_ended(list->jobs[i]) == ended)
            job_row(b, list->jobs[i]);
    page_table_end(b, empty);
}

static void
page_jobs(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct jt_pages *p = arg;
    JtListRequest jobs = JT_LIST_REQUEST__INIT;
    JtTrackersRequest trackers = JT_TRACKERS_REQUEST__INIT;
    const JtTrackersReply *t;
    const JtListReply *list;
    unsigned live = 0, slots = 0, busy = 0, running = 0;
    struct buf *b = &reply->body;
    char text[64];
    struct arena a;

    (void)req;
    arena_init(&a, ANSWER_MAX);
    jobs.all = true;
    if ((list = ask(p, ROW_job_list, &jobs.base, &a, reply)) == NULL ||
        (t = ask(p, ROW_job_trackers, &trackers.base, &a, reply)) == NULL)
        goto out;
    for (size_t i = 0; i < t->n_trackers; i++) {
        const JtTrackerStatus *s = t->trackers[i];

        if (strcmp(s->state, "ALIVE") != 0)
            continue;
        live++;
        slots += s->map_slots + s->reduce_slots;
        busy += s->maps_running + s->reduces_running;
    }
    for (size_t i = 0; i < list->n_jobs; i++)
        running += !has_ended(list->jobs[i]);
    begin(p, b, "Jobs", "/");
    page_cards_begin(b);
    snprintf(text, sizeof text, "%u", running);
    page_card(b, "Running jobs", text, "", NULL);
    snprintf(text, sizeof text, "%u", live);
    page_card(b, "Live TaskTrackers", text, live ? "" : "bad", live < t->n_trackers ? "some are lost" : NULL);
    snprintf(text, sizeof text, "%u / %u", busy, slots);
    page_card(b, "Slots in use", text, "", NULL);
    page_cards_end(b);
    buf_put_str(b, "<h2>Running</h2>\n");
    job_table(b, list, false, "No job is running. Start one with: mr run JOB.so -input P -output P");
    buf_put_str(b, "<h2>Ended</h2>\n");
    job_table(b, list, true, "No job has ended yet.");
    page_end(b);
out:
    arena_fini(&a);
}

static void
phase_row(struct buf *b, const char *name, double fraction, const char *note)
{
    page_row(b);
    page_cell(b, name);
    page_cell_progress(b, fraction);
    page_cell(b, note);
}

static void
phases(struct buf *b, const JtJobStatus *j)
{
    static const char *const heads[] = { "Phase", "Progress", "", NULL };
    char text[128];

    page_table_begin(b, heads);
    snprintf(text, sizeof text, "%u of %u done, %u running", j->maps->done, j->maps->total, j->maps->running);
    phase_row(b, "Map", j->map_fraction, text);
    if (j->reduces->total) {
        if (j->maps->done < j->maps->total)
            snprintf(text, sizeof text, "waiting for maps, %u of %u are done", j->maps->done, j->maps->total);
        else
            text[0] = 0;
        phase_row(b, "Shuffle", j->shuffle_fraction, text);
        phase_row(b, "Sort", j->sort_fraction, "");
        snprintf(text, sizeof text, "%u of %u done, %u running", j->reduces->done, j->reduces->total, j->reduces->running);
        phase_row(b, "Reduce", j->reduce_fraction, text);
    }
    page_table_end(b, "");
}

static void
counters(struct buf *b, const JtJobStatus *j)
{
    static const char *const heads[] = { "Counter", "#Value", "Counted by", NULL };

    page_table_begin(b, heads);
    for (size_t i = 0; i < j->n_counters; i++) {
        const JtCounter *c = j->counters[i];
        char text[32];

        page_row(b);
        page_cell(b, c->name);
        buf_printf(b, "<td class=\"n\">%s%s</td>", c->value < 0 ? "-" : "",
                   page_number(c->value < 0 ? 0 - (uint64_t)c->value : (uint64_t)c->value, text));
        page_cell(b, c->user ? "the job" : "the engine");
    }
    page_table_end(b, "Nothing has been counted yet.");
}

static void
attempts(struct buf *b, const char *job, const JtAttemptsReply *list, uint64_t now_ms)
{
    static const char *const heads[] = { "Attempt", "State", "Node", "Locality", "Phase", "Progress", "Time", "Message", NULL };

    page_table_begin(b, heads);
    for (size_t i = 0; i < list->n_attempts; i++) {
        const JtAttemptStatus *t = list->attempts[i];
        uint64_t end = t->ended_ms ? t->ended_ms : now_ms;
        char path[256], text[32];

        snprintf(path, sizeof path, "/logs?job=%s&attempt=%s", job, t->id);
        page_row(b);
        page_cell_link(b, path, t->id);
        page_cell_tone(b, t->state, tone_of(t->state));
        page_cell(b, t->node);
        page_cell(b, t->locality);
        page_cell(b, t->phase);
        page_cell_progress(b, t->fraction);
        page_cell(b, page_duration(end > t->started_ms ? end - t->started_ms : 0, text));
        page_cell_wrap(b, t->reason);
    }
    page_table_end(b, "No attempt has started.");
}

static void
page_job(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct jt_pages *p = arg;
    const char *id = http_param(req, "id");
    JtStatusRequest status = JT_STATUS_REQUEST__INIT;
    JtAttemptsRequest list = JT_ATTEMPTS_REQUEST__INIT;
    const JtAttemptsReply *tries;
    const JtStatusReply *s;
    const JtJobStatus *j;
    struct buf *b = &reply->body;
    char text[64];
    struct arena a;

    arena_init(&a, ANSWER_MAX);
    status.job = list.job = (char *)(uintptr_t)(id ? id : "");
    if ((s = ask(p, ROW_job_status, &status.base, &a, reply)) == NULL ||
        (tries = ask(p, ROW_job_attempts, &list.base, &a, reply)) == NULL)
        goto out;
    j = s->status;
    begin(p, b, j->name, "/job");
    page_cards_begin(b);
    page_card(b, "State", j->state, tone_of(j->state), j->id);
    page_card(b, "User", j->user, "", NULL);
    page_card(b, "Time", page_duration(j->elapsed_ms, text), "", NULL);
    page_card(b, "Submitted (UTC)", page_time(j->submitted_ms, text), "", NULL);
    page_cards_end(b);
    buf_put_str(b, "<p>Output: <code>");
    http_escape(b, j->output, strlen(j->output));
    buf_put_str(b, "</code></p>\n");
    if (j->reason[0]) {
        buf_put_str(b, "<p class=\"note bad\">");
        http_escape(b, j->reason, strlen(j->reason));
        buf_put_str(b, "</p>\n");
    }
    if (j->first_failure_log && j->first_failure_log[0]) {
        buf_put_str(b, "<h2>Last lines of the first failed attempt</h2>\n<pre>");
        http_escape(b, j->first_failure_log, strlen(j->first_failure_log));
        buf_put_str(b, "</pre>\n");
    }
    buf_put_str(b, "<h2>Progress</h2>\n");
    phases(b, j);
    buf_put_str(b, "<h2>Attempts</h2>\n");
    attempts(b, j->id, tries, clock_wall_ms(p->w->clock));
    buf_put_str(b, "<h2>Counters</h2>\n");
    counters(b, j);
    page_end(b);
out:
    arena_fini(&a);
}

static void
page_trackers(void *arg, const struct http_request *req, struct http_reply *reply)
{
    static const char *const heads[] = { "Node", "Address", "State", "Last contact", "Maps", "Reduces", "#Failures", "Sandbox", NULL };
    struct jt_pages *p = arg;
    JtTrackersRequest request = JT_TRACKERS_REQUEST__INIT;
    const JtTrackersReply *t;
    struct buf *b = &reply->body;
    struct arena a;

    (void)req;
    arena_init(&a, ANSWER_MAX);
    if ((t = ask(p, ROW_job_trackers, &request.base, &a, reply)) == NULL)
        goto out;
    begin(p, b, "TaskTrackers", "/trackers");
    page_table_begin(b, heads);
    for (size_t i = 0; i < t->n_trackers; i++) {
        const JtTrackerStatus *s = t->trackers[i];
        char text[300], ago[32];

        page_row(b);
        page_cell(b, s->name);
        snprintf(text, sizeof text, "%s:%u", s->host, s->shuffle_port);
        page_cell(b, text);
        page_cell_tone(b, s->state, tone_of(s->state));
        snprintf(text, sizeof text, "%s ago", page_duration(s->seen_ms_ago, ago));
        page_cell(b, text);
        snprintf(text, sizeof text, "%u of %u", s->maps_running, s->map_slots);
        page_cell(b, text);
        snprintf(text, sizeof text, "%u of %u", s->reduces_running, s->reduce_slots);
        page_cell(b, text);
        page_cell_number(b, s->failures);
        page_cell(b, s->tier);
    }
    page_table_end(b, "No TaskTracker has registered. Start one with: tasktracker --config FILE");
    page_end(b);
out:
    arena_fini(&a);
}

static void
page_logs(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct jt_pages *p = arg;
    const char *job = http_param(req, "job"), *attempt = http_param(req, "attempt");
    JtLogsRequest request = JT_LOGS_REQUEST__INIT;
    const JtLogsReply *logs;
    struct buf *b = &reply->body;
    struct arena a;

    arena_init(&a, ANSWER_MAX);
    request.job = (char *)(uintptr_t)(job ? job : "");
    request.attempt = (char *)(uintptr_t)(attempt ? attempt : "");
    if ((logs = ask(p, ROW_job_logs, &request.base, &a, reply)) == NULL)
        goto out;
    begin(p, b, "Logs", "/logs");
    if (logs->n_logs == 0)
        buf_put_str(b, "<p class=\"soft\">Nothing was written to stdout or stderr.</p>\n");
    for (size_t i = 0; i < logs->n_logs; i++) {
        const JtLog *l = logs->logs[i];

        buf_put_str(b, "<h2>");
        http_escape(b, l->attempt, strlen(l->attempt));
        buf_put_str(b, "</h2>\n<p class=\"soft\">");
        http_escape(b, l->node, strlen(l->node));
        buf_put_str(b, ": <code>");
        http_escape(b, l->path, strlen(l->path));
        buf_put_str(b, "</code></p>\n<pre>");
        http_escape(b, (const char *)l->text.data, l->text.len);
        buf_put_str(b, "</pre>\n");
    }
    page_end(b);
out:
    arena_fini(&a);
}

static void
sum_jobs(const JtListReply *list, struct jt_metrics *m)
{
    for (size_t i = 0; i < list->n_jobs; i++) {
        const JtJobStatus *j = list->jobs[i];

        if (!has_ended(j))
            metric_add(&m->jobs_running, 1);
        else if (strcmp(j->state, "SUCCEEDED") == 0)
            metric_add(&m->jobs_succeeded, 1);
        else if (strcmp(j->state, "FAILED") == 0)
            metric_add(&m->jobs_failed, 1);
        else
            metric_add(&m->jobs_killed, 1);
        metric_add(&m->attempts_failed, j->maps->failed_attempts + j->reduces->failed_attempts);
    }
}

static void
page_metrics(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct jt_pages *p = arg;
    JtListRequest jobs = JT_LIST_REQUEST__INIT;
    JtTrackersRequest trackers = JT_TRACKERS_REQUEST__INIT;
    const JtTrackersReply *t;
    const JtListReply *list;
    struct jt_metrics m = { 0 };
    struct arena a;

    (void)req;
    arena_init(&a, ANSWER_MAX);
    jobs.all = true;
    if ((list = ask(p, ROW_job_list, &jobs.base, &a, reply)) == NULL ||
        (t = ask(p, ROW_job_trackers, &trackers.base, &a, reply)) == NULL)
        goto out;
    sum_jobs(list, &m);
    metric_set(&m.attempts, metric_get(&p->metrics->attempts));
    metric_set(&m.maps_local, metric_get(&p->metrics->maps_local));
    metric_set(&m.maps_remote, metric_get(&p->metrics->maps_remote));
    for (size_t i = 0; i < t->n_trackers; i++) {
        const JtTrackerStatus *s = t->trackers[i];

        if (strcmp(s->state, "ALIVE") != 0) {
            metric_add(&m.trackers_lost, 1);
            continue;
        }
        metric_add(&m.trackers_live, 1);
        metric_add(&m.map_slots, s->map_slots);
        metric_add(&m.reduce_slots, s->reduce_slots);
        metric_add(&m.attempts_running, s->maps_running + s->reduces_running);
    }
    reply->type = METRICS_TYPE;
    metrics_put(&reply->body, jt_metric_rows, &m);
    metrics_put_process(&reply->body);
out:
    arena_fini(&a);
}

/* Healthy when the core thread answers. */
static void
page_health(void *arg, const struct http_request *req, struct http_reply *reply)
{
    JtTrackersRequest request = JT_TRACKERS_REQUEST__INIT;
    struct arena a;

    (void)req;
    arena_init(&a, ANSWER_MAX);
    if (ask(arg, ROW_job_trackers, &request.base, &a, reply) != NULL) {
        reply->type = "text/plain; charset=utf-8";
        buf_put_str(&reply->body, "ok\n");
    }
    arena_fini(&a);
}

static const struct http_route routes[] = {
    { "GET", "/", page_jobs },
    { "GET", "/job", page_job },
    { "GET", "/trackers", page_trackers },
    { "GET", "/logs", page_logs },
    { "GET", "/metrics", page_metrics },
    { "GET", "/healthz", page_health },
    { "GET", "/static/*", page_static },
};

enum rc
jt_pages_start(const struct world *w, const struct conf *conf, const struct net_addr *rpc, const char *user,
               const struct jt_metrics *metrics, struct jt_pages **ret, struct net_addr *ret_at, struct why *why)
{
    struct rpc_client_options o = { .to = *rpc, .protocol = &job_client_rpc, .user = user, .connect_ms = CALL_MS };
    struct jt_pages *p = mem_zalloc(sizeof *p);
    struct net_addr at;
    enum rc rc;

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    p->w = w;
    p->metrics = metrics;
    (void)net_addr_text(rpc, p->where);
    if ((rc = rpc_client_new(w, &o, &p->client, why)) != RC_OK ||
        (rc = net_addr_parse(conf->jt_http_bind, 50030, &at, why)) != RC_OK ||
        (rc = http_start(&at, routes, ARRAY_LEN(routes), p, THREADS, &p->http, ret_at, why)) != RC_OK)
        jt_pages_stop(p);
    else
        *ret = p;
    return rc;
}

void
jt_pages_stop(struct jt_pages *p)
{
    if (p == NULL)
        return;
    if (p->http)
        http_stop(p->http);
    rpc_client_free(p->client);
    mem_free(p);
}
