/*
 * load -- what the programs below tests/cluster do to a filesystem while it is being harmed, and what they may demand of
 * it afterwards.
 *
 *     load run DIR JOURNAL [creators=8] [putters=2] [appenders=1] [getters=2] [seconds=0] [seed=1] [big=3000000]
 *     load verify JOURNAL [power] [recover]
 *
 * `run` works below DIR until its standard input ends (or for the seconds) and writes a line into the journal before each
 * call that changes something and one after it.  Byte i of a file is load_byte(seed, i), so a file says by itself whether
 * its bytes are right.  `verify` reads the journal, says what must be there and what may be, and looks: it prints one
 * object of JSON and exits with 1 when something acknowledged is missing or a byte is wrong.  With `power` the machines
 * were without power: bytes that were only hflushed may be gone.  With `recover` it first recovers the leases of files
 * that stayed open.
 *
 * The journal is text, one write(2) a line; fields are separated by blanks:
 *     WORKER ? OP ARGUMENTS                       before the call
 *     WORKER + OP BEGAN_MS ENDED_MS [NUMBER]      it succeeded; NUMBER: bytes
 *     WORKER ! OP BEGAN_MS ENDED_MS RC text       it failed: may or may not have happened
 *     WORKER X text                               wrong bytes, or an acknowledged name that is missing, seen while running
 * Times are CLOCK_MONOTONIC.  Operations and their arguments: enum load_op.
 */
#ifndef TESTS_CLUSTER_LOAD_H
#define TESTS_CLUSTER_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/world.h"
#include "core/conf/conf.h"

enum load_op {
    LOAD_MKDIR = 'M',       /* path */
    LOAD_CREATE = 'C',      /* path seed most: it will have up to so many bytes */
    LOAD_APPEND = 'A',      /* path bytes most: a file of so many bytes is opened */
    LOAD_FLUSH = 'H',       /* path bytes: hflush of that many */
    LOAD_SYNC = 'S',        /* path bytes: hsync */
    LOAD_CLOSE = 'Z',       /* path bytes */
    LOAD_RENAME = 'R',      /* from to */
    LOAD_DELETE = 'D',      /* path, with all below */
    LOAD_READ = 'G',        /* path: read whole, every byte compared */
};

#define LOAD_PATH_MAX 256

/* What the journal says of a path. */
struct load_file {
    char path[LOAD_PATH_MAX];
    char partner[LOAD_PATH_MAX];    /* one of path and partner has the file: a rename whose end is unknown; "" without */
    enum { LOAD_GONE, LOAD_THERE, LOAD_MAYBE } state;
    bool is_dir, closed;            /* closed: bytes_min is its length */
    bool torn;                      /* an operation on it failed or never ended: its length is only bounded */
    uint64_t seed, bytes_min, bytes_max, flushed;
};

/* Eight bytes of the file of this seed, from byte 8 * word. */
uint64_t load_word(uint64_t seed, uint64_t word);
void load_fill(uint64_t seed, uint64_t at, uint8_t *p, size_t n);
/* Index of the first of n bytes that is wrong; n if none is. */
size_t load_compare(uint64_t seed, uint64_t at, const uint8_t *p, size_t n);
uint64_t load_seed_of(const char *path);

/* Calls on_file for each path of the journal, in the order of their first appearance.  False: the journal is damaged. */
bool load_replay(const char *journal, void (*on_file)(void *arg, struct load_file *f), void *arg);

int load_run(const struct world *w, const struct conf *conf, int argc, char **argv);
int load_verify(const struct world *w, const struct conf *conf, int argc, char **argv);

#endif
