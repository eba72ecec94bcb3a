/* The checksum of a file, from the checksums that DataNodes make of its blocks. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/io/crc.h"
#include "core/net/dtp_io.h"
#include "dfsclient/located.h"
#include "dfsclient/fs_priv.h"

#define SUMS_MAX (64 * MB)

struct file_sum {
    struct fs *fs;
    bool composite;
    uint32_t bytes_per_crc;
    uint64_t crc_per_block;
    enum crc_type type;
    struct buf md5s;            /* of the blocks */
    uint32_t crc;               /* of the file so far */
};

static enum rc
ask(struct file_sum *s, const struct fs_block *b, const struct fs_location *l, struct arena *a,
    const OpBlockChecksumResponseProto **ret, struct why *why)
{
    OpBlockChecksumProto op = OP_BLOCK_CHECKSUM_PROTO__INIT;
    BlockChecksumOptionsProto o = BLOCK_CHECKSUM_OPTIONS_PROTO__INIT;
    const struct conf *c = &s->fs->conf;
    struct dtp_conn conn = { .sock = -1 };
    struct net_addr to = { .port = l->data_port };
    BlockOpResponseProto *r = NULL;
    enum rc rc;

    snprintf(to.host, sizeof to.host, "%s", l->host);
    if ((op.header = fs_put_base_header(a, b, b->bytes)) == NULL)
        return why_rc(why, RC_NOMEM);
    o.has_blockchecksumtype = true;
    o.blockchecksumtype = s->composite ? BLOCK_CHECKSUM_TYPE_PROTO__COMPOSITE_CRC : BLOCK_CHECKSUM_TYPE_PROTO__MD5CRC;
    op.blockchecksumoptions = &o;
    if ((rc = dtp_connect(&conn, &s->fs->w, &to, c->socket_ms, c->socket_ms, c->dn_socket_ms, why)) == RC_OK &&
        (rc = dtp_send_op(&conn, DTP_BLOCK_CHECKSUM, &op.base, why)) == RC_OK &&
        (rc = dtp_recv_response(&conn, a, &r, why)) == RC_OK) {
        if (r->status != STATUS__SUCCESS)
            rc = why_set(why, RC_IO_EXCEPTION, "%s: %.*s", dtp_status_name(r->status),
                         r->has_message ? (int)r->message.len : 0, r->has_message ? (const char *)r->message.data : "");
        else if (r->checksumresponse == NULL || r->checksumresponse->blockchecksum.len != (s->composite ? 4 : 16) ||
                 (unsigned)r->checksumresponse->crctype > CRC_CRC32C)
            rc = why_set(why, RC_BAD_MESSAGE, "the DataNode's answer has no checksum");
        else
            *ret = r->checksumresponse;
    }
    dtp_conn_fini(&conn);
    return rc;
}

static enum rc
add_block(struct file_sum *s, const struct fs_block *b, bool first, struct why *why)
{
    const OpBlockChecksumResponseProto *r = NULL;
    struct arena a;
    enum rc rc = why_set(why, RC_IO_EXCEPTION, "Fail to get block checksum for blk_%llu_%llu: no replica",
                         (unsigned long long)b->id, (unsigned long long)b->stamp);

    arena_init(&a, 16 * MB);
    for (size_t i = 0; i < b->location_count && rc != RC_OK; i++)
        rc = ask(s, b, &b->locations[i], &a, &r, why);
    if (rc != RC_OK)
        goto out;
    if (first) {
        s->bytes_per_crc = r->bytespercrc;
        s->crc_per_block = r->crcperblock;
        s->type = (enum crc_type)r->crctype;
    } else if (s->bytes_per_crc != r->bytespercrc && !s->composite) {
        rc = why_set(why, RC_IO_EXCEPTION, "Byte-per-checksum not matched: bpc=%u but bytesPerCRC=%u", r->bytespercrc,
                     s->bytes_per_crc);
        goto out;
    } else if (s->type != (enum crc_type)r->crctype && s->composite) {
        rc = why_set(why, RC_IO_EXCEPTION, "blocks of the file have different types of checksums");
        goto out;
    }
    if (s->composite)
        s->crc = crc_combine(s->type, s->crc, get_be32(r->blockchecksum.data), b->bytes);
    else
        buf_put(&s->md5s, r->blockchecksum.data, 16);
out:
    arena_fini(&a);
    return rc;
}

/* MD5 of the blocks' MD5s, in a run of zeros whose length is 32 doubled until they fit. */
static enum rc
finish_md5(struct file_sum *s, size_t blocks, struct arena *a, char **ret_algorithm, char **ret_hex, struct why *why)
{
    size_t n = s->md5s.n, pad = 32;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    uint8_t *p;
    char hex[33];

    while (pad < n)
        pad *= 2;
    if (!buf_ok(&s->md5s) || (p = buf_grow(&s->md5s, pad - n)) == NULL)
        return why_rc(why, RC_NOMEM);
    memset(p, 0, pad - n);
    if (EVP_Digest(s->md5s.p, pad, digest, &digest_n, EVP_md5(), NULL) != 1 || digest_n != 16)
        return why_set(why, RC_BUG, "MD5 is not to be had from OpenSSL");
    for (unsigned i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (blocks <= 1)
        s->crc_per_block = 0;
    *ret_algorithm = arena_printf(a, "MD5-of-%lluMD5-of-%u%s", (unsigned long long)s->crc_per_block, s->bytes_per_crc,
                                  s->type == CRC_CRC32C ? "CRC32C" : s->type == CRC_CRC32 ? "CRC32" : "NULL");
    *ret_hex = arena_printf(a, "%08x%016llx%s", s->bytes_per_crc, (unsigned long long)s->crc_per_block, hex);
    return *ret_algorithm == NULL || *ret_hex == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

enum rc
fs_checksum(struct fs *fs, const char *path, struct arena *a, char **ret_algorithm, char **ret_hex, struct why *why)
{
    struct file_sum s = { .fs = fs, .type = CRC_CRC32, .composite = strcmp(fs->conf.checksum_mode, "COMPOSITE_CRC") == 0 };
    struct fs_block *blocks = NULL;
    size_t n = 0, used = 0;
    uint64_t bytes = 0;
    struct arena tmp;
    enum rc rc;

    arena_init(&tmp, FS_REPLY_MAX);
    buf_init(&s.md5s, SUMS_MAX);
    if ((rc = fs_blocks(fs, path, 0, INT64_MAX, &tmp, &blocks, &n, &bytes, why)) != RC_OK)
        goto out;
    for (; used < n && !blocks[used].open; used++)
        if ((rc = add_block(&s, &blocks[used], used == 0, why)) != RC_OK)
            goto out;
    if (!s.composite || used == 0) {
        rc = finish_md5(&s, used, a, ret_algorithm, ret_hex, why);
        goto out;
    }
    *ret_algorithm = arena_strdup(a, s.type == CRC_CRC32C ? "COMPOSITE-CRC32C" : "COMPOSITE-CRC32");
    *ret_hex = arena_printf(a, "%08x", s.crc);
    if (*ret_algorithm == NULL || *ret_hex == NULL)
        rc = why_rc(why, RC_NOMEM);
out:
    buf_fini(&s.md5s);
    arena_fini(&tmp);
    return rc;
}
