/*
 * metrics -- numbers that a daemon counts, declared once in metrics.def.
 *
 * Each daemon embeds the struct of its kind, zeroed at first.  Any thread may
 * change and read a number; numbers are independent of each other.
 */
#ifndef CORE_CONF_METRICS_H
#define CORE_CONF_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct metric {
    uint64_t v;         /* by the functions below only */
};

struct nn_metrics {
#define NN_METRIC(field, kind, name, unit, doc) struct metric field;
#include "core/conf/metrics.def"
};

struct dn_metrics {
#define DN_METRIC(field, kind, name, unit, doc) struct metric field;
#include "core/conf/metrics.def"
};

struct jt_metrics {
#define JT_METRIC(field, kind, name, unit, doc) struct metric field;
#include "core/conf/metrics.def"
};

struct tt_metrics {
#define TT_METRIC(field, kind, name, unit, doc) struct metric field;
#include "core/conf/metrics.def"
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric_row {
    const char *name;
    const char *unit;           /* "" for none */
    const char *doc;
    enum metric_kind kind;
    size_t offset;              /* of the field in its struct */
};

/* Each ends with a row whose name is NULL. */
extern const struct metric_row nn_metric_rows[];
extern const struct metric_row dn_metric_rows[];
extern const struct metric_row jt_metric_rows[];
extern const struct metric_row tt_metric_rows[];

static inline void metric_add(struct metric *m, uint64_t n) { (void)__atomic_fetch_add(&m->v, n, __ATOMIC_RELAXED); }
static inline void metric_sub(struct metric *m, uint64_t n) { (void)__atomic_fetch_sub(&m->v, n, __ATOMIC_RELAXED); }
static inline void metric_set(struct metric *m, uint64_t v) { __atomic_store_n(&m->v, v, __ATOMIC_RELAXED); }
static inline uint64_t metric_get(const struct metric *m) { return __atomic_load_n(&m->v, __ATOMIC_RELAXED); }

/* The content type of what the functions below put. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* values is the struct that rows describe; puts Prometheus' text format. */
void metrics_put(struct buf *out, const struct metric_row *rows, const void *values);

/* What every program has: its version, bugs met, blocks of memory in use. */
void metrics_put_process(struct buf *out);

#endif
