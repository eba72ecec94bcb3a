#include "tests/sim/cluster.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/io/sqlvfs.h"
#include "core/io/thread.h"
#include "core/net/net.h"
#include "datanode/dn.h"
#include "namenode/copies.h"
#include "namenode/db.h"
#include "namenode/nn.h"
#include "namenode/recover.h"
#include "namenode/txlog.h"
#include "namenode/verify.h"

void
machine_end(struct machine *m, const char *what, const struct why *why)
{
    const struct world *w = sim_node_world(m->node);

    sim_note(m->cluster->s, "process_ends", "%s%s%s", what, why != NULL ? ": " : "", why != NULL ? why->text : "");
    sim_node_crash_at(m->node, SIM_POINT_ANY, 1, SIM_KILL);
    for (;;)
        thread_yield(w->threads);
}

void
machine_sleep_ms(struct machine *m, uint64_t ms)
{
    const struct world *w = sim_node_world(m->node);

    thread_sleep_until(w->threads, clock_deadline(w->clock, ms));
}

/* The machine's name is what makes a DataNode, a TaskTracker and a client neighbours. */
static void
name_node(struct cluster *c, const struct machine *m, struct conf *ret)
{
    struct net *net = sim_node_world(m->node)->net;
    char name[64], pair[128];
    struct why why;

    if (net->ops->host_name(net, name, sizeof name, &why) != RC_OK)
        sim_fail(c->s, "host name: %s", why.text);
    (void)snprintf(pair, sizeof pair, "millrace.node.name=%s", name);
    if (conf_set_pair(ret, pair, "sim", &why) != RC_OK)
        sim_fail(c->s, "%s: %s", pair, why.text);
}

void
cluster_conf(struct cluster *c, const struct machine *m, unsigned who, struct conf *ret)
{
    static const char *const pairs[] = {
        "fs.defaultFS=hdfs://10.0.0.1:8020", "dfs.namenode.rpc-address=10.0.0.1:8020", "dfs.namenode.name.dir=/name",
        "dfs.namenode.fs-limits.min-block-size=1024", "dfs.blocksize=8192", "dfs.client-write-packet-size=4096",
        "dfs.namenode.handler.count=1", "dfs.heartbeat.interval=1s", "millrace.namenode.dead-node-interval=6s",
        "dfs.namenode.stale.datanode.interval=3s", "dfs.namenode.redundancy.interval=1s",
        "dfs.namenode.reconstruction.pending.timeout=6s", "dfs.namenode.lease-soft-limit=3s",
        "dfs.namenode.lease-hard-limit=8s", "dfs.client.socket-timeout=5000",
        "dfs.datanode.socket.write.timeout=5000", "millrace.client.retry=60s", "ipc.client.connect.timeout=2000",
        "ipc.client.rpc-timeout.ms=10000", "dfs.blockreport.intervalMsec=8000", "dfs.domain.socket.path=/dn_socket",
    };
    static const char *const keys[][3] = {      /* key; value, after the address for the first two; value with two volumes */
        { "dfs.datanode.address", ":9866", NULL },
        { "dfs.datanode.ipc.address", ":9867", NULL },
        { "dfs.datanode.data.dir", "/data", "/data,/data2" },
        { "dfs.datanode.failed.volumes.tolerated", "0", "1" },
    };
    char pair[128];
    struct why why;

    if (conf_init(ret, who, &why) != RC_OK)
        sim_fail(c->s, "configuration: %s", why.text);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (conf_set_pair(ret, pairs[i], "sim", &why) != RC_OK)
            sim_fail(c->s, "%s: %s", pairs[i], why.text);
    if (who == NN && c->has_copy && conf_set_pair(ret, "dfs.namenode.name.dir=/name,/copy", "sim", &why) != RC_OK)
        sim_fail(c->s, "two name directories: %s", why.text);
    if (who == DN || who == TT)
        name_node(c, m, ret);
    if (who != DN)
        return;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        (void)snprintf(pair, sizeof pair, "%s=%s%s", keys[i][0], i < 2 ? m->address : "",
                       i > 1 && c->has_two_volumes ? keys[i][2] : keys[i][1]);
        if (conf_set_pair(ret, pair, "sim", &why) != RC_OK)
            sim_fail(c->s, "%s: %s", pair, why.text);
    }
}

static void
each_group(const struct nn_groups *g UNUSED, const char *user, void (*on_group)(void *arg, const char *group), void *arg)
{
    on_group(arg, user);
}

static const struct nn_groups groups = { each_group };

struct shown {
    struct cluster *c;
    uint64_t txid;
};

static enum rc
on_logged(void *arg, const struct nn_txcall *call, struct why *why UNUSED)
{
    struct shown *shown = arg;

    shown->c->on_logged(shown->c->on_logged_arg, shown->txid, call);
    return RC_OK;
}

/* Every call of the log, in its order, to whoever wants to see it. */
static enum rc
show_log(struct cluster *c, struct nn_db *db, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_LOG_FROM, why);
    struct shown shown = { .c = c };
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, 1);
    while ((rc = nn_step(db, st, &row, why)) == RC_OK && row) {
        shown.txid = nn_column_u64(st, 0);
        if ((rc = nn_txlog_read(nn_column_span(st, 1), on_logged, &shown, why)) != RC_OK)
            break;
    }
    nn_done(st);
    return rc;
}

/* The log, replayed into an empty database, gives the tables. */
static void
check_replay(struct machine *m, const struct conf *conf)
{
    const struct world *w = sim_node_world(m->node);
    struct nn_db from = { .sql = NULL }, to = { .sql = NULL };
    struct sqlvfs *v;
    struct why why;

    if (sqlvfs_new(w, "replay", &v, &why) != RC_OK ||
        nn_db_open(&from, v, "/name/namespace.db", false, conf, &why) != RC_OK ||
        nn_db_open(&to, v, "/name/replayed.db", true, conf, &why) != RC_OK ||
        nn_txlog_replay(&from, &to, &why) != RC_OK || nn_txlog_compare(&from, &to, &why) != RC_OK)
        sim_fail(m->cluster->s, "the log does not give the tables: %s", why.text);
    if (nn_verify(&from, &why) != RC_OK)
        sim_fail(m->cluster->s, "%s", why.text);
    if (m->cluster->on_logged != NULL && show_log(m->cluster, &from, &why) != RC_OK)
        sim_fail(m->cluster->s, "the log cannot be read: %s", why.text);
    nn_db_fini(&from);
    nn_db_fini(&to);
    sqlvfs_free(v);
}

/* So does what the copy of the log holds, from its backup on. */
static void
check_copy(struct machine *m, const struct conf *conf)
{
    const struct world *w = sim_node_world(m->node);
    struct nn_db from = { .sql = NULL }, rebuilt = { .sql = NULL };
    struct nn_recovered r;
    struct sqlvfs *v;
    struct why why;

    if (nn_rebuild(w, conf, "/copy", "/name/rebuilt.db", &r, &why) != RC_OK ||
        sqlvfs_new(w, "copy", &v, &why) != RC_OK ||
        nn_db_open(&from, v, "/name/namespace.db", false, conf, &why) != RC_OK ||
        nn_db_open(&rebuilt, v, "/name/rebuilt.db", true, conf, &why) != RC_OK ||
        nn_txlog_compare(&from, &rebuilt, &why) != RC_OK)
        sim_fail(m->cluster->s, "the copy does not give the tables: %s", why.text);
    sim_note(m->cluster->s, "copy_equal", "backup=%llu txid=%llu", (unsigned long long)r.backup, (unsigned long long)r.txid);
    nn_db_fini(&from);
    nn_db_fini(&rebuilt);
    sqlvfs_free(v);
}

static void
recover(struct machine *m, const struct conf *conf)
{
    struct nn_recovered r;
    struct why why;

    if (nn_recover(sim_node_world(m->node), conf, "/copy", &r, &why) != RC_OK)
        sim_fail(m->cluster->s, "--recover-from: %s", why.text);
    sim_note(m->cluster->s, "recovered", "backup=%llu txid=%llu", (unsigned long long)r.backup, (unsigned long long)r.txid);
    m->cluster->wants_recovery = false;
}

static void
run_namenode(void *arg)
{
    struct machine *m = arg;
    const struct world *w = sim_node_world(m->node);
    struct nn_options o = { .groups = &groups, .superuser = "root" };
    struct net_addr at;
    struct conf conf;
    struct why why;
    struct nn *nn;
    bool copy_ready;

    cluster_conf(m->cluster, m, NN, &conf);
    o.conf = &conf;
    if (m->cluster->wants_recovery)
        recover(m, &conf);
    if (nn_open(w, &o, &nn, &why) != RC_OK || nn_serve(nn, &at, &why) != RC_OK) {
        if (!m->cluster->is_damaged && (why.rc == RC_CORRUPT || why.rc == RC_BAD_FORMAT || why.rc == RC_BUG))
            sim_fail(m->cluster->s, "the NameNode does not start: %s", why.text);
        m->cluster->has_refused = m->cluster->is_damaged;
        machine_end(m, "namenode does not start", &why);
    }
    m->is_serving = true;
    while (!m->cluster->wants_stop) {
        machine_sleep_ms(m, 100);
        m->cluster->copy_ready = nn_copies_ready(nn->copies) > 0;
        if (nn_has_failed(nn))
            machine_end(m, "namenode has failed", NULL);
    }
    nn_stop(nn);
    if (nn_has_failed(nn))
        machine_end(m, "namenode has failed", NULL);
    copy_ready = nn_copies_ready(nn->copies) > 0;
    nn_free(nn);
    check_replay(m, &conf);
    if (copy_ready)         /* else it was dropped, or its backup has not ended */
        check_copy(m, &conf);
    conf_fini(&conf);
    m->cluster->has_stopped = true;
}

static void
run_datanode(void *arg)
{
    struct machine *m = arg;
    const struct world *w = sim_node_world(m->node);
    struct conf conf;
    struct why why;
    struct dn *dn;

    cluster_conf(m->cluster, m, DN, &conf);
    if (dn_open(w, &conf, &dn, &why) != RC_OK || dn_serve(dn, &why) != RC_OK) {
        if (why.rc == RC_BUG)
            sim_fail(m->cluster->s, "a DataNode does not start: %s", why.text);
        machine_end(m, "datanode does not start", &why);
    }
    m->is_serving = true;
    for (;;) {
        machine_sleep_ms(m, 500);
        if (dn_has_failed(dn))
            machine_end(m, "datanode has failed", NULL);
    }
}

static void
machine_start(struct cluster *c, struct machine *m, struct sim_node *node, void (*run)(void *machine))
{
    m->cluster = c;
    m->run = run;
    m->node = node;
    sim_node_spawn(node, sim_node_name(node), run, m);
}

static void
machine_init(struct cluster *c, struct machine *m, const char *name, unsigned last_byte, void (*run)(void *machine))
{
    (void)snprintf(m->address, sizeof m->address, "10.0.0.%u", last_byte);
    machine_start(c, m, sim_node_new(c->s, name, m->address), run);
}

void
cluster_add(struct cluster *c, struct machine *m, const char *name, unsigned last_byte, struct machine *on,
            void (*run)(void *machine))
{
    SIM_CHECK(c->s, c->more_count < CLUSTER_MORE);
    c->more[c->more_count++] = m;
    if (on == NULL) {
        machine_init(c, m, name, last_byte, run);
        return;
    }
    memcpy(m->address, on->address, sizeof m->address);
    machine_start(c, m, sim_node_new_on(on->node, NULL, name), run);
}

void
cluster_init(struct cluster *c, struct sim *s, bool in_order, void (*client_main)(void *machine))
{
    static const char *const names[CLUSTER_DATANODES] = { "dn1", "dn2", "dn3" };

    memset(c, 0, sizeof *c);
    c->s = s;
    c->has_copy = rng_below(sim_rng(s), 3) == 0;
    c->has_two_volumes = rng_below(sim_rng(s), 3) == 0;
    machine_init(c, &c->namenode, "nn", 1, run_namenode);
    while (in_order && !c->namenode.is_serving)
        thread_sleep_until(sim_driver_world(s)->threads, clock_deadline(sim_driver_world(s)->clock, 5));
    for (unsigned i = 0; i < CLUSTER_DATANODES; i++)
        machine_init(c, &c->datanodes[i], names[i], 11 + i, run_datanode);
    machine_init(c, &c->client, "client", 50, client_main);
}

struct machine *
cluster_machine(struct cluster *c, unsigned i)
{
    if (i == 0)
        return &c->namenode;
    if (i <= CLUSTER_DATANODES)
        return &c->datanodes[i - 1];
    if (i == CLUSTER_DATANODES + 1)
        return &c->client;
    i -= CLUSTER_DATANODES + 2;
    return i < c->more_count ? c->more[i] : NULL;
}

void
cluster_supervise(struct cluster *c, bool at_once)
{
    struct machine *m;

    for (unsigned i = 0; (m = cluster_machine(c, i)) != NULL; i++) {
        if (sim_node_is_up(m->node))
            continue;
        m->is_serving = false;
        if (m->boot_at_us == 0)     /* mostly at once; sometimes after everybody thinks it dead */
            m->boot_at_us = sim_now_us(c->s) + 1000 * rng_below(sim_rng(c->s), rng_below(sim_rng(c->s), 4) == 0 ? 15000 : 2000);
        if (!at_once && sim_now_us(c->s) < m->boot_at_us)
            continue;
        m->boot_at_us = 0;
        c->restarts++;
        sim_node_boot(m->node);
        if (m->crash_again_in > 0)
            sim_node_crash_at(m->node, SIM_POINT_ANY, m->crash_again_in, SIM_POWER);
        m->crash_again_in = 0;
        sim_node_spawn(m->node, sim_node_name(m->node), m->run, m);
    }
}
