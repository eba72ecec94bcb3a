#include "jobtracker/store.h"

#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/io/sqlvfs.h"

enum {
    S_NEXT_JOB, S_JOB_ADD, S_CODE_ADD, S_JOB_PUT, S_CODE_DROP, S_CODE, S_CODE_HAS, S_CODE_OLD, S_ATTEMPT, S_LOG_PUT, S_LOG, S_TRACKER,
    S_RESULT_PUT, S_RESULT_BYTES, S_RESULTS, S_DROP_RESULTS, S_DROP_LOGS, S_DROP_ATTEMPTS, S_DROP_JOB, S_LOAD_TRACKERS, S_LOAD_JOBS, S_LOAD_ATTEMPTS, S_COUNT
};

static const char *const statements[S_COUNT] = {
    [S_NEXT_JOB] = "SELECT ifnull(max(number), 0) + 1 FROM jobs",
    [S_JOB_ADD] = "INSERT INTO jobs(number, user, state, cleaned, submitted_ms, finished_ms, reason, submit_id, token, spec)"
                  " VALUES(?,?,?,0,?,0,'',?,?,?)",
    [S_CODE_ADD] = "INSERT OR IGNORE INTO objects(digest, so) VALUES(?,?)",
    [S_JOB_PUT] = "UPDATE jobs SET state=?2, cleaned=?3, finished_ms=?4, reason=?5 WHERE number=?1",
    [S_CODE_DROP] = "DELETE FROM objects WHERE digest=?",
    [S_CODE] = "SELECT so FROM objects WHERE digest=?",
    [S_CODE_HAS] = "SELECT 1 FROM objects WHERE digest=?",
    [S_CODE_OLD] = "SELECT digest FROM objects ORDER BY number DESC LIMIT 1 OFFSET ?",
    [S_ATTEMPT] = "INSERT OR REPLACE INTO attempts(job, is_map, task, attempt, state, tracker, locality, started_ms,"
                  " ended_ms, reason, log_path, counters) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
    [S_LOG_PUT] = "INSERT OR REPLACE INTO logs(job, is_map, task, attempt, text) VALUES(?,?,?,?,?)",
    [S_LOG] = "SELECT text FROM logs WHERE job=? AND is_map=? AND task=? AND attempt=?",
    [S_TRACKER] = "INSERT OR REPLACE INTO trackers(uuid, name, host, shuffle_port) VALUES(?,?,?,?)",
    [S_RESULT_PUT] = "INSERT OR REPLACE INTO results(job, task, data) VALUES(?,?,?)",
    [S_RESULT_BYTES] = "SELECT ifnull(sum(length(data)), 0) FROM results WHERE job=?",
    [S_RESULTS] = "SELECT data FROM results WHERE job=? ORDER BY task",
    [S_DROP_RESULTS] = "DELETE FROM results WHERE job=?",
    [S_DROP_LOGS] = "DELETE FROM logs WHERE job=?",
    [S_DROP_ATTEMPTS] = "DELETE FROM attempts WHERE job=?",
    [S_DROP_JOB] = "DELETE FROM jobs WHERE number=?",
    [S_LOAD_TRACKERS] = "SELECT uuid, name, host, shuffle_port FROM trackers",
    [S_LOAD_JOBS] = "SELECT number, user, state, cleaned, submitted_ms, finished_ms, reason, submit_id, token, spec"
                    " FROM jobs WHERE cleaned=0 OR number IN (SELECT number FROM jobs WHERE cleaned=1"
                    " ORDER BY number DESC LIMIT ?) ORDER BY number",
    [S_LOAD_ATTEMPTS] = "SELECT is_map, task, attempt, state, tracker, locality, started_ms, ended_ms, reason, log_path,"
                        " counters FROM attempts WHERE job=? ORDER BY started_ms, is_map DESC, task, attempt",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS jobs(number INTEGER PRIMARY KEY, user TEXT NOT NULL, state INTEGER NOT NULL,"
    " cleaned INTEGER NOT NULL, submitted_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, reason TEXT NOT NULL,"
    " submit_id BLOB NOT NULL, token BLOB NOT NULL, spec BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS objects(number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, so BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS results(job INTEGER, task INTEGER, data BLOB NOT NULL, PRIMARY KEY(job, task));"
    "CREATE TABLE IF NOT EXISTS attempts(job INTEGER, is_map INTEGER, task INTEGER, attempt INTEGER,"
    " state INTEGER NOT NULL, tracker TEXT NOT NULL, locality INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, reason TEXT NOT NULL, log_path TEXT NOT NULL, counters BLOB NOT NULL,"
    " PRIMARY KEY(job, is_map, task, attempt)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS logs(job INTEGER, is_map INTEGER, task INTEGER, attempt INTEGER, text BLOB NOT NULL,"
    " PRIMARY KEY(job, is_map, task, attempt));"
    "CREATE TABLE IF NOT EXISTS trackers(uuid TEXT PRIMARY KEY, name TEXT NOT NULL, host TEXT NOT NULL,"
    " shuffle_port INTEGER NOT NULL) WITHOUT ROWID;";

#define SCHEMA_VERSION 2
#define COMMITS_PER_CHECKPOINT 1000

struct jt_store {
    sqlite3 *db;
    sqlite3_stmt *st[S_COUNT];
    uint64_t created_ms;
    bool open;                  /* a transaction */
    uint32_t commits;           /* since the last checkpoint */
    bool broken;
    struct why why;
};

static void
break_store(struct jt_store *s, int sql, const char *what)
{
    if (!s->broken)
        (void)db_why(s->db, sql, &s->why, what);   /* the code is kept in s->why */
    s->broken = true;
}

static enum rc
meta_get(sqlite3 *db, const char *key, uint64_t dflt, uint64_t *ret, struct why *why)
{
    sqlite3_stmt *st = NULL;
    int r;

    if ((r = sqlite3_prepare_v2(db, "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=value"
                                    " RETURNING value", -1, &st, NULL)) != SQLITE_OK)
        return db_why(db, r, why, "the JobTracker's database");
    (void)sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 2, (sqlite3_int64)dflt);
    if ((r = sqlite3_step(st)) == SQLITE_ROW) {
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
        while ((r = sqlite3_step(st)) == SQLITE_ROW)
            continue;
    }
    (void)sqlite3_finalize(st);         /* its failure is that of the step */
    return r == SQLITE_DONE ? RC_OK : db_why(db, r, why, "the JobTracker's database");
}

enum rc
jt_store_open(sqlite3 *db, uint64_t now_wall_ms, struct jt_store **ret, struct why *why)
{
    struct jt_store *s = mem_zalloc(sizeof *s);
    uint64_t version = 0;
    enum rc rc = RC_NOMEM;

    if (s == NULL)
        return why_rc(why, RC_NOMEM);
    s->db = db;
    if ((rc = db_exec(db, "BEGIN IMMEDIATE", why)) != RC_OK || (rc = db_exec(db, schema, why)) != RC_OK ||
        (rc = meta_get(db, "schema", SCHEMA_VERSION, &version, why)) != RC_OK ||
        (rc = meta_get(db, "created_ms", now_wall_ms, &s->created_ms, why)) != RC_OK ||
        (rc = db_exec(db, "COMMIT", why)) != RC_OK)
        goto out;
    if (version != SCHEMA_VERSION) {
        rc = why_set(why, RC_BAD_FORMAT, "the JobTracker's database has version %d, this program knows %d", (int)version,
                     SCHEMA_VERSION);
        goto out;
    }
    for (size_t i = 0; i < S_COUNT; i++) {
        int r = sqlite3_prepare_v3(db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL);

        if (r != SQLITE_OK) {
            rc = db_why(db, r, why, "the JobTracker's database");
            goto out;
        }
    }
    *ret = s;
    return RC_OK;
out:
    s->db = NULL;               /* the caller keeps it */
    jt_store_close(s);
    return rc;
}

void
jt_store_close(struct jt_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < S_COUNT; i++)
        (void)sqlite3_finalize(s->st[i]);       /* nothing is open */
    if (s->db != NULL)
        (void)sqlite3_close(s->db);             /* every statement is gone */
    mem_free(s);
}

uint64_t
jt_store_created_ms(const struct jt_store *s)
{
    return s->created_ms;
}

void
jt_store_begin(struct jt_store *s)
{
    int r;

    if (s->open || s->broken)
        return;
    if ((r = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL)) != SQLITE_OK)
        break_store(s, r, "begin");
    else
        s->open = true;
}

enum rc
jt_store_commit(struct jt_store *s, struct why *why)
{
    int r;

    if (!s->broken && s->open && (r = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL)) != SQLITE_OK)
        break_store(s, r, "commit");
    else if (!s->broken && s->open && ++s->commits >= COMMITS_PER_CHECKPOINT) {
        s->commits = 0;
        (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);  /* the next one does it */
    }
    s->open = false;
    if (s->broken)
        return why_set(why, s->why.rc, "%s", s->why.text);
    if (sqlite3_get_autocommit(s->db) == 0)
        return why_set(why, RC_BUG, "a transaction is open after commit");
    return RC_OK;
}

/* Ready to bind; begins the group's transaction. An error, also of a query, may have undone it: what comes after must not
 * be kept without what came before. */
static sqlite3_stmt *
use(struct jt_store *s, int which)
{
    if (s->open && sqlite3_get_autocommit(s->db) != 0)
        break_store(s, SQLITE_ABORT_ROLLBACK, "an error undid the open group");
    jt_store_begin(s);
    return s->st[which];
}

static void
run(struct jt_store *s, int which, const char *what)
{
    int r = s->broken ? SQLITE_DONE : sqlite3_step(s->st[which]);

    if (r != SQLITE_DONE)
        break_store(s, r, what);
    (void)sqlite3_reset(s->st[which]);          /* repeats the step's code */
    (void)sqlite3_clear_bindings(s->st[which]);
}

static void
bind_u64(sqlite3_stmt *st, int i, uint64_t v)
{
    (void)sqlite3_bind_int64(st, i, (sqlite3_int64)v);
}

static void
bind_text(sqlite3_stmt *st, int i, const char *text)
{
    (void)sqlite3_bind_text(st, i, text ? text : "", -1, SQLITE_TRANSIENT);
}

static void
bind_blob(sqlite3_stmt *st, int i, const void *p, size_t n)
{
    if (n == 0)
        (void)sqlite3_bind_zeroblob(st, i, 0);
    else
        (void)sqlite3_bind_blob64(st, i, p, n, SQLITE_TRANSIENT);
}

uint64_t
jt_store_next_job(struct jt_store *s)
{
    sqlite3_stmt *st = use(s, S_NEXT_JOB);
    uint64_t n = 0;

    if (!s->broken && sqlite3_step(st) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(st, 0);
    else
        break_store(s, SQLITE_ERROR, "next job");
    (void)sqlite3_reset(st);
    return n;
}

void
jt_store_job_add(struct jt_store *s, const struct jt_job *j)
{
    size_t n = jt_job_spec__get_packed_size(j->spec);
    uint8_t *packed = mem_alloc(n + 1);
    sqlite3_stmt *st = use(s, S_JOB_ADD);

    if (packed == NULL) {
        break_store(s, SQLITE_NOMEM, "job");
        return;
    }
    (void)jt_job_spec__pack(j->spec, packed);
    bind_u64(st, 1, j->number);
    bind_text(st, 2, j->user);
    bind_u64(st, 3, j->state);
    bind_u64(st, 4, j->submitted_ms);
    bind_blob(st, 5, j->submit_id, sizeof j->submit_id);
    bind_blob(st, 6, j->token, sizeof j->token);
    bind_blob(st, 7, packed, n);
    run(s, S_JOB_ADD, "job");
    mem_free(packed);
}

void
jt_store_job_put(struct jt_store *s, const struct jt_job *j)
{
    sqlite3_stmt *st = use(s, S_JOB_PUT);

    bind_u64(st, 1, j->number);
    bind_u64(st, 2, j->state);
    bind_u64(st, 3, j->cleaned);
    bind_u64(st, 4, j->finished_ms);
    bind_text(st, 5, j->reason);
    run(s, S_JOB_PUT, "job");
}

void
jt_store_job_drop(struct jt_store *s, uint64_t job)
{
    for (int which = S_DROP_RESULTS; which <= S_DROP_JOB; which++) {
        bind_u64(use(s, which), 1, job);
        run(s, which, "drop");
    }
}

/* The one blob that st yields, copied; resets st. */
static enum rc
take_blob(struct jt_store *s, sqlite3_stmt *st, uint8_t **ret, size_t *ret_n, struct why *why)
{
    int r = sqlite3_step(st);
    enum rc rc = RC_OK;

    if (r == SQLITE_ROW) {
        size_t n = (size_t)sqlite3_column_bytes(st, 0);
        const void *p = sqlite3_column_blob(st, 0);
        uint8_t *copy = mem_alloc(n + 1);

        if (copy == NULL) {
            rc = why_rc(why, RC_NOMEM);
        } else {
            if (n != 0)
                memcpy(copy, p, n);
            copy[n] = '\0';
            *ret = copy;
            *ret_n = n;
        }
    } else if (r == SQLITE_DONE) {
        rc = why_set(why, RC_NOT_FOUND, "nothing is kept of it");
    } else {
        rc = db_why(s->db, r, why, "the JobTracker's database");
    }
    (void)sqlite3_reset(st);
    return rc;
}

/* ---- shared objects ---- */

void
jt_store_code_put(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES], const void *code, size_t n)
{
    sqlite3_stmt *st = use(s, S_CODE_ADD);

    bind_blob(st, 1, digest, JT_DIGEST_BYTES);
    bind_blob(st, 2, code, n);
    run(s, S_CODE_ADD, "code");
}

void
jt_store_code_drop(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES])
{
    bind_blob(use(s, S_CODE_DROP), 1, digest, JT_DIGEST_BYTES);
    run(s, S_CODE_DROP, "code");
}

bool
jt_store_code_has(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES])
{
    sqlite3_stmt *st = s->st[S_CODE_HAS];
    bool has;

    bind_blob(st, 1, digest, JT_DIGEST_BYTES);
    has = sqlite3_step(st) == SQLITE_ROW;       /* after an error the client sends it once more */
    (void)sqlite3_reset(st);
    return has;
}

enum rc
jt_store_code(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES], uint8_t **ret, size_t *ret_n, struct why *why)
{
    bind_blob(s->st[S_CODE], 1, digest, JT_DIGEST_BYTES);
    return take_blob(s, s->st[S_CODE], ret, ret_n, why);
}

bool
jt_store_code_old(struct jt_store *s, uint32_t newer, uint8_t ret[JT_DIGEST_BYTES])
{
    sqlite3_stmt *st = s->st[S_CODE_OLD];
    bool found;

    bind_u64(st, 1, newer);
    if ((found = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == JT_DIGEST_BYTES))
        memcpy(ret, sqlite3_column_blob(st, 0), JT_DIGEST_BYTES);
    (void)sqlite3_reset(st);
    return found;
}

/* ---- results ---- */

void
jt_store_result_put(struct jt_store *s, const struct jt_attempt *a, const void *p, size_t n)
{
    sqlite3_stmt *st = use(s, S_RESULT_PUT);

    bind_u64(st, 1, a->task->job->number);
    bind_u64(st, 2, a->task->index);
    bind_blob(st, 3, p, n);
    run(s, S_RESULT_PUT, "result");
}

uint64_t
jt_store_result_bytes(struct jt_store *s, uint64_t job)
{
    sqlite3_stmt *st = s->st[S_RESULT_BYTES];
    uint64_t n = 0;

    bind_u64(st, 1, job);
    if (sqlite3_step(st) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(st, 0);
    (void)sqlite3_reset(st);
    return n;
}

void
jt_store_results_drop(struct jt_store *s, uint64_t job)
{
    bind_u64(use(s, S_DROP_RESULTS), 1, job);
    run(s, S_DROP_RESULTS, "results");
}

enum rc
jt_store_results(struct jt_store *s, uint64_t job, enum rc (*on_result)(void *arg, const void *p, size_t n), void *arg,
                 struct why *why)
{
    sqlite3_stmt *st = s->st[S_RESULTS];
    enum rc rc = RC_OK;
    int r = SQLITE_DONE;

    bind_u64(st, 1, job);
    while (rc == RC_OK && (r = sqlite3_step(st)) == SQLITE_ROW)
        if ((rc = on_result(arg, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0))) != RC_OK)
            (void)why_rc(why, rc);
    if (rc == RC_OK && r != SQLITE_DONE)
        rc = db_why(s->db, r, why, "results");
    (void)sqlite3_reset(st);
    return rc;
}

static void
bind_attempt(sqlite3_stmt *st, const struct jt_attempt *a)
{
    bind_u64(st, 1, a->task->job->number);
    bind_u64(st, 2, a->task->is_map);
    bind_u64(st, 3, a->task->index);
    bind_u64(st, 4, a->number);
}

/* A counter: its flag, the name's length, the name, the value. */
static void
pack_counters(const struct jt_counters *c, struct buf *b)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t n = strlen(c->rows[i].name);

        buf_u8(b, c->rows[i].user);
        buf_varint(b, n);
        buf_put(b, c->rows[i].name, n);
        buf_be64(b, (uint64_t)c->rows[i].value);
    }
}

void
jt_store_attempt_put(struct jt_store *s, const struct jt_attempt *a)
{
    sqlite3_stmt *st = use(s, S_ATTEMPT);
    struct buf b;

    buf_init(&b, 1 * MB);
    if (!jt_attempt_state_is_live(a->state))
        pack_counters(&a->counters, &b);
    bind_attempt(st, a);
    bind_u64(st, 5, a->state == ATTEMPT_KILLING ? ATTEMPT_RUNNING : a->state);
    bind_text(st, 6, a->tracker->uuid);
    bind_u64(st, 7, a->locality);
    bind_u64(st, 8, a->started_ms);
    bind_u64(st, 9, a->ended_ms);
    bind_text(st, 10, jt_attempt_state_is_live(a->state) ? "" : a->text);
    bind_text(st, 11, a->log_path);
    bind_blob(st, 12, b.p, buf_ok(&b) ? b.n : 0);
    run(s, S_ATTEMPT, "attempt");
    buf_fini(&b);
}

void
jt_store_log_put(struct jt_store *s, const struct jt_attempt *a, const void *text, size_t n)
{
    sqlite3_stmt *st = use(s, S_LOG_PUT);

    bind_attempt(st, a);
    bind_blob(st, 5, text, n);
    run(s, S_LOG_PUT, "log");
}

enum rc
jt_store_log(struct jt_store *s, const struct jt_attempt *a, uint8_t **ret, size_t *ret_n, struct why *why)
{
    bind_attempt(s->st[S_LOG], a);
    return take_blob(s, s->st[S_LOG], ret, ret_n, why);
}

void
jt_store_tracker_put(struct jt_store *s, const struct jt_tracker *t)
{
    sqlite3_stmt *st = use(s, S_TRACKER);

    bind_text(st, 1, t->uuid);
    bind_text(st, 2, t->place->name);
    bind_text(st, 3, t->host);
    bind_u64(st, 4, t->shuffle_port);
    run(s, S_TRACKER, "tracker");
}

static const char *
text_at(sqlite3_stmt *st, int i)
{
    const char *p = (const char *)sqlite3_column_text(st, i);

    return p ? p : "";
}

static enum rc
unpack_counters(const void *p, size_t n, struct jt_counters *ret, struct why *why)
{
    struct rd r;

    rd_init(&r, p, n);
    while (r.left > 0 && !r.bad) {
        bool user = rd_u8(&r) != 0;
        struct span name = rd_delimited(&r);
        int64_t value = (int64_t)rd_be64(&r);
        char text[256];
        JtCounter row = JT_COUNTER__INIT, *rows = &row;

        if (r.bad)
            break;
        (void)snprintf(text, sizeof text, "%.*s", (int)(name.n < 255 ? name.n : 255), (const char *)name.p);
        row.name = text;
        row.value = value;
        row.user = user;
        jt_counters_set(ret, &rows, 1);
    }
    return rd_finish(&r, "counters of an attempt", why);
}

static enum rc
load_attempts(struct jt_store *s, uint64_t job, const struct jt_loader *l, struct why *why)
{
    sqlite3_stmt *st = s->st[S_LOAD_ATTEMPTS];
    enum rc rc = RC_OK;
    int r = SQLITE_DONE;

    bind_u64(st, 1, job);
    while (rc == RC_OK && (r = sqlite3_step(st)) == SQLITE_ROW) {
        struct jt_attempt_id id = { job, sqlite3_column_int(st, 0) != 0, (uint32_t)sqlite3_column_int64(st, 1),
                                    (uint32_t)sqlite3_column_int64(st, 2) };
        struct jt_attempt row = {
            .number = id.attempt,
            .state = (unsigned)sqlite3_column_int(st, 3),
            .locality = (enum jt_locality)sqlite3_column_int(st, 5),
            .started_ms = (uint64_t)sqlite3_column_int64(st, 6),
            .ended_ms = (uint64_t)sqlite3_column_int64(st, 7),
        };
        char *reason = mem_strdup(text_at(st, 8)), *log_path = mem_strdup(text_at(st, 9));

        row.text = reason;
        row.log_path = log_path;
        if (reason == NULL || log_path == NULL)
            rc = why_rc(why, RC_NOMEM);
        else if (row.state > ATTEMPT_LOST || row.locality > LOCALITY_NONE)
            rc = why_set(why, RC_CORRUPT, "an attempt in the database has a state that does not exist");
        else if ((rc = unpack_counters(sqlite3_column_blob(st, 10), (size_t)sqlite3_column_bytes(st, 10), &row.counters,
                                       why)) == RC_OK)
            rc = l->attempt(l->arg, &id, &row, text_at(st, 4), why);
        jt_counters_fini(&row.counters);
        mem_free(reason);
        mem_free(log_path);
    }
    if (rc == RC_OK && r != SQLITE_DONE)
        rc = db_why(s->db, r, why, "attempts");
    (void)sqlite3_reset(st);
    return rc;
}

static enum rc
load_job(struct jt_store *s, sqlite3_stmt *st, const struct jt_loader *l, struct why *why)
{
    struct jt_job row = {
        .number = (uint64_t)sqlite3_column_int64(st, 0),
        .user = mem_strdup(text_at(st, 1)),
        .state = (unsigned)sqlite3_column_int(st, 2),
        .cleaned = sqlite3_column_int(st, 3) != 0,
        .submitted_ms = (uint64_t)sqlite3_column_int64(st, 4),
        .finished_ms = (uint64_t)sqlite3_column_int64(st, 5),
        .reason = mem_strdup(text_at(st, 6)),
    };
    JtJobSpec *spec = NULL;
    enum rc rc = RC_NOMEM;

    if (row.user == NULL || row.reason == NULL) {
        why_rc(why, rc);
        goto out;
    }
    if (row.state > JOB_KILLED || sqlite3_column_bytes(st, 7) != (int)sizeof row.submit_id ||
        sqlite3_column_bytes(st, 8) != (int)sizeof row.token) {
        rc = why_set(why, RC_CORRUPT, "job %d in the database is not whole", (int)row.number);
        goto out;
    }
    memcpy(row.submit_id, sqlite3_column_blob(st, 7), sizeof row.submit_id);
    memcpy(row.token, sqlite3_column_blob(st, 8), sizeof row.token);
    if ((rc = jt_spec_unpack(sqlite3_column_blob(st, 9), (size_t)sqlite3_column_bytes(st, 9), &spec, why)) != RC_OK ||
        (rc = l->job(l->arg, &row, spec, why)) != RC_OK)
        goto out;
    rc = load_attempts(s, row.number, l, why);
out:
    mem_free(row.user);
    mem_free(row.reason);
    return rc;
}

enum rc
jt_store_load(struct jt_store *s, const struct jt_loader *l, uint32_t ended_max, struct why *why)
{
    sqlite3_stmt *st = s->st[S_LOAD_TRACKERS];
    enum rc rc = RC_OK;
    int r = SQLITE_DONE;

    while (rc == RC_OK && (r = sqlite3_step(st)) == SQLITE_ROW)
        rc = l->tracker(l->arg, text_at(st, 0), text_at(st, 1), text_at(st, 2), (uint16_t)sqlite3_column_int(st, 3), why);
    if (rc == RC_OK && r != SQLITE_DONE)
        rc = db_why(s->db, r, why, "trackers");
    (void)sqlite3_reset(st);
    if (rc != RC_OK)
        return rc;
    st = s->st[S_LOAD_JOBS];
    bind_u64(st, 1, ended_max);
    while (rc == RC_OK && (r = sqlite3_step(st)) == SQLITE_ROW)
        rc = load_job(s, st, l, why);
    if (rc == RC_OK && r != SQLITE_DONE)
        rc = db_why(s->db, r, why, "jobs");
    (void)sqlite3_reset(st);
    return rc;
}
