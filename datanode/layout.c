#include "datanode/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/faults.h"

#define META_VERSION 1

void
dn_meta_put(const struct dn_meta *m, uint8_t out[DN_META_HEAD])
{
    put_be16(out, META_VERSION);
    out[2] = (uint8_t)m->type;
    put_be32(out + 3, m->chunk);
}

enum rc
dn_meta_parse(const uint8_t *p, size_t n, struct dn_meta *ret, struct why *why)
{
    struct rd r;
    uint16_t version;
    uint8_t type;
    uint32_t chunk;

    rd_init(&r, p, n < DN_META_HEAD ? n : DN_META_HEAD);
    version = rd_be16(&r);
    type = rd_u8(&r);
    chunk = rd_be32(&r);
    if (r.bad && old_bug(OLD_BUG_NO_HEAD_NO_SUMS)) {
        *ret = (struct dn_meta){ CRC_NULL, 512 };
        return RC_OK;
    }
    if (r.bad)
        return why_set(why, RC_CORRUPT, "meta file of %zu bytes has no whole header", n);
    if (version != META_VERSION || (type != CRC_CRC32 && type != CRC_CRC32C) || chunk == 0 || chunk > DN_CHUNK_MAX)
        return why_set(why, RC_CORRUPT, "meta header is not known: version %u, checksum %u, chunk %" PRIu32, version,
                       type, chunk);
    ret->type = (enum crc_type)type;
    ret->chunk = chunk;
    return RC_OK;
}

uint64_t
dn_meta_bytes(uint32_t chunk, uint64_t data_bytes)
{
    return DN_META_HEAD + 4 * (data_bytes / chunk + (data_bytes % chunk != 0));
}

uint64_t
dn_meta_at(uint32_t chunk, uint64_t offset)
{
    return DN_META_HEAD + 4 * (offset / chunk);
}

void
dn_path_dir(const char *pool, enum dn_place place, struct block_id id, struct dn_path *ret)
{
    switch (place) {
    case DN_IN_FINALIZED:
        (void)snprintf(ret->p, sizeof ret->p, "%s/current/finalized/subdir%u/subdir%u", pool,
                       (unsigned)(id.v >> 16 & 0x1f), (unsigned)(id.v >> 8 & 0x1f));
        return;
    case DN_IN_RBW:
        (void)snprintf(ret->p, sizeof ret->p, "%s/current/rbw", pool);
        return;
    case DN_IN_TMP:
    case DN_PLACES:
        (void)snprintf(ret->p, sizeof ret->p, "%s/tmp", pool);
        return;
    }
}

/* Ids of striped groups are negative: names show the signed number, as HDFS's do. */
void
dn_path_data(const char *pool, enum dn_place place, struct block_id id, struct dn_path *ret)
{
    size_t n;

    dn_path_dir(pool, place, id, ret);
    n = strlen(ret->p);
    (void)snprintf(ret->p + n, sizeof ret->p - n, "/blk_%" PRId64, (int64_t)id.v);
}

void
dn_path_meta(const char *pool, enum dn_place place, struct block_id id, struct stamp stamp, struct dn_path *ret)
{
    size_t n;

    dn_path_dir(pool, place, id, ret);
    n = strlen(ret->p);
    (void)snprintf(ret->p + n, sizeof ret->p - n, "/blk_%" PRId64 "_%" PRIu64 ".meta", (int64_t)id.v, stamp.v);
}

/* A decimal number as we print it ourselves: no spaces, plus signs or leading zeros, and no minus zero. */
static bool
number(const char **p, bool sign, uint64_t *ret)
{
    const char *digits = *p + (sign && **p == '-');
    char *end;

    if (*digits < '0' || *digits > '9' || (*digits == '0' && (digits != *p || (digits[1] >= '0' && digits[1] <= '9'))))
        return false;
    errno = 0;
    *ret = sign ? (uint64_t)strtoll(*p, &end, 10) : strtoull(*p, &end, 10);
    *p = end;
    return errno == 0;
}

bool
dn_name_is_data(const char *name, struct block_id *ret_id)
{
    if (strncmp(name, "blk_", 4) != 0)
        return false;
    name += 4;
    return number(&name, true, &ret_id->v) && *name == '\0';
}

bool
dn_name_is_meta(const char *name, struct block_id *ret_id, struct stamp *ret_stamp)
{
    if (strncmp(name, "blk_", 4) != 0)
        return false;
    name += 4;
    return number(&name, true, &ret_id->v) && *name++ == '_' && number(&name, false, &ret_stamp->v) &&
           strcmp(name, ".meta") == 0;
}

bool
dn_property(const char *text, const char *key, char *out, size_t cap)
{
    size_t key_n = strlen(key), n;
    const char *line = text, *end;

    for (; *line != '\0'; line = *end == '\0' ? end : end + 1) {
        end = line + strcspn(line, "\r\n");
        if ((size_t)(end - line) <= key_n || strncmp(line, key, key_n) != 0 || line[key_n] != '=')
            continue;
        n = (size_t)(end - line) - key_n - 1;
        if (n >= cap)
            return false;
        memcpy(out, line + key_n + 1, n);
        out[n] = '\0';
        return true;
    }
    return false;
}
