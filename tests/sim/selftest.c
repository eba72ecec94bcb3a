/*
 * selftest -- the simulated world under its own test: whatever a daemon relies
 * on must hold here, and whatever a real machine may do to it must happen.
 *
 * Each history: two nodes talk over a network that resets connections; a
 * database is written and read on a node that dies at drawn points; files are
 * replaced durably.
 */
#include <string.h>

#include "core/base/attr.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "core/io/queue.h"
#include "core/io/sqlvfs.h"
#include "core/io/thread.h"
#include "core/net/net.h"
#include "tests/sim/histories.h"

/* Talk: a server that sends back what it gets, a client that compares. */

struct talk {
    struct sim *s;
    struct sim_node *server, *client;
    struct net_addr at;
    unsigned rounds, resets, timeouts;
    bool is_done;
};

struct serving {
    const struct world *w;
    int sock;
};

static void
serve_one(void *arg)
{
    struct serving serving = *(struct serving *)arg;
    uint8_t bytes[3000];
    struct why why;
    size_t n;

    mem_free(arg);
    while (net_read(serving.w->net, serving.sock, bytes, sizeof bytes, FOREVER, &n, &why) == RC_OK &&
           net_write(serving.w->net, serving.sock, bytes, n, FOREVER, &why) == RC_OK)
        ;
    net_close(serving.w->net, serving.sock);
}

static void
serve(void *arg)
{
    struct talk *talk = arg;
    const struct world *w = sim_node_world(talk->server);
    struct net_addr bound;
    struct thread *thread;
    struct serving *one;
    struct why why;
    int listener;

    SIM_CHECK(talk->s, net_listen(w->net, &talk->at, &listener, &bound, &why) == RC_OK);
    for (;;) {
        SIM_CHECK(talk->s, (one = mem_alloc(sizeof *one)) != NULL);
        one->w = w;
        SIM_CHECK(talk->s, net_accept(w->net, listener, FOREVER, &one->sock, NULL, &why) == RC_OK);
        SIM_CHECK(talk->s, thread_spawn(w->threads, "serve", serve_one, one, &thread, &why) == RC_OK);
        thread_detach(w->threads, thread);
    }
}

/* Send size drawn bytes and get the same back; false when the connection ended. */
static bool
echo(struct talk *talk, const struct world *w, int sock, struct rng *rng)
{
    uint8_t out[9000], in[9000];
    size_t n = 1 + rng_below(rng, sizeof out), got = 0, k;
    uint64_t deadline = clock_deadline(w->clock, 20000);
    struct why why;
    enum rc rc;

    rng_bytes(rng, out, n);
    if (net_write(w->net, sock, out, n, deadline, &why) != RC_OK)
        return false;
    while (got < n) {
        if ((rc = net_read(w->net, sock, in + got, n - got, deadline, &k, &why)) != RC_OK) {
            SIM_CHECK(talk->s, rc == RC_CLOSED || rc == RC_TIMEOUT);
            talk->timeouts += rc == RC_TIMEOUT;
            return false;
        }
        got += k;
    }
    SIM_CHECK(talk->s, memcmp(in, out, n) == 0);
    talk->rounds++;
    return true;
}

static void
ask(void *arg)
{
    struct talk *talk = arg;
    const struct world *w = sim_node_world(talk->client);
    struct rng *rng = w->rng;
    struct why why;
    int sock = -1;
    enum rc rc;

    while (talk->rounds < 400) {
        if (sock < 0 && (rc = net_connect(w->net, &talk->at, clock_deadline(w->clock, 5000), &sock, &why)) != RC_OK) {
            SIM_CHECK(talk->s, rc == RC_REFUSED || rc == RC_TIMEOUT);
            thread_sleep_until(w->threads, clock_deadline(w->clock, 100));
            continue;
        }
        if (!echo(talk, w, sock, rng)) {
            net_close(w->net, sock);
            sock = -1;
            talk->resets++;
        }
    }
    net_close(w->net, sock);
    talk->is_done = true;
}

static void
pause_ms(struct sim *s, uint64_t ms)
{
    const struct world *w = sim_driver_world(s);

    thread_sleep_until(w->threads, clock_deadline(w->clock, ms));
}

static enum sim_crash
crash_drawn(struct sim *s)
{
    return rng_below(sim_rng(s), 2) == 0 ? SIM_KILL : SIM_POWER;
}

static void
talk_history(struct sim *s)
{
    struct talk talk = { .s = s, .at = { "10.0.0.1", 7000 } };

    talk.server = sim_node_new(s, "server", "10.0.0.1");
    talk.client = sim_node_new(s, "client", "10.0.0.2");
    sim_node_spawn(talk.server, "serve", serve, &talk);
    sim_node_spawn(talk.client, "ask", ask, &talk);
    while (!talk.is_done) {
        pause_ms(s, 1 + rng_below(sim_rng(s), 200));
        switch (rng_below(sim_rng(s), 6)) {
        case 0:
            sim_node_crash(talk.server, crash_drawn(s));
            pause_ms(s, rng_below(sim_rng(s), 3000));
            sim_node_boot(talk.server);
            sim_node_spawn(talk.server, "serve", serve, &talk);
            break;
        case 1:
            sim_partition(talk.server, talk.client, true);
            pause_ms(s, rng_below(sim_rng(s), 30000));
            sim_partition(talk.server, talk.client, false);
            break;
        default:
            break;
        }
    }
    sim_note(s, "talked", "rounds=%u resets=%u timeouts=%u", talk.rounds, talk.resets, talk.timeouts);
    sim_node_crash(talk.server, SIM_KILL);
    sim_node_crash(talk.client, SIM_KILL);
}

/* Ledger: every acknowledged commit is there after any crash, and readers see whole commits. */

struct ledger {
    struct sim *s;
    struct sim_node *node;
    uint64_t acknowledged, reads, pad_max;
    bool is_full;
};

static long long
sql_one(struct ledger *l, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    struct why why;
    long long v;

    if (db_prepare(db, sql, &st, &why) != RC_OK)
        sim_fail(l->s, "%s", why.text);
    if (sqlite3_step(st) != SQLITE_ROW)
        sim_fail(l->s, "%s: %s", sql, sqlite3_errmsg(db));
    v = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);     /* step said it */
    return v;
}

struct ledger_reader {
    struct ledger *l;
    struct sqlvfs *v;
};

static void
ledger_read(void *arg)
{
    struct ledger_reader *r = arg;
    const struct world *w = sim_node_world(r->l->node);
    struct why why;
    sqlite3 *db;
    long long last = 0;

    if (db_open(r->v, "/db/ledger", false, &db, &why) != RC_OK)
        sim_fail(r->l->s, "reader: %s", why.text);
    for (;;) {
        long long acknowledged = (long long)r->l->acknowledged;
        long long n = sql_one(r->l, db, "SELECT count(*) FROM entry");

        SIM_CHECK(r->l->s, n >= last && n >= acknowledged);
        SIM_CHECK(r->l->s, sql_one(r->l, db, "SELECT count(*) = sum(amount) AND count(*) = max(id) FROM entry") != 0 || n == 0);
        last = n;
        r->l->reads++;
        thread_sleep_until(w->threads, clock_deadline(w->clock, rng_below(w->rng, 5)));
    }
}

static void
ledger_set_up(struct ledger *l, const struct world *w, struct sqlvfs **ret_v, sqlite3 **ret_db)
{
    struct why why;
    enum rc rc;

    if ((rc = io_mkdir(w->io, "/db", 0755, &why)) == RC_SYS_EXISTS)
        rc = RC_OK;
    if (rc != RC_OK || io_sync_dir(w->io, "/", &why) != RC_OK || sqlvfs_new(w, "ledger", ret_v, &why) != RC_OK ||
        db_open(*ret_v, "/db/ledger", true, ret_db, &why) != RC_OK ||
        db_exec(*ret_db, "CREATE TABLE IF NOT EXISTS entry(id INTEGER PRIMARY KEY, amount, pad)", &why) != RC_OK)
        sim_fail(l->s, "set up: %s", why.text);
    SIM_CHECK(l->s, sql_one(l, *ret_db, "SELECT count(*) FROM entry") >= (long long)l->acknowledged);
    l->acknowledged = (uint64_t)sql_one(l, *ret_db, "SELECT count(*) FROM entry");
}

static void
ledger_write(void *arg)
{
    struct ledger *l = arg;
    const struct world *w = sim_node_world(l->node);
    struct ledger_reader reader = { .l = l };
    struct thread *thread;
    struct why why;
    sqlite3 *db;
    enum rc rc;

    ledger_set_up(l, w, &reader.v, &db);
    for (int i = 0; i < 3; i++) {
        SIM_CHECK(l->s, thread_spawn(w->threads, "reader", ledger_read, &reader, &thread, &why) == RC_OK);
        thread_detach(w->threads, thread);
    }
    for (;;) {
        char sql[256];
        uint64_t rows = 1 + rng_below(w->rng, 5), next = l->acknowledged + 1;

        (void)snprintf(sql, sizeof sql,
                       "WITH RECURSIVE n(i) AS (SELECT %llu UNION ALL SELECT i+1 FROM n WHERE i < %llu)"
                       "INSERT INTO entry SELECT i, 1, randomblob(%u) FROM n", (unsigned long long)next,
                       (unsigned long long)(next + rows - 1), (unsigned)rng_below(w->rng, l->pad_max));
        if ((rc = db_exec(db, sql, &why)) == RC_NO_SPACE) {
            l->is_full = true;
            thread_sleep_until(w->threads, clock_deadline(w->clock, 50));
            continue;
        }
        if (rc == RC_IO) {          /* the disk failed: this process is over */
            sim_note(l->s, "ledger_stops", "%s", why.text);
            return;
        }
        if (rc != RC_OK)
            sim_fail(l->s, "write: %s", why.text);
        l->acknowledged += rows;
        if (rng_below(w->rng, 10) == 0 && (rc = db_exec(db, "PRAGMA wal_checkpoint(PASSIVE)", &why)) != RC_OK &&
            rc != RC_NO_SPACE && rc != RC_IO)
            sim_fail(l->s, "checkpoint: %s", why.text);
    }
}

static void
ledger_history(struct sim *s)
{
    struct ledger l = { .s = s, .pad_max = 400 };
    unsigned crashes;

    l.node = sim_node_new(s, "ledger", "10.0.0.3");
    for (crashes = 0; crashes < 6; crashes++) {
        uint64_t kind = rng_below(sim_rng(s), SIM_POINT_KINDS + 1);

        sim_node_spawn(l.node, "writer", ledger_write, &l);
        if (kind == SIM_POINT_NET)
            kind = SIM_POINT_SYNC;      /* this node has no peers */
        if (rng_below(sim_rng(s), 4) == 0)
            sim_disk_fail(l.node, rng_below(sim_rng(s), 2) == 0 ? SIM_POINT_SYNC : SIM_POINT_WRITE,
                          60 + rng_below(sim_rng(s), 60));
        sim_node_crash_at(l.node, (enum sim_point)kind, 1 + rng_below(sim_rng(s), kind == SIM_POINT_SYNC ? 60 : 1500),
                          crash_drawn(s));
        for (int i = 0; i < 100 && sim_node_is_up(l.node); i++)
            pause_ms(s, 3);
        sim_node_crash(l.node, crash_drawn(s));     /* nothing when it is down */
        sim_node_boot(l.node);
    }
    sim_disk_limit(l.node, 1 * MB);
    l.pad_max = 20000;
    sim_node_spawn(l.node, "writer", ledger_write, &l);
    while (!l.is_full)
        pause_ms(s, 20);
    sim_disk_limit(l.node, 8 * MB);
    for (uint64_t had = l.acknowledged; l.acknowledged == had;)     /* goes on unaided */
        pause_ms(s, 20);
    sim_note(s, "ledger_held", "commits=%llu reads=%llu", (unsigned long long)l.acknowledged, (unsigned long long)l.reads);
    sim_node_crash(l.node, SIM_KILL);
}

/* Notes: io_write_file is old or new, never between, and new once it has returned. */

struct notes {
    struct sim *s;
    struct sim_node *node;
    uint64_t acknowledged;
};

static uint64_t
note_read(struct notes *n, const struct world *w)
{
    uint8_t *p = NULL;
    size_t len = 0;
    struct why why;
    uint64_t v = 0;
    enum rc rc = io_read_file(w->io, "/note", 1 * MB, &p, &len, &why);

    if (rc == RC_SYS_NOT_FOUND)
        return 0;
    SIM_CHECK(n->s, rc == RC_OK);
    SIM_CHECK(n->s, len >= sizeof v && len % sizeof v == 0);
    for (size_t i = 0; i < len; i += sizeof v) {
        uint64_t x;

        memcpy(&x, p + i, sizeof x);
        SIM_CHECK(n->s, i == 0 || x == v);
        v = x;
    }
    mem_free(p);
    return v;
}

static void
notes_write(void *arg)
{
    struct notes *n = arg;
    const struct world *w = sim_node_world(n->node);
    uint64_t now = note_read(n, w), page[700];
    struct why why;

    /* What a killed process had just renamed may be read here and still be lost at a power cut: it is not acknowledged. */
    SIM_CHECK(n->s, now >= n->acknowledged);
    for (uint64_t v = now + 1;; v++) {
        for (size_t i = 0; i < ARRAY_LEN(page); i++)
            page[i] = v;
        SIM_CHECK(n->s, io_write_file(w->io, "/note", page, (1 + rng_below(w->rng, ARRAY_LEN(page))) * sizeof page[0], &why) == RC_OK);
        n->acknowledged = v;
    }
}

static void
notes_history(struct sim *s)
{
    struct notes n = { .s = s };

    n.node = sim_node_new(s, "notes", "10.0.0.4");
    for (int i = 0; i < 8; i++) {
        sim_node_spawn(n.node, "writer", notes_write, &n);
        sim_node_crash_at(n.node, SIM_POINT_ANY, 1 + rng_below(sim_rng(s), 100), crash_drawn(s));
        while (sim_node_is_up(n.node))
            pause_ms(s, 1);
        sim_node_boot(n.node);
    }
    sim_note(s, "notes_held", "versions=%llu", (unsigned long long)n.acknowledged);
}

/* Threads: a queue hands over each item once, whatever the schedule. */

struct handing {
    struct sim *s;
    const struct world *w;
    struct queue *q;
    uint64_t taken, sum;
};

static void
hand_take(void *arg)
{
    struct handing *h = arg;
    void *items[4];
    size_t n;

    while (queue_take_many(h->q, FOREVER, items, ARRAY_LEN(items), &n) == RC_OK) {
        for (size_t i = 0; i < n; i++)
            h->sum += (uintptr_t)items[i];
        h->taken += n;
    }
}

static void
hand_put(void *arg)
{
    struct handing *h = arg;

    for (uintptr_t i = 1; i <= 100; i++) {
        void *item = (void *)i;

        SIM_CHECK(h->s, queue_put_wait(h->q, item, FOREVER) == RC_OK);
    }
}

static void
handing_history(struct sim *s)
{
    struct handing h = { .s = s, .w = sim_driver_world(s) };
    struct thread *threads[6];
    struct why why;

    SIM_CHECK(s, queue_new(h.w->threads, 5, &h.q) == RC_OK);
    for (int i = 0; i < 6; i++)
        SIM_CHECK(s, thread_spawn(h.w->threads, "hand", i < 3 ? hand_take : hand_put, &h, &threads[i], &why) == RC_OK);
    for (int i = 5; i >= 0; i--) {
        thread_join(h.w->threads, threads[i]);
        if (i == 3)
            queue_stop(h.q);
    }
    SIM_CHECK(s, h.taken == 300 && h.sum == 3 * 5050);
    queue_free(h.q);
}

static void
history(struct sim *s, void *arg UNUSED)
{
    sim_set_reset_ppm(s, rng_below(sim_rng(s), 3) == 0 ? 0 : 5000);
    handing_history(s);
    notes_history(s);
    ledger_history(s);
    talk_history(s);
}

int
main(int argc, char **argv)
{
    const struct history h = {
        .options = { .latency_us = 100, .limit_ms = 3600000 },
        .fn = history,
        .first_seed = 1,
        .last_seed = 200,
        .list = SIM_REGRESS "/selftest",
        .child_s = 60,
    };

    return histories_main(argc, argv, &h);
}
