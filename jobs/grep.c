/*
 * grep -- the lines that match a regular expression, with file and place; or how often each match occurs.
 *
 *     -D grep.pattern=RE      POSIX extended regular expression
 *     -D grep.invert=1        the lines that do not match
 *
 * As MR_JOB the output has "FILE:PLACE<tab>LINE" lines; `-stage count` gives "MATCH<tab>COUNT", as Hadoop's example.
 */
#include <mr.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

struct search {
    regex_t re;
    int invert;
    char *line;                 /* with a NUL */
    size_t cap;
};

static void
setup(struct mr_task *t)
{
    struct search *s = t->state = mr_alloc(t, sizeof *s);
    const char *pattern = mr_option(t, "grep.pattern", NULL);
    char text[256] = "give -D grep.pattern=RE";
    int rc;

    s->invert = strcmp(mr_option(t, "grep.invert", "0"), "1") == 0;
    if (pattern == NULL)
        mr_fail(t, text);
    if ((rc = regcomp(&s->re, pattern, REG_EXTENDED | REG_NEWLINE)) != 0) {
        size_t n = (size_t)snprintf(text, sizeof text, "grep.pattern: ");

        (void)regerror(rc, &s->re, text + n, sizeof text - n);
        mr_fail(t, text);
    }
}

static void
cleanup(struct mr_task *t)
{
    struct search *s = t->state;

    regfree(&s->re);
}

/* The line with a NUL at its end: regexec takes a string. */
static const char *
string(struct mr_task *t, struct search *s, const struct mr_rec *rec)
{
    if (rec->value_len >= s->cap) {
        s->cap = 2 * rec->value_len + 256;
        s->line = mr_alloc(t, s->cap);
    }
    memcpy(s->line, rec->value, rec->value_len);
    s->line[rec->value_len] = '\0';
    return s->line;
}

static void
find_line(struct mr_task *t, const struct mr_rec *rec)
{
    struct search *s = t->state;
    char place[4200];

    if ((regexec(&s->re, string(t, s, rec), 0, NULL, 0) == 0) == s->invert)
        return;
    (void)snprintf(place, sizeof place, "%s:%llu", mr_path(t), (unsigned long long)rec->at);
    mr_emit(t, place, strlen(place), rec->value, rec->value_len);
}

static void
count_matches(struct mr_task *t, const struct mr_rec *rec)
{
    struct search *s = t->state;
    const char *p = string(t, s, rec);
    int from = 0;
    regmatch_t m;

    for (; regexec(&s->re, p, 1, &m, from) == 0; p += m.rm_eo ? m.rm_eo : 1, from = REG_NOTBOL) {
        if (m.rm_eo > m.rm_so)
            mr_emit_i64(t, p + m.rm_so, (size_t)(m.rm_eo - m.rm_so), 1);
        if (p[m.rm_eo] == '\0')
            break;
    }
}

MR_MAP_EACH(find, find_line)
MR_MAP_EACH(count, count_matches)

MR_JOB(.map = find, .setup = setup, .cleanup = cleanup, .map_only = 1)
MR_STAGE(count, .map = count, .setup = setup, .cleanup = cleanup, .fold = MR_FOLD_SUM_I64)
