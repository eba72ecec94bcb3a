#include "tests/unit/nn_actors.h"

#include <check.h>
#include <stdio.h>

#include "namenode/core.h"
#include "namenode/report.h"
#include "namenode/schema.h"
#include "namenode/txlog.h"
#include "namenode/verify.h"

struct fake_nn f;
struct fake_dn dn[NODES];
struct why why;

void actors_begin(void)
{
    fake_nn_init(&f);
    for (int i = 0; i < NODES; i++) {
        dn_name(i);
        dn_register(i);
        dn_report(i, NULL, 0);
    }
    fake_nn_run(&f, 1000);
}

void actors_end(void)
{
    struct nn_db copy = { .sql = NULL };
    struct why bad;
    char path[100];

    snprintf(path, sizeof path, "%s/replayed.db", f.dir);
    ck_assert_msg(nn_verify(&f.nn->core->db, &bad) == RC_OK, "%s", bad.text);
    ck_assert_int_eq(nn_db_open(&copy, f.nn->vfs, path, true, &f.nn->conf, &bad), RC_OK);
    ck_assert_msg(nn_txlog_replay(&f.nn->core->db, &copy, &bad) == RC_OK, "%s", bad.text);
    ck_assert_msg(nn_txlog_compare(&f.nn->core->db, &copy, &bad) == RC_OK, "%s", bad.text);
    nn_db_fini(&copy);
    fake_nn_fini(&f);
}

void dn_name(int i)
{
    dn[i] = (struct fake_dn){ .epoch = 0 };
    snprintf(dn[i].uuid, sizeof dn[i].uuid, "dn-%d", i);
    snprintf(dn[i].storage, sizeof dn[i].storage, "DS-%d", i);
    snprintf(dn[i].host, sizeof dn[i].host, "10.0.0.%d", i + 1);
}

void dn_register(int i)
{
    DnStorage storage = DN_STORAGE__INIT, *list = &storage;
    DnRegisterRequest q = DN_REGISTER_REQUEST__INIT;
    struct fake_call *c;
    char nothing[] = "";

    storage.uuid = dn[i].storage;
    storage.capacity = storage.remaining = 10 * GB;
    q.node_uuid = dn[i].uuid;
    q.host = dn[i].host;
    q.name = q.cluster_id = q.version = nothing;
    q.data_port = 9866;
    q.ipc_port = 9867;
    q.http_port = 9864;
    q.seen_txid = dn[i].seen_txid;
    q.n_storages = 1;
    q.storages = &list;
    c = fake_start(&f, "registerNode", &q.base);
    ck_assert_msg(c->ended && !c->failed, "%s", c->why.text);
    dn[i].epoch = ((DnRegisterReply *)(void *)c->call.reply)->epoch;
    dn[i].taken = 0;
    fake_end(c);
}

bool dn_report(int i, const DnBlock *blocks, size_t n)
{
    DnReportHashesRequest q = DN_REPORT_HASHES_REQUEST__INIT;
    DnRange range = DN_RANGE__INIT, *list = &range;
    uint64_t numbers[3 * 16], before = 0;
    struct fake_call *c;
    bool differs;

    range.last_id = UINT64_MAX;
    range.count = n;
    range.hash = NN_HASH_START;
    for (size_t k = 0; k < n; k++) {
        struct nn_held h = { .block = { blocks[k].id }, .stamp = blocks[k].stamp, .bytes = blocks[k].bytes };

        range.hash = nn_held_hash(range.hash, &h);
        numbers[3 * k] = blocks[k].id - before;
        numbers[3 * k + 1] = blocks[k].stamp;
        numbers[3 * k + 2] = blocks[k].bytes * 2;
        before = blocks[k].id;
    }
    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.storage_uuid = dn[i].storage;
    q.seq = dn[i].seq;
    q.n_ranges = 1;
    q.ranges = &list;
    c = fake_start(&f, "reportHashes", &q.base);
    fake_nn_run(&f, 0);                                 /* all of the roster passes by */
    ck_assert_msg(!c->failed, "%s", c->why.text);
    differs = ((DnReportHashesReply *)(void *)c->call.reply)->n_differ > 0;
    fake_end(c);
    if (differs) {
        DnReportRangeRequest r = DN_REPORT_RANGE_REQUEST__INIT;

        r.node_uuid = dn[i].uuid;
        r.epoch = dn[i].epoch;
        r.storage_uuid = dn[i].storage;
        r.seq = dn[i].seq;
        r.range = &range;
        r.n_replicas = 3 * n;
        r.replicas = numbers;
        r.last = true;
        c = fake_start(&f, "reportRange", &r.base);
        ck_assert_msg(!c->failed, "%s", c->why.text);
        fake_end(c);
    }
    return differs;
}

void dn_change(int i, DnChange__Kind kind, DnBlock block)
{
    DnBlocksChangedRequest q = DN_BLOCKS_CHANGED_REQUEST__INIT;
    DnStorageChanges changes = DN_STORAGE_CHANGES__INIT, *list = &changes;
    DnChange change = DN_CHANGE__INIT, *one = &change;
    struct fake_call *c;

    change.kind = kind;
    change.block = &block;
    change.seq = ++dn[i].seq;
    changes.storage_uuid = dn[i].storage;
    changes.n_changes = 1;
    changes.changes = &one;
    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.n_storages = 1;
    q.storages = &list;
    c = fake_start(&f, "blocksChanged", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
}

void dn_heartbeat(int i)
{
    DnHeartbeatRequest q = DN_HEARTBEAT_REQUEST__INIT;
    DnStorage storage = DN_STORAGE__INIT, *list = &storage;
    struct fake_call *c;

    storage.uuid = dn[i].storage;
    storage.capacity = 10 * GB;
    storage.remaining = dn[i].is_fuller ? 5 * GB : 10 * GB;
    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.n_storages = 1;
    q.storages = &list;
    c = fake_start(&f, "heartbeat", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
}

void pass(uint64_t ms, unsigned mask)
{
    for (uint64_t at = 0; at < ms; at += 1000) {
        for (int i = 0; i < NODES; i++)
            if ((mask >> i & 1) != 0)
                dn_heartbeat(i);
        fake_nn_run(&f, 1000);
    }
}

size_t dn_orders(int i, DnOrder *ret, DnBlock *ret_block, char ret_target[16])
{
    DnWaitOrdersRequest q = DN_WAIT_ORDERS_REQUEST__INIT;
    struct fake_call *c;
    DnWaitOrdersReply *reply;
    size_t n;

    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.last_seq = dn[i].taken;
    c = fake_start(&f, "waitOrders", &q.base);
    ck_assert_msg(c->ended && !c->failed, "%s", c->why.text);
    reply = (DnWaitOrdersReply *)(void *)c->call.reply;
    n = reply->n_orders;
    for (size_t k = 0; k < n; k++)
        dn[i].taken = reply->orders[k]->seq;
    if (n > 0) {
        *ret = *reply->orders[0];
        *ret_block = *reply->orders[0]->block;
        if (ret_target != NULL && ret->n_targets > 0)
            snprintf(ret_target, 16, "%.15s", ret->targets[0]->node_uuid);
    }
    fake_end(c);
    return n;
}

int node_of(const char *uuid)
{
    return uuid[3] - '0';
}

void create(const char *path, uint32_t replication)
{
    CreateRequestProto q = CREATE_REQUEST_PROTO__INIT;
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    struct fake_call *c;

    perm.perm = 0644;
    q.src = fake_text(path);
    q.masked = &perm;
    q.clientname = fake_text("writer");
    q.createflag = 1;
    q.createparent = true;
    q.replication = replication;
    q.blocksize = 1024;
    c = fake_start(&f, "create", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
}

size_t add_block(const char *path, const DnBlock *previous, DnBlock *ret, int nodes[NODES])
{
    AddBlockRequestProto q = ADD_BLOCK_REQUEST_PROTO__INIT;
    ExtendedBlockProto last = EXTENDED_BLOCK_PROTO__INIT;
    const LocatedBlockProto *l;
    struct fake_call *c;
    size_t n;

    q.src = fake_text(path);
    q.clientname = fake_text("writer");
    if (previous != NULL) {
        last.poolid = fake_text(f.nn->id.pool_id);
        last.blockid = previous->id;
        last.generationstamp = previous->stamp;
        last.has_numbytes = true;
        last.numbytes = previous->bytes;
        q.previous = &last;
    }
    c = fake_start(&f, "addBlock", &q.base);
    if (c->failed) {
        why = c->why;
        fake_end(c);
        return 0;
    }
    l = ((AddBlockResponseProto *)(void *)c->call.reply)->block;
    *ret = (DnBlock)DN_BLOCK__INIT;
    ret->id = l->b->blockid;
    ret->stamp = l->b->generationstamp;
    ret->bytes = BYTES;
    n = l->n_locs;
    for (size_t i = 0; i < n; i++)
        nodes[i] = l->locs[i]->id->datanodeuuid.data[3] - '0';
    fake_end(c);
    return n;
}

static CompleteRequestProto complete_q;
static ExtendedBlockProto complete_last;

struct fake_call *complete_start(const char *path, const DnBlock *last)
{
    complete_q = (CompleteRequestProto)COMPLETE_REQUEST_PROTO__INIT;
    complete_last = (ExtendedBlockProto)EXTENDED_BLOCK_PROTO__INIT;
    complete_q.src = fake_text(path);
    complete_q.clientname = fake_text("writer");
    if (last != NULL) {
        complete_last.poolid = fake_text(f.nn->id.pool_id);
        complete_last.blockid = last->id;
        complete_last.generationstamp = last->stamp;
        complete_last.has_numbytes = true;
        complete_last.numbytes = last->bytes;
        complete_q.last = &complete_last;
    }
    return fake_start(&f, "complete", &complete_q.base);
}

bool complete_end(struct fake_call *c)
{
    bool result = ((CompleteResponseProto *)(void *)c->call.reply)->result;

    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
    return result;
}

bool complete(const char *path, const DnBlock *last)
{
    return complete_end(complete_start(path, last));
}

size_t locate(const char *path, int nodes[NODES])
{
    GetBlockLocationsRequestProto q = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    const LocatedBlocksProto *l;
    struct fake_call *c;
    size_t n;

    q.src = fake_text(path);
    q.length = INT64_MAX;
    c = fake_start(&f, "getBlockLocations", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    l = ((GetBlockLocationsResponseProto *)(void *)c->call.reply)->locations;
    n = l->lastblock == NULL ? 0 : l->lastblock->n_locs;
    for (size_t i = 0; i < n; i++)
        nodes[i] = l->lastblock->locs[i]->id->datanodeuuid.data[3] - '0';
    fake_end(c);
    return n;
}

DnBlock write_file(const char *path, int nodes[NODES])
{
    DnBlock b;

    create(path, 3);
    ck_assert_uint_eq(add_block(path, NULL, &b, nodes), 3);
    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVED, b);
    ck_assert(complete(path, &b));
    fake_nn_run(&f, 1000);
    return b;
}

int other_than(const int nodes[3])
{
    for (int i = 0; i < NODES; i++)
        if (i != nodes[0] && i != nodes[1] && i != nodes[2])
            return i;
    return -1;
}
