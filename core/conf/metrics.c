#include "core/conf/metrics.h"

#include <inttypes.h>

#include "config.h"
#include "core/base/check.h"
#include "core/base/mem.h"

#define ROW(type, f, k, n, u, d) \
    { .name = (n), .unit = (u), .doc = (d), .kind = METRIC_##k, .offset = offsetof(struct type, f) },

const struct metric_row nn_metric_rows[] = {
#define NN_METRIC(field, kind, name, unit, doc) ROW(nn_metrics, field, kind, name, unit, doc)
#include "core/conf/metrics.def"
    { .name = NULL },
};

const struct metric_row dn_metric_rows[] = {
#define DN_METRIC(field, kind, name, unit, doc) ROW(dn_metrics, field, kind, name, unit, doc)
#include "core/conf/metrics.def"
    { .name = NULL },
};

const struct metric_row jt_metric_rows[] = {
#define JT_METRIC(field, kind, name, unit, doc) ROW(jt_metrics, field, kind, name, unit, doc)
#include "core/conf/metrics.def"
    { .name = NULL },
};

const struct metric_row tt_metric_rows[] = {
#define TT_METRIC(field, kind, name, unit, doc) ROW(tt_metrics, field, kind, name, unit, doc)
#include "core/conf/metrics.def"
    { .name = NULL },
};

static void
put_head(struct buf *out, const char *name, const char *doc, enum metric_kind kind)
{
    buf_printf(out, "# HELP millrace_%s %s\n# TYPE millrace_%s %s\n", name, doc, name,
               kind == METRIC_COUNTER ? "counter" : "gauge");
}

void
metrics_put(struct buf *out, const struct metric_row *rows, const void *values)
{
    for (; rows->name != NULL; rows++) {
        const struct metric *m = (const void *)((const char *)values + rows->offset);

        put_head(out, rows->name, rows->doc, rows->kind);
        buf_printf(out, "millrace_%s %" PRIu64 "\n", rows->name, metric_get(m));
    }
}

void
metrics_put_process(struct buf *out)
{
    put_head(out, "build_info", "The version that runs.", METRIC_GAUGE);
    buf_printf(out, "millrace_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
    put_head(out, "bugs_total", "Bugs of the program that it met and survived.", METRIC_COUNTER);
    buf_printf(out, "millrace_bugs_total %" PRIu64 "\n", soft_bug_count());
    put_head(out, "memory_blocks", "Blocks of memory in use.", METRIC_GAUGE);
    buf_printf(out, "millrace_memory_blocks %" PRIu64 "\n", mem_live());
}
