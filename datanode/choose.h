/*
 * choose -- which volume takes a new replica: in turn, in proportion to free space.
 */
#ifndef DATANODE_CHOOSE_H
#define DATANODE_CHOOSE_H

#include <stddef.h>
#include <stdint.h>

/* One volume as the choice sees it. */
struct dn_choice {
    uint64_t room;      /* bytes that it may still take; 0 when it is not to be used */
    int64_t credit;     /* kept from choice to choice, 0 at first */
};

/*
 * The index of a volume with room for need bytes, -1 if there is none.  Over many
 * calls each volume is taken in proportion to its room, and never long in a row.
 */
int dn_choose(struct dn_choice *volumes, size_t n, uint64_t need);

#endif
