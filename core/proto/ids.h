/*
 * ids -- the numbers that name things, each of its own type.
 */
#ifndef CORE_PROTO_IDS_H
#define CORE_PROTO_IDS_H

#include <stdint.h>

struct inode_id { uint64_t v; };    /* 16385 is the root, 0 unknown */
struct block_id { uint64_t v; };    /* counts up from 1073741825 */
struct stamp    { uint64_t v; };    /* generation stamp; counts up from 1001 */
struct txid     { uint64_t v; };    /* row of the NameNode's log, from 1 */

#define ROOT_INODE      UINT64_C(16385)
#define FIRST_BLOCK_ID  UINT64_C(1073741825)
#define FIRST_STAMP     UINT64_C(1001)

#endif
