/*
 * nn_actors -- pretended DataNodes and a pretended writer around one fake_nn.
 */
#ifndef TESTS_UNIT_NN_ACTORS_H
#define TESTS_UNIT_NN_ACTORS_H

#include "tests/unit/nn_fake.h"

#define NODES 4
#define BYTES 700               /* of every block */

/* A pretended DataNode with one storage. */
struct fake_dn {
    char uuid[16], storage[16], host[16];
    uint64_t epoch, seq, seen_txid;
    uint64_t taken;
    bool is_fuller;             /* than the others, from its next heartbeat on */
};

extern struct fake_nn f;
extern struct fake_dn dn[NODES];
extern struct why why;          /* of the last refusal */

/* Before each test: a NameNode to which all nodes have reported that they hold nothing. */
void actors_begin(void);
/* After each: whatever the test did, the tables hold together and the log gives them again. */
void actors_end(void);

/* DataNodes. */
void dn_name(int i);
void dn_register(int i);
/* A full report of n finalized blocks; as the DataNode does it: hashes, then the range if it differs. */
bool dn_report(int i, const DnBlock *blocks, size_t n);
void dn_change(int i, DnChange__Kind kind, DnBlock block);
void dn_heartbeat(int i);
/* Time passes; the nodes of mask (bits) are heard now and then. */
void pass(uint64_t ms, unsigned mask);
/* Ask for orders: what is there at once.  Returns how many; the first is copied. */
size_t dn_orders(int i, DnOrder *ret, DnBlock *ret_block, char ret_target[16]);
int node_of(const char *uuid);

/* Clients. */
void create(const char *path, uint32_t replication);
/* addBlock; previous may be NULL.  *ret is the new block, nodes[] where it goes. */
size_t add_block(const char *path, const DnBlock *previous, DnBlock *ret, int nodes[NODES]);
struct fake_call *complete_start(const char *path, const DnBlock *last);
bool complete_end(struct fake_call *c);
bool complete(const char *path, const DnBlock *last);
/* Locations of the file's last block, of any number of bytes. */
size_t locate(const char *path, int nodes[NODES]);
/* A closed file of one block on three nodes, all reported; nodes[0..2]. */
DnBlock write_file(const char *path, int nodes[NODES]);
int other_than(const int nodes[3]);

#endif
