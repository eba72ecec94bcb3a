#include "dfsclient/shell/format.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"

const char *
format_bytes(uint64_t n, bool human, char out[FORMAT_ROOM])
{
    static const char units[] = "KMGTPE";
    unsigned u = 0;

    if (!human || n < 1024) {
        snprintf(out, FORMAT_ROOM, "%llu", (unsigned long long)n);
        return out;
    }
    while (u < 5 && n >> (10 * (u + 2)) > 0)
        u++;
    uint64_t unit = UINT64_C(1) << (10 * (u + 1));
    if (n % unit == 0) {
        snprintf(out, FORMAT_ROOM, "%llu %c", (unsigned long long)(n / unit), units[u]);
    } else {
        if ((double)n / (double)unit >= 1023.95 && u < 5) {     /* would print as 1024.0 */
            u++;
            unit <<= 10;
        }
        snprintf(out, FORMAT_ROOM, "%.1f %c", (double)n / (double)unit, units[u]);
    }
    return out;
}

const char *
format_report_bytes(uint64_t n, char out[FORMAT_ROOM])
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
    unsigned u = 0;
    double v = (double)n;

    while (v >= 1024 && u < 6) {
        v /= 1024;
        u++;
    }
    int whole = snprintf(out, FORMAT_ROOM, "%.2f", v);
    while (whole > 0 && out[whole - 1] == '0')
        whole--;
    if (whole > 0 && out[whole - 1] == '.')
        whole--;
    snprintf(out + whole, FORMAT_ROOM - (size_t)whole, " %s", units[u]);
    return out;
}

const char *
format_mode(uint32_t mode, char out[10])
{
    for (unsigned i = 0; i < 9; i++)
        out[i] = (mode & (0400u >> i)) != 0 ? "rwx"[i % 3] : '-';
    if ((mode & 01000) != 0)
        out[8] = (mode & 1) != 0 ? 't' : 'T';
    out[9] = '\0';
    return out;
}

const char *
format_time(uint64_t wall_ms, bool utc, const char *how, char out[FORMAT_ROOM])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    if ((utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)) == NULL)
        memset(&tm, 0, sizeof tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (strftime(out, FORMAT_ROOM, how, &tm) == 0)      /* how is one of a few constants */
        out[0] = '\0';
#pragma GCC diagnostic pop
    return out;
}

static enum rc
no_mode(const char *text, struct why *why)
{
    return why_set(why, RC_BAD_USAGE, "chmod : mode '%s' does not match the expected pattern.", text);
}

/* "u+x": who, what to do, which bits.  Moves *at behind it. */
static bool
one_clause(const char **at, bool is_dir, uint32_t *mode)
{
    const char *p = *at;
    uint32_t who = 0, bits = 0, mask;
    bool sticky = false;
    char op;

    for (; *p != '\0' && strchr("ugoa", *p) != NULL; p++)
        who |= *p == 'u' ? 0700 : *p == 'g' ? 070 : *p == 'o' ? 07 : 0777;
    if (*p != '+' && *p != '-' && *p != '=')
        return false;
    op = *p++;
    const char *first = p;
    for (; *p != '\0' && strchr("rwxXt", *p) != NULL; p++) {
        bits |= *p == 'r' ? 0444 : *p == 'w' ? 0222 : *p == 'x' ? 0111 : 0;
        if (*p == 'X' && (is_dir || (*mode & 0111) != 0))
            bits |= 0111;
        sticky = sticky || *p == 't';
    }
    if (p == first)
        return false;
    mask = who != 0 ? who : 0777;
    bits &= mask;
    if (op == '=')
        *mode = (*mode & ~mask) | bits;
    else if (op == '+')
        *mode |= bits;
    else
        *mode &= ~bits;
    if (sticky)
        *mode = op == '-' ? *mode & ~01000u : *mode | 01000;
    *at = p;
    return true;
}

enum rc
format_parse_mode(const char *text, bool is_dir, uint32_t now, uint32_t *ret, struct why *why)
{
    uint32_t mode = now;
    const char *p = text;

    if (isdigit((unsigned char)*p)) {
        for (mode = 0; *p >= '0' && *p <= '7' && p - text < 4; p++)
            mode = mode * 8 + (uint32_t)(*p - '0');
        if (*p != '\0' || p - text < 3 || (p - text == 4 && (*text != '0' && *text != '1')))
            return no_mode(text, why);
        *ret = mode;
        return RC_OK;
    }
    for (;;) {
        if (!one_clause(&p, is_dir, &mode))
            return no_mode(text, why);
        if (*p == '\0')
            break;
        if (*p++ != ',')
            return no_mode(text, why);
    }
    *ret = mode;
    return RC_OK;
}

void
table_init(struct table *t, size_t columns, unsigned right)
{
    *t = (struct table){ .columns = columns, .right = right };
}

void
table_fini(struct table *t)
{
    for (size_t i = 0; i < t->rows * t->columns; i++)
        mem_free(t->cells[i]);
    mem_free(t->cells);
}

void
table_add(struct table *t, const char *const *cells)
{
    if (!mem_room(&t->cells, t->rows, &t->cap, t->columns * sizeof *t->cells)) {
        t->bad = true;
        return;
    }
    char **row = &t->cells[t->rows * t->columns];
    for (size_t i = 0; i < t->columns; i++)
        if ((row[i] = mem_strdup(cells[i])) == NULL) {
            while (i > 0)
                mem_free(row[--i]);
            t->bad = true;
            return;
        }
    t->rows++;
}

/* Characters of UTF-8 text, for padding. */
static int
columns_of(const char *s)
{
    int n = 0;

    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void
table_print(const struct table *t, FILE *out)
{
    int width[TABLE_COLUMNS] = { 0 };

    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->columns; c++) {
            int n = columns_of(t->cells[r * t->columns + c]);
            if (n > width[c])
                width[c] = n;
        }
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            const char *cell = t->cells[r * t->columns + c];
            int pad = width[c] - columns_of(cell);
            bool right = (t->right >> c & 1) != 0, last = c + 1 == t->columns;
            fprintf(out, "%*s%s%*s%s", right ? pad : 0, "", cell, right || last ? 0 : pad, "", last ? "" : "  ");
        }
        fputc('\n', out);
    }
}
