#include "core/conf/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_BYTES_MAX 8192

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    { "", 1 },          { "b", 1 },
    { "k", KB },        { "kb", KB },
    { "m", MB },        { "mb", MB },
    { "g", GB },        { "gb", GB },
    { "t", 1024 * GB }, { "tb", 1024 * GB },
    { NULL, 0 },
};

static const struct unit time_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};

static bool
unit_find(const struct unit *units, const char *name, uint64_t *ret_factor)
{
    for (; units->name != NULL; units++) {
        if (strcasecmp(units->name, name) == 0) {
            *ret_factor = units->factor;
            return true;
        }
    }
    return false;
}

/* What one of a bare number is: the unit in which the row's default is written. */
static uint64_t
bare_msec(const struct conf_row *row)
{
    const char *suffix = row->dflt + strspn(row->dflt, "0123456789");
    uint64_t factor = 1;

    (void)unit_find(time_units, suffix, &factor);       /* without a suffix: milliseconds */
    return factor;
}

static enum rc
read_number(const struct conf_row *row, const char *text, uint64_t *ret, struct why *why)
{
    static const char *const wants[] = {
        [CONF_INT] = "a whole number",
        [CONF_BYTES] = "a number of bytes, such as 65536, 64k or 128m",
        [CONF_MSEC] = "a time, such as 500ms, 30s, 10m, 1h or 7d",
    };
    uint64_t n, factor = 1;
    bool ok = true;
    char *end;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0)
        ok = false;
    else if (row->kind == CONF_INT)
        ok = *end == '\0';
    else if (row->kind == CONF_BYTES)
        ok = unit_find(byte_units, end, &factor);
    else if (*end == '\0')
        factor = bare_msec(row);
    else
        ok = unit_find(time_units, end, &factor);
    if (!ok || __builtin_mul_overflow(n, factor, ret))
        return why_set(why, RC_BAD_CONFIG, "%s: \"%s\" is not %s", row->key, text, wants[row->kind]);
    return RC_OK;
}

static enum rc
read_decimal(const struct conf_row *row, const char *text, double *ret, struct why *why)
{
    char *end;

    errno = 0;
    *ret = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(*ret) || text[strspn(text, "+-0123456789.eE")] != '\0')
        return why_set(why, RC_BAD_CONFIG, "%s: \"%s\" is not a number, such as 0.5", row->key, text);
    return RC_OK;
}

static enum rc
read_flag(const struct conf_row *row, const char *text, bool *ret, struct why *why)
{
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
        return why_set(why, RC_BAD_CONFIG, "%s: \"%s\" is neither true nor false", row->key, text);
    *ret = strcasecmp(text, "true") == 0;
    return RC_OK;
}

static enum rc
check_text(const struct conf_row *row, const char *text, struct why *why)
{
    if (strlen(text) > TEXT_BYTES_MAX)
        return why_set(why, RC_BAD_CONFIG, "%s: longer than %d bytes", row->key, TEXT_BYTES_MAX);
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return why_set(why, RC_BAD_CONFIG, "%s: has a control character", row->key);
    return RC_OK;
}

/* The row's limit, which is text like any value; false if it has none. */
static bool
limit(const struct conf_row *row, const char *text, union conf_value *ret)
{
    if (text[0] == '\0')
        return false;
    if (row->kind == CONF_DECIMAL)
        return read_decimal(row, text, &ret->decimal, NULL) == RC_OK;
    return read_number(row, text, &ret->number, NULL) == RC_OK;
}

static bool
is_less(const struct conf_row *row, union conf_value a, union conf_value b)
{
    return row->kind == CONF_DECIMAL ? a.decimal < b.decimal : a.number < b.number;
}

enum rc
conf_value_read(const struct conf_row *row, const char *text, union conf_value *ret, struct why *why)
{
    union conf_value v = { .number = 0 }, bound;
    enum rc rc = RC_BUG;

    switch (row->kind) {
    case CONF_BOOL:
        rc = read_flag(row, text, &v.flag, why);
        break;
    case CONF_INT:
    case CONF_BYTES:
    case CONF_MSEC:
        rc = read_number(row, text, &v.number, why);
        break;
    case CONF_DECIMAL:
        rc = read_decimal(row, text, &v.decimal, why);
        break;
    case CONF_TEXT:
    case CONF_LIST:
        rc = check_text(row, text, why);
        break;
    }
    if (rc != RC_OK)
        return rc;
    if (row->kind != CONF_BOOL && row->kind != CONF_TEXT && row->kind != CONF_LIST) {
        if (limit(row, row->min, &bound) && is_less(row, v, bound))
            return why_set(why, RC_BAD_CONFIG, "%s: %s is below the least value, %s", row->key, text, row->min);
        if (limit(row, row->max, &bound) && is_less(row, bound, v))
            return why_set(why, RC_BAD_CONFIG, "%s: %s is above the greatest value, %s", row->key, text, row->max);
    }
    *ret = v;
    return RC_OK;
}
