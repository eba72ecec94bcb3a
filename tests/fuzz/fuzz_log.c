/*
 * fuzz_log -- rows of the NameNode's log and the edits in them.
 *
 * An edit that is accepted, written again and read again, is the same.
 */
#include "tests/fuzz/fuzz.h"

#include "namenode/edit.h"
#include "namenode/txlog.h"

static void
edit(struct span bytes)
{
    struct nn_edit e, same;
    struct buf one, two;
    struct why why;

    if (nn_edit_decode(&e, bytes.p, bytes.n, &why) != RC_OK)
        return;
    buf_init(&one, 1 * MB);
    buf_init(&two, 1 * MB);
    nn_edit_encode(&e, &one);
    CHECK(buf_ok(&one));
    CHECK(nn_edit_decode(&same, one.p, one.n, &why) == RC_OK);
    nn_edit_encode(&same, &two);
    CHECK(one.n == two.n);
    CHECK(memcmp(one.p, two.p, one.n) == 0);
    buf_fini(&one);
    buf_fini(&two);
}

static enum rc
on_call(void *arg, const struct nn_txcall *call, struct why *why)
{
    struct rd r;

    (void)arg;
    (void)why;
    rd_init(&r, call->edits.p, call->edits.n);
    while (!r.bad && r.left > 0) {
        struct span bytes = rd_delimited(&r);

        if (!r.bad)
            edit(bytes);
    }
    return RC_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct why why;

    if (nn_txlog_read((struct span){ data, n }, on_call, NULL, &why) != RC_OK)
        CHECK(strlen(why.text) > 0);
    edit((struct span){ data, n });
    CHECK(mem_live() == 0);
    return 0;
}
