/*
 * simsqlite -- SQLite without threads, on our heap.
 *
 * SQLite's memory follows the node that runs, so that it is dropped with the
 * node.  Nothing that lives as long as the process may be on a node's heap: the
 * library is initialised here, on the ordinary one, and keeps no statistics.
 */
#include <sqlite3.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "tests/sim/simworld.h"

#define HEAD 16                 /* holds the size; 16 keeps the alignment */

static void *
s_malloc(int n)
{
    char *p = mem_alloc((size_t)n + HEAD);

    if (p == NULL)
        return NULL;
    memcpy(p, &n, sizeof n);
    return p + HEAD;
}

static void
s_free(void *p)
{
    mem_free((char *)p - HEAD);
}

static void *
s_realloc(void *p, int n)
{
    char *q = mem_realloc((char *)p - HEAD, (size_t)n + HEAD);

    if (q == NULL)
        return NULL;
    memcpy(q, &n, sizeof n);
    return q + HEAD;
}

static int
s_size(void *p)
{
    int n = 0;

    if (p != NULL)
        memcpy(&n, (char *)p - HEAD, sizeof n);
    return n;
}

static int s_roundup(int n) { return (n + 7) & ~7; }
static int s_init(void *arg UNUSED) { return SQLITE_OK; }
static void s_shutdown(void *arg UNUSED) {}

void
sim_sqlite_set_up(void)
{
    static const sqlite3_mem_methods methods = { s_malloc, s_free, s_realloc, s_size, s_roundup, s_init, s_shutdown, NULL };

    CHECK(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
    CHECK(sqlite3_initialize() == SQLITE_OK);
}
