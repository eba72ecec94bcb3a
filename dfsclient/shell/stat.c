/* What tells about names: stat, test, count, du, df. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dfsclient/shell/format.h"
#include "dfsclient/shell/shell.h"

static void
print_field(const struct item *it, char field)
{
    const struct fs_status *st = &it->st;
    char room[FORMAT_ROOM], mode[10];

    switch (field) {
    case 'a': printf("%o", st->mode); break;
    case 'A': printf("%s", format_mode(st->mode, mode)); break;
    case 'b': printf("%llu", (unsigned long long)st->bytes); break;
    case 'F': printf("%s", st->is_dir ? "directory" : "regular file"); break;
    case 'g': printf("%s", st->group); break;
    case 'n': printf("%s", sh_base_name(it->path)); break;
    case 'o': printf("%llu", (unsigned long long)st->block_bytes); break;
    case 'r': printf("%u", st->replication); break;
    case 'u': printf("%s", st->owner); break;
    case 'x': printf("%s", format_time(st->atime_ms, true, "%Y-%m-%d %H:%M:%S", room)); break;
    case 'X': printf("%llu", (unsigned long long)st->atime_ms); break;
    case 'y': printf("%s", format_time(st->mtime_ms, true, "%Y-%m-%d %H:%M:%S", room)); break;
    case 'Y': printf("%llu", (unsigned long long)st->mtime_ms); break;
    default: putchar(field); break;
    }
}

static void
print_stat(struct sh *sh, struct item *it, void *arg)
{
    (void)sh;
    for (const char *p = arg; *p != '\0'; p++) {
        if (*p == '%' && p[1] != '\0')
            print_field(it, *++p);
        else
            putchar(*p);
    }
    putchar('\n');
}

int
cmd_stat(struct sh *sh, int argc, char **argv)
{
    char by_default[] = "%y";
    char *format = by_default;
    int exit_code = sh_options(sh, &argc, &argv, NULL, 0, 1, INT32_MAX);

    if (exit_code != 0)
        return exit_code;
    if (strchr(argv[0], '%') != NULL) {
        format = argv[0];
        argc--;
        argv++;
    }
    if (argc == 0)
        return sh_usage(sh, "Not enough arguments: expected 1 but got 0");
    return sh_each(sh, argc, argv, print_stat, NULL, format);
}

struct test {
    bool d, e, f, s, w, r, z;
};

static void
test_one(struct sh *sh, struct item *it, void *arg)
{
    const struct test *t = arg;
    bool yes = false;

    if (t->e)
        yes = true;
    else if (t->d)
        yes = it->st.is_dir;
    else if (t->f)
        yes = !it->st.is_dir;
    else if (t->s)
        yes = it->st.bytes > 0;
    else if (t->z)
        yes = it->st.bytes == 0;
    else
        yes = it->fs == NULL || fs_access(it->fs, it->path, t->w ? 2 : 4, NULL) == RC_OK;
    if (!yes)
        sh->exit_code = EXIT_FAILED;
}

static void
test_missing(struct sh *sh, struct item *it, void *arg)
{
    (void)it;
    (void)arg;
    sh->exit_code = EXIT_FAILED;
}

int
cmd_test(struct sh *sh, int argc, char **argv)
{
    struct test t = { .d = false };
    const struct option_row rows[] = { { "d", &t.d, NULL }, { "e", &t.e, NULL }, { "f", &t.f, NULL }, { "s", &t.s, NULL },
                                       { "w", &t.w, NULL }, { "r", &t.r, NULL }, { "z", &t.z, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, 1);

    if (exit_code != 0)
        return exit_code;
    switch (t.d + t.e + t.f + t.s + t.w + t.r + t.z) {
    case 0: return sh_usage(sh, "No test flag given");
    case 1: return sh_each(sh, argc, argv, test_one, test_missing, &t);
    default: return sh_usage(sh, "Only one test flag is allowed");
    }
}

#define TYPE_COUNT 5

static const char *const storage_types[TYPE_COUNT] = { "DISK", "SSD", "ARCHIVE", "PROVIDED", "NVDIMM" };

struct count {
    bool quota, human, header, types, only_quota, policies, snapshots, without_snapshots;
    bool type_wanted[TYPE_COUNT];
};

static void
print_quota(int64_t quota, uint64_t used, bool human, const char *first, const char *second)
{
    char a[FORMAT_ROOM] = "none", b[FORMAT_ROOM] = "inf";

    if (quota > 0) {
        format_bytes((uint64_t)quota, human, a);
        if ((int64_t)used <= quota)
            format_bytes((uint64_t)quota - used, human, b);
        else
            snprintf(b, sizeof b, "-%llu", (unsigned long long)(used - (uint64_t)quota));
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(first, a);       /* two of a few constants below */
    printf(second, b);
#pragma GCC diagnostic pop
}

static void
print_count(struct sh *sh, struct item *it, void *arg)
{
    const struct count *c = arg;
    struct fs_summary s;
    struct why why;
    char dirs[FORMAT_ROOM], files[FORMAT_ROOM], bytes[FORMAT_ROOM];

    if (it->fs == NULL) {
        sh_fail_path(sh, it->shown, "Not on a cluster");
        return;
    }
    if (fs_summary(it->fs, it->path, &s, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    if (c->types) {
        for (int i = 0; i < TYPE_COUNT; i++)
            if (c->type_wanted[i])
                printf("%14s %18s ", "none", "inf");
        printf("%s\n", it->shown);
        return;
    }
    if (c->quota || c->only_quota) {
        print_quota(s.quota, s.files + s.dirs, c->human, "%12s ", "%15s ");
        print_quota(s.space_quota, s.space, c->human, "%15s ", "%15s ");
    }
    if (!c->only_quota)
        printf("%12s %12s %18s ", format_bytes(s.dirs, c->human, dirs), format_bytes(s.files, c->human, files),
               format_bytes(s.bytes, c->human, bytes));
    if (c->policies)
        printf("%20s ", "EC:");
    if (c->snapshots)
        printf("%18s %24s %24s %28s ", "0", "0", "0", "0");
    printf("%s\n", it->shown);
}

static void
print_count_header(const struct count *c)
{
    char a[FORMAT_ROOM], b[FORMAT_ROOM];

    if (c->types) {
        for (int i = 0; i < TYPE_COUNT; i++) {
            if (!c->type_wanted[i])
                continue;
            snprintf(a, sizeof a, "%s_QUOTA", storage_types[i]);
            snprintf(b, sizeof b, "REM_%s_QUOTA", storage_types[i]);
            printf("%14s %18s ", a, b);
        }
    } else {
        if (c->quota || c->only_quota)
            printf("%12s %15s %15s %15s ", "QUOTA", "REM_QUOTA", "SPACE_QUOTA", "REM_SPACE_QUOTA");
        if (!c->only_quota)
            printf("%12s %12s %18s ", "DIR_COUNT", "FILE_COUNT", "CONTENT_SIZE");
    }
    if (c->policies)
        printf("%20s ", "ERASURECODING_POLICY");
    if (c->snapshots)
        printf("%18s %24s %24s %28s ", "SNAPSHOT_LENGTH", "SNAPSHOT_FILE_COUNT", "SNAPSHOT_DIR_COUNT",
               "SNAPSHOT_SPACE_CONSUMED");
    printf("PATHNAME\n");
}

/* Behind -t may come a list of storage types, which is no path. */
static bool
take_types(struct count *c, const char *word)
{
    bool wanted[TYPE_COUNT] = { false };

    for (const char *p = word;; p++) {
        size_t n = strcspn(p, ","), i = 0;
        while (i < TYPE_COUNT && (strlen(storage_types[i]) != n || strncasecmp(storage_types[i], p, n) != 0))
            i++;
        if (i == TYPE_COUNT)
            return false;
        wanted[i] = true;
        p += n;
        if (*p == '\0')
            break;
    }
    memcpy(c->type_wanted, wanted, sizeof wanted);
    return true;
}

int
cmd_count(struct sh *sh, int argc, char **argv)
{
    struct count c = { .type_wanted = { true, true, true, true, true } };
    const struct option_row rows[] = {
        { "q", &c.quota, NULL }, { "h", &c.human, NULL },      { "v", &c.header, NULL },    { "t", &c.types, NULL },
        { "u", &c.only_quota, NULL }, { "x", &c.without_snapshots, NULL }, { "e", &c.policies, NULL },
        { "s", &c.snapshots, NULL },
    };
    char **words = arena_calloc(&sh->arena, (size_t)argc + 1, sizeof *words);
    int n = 0;

    if (words == NULL)
        return EXIT_FAILED;
    for (int i = 0; i < argc; i++) {
        words[n++] = argv[i];
        if (strcmp(argv[i], "-t") == 0 && i + 1 < argc && take_types(&c, argv[i + 1]))
            i++;
    }
    argc = n;
    argv = words;
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);

    if (exit_code != 0)
        return exit_code;
    if (c.header)
        print_count_header(&c);
    return sh_each(sh, argc, argv, print_count, NULL, &c);
}

struct du {
    bool sum, human, header, without_snapshots;
    struct table table;
};

static void
add_usage(struct sh *sh, struct du *du, const struct item *it)
{
    char bytes[FORMAT_ROOM], space[FORMAT_ROOM];
    struct fs_summary s = { .bytes = it->st.bytes, .space = it->st.bytes };
    struct why why;

    if (it->fs != NULL && fs_summary(it->fs, it->path, &s, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    const char *cells[] = { format_bytes(s.bytes, du->human, bytes), format_bytes(s.space, du->human, space), it->shown };
    table_add(&du->table, cells);
}

static void
du_one(struct sh *sh, struct item *it, void *arg)
{
    struct du *du = arg;
    struct item_list l;
    struct why why;

    if (du->sum || !it->st.is_dir) {
        add_usage(sh, du, it);
        return;
    }
    item_list_init(&l);
    if (sh_children(sh, it, &l, &why) != RC_OK)
        sh_fail(sh, &why);
    for (size_t i = 0; i < l.n; i++)
        add_usage(sh, du, &l.v[i]);
    item_list_fini(&l);
}

static int
run_du(struct sh *sh, struct du *du, int argc, char **argv)
{
    static const char *const header[] = { "SIZE", "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS", "FULL_PATH_NAME" };
    char here[] = ".";
    char *current[1] = { here };
    const struct option_row rows[] = { { "s", &du->sum, NULL }, { "h", &du->human, NULL }, { "v", &du->header, NULL },
                                       { "x", &du->without_snapshots, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 0, INT32_MAX);
    size_t least = 0;

    if (exit_code != 0)
        return exit_code;
    table_init(&du->table, 3, 0);
    if (du->header) {
        table_add(&du->table, header);
        least = 1;
    }
    exit_code = sh_each(sh, argc > 0 ? argc : 1, argc > 0 ? argv : current, du_one, NULL, du);
    if (du->table.rows > least)
        table_print(&du->table, stdout);
    if (du->table.bad)
        exit_code = EXIT_FAILED;
    table_fini(&du->table);
    return exit_code;
}

int
cmd_du(struct sh *sh, int argc, char **argv)
{
    struct du du = { .sum = false };

    return run_du(sh, &du, argc, argv);
}

int
cmd_dus(struct sh *sh, int argc, char **argv)
{
    struct du du = { .sum = true };

    return run_du(sh, &du, argc, argv);
}

struct df {
    bool human;
    struct table table;
};

static void
df_one(struct sh *sh, struct item *it, void *arg)
{
    struct df *df = arg;
    char size[FORMAT_ROOM], used[FORMAT_ROOM], left[FORMAT_ROOM], percent[16];
    struct fs_usage u;
    struct why why;

    if (it->fs == NULL) {
        sh_fail_path(sh, it->shown, "Not on a cluster");
        return;
    }
    if (fs_usage(it->fs, &u, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    snprintf(percent, sizeof percent, "%.0f%%", u.capacity > 0 ? (double)u.used * 100 / (double)u.capacity : 0.0);
    const char *cells[] = { fs_uri(it->fs), format_bytes(u.capacity, df->human, size), format_bytes(u.used, df->human, used),
                            format_bytes(u.remaining, df->human, left), percent };
    table_add(&df->table, cells);
}

int
cmd_df(struct sh *sh, int argc, char **argv)
{
    static const char *const header[] = { "Filesystem", "Size", "Used", "Available", "Use%" };
    char root[] = "/";
    char *whole[1] = { root };
    struct df df = { .human = false };
    const struct option_row rows[] = { { "h", &df.human, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 0, INT32_MAX);

    if (exit_code != 0)
        return exit_code;
    table_init(&df.table, 5, 2 | 4 | 8 | 16);
    table_add(&df.table, header);
    exit_code = sh_each(sh, argc > 0 ? argc : 1, argc > 0 ? argv : whole, df_one, NULL, &df);
    if (df.table.rows > 1)
        table_print(&df.table, stdout);
    table_fini(&df.table);
    return exit_code;
}
