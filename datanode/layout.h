/*
 * layout -- how replicas lie on a disk: HDFS's names, paths and meta header
 * (docs/formats/datanode-disk.md).  Pure functions.
 *
 *     DIR/in_use.lock
 *     DIR/current/VERSION                              whose storage this is
 *     DIR/current/seen                                 highest numbers heard of the NameNode
 *     DIR/current/BP-.../current/VERSION
 *     DIR/current/BP-.../current/finalized/subdirN/subdirM/blk_ID, blk_ID_STAMP.meta
 *     DIR/current/BP-.../current/rbw/                  being written
 *     DIR/current/BP-.../tmp/                          copies under way; emptied at start
 *     DIR/current/BP-.../aside/UNTIL.blk_ID...         unknown to the namespace, kept until UNTIL (wall ms)
 */
#ifndef DATANODE_LAYOUT_H
#define DATANODE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/io/crc.h"
#include "core/proto/ids.h"

#define DN_META_HEAD    7               /* version, checksum type, bytes per checksum */
#define DN_CHUNK_MAX    (1024 * 1024)
#define DN_DIR_MAX      700             /* longest data directory */
#define DN_PATH_MAX     1024

struct dn_path { char p[DN_PATH_MAX]; };

/* How the checksums of a replica were made. */
struct dn_meta {
    enum crc_type type;
    uint32_t chunk;                     /* bytes that one checksum covers */
};

void dn_meta_put(const struct dn_meta *m, uint8_t out[DN_META_HEAD]);
/* RC_CORRUPT for anything but a whole header of a known kind: there is no replica without checksums. */
enum rc dn_meta_parse(const uint8_t *p, size_t n, struct dn_meta *ret, struct why *why) MUST_CHECK;
/* Size of the meta file of a replica of so many bytes. */
uint64_t dn_meta_bytes(uint32_t chunk, uint64_t data_bytes);
/* Where the checksum of the chunk at this offset lies. */
uint64_t dn_meta_at(uint32_t chunk, uint64_t offset);

/* Where a pair of files lies. */
enum dn_place { DN_IN_FINALIZED, DN_IN_RBW, DN_IN_TMP, DN_PLACES };

/* pool: the directory DIR/current/BP-... */
void dn_path_dir(const char *pool, enum dn_place place, struct block_id id, struct dn_path *ret);
void dn_path_data(const char *pool, enum dn_place place, struct block_id id, struct dn_path *ret);
void dn_path_meta(const char *pool, enum dn_place place, struct block_id id, struct stamp stamp, struct dn_path *ret);

/* blk_ID and blk_ID_STAMP.meta; false for any other name. */
bool dn_name_is_data(const char *name, struct block_id *ret_id);
bool dn_name_is_meta(const char *name, struct block_id *ret_id, struct stamp *ret_stamp);

/* Value of a key in a properties file (key=value lines); caller's buffer.  False when it is not there or too long. */
bool dn_property(const char *text, const char *key, char *out, size_t cap);

#endif
