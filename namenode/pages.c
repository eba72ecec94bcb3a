#include "namenode/pages.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/conf/metrics.h"
#include "namenode/pages_priv.h"

#define CALL_MS     10000
#define THREADS     4
#define LIVE_MS     3000
#define OVERVIEW_NODES 40      /* more are only on their own page */

static const struct page_link links[] = {
    { "/", "Overview" },
    { "/nodes", "DataNodes" },
    { "/browse?path=/", "Browse" },
    { "/metrics", "Metrics" },
    { NULL, NULL },
};

const void *
pages_ask(struct rpc_client *c, size_t method, const ProtobufCMessage *request, struct arena *a, struct http_reply *reply)
{
    const ProtobufCMessage *answer;
    struct why why;

    if (rpc_client_call(c, method, request, a, CALL_MS, &answer, &why) == RC_OK)
        return answer;
    http_fail(reply, &why);
    return NULL;
}

void
pages_begin(struct nn_pages *p, struct buf *b, const char *title, const char *path)
{
    const struct page page = { .daemon = "NameNode", .where = p->where, .title = title, .path = path, .links = links,
                               .live_ms = LIVE_MS };

    page_begin(b, &page);
}

const char *
pages_text(struct arena *a, ProtobufCBinaryData d)
{
    const char *s = arena_strndup(a, d.data, d.len);

    return s ? s : "";
}

/* What an overview needs. */
struct overview {
    const GetFsStatsResponseProto *stats;
    const GetDatanodeReportResponseProto *live, *dead;
    bool safe_mode;
};

static bool
fetch(struct nn_pages *p, struct arena *a, struct http_reply *reply, struct overview *ret)
{
    GetFsStatusRequestProto stats = GET_FS_STATUS_REQUEST_PROTO__INIT;
    GetDatanodeReportRequestProto report = GET_DATANODE_REPORT_REQUEST_PROTO__INIT;
    SetSafeModeRequestProto safe = SET_SAFE_MODE_REQUEST_PROTO__INIT;
    const SetSafeModeResponseProto *mode;

    safe.action = SAFE_MODE_ACTION_PROTO__SAFEMODE_GET;
    if ((ret->stats = pages_ask(p->super, ROW_get_fs_stats, &stats.base, a, reply)) == NULL)
        return false;
    report.type = DATANODE_REPORT_TYPE_PROTO__LIVE;
    if ((ret->live = pages_ask(p->super, ROW_get_datanode_report, &report.base, a, reply)) == NULL)
        return false;
    report.type = DATANODE_REPORT_TYPE_PROTO__DEAD;
    if ((ret->dead = pages_ask(p->super, ROW_get_datanode_report, &report.base, a, reply)) == NULL ||
        (mode = pages_ask(p->super, ROW_set_safe_mode, &safe.base, a, reply)) == NULL)
        return false;
    ret->safe_mode = mode->result;
    return true;
}

static void
count_card(struct buf *b, const char *label, uint64_t n, const char *tone_if_any, const char *note)
{
    char text[32];

    page_card(b, label, page_number(n, text), n ? tone_if_any : "", note);
}

/* Files that have a block without a good replica. */
static void
missing_files(struct nn_pages *p, struct buf *b, struct arena *a)
{
    ListCorruptFileBlocksRequestProto request = LIST_CORRUPT_FILE_BLOCKS_REQUEST_PROTO__INIT;
    static const char *const heads[] = { "Block and file", NULL };
    const ProtobufCMessage *answer;
    const CorruptFileBlocksProto *list;
    struct why why;

    request.path.data = (uint8_t *)(uintptr_t) "/";
    request.path.len = 1;
    if (rpc_client_call(p->super, ROW_list_corrupt_file_blocks, &request.base, a, CALL_MS, &answer, &why) != RC_OK)
        return;     /* the numbers above still tell */
    list = ((const ListCorruptFileBlocksResponseProto *)answer)->corrupt;
    if (list->n_files == 0)
        return;
    buf_put_str(b, "<h2>Files with missing or corrupt blocks</h2>\n");
    page_table_begin(b, heads);
    for (size_t i = 0; i < list->n_files && i < 200; i++) {
        page_row(b);
        page_cell_wrap(b, pages_text(a, list->files[i]));
    }
    page_table_end(b, "");
}

static void
node_row(struct nn_pages *p, struct buf *b, struct arena *a, const DatanodeInfoProto *d, bool alive)
{
    uint64_t now = clock_wall_ms(p->w->clock), ago = now > d->lastupdate ? now - d->lastupdate : 0;
    char text[600], time[32];

    page_row(b);
    page_cell(b, pages_text(a, d->id->hostname));
    snprintf(text, sizeof text, "%s:%u", pages_text(a, d->id->ipaddr), d->id->xferport);
    page_cell(b, text);
    if (!alive)
        page_cell_tone(b, "dead", "bad");
    else if (d->has_adminstate && d->adminstate != DATANODE_INFO_PROTO__ADMIN_STATE__NORMAL)
        page_cell_tone(b, "leaving", "warn");
    else
        page_cell_tone(b, "live", "good");
    snprintf(text, sizeof text, "%s ago", page_duration(ago, time));
    page_cell(b, text);
    page_cell(b, d->has_location ? pages_text(a, d->location) : "");
    page_cell_bytes(b, d->capacity);
    page_cell_bytes(b, d->dfsused);
    page_cell_bytes(b, d->remaining);
    page_cell_progress(b, d->capacity ? (double)d->dfsused / (double)d->capacity : 0);
    page_cell_number(b, d->numblocks);
    page_cell_number(b, d->xceivercount);
}

static void
node_table(struct nn_pages *p, struct buf *b, struct arena *a, const struct overview *o)
{
    static const char *const heads[] = { "Node", "Address", "State", "Last contact", "Rack", "#Capacity", "#Used", "#Free",
                                         "In use", "#Blocks", "#Transfers", NULL };

    page_table_begin(b, heads);
    for (size_t i = 0; i < o->dead->n_di; i++)
        node_row(p, b, a, o->dead->di[i], false);
    for (size_t i = 0; i < o->live->n_di; i++)
        node_row(p, b, a, o->live->di[i], true);
    page_table_end(b, "No DataNode has registered. Start one with: datanode --config FILE");
}

static void
page_overview(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct nn_pages *p = arg;
    struct buf *b = &reply->body;
    struct overview o;
    struct arena a;
    char text[32], note[96], used[32];
    double share;

    (void)req;
    arena_init(&a, PAGES_ANSWER_MAX);
    if (!fetch(p, &a, reply, &o))
        goto out;
    pages_begin(p, b, "Overview", "/");
    if (o.safe_mode)
        buf_put_str(b, "<p class=\"note\">Safe mode: the namespace is read-only for now. Reads work. "
                       "<code>dfs admin -safemode get</code> says what it waits for.</p>\n");
    if (o.stats->missing_blocks)
        buf_printf(b, "<p class=\"note bad\">%" PRIu64 " blocks have no live replica. If a DataNode is down, start it; "
                   "<code>dfs fsck /</code> lists the files.</p>\n", o.stats->missing_blocks);
    if (metric_get(&p->metrics->name_dirs_failed) != 0)
        buf_printf(b, "<p class=\"note bad\">%" PRIu64 " of the further directories of <code>dfs.namenode.name.dir</code> failed "
                   "and get no changes any more; <code>name_dir_dropped</code> in the log says which and why. Repair it and "
                   "start the NameNode again.</p>\n", metric_get(&p->metrics->name_dirs_failed));
    share = o.stats->capacity ? (double)o.stats->used / (double)o.stats->capacity : 0;
    page_cards_begin(b);
    snprintf(note, sizeof note, "%s used, %.1f %%", page_bytes(o.stats->used, used), share * 100);
    page_card(b, "Capacity", page_bytes(o.stats->capacity, text), "", note);
    page_card(b, "Free for blocks", page_bytes(o.stats->remaining, text), "", NULL);
    snprintf(text, sizeof text, "%zu", o.live->n_di);
    snprintf(note, sizeof note, "%zu dead", o.dead->n_di);
    page_card(b, "Live DataNodes", text, o.live->n_di ? "good" : "bad", o.dead->n_di ? note : NULL);
    count_card(b, "Missing blocks", o.stats->missing_blocks, "bad", NULL);
    count_card(b, "Corrupt blocks", o.stats->corrupt_blocks, "bad", NULL);
    count_card(b, "Under-replicated", o.stats->under_replicated, "warn", o.stats->under_replicated ? "being restored" : NULL);
    page_cards_end(b);
    missing_files(p, b, &a);
    if (o.live->n_di + o.dead->n_di <= OVERVIEW_NODES) {
        buf_put_str(b, "<h2>DataNodes</h2>\n");
        node_table(p, b, &a, &o);
    }
    page_end(b);
out:
    arena_fini(&a);
}

static void
page_nodes(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct nn_pages *p = arg;
    struct buf *b = &reply->body;
    struct overview o;
    struct arena a;

    (void)req;
    arena_init(&a, PAGES_ANSWER_MAX);
    if (!fetch(p, &a, reply, &o))
        goto out;
    pages_begin(p, b, "DataNodes", "/nodes");
    node_table(p, b, &a, &o);
    page_end(b);
out:
    arena_fini(&a);
}

static void
page_metrics(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct nn_pages *p = arg;
    struct nn_metrics m = { 0 };
    struct overview o;
    struct arena a;

    (void)req;
    arena_init(&a, PAGES_ANSWER_MAX);
    if (fetch(p, &a, reply, &o)) {
        metric_set(&m.calls, metric_get(&p->metrics->calls));
        metric_set(&m.calls_failed, metric_get(&p->metrics->calls_failed));
        metric_set(&m.groups, metric_get(&p->metrics->groups));
        metric_set(&m.changes, metric_get(&p->metrics->changes));
        metric_set(&m.commit_us, metric_get(&p->metrics->commit_us));
        metric_set(&m.copies_ordered, metric_get(&p->metrics->copies_ordered));
        metric_set(&m.deletes_ordered, metric_get(&p->metrics->deletes_ordered));
        metric_set(&m.name_dirs_ready, metric_get(&p->metrics->name_dirs_ready));
        metric_set(&m.name_dirs_failed, metric_get(&p->metrics->name_dirs_failed));
        metric_set(&m.backups, metric_get(&p->metrics->backups));
        metric_set(&m.blocks_missing, o.stats->missing_blocks);
        metric_set(&m.blocks_under, o.stats->under_replicated);
        metric_set(&m.blocks_corrupt, o.stats->corrupt_blocks);
        metric_set(&m.nodes_live, o.live->n_di);
        metric_set(&m.nodes_dead, o.dead->n_di);
        metric_set(&m.capacity_bytes, o.stats->capacity);
        metric_set(&m.used_bytes, o.stats->used);
        metric_set(&m.free_bytes, o.stats->remaining);
        metric_set(&m.safe_mode, o.safe_mode);
        reply->type = METRICS_TYPE;
        metrics_put(&reply->body, nn_metric_rows, &m);
        metrics_put_process(&reply->body);
    }
    arena_fini(&a);
}

/* Healthy when the core thread and a reader answer. */
static void
page_health(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct overview o;
    struct arena a;

    (void)req;
    arena_init(&a, PAGES_ANSWER_MAX);
    if (fetch(arg, &a, reply, &o)) {
        reply->type = "text/plain; charset=utf-8";
        buf_put_str(&reply->body, "ok\n");
    }
    arena_fini(&a);
}

enum rc
pages_client(const struct nn_pages *p, const char *user, struct rpc_client **ret, struct why *why)
{
    const struct rpc_client_options o = { .to = p->rpc, .protocol = &client_namenode_rpc, .user = user, .connect_ms = CALL_MS };

    return rpc_client_new(p->w, &o, ret, why);
}

static const struct http_route routes[] = {
    { "GET", "/", page_overview },
    { "GET", "/nodes", page_nodes },
    { "GET", "/browse", page_browse },
    { "GET", "/metrics", page_metrics },
    { "GET", "/healthz", page_health },
    { "GET", "/fsck", page_fsck },
    { "GET", "/static/*", page_static },
};

enum rc
nn_pages_start(const struct world *w, const struct conf *conf, const struct net_addr *rpc, const char *superuser,
               const struct nn_metrics *metrics, struct nn_pages **ret, struct net_addr *ret_at, struct why *why)
{
    struct nn_pages *p = mem_zalloc(sizeof *p);
    struct net_addr at;
    enum rc rc;

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    p->w = w;
    p->rpc = *rpc;
    p->metrics = metrics;
    p->replication_min = conf->replication_min;
    (void)net_addr_text(rpc, p->where);
    if ((p->superuser = mem_strdup(superuser)) == NULL || (p->visitor_name = mem_strdup(conf->http_user)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = pages_client(p, superuser, &p->super, why)) != RC_OK ||
        (rc = pages_client(p, conf->http_user, &p->visitor, why)) != RC_OK ||
        (rc = net_addr_parse(conf->nn_http_bind, 9870, &at, why)) != RC_OK ||
        (rc = http_start(&at, routes, ARRAY_LEN(routes), p, THREADS, &p->http, ret_at, why)) != RC_OK)
        goto out;
    *ret = p;
    return RC_OK;
out:
    nn_pages_stop(p);
    return rc;
}

void
nn_pages_stop(struct nn_pages *p)
{
    if (p == NULL)
        return;
    if (p->http)
        http_stop(p->http);
    rpc_client_free(p->visitor);
    rpc_client_free(p->super);
    mem_free(p->superuser);
    mem_free(p->visitor_name);
    mem_free(p);
}
