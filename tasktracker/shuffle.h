/*
 * shuffle -- map outputs from one tracker to another (docs/formats/shuffle.md).
 *
 * A request says which part of which map output is wanted and from which byte on,
 * with an HMAC-SHA256 by the job's token; the answer is a head and raw bytes.  A
 * connection carries many requests, one after the other.
 */
#ifndef TASKTRACKER_SHUFFLE_H
#define TASKTRACKER_SHUFFLE_H

#include "core/net/net.h"
#include "tasktracker/tt_priv.h"

#define SHUFFLE_REQUEST_BYTES 64
#define SHUFFLE_REPLY_BYTES 24

enum shuffle_status { SHUFFLE_OK, SHUFFLE_GONE, SHUFFLE_DENIED };

struct shuffle_request {
    uint64_t job;
    uint32_t map, attempt, part;
    uint64_t offset;
};

struct shuffle_reply {
    enum shuffle_status status;
    uint64_t bytes;                 /* of the whole segment; those from offset on follow */
    uint32_t crc;                   /* CRC32C of the whole segment */
};

void shuffle_request_put(const struct shuffle_request *r, const uint8_t token[TOKEN_BYTES],
                         uint8_t out[SHUFFLE_REQUEST_BYTES]);
/* RC_BAD_MESSAGE when it is not one; its HMAC is checked apart. */
enum rc shuffle_request_get(const uint8_t in[SHUFFLE_REQUEST_BYTES], struct shuffle_request *ret, struct why *why) MUST_CHECK;
bool shuffle_request_is_signed(const uint8_t in[SHUFFLE_REQUEST_BYTES], const uint8_t token[TOKEN_BYTES]);
void shuffle_reply_put(const struct shuffle_reply *r, uint8_t out[SHUFFLE_REPLY_BYTES]);
enum rc shuffle_reply_get(const uint8_t in[SHUFFLE_REPLY_BYTES], struct shuffle_reply *ret, struct why *why) MUST_CHECK;

#endif
