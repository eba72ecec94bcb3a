#include "core/conf/conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#define HASH_NONFATAL_OOM 1      /* o->hh.tbl tells */
#include "core/base/table.h"
#include "core/conf/conf_priv.h"

const struct conf_row conf_rows[CONF_ROW_COUNT] = {
#define OPT(name, k, kd, d, lo, hi, w, r, text)                                                     \
    { .field = #name, .key = (k), .kind = CONF_##kd, .dflt = (d), .min = (lo), .max = (hi), .who = (w), \
      .reload = (r), .doc = (text), .offset = offsetof(struct conf, name) },
#include "core/conf/options.def"
#undef OPT
};

const struct conf_alias conf_aliases[] = {
#define OPT_ALIAS(old, new) { .key = (old), .now = (new) },
#include "core/conf/options.def"
#undef OPT_ALIAS
    { .key = NULL, .now = NULL },
};

/* A key that no option has. */
struct conf_other {
    char *key;
    char *value;
    char *from;
    bool unknown;           /* it looks like an option's and came from *-site.xml */
    UT_hash_handle hh;
};

/* Texts of an option that were replaced while threads may have been reading them. */
struct conf_retired {
    struct conf_retired *next;
    char *text, *from, *field;
};

struct conf_extra {
    char *text[CONF_ROW_COUNT];     /* the value as it was written */
    char *from[CONF_ROW_COUNT];
    struct conf_other *others;
    struct conf_retired *retired;
};

static const char *const prefixes[] = { "dfs.", "fs.", "mapreduce.", "ipc.", "net.", "hadoop.", "millrace." };

static void *
field_of(const struct conf *c, const struct conf_row *row)
{
    return (char *)(uintptr_t)c + row->offset;
}

static bool
is_text(const struct conf_row *row)
{
    return row->kind == CONF_TEXT || row->kind == CONF_LIST;
}

static void
other_free(struct conf_other *o)
{
    if (o == NULL)
        return;
    mem_free(o->key);
    mem_free(o->value);
    mem_free(o->from);
    mem_free(o);
}

const struct conf_row *
conf_row_find(const char *key)
{
    for (const struct conf_alias *a = conf_aliases; a->key != NULL; a++) {
        if (strcmp(a->key, key) == 0) {
            key = a->now;
            break;
        }
    }
    for (size_t i = 0; i < CONF_ROW_COUNT; i++)
        if (strcmp(conf_rows[i].key, key) == 0)
            return &conf_rows[i];
    return NULL;
}

/* value has been read from text; copies text and from. */
static enum rc
option_store(struct conf *c, const struct conf_row *row, union conf_value value, const char *text, const char *from,
             struct why *why)
{
    size_t i = (size_t)(row - conf_rows);
    char *copy = mem_strdup(text), *field = is_text(row) ? mem_strdup(text) : NULL, *origin = mem_strdup(from);

    if (copy == NULL || origin == NULL || (is_text(row) && field == NULL)) {
        mem_free(copy);
        mem_free(field);
        mem_free(origin);
        return why_rc(why, RC_NOMEM);
    }
    switch (row->kind) {
    case CONF_BOOL:
        *(bool *)field_of(c, row) = value.flag;
        break;
    case CONF_INT:
    case CONF_BYTES:
    case CONF_MSEC:
        *(uint64_t *)field_of(c, row) = value.number;
        break;
    case CONF_DECIMAL:
        *(double *)field_of(c, row) = value.decimal;
        break;
    case CONF_TEXT:
    case CONF_LIST:
        mem_free(*(char **)field_of(c, row));
        *(char **)field_of(c, row) = field;
        break;
    }
    mem_free(c->extra->text[i]);
    mem_free(c->extra->from[i]);
    c->extra->text[i] = copy;
    c->extra->from[i] = origin;
    return RC_OK;
}

static enum rc
other_store(struct conf *c, const char *key, const char *value, const char *from, bool unknown, struct why *why)
{
    struct conf_other *o, *old;

    if ((o = mem_zalloc(sizeof *o)) == NULL || (o->key = mem_strdup(key)) == NULL ||
        (o->value = mem_strdup(value)) == NULL || (o->from = mem_strdup(from)) == NULL) {
        other_free(o);
        return why_rc(why, RC_NOMEM);
    }
    o->unknown = unknown;
    HASH_FIND_STR(c->extra->others, key, old);
    if (old != NULL)
        HASH_DEL(c->extra->others, old);
    other_free(old);
    HASH_ADD_KEYPTR(hh, c->extra->others, o->key, strlen(o->key), o);
    if (o->hh.tbl == NULL) {
        other_free(o);
        return why_rc(why, RC_NOMEM);
    }
    return RC_OK;
}

static bool
looks_like_option(const char *key)
{
    static const char free_prefix[] = "hadoop.proxyuser.";

    if (strncmp(key, free_prefix, sizeof free_prefix - 1) == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static enum rc
row_put(struct conf *c, const struct conf_row *row, const char *value, const char *from, struct why *why)
{
    union conf_value v;
    enum rc rc = conf_value_read(row, value, &v, why);

    return rc != RC_OK ? rc : option_store(c, row, v, value, from, why);
}

enum rc
conf_put(struct conf *c, const char *key, const char *value, const char *from, enum conf_source source,
         struct why *why)
{
    const struct conf_row *row = conf_row_find(key);
    const char *like;

    if (row != NULL)
        return row_put(c, row, value, from, why);
    if (key[0] == '\0')
        return why_set(why, RC_BAD_CONFIG, "a key is missing before \"=%s\"", value);
    if (!looks_like_option(key))
        return other_store(c, key, value, from, false, why);
    if (source == CONF_FROM_XML)
        return other_store(c, key, value, from, true, why);
    if ((like = conf_suggest(key)) != NULL)
        return why_set(why, RC_BAD_CONFIG, "%s: unknown key; did you mean %s?", key, like);
    return why_set(why, RC_BAD_CONFIG, "%s: unknown key; --print-config lists those there are", key);
}

enum rc
conf_set(struct conf *c, const char *key, const char *value, const char *from, struct why *why)
{
    return conf_put(c, key, value, from, CONF_FROM_OURS, why);
}

enum rc
conf_set_pair(struct conf *c, const char *key_equals_value, const char *from, struct why *why)
{
    const char *eq = strchr(key_equals_value, '=');
    enum rc rc;
    char *key;

    if (eq == NULL || eq == key_equals_value)
        return why_set(why, RC_BAD_CONFIG, "\"%s\" is not of the form key=value", key_equals_value);
    if ((key = mem_strndup(key_equals_value, (size_t)(eq - key_equals_value))) == NULL)
        return why_rc(why, RC_NOMEM);
    rc = conf_set(c, key, eq + 1, from, why);
    mem_free(key);
    return rc;
}

enum rc
conf_init(struct conf *c, unsigned who, struct why *why)
{
    enum rc rc;

    *c = (struct conf){ .who = who };
    if ((c->extra = mem_zalloc(sizeof *c->extra)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < CONF_ROW_COUNT; i++)
        if ((rc = row_put(c, &conf_rows[i], conf_rows[i].dflt, "default", why)) != RC_OK)
            goto out;
    return RC_OK;
out:
    conf_fini(c);
    return rc;
}

void
conf_fini(struct conf *c)
{
    struct conf_other *o, *next;

    if (c->extra == NULL)
        return;
    for (size_t i = 0; i < CONF_ROW_COUNT; i++) {
        mem_free(c->extra->text[i]);
        mem_free(c->extra->from[i]);
        if (is_text(&conf_rows[i]))
            mem_free(*(char **)field_of(c, &conf_rows[i]));
    }
    HASH_ITER(hh, c->extra->others, o, next) {
        HASH_DEL(c->extra->others, o);
        other_free(o);
    }
    while (c->extra->retired != NULL) {
        struct conf_retired *r = c->extra->retired;

        c->extra->retired = r->next;
        mem_free(r->text);
        mem_free(r->from);
        mem_free(r->field);
        mem_free(r);
    }
    mem_free(c->extra);
    *c = (struct conf){ .who = 0 };
}

enum rc
conf_copy(struct conf *to, const struct conf *from, struct why *why)
{
    const struct conf_extra *e = from->extra;
    enum rc rc;

    if ((rc = conf_init(to, from->who, why)) != RC_OK)
        return rc;
    for (size_t i = 0; rc == RC_OK && i < CONF_ROW_COUNT; i++)
        rc = row_put(to, &conf_rows[i], e->text[i], e->from[i], why);
    for (const struct conf_other *o = e->others; rc == RC_OK && o != NULL; o = o->hh.next)
        rc = other_store(to, o->key, o->value, o->from, o->unknown, why);
    if (rc != RC_OK)
        conf_fini(to);
    return rc;
}

const char *
conf_find(const struct conf *c, const char *key)
{
    const struct conf_row *row = conf_row_find(key);
    const struct conf_other *o;

    if (row != NULL)
        return c->extra->text[row - conf_rows];
    HASH_FIND_STR(c->extra->others, key, o);
    return o == NULL ? NULL : o->value;
}

const char *
conf_origin(const struct conf *c, const char *key)
{
    const struct conf_row *row = conf_row_find(key);

    return row == NULL ? NULL : c->extra->from[row - conf_rows];
}

void
conf_each_extra(const struct conf *c, void (*fn)(void *arg, const char *key, const char *value), void *arg)
{
    for (const struct conf_other *o = c->extra->others; o != NULL; o = o->hh.next)
        fn(arg, o->key, o->value);
}

void
conf_each_unknown(const struct conf *c, void (*fn)(void *arg, const char *key, const char *from), void *arg)
{
    for (const struct conf_other *o = c->extra->others; o != NULL; o = o->hh.next)
        if (o->unknown)
            fn(arg, o->key, o->from);
}

void
conf_print(const struct conf *c, FILE *out)
{
    for (size_t i = 0; i < CONF_ROW_COUNT; i++)
        if ((conf_rows[i].who & c->who) != 0)
            fprintf(out, "%s = %s  # %s\n", conf_rows[i].key, c->extra->text[i], c->extra->from[i]);
    for (const struct conf_other *o = c->extra->others; o != NULL; o = o->hh.next)
        fprintf(out, "%s = %s  # %s%s\n", o->key, o->value, o->from, o->unknown ? ", not an option here" : "");
}

/* The old texts go on living for whoever reads them. */
static enum rc
option_replace(struct conf *c, const struct conf *fresh, const struct conf_row *row, struct why *why)
{
    size_t i = (size_t)(row - conf_rows);
    struct conf_retired *r = mem_zalloc(sizeof *r);
    char *text = mem_strdup(fresh->extra->text[i]), *from = mem_strdup(fresh->extra->from[i]);
    char *field = is_text(row) ? mem_strdup(fresh->extra->text[i]) : NULL;

    if (r == NULL || text == NULL || from == NULL || (is_text(row) && field == NULL)) {
        mem_free(r);
        mem_free(text);
        mem_free(from);
        mem_free(field);
        return why_rc(why, RC_NOMEM);
    }
    switch (row->kind) {
    case CONF_BOOL:
        __atomic_store_n((bool *)field_of(c, row), *(bool *)field_of(fresh, row), __ATOMIC_RELAXED);
        break;
    case CONF_INT:
    case CONF_BYTES:
    case CONF_MSEC:
        __atomic_store_n((uint64_t *)field_of(c, row), *(uint64_t *)field_of(fresh, row), __ATOMIC_RELAXED);
        break;
    case CONF_DECIMAL:
        __atomic_store((double *)field_of(c, row), (double *)field_of(fresh, row), __ATOMIC_RELAXED);
        break;
    case CONF_TEXT:
    case CONF_LIST:
        r->field = __atomic_exchange_n((char **)field_of(c, row), field, __ATOMIC_ACQ_REL);
        break;
    }
    r->text = __atomic_exchange_n(&c->extra->text[i], text, __ATOMIC_ACQ_REL);
    r->from = __atomic_exchange_n(&c->extra->from[i], from, __ATOMIC_ACQ_REL);
    r->next = c->extra->retired;
    c->extra->retired = r;
    return RC_OK;
}

enum rc
conf_reload(struct conf *c, const struct conf *fresh,
            void (*fn)(void *arg, const char *key, const char *before, const char *now, bool taken), void *arg,
            struct why *why)
{
    for (size_t i = 0; i < CONF_ROW_COUNT; i++) {
        const struct conf_row *row = &conf_rows[i];
        const char *now = fresh->extra->text[i];
        enum rc rc;

        if ((row->who & c->who) == 0 || strcmp(c->extra->text[i], now) == 0)
            continue;
        fn(arg, row->key, c->extra->text[i], now, row->reload == LIVE);
        if (row->reload == LIVE && (rc = option_replace(c, fresh, row, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc
conf_derive(struct conf *c, struct why *why)
{
    static const char scheme[] = "hdfs://", key[] = "dfs.namenode.rpc-address";
    const char *host = c->fs_default + sizeof scheme - 1;
    char *address;
    enum rc rc;

    if (strcmp(conf_origin(c, "fs.defaultFS"), "default") == 0 || strcmp(conf_origin(c, key), "default") != 0 ||
        strncmp(c->fs_default, scheme, sizeof scheme - 1) != 0)
        return RC_OK;
    address = strchr(host, ':') != NULL ? mem_strndup(host, strcspn(host, "/"))
                                        : mem_printf("%.*s:8020", (int)strcspn(host, "/"), host);
    if (address == NULL)
        return why_rc(why, RC_NOMEM);
    rc = conf_set(c, key, address, "fs.defaultFS", why);
    mem_free(address);
    return rc;
}

enum rc
conf_verify(const struct conf *c, struct why *why)
{
    char text[WHY_TEXT_MAX];
    struct buf problems;
    enum log_level level;
    enum rc rc = RC_OK;

    buf_init(&problems, sizeof text - 1);
    if (strncmp(c->fs_default, "hdfs://", 7) != 0 || c->fs_default[7] == '\0' || c->fs_default[7] == '/' ||
        c->fs_default[7] == ':')
        buf_put_str(&problems, "fs.defaultFS: not of the form hdfs://host:port\n");
    if (c->block_bytes % c->bytes_per_checksum != 0)
        buf_put_str(&problems, "dfs.blocksize: not a multiple of dfs.bytes-per-checksum\n");
    if (c->block_bytes < c->block_bytes_min && (c->who & NN) != 0)
        buf_put_str(&problems, "dfs.blocksize: below dfs.namenode.fs-limits.min-block-size\n");
    if (c->replication > c->replication_max)
        buf_put_str(&problems, "dfs.replication: above dfs.replication.max\n");
    if (c->replication_min > c->replication)
        buf_put_str(&problems, "dfs.namenode.replication.min: above dfs.replication\n");
    if (c->lease_soft_ms > c->lease_hard_ms)
        buf_put_str(&problems, "dfs.namenode.lease-soft-limit: above dfs.namenode.lease-hard-limit\n");
    if (c->split_min > c->split_max)
        buf_put_str(&problems, "mapreduce.input.fileinputformat.split.minsize: above .maxsize\n");
    if (strcmp(c->replace_policy, "DEFAULT") != 0 && strcmp(c->replace_policy, "ALWAYS") != 0 &&
        strcmp(c->replace_policy, "NEVER") != 0)
        buf_put_str(&problems, "dfs.client.block.write.replace-datanode-on-failure.policy: "
                               "neither DEFAULT, ALWAYS nor NEVER\n");
    if (c->umask[0] == '\0' || strlen(c->umask) > 5 || c->umask[strspn(c->umask, "01234567")] != '\0')
        buf_put_str(&problems, "fs.permissions.umask-mode: not an octal number such as 022\n");
    if (!log_level_parse(c->log_level, &level))
        buf_put_str(&problems, "millrace.log.level: neither error, warn, info nor debug\n");
    if (!buf_ok(&problems)) {
        rc = why_rc(why, RC_NOMEM);
    } else if (problems.n > 0) {
        rc = why_set(why, RC_BAD_CONFIG, "%.*s", (int)problems.n - 1, (const char *)problems.p);
    }
    buf_fini(&problems);
    return rc;
}

char **
conf_list(const char *value)
{
    size_t count = 0, cap = 2;
    char **list;

    for (const char *p = value; *p != '\0'; p++)
        cap += *p == ',';
    if ((list = mem_calloc(cap, sizeof *list)) == NULL)
        return NULL;
    while (*value != '\0') {
        size_t n = strcspn(value, ","), skip = strspn(value, " \t");
        const char *p = value + skip, *end = value + n;

        while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        if (end - p >= 7 && strncmp(p, "file://", 7) == 0)
            p += 7;
        if (end > p && (list[count++] = mem_strndup(p, (size_t)(end - p))) == NULL) {
            conf_list_free(list);
            return NULL;
        }
        value += n + (value[n] == ',');
    }
    return list;
}

void
conf_list_free(char **list)
{
    if (list == NULL)
        return;
    for (char **p = list; *p != NULL; p++)
        mem_free(*p);
    mem_free(list);
}

const char *
conf_default_path(void)
{
    static const char path[] = "/etc/millrace/millrace.conf";
    const char *set = getenv("MILLRACE_CONF");

    if (set != NULL && set[0] != '\0')
        return set;
    return access(path, R_OK) == 0 ? path : NULL;
}
