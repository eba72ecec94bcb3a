#include "tests/sim/simimage.h"

#include <string.h>

#include "core/base/check.h"
#include "tests/sim/sim_priv.h"

#define SECTOR ((uint64_t)512)

/* Images. */

static void
image_resize(struct image *im, uint64_t n)
{
    if (n > im->cap) {
        im->cap = n < 4096 ? 4096 : n + n / 2;
        im->p = mem_realloc(im->p, im->cap);
        CHECK(im->p != NULL);
    }
    if (n > im->n)
        memset(im->p + im->n, 0, n - im->n);
    im->n = n;
}

static void
image_write(struct image *im, const void *p, uint64_t n, uint64_t at)
{
    if (n == 0)
        return;
    if (at + n > im->n)
        image_resize(im, at + n);
    memcpy(im->p + at, p, n);
}

void
sim_image_copy(struct image *to, const struct image *from)
{
    image_resize(to, 0);
    image_resize(to, from->n);
    if (from->n > 0)
        memcpy(to->p, from->p, from->n);
}

void
sim_note_apply(struct image *im, const struct note *note)
{
    if (note->is_truncate)
        image_resize(im, note->n);
    else
        image_write(im, note->bytes, note->n, note->at);
}

void
sim_notes_drop(struct inode *f)
{
    struct note *note;

    while ((note = f->notes) != NULL) {
        f->notes = note->next;
        mem_free(note);
    }
    f->notes_end = &f->notes;
}

void
sim_note_add(struct inode *f, bool is_truncate, const void *p, uint64_t n, uint64_t at)
{
    struct note *note = sim_alloc(sizeof *note + (is_truncate ? 0 : n));

    note->is_truncate = is_truncate;
    note->n = n;
    note->at = at;
    if (!is_truncate && n > 0)
        memcpy(note->bytes, p, n);
    *f->notes_end = note;
    f->notes_end = &note->next;
    sim_note_apply(&f->seen, note);
}

/* Names. */

struct entry *
sim_names_find(struct entry *names, const char *name)
{
    struct entry *e;

    HASH_FIND_STR(names, name, e);
    return e;
}

static void
names_remove(struct entry **names, const char *name)
{
    struct entry *e = sim_names_find(*names, name);

    if (e == NULL)
        return;
    HASH_DEL(*names, e);
    mem_free(e);
}

static void
names_add(struct entry **names, const char *name, struct inode *inode)
{
    struct entry *e;

    names_remove(names, name);
    e = sim_alloc(sizeof *e + strlen(name) + 1);
    memcpy(e->name, name, strlen(name) + 1);
    e->inode = inode;
    HASH_ADD_STR(*names, name, e);
}

static void
names_clear(struct entry **names)
{
    struct entry *e, *next;

    HASH_ITER(hh, *names, e, next) {
        HASH_DEL(*names, e);
        mem_free(e);
    }
}

static char *
text_copy(const char *s)
{
    return s == NULL ? NULL : memcpy(sim_alloc(strlen(s) + 1), s, strlen(s) + 1);
}

void
sim_change_add(struct sim_disk *d, struct inode *from, const char *from_name, struct inode *to, const char *to_name,
           struct inode *inode)
{
    struct change *c = sim_alloc(sizeof *c);

    *c = (struct change){ NULL, from, to, text_copy(from_name), text_copy(to_name), inode };
    *d->changes_end = c;
    d->changes_end = &c->next;
    if (from != NULL)
        names_remove(&from->names, from_name);
    if (to != NULL)
        names_add(&to->names, to_name, inode);
}

static void
change_apply(const struct change *c)
{
    if (c->from != NULL)
        names_remove(&c->from->durable_names, c->from_name);
    if (c->to != NULL)
        names_add(&c->to->durable_names, c->to_name, c->inode);
}

void
sim_change_take(struct sim_disk *d, bool apply)
{
    struct change *c = d->changes;

    d->changes = c->next;
    if (d->changes == NULL)
        d->changes_end = &d->changes;
    if (apply)
        change_apply(c);
    mem_free(c->from_name);
    mem_free(c->to_name);
    mem_free(c);
}

struct inode *
sim_inode_new(struct sim_disk *d, bool is_dir, uint32_t mode)
{
    struct inode *f = sim_alloc(sizeof *f);

    f->id = ++d->next_id;
    f->is_dir = is_dir;
    f->mode = mode;
    f->notes_end = &f->notes;
    f->next = d->inodes;
    d->inodes = f;
    return f;
}

void
sim_inode_free(struct inode *f)
{
    sim_notes_drop(f);
    names_clear(&f->names);
    names_clear(&f->durable_names);
    mem_free(f->seen.p);
    mem_free(f->durable.p);
    mem_free(f);
}

static void
inode_mark(struct inode *f)
{
    struct entry *e, *next;

    if (f->is_kept)
        return;
    f->is_kept = true;
    HASH_ITER(hh, f->names, e, next)
        inode_mark(e->inode);
    HASH_ITER(hh, f->durable_names, e, next)
        inode_mark(e->inode);
}

void
sim_disk_sweep(struct sim_disk *d)
{
    struct inode **at, *f;

    inode_mark(d->root);
    for (size_t i = 0; i < d->handle_count; i++)
        if (d->handles[i].inode != NULL)
            inode_mark(d->handles[i].inode);
    for (struct change *c = d->changes; c != NULL; c = c->next) {
        if (c->from != NULL)
            inode_mark(c->from);
        if (c->to != NULL)
            inode_mark(c->to);
        if (c->inode != NULL)
            inode_mark(c->inode);
    }
    d->used = 0;
    for (at = &d->inodes; (f = *at) != NULL;) {
        if (f->is_kept) {
            f->is_kept = false;
            d->used += f->is_memory ? 0 : f->seen.n;
            at = &f->next;
        } else {
            *at = f->next;
            sim_inode_free(f);
        }
    }
}

/* Some sectors of the write reach the disk. */
static void
note_tear(struct sim *s, struct image *im, const struct note *note)
{
    for (uint64_t at = 0; at < note->n; at += SECTOR) {
        uint64_t n = note->n - at < SECTOR ? note->n - at : SECTOR;

        if (rng_below(&s->rng.rng, 2) == 0)
            image_write(im, note->bytes + at, n, note->at + at);
    }
}

void
sim_file_lose(struct sim *s, struct inode *f)
{
    uint64_t mood = rng_below(&s->rng.rng, 4);      /* keep all, lose all, or decide for each write */

    for (struct note *note = f->notes; note != NULL; note = note->next) {
        uint64_t fate = mood < 2 ? mood : rng_below(&s->rng.rng, 3);

        if (fate == 0)
            sim_note_apply(&f->durable, note);
        else if (fate == 2 && !note->is_truncate)
            note_tear(s, &f->durable, note);
    }
    sim_notes_drop(f);
    sim_image_copy(&f->seen, &f->durable);
}

void
sim_names_lose(struct sim *s, struct sim_disk *d)
{
    bool in_order = rng_below(&s->rng.rng, 2) == 0;
    uint64_t count = 0, keep;
    struct entry *e, *next;

    for (struct change *c = d->changes; c != NULL; c = c->next)
        count++;
    keep = rng_below(&s->rng.rng, count + 1);
    for (uint64_t i = 0; d->changes != NULL; i++)
        sim_change_take(d, in_order ? i < keep : rng_below(&s->rng.rng, 2) == 0);
    for (struct inode *f = d->inodes; f != NULL; f = f->next) {
        names_clear(&f->names);
        HASH_ITER(hh, f->durable_names, e, next)
            names_add(&f->names, e->name, e->inode);
    }
}
