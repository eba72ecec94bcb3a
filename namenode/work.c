#include "namenode/work.h"

#include "core/base/mem.h"
#include "core/base/table.h"

#define BUCKETS 4               /* one good replica, two, more; only to be trimmed */
#define BUCKET_TRIM 3
#define BUCKET_NONE 4           /* nothing can be done about it now */

struct need_one {
    uint64_t block;
    unsigned need, bucket;
    struct need_one *prev, *next;
    UT_hash_handle hh;
};

struct copy_one {
    struct nn_node *from;
    struct nn_storage *to;
    uint64_t block, deadline_ms;
    struct copy_one *prev, *next;       /* by deadline */
    struct copy_one *same_block;        /* the next copy of the block */
};

struct copies_of {
    uint64_t block;
    struct copy_one *first;
    UT_hash_handle hh;
};

struct drop_key { uint64_t block, storage; };

struct drop_one {
    struct drop_key key;
    struct nn_drop drop;
    struct nn_drop committed;           /* as it was when the open group began */
    bool is_committed;                  /* it was there then */
    uint64_t deadline_ms;
    struct drop_one *prev, *next;       /* by deadline */
    struct drop_one *next_changed;      /* changed in the open group */
    bool is_changed;
    UT_hash_handle hh;
};

struct nn_work {
    struct need_one *needs;
    struct need_one *buckets[BUCKETS];
    struct copies_of *copies;
    struct copy_one *copies_by_age;
    struct drop_one *drops;
    struct drop_one *drops_by_age;
    struct drop_one *done;              /* of earlier groups, told to be done in the open one */
    struct drop_one *changed;           /* added or changed in the open group */
    struct nn_work_counts counts;
};

enum rc nn_work_new(struct nn_work **ret, struct why *why)
{
    struct nn_work *w = mem_zalloc(sizeof *w);

    if (w == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = w;
    return RC_OK;
}

static void count(struct nn_work *w, const struct need_one *n, int by)
{
    w->counts.low += (n->need & NEED_LOW) != 0 ? (uint64_t)by : 0;
    w->counts.missing += (n->need & NEED_MISSING) != 0 ? (uint64_t)by : 0;
    w->counts.missing_one += (n->need & NEED_MISSING_ONE) != 0 ? (uint64_t)by : 0;
    w->counts.corrupt += (n->need & NEED_CORRUPT) != 0 ? (uint64_t)by : 0;
    w->counts.urgent += (n->need & NEED_COPY) != 0 && n->bucket == 0 ? (uint64_t)by : 0;
}

struct nn_work_counts nn_work_counts(const struct nn_work *w)
{
    return w->counts;
}

static void need_out(struct nn_work *w, struct need_one *n)
{
    count(w, n, -1);
    if (n->bucket < BUCKETS)
        DL_DELETE(w->buckets[n->bucket], n);
}

enum rc nn_work_set(struct nn_work *w, struct block_id block, unsigned need, unsigned good, struct why *why)
{
    unsigned bucket = BUCKET_NONE;
    struct need_one *n;

    if ((need & NEED_COPY) != 0)
        bucket = good <= 1 ? 0 : good == 2 ? 1 : 2;
    else if ((need & NEED_TRIM) != 0)
        bucket = BUCKET_TRIM;
    HASH_FIND(hh, w->needs, &block.v, sizeof block.v, n);
    if (n != NULL && n->need == need && n->bucket == bucket)
        return RC_OK;
    if (n == NULL && need == 0)
        return RC_OK;
    if (n == NULL) {
        if ((n = mem_zalloc(sizeof *n)) == NULL)
            return why_rc(why, RC_NOMEM);
        n->block = block.v;
        HASH_ADD(hh, w->needs, block, sizeof n->block, n);
    } else {
        need_out(w, n);
    }
    if (need == 0) {
        HASH_DEL(w->needs, n);
        mem_free(n);
        return RC_OK;
    }
    n->need = need;
    n->bucket = bucket;
    count(w, n, 1);
    if (bucket < BUCKETS)
        DL_APPEND(w->buckets[bucket], n);
    return RC_OK;
}

unsigned nn_work_need(const struct nn_work *w, struct block_id block)
{
    struct need_one *n;

    HASH_FIND(hh, w->needs, &block.v, sizeof block.v, n);
    return n == NULL ? 0 : n->need;
}

size_t nn_work_turns(struct nn_work *w, struct block_id *ret, size_t max)
{
    size_t got = 0;

    for (unsigned b = 0; b < BUCKETS && got < max; b++) {
        struct need_one *first = w->buckets[b], *n;

        while (got < max && (n = w->buckets[b]) != NULL) {
            ret[got++].v = n->block;
            DL_DELETE(w->buckets[b], n);
            DL_APPEND(w->buckets[b], n);
            if (w->buckets[b] == first)
                break;
        }
    }
    return got;
}

size_t nn_work_list(const struct nn_work *w, unsigned mask, struct block_id *ret, size_t max)
{
    struct need_one *n, *next;
    size_t got = 0;

    HASH_ITER(hh, w->needs, n, next)
        if ((n->need & mask) != 0 && got < max)
            ret[got++].v = n->block;
    return got;
}

enum rc nn_copy_add(struct nn_work *w, struct block_id block, struct nn_node *from, struct nn_storage *to,
                    uint64_t deadline_ms, struct why *why)
{
    struct copies_of *of;
    struct copy_one *c = mem_zalloc(sizeof *c);

    if (c == NULL)
        return why_rc(why, RC_NOMEM);
    HASH_FIND(hh, w->copies, &block.v, sizeof block.v, of);
    if (of == NULL) {
        if ((of = mem_zalloc(sizeof *of)) == NULL) {
            mem_free(c);
            return why_rc(why, RC_NOMEM);
        }
        of->block = block.v;
        HASH_ADD(hh, w->copies, block, sizeof of->block, of);
    }
    *c = (struct copy_one){ .from = from, .to = to, .block = block.v, .deadline_ms = deadline_ms, .same_block = of->first };
    of->first = c;
    DL_APPEND(w->copies_by_age, c);
    if (from != NULL)
        from->copying++;
    w->counts.copying++;
    return RC_OK;
}

static void copy_forget(struct nn_work *w, struct copy_one *c)
{
    struct copies_of *of;
    struct copy_one **at;

    HASH_FIND(hh, w->copies, &c->block, sizeof c->block, of);
    for (at = &of->first; *at != c; at = &(*at)->same_block)
        ;
    *at = c->same_block;
    if (of->first == NULL) {
        HASH_DEL(w->copies, of);
        mem_free(of);
    }
    DL_DELETE(w->copies_by_age, c);
    if (c->from != NULL && c->from->copying > 0)
        c->from->copying--;
    w->counts.copying--;
    mem_free(c);
}

bool nn_copy_done(struct nn_work *w, struct block_id block, const struct nn_node *to)
{
    struct copies_of *of;

    HASH_FIND(hh, w->copies, &block.v, sizeof block.v, of);
    if (of == NULL)
        return false;
    for (struct copy_one *c = of->first; c != NULL; c = c->same_block)
        if (c->to->node == to) {
            copy_forget(w, c);
            return true;
        }
    return false;
}

bool nn_copy_failed(struct nn_work *w, struct block_id block, const struct nn_node *from)
{
    struct copies_of *of;
    bool any = false;

    HASH_FIND(hh, w->copies, &block.v, sizeof block.v, of);
    for (struct copy_one *c = of == NULL ? NULL : of->first, *next; c != NULL; c = next) {
        next = c->same_block;
        if (c->from == from) {
            copy_forget(w, c);
            any = true;
        }
    }
    return any;
}

size_t nn_copy_targets(const struct nn_work *w, struct block_id block, struct nn_node **ret, size_t max)
{
    struct copies_of *of;
    size_t got = 0;

    HASH_FIND(hh, w->copies, &block.v, sizeof block.v, of);
    for (struct copy_one *c = of == NULL ? NULL : of->first; c != NULL && got < max; c = c->same_block)
        ret[got++] = c->to->node;
    return got;
}

struct block_id nn_copy_expire(struct nn_work *w, uint64_t now_ms)
{
    struct copy_one *c = w->copies_by_age;
    struct block_id block = { 0 };

    if (c != NULL && c->deadline_ms <= now_ms) {
        block.v = c->block;
        copy_forget(w, c);
    }
    return block;
}

struct block_id nn_copy_drop_node(struct nn_work *w, const struct nn_node *n)
{
    struct block_id block = { 0 };
    struct copy_one *c;

    DL_FOREACH(w->copies_by_age, c)
        if (c->from == n || c->to->node == n) {
            block.v = c->block;
            copy_forget(w, c);
            return block;
        }
    return block;
}

enum rc nn_drop_add(struct nn_work *w, const struct nn_drop *drop, uint64_t deadline_ms, struct why *why)
{
    struct drop_key key = { drop->block.v, drop->storage };
    struct drop_one *d;

    HASH_FIND(hh, w->drops, &key, sizeof key, d);
    if (d == NULL) {
        if ((d = mem_zalloc(sizeof *d)) == NULL)
            return why_rc(why, RC_NOMEM);
        d->key = key;
        HASH_ADD(hh, w->drops, key, sizeof d->key, d);
        w->counts.deleting++;
    } else {
        DL_DELETE(w->drops_by_age, d);
    }
    if (!d->is_changed) {
        d->is_changed = true;
        LL_PREPEND2(w->changed, d, next_changed);
    }
    d->drop = *drop;
    d->deadline_ms = deadline_ms;
    DL_APPEND(w->drops_by_age, d);
    return RC_OK;
}

static struct drop_one *drop_find(const struct nn_work *w, struct block_id block, uint32_t storage)
{
    struct drop_key key = { block.v, storage };
    struct drop_one *d;

    HASH_FIND(hh, w->drops, &key, sizeof key, d);
    return d;
}

static void drop_out(struct nn_work *w, struct drop_one *d)
{
    HASH_DEL(w->drops, d);
    DL_DELETE(w->drops_by_age, d);
    w->counts.deleting--;
    if (d->is_changed)
        LL_DELETE2(w->changed, d, next_changed);
    d->is_changed = false;
}

/* Until the group is committed it may turn out that nobody said so. */
static void drop_forget(struct nn_work *w, struct drop_one *d)
{
    drop_out(w, d);
    if (d->is_committed)
        DL_APPEND(w->done, d);
    else
        mem_free(d);
}

static void done_free(struct nn_work *w)
{
    struct drop_one *d;

    while ((d = w->done) != NULL) {
        DL_DELETE(w->done, d);
        mem_free(d);
    }
}

void nn_work_committed(struct nn_work *w)
{
    struct drop_one *d;

    done_free(w);
    while ((d = w->changed) != NULL) {
        LL_DELETE2(w->changed, d, next_changed);
        d->is_changed = false;
        d->committed = d->drop;
        d->is_committed = true;
    }
}

/* As it was before the open group, and late. */
static void drop_restore(struct nn_work *w, struct drop_one *d)
{
    d->drop = d->committed;
    d->deadline_ms = 0;
    HASH_ADD(hh, w->drops, key, sizeof d->key, d);
    DL_PREPEND(w->drops_by_age, d);
    w->counts.deleting++;
}

bool nn_drop_is_ordered(const struct nn_work *w, struct block_id block, uint32_t storage, uint64_t stamp)
{
    const struct drop_one *d = drop_find(w, block, storage);

    return d != NULL && d->drop.stamp >= stamp;
}

bool nn_drop_done(struct nn_work *w, struct block_id block, uint32_t storage)
{
    struct drop_one *d = drop_find(w, block, storage);

    if (d == NULL)
        return false;
    drop_forget(w, d);
    return true;
}

bool nn_drop_failed(struct nn_work *w, struct block_id block, uint32_t storage, uint64_t seq)
{
    const struct drop_one *d = drop_find(w, block, storage);

    return d != NULL && d->drop.seq == seq && nn_drop_done(w, block, storage);
}

bool nn_drop_late(struct nn_work *w, uint64_t now_ms, uint64_t again_ms, struct nn_drop *ret)
{
    struct drop_one *d = w->drops_by_age;

    if (d == NULL || d->deadline_ms > now_ms)
        return false;
    *ret = d->drop;
    DL_DELETE(w->drops_by_age, d);
    d->deadline_ms = again_ms;
    DL_APPEND(w->drops_by_age, d);
    return true;
}

void nn_drop_storage(struct nn_work *w, uint32_t storage)
{
    struct drop_one *d, *next;

    DL_FOREACH_SAFE(w->drops_by_age, d, next)
        if (d->key.storage == storage)
            drop_forget(w, d);
}

/* Needs and copies: a sweep finds them again. */
static void plans_free(struct nn_work *w)
{
    struct need_one *n, *next;
    struct copy_one *c;

    HASH_ITER(hh, w->needs, n, next) {
        need_out(w, n);
        HASH_DEL(w->needs, n);
        mem_free(n);
    }
    while ((c = w->copies_by_age) != NULL)
        copy_forget(w, c);
}

void nn_work_undone(struct nn_work *w)
{
    struct drop_one *all = NULL, *d;

    plans_free(w);
    while ((d = w->drops_by_age) != NULL) {
        drop_out(w, d);
        DL_APPEND(all, d);
    }
    DL_CONCAT(w->done, all);
    while ((d = w->done) != NULL) {
        DL_DELETE(w->done, d);
        if (d->is_committed)
            drop_restore(w, d);
        else
            mem_free(d);
    }
}

void nn_work_free(struct nn_work *w)
{
    struct drop_one *d;

    if (w == NULL)
        return;
    plans_free(w);
    while ((d = w->drops_by_age) != NULL) {
        drop_out(w, d);
        mem_free(d);
    }
    done_free(w);
    mem_free(w);
}
