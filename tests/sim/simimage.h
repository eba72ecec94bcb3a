/*
 * simimage -- what a simulated disk holds: as processes see it, and as a power
 * cut would leave it.
 *
 * A file has two images.  A write changes the one that is seen and is noted; a
 * sync applies the notes to the durable one.  Names are one journal for the
 * whole disk, each line a change of one or two directories.  All of it is on
 * the ordinary heap.
 */
#ifndef TESTS_SIM_SIMIMAGE_H
#define TESTS_SIM_SIMIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/table.h"
#include "tests/sim/simworld.h"

struct note {                   /* one write or truncation since the last sync */
    struct note *next;
    bool is_truncate;
    uint64_t at, n;             /* n: bytes, or the new size */
    uint8_t bytes[];
};

struct image {
    uint8_t *p;
    size_t n, cap;
};

struct entry {
    UT_hash_handle hh;
    struct inode *inode;
    char name[];
};

struct inode {
    struct inode *next;         /* all of the disk */
    uint64_t id;
    bool is_dir, is_memory;     /* memory: takes no room of the disk */
    uint32_t mode;
    uint64_t mtime_ms;
    unsigned opens;
    int locked_by;              /* fd + 1; 0: nobody */
    struct image seen, durable;
    struct note *notes, **notes_end;
    struct entry *names, *durable_names;    /* of a directory */
    bool is_kept;               /* mark of the sweep */
    bool is_rotten;             /* a bit of it was flipped */
};

struct change {                 /* one line of the journal: remove then add, either may be absent */
    struct change *next;
    struct inode *from, *to;
    char *from_name, *to_name;
    struct inode *inode;
};

struct handle {
    struct inode *inode;        /* NULL: free */
    unsigned flags;
    struct sim_node *owner;     /* NULL: on its way from one process to another */
};

struct sim_disk {
    struct inode *inodes, *root;
    uint64_t next_id;
    struct change *changes, **changes_end;
    struct handle *handles;
    size_t handle_count;
    uint64_t limit, used;
    enum sim_point fail_point;
    uint64_t fail_in;
};

void sim_image_copy(struct image *to, const struct image *from);
void sim_note_apply(struct image *im, const struct note *note);
void sim_note_add(struct inode *f, bool is_truncate, const void *p, uint64_t n, uint64_t at);  /* seen, and noted */
void sim_notes_drop(struct inode *f);

struct entry *sim_names_find(struct entry *names, const char *name);

/* Take from_name off `from` and put to_name with inode into `to`; either may be NULL. */
void sim_change_add(struct sim_disk *d, struct inode *from, const char *from_name, struct inode *to, const char *to_name,
                    struct inode *inode);
/* Take the first change off the journal, making it durable or not. */
void sim_change_take(struct sim_disk *d, bool apply);

struct inode *sim_inode_new(struct sim_disk *d, bool is_dir, uint32_t mode);
void sim_inode_free(struct inode *f);

/* Free what no name, handle or line of the journal leads to, and count the bytes of the rest. */
void sim_disk_sweep(struct sim_disk *d);

/* The power cut: of one file; of the journal, when every file is done. */
void sim_file_lose(struct sim *s, struct inode *f);
void sim_names_lose(struct sim *s, struct sim_disk *d);

#endif
