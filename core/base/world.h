/*
 * world -- everything outside a program that it may touch.
 *
 * Daemons and libraries get one at start and reach time, chance, files, threads
 * and the network through it and in no other way.  world_posix (core/net) is
 * the real one; the simulator builds one for each simulated node.
 */
#ifndef CORE_BASE_WORLD_H
#define CORE_BASE_WORLD_H

struct clock;
struct rng;
struct io;
struct threads;
struct net;

struct world {
    struct clock *clock;
    struct rng *rng;
    struct io *io;
    struct threads *threads;
    struct net *net;
};

#endif
