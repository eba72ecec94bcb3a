/*
 * safemode -- whether the namespace may be changed, and why not.
 *
 * Plain functions of what is known.  A NameNode starts in safe mode when it has
 * blocks, and leaves it when enough of them have a good replica that was
 * reported in this run; a superuser may enter and leave it by hand.  A NameNode
 * that is behind what a DataNode has seen never leaves by itself.
 */
#ifndef NAMENODE_SAFEMODE_H
#define NAMENODE_SAFEMODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"

struct nn_safemode {
    bool on;
    bool by_hand;               /* entered by setSafeMode: left the same way only */
    bool startup;               /* this run has not left it yet */
    bool behind;                /* a DataNode has seen more than this database holds */
    char behind_text[400];      /* which, and how much more */
    uint64_t ready_ms;          /* mono: when the conditions were first met; 0: they are not */
};

struct nn_safemode_facts {
    uint64_t blocks;            /* complete blocks of the namespace */
    uint64_t safe;              /* those with a good replica reported in this run */
    double threshold;           /* share that is needed */
    uint64_t live_nodes, nodes_wanted;
    uint64_t extension_ms;
    uint64_t now_ms;            /* mono */
};

void nn_safemode_start(struct nn_safemode *s, bool has_blocks);

/* Look at the facts; true when safe mode ended just now. */
bool nn_safemode_step(struct nn_safemode *s, const struct nn_safemode_facts *f);

void nn_safemode_enter(struct nn_safemode *s);
/* RC_SAFE_MODE when it is refused: behind, and not forced. */
enum rc nn_safemode_leave(struct nn_safemode *s, bool force, struct why *why) MUST_CHECK;

/* A DataNode has seen what this database does not have. */
void nn_safemode_set_behind(struct nn_safemode *s, const char *text);

/* What it waits for, in Hadoop's words; empty when it is off.  Does not name nodes. */
void nn_safemode_explain(const struct nn_safemode *s, const struct nn_safemode_facts *f, struct buf *b);

#endif
