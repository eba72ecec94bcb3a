/*
 * fuzz_shuffle -- requests and replies of the shuffle; no input has a right signature.
 */
#include "tests/fuzz/fuzz.h"

#include "tasktracker/shuffle.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t token[TOKEN_BYTES] = { 7, 1, 2, 3 };
    uint8_t in[SHUFFLE_REQUEST_BYTES] = { 0 }, again[SHUFFLE_REQUEST_BYTES];
    struct shuffle_request request;
    struct shuffle_reply reply;
    struct why why;

    memcpy(in, data, n < sizeof in ? n : sizeof in);
    if (shuffle_request_get(in, &request, &why) == RC_OK) {
        shuffle_request_put(&request, token, again);
        CHECK(shuffle_request_is_signed(again, token));
        CHECK(memcmp(in, again, 32) == 0);
        CHECK(!shuffle_request_is_signed(in, token) || memcmp(in, again, sizeof in) == 0);
        again[n % sizeof again] ^= 1;
        CHECK(!shuffle_request_is_signed(again, token));
    }
    if (shuffle_reply_get(in, &reply, &why) == RC_OK) {
        shuffle_reply_put(&reply, again);
        CHECK(memcmp(in, again, 20) == 0);
    }
    return 0;
}
