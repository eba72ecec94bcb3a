#include "datanode/pages.h"

#include "core/base/attr.h"
#include "core/http/http.h"
#include "datanode/link.h"

#define HTTP_PORT 9864
#define HTTP_THREADS 2

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
