#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "core/base/buf.h"
#include "tasktracker/shuffle.h"

#define MAGIC UINT32_C(0x4d525331)      /* "MRS1" */
#define SIGNED_BYTES 32

static void
sign(const uint8_t *p, const uint8_t token[TOKEN_BYTES], uint8_t out[32])
{
    unsigned n = 32;

    if (HMAC(EVP_sha256(), token, TOKEN_BYTES, p, SIGNED_BYTES, out, &n) == NULL)
        memset(out, 0, 32);             /* matches nothing */
}

void
shuffle_request_put(const struct shuffle_request *r, const uint8_t token[TOKEN_BYTES], uint8_t out[SHUFFLE_REQUEST_BYTES])
{
    put_be32(out, MAGIC);
    put_be64(out + 4, r->job);
    put_be32(out + 12, r->map);
    put_be32(out + 16, r->attempt);
    put_be32(out + 20, r->part);
    put_be64(out + 24, r->offset);
    sign(out, token, out + SIGNED_BYTES);
}

enum rc
shuffle_request_get(const uint8_t in[SHUFFLE_REQUEST_BYTES], struct shuffle_request *ret, struct why *why)
{
    struct rd r;

    rd_init(&r, in, SIGNED_BYTES);
    if (rd_be32(&r) != MAGIC)
        return why_set(why, RC_BAD_MESSAGE, "not a shuffle request");
    ret->job = rd_be64(&r);
    ret->map = rd_be32(&r);
    ret->attempt = rd_be32(&r);
    ret->part = rd_be32(&r);
    ret->offset = rd_be64(&r);
    return rd_finish(&r, "shuffle request", why);
}

bool
shuffle_request_is_signed(const uint8_t in[SHUFFLE_REQUEST_BYTES], const uint8_t token[TOKEN_BYTES])
{
    static const uint8_t zero[32];
    uint8_t want[32];

    sign(in, token, want);
    return CRYPTO_memcmp(want, zero, sizeof want) != 0 && CRYPTO_memcmp(want, in + SIGNED_BYTES, sizeof want) == 0;
}

void
shuffle_reply_put(const struct shuffle_reply *r, uint8_t out[SHUFFLE_REPLY_BYTES])
{
    put_be32(out, MAGIC);
    put_be32(out + 4, r->status);
    put_be64(out + 8, r->bytes);
    put_be32(out + 16, r->crc);
    put_be32(out + 20, 0);
}

enum rc
shuffle_reply_get(const uint8_t in[SHUFFLE_REPLY_BYTES], struct shuffle_reply *ret, struct why *why)
{
    struct rd r;
    uint32_t status;

    rd_init(&r, in, SHUFFLE_REPLY_BYTES);
    if (rd_be32(&r) != MAGIC || (status = rd_be32(&r)) > SHUFFLE_DENIED)
        return why_set(why, RC_BAD_MESSAGE, "not a shuffle reply");
    ret->status = (enum shuffle_status)status;
    ret->bytes = rd_be64(&r);
    ret->crc = rd_be32(&r);
    (void)rd_be32(&r);
    return rd_finish(&r, "shuffle reply", why);
}
