/*
 * conf_priv -- what the parts of conf share: the table of options, and how a
 * value is read and a key is set.
 */
#ifndef CORE_CONF_CONF_PRIV_H
#define CORE_CONF_CONF_PRIV_H

#include "core/conf/conf.h"

struct conf_row {
    const char *field;
    const char *key;
    enum conf_kind kind;
    const char *dflt;
    const char *min;            /* "" where the kind has none */
    const char *max;
    unsigned who;
    enum conf_reload reload;
    const char *doc;
    size_t offset;              /* of the field in struct conf */
};

struct conf_alias {
    const char *key;
    const char *now;
};

enum {
#define OPT(field, key, kind, dflt, min, max, who, reload, doc) CONF_ROW_##field,
#include "core/conf/options.def"
#undef OPT
    CONF_ROW_COUNT
};

extern const struct conf_row conf_rows[CONF_ROW_COUNT];

/* Ends with a row whose key is NULL. */
extern const struct conf_alias conf_aliases[];

/* Where a key is from decides what an unknown one means. */
enum conf_source { CONF_FROM_OURS, CONF_FROM_XML };

enum rc conf_put(struct conf *c, const char *key, const char *value, const char *from, enum conf_source source,
                 struct why *why) MUST_CHECK;

/* The option that key names, also by an old name; NULL if none. */
const struct conf_row *conf_row_find(const char *key);

/* The option's key that is most like key; NULL if none is like it. */
const char *conf_suggest(const char *key);

union conf_value {
    bool flag;
    uint64_t number;
    double decimal;
};

/* Read text as row's kind says and hold it against the row's limits; TEXT and LIST are only checked. */
enum rc conf_value_read(const struct conf_row *row, const char *text, union conf_value *ret, struct why *why) MUST_CHECK;

#endif
