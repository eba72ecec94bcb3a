#include "datanode/session.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/table.h"

#define ACCEPT_MS 1000          /* how long an accepting thread goes without looking up */
#define KEEPALIVE_MS 4000       /* an idle connection between operations */
#define OP_ARENA (4 * MB)

bool
dn_is_stopping(struct dn *dn)
{
    bool stop;

    mutex_lock(dn->w.threads, dn->mu);
    stop = dn->stop;
    mutex_unlock(dn->w.threads, dn->mu);
    return stop;
}

enum rc
dn_enter(struct dn *dn)
{
    enum rc rc = RC_OK;

    mutex_lock(dn->w.threads, dn->mu);
    if (dn->stop)
        rc = RC_STOPPED;
    else if (dn->session_count >= dn->conf.dn_threads)
        rc = RC_BUSY;
    else
        dn->session_count++;
    mutex_unlock(dn->w.threads, dn->mu);
    return rc;
}

void
dn_leave(struct dn *dn)
{
    mutex_lock(dn->w.threads, dn->mu);
    dn->session_count--;
    cond_broadcast(dn->w.threads, dn->idle);
    mutex_unlock(dn->w.threads, dn->mu);
}

unsigned
dn_transfers(struct dn *dn)
{
    unsigned n;

    mutex_lock(dn->w.threads, dn->mu);
    n = dn->session_count - dn->resting_count;
    mutex_unlock(dn->w.threads, dn->mu);
    return n;
}

enum rc
dn_wire_add(struct dn *dn, struct dn_wire *wire, struct dtp_conn *conn)
{
    enum rc rc = RC_STOPPED;

    mutex_lock(dn->w.threads, dn->mu);
    if (!dn->stop) {
        wire->conn = conn;
        DL_APPEND(dn->wires, wire);
        rc = RC_OK;
    }
    mutex_unlock(dn->w.threads, dn->mu);
    return rc;
}

void
dn_wire_remove(struct dn *dn, struct dn_wire *wire)
{
    if (wire->conn == NULL)
        return;
    mutex_lock(dn->w.threads, dn->mu);
    DL_DELETE(dn->wires, wire);
    mutex_unlock(dn->w.threads, dn->mu);
    wire->conn = NULL;
}

enum rc
dn_answer(struct dtp_conn *c, Status status, const char *first_bad_link, const char *message, struct why *why)
{
    BlockOpResponseProto m = BLOCK_OP_RESPONSE_PROTO__INIT;

    m.status = status;
    if (first_bad_link != NULL) {
        m.has_firstbadlink = true;
        m.firstbadlink = (ProtobufCBinaryData){ strlen(first_bad_link), (uint8_t *)first_bad_link };
    }
    if (message != NULL) {
        m.has_message = true;
        m.message = (ProtobufCBinaryData){ strlen(message), (uint8_t *)message };
    }
    return dtp_send_message(c, &m.base, why);
}

const char *
dn_answer_text(struct arena *a, const char *op, const ExtendedBlockProto *b, const struct why *why)
{
    const char *java = why->java != NULL && why->java[0] != '\0' ? why->java : "java.io.IOException";
    const char *text = arena_printf(a, "%s %.*s:blk_%" PRId64 "_%" PRIu64 " received exception %s: %s", op,
                                    (int)b->poolid.len, (const char *)b->poolid.data, (int64_t)b->blockid,
                                    b->generationstamp, java, why->text);

    return text == NULL ? why->text : text;
}

static bool
serve(struct dn_session *s, unsigned op, ProtobufCMessage *m)
{
    switch ((enum dtp_op)op) {
    case DTP_WRITE_BLOCK:
        return dn_op_write(s, CONTAINER_OF(m, OpWriteBlockProto, base));
    case DTP_READ_BLOCK:
        return dn_op_read(s, CONTAINER_OF(m, OpReadBlockProto, base));
    case DTP_BLOCK_CHECKSUM:
        return dn_op_checksum(s, CONTAINER_OF(m, OpBlockChecksumProto, base));
    case DTP_TRANSFER_BLOCK:
        return dn_op_transfer(s, CONTAINER_OF(m, OpTransferBlockProto, base));
    case DTP_SHORT_CIRCUIT_FDS:
        return dn_op_descriptors(s, CONTAINER_OF(m, OpRequestShortCircuitAccessProto, base));
    case DTP_SHORT_CIRCUIT_SHM: {
        ShortCircuitShmResponseProto r = SHORT_CIRCUIT_SHM_RESPONSE_PROTO__INIT;

        r.status = STATUS__ERROR_UNSUPPORTED;   /* readers go without shared memory */
        return dtp_send_message(&s->conn, &r.base, NULL) == RC_OK;
    }
    case DTP_RELEASE_SHORT_CIRCUIT_FDS: {
        ReleaseShortCircuitAccessResponseProto r = RELEASE_SHORT_CIRCUIT_ACCESS_RESPONSE_PROTO__INIT;

        r.status = STATUS__ERROR_UNSUPPORTED;
        return dtp_send_message(&s->conn, &r.base, NULL) == RC_OK;
    }
    case DTP_READ_METADATA:
    case DTP_REPLACE_BLOCK:
    case DTP_COPY_BLOCK:
    case DTP_BLOCK_GROUP_CHECKSUM:
    case DTP_CUSTOM:
        break;
    }
    log_info("op_refused", "op=%u peer=%s", op, s->peer.host);
    return false;
}

/* Whether an operation is under way: a connection without one gives way when there are too many. */
static void
set_busy(struct dn_session *s, bool busy)
{
    uint64_t now_ms = clock_mono_ms(s->dn->w.clock);

    mutex_lock(s->dn->w.threads, s->dn->mu);
    if (busy) {
        crowd_step(&s->entry, now_ms);
        s->dn->resting_count--;
    } else {
        crowd_rest(&s->entry, now_ms);
        s->dn->resting_count++;
    }
    mutex_unlock(s->dn->w.threads, s->dn->mu);
}

/* As dn_enter, at the cost of the connection that has waited longest for an operation, if there is one. */
static enum rc
enter_for_another(struct dn *dn)
{
    struct crowd_entry *e;
    enum rc rc = RC_BUSY;

    mutex_lock(dn->w.threads, dn->mu);
    if (!dn->stop && (e = crowd_make_room(&dn->crowd, clock_mono_ms(dn->w.clock))) != NULL) {
        net_shutdown(dn->w.net, e->sock);       /* its thread ends, and leaves */
        dn->session_count++;
        rc = RC_OK;
    }
    mutex_unlock(dn->w.threads, dn->mu);
    return rc;
}

static void
session_join(struct dn_session *s)
{
    struct dn *dn = s->dn;

    s->entry.sock = s->conn.sock;
    s->entry.peer = crowd_peer(s->peer.host, strlen(s->peer.host));
    mutex_lock(dn->w.threads, dn->mu);
    crowd_add(&dn->crowd, &s->entry, clock_mono_ms(dn->w.clock));
    dn->resting_count++;
    mutex_unlock(dn->w.threads, dn->mu);
}

static void
session_free(struct dn_session *s)
{
    struct dn *dn = s->dn;

    mutex_lock(dn->w.threads, dn->mu);
    crowd_remove(&dn->crowd, &s->entry);
    dn->resting_count--;
    mutex_unlock(dn->w.threads, dn->mu);
    dn_wire_remove(dn, &s->wire);
    dtp_conn_fini(&s->conn);
    arena_fini(&s->arena);
    mem_free(s);
    dn_leave(dn);
}

static void
session_run(void *arg)
{
    struct dn_session *s = arg;
    uint64_t wait_ms = s->conn.read_ms;
    ProtobufCMessage *m;
    struct why why;
    bool more = true;
    unsigned op;
    enum rc rc;

    while (more && !dn_is_stopping(s->dn)) {
        arena_reset(&s->arena);
        if ((rc = dtp_recv_op(&s->conn, wait_ms, &s->arena, &op, &m, &why)) != RC_OK) {
            if (rc != RC_CLOSED && rc != RC_TIMEOUT && rc != RC_STOPPED)
                log_info("request_refused", "peer=%s reason=\"%s\"", s->peer.host, why.text);
            break;
        }
        set_busy(s, true);
        more = serve(s, op, m);
        set_busy(s, false);
        wait_ms = KEEPALIVE_MS;
    }
    session_free(s);
}

/* Takes sock: a thread of its own serves it, or it is closed. */
static void
session_start(struct dn *dn, int sock, const struct net_addr *peer, bool local)
{
    struct dn_session *s = NULL;
    struct thread *thread;
    struct why why;
    enum rc rc;

    if ((rc = dn_enter(dn)) == RC_BUSY)
        rc = enter_for_another(dn);
    if (rc != RC_OK) {
        if (rc == RC_BUSY)
            log_warn("too_many_transfers", "limit=%" PRIu64 " peer=%s", dn->conf.dn_threads, peer->host);
        net_close(dn->w.net, sock);
        return;
    }
    if ((s = mem_zalloc(sizeof *s)) == NULL ||
        dtp_conn_init(&s->conn, &dn->w, sock, dn->conf.socket_ms, dn->conf.dn_socket_ms, &why) != RC_OK) {
        if (s == NULL)
            net_close(dn->w.net, sock);
        mem_free(s);
        dn_leave(dn);
        return;
    }
    s->dn = dn;
    s->peer = *peer;
    s->local = local;
    arena_init(&s->arena, OP_ARENA);
    session_join(s);
    if ((rc = dn_wire_add(dn, &s->wire, &s->conn)) != RC_OK) {
        session_free(s);
        return;
    }
    if ((rc = thread_spawn(dn->w.threads, "dn-session", session_run, s, &thread, &why)) != RC_OK) {
        log_warn("session_not_started", "rc=%s reason=\"%s\"", rc_name(rc), why.text);
        session_free(s);
        return;
    }
    thread_detach(dn->w.threads, thread);
}

static void
accept_on(struct dn *dn, int listener, bool local)
{
    struct net_addr peer;
    struct why why;
    enum rc rc;
    int sock;

    while (!dn_is_stopping(dn)) {
        rc = net_accept(dn->w.net, listener, clock_deadline(dn->w.clock, ACCEPT_MS), &sock, &peer, &why);
        if (rc == RC_OK) {
            session_start(dn, sock, &peer, local);
        } else if (rc != RC_TIMEOUT && !dn_is_stopping(dn)) {
            log_warn("accept_failed", "rc=%s reason=\"%s\"", rc_name(rc), why.text);
            thread_sleep_until(dn->w.threads, clock_deadline(dn->w.clock, ACCEPT_MS));
        }
    }
}

static void
acceptor(void *arg)
{
    struct dn *dn = arg;

    accept_on(dn, dn->listener, false);
}

static void
local_acceptor(void *arg)
{
    struct dn *dn = arg;

    accept_on(dn, dn->local_listener, true);
}

/* dfs.domain.socket.path with _PORT in it; false when there is none to be. */
static bool
local_path(const struct dn *dn, struct net_addr *ret, struct why *why)
{
    const char *path = dn->conf.domain_socket, *port;

    if (path == NULL || path[0] == '\0' || !dn->conf.short_circuit)
        return false;
    port = strstr(path, "_PORT");
    ret->port = 0;
    if (port == NULL)
        (void)snprintf(ret->host, sizeof ret->host, "%s", path);
    else
        (void)snprintf(ret->host, sizeof ret->host, "%.*s%u%s", (int)(port - path), path, dn->data_at.port, port + 5);
    (void)why;
    return true;
}

enum rc
dn_sessions_start(struct dn *dn, struct why *why)
{
    struct net_addr at, bound;
    enum rc rc;

    dn->crowd = (struct crowd){ .max = SIZE_MAX, .request_ms = FOREVER, .stall_ms = FOREVER };
    if ((rc = net_addr_parse(dn->conf.dn_data_bind, 9866, &at, why)) != RC_OK ||
        (rc = net_listen(dn->w.net, &at, &dn->listener, &dn->data_at, why)) != RC_OK)
        return rc;
    if (local_path(dn, &dn->local_at, why) &&
        (rc = net_listen(dn->w.net, &dn->local_at, &dn->local_listener, &bound, why)) != RC_OK)
        return rc;
    if ((rc = thread_spawn(dn->w.threads, "dn-accept", acceptor, dn, &dn->acceptor, why)) != RC_OK)
        return rc;
    if (dn->local_listener >= 0)
        rc = thread_spawn(dn->w.threads, "dn-local", local_acceptor, dn, &dn->local_acceptor, why);
    return rc;
}

void
dn_sessions_stop(struct dn *dn)
{
    struct dn_wire *wire;

    if (dn->listener >= 0)
        net_shutdown(dn->w.net, dn->listener);
    if (dn->local_listener >= 0)
        net_shutdown(dn->w.net, dn->local_listener);
    if (dn->acceptor != NULL)
        thread_join(dn->w.threads, dn->acceptor);
    if (dn->local_acceptor != NULL)
        thread_join(dn->w.threads, dn->local_acceptor);
    mutex_lock(dn->w.threads, dn->mu);
    DL_FOREACH(dn->wires, wire)
        dtp_conn_shutdown(wire->conn);
    while (dn->session_count > 0)
        (void)cond_wait(dn->w.threads, dn->idle, dn->mu, FOREVER);
    mutex_unlock(dn->w.threads, dn->mu);
    if (dn->listener >= 0)
        net_close(dn->w.net, dn->listener);
    if (dn->local_listener >= 0)
        net_close(dn->w.net, dn->local_listener);
    dn->listener = dn->local_listener = -1;
}
