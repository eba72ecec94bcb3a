/*
 * code -- shared objects that are here, by their digest.
 *
 * The jobs of a driver run one shared object: it comes once.  Some that no job
 * runs are kept, those used last.
 */
#include <string.h>

#include "core/base/mem.h"
#include "tasktracker/tt_priv.h"

#define KEPT_MAX 8                  /* that no job runs */

static void
code_free(struct tt *tt, struct tt_code *c)
{
    DL_DELETE(tt->codes, c);
    io_close(tt->w->io, c->fd);
    mem_free(c);
}

enum rc
tt_code_list(struct tt *tt, struct arena *arena, ProtobufCBinaryData **ret, size_t *ret_n)
{
    struct tt_code *c;
    size_t n = 0;
    enum rc rc = RC_OK;

    tt_lock(tt);
    DL_COUNT(tt->codes, c, n);
    *ret_n = 0;
    if ((*ret = arena_calloc(arena, n + 1, sizeof **ret)) == NULL)
        rc = RC_NOMEM;
    for (c = tt->codes; rc == RC_OK && c != NULL; c = c->next) {
        ProtobufCBinaryData *d = &(*ret)[*ret_n];

        d->len = sizeof c->digest;
        if ((d->data = (uint8_t *)arena_strndup(arena, c->digest, sizeof c->digest)) == NULL)
            rc = RC_NOMEM;
        else
            (*ret_n)++;
    }
    tt_unlock(tt);
    return rc;
}

/* [m] */
static struct tt_code *
find(struct tt *tt, const uint8_t *digest)
{
    struct tt_code *c;

    DL_FOREACH(tt->codes, c)
        if (memcmp(c->digest, digest, sizeof c->digest) == 0)
            break;
    return c;
}

enum rc
tt_code_take(struct tt *tt, const TtGetJobReply *reply, struct tt_code **ret, struct why *why)
{
    const ProtobufCBinaryData *digest = &reply->spec->code_digest;
    struct tt_code *c = NULL, *fresh = NULL;
    enum rc rc;

    if (!reply->spec->has_code_digest || digest->len != TT_DIGEST_BYTES)
        return why_set(why, RC_BAD_MESSAGE, "the job has no digest of its shared object");
    if (reply->has_code) {
        if ((fresh = mem_zalloc(sizeof *fresh)) == NULL)
            return why_rc(why, RC_NOMEM);
        memcpy(fresh->digest, digest->data, sizeof fresh->digest);
        if ((rc = pipes_memory_file(tt->crew->pipes, "job", reply->code.data, reply->code.len, &fresh->fd, why)) != RC_OK) {
            mem_free(fresh);
            return rc;
        }
    }
    tt_lock(tt);
    c = find(tt, digest->data);
    if (c != NULL) {
        DL_DELETE(tt->codes, c);
    } else {
        c = fresh;
        fresh = NULL;
    }
    if (c != NULL) {
        DL_PREPEND(tt->codes, c);
        c->refs++;
    }
    tt_unlock(tt);
    if (fresh != NULL) {                /* another job of it was loaded at the same time */
        io_close(tt->w->io, fresh->fd);
        mem_free(fresh);
    }
    if (c == NULL)
        return why_set(why, RC_NOT_FOUND, "the shared object is not here any more");
    *ret = c;
    return RC_OK;
}

void
tt_code_release(struct tt *tt, struct tt_code *c)
{
    struct tt_code *after, *drop = NULL;
    size_t kept = 0;

    tt_lock(tt);
    c->refs--;
    DL_FOREACH_SAFE(tt->codes, c, after)
        if (c->refs == 0 && ++kept > KEPT_MAX)
            drop = c;
    if (drop != NULL)
        code_free(tt, drop);
    tt_unlock(tt);
}

void
tt_code_fini(struct tt *tt)
{
    while (tt->codes != NULL)
        code_free(tt, tt->codes);
}
