/*
 * millrace -- a cluster on this machine, and the door to the other commands.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "core/base/mem.h"
#include "mini/supervise.h"

enum { DONE = 0, FAILED = 1, USAGE = 2 };

static const char usage[] =
    "millrace mini DIR                     start a cluster under DIR, stop it with Ctrl-C\n"
    "millrace mini DIR --nodes 5 --detach  five nodes, in the background\n"
    "eval \"$(millrace env DIR)\"            shell settings, so that `dfs ls /` reaches it\n"
    "millrace ps DIR [--json]              its daemons: name, pid, state, addresses\n"
    "millrace stop DIR [NAME]              stop it, or one daemon (nn, jt, dn1, tt1, ...)\n"
    "millrace start DIR NAME               start one daemon again\n"
    "millrace dfs ... | mr ...             the other commands\n"
    "\n"
    "Options of mini:\n"
    "  --nodes N       a DataNode and a TaskTracker each (default 3; kept in DIR)\n"
    "  --detach        return when the cluster is ready\n"
    "  --restart       start daemons again that die\n"
    "  -D KEY=VALUE    any configuration key (kept in DIR), for example\n"
    "                  -D dfs.namenode.rpc-address=127.0.0.1:8020\n";

static int
fail(const struct why *why)
{
    fprintf(stderr, "millrace: %s\n", why->text);
    return why->rc == RC_BAD_USAGE ? USAGE : FAILED;
}

static int
misuse(const char *text, const char *word)
{
    fprintf(stderr, "millrace: %s%s; try millrace --help\n", text, word);
    return USAGE;
}

static int
cmd_mini(int argc, char **argv)
{
    static const struct option longs[] = {
        { "nodes", required_argument, NULL, 'n' }, { "detach", no_argument, NULL, 'd' },
        { "restart", no_argument, NULL, 'r' }, { NULL, 0, NULL, 0 },
    };
    struct supervise_options o = { .detach = false };
    struct cluster c;
    struct why why;
    char **settings = mem_calloc((size_t)argc + 1, sizeof *settings), *end;
    unsigned long nodes = 0;
    size_t n = 0;
    int opt, status;

    if (settings == NULL)
        return FAILED;
    while ((opt = getopt_long(argc, argv, "D:", longs, NULL)) != -1) {
        if (opt == 'D')
            settings[n++] = optarg;
        else if (opt == 'd')
            o.detach = true;
        else if (opt == 'r')
            o.restart = true;
        else if (opt != 'n')
            return mem_free(settings), misuse("mini: unknown option", "");
        else if ((nodes = strtoul(optarg, &end, 10)) < 1 || nodes > NODES_MAX || *end)
            return mem_free(settings), misuse("--nodes takes 1 to 64, not ", optarg);
    }
    if (optind + 1 != argc)
        return mem_free(settings), misuse("mini needs one folder", "");
    o.shown_dir = argv[optind];
    if (cluster_open(argv[optind], true, (unsigned)nodes, settings, n, &c, &why) != RC_OK) {
        status = fail(&why);
    } else {
        status = supervise(&c, &o);
        cluster_fini(&c);
    }
    mem_free(settings);
    return status;
}

static void
print_quoted(const char *s)
{
    putchar('\'');
    for (; *s; s++)
        if (*s == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*s);
    putchar('\'');
}

static int
cmd_env(struct cluster *c)
{
    char bin[PATH_MAX];
    struct why why;

    if (bin_dir(bin, sizeof bin, &why) != RC_OK)
        return fail(&why);
    fputs("export PATH=", stdout);
    print_quoted(bin);
    fputs(":\"$PATH\"\nexport MILLRACE_CONF=", stdout);
    print_quoted(c->dir);
    puts("/conf/millrace.conf");
    return DONE;
}

/* What DIR/cluster.json knows, when no supervisor answers. */
static json_t *
describe_stopped(const struct cluster *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->member_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:n, s:s, s:s, s:s}", "name", c->members[i].name, "pid", "state",
                                              "stopped", "rpc", c->members[i].address.rpc, "http",
                                              c->members[i].address.http));
    return list;
}

static int
cmd_ps(struct cluster *c, bool as_json)
{
    struct why why;
    char *text = NULL;
    json_t *list, *v;
    size_t i;
    enum rc rc = control_ask(c, "ps", &text, &why);

    if (rc != RC_OK && rc != RC_REFUSED)
        return fail(&why);
    list = rc == RC_OK ? json_loads(text, 0, NULL) : describe_stopped(c);
    mem_free(text);
    if (as_json) {
        int r = json_dumpf(list, stdout, JSON_INDENT(2));

        putchar('\n');
        json_decref(list);
        if (r == 0)
            return DONE;
        (void)why_rc(&why, RC_NOMEM);
        return fail(&why);
    }
    printf("%-5s %8s %-8s  %-22s %s\n", "NAME", "PID", "STATE", "RPC", "HTTP");
    json_array_foreach(list, i, v)
        printf("%-5s %8lld %-8s  %-22s http://%s/\n", json_string_value(json_object_get(v, "name")),
               (long long)json_integer_value(json_object_get(v, "pid")), json_string_value(json_object_get(v, "state")),
               json_string_value(json_object_get(v, "rpc")), json_string_value(json_object_get(v, "http")));
    json_decref(list);
    return DONE;
}

/* stop, stop NAME, start NAME: the supervisor does it and answers. */
static int
cmd_ask(struct cluster *c, const char *verb, const char *name)
{
    struct why why;
    char line[64], *text = NULL;
    const char *error;
    json_t *j;
    int status = DONE;

    if (name && cluster_find(c, name) == NULL)
        return misuse("no such daemon: ", name);
    snprintf(line, sizeof line, "%s%s%s", verb, name ? " " : "", name ? name : "");
    if (control_ask(c, line, &text, &why) != RC_OK)
        return fail(&why);
    j = json_loads(text, 0, NULL);
    if ((error = json_string_value(json_object_get(j, "error"))) != NULL) {
        fprintf(stderr, "millrace: %s\n", error);
        status = FAILED;
    }
    json_decref(j);
    mem_free(text);
    return status;
}

static int
run_other(const char *name, char **argv)
{
    char path[PATH_MAX], bin[PATH_MAX - 64];
    struct why why;

    if (bin_dir(bin, sizeof bin, &why) != RC_OK)
        return fail(&why);
    snprintf(path, sizeof path, "%s/%s", bin, name);
    execv(path, argv);
    fprintf(stderr, "millrace: %s: %s\n", path, strerror(errno));
    return FAILED;
}

static int
on_cluster(const char *cmd, int argc, char **argv)
{
    bool as_json = false;
    const char *words[2] = { NULL, NULL };
    size_t n = 0;
    struct cluster c;
    struct why why;
    int status;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            as_json = true;
        else if (argv[i][0] == '-' || n == 2)
            return misuse("unexpected ", argv[i]);
        else
            words[n++] = argv[i];
    }
    if (n == 0)
        return misuse(cmd, " needs the folder of a cluster");
    if (strcmp(cmd, "start") == 0 && n != 2)
        return misuse("start needs the folder and the name of a daemon", "");
    if (cluster_open(words[0], false, 0, NULL, 0, &c, &why) != RC_OK)
        return fail(&why);
    if (strcmp(cmd, "env") == 0)
        status = cmd_env(&c);
    else if (strcmp(cmd, "ps") == 0)
        status = cmd_ps(&c, as_json);
    else
        status = cmd_ask(&c, cmd, words[1]);
    cluster_fini(&c);
    return status;
}

int
main(int argc, char **argv)
{
    static const char *const others[] = { "dfs", "mr", "mrcc", "namenode", "datanode", "jobtracker", "tasktracker" };
    static const char *const cluster_commands[] = { "env", "ps", "stop", "start" };
    const char *cmd = argc > 1 ? argv[1] : "--help";

    if (strcmp(cmd, "--help") == 0 || strcmp(cmd, "help") == 0) {
        fputs(usage, stdout);
        return argc > 1 ? DONE : USAGE;
    }
    if (strcmp(cmd, "--version") == 0) {
        puts("millrace " PACKAGE_VERSION);
        return DONE;
    }
    if (strcmp(cmd, "mini") == 0)
        return cmd_mini(argc - 1, argv + 1);
    for (size_t i = 0; i < ARRAY_LEN(cluster_commands); i++)
        if (strcmp(cmd, cluster_commands[i]) == 0)
            return on_cluster(cmd, argc - 1, argv + 1);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(cmd, others[i]) == 0)
            return run_other(cmd, argv + 1);
    return misuse("unknown command ", cmd);
}
