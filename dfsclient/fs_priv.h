/*
 * fs_priv -- the inside of a handle, for the files of the client library.
 *
 * Owns: the connection to the NameNode, idle ones to DataNodes, the list of open writers and the thread
 * that renews their lease.  fs->lock guards writers, renewer and stopping; the
 * rest does not change after fs_open.
 */
#ifndef DFSCLIENT_FS_PRIV_H
#define DFSCLIENT_FS_PRIV_H

#include <string.h>

#include "core/conf/conf.h"
#include "core/io/thread.h"
#include "core/net/idle.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "dfsclient/fs.h"

#define FS_REPLY_MAX (256 * MB)     /* arena of one reply */

struct fs {
    struct world w;
    struct conf conf;
    struct net_addr nn_addr;
    struct rpc_client *nn;
    struct dtp_idle *idle;          /* connections to DataNodes, for the next block */
    char *user, *uri;
    char client_name[64];           /* holder of the handle's lease */
    char host_name[256];            /* of this machine; empty when unknown */
    struct mutex *lock;
    struct cond *wake;              /* the renewer: a writer was opened, or stopping */
    struct thread *renewer;         /* NULL until the first file is opened for writing */
    struct fs_writer *writers;      /* open ones */
    bool stopping;
};

static inline ProtobufCBinaryData fs_bin(const char *s)
{
    return (ProtobufCBinaryData){ .len = strlen(s), .data = (uint8_t *)(uintptr_t)s };
}
static inline ProtobufCBinaryData fs_bin_n(const void *p, size_t n)
{
    return (ProtobufCBinaryData){ .len = n, .data = (uint8_t *)(uintptr_t)p };
}

/* Call method of the NameNode; the reply is in a.  A server that is too busy is asked again for a while. */
enum rc fs_call(struct fs *fs, enum client_namenode_row m, const ProtobufCMessage *req, struct arena *a, const void **ret_reply,
                struct why *why) MUST_CHECK;
/* As fs_call, for a writer in mid-file: waits much longer for a NameNode that is away, and also while it is in safe mode or the
 * block before is not reported. */
enum rc fs_call_patient(struct fs *fs, enum client_namenode_row m, const ProtobufCMessage *req, struct arena *a,
                        const void **ret_reply, struct why *why) MUST_CHECK;

/* Milliseconds to wait before try number n (0 is the first repeat): doubles from first to max, the last quarter random. */
uint64_t fs_backoff_ms(struct fs *fs, unsigned n, uint64_t first, uint64_t max);
void fs_sleep_ms(struct fs *fs, uint64_t ms);

/* lease.c: the renewer knows of wr from enter to leave. */
enum rc fs_lease_enter(struct fs *fs, struct fs_writer *wr, struct why *why) MUST_CHECK;
void fs_lease_leave(struct fs *fs, struct fs_writer *wr);
void fs_lease_stop(struct fs *fs);

/* write.c, for the renewer (fs->lock held): the list's links, and a heartbeat packet when nothing was sent for idle_ms. */
struct fs_writer *fs_writer_next(const struct fs_writer *wr);
void fs_writer_link(struct fs_writer **list, struct fs_writer *wr);
void fs_writer_unlink(struct fs_writer **list, struct fs_writer *wr);
void fs_writer_heartbeat(struct fs_writer *wr, uint64_t idle_ms);

#endif
