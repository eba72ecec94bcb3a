/* dfs admin: the cluster's report, safe mode, topology; and getconf. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/io/thread.h"
#include "dfsclient/shell/format.h"
#include "dfsclient/shell/shell.h"

#define WAIT_MS 500

static void
print_amount(const char *name, uint64_t n)
{
    char room[FORMAT_ROOM];

    printf("%s: %llu (%s)\n", name, (unsigned long long)n, format_report_bytes(n, room));
}

static double
percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part * 100 / (double)whole : 0;
}

static void
print_totals(const struct fs_usage *u)
{
    uint64_t present = u->used + u->remaining;

    print_amount("Configured Capacity", u->capacity);
    print_amount("Present Capacity", present);
    print_amount("DFS Remaining", u->remaining);
    print_amount("DFS Used", u->used);
    printf("DFS Used%%: %.2f%%\n", percent(u->used, present));
    printf("Replicated Blocks:\n\tUnder replicated blocks: %llu\n\tBlocks with corrupt replicas: %llu\n"
           "\tMissing blocks: %llu\n\tMissing blocks (with replication factor 1): %llu\n"
           "\tLow redundancy blocks with highest priority to recover: 0\n\tPending deletion blocks: %llu\n",
           (unsigned long long)u->under_replicated, (unsigned long long)u->corrupt, (unsigned long long)u->missing,
           (unsigned long long)u->missing_single, (unsigned long long)u->pending_deletion);
    printf("Erasure Coded Block Groups: \n\tLow redundancy block groups: 0\n\tBlock groups with corrupt internal blocks: 0\n"
           "\tMissing block groups: 0\n\tLow redundancy blocks with highest priority to recover: 0\n"
           "\tPending deletion blocks: 0\n\n-------------------------------------------------\n");
}

static void
print_node(const struct fs_node *n)
{
    static const char *const states[] = { "Normal", "Decommission in progress", "Decommissioned", "Entering Maintenance",
                                          "In Maintenance" };
    char room[FORMAT_ROOM];
    uint64_t cache_left = n->cache_capacity > n->cache_used ? n->cache_capacity - n->cache_used : 0;

    printf("Name: %s:%u (%s)\nHostname: %s\n", n->at.host, n->at.data_port, n->at.name, n->at.name);
    if (strcmp(n->at.rack, "/default-rack") != 0)
        printf("Rack: %s\n", n->at.rack);
    printf("Decommission Status : %s\n", states[n->admin_state < ARRAY_LEN(states) ? n->admin_state : 0]);
    print_amount("Configured Capacity", n->capacity);
    print_amount("DFS Used", n->used);
    print_amount("Non DFS Used", n->non_dfs_used);
    print_amount("DFS Remaining", n->remaining);
    printf("DFS Used%%: %.2f%%\nDFS Remaining%%: %.2f%%\n", percent(n->used, n->capacity), percent(n->remaining, n->capacity));
    print_amount("Configured Cache Capacity", n->cache_capacity);
    print_amount("Cache Used", n->cache_used);
    print_amount("Cache Remaining", cache_left);
    printf("Cache Used%%: %.2f%%\nCache Remaining%%: %.2f%%\nXceivers: %u\n",
           n->cache_capacity > 0 ? percent(n->cache_used, n->cache_capacity) : 100, percent(cache_left, n->cache_capacity),
           n->transfers);
    printf("Last contact: %s\n", format_time(n->last_contact_wall_ms, false, "%a %b %d %H:%M:%S %Z %Y", room));
    if (n->last_report_wall_ms == 0)
        printf("Last Block Report: Never\n");
    else
        printf("Last Block Report: %s\n", format_time(n->last_report_wall_ms, false, "%a %b %d %H:%M:%S %Z %Y", room));
    printf("Num of Blocks: %u\n\n\n", n->blocks);
}

struct group {
    const char *option, *title;
    enum fs_nodes which;
    bool wanted;
};

static enum rc
print_group(struct sh *sh, struct fs *fs, const struct group *g, bool always, struct why *why)
{
    struct fs_node *nodes = NULL;
    size_t n = 0;
    enum rc rc;

    if ((rc = fs_nodes(fs, g->which, &sh->arena, &nodes, &n, why)) != RC_OK)
        return rc;
    if (n == 0 && !always)
        return RC_OK;
    printf("%s datanodes (%zu):\n\n", g->title, n);
    for (size_t i = 0; i < n; i++)
        print_node(&nodes[i]);
    return RC_OK;
}

static enum rc
safe_mode_note(struct fs *fs, struct why *why)
{
    bool on = false;
    enum rc rc = fs_safe_mode(fs, FS_SAFE_MODE_GET, &on, why);

    if (rc == RC_OK && on)
        printf("Safe mode is ON\n");
    return rc;
}

static int
report(struct sh *sh, int argc, char **argv)
{
    struct group groups[] = { { "-live", "Live", FS_NODES_LIVE, false },
                              { "-dead", "Dead", FS_NODES_DEAD, false },
                              { "-decommissioning", "Decommissioning", FS_NODES_DECOMMISSIONING, false },
                              { "-enteringmaintenance", "Entering maintenance", FS_NODES_ENTERING_MAINTENANCE, false },
                              { "-inmaintenance", "In maintenance", FS_NODES_IN_MAINTENANCE, false } };
    struct fs_usage u;
    struct fs *fs = NULL;
    struct why why;
    bool all = argc == 0;
    enum rc rc;

    for (int i = 0; i < argc; i++)
        for (size_t k = 0; k < ARRAY_LEN(groups); k++)
            groups[k].wanted = groups[k].wanted || strcmp(argv[i], groups[k].option) == 0;
    if ((rc = sh_fs(sh, &fs, &why)) == RC_OK && (rc = safe_mode_note(fs, &why)) == RC_OK &&
        (rc = fs_usage(fs, &u, &why)) == RC_OK) {
        print_totals(&u);
        for (size_t k = 0; rc == RC_OK && k < ARRAY_LEN(groups); k++)
            if (all || groups[k].wanted)
                rc = print_group(sh, fs, &groups[k], groups[k].wanted, &why);
    }
    if (rc == RC_OK)
        return EXIT_OK;
    fflush(stdout);
    fprintf(stderr, "report: %.*s\n", (int)strcspn(why.text, "\n"), why.text);
    return EXIT_USAGE;
}

static int
safe_mode(struct sh *sh, int argc, char **argv)
{
    static const char usage[] = "[-safemode enter | leave | get | wait | forceExit]";
    const char *what = argc == 1 ? argv[0] : "";
    struct fs *fs = NULL;
    bool on = false, wait = strcmp(what, "wait") == 0;
    enum fs_safe_mode action = FS_SAFE_MODE_GET;
    struct why why;
    enum rc rc;

    if (strcmp(what, "enter") == 0)
        action = FS_SAFE_MODE_ENTER;
    else if (strcmp(what, "leave") == 0)
        action = FS_SAFE_MODE_LEAVE;
    else if (strcmp(what, "forceExit") == 0)
        action = FS_SAFE_MODE_FORCE_EXIT;
    else if (strcmp(what, "get") != 0 && !wait) {
        fprintf(stderr, "Usage: %s %s %s\n", sh->program, sh->cmd->name, usage);
        return EXIT_USAGE;
    }
    if ((rc = sh_fs(sh, &fs, &why)) == RC_OK)
        rc = fs_safe_mode(fs, action, &on, &why);
    while (rc == RC_OK && wait && on) {
        thread_sleep_until(sh->w.threads, clock_deadline(sh->w.clock, WAIT_MS));
        rc = fs_safe_mode(fs, action, &on, &why);
    }
    if (rc != RC_OK) {
        fprintf(stderr, "safemode: %.*s\n", (int)strcspn(why.text, "\n"), why.text);
        return EXIT_USAGE;
    }
    printf("Safe mode is %s\n", on ? "ON" : "OFF");
    return EXIT_OK;
}

static int
by_rack(const void *p, const void *q)
{
    return strcmp(((const struct fs_node *)p)->at.rack, ((const struct fs_node *)q)->at.rack);
}

static int
topology(struct sh *sh, int argc, char **argv)
{
    struct fs_node *nodes = NULL;
    struct fs *fs = NULL;
    struct why why;
    size_t n = 0;

    (void)argc;
    (void)argv;
    if (sh_fs(sh, &fs, &why) != RC_OK || fs_nodes(fs, FS_NODES_ALL, &sh->arena, &nodes, &n, &why) != RC_OK) {
        fprintf(stderr, "printTopology: %.*s\n", (int)strcspn(why.text, "\n"), why.text);
        return EXIT_USAGE;
    }
    qsort(nodes, n, sizeof *nodes, by_rack);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(nodes[i].at.rack, nodes[i - 1].at.rack) != 0)
            printf("%sRack: %s\n", i > 0 ? "\n" : "", nodes[i].at.rack);
        printf("   %s:%u (%s) %s\n", nodes[i].at.host, nodes[i].at.data_port, nodes[i].at.name,
               nodes[i].admin_state == 0 ? "In Service" : "Not in Service");
    }
    putchar('\n');
    return EXIT_OK;
}

int
cmd_admin(struct sh *sh, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct sh *sh, int argc, char **argv);
    } rows[] = { { "report", report }, { "safemode", safe_mode }, { "printTopology", topology } };
    const char *word = argc > 0 ? argv[0] : "";
    const char *name = word[0] == '-' ? word + 1 : word;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].run(sh, argc - 1, argv + 1);
    if (argc > 0)
        fprintf(stderr, "%s: Unknown command\n", name);
    fprintf(stderr, "Usage: %s %s\n\t[-report [-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance]]\n"
            "\t[-safemode <enter | leave | get | wait | forceExit>]\n\t[-printTopology]\n", sh->program, sh->cmd->name);
    return EXIT_USAGE;
}

int
cmd_getconf(struct sh *sh, int argc, char **argv)
{
    const char *value, *p;

    if (argc == 2 && strcmp(argv[0], "-confKey") == 0) {
        if ((value = conf_find(&sh->conf, argv[1])) == NULL) {
            fprintf(stderr, "Configuration %s is missing.\n", argv[1]);
            return EXIT_USAGE;
        }
        puts(value);
        return EXIT_OK;
    }
    p = sh->conf.fs_default;
    if (strncmp(p, "hdfs://", 7) == 0)
        p += 7;
    if (argc == 1 && strcmp(argv[0], "-nnRpcAddresses") == 0) {
        printf("%.*s\n", (int)strcspn(p, "/"), p);
        return EXIT_OK;
    }
    if (argc == 1 && strcmp(argv[0], "-namenodes") == 0) {
        printf("%.*s\n", (int)strcspn(p, ":/"), p);
        return EXIT_OK;
    }
    return sh_usage(sh, "one of -confKey KEY, -namenodes, -nnRpcAddresses is needed");
}
