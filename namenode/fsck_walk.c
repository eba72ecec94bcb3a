/*
 * fsck_walk -- GET /fsck?path=P: the tree is walked while the answer is sent.
 *
 * Query: path, ugi (the user), files, blocks, locations, racks, replicadetails,
 * openforwrite, listcorruptfileblocks.  Nothing is changed: move and delete are
 * refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "namenode/fsck.h"
#include "namenode/pages_priv.h"

#define ANSWER_MAX (256 * MB)
#define CALL_MS 60000
#define STEP_BYTES (64 * KB)        /* text that is made ahead of what is sent */

/* A directory on the way. */
struct level {
    struct arena arena;             /* of its batch of entries */
    char *path;
    const DirectoryListingProto *batch;
    size_t at;
    struct level *up;
};

struct live_node { char *uuid; UT_hash_handle hh; };

enum phase { BEGIN, WALK, LIST, END, OVER };

struct fsck {
    struct nn_pages *pages;
    struct rpc_client *client;      /* as the user who asks */
    bool superuser;
    enum phase phase;
    struct fsck_ask ask;
    bool list_corrupt;
    char *path, *user;
    uint64_t begun_ms;
    struct fsck_counts counts;
    struct fsck_cluster cluster;
    struct live_node *live;
    struct level *top;
    struct buf out;
    size_t sent;
};

static ProtobufCBinaryData bytes_of(const char *s)
{
    return (ProtobufCBinaryData){ strlen(s), (uint8_t *)(uintptr_t)s };
}

static bool is_live(void *arg, ProtobufCBinaryData uuid)
{
    struct fsck *k = arg;
    struct live_node *n;

    HASH_FIND(hh, k->live, uuid.data, uuid.len, n);
    return n != NULL;
}

static const void *ask(struct rpc_client *c, size_t method, const ProtobufCMessage *q, struct arena *a, struct why *why)
{
    const ProtobufCMessage *answer;

    return rpc_client_call(c, method, q, a, CALL_MS, &answer, why) == RC_OK ? answer : NULL;
}

/* ---- what is known of the cluster ---- */

static bool add_live(struct fsck *k, const DatanodeInfoProto *d)
{
    struct live_node *n = mem_zalloc(sizeof *n);

    if (n == NULL || (n->uuid = mem_strndup(d->id->datanodeuuid.data, d->id->datanodeuuid.len)) == NULL) {
        mem_free(n);
        return false;
    }
    HASH_ADD_KEYPTR(hh, k->live, n->uuid, d->id->datanodeuuid.len, n);
    return true;
}

static enum rc learn_cluster(struct fsck *k, struct why *why)
{
    GetDatanodeReportRequestProto q = GET_DATANODE_REPORT_REQUEST_PROTO__INIT;
    GetServerDefaultsRequestProto dq = GET_SERVER_DEFAULTS_REQUEST_PROTO__INIT;
    const GetDatanodeReportResponseProto *r;
    const GetServerDefaultsResponseProto *d;
    struct arena a;
    enum rc rc = RC_OK;

    arena_init(&a, ANSWER_MAX);
    q.type = DATANODE_REPORT_TYPE_PROTO__LIVE;
    if ((r = ask(k->pages->super, ROW_get_datanode_report, &q.base, &a, why)) == NULL ||
        (d = ask(k->pages->super, ROW_get_server_defaults, &dq.base, &a, why)) == NULL) {
        rc = why->rc;
        goto out;
    }
    k->cluster.nodes = r->n_di;
    k->cluster.replication = d->serverdefaults->replication;
    for (size_t i = 0; i < r->n_di; i++) {
        bool seen = false;

        for (size_t m = 0; m < i && !seen; m++)
            seen = r->di[m]->location.len == r->di[i]->location.len &&
                   memcmp(r->di[m]->location.data, r->di[i]->location.data, r->di[i]->location.len) == 0;
        k->cluster.racks += !seen;
        if (!add_live(k, r->di[i])) {
            rc = why_rc(why, RC_NOMEM);
            goto out;
        }
    }
out:
    arena_fini(&a);
    return rc;
}

/* ---- the walk ---- */

static enum rc check_file(struct fsck *k, const char *path, const HdfsFileStatusProto *st, struct why *why)
{
    const struct fsck_live live = { is_live, k };
    GetBlockLocationsRequestProto q = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    const GetBlockLocationsResponseProto *r;
    const LocatedBlocksProto *l = st->locations;
    struct arena a;
    enum rc rc = RC_OK;

    arena_init(&a, ANSWER_MAX);
    if (l == NULL || !k->superuser) {       /* also asks whether this user may read the file */
        q.src = bytes_of(path);
        q.length = INT64_MAX;
        if ((r = ask(k->client, ROW_get_block_locations, &q.base, &a, why)) == NULL)
            rc = why->rc;
        else
            l = r->locations;
    }
    if (rc == RC_OK && l != NULL)
        fsck_file(&k->counts, &k->ask, &live, path, st, l, k->cluster.replication_min, &k->out);
    arena_fini(&a);
    return rc == RC_NOT_FOUND ? RC_OK : rc;         /* deleted meanwhile */
}

static enum rc fetch_batch(struct fsck *k, struct level *l, const char *after, struct why *why)
{
    GetListingRequestProto q = GET_LISTING_REQUEST_PROTO__INIT;
    const GetListingResponseProto *r;
    struct arena fresh;

    arena_init(&fresh, ANSWER_MAX);
    q.src = bytes_of(l->path);
    q.startafter = bytes_of(after);
    q.needlocation = k->superuser;
    r = ask(k->client, ROW_get_listing, &q.base, &fresh, why);
    arena_fini(&l->arena);                          /* `after` was in it, and has been sent */
    l->arena = fresh;
    l->batch = r == NULL ? NULL : r->dirlist;
    l->at = 0;
    return r == NULL ? why->rc : RC_OK;
}

/* Enter a directory; takes path. */
static enum rc push(struct fsck *k, char *path, struct why *why)
{
    struct level *l = mem_zalloc(sizeof *l);

    if (l == NULL || path == NULL) {
        mem_free(l);
        mem_free(path);
        return why_rc(why, RC_NOMEM);
    }
    arena_init(&l->arena, ANSWER_MAX);
    l->path = path;
    l->up = k->top;
    k->top = l;
    fsck_dir(&k->counts, &k->ask, path, &k->out);
    return fetch_batch(k, l, "", why);
}

static void pop(struct fsck *k)
{
    struct level *l = k->top;

    k->top = l->up;
    arena_fini(&l->arena);
    mem_free(l->path);
    mem_free(l);
}

static char *join(const char *dir, ProtobufCBinaryData name)
{
    return mem_printf("%s%s%.*s", dir, dir[1] == '\0' ? "" : "/", (int)name.len, (const char *)name.data);
}

/* One entry of the directory on top. */
static enum rc walk_step(struct fsck *k, struct why *why)
{
    struct level *l = k->top;
    const HdfsFileStatusProto *st;
    char *path;
    enum rc rc;

    if (l->batch == NULL || l->batch->n_partiallisting == 0) {
        pop(k);
        return RC_OK;
    }
    if (l->at == l->batch->n_partiallisting) {
        const HdfsFileStatusProto *last = l->batch->partiallisting[l->at - 1];
        const char *after = pages_text(&l->arena, last->path);

        if (l->batch->remainingentries > 0)
            return fetch_batch(k, l, after, why);
        pop(k);
        return RC_OK;
    }
    st = l->batch->partiallisting[l->at++];
    if ((path = join(l->path, st->path)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (st->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR)
        return push(k, path, why);
    rc = check_file(k, path, st, why);
    mem_free(path);
    return rc;
}

static void say_end(struct fsck *k, uint64_t now_ms)
{
    char date[40];

    buf_printf(&k->out, "FSCK ended at %s in %" PRIu64 " milliseconds\n", fsck_date(now_ms, date), now_ms - k->begun_ms);
}

static void fail(struct fsck *k, const struct why *why)
{
    buf_u8(&k->out, '\n');
    say_end(k, clock_wall_ms(k->pages->w->clock));
    buf_printf(&k->out, "%s\n\n\nFsck on path '%s' FAILED\n", why->text, k->path);
    k->phase = OVER;
}

static enum rc begin(struct fsck *k, struct why *why)
{
    GetFileInfoRequestProto q = GET_FILE_INFO_REQUEST_PROTO__INIT;
    const GetFileInfoResponseProto *r;
    struct arena a;
    char date[40];
    enum rc rc;

    buf_printf(&k->out, "FSCK started by %s (auth:SIMPLE) from /127.0.0.1 for path %s at %s\n", k->user, k->path,
               fsck_date(k->begun_ms, date));
    if ((rc = learn_cluster(k, why)) != RC_OK)
        return rc;
    arena_init(&a, ANSWER_MAX);
    q.src = bytes_of(k->path);
    k->phase = WALK;
    if ((r = ask(k->client, ROW_get_file_info, &q.base, &a, why)) == NULL) {
        rc = why->rc;
    } else if (r->fs == NULL) {
        buf_printf(&k->out, "\n\nThe filesystem under path '%s' does not exist\n", k->path);
        k->phase = OVER;
    } else {
        size_t head = k->out.n;

        buf_u8(&k->out, '\n');
        if (r->fs->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR)
            rc = push(k, mem_strdup(k->path), why);
        else
            rc = check_file(k, k->path, r->fs, why);
        if (rc != RC_OK)
            k->out.n = head;
    }
    arena_fini(&a);
    return rc;
}

static void end(struct fsck *k)
{
    bool bad = k->counts.missing + k->counts.corrupt > 0;

    fsck_summary(&k->counts, &k->cluster, &k->out);
    say_end(k, clock_wall_ms(k->pages->w->clock));
    buf_printf(&k->out, "\n\nThe filesystem under path '%s' is %s\n", k->path, bad ? "CORRUPT" : "HEALTHY");
    k->phase = OVER;
}

/* ---- -list-corruptfileblocks ---- */

/* The blocks of a file that no good replica is left of. */
static uint64_t list_file(struct fsck *k, ProtobufCBinaryData path, struct buf *lines, struct why *why)
{
    GetBlockLocationsRequestProto q = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    const GetBlockLocationsResponseProto *r;
    struct arena a;
    uint64_t n = 0;

    arena_init(&a, ANSWER_MAX);
    q.src = path;
    q.length = INT64_MAX;
    if ((r = ask(k->client, ROW_get_block_locations, &q.base, &a, why)) != NULL && r->locations != NULL)
        for (size_t i = 0; i < r->locations->n_blocks; i++) {
            const LocatedBlockProto *b = r->locations->blocks[i];
            bool live = false;

            for (size_t m = 0; m < b->n_locs; m++)
                live = live || is_live(k, b->locs[m]->id->datanodeuuid);
            if (live && !b->corrupt)
                continue;
            buf_printf(lines, "blk_%" PRIu64 "\t%zu\t%.*s\n", b->b->blockid, b->n_locs, (int)path.len, (const char *)path.data);
            n++;
        }
    arena_fini(&a);
    return n;
}

static bool same_text(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static enum rc list_corrupt(struct fsck *k, struct why *why)
{
    ListCorruptFileBlocksRequestProto q = LIST_CORRUPT_FILE_BLOCKS_REQUEST_PROTO__INIT;
    const ListCorruptFileBlocksResponseProto *r;
    struct buf lines;
    struct arena a;
    uint64_t n = 0;
    enum rc rc;

    arena_init(&a, ANSWER_MAX);
    buf_init(&lines, 16 * MB);
    q.path = bytes_of(k->path);
    if ((rc = learn_cluster(k, why)) != RC_OK)
        goto out;
    if ((r = ask(k->client, ROW_list_corrupt_file_blocks, &q.base, &a, why)) == NULL) {
        rc = why->rc;
        goto out;
    }
    for (size_t i = 0; i < r->corrupt->n_files; i++) {
        bool before = false;

        for (size_t m = 0; m < i && !before; m++)
            before = same_text(r->corrupt->files[m], r->corrupt->files[i]);
        if (!before)
            n += list_file(k, r->corrupt->files[i], &lines, why);
    }
    if (n > 0)
        buf_printf(&k->out, "The list of corrupt blocks under path '%s' are:\n", k->path);
    buf_put(&k->out, lines.p, lines.n);
    buf_printf(&k->out, "The filesystem under path '%s' has %" PRIu64 " CORRUPT blocks\n", k->path, n);
    k->phase = OVER;
out:
    buf_fini(&lines);
    arena_fini(&a);
    return rc;
}

/* ---- the stream ---- */

static void advance(struct fsck *k)
{
    struct why why;
    enum rc rc = RC_OK;

    switch (k->phase) {
    case BEGIN: rc = begin(k, &why); break;
    case WALK:
        if (k->top == NULL)
            k->phase = END;
        else
            rc = walk_step(k, &why);
        break;
    case LIST: rc = list_corrupt(k, &why); break;
    case END: end(k); break;
    case OVER: break;
    }
    if (rc != RC_OK)
        fail(k, &why);
}

static long fsck_stream(void *arg, char *out, size_t cap)
{
    struct fsck *k = arg;
    size_t n;

    if (k->sent == k->out.n) {
        buf_clear(&k->out);
        k->sent = 0;
    }
    while (k->phase != OVER && k->out.n - k->sent < STEP_BYTES)
        advance(k);
    if (!buf_ok(&k->out))
        return -1;
    n = k->out.n - k->sent < cap ? k->out.n - k->sent : cap;
    if (n > 0)
        memcpy(out, k->out.p + k->sent, n);
    k->sent += n;
    return (long)n;
}

static void fsck_done(void *arg)
{
    struct fsck *k = arg;
    struct live_node *n, *next;

    if (k == NULL)
        return;
    while (k->top != NULL)
        pop(k);
    HASH_ITER(hh, k->live, n, next) {
        HASH_DEL(k->live, n);
        mem_free(n->uuid);
        mem_free(n);
    }
    if (k->client != NULL)
        rpc_client_free(k->client);
    buf_fini(&k->out);
    mem_free(k->path);
    mem_free(k->user);
    mem_free(k);
}

static bool is_set(const struct http_request *req, const char *name)
{
    return http_param(req, name) != NULL;
}

static void refuse(struct http_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    reply->type = "text/plain; charset=utf-8";
    buf_printf(&reply->body, "%s\n", text);
}

void page_fsck(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct nn_pages *p = arg;
    const char *path = http_param(req, "path"), *user = http_param(req, "ugi");
    struct fsck *k;
    struct why why;

    if (path == NULL || path[0] != '/') {
        refuse(reply, 400, "fsck: path=/... is missing");
        return;
    }
    if (is_set(req, "move") || is_set(req, "delete") || is_set(req, "blockId")) {
        refuse(reply, 501, "fsck: move, delete and blockId are not supported");
        return;
    }
    if ((k = mem_zalloc(sizeof *k)) == NULL) {
        refuse(reply, 503, "out of memory");
        return;
    }
    buf_init(&k->out, 64 * MB);
    k->pages = p;
    k->list_corrupt = is_set(req, "listcorruptfileblocks");
    k->phase = k->list_corrupt ? LIST : BEGIN;
    k->begun_ms = clock_wall_ms(p->w->clock);
    k->ask = (struct fsck_ask){ .files = is_set(req, "files"), .blocks = is_set(req, "blocks"),
                                .locations = is_set(req, "locations"), .racks = is_set(req, "racks"),
                                .details = is_set(req, "replicadetails"), .open_files = is_set(req, "openforwrite") };
    k->cluster.replication_min = p->replication_min;
    k->user = mem_strdup(user != NULL && user[0] != '\0' ? user : p->visitor_name);
    k->path = mem_strdup(path);
    if (k->user == NULL || k->path == NULL || pages_client(p, k->user, &k->client, &why) != RC_OK) {
        fsck_done(k);
        refuse(reply, 503, "out of memory");
        return;
    }
    while (k->path[1] != '\0' && k->path[strlen(k->path) - 1] == '/')
        k->path[strlen(k->path) - 1] = '\0';
    k->superuser = strcmp(k->user, p->superuser) == 0;
    reply->type = "text/plain; charset=utf-8";
    reply->stream = fsck_stream;
    reply->stream_done = fsck_done;
    reply->stream_arg = k;
}
