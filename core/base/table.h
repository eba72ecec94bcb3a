/*
 * table -- uthash on our own heap.  Include this instead of <uthash.h>.
 */
#ifndef CORE_BASE_TABLE_H
#define CORE_BASE_TABLE_H

#include "core/base/check.h"
#include "core/base/mem.h"

#define uthash_malloc(n) mem_alloc(n)
#define uthash_free(p, n) mem_free(p)
#define uthash_fatal(msg) check_failed(__FILE__, __LINE__, msg)

#include <uthash.h>
#include <utlist.h>

#endif
