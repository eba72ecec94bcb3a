#include "core/net/idle.h"

#include <string.h>
#include <utlist.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"

#define IDLE_MAX 64
#define KEEP_MS 2000            /* a DataNode waits 4 s for the next operation */

struct entry {
    struct entry *prev, *next;
    struct net_addr to;
    struct dtp_conn conn;
    uint64_t until_ms;          /* mono */
};

struct dtp_idle {
    struct world w;
    struct mutex *lock;
    struct entry *list;         /* under the lock; oldest first */
    size_t count;
};

enum rc
dtp_idle_new(const struct world *w, struct dtp_idle **ret, struct why *why)
{
    struct dtp_idle *idle = mem_zalloc(sizeof *idle);

    if (idle == NULL || (idle->lock = mutex_new(w->threads)) == NULL) {
        mem_free(idle);
        return why_rc(why, RC_NOMEM);
    }
    idle->w = *w;
    *ret = idle;
    return RC_OK;
}

static void
free_entry(struct entry *e)
{
    if (e == NULL)
        return;
    dtp_conn_fini(&e->conn);
    mem_free(e);
}

/* Locked. */
static void
unlink_entry(struct dtp_idle *idle, struct entry *e)
{
    DL_DELETE(idle->list, e);
    idle->count--;
}

void
dtp_idle_free(struct dtp_idle *idle)
{
    struct entry *e, *next;

    if (idle == NULL)
        return;
    DL_FOREACH_SAFE(idle->list, e, next) {
        unlink_entry(idle, e);
        free_entry(e);
    }
    mutex_free(idle->w.threads, idle->lock);
    mem_free(idle);
}

/* Unlink one: the latest to this peer, or, without a peer, one that was kept too long.  NULL: there is none. */
static struct entry *
pick(struct dtp_idle *idle, const struct net_addr *to)
{
    uint64_t now_ms = clock_mono_ms(idle->w.clock);
    struct entry *e, *found = NULL;

    mutex_lock(idle->w.threads, idle->lock);
    DL_FOREACH(idle->list, e)
        if (to != NULL ? e->to.port == to->port && strcmp(e->to.host, to->host) == 0
                       : e->until_ms <= now_ms || idle->count > IDLE_MAX) {
            found = e;
            if (to == NULL)
                break;
        }
    if (found != NULL)
        unlink_entry(idle, found);
    mutex_unlock(idle->w.threads, idle->lock);
    return found;
}

/* Neither ended nor anything to read: what comes next answers what is asked next. */
static bool
is_quiet(struct dtp_idle *idle, struct entry *e)
{
    size_t n = 0;
    uint8_t byte;

    return clock_mono_ms(idle->w.clock) < e->until_ms &&
           idle->w.net->ops->try_read(idle->w.net, e->conn.sock, &byte, 1, &n, NULL) == RC_OK && n == 0;
}

bool
dtp_idle_take(struct dtp_idle *idle, const struct net_addr *to, uint64_t read_ms, uint64_t write_ms, struct dtp_conn *ret)
{
    struct entry *e;

    while ((e = pick(idle, to)) != NULL) {
        if (is_quiet(idle, e)) {
            *ret = e->conn;
            ret->read_ms = read_ms;
            ret->write_ms = write_ms;
            mem_free(e);
            return true;
        }
        free_entry(e);
    }
    return false;
}

void
dtp_idle_put(struct dtp_idle *idle, const struct net_addr *to, struct dtp_conn *c)
{
    struct entry *e = c->in_at == c->in_n ? mem_zalloc(sizeof *e) : NULL;

    if (e != NULL) {
        e->to = *to;
        e->conn = *c;
        e->until_ms = clock_deadline(idle->w.clock, KEEP_MS);
        *c = (struct dtp_conn){ .w = c->w, .sock = -1 };
        mutex_lock(idle->w.threads, idle->lock);
        DL_APPEND(idle->list, e);
        idle->count++;
        mutex_unlock(idle->w.threads, idle->lock);
    }
    dtp_conn_fini(c);
    while ((e = pick(idle, NULL)) != NULL)
        free_entry(e);
}
