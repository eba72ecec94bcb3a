#include "mini/cluster.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/io/io.h"

#define FILE_MAX (1 * MB)

static const struct {
    const char *prefix, *program;
} kinds[] = {
    [MEMBER_NN] = { "nn", "namenode" },
    [MEMBER_JT] = { "jt", "jobtracker" },
    [MEMBER_DN] = { "dn", "datanode" },
    [MEMBER_TT] = { "tt", "tasktracker" },
};

const char *
member_program(enum member_kind kind)
{
    return kinds[kind].program;
}

const char *
member_state_name(enum member_state state)
{
    static const char *const names[] = { "stopped", "starting", "running", "died" };

    return names[state];
}

enum rc
cluster_path(const struct cluster *c, char *out, size_t cap, struct why *why, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(out, cap, "%s/", c->dir), k;

    va_start(ap, fmt);
    k = (size_t)n < cap ? vsnprintf(out + n, cap - (size_t)n, fmt, ap) : 0;
    va_end(ap);
    if ((size_t)(n + k) >= cap)
        return why_set(why, RC_BAD_USAGE, "%s: the folder's name is too long", c->dir);
    return RC_OK;
}

enum rc
bin_dir(char *out, size_t cap, struct why *why)
{
    ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    char *slash;

    if (n < 0)
        return why_errno(why, errno, "/proc/self/exe");
    out[n] = 0;
    if ((slash = strrchr(out, '/')) != NULL)
        *slash = 0;
    return RC_OK;
}

static enum rc
add_setting(struct cluster *c, const char *text, struct why *why)
{
    const char *eq = strchr(text, '=');
    char **v;

    if (eq == NULL)
        return why_set(why, RC_BAD_USAGE, "-D %s: give KEY=VALUE", text);
    for (size_t i = 0; i < c->setting_count; i++)
        if (strncmp(c->settings[i], text, (size_t)(eq - text) + 1) == 0) {
            mem_free(c->settings[i]);
            return (c->settings[i] = mem_strdup(text)) ? RC_OK : why_rc(why, RC_NOMEM);
        }
    if ((v = mem_realloc(c->settings, (c->setting_count + 2) * sizeof *v)) == NULL)
        return why_rc(why, RC_NOMEM);
    c->settings = v;
    v[c->setting_count + 1] = NULL;
    return (v[c->setting_count++] = mem_strdup(text)) ? RC_OK : why_rc(why, RC_NOMEM);
}

/* Each setting must be one that some daemon takes. */
static enum rc
check_settings(const struct cluster *c, struct why *why)
{
    struct conf conf;
    enum rc rc = conf_init(&conf, ALL, why);

    for (size_t i = 0; rc == RC_OK && i < c->setting_count; i++)
        rc = conf_set_pair(&conf, c->settings[i], "-D", why);
    conf_fini(&conf);
    return rc;
}

static enum rc
make_members(struct cluster *c, struct why *why)
{
    c->member_count = 2 + 2 * (size_t)c->nodes;
    if ((c->members = mem_calloc(c->member_count, sizeof *c->members)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < c->member_count; i++) {
        struct member *m = &c->members[i];

        m->kind = i == 0 ? MEMBER_NN : i <= c->nodes ? MEMBER_DN : i == c->nodes + 1 ? MEMBER_JT : MEMBER_TT;
        m->node = m->kind == MEMBER_DN ? (unsigned)i : m->kind == MEMBER_TT ? (unsigned)(i - c->nodes - 1) : 0;
        if (m->node)
            snprintf(m->name, sizeof m->name, "%s%u", kinds[m->kind].prefix, m->node);
        else
            snprintf(m->name, sizeof m->name, "%s", kinds[m->kind].prefix);
    }
    return RC_OK;
}

struct member *
cluster_find(struct cluster *c, const char *name)
{
    for (size_t i = 0; i < c->member_count; i++)
        if (strcmp(c->members[i].name, name) == 0)
            return &c->members[i];
    return NULL;
}

void
cluster_fini(struct cluster *c)
{
    for (size_t i = 0; i < c->setting_count; i++)
        mem_free(c->settings[i]);
    mem_free(c->settings);
    mem_free(c->members);
    mem_free(c->dir);
    memset(c, 0, sizeof *c);
}

static enum rc
load(struct cluster *c, const char *path, struct why *why)
{
    json_error_t err;
    json_t *j = json_load_file(path, 0, &err), *v;
    const char *key;
    size_t i;
    enum rc rc = RC_OK;

    if (j == NULL)
        return why_set(why, RC_BAD_FORMAT, "%s: line %d: %s", path, err.line, err.text);
    c->nodes = (unsigned)json_integer_value(json_object_get(j, "nodes"));
    if (c->nodes < 1 || c->nodes > NODES_MAX)
        rc = why_set(why, RC_BAD_FORMAT, "%s: \"nodes\" is not 1 .. %d", path, NODES_MAX);
    json_array_foreach(json_object_get(j, "settings"), i, v)
        if (rc == RC_OK && json_is_string(v))
            rc = add_setting(c, json_string_value(v), why);
    if (rc == RC_OK)
        rc = make_members(c, why);
    json_object_foreach(json_object_get(j, "addresses"), key, v) {
        struct member *m = rc == RC_OK ? cluster_find(c, key) : NULL;
        const char *rpc = json_string_value(json_object_get(v, "rpc"));
        const char *http = json_string_value(json_object_get(v, "http"));

        if (m)
            snprintf(m->address.rpc, sizeof m->address.rpc, "%s", rpc ? rpc : "");
        if (m)
            snprintf(m->address.http, sizeof m->address.http, "%s", http ? http : "");
    }
    json_decref(j);
    return rc;
}

enum rc
cluster_save(const struct cluster *c, struct why *why)
{
    json_t *j = json_object(), *settings = json_array(), *addresses = json_object();
    char path[PATH_MAX], *text = NULL;
    size_t n;
    enum rc rc;

    for (size_t i = 0; i < c->setting_count; i++)
        json_array_append_new(settings, json_string(c->settings[i]));
    for (size_t i = 0; i < c->member_count; i++)
        json_object_set_new(addresses, c->members[i].name,
                            json_pack("{s:s, s:s}", "rpc", c->members[i].address.rpc, "http", c->members[i].address.http));
    json_object_set_new(j, "nodes", json_integer(c->nodes));
    json_object_set_new(j, "settings", settings);
    json_object_set_new(j, "addresses", addresses);
    n = json_dumpb(j, NULL, 0, JSON_INDENT(2));
    if (n == 0 || (text = mem_alloc(n)) == NULL || json_dumpb(j, text, n, JSON_INDENT(2)) != n)
        rc = why_rc(why, RC_NOMEM);
    else if ((rc = cluster_path(c, path, sizeof path, why, "cluster.json")) == RC_OK)
        rc = io_write_file(io_posix(), path, text, n, why);
    json_decref(j);
    mem_free(text);
    return rc;
}

static bool
on_any_name(void *arg, const char *name)
{
    (void)name;
    *(bool *)arg = true;
    return false;
}

static enum rc
create_dirs(const struct cluster *c, struct why *why)
{
    static const char *const subs[] = { "conf", "log", "run" };
    char path[PATH_MAX];
    enum rc rc;

    for (size_t i = 0; i < ARRAY_LEN(subs); i++)
        if ((rc = cluster_path(c, path, sizeof path, why, "%s", subs[i])) != RC_OK ||
            (rc = io_mkdirs(io_posix(), path, 0755, why)) != RC_OK)
            return rc;
    return RC_OK;
}

/* A new cluster in a folder that is missing or empty. */
static enum rc
create_cluster(struct cluster *c, unsigned nodes, struct why *why)
{
    bool any = false;
    enum rc rc;

    if ((rc = io_list(io_posix(), c->dir, on_any_name, &any, why)) != RC_OK)
        return rc;
    if (any)
        return why_set(why, RC_BAD_USAGE, "%s holds other things than a cluster (no cluster.json): give a new or an empty "
                       "folder", c->dir);
    c->nodes = nodes ? nodes : 3;
    return make_members(c, why);
}

enum rc
cluster_open(const char *dir, bool create, unsigned nodes, char *const *settings, size_t setting_count,
             struct cluster *ret, struct why *why)
{
    struct cluster c = { 0 };
    char path[PATH_MAX], full[PATH_MAX];
    struct io_stat st;
    enum rc rc;

    if (create && dir[0] != '/' && getcwd(full, sizeof full) && strlen(full) + strlen(dir) + 2 < sizeof full) {
        strncat(full, "/", sizeof full - strlen(full) - 1);
        strncat(full, dir, sizeof full - strlen(full) - 1);
    } else {
        snprintf(full, sizeof full, "%s", dir);
    }
    if (create && (rc = io_mkdirs(io_posix(), full, 0755, why)) != RC_OK)
        return rc;
    if (realpath(dir, full) == NULL)
        return why_set(why, RC_BAD_USAGE, "%s: %s", dir, strerror(errno));
    if ((c.dir = mem_strdup(full)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = cluster_path(&c, path, sizeof path, why, "cluster.json")) != RC_OK)
        goto out;
    rc = io_stat(io_posix(), path, &st, why);
    if (rc == RC_OK)
        rc = load(&c, path, why);
    else if (rc == RC_SYS_NOT_FOUND && create)
        rc = create_cluster(&c, nodes, why);
    else if (rc == RC_SYS_NOT_FOUND)
        rc = why_set(why, RC_BAD_USAGE, "%s has no cluster: start one with `millrace mini %s`", dir, dir);
    if (rc == RC_OK && nodes && nodes != c.nodes)
        rc = why_set(why, RC_BAD_USAGE, "%s has a cluster of %u nodes, not %u: give another folder, or leave out --nodes",
                     dir, c.nodes, nodes);
    for (size_t i = 0; rc == RC_OK && i < setting_count; i++)
        rc = add_setting(&c, settings[i], why);
    if (rc == RC_OK)
        rc = check_settings(&c, why);
    if (rc == RC_OK && create && (rc = create_dirs(&c, why)) == RC_OK)
        rc = cluster_save(&c, why);
out:
    if (rc == RC_OK)
        *ret = c;
    else
        cluster_fini(&c);
    return rc;
}

static bool
is_set(const struct cluster *c, const char *key)
{
    size_t n = strlen(key);

    for (size_t i = 0; i < c->setting_count; i++)
        if (strncmp(c->settings[i], key, n) == 0 && c->settings[i][n] == '=')
            return true;
    return false;
}

/* A line that the user's settings may override: the last one given wins. */
static void
put(const struct cluster *c, struct buf *b, const char *key, const char *value)
{
    if (!is_set(c, key))
        buf_printf(b, "%s = %s\n", key, value);
}

static void
put_address(const struct cluster *c, struct buf *b, const char *key, const char *last, bool free_ports)
{
    put(c, b, key, last[0] && !free_ports ? last : "127.0.0.1:0");
}

static void
put_path(const struct cluster *c, struct buf *b, const char *key, const char *name)
{
    char path[PATH_MAX];

    if (cluster_path(c, path, sizeof path, NULL, "%s", name) == RC_OK)
        put(c, b, key, path);
}

static void
put_masters(const struct cluster *c, struct buf *b)
{
    char uri[NET_ADDR_TEXT + 8], path[PATH_MAX];
    const struct member *nn = &c->members[0], *jt = &c->members[c->nodes + 1];
    struct sockaddr_un un;

    snprintf(uri, sizeof uri, "hdfs://%s", nn->address.rpc);
    put(c, b, "fs.defaultFS", uri);
    put(c, b, "dfs.namenode.http-address", nn->address.http);
    if (jt->address.rpc[0])
        put(c, b, "mapreduce.jobtracker.address", jt->address.rpc);
    if (jt->address.http[0])
        put(c, b, "mapreduce.jobtracker.http.address", jt->address.http);
    /* A socket's name is short; without it local reads go over TCP. */
    if (cluster_path(c, path, sizeof path, NULL, "run/dn_PORT.sock") == RC_OK && strlen(path) + 8 < sizeof un.sun_path)
        put(c, b, "dfs.domain.socket.path", path);
}

static enum rc
write_conf(const struct cluster *c, const char *name, const char *head, struct buf *body, struct why *why)
{
    struct buf b;
    char path[PATH_MAX];
    enum rc rc;

    buf_init(&b, FILE_MAX);
    buf_printf(&b, "# %s\n# Written by `millrace mini`; change settings with its -D.\n\n[all]\n", head);
    buf_put(&b, body->p, body->n);
    for (size_t i = 0; i < c->setting_count; i++) {
        const char *eq = strchr(c->settings[i], '=');

        buf_printf(&b, "%.*s = %s\n", (int)(eq - c->settings[i]), c->settings[i], eq + 1);
    }
    if (!buf_ok(&b) || !buf_ok(body))
        rc = why_rc(why, RC_NOMEM);
    else if ((rc = cluster_path(c, path, sizeof path, why, "conf/%s.conf", name)) == RC_OK)
        rc = io_write_file(io_posix(), path, b.p, b.n, why);
    buf_fini(&b);
    return rc;
}

enum rc
cluster_configure_clients(const struct cluster *c, struct why *why)
{
    struct buf b;
    enum rc rc;

    buf_init(&b, FILE_MAX);
    put_masters(c, &b);
    rc = write_conf(c, "millrace", "Where the cluster is, for dfs, mr and other clients.", &b, why);
    buf_fini(&b);
    return rc;
}

enum rc
cluster_configure(const struct cluster *c, const struct member *m, bool free_ports, struct why *why)
{
    struct buf b;
    char name[32], ipc[NET_ADDR_TEXT];
    enum rc rc;

    buf_init(&b, FILE_MAX);
    snprintf(name, sizeof name, "node%u", m->node);
    switch (m->kind) {
    case MEMBER_NN:
        put_address(c, &b, "dfs.namenode.rpc-address", m->address.rpc, free_ports);
        put_address(c, &b, "dfs.namenode.http-address", m->address.http, free_ports);
        put_path(c, &b, "dfs.namenode.name.dir", m->name);
        /* A small cluster has its nodes back in a moment, and misses them soon. */
        put(c, &b, "dfs.heartbeat.interval", "1s");
        put(c, &b, "millrace.namenode.dead-node-interval", "30s");
        put(c, &b, "dfs.namenode.stale.datanode.interval", "5s");
        break;
    case MEMBER_DN:
        put_masters(c, &b);
        put_address(c, &b, "dfs.datanode.address", m->address.rpc, free_ports);
        put_address(c, &b, "dfs.datanode.http.address", m->address.http, free_ports);
        snprintf(ipc, sizeof ipc, "127.0.0.1:0");
        put(c, &b, "dfs.datanode.ipc.address", ipc);
        put_path(c, &b, "dfs.datanode.data.dir", m->name);
        put(c, &b, "millrace.node.name", name);
        put(c, &b, "dfs.heartbeat.interval", "1s");
        break;
    case MEMBER_JT:
        snprintf(ipc, sizeof ipc, "hdfs://%s", c->members[0].address.rpc);
        put(c, &b, "fs.defaultFS", ipc);
        put_address(c, &b, "mapreduce.jobtracker.address", m->address.rpc, free_ports);
        put_address(c, &b, "mapreduce.jobtracker.http.address", m->address.http, free_ports);
        put_path(c, &b, "millrace.jobtracker.dir", m->name);
        put(c, &b, "dfs.heartbeat.interval", "1s");
        break;
    case MEMBER_TT:
        put_masters(c, &b);
        put_address(c, &b, "mapreduce.tasktracker.address", m->address.rpc, free_ports);
        put_address(c, &b, "mapreduce.tasktracker.http.address", m->address.http, free_ports);
        put_path(c, &b, "mapreduce.cluster.local.dir", m->name);
        put(c, &b, "millrace.node.name", name);
        put(c, &b, "dfs.heartbeat.interval", "1s");
        break;
    }
    rc = write_conf(c, m->name, member_program(m->kind), &b, why);
    buf_fini(&b);
    return rc;
}
