/* find: names below a path that an expression is true of. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "dfsclient/shell/glob.h"
#include "dfsclient/shell/shell.h"

#define TERMS_MAX 64

enum term_kind { TERM_NAME, TERM_INAME, TERM_TYPE, TERM_SIZE, TERM_MTIME, TERM_EMPTY, TERM_PRINT, TERM_PRINT0 };

struct term {
    enum term_kind kind;
    char *text;             /* pattern, or the type's letter */
    char sign;              /* '+' more, '-' less, 0 exactly */
    uint64_t n, unit;
};

struct find {
    struct term terms[TERMS_MAX];
    size_t term_count;
    bool prints;
    uint64_t now_ms;
};

static bool
compare(const struct term *t, uint64_t value)
{
    return t->sign == '+' ? value > t->n : t->sign == '-' ? value < t->n : value == t->n;
}

static char *
lower(char *s)
{
    for (char *p = s; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return s;
}

static bool
is_empty(struct sh *sh, struct item *it)
{
    struct item_list l;
    struct why why;
    bool empty;

    if (!it->st.is_dir)
        return it->st.bytes == 0;
    item_list_init(&l);
    empty = sh_children(sh, it, &l, &why) == RC_OK && l.n == 0;
    item_list_fini(&l);
    return empty;
}

static bool
is_true(struct sh *sh, const struct find *f, const struct term *t, struct item *it)
{
    const char *name = sh_base_name(it->path);
    char small[1024];

    switch (t->kind) {
    case TERM_NAME:
        return glob_match(t->text, name);
    case TERM_INAME:
        snprintf(small, sizeof small, "%s", name);
        return glob_match(t->text, lower(small));
    case TERM_TYPE:
        return (t->text[0] == 'd') == it->st.is_dir;
    case TERM_SIZE:
        return !it->st.is_dir && compare(t, (it->st.bytes + t->unit - 1) / t->unit);
    case TERM_MTIME:
        return compare(t, (f->now_ms - it->st.mtime_ms) / 86400000);
    case TERM_EMPTY:
        return is_empty(sh, it);
    case TERM_PRINT:
        puts(it->shown);
        return true;
    case TERM_PRINT0:
        fputs(it->shown, stdout);
        putchar('\0');
        return true;
    }
    return false;
}

static void
visit(struct sh *sh, struct item *it, void *arg)
{
    struct find *f = arg;

    for (size_t i = 0; i < f->term_count; i++)
        if (!is_true(sh, f, &f->terms[i], it))
            return;
    if (!f->prints)
        puts(it->shown);
}

static void
walk(struct sh *sh, struct item *it, void *arg)
{
    sh_walk(sh, it, visit, arg);
}

/* "+2k": sign, number, unit. */
static bool
parse_number(struct term *t, const char *s, bool sizes)
{
    static const char units[] = "ckMGT";
    const char *unit;
    char *end;

    t->sign = *s == '+' || *s == '-' ? *s++ : '\0';
    if (!isdigit((unsigned char)*s))
        return false;
    t->n = strtoull(s, &end, 10);
    t->unit = sizes ? 512 : 1;
    if (sizes && *end != '\0' && (unit = strchr(units, *end)) != NULL) {
        t->unit = UINT64_C(1) << (10 * (unit - units));
        end++;
    }
    return *end == '\0';
}

/* One term at argv[0]: how many words it took; 0 when it is none. */
static int
parse_term(struct sh *sh, struct find *f, int argc, char **argv)
{
    static const struct {
        const char *name;
        enum term_kind kind;
        int words;
    } kinds[] = {
        { "-name", TERM_NAME, 2 }, { "-iname", TERM_INAME, 2 }, { "-type", TERM_TYPE, 2 },   { "-size", TERM_SIZE, 2 },
        { "-mtime", TERM_MTIME, 2 }, { "-empty", TERM_EMPTY, 1 }, { "-print", TERM_PRINT, 1 }, { "-print0", TERM_PRINT0, 1 },
    };
    struct term *t = &f->terms[f->term_count];

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(argv[0], kinds[i].name) != 0)
            continue;
        if (argc < kinds[i].words || f->term_count == TERMS_MAX)
            return 0;
        *t = (struct term){ .kind = kinds[i].kind };
        if (t->kind == TERM_PRINT || t->kind == TERM_PRINT0)
            f->prints = true;
        if (kinds[i].words == 2 && (t->text = arena_strdup(&sh->arena, argv[1])) == NULL)
            return 0;
        if (t->kind == TERM_INAME)
            lower(t->text);
        if ((t->kind == TERM_TYPE && strcmp(t->text, "d") != 0 && strcmp(t->text, "f") != 0) ||
            ((t->kind == TERM_SIZE || t->kind == TERM_MTIME) && !parse_number(t, t->text, t->kind == TERM_SIZE)))
            return 0;
        f->term_count++;
        return kinds[i].words;
    }
    return 0;
}

int
cmd_find(struct sh *sh, int argc, char **argv)
{
    char here[] = ".";
    char *current[1] = { here };
    struct find f = { .now_ms = clock_wall_ms(sh->w.clock) };
    int paths = 0, took;

    if (argc == 0)
        return sh_usage(sh, "Not enough arguments: expected 1 but got 0");
    while (paths < argc && (argv[paths][0] != '-' || argv[paths][1] == '\0'))
        paths++;
    for (int i = paths; i < argc; i += took) {
        if (strcmp(argv[i], "-a") == 0 || strcmp(argv[i], "-and") == 0) {
            took = 1;
        } else if ((took = parse_term(sh, &f, argc - i, argv + i)) == 0) {
            sh_fail_text(sh, "Unexpected argument: %s", argv[i]);
            return sh->exit_code;
        }
    }
    return sh_each(sh, paths > 0 ? paths : 1, paths > 0 ? argv : current, walk, NULL, &f);
}
