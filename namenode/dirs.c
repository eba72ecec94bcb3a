#include "namenode/dirs.h"

#include <string.h>

#include "core/base/faults.h"
#include "core/base/mem.h"
#define HASH_NONFATAL_OOM 1     /* what is not added has no table */
#include "core/base/table.h"

#define ENTRIES_MAX 10000       /* of a connection; then all are forgotten */
#define NAME_MAX_BYTES 255

struct nn_dir {
    UT_hash_handle by_name, by_id;
    struct nn_inode inode;
    size_t key_n;
    uint8_t key[];              /* parent and name */
};

/* The key's length; 0 when the name is too long to be remembered. */
static size_t
key_of(uint64_t parent, struct span name, uint8_t key[8 + NAME_MAX_BYTES])
{
    if (name.n > NAME_MAX_BYTES)
        return 0;
    memcpy(key, &parent, sizeof parent);
    if (name.n > 0)
        memcpy(key + sizeof parent, name.p, name.n);
    return sizeof parent + name.n;
}

bool
nn_dirs_find(const struct nn_db *db, uint64_t parent, struct span name, struct nn_inode *ret)
{
    uint8_t key[8 + NAME_MAX_BYTES];
    struct nn_dir *d = NULL;
    size_t n;

    if (!db->dirs_on || (n = key_of(parent, name, key)) == 0)
        return false;
    HASH_FIND(by_name, db->dirs_by_name, key, n, d);
    if (d == NULL)
        return false;
    *ret = d->inode;
    return true;
}

static struct nn_dir *
find_id(const struct nn_db *db, uint64_t id)
{
    struct nn_dir *d;

    HASH_FIND(by_id, db->dirs_by_id, &id, sizeof id, d);
    return d;
}

static void
drop(struct nn_db *db, struct nn_dir *d)
{
    HASH_DELETE(by_name, db->dirs_by_name, d);
    HASH_DELETE(by_id, db->dirs_by_id, d);
    mem_free(d);
}

void
nn_dirs_add(struct nn_db *db, uint64_t parent, struct span name, const struct nn_inode *dir)
{
    uint8_t key[8 + NAME_MAX_BYTES];
    struct nn_dir *d;
    size_t n;

    if (!db->dirs_on || (n = key_of(parent, name, key)) == 0)
        return;
    if (HASH_CNT(by_id, db->dirs_by_id) >= ENTRIES_MAX)
        nn_dirs_forget_all(db);
    if ((d = find_id(db, dir->id)) != NULL)     /* under another name, in a transaction that has ended */
        drop(db, d);
    if ((d = mem_zalloc(sizeof *d + n)) == NULL)
        return;                 /* it is looked up again */
    d->inode = *dir;
    d->key_n = n;
    memcpy(d->key, key, n);
    HASH_ADD_KEYPTR(by_name, db->dirs_by_name, d->key, d->key_n, d);
    if (d->by_name.tbl == NULL) {
        mem_free(d);
        return;
    }
    HASH_ADD(by_id, db->dirs_by_id, inode.id, sizeof d->inode.id, d);
    if (d->by_id.tbl == NULL) {
        HASH_DELETE(by_name, db->dirs_by_name, d);
        mem_free(d);
    }
}

void
nn_dirs_count(struct nn_db *db, uint64_t dir, int change, uint64_t at_ms)
{
    struct nn_dir *d = find_id(db, dir);

    if (d == NULL)
        return;
    d->inode.children += (uint64_t)(int64_t)change;
    if (at_ms > d->inode.mtime)
        d->inode.mtime = at_ms;
}

void
nn_dirs_forget(struct nn_db *db, uint64_t inode)
{
    struct nn_dir *d = find_id(db, inode);

    db->dirs_changed = true;
    if (d != NULL && !old_bug(OLD_BUG_DIRECTORY_REMEMBERED))
        drop(db, d);
}

void
nn_dirs_forget_all(struct nn_db *db)
{
    struct nn_dir *d, *next;

    HASH_ITER(by_id, db->dirs_by_id, d, next)
        drop(db, d);
}

void
nn_dirs_changing(nn_dirs_number *number)
{
    if (!old_bug(OLD_BUG_DIRECTORY_REMEMBERED))
        (void)atomic_fetch_add(number, 1);
}

uint64_t
nn_dirs_load(const nn_dirs_number *number)
{
    return atomic_load(number);
}

void
nn_dirs_begin(struct nn_db *db, uint64_t before, const nn_dirs_number *number)
{
    db->dirs_on = before % 2 == 0 && atomic_load(number) == before;
    if (!db->dirs_on || db->dirs_number == before)
        return;
    nn_dirs_forget_all(db);
    db->dirs_number = before;
}

void
nn_dirs_end(struct nn_db *db)
{
    db->dirs_on = false;
}
