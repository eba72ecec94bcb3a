#include "core/rpc/dispatch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define NAME_SHOWN 200      /* bytes of a peer's name that an error repeats */

struct row {
    const char *name;
    size_t index;
};

struct served {
    struct rpc_service service;
    struct row *rows;       /* sorted by name */
};

struct rpc_dispatch {
    size_t count;
    struct served served[];
};

static int
row_compare(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

enum rc
rpc_dispatch_new(const struct rpc_service *services, size_t count, struct rpc_dispatch **ret)
{
    struct rpc_dispatch *d = mem_zalloc(sizeof *d + count * sizeof d->served[0]);

    if (d == NULL)
        return RC_NOMEM;
    d->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct rpc_protocol *p = services[i].protocol;
        struct row *rows = mem_calloc(p->method_count + 1, sizeof *rows);
        if (rows == NULL) {
            rpc_dispatch_free(d);
            return RC_NOMEM;
        }
        for (size_t m = 0; m < p->method_count; m++)
            rows[m] = (struct row){ p->methods[m].name, m };
        qsort(rows, p->method_count, sizeof *rows, row_compare);
        d->served[i] = (struct served){ services[i], rows };
    }
    *ret = d;
    return RC_OK;
}

void
rpc_dispatch_free(struct rpc_dispatch *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->count; i++)
        mem_free(d->served[i].rows);
    mem_free(d);
}

static int
span_compare(struct span s, const char *name)
{
    size_t n = strlen(name);
    int order = memcmp(s.p, name, s.n < n ? s.n : n);

    return order != 0 ? order : s.n < n ? -1 : s.n > n;
}

static const struct row *
row_find(const struct served *served, struct span name)
{
    size_t low = 0, high = served->service.protocol->method_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = span_compare(name, served->rows[mid].name);
        if (order == 0)
            return &served->rows[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static int
shown(struct span s)
{
    return s.n > NAME_SHOWN ? NAME_SHOWN : (int)s.n;
}

enum rc
rpc_dispatch_find(const struct rpc_dispatch *d, struct span protocol, uint64_t version, struct span method,
                  const struct rpc_service **ret_service, size_t *ret_index, struct why *why)
{
    const struct served *served = NULL;
    const struct row *row;

    for (size_t i = 0; i < d->count && served == NULL; i++)
        if (protocol.n > 0 && span_compare(protocol, d->served[i].service.protocol->name) == 0)
            served = &d->served[i];
    if (served == NULL)
        return why_set(why, RC_NO_PROTOCOL, "Unknown protocol: %.*s", shown(protocol), (const char *)protocol.p);
    if (version != served->service.protocol->version)
        return why_set(why, RC_RPC_VERSION, "Protocol %s version mismatch. (client = %" PRIu64 ", server = %" PRIu64 ")",
                       served->service.protocol->name, version, served->service.protocol->version);
    if (method.n == 0 || (row = row_find(served, method)) == NULL)
        return why_set(why, RC_NO_METHOD, "Unknown method %.*s called on %s protocol.", shown(method),
                       (const char *)method.p, served->service.protocol->name);
    *ret_service = &served->service;
    *ret_index = row->index;
    return RC_OK;
}
