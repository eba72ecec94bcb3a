#include "namenode/copies.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "core/io/io.h"
#include "namenode/copies_priv.h"
#include "namenode/core.h"
#include "namenode/nn.h"

#define SEGMENT_BYTES (32 * MB)
#define WAIT_SLICES 10          /* of the limit: a machine that stood still wakes up with one slice gone, not all */

/* ---- opening ---- */

static void
unref(struct nn_copy_order *o)          /* under the lock */
{
    if (o == NULL || --o->refs > 0)
        return;
    buf_fini(&o->bytes);
    mem_free(o);
}

static enum rc
open_copy(struct nn_copy *c, struct why *why)
{
    struct io *io = c->set->nn->world->io;
    char *lock_path = mem_printf("%s/in_use.lock", c->dir);
    enum rc rc;

    if (lock_path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_mkdirs(io, c->dir, 0700, why)) != RC_OK ||
        (rc = io_open(io, lock_path, IO_READ | IO_WRITE | IO_CREATE | IO_PRIVATE, &c->lock_fd, why)) != RC_OK)
        goto out;
    if ((rc = io_lock(io, c->lock_fd, why)) == RC_BUSY) {
        (void)why_set(why, RC_BUSY, "another NameNode is running on %s", c->dir);
        goto out;
    }
    rc = nn_logcopy_scan(io, c->dir, NULL, NULL, &c->found, why);
    if (rc == RC_CORRUPT) {     /* what it is worth is seen in nn_copies_settle */
        log_warn("name_dir_damaged", "dir=%s reason=%s instead=backup", c->dir, why->text);
        c->found.has_backup = false;
        rc = RC_OK;
    }
out:
    mem_free(lock_path);
    return rc;
}

enum rc
nn_copies_open(struct nn *nn, char *const *dirs, size_t n, struct nn_copies **ret, struct why *why)
{
    struct nn_copies *set = mem_zalloc(sizeof *set);
    enum rc rc = RC_NOMEM;

    if (set == NULL)
        return why_rc(why, RC_NOMEM);
    set->nn = nn;
    if ((set->lock = mutex_new(nn->world->threads)) == NULL || (set->changed = cond_new(nn->world->threads)) == NULL ||
        (set->stopping = cond_new(nn->world->threads)) == NULL ||
        (n > 0 && (set->list = mem_calloc(n, sizeof *set->list)) == NULL)) {
        (void)why_rc(why, RC_NOMEM);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        struct nn_copy *c = &set->list[set->count];

        *c = (struct nn_copy){ .set = set, .lock_fd = -1, .fd = -1, .worth = NN_COPY_SEEDING, .has_ended = true };
        if ((c->dir = mem_strdup(strncmp(dirs[i], "file://", 7) == 0 ? dirs[i] + 7 : dirs[i])) == NULL) {
            rc = why_rc(why, RC_NOMEM);
            goto out;
        }
        set->count++;
        if ((rc = open_copy(c, why)) == RC_BUSY || rc == RC_NOMEM)
            goto out;
        if (rc != RC_OK)
            nn_copy_drop(c, why);
    }
    rc = RC_OK;
    *ret = set;
    set = NULL;
out:
    nn_copies_free(set);
    return rc;
}

void
nn_copies_free(struct nn_copies *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++) {
        struct nn_copy *c = &set->list[i];

        if (c->fd >= 0)
            io_close(set->nn->world->io, c->fd);
        if (c->lock_fd >= 0)
            io_close(set->nn->world->io, c->lock_fd);
        mem_free(c->path);
        mem_free(c->dir);
    }
    unref(set->open);
    if (set->stopping != NULL)
        cond_free(set->nn->world->threads, set->stopping);
    if (set->changed != NULL)
        cond_free(set->nn->world->threads, set->changed);
    if (set->lock != NULL)
        mutex_free(set->nn->world->threads, set->lock);
    mem_free(set->list);
    mem_free(set);
}

/* The copy that reaches furthest; NULL when none has anything. */
static const struct nn_copy *
best(const struct nn_copies *set)
{
    const struct nn_copy *found = NULL;

    for (size_t i = 0; i < set->count; i++) {
        const struct nn_copy *c = &set->list[i];

        if (c->worth != NN_COPY_DROPPED && c->found.has_backup && (found == NULL || c->found.last > found->found.last))
            found = c;
    }
    return found;
}

enum rc
nn_copies_check_missing(const struct nn_copies *set, const char *db_path, struct why *why)
{
    struct io_stat st;
    const struct nn_copy *c;
    enum rc rc = io_stat(set->nn->world->io, db_path, &st, why);

    if (rc != RC_OK && rc != RC_SYS_NOT_FOUND)
        return rc;
    if (rc == RC_OK && st.size > 0)
        return RC_OK;
    if ((c = best(set)) != NULL)
        return why_set(why, RC_CORRUPT, "%s is %s, but %s has the namespace up to transaction %" PRIu64 ": rebuild it with "
                       "namenode --recover-from %s", db_path, rc == RC_OK ? "empty" : "missing", c->dir, c->found.last, c->dir);
    for (size_t i = 0; i < set->count; i++)
        if (set->list[i].found.has_files)
            return why_set(why, RC_CORRUPT, "%s is missing, and %s has a copy of a namespace that is damaged or not whole: "
                           "restore the database, or take the directory out of dfs.namenode.name.dir", db_path,
                           set->list[i].dir);
    return RC_OK;
}

enum rc
nn_copies_advise(const struct nn_copies *set, struct why *why)
{
    const struct nn_copy *c = best(set);

    if (c == NULL || strstr(why->text, "--recover-from") != NULL || (why->rc != RC_CORRUPT && why->rc != RC_IO && why->rc != RC_BAD_FORMAT))
        return why->rc;
    return why_prefix(why, "the database cannot be read; namenode --recover-from %s rebuilds it up to transaction %" PRIu64,
                      c->dir, c->found.last);
}

/* ---- comparing ---- */

struct one_group {
    struct nn_core *core;
    uint64_t txid;
};

static enum rc
apply_group(void *arg, const struct nn_logcopy_record *rec, struct why *why)
{
    struct one_group *g = arg;
    struct nn_db *db = &g->core->db;
    struct why ignored;
    enum rc rc;

    if (rec->txid != g->txid)
        return RC_OK;
    if ((rc = nn_exec(db, SQL_BEGIN, why)) != RC_OK)
        return rc;
    if ((rc = nn_txlog_apply(db, rec->txid, rec->at_ms, rec->row, why)) == RC_OK && (rc = nn_exec(db, SQL_COMMIT, why)) == RC_OK)
        return RC_OK;
    nn_db_forget(db);
    if (!sqlite3_get_autocommit(db->sql) && nn_exec(db, SQL_ROLLBACK, &ignored) != RC_OK)
        return why_prefix(why, "rollback: %s", ignored.text);
    return rc;
}

/* The group that was being committed when the NameNode ended is in the copy: put it into the database. */
static enum rc
apply_last(struct nn_copy *c, struct nn_core *core, uint64_t txid, struct why *why)
{
    struct io *io = c->set->nn->world->io;
    struct one_group g = { core, txid };
    struct nn_logcopy_state again;
    struct why ignored;
    enum rc rc = nn_logcopy_scan(io, c->dir, apply_group, &g, &again, why);

    if (rc == RC_NO_SPACE) {    /* what the reserve is for */
        (void)io_unlink(io, core->nn->reserve_path, &ignored);
        rc = nn_logcopy_scan(io, c->dir, apply_group, &g, &again, why);
    }
    if (rc == RC_OK)
        log_info("last_group_taken_from_copy", "dir=%s txid=%" PRIu64, c->dir, txid);
    return rc;
}

/* Is the copy's last record the database's row of that number? */
static enum rc
has_same_row(struct nn_copy *c, struct nn_core *core, bool *ret, struct why *why)
{
    sqlite3_stmt *st;
    bool row = false;
    enum rc rc;

    *ret = true;
    if (!c->found.last_is_logged)
        return RC_OK;
    if ((st = nn_sql(&core->db, SQL_LOG_FROM, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, c->found.last);
    if ((rc = nn_step(&core->db, st, &row, why)) == RC_OK) {
        struct span s = row ? nn_column_span(st, 1) : (struct span){ 0 };

        *ret = row && nn_column_u64(st, 0) == c->found.last && crc32c(0, s.p, s.n) == c->found.last_sum;
    }
    nn_done(st);
    return rc;
}

static enum rc
settle_one(struct nn_copy *c, struct nn_core *core, uint64_t *txid, struct why *why)
{
    const struct nn_logcopy_state *f = &c->found;
    const struct nn_logcopy_id *id = &c->set->id;
    bool same;
    enum rc rc;

    if (f->has_id && (f->id.namespace_id != id->namespace_id || f->id.created_ms != id->created_ms))
        return why_set(why, RC_CORRUPT, "%s has a copy of another namespace than %s: take it out of dfs.namenode.name.dir, or "
                       "move its files away", c->dir, core->nn->dir);
    if (!f->has_backup)
        return RC_OK;
    if (f->last > *txid + 1)
        return why_set(why, RC_CORRUPT, "the database is behind: it ends with transaction %" PRIu64 ", %s has all up to %" PRIu64
                       ": rebuild it with namenode --recover-from %s", *txid, c->dir, f->last, c->dir);
    if (f->last == *txid + 1) {
        if ((rc = apply_last(c, core, f->last, why)) != RC_OK)
            return rc;
        ++*txid;
    }
    if ((rc = has_same_row(c, core, &same, why)) != RC_OK)
        return rc;
    if (f->last == *txid && same) {
        c->worth = NN_COPY_READY;
        c->backup = f->backup;
    } else {
        log_info("name_dir_behind", "dir=%s txid=%" PRIu64 " database=%" PRIu64 " instead=backup", c->dir, f->last, *txid);
    }
    return RC_OK;
}

enum rc
nn_copies_settle(struct nn_copies *set, struct nn_core *core, struct why *why)
{
    uint64_t txid;
    enum rc rc;

    set->id = (struct nn_logcopy_id){ set->nn->id.namespace_id, set->nn->id.created_ms };
    if ((rc = nn_txlog_last(&core->db, &txid, why)) != RC_OK)
        return rc;
    for (size_t round = 0; round < 2; round++)          /* the first brings the database up to the furthest */
        for (size_t i = 0; i < set->count; i++) {
            struct nn_copy *c = &set->list[i];

            if (c->worth == NN_COPY_DROPPED)
                continue;
            if (round == 0 && !(c->found.has_backup && c->found.last > txid))
                continue;
            if (round == 1 && c->worth == NN_COPY_READY)
                continue;
            if ((rc = settle_one(c, core, &txid, why)) != RC_OK)
                return rc;
        }
    return RC_OK;
}

/* ---- segments ---- */

/* A new file for groups from `first` on, with its head; synced with what is written next. */
static enum rc
begin_segment(struct nn_copy *c, uint64_t first, struct why *why)
{
    const struct world *w = c->set->nn->world;
    char *path = nn_logcopy_segment_path(c->dir, first), *old;
    struct io_stat st;
    struct buf head;
    int fd = -1;
    enum rc rc;

    buf_init(&head, 1 * KB);
    nn_logcopy_put_head(&head, &c->set->id, first);
    if (path == NULL || !buf_ok(&head)) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = io_open(w->io, path, IO_WRITE | IO_CREATE | IO_TRUNC | IO_PRIVATE, &fd, why)) != RC_OK ||
        (rc = io_pwrite(w->io, fd, head.p, head.n, 0, why)) != RC_OK || (rc = io_sync(w->io, fd, why)) != RC_OK ||
        (rc = io_sync_dir(w->io, c->dir, why)) != RC_OK || (rc = io_fstat(w->io, fd, &st, why)) != RC_OK)
        goto out;
    if (c->fd >= 0)
        io_close(w->io, c->fd);
    c->fd = fd;
    c->bytes = head.n;
    mutex_lock(w->threads, c->set->lock);
    old = c->path;
    c->path = path;
    c->inode = st.inode;
    mutex_unlock(w->threads, c->set->lock);
    path = old;
    fd = -1;
out:
    if (fd >= 0)
        io_close(w->io, fd);
    buf_fini(&head);
    mem_free(path);
    return rc;
}

static enum rc
write_order(struct nn_copy *c, const struct nn_copy_order *o, bool roll, struct why *why)
{
    struct io *io = c->set->nn->world->io;
    enum rc rc;

    if (o->kind == NN_LOGCOPY_GROUP && (roll || c->bytes > SEGMENT_BYTES) && (rc = begin_segment(c, o->txid, why)) != RC_OK)
        return rc;
    if ((rc = io_pwrite(io, c->fd, o->bytes.p, o->bytes.n, c->bytes, why)) != RC_OK)
        return rc;
    if (!old_bug(OLD_BUG_COPY_NOT_SYNCED) && (rc = io_sync(io, c->fd, why)) != RC_OK)
        return rc;
    c->bytes += o->bytes.n;
    return RC_OK;
}

static void
run_copy(void *arg)
{
    struct nn_copy *c = arg;
    struct nn_copies *set = c->set;
    struct threads *t = set->nn->world->threads;

    mutex_lock(t, set->lock);
    for (;;) {
        struct nn_copy_order *o;
        bool roll;
        struct why why;
        enum rc rc;

        while (c->order == NULL && !set->stop && c->worth != NN_COPY_DROPPED)
            (void)cond_wait(t, set->changed, set->lock, FOREVER);
        if (c->order == NULL || c->worth == NN_COPY_DROPPED)
            break;
        o = c->order;
        c->order = NULL;
        c->is_writing = true;
        roll = c->wants_roll && o->kind == NN_LOGCOPY_GROUP;
        mutex_unlock(t, set->lock);
        rc = write_order(c, o, roll, &why);
        mutex_lock(t, set->lock);
        c->is_writing = false;
        if (roll && rc == RC_OK)
            c->wants_roll = false;
        unref(o);
        if (rc != RC_OK)
            nn_copy_drop(c, &why);
        cond_broadcast(t, set->changed);
    }
    c->has_ended = true;
    cond_broadcast(t, set->changed);
    mutex_unlock(t, set->lock);
}

/* ---- the set ---- */

void
nn_copies_count(struct nn_copies *set)
{
    size_t dropped = 0, ready = 0;

    for (size_t i = 0; i < set->count; i++) {
        dropped += set->list[i].worth == NN_COPY_DROPPED;
        ready += set->list[i].worth == NN_COPY_READY;
    }
    metric_set(&set->nn->metrics.name_dirs_failed, dropped);
    metric_set(&set->nn->metrics.name_dirs_ready, ready);
}

void
nn_copy_drop(struct nn_copy *c, const struct why *why)
{
    if (c->worth == NN_COPY_DROPPED)
        return;
    c->worth = NN_COPY_DROPPED;
    unref(c->order);
    c->order = NULL;
    log_error("name_dir_dropped", "dir=%s txid=%" PRIu64 " reason=\"%s\" back=restart", c->dir, c->set->txid, why->text);
    nn_copies_count(c->set);
}

enum rc
nn_copies_start(struct nn_copies *set, uint64_t txid, struct why *why)
{
    struct threads *t = set->nn->world->threads;
    struct why cause;
    enum rc rc;

    set->txid = txid;
    for (size_t i = 0; i < set->count; i++) {
        struct nn_copy *c = &set->list[i];

        if (c->worth == NN_COPY_DROPPED)
            continue;
        c->backup_ms = clock_mono_ms(set->nn->world->clock);
        if (begin_segment(c, txid + 1, &cause) != RC_OK) {
            mutex_lock(t, set->lock);
            nn_copy_drop(c, &cause);
            mutex_unlock(t, set->lock);
            continue;
        }
        c->has_ended = false;
        if ((rc = thread_spawn(t, "nn-copy", run_copy, c, &c->thread, why)) != RC_OK) {
            c->has_ended = true;
            return rc;
        }
    }
    mutex_lock(t, set->lock);
    nn_copies_count(set);
    mutex_unlock(t, set->lock);
    set->backup_ended = set->count == 0;
    if (set->count == 0)
        return RC_OK;
    if ((rc = thread_spawn(t, "nn-backup", nn_backup_run, set, &set->backup_thread, why)) != RC_OK)
        set->backup_ended = true;
    return rc;
}

static bool
have_all_ended(const struct nn_copies *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (!set->list[i].has_ended)
            return false;
    return set->backup_thread == NULL || set->backup_ended;
}

bool
nn_copies_stop(struct nn_copies *set)
{
    const struct world *w = set->nn->world;
    uint64_t deadline;
    bool ended;

    mutex_lock(w->threads, set->lock);
    set->stop = true;
    cond_broadcast(w->threads, set->changed);
    cond_broadcast(w->threads, set->stopping);
    deadline = clock_deadline(w->clock, 2 * set->nn->conf.name_dir_timeout_ms);
    while (!(ended = have_all_ended(set)) && clock_mono_ms(w->clock) < deadline)
        (void)cond_wait(w->threads, set->changed, set->lock, deadline);
    mutex_unlock(w->threads, set->lock);
    if (!ended) {
        log_error("name_dir_stuck", "reason=\"a disk does not answer\" instead=exit");
        return false;
    }
    for (size_t i = 0; i < set->count; i++)
        if (set->list[i].thread != NULL) {
            thread_join(w->threads, set->list[i].thread);
            set->list[i].thread = NULL;
        }
    if (set->backup_thread != NULL)
        thread_join(w->threads, set->backup_thread);
    set->backup_thread = NULL;
    return true;
}

bool
nn_copies_exist(const struct nn_copies *set)
{
    return set->count > 0;
}

/* Hand o to every copy that is live; under the lock. */
static void
give(struct nn_copies *set, struct nn_copy_order *o)
{
    for (size_t i = 0; i < set->count; i++) {
        struct nn_copy *c = &set->list[i];

        if (c->worth == NN_COPY_DROPPED || c->has_ended)
            continue;
        c->order = o;
        o->refs++;
    }
    cond_broadcast(set->nn->world->threads, set->changed);
}

static bool
is_busy(const struct nn_copy *c)
{
    return c->worth != NN_COPY_DROPPED && (c->order != NULL || c->is_writing);
}

static bool
are_busy(const struct nn_copies *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (is_busy(&set->list[i]))
            return true;
    return false;
}

/* Until every copy has written what it was given, or is dropped; under the lock. */
static void
wait_all(struct nn_copies *set)
{
    const struct world *w = set->nn->world;
    uint64_t limit_ms = set->nn->conf.name_dir_timeout_ms;
    struct why why;

    for (int slice = 0; slice < WAIT_SLICES && are_busy(set); slice++) {
        uint64_t deadline = clock_deadline(w->clock, limit_ms / WAIT_SLICES + 1);

        while (are_busy(set) && clock_mono_ms(w->clock) < deadline)
            (void)cond_wait(w->threads, set->changed, set->lock, deadline);
    }
    for (size_t i = 0; i < set->count; i++)
        if (is_busy(&set->list[i])) {
            (void)why_set(&why, RC_TIMEOUT, "not written in %" PRIu64 " ms", limit_ms);
            nn_copy_drop(&set->list[i], &why);
        }
}

static struct nn_copy_order *
make_order(const struct nn_copies *set, const struct nn_logcopy_record *rec)
{
    struct nn_copy_order *o = mem_zalloc(sizeof *o);

    if (o == NULL)
        return NULL;
    o->refs = 1;
    o->kind = rec->kind;
    o->txid = rec->txid;
    buf_init(&o->bytes, NN_LOGCOPY_RECORD_MAX);
    nn_logcopy_put(&o->bytes, &set->id, rec);
    if (buf_ok(&o->bytes))
        return o;
    unref(o);
    return NULL;
}

/* Under the lock. */
static size_t
count_not_dropped(const struct nn_copies *set)
{
    size_t n = 0;

    for (size_t i = 0; i < set->count; i++)
        n += set->list[i].worth != NN_COPY_DROPPED;
    return n;
}

enum rc
nn_copies_begin(struct nn_copies *set, uint64_t txid, uint64_t at_ms, struct span row, struct why *why)
{
    struct nn_logcopy_record rec = { NN_LOGCOPY_GROUP, txid, at_ms, row };

    if (set->count == 0)
        return RC_OK;
    if ((set->open = make_order(set, &rec)) == NULL)
        return why_rc(why, RC_NOMEM);
    mutex_lock(set->nn->world->threads, set->lock);
    set->open_count = count_not_dropped(set);
    give(set, set->open);
    mutex_unlock(set->nn->world->threads, set->lock);
    return RC_OK;
}

void
nn_copies_wait(struct nn_copies *set)
{
    struct threads *t = set->nn->world->threads;

    if (set->count == 0)
        return;
    mutex_lock(t, set->lock);
    wait_all(set);
    set->txid = set->open->txid;
    unref(set->open);
    set->open = NULL;
    mutex_unlock(t, set->lock);
    CRASH_POINT(nn_copies_written);
}

bool
nn_copies_undo(struct nn_copies *set)
{
    struct threads *t = set->nn->world->threads;
    struct nn_logcopy_record rec = { .kind = NN_LOGCOPY_UNDONE };
    struct nn_copy_order *o;
    struct why why;
    bool all;

    if (set->count == 0)
        return true;
    rec.txid = set->open->txid;
    o = make_order(set, &rec);
    mutex_lock(t, set->lock);
    wait_all(set);
    if (o != NULL) {
        give(set, o);
        wait_all(set);
    } else {
        (void)why_rc(&why, RC_NOMEM);   /* they hold what did not happen */
        for (size_t i = 0; i < set->count; i++)
            nn_copy_drop(&set->list[i], &why);
    }
    unref(o);
    unref(set->open);
    set->open = NULL;
    all = count_not_dropped(set) == set->open_count;
    mutex_unlock(t, set->lock);
    return all;
}

static size_t
count_not_below(struct nn_copies *set, enum nn_copy_worth least, enum nn_copy_worth most)
{
    struct threads *t = set->nn->world->threads;
    size_t n = 0;

    mutex_lock(t, set->lock);
    for (size_t i = 0; i < set->count; i++)
        n += set->list[i].worth >= least && set->list[i].worth <= most;
    mutex_unlock(t, set->lock);
    return n;
}

size_t nn_copies_live(struct nn_copies *set) { return count_not_below(set, NN_COPY_SEEDING, NN_COPY_READY); }
size_t nn_copies_ready(struct nn_copies *set) { return count_not_below(set, NN_COPY_READY, NN_COPY_READY); }
