/* TRANSFER_BLOCK and REQUEST_SHORT_CIRCUIT_FDS. */
#include <inttypes.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "datanode/send.h"
#include "datanode/session.h"

static enum rc
transfer(struct dn_session *s, const OpTransferBlockProto *op, struct why *why)
{
    struct dn_copy copy = { .block = op->header->baseheader->block, .token = op->header->baseheader->token,
                            .client_name = (const char *)op->header->clientname.data,
                            .client_name_n = op->header->clientname.len };
    const DatanodeIDProto *id;
    bool peer_failed;
    enum rc rc = RC_OK;

    if (op->n_targets == 0 || copy.client_name_n == 0)
        return why_set(why, RC_BAD_MESSAGE, "a transfer without targets or a client");
    for (size_t i = 0; i < op->n_targets && rc == RC_OK; i++) {
        id = op->targets[i]->id;
        if (id->ipaddr.len == 0 || id->ipaddr.len >= sizeof copy.to.host || id->xferport > UINT16_MAX)
            return why_set(why, RC_BAD_MESSAGE, "target without a usable address");
        memset(&copy.to, 0, sizeof copy.to);
        memcpy(copy.to.host, id->ipaddr.data, id->ipaddr.len);
        copy.to.port = (uint16_t)id->xferport;
        copy.has_storage_type = i < op->n_targetstoragetypes;
        if (copy.has_storage_type)
            copy.storage_type = op->targetstoragetypes[i];
        rc = dn_send_copy(s->dn, &copy, &peer_failed, why);
    }
    return rc;
}

bool
dn_op_transfer(struct dn_session *s, const OpTransferBlockProto *op)
{
    const ExtendedBlockProto *b = op->header->baseheader->block;
    struct why why;
    enum rc rc;

    if (dn_store_check_pool(s->dn->store, b->poolid.data, b->poolid.len, &why) != RC_OK)
        return false;
    if ((rc = transfer(s, op, &why)) != RC_OK) {
        log_info("transfer_failed", "block=%" PRId64 " rc=%s reason=\"%s\"", (int64_t)b->blockid, rc_name(rc), why.text);
        (void)dn_answer(&s->conn, STATUS__ERROR, NULL, dn_answer_text(&s->arena, "opTransferBlock", b, &why), NULL);
        return false;
    }
    return dn_answer(&s->conn, STATUS__SUCCESS, NULL, NULL, &why) == RC_OK;
}

/* --- Descriptors for readers on this machine. */

#define DESCRIPTORS_VERSION 1

static bool
refuse(struct dn_session *s, Status status, const char *text)
{
    return dn_answer(&s->conn, status, NULL, text, NULL) == RC_OK && s->local;
}

/* The answer, then one byte that carries both descriptors; a reader that can says that it has them. */
static bool
hand_over(struct dn_session *s, const struct dn_source *src, bool receipt)
{
    BlockOpResponseProto m = BLOCK_OP_RESPONSE_PROTO__INIT;
    uint64_t deadline_ms = clock_deadline(s->dn->w.clock, s->conn.read_ms);
    int fds[2] = { src->data_fd, src->meta_fd };
    uint8_t byte = receipt;

    m.status = STATUS__SUCCESS;
    m.has_shortcircuitaccessversion = true;
    m.shortcircuitaccessversion = DESCRIPTORS_VERSION;
    return dtp_send_message(&s->conn, &m.base, NULL) == RC_OK &&
           s->dn->w.net->ops->write_fds(s->dn->w.net, s->conn.sock, &byte, 1, fds, 2, deadline_ms, NULL) == RC_OK &&
           (!receipt || dtp_recv_bytes(&s->conn, &byte, 1, deadline_ms, NULL) == RC_OK);
}

bool
dn_op_descriptors(struct dn_session *s, const OpRequestShortCircuitAccessProto *op)
{
    const ExtendedBlockProto *b = op->header->block;
    struct dn_source src;
    struct why why;
    bool more;

    if (!s->local)
        return refuse(s, STATUS__ERROR, "You cannot pass file descriptors over anything but a UNIX domain socket.");
    if (op->maxversion < DESCRIPTORS_VERSION)
        return refuse(s, STATUS__ERROR_UNSUPPORTED, "Your client is too old to read this block!  Its format version is"
                      " 1, but the highest format version you can read is 0");
    if (op->slotid != NULL)
        return refuse(s, STATUS__ERROR_UNSUPPORTED, "there is no shared memory here; ask without a slot");
    if (dn_store_check_pool(s->dn->store, b->poolid.data, b->poolid.len, &why) != RC_OK ||
        dn_store_read(s->dn->store, (struct block_id){ b->blockid }, (struct stamp){ b->generationstamp }, &src,
                      &why) != RC_OK)
        return refuse(s, STATUS__ERROR, arena_printf(&s->arena, "No data exists for block %.*s:blk_%" PRId64 "_%" PRIu64,
                                                     (int)b->poolid.len, (const char *)b->poolid.data,
                                                     (int64_t)b->blockid, b->generationstamp));
    /* What is being written changes under the reader's eyes: such blocks are read over the connection. */
    if (src.view.state != RS_FINALIZED)
        more = refuse(s, STATUS__ERROR, "No data exists for block: it is being written");
    else
        more = hand_over(s, &src, op->supportsreceiptverification);
    dn_source_fini(s->dn->store, &src);
    return more;
}
