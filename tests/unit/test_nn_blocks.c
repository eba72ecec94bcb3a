/* The block side as clients and DataNodes meet it: files written, nodes lost, restarts. */
#include <stdio.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "namenode/lease.h"
#include "tests/unit/nn_actors.h"
#include "tests/unit/suites.h"

Suite *suite_nn_blocks(void);

/* ---- tests ---- */

START_TEST(written_file_is_located_on_the_nodes_that_reported_it)
{
    int nodes[NODES], at[NODES];
    DnBlock b;

    create("/f", 3);
    ck_assert_uint_eq(add_block("/f", NULL, &b, nodes), 3);
    ck_assert_int_eq(nodes[0], 0);                      /* the writer's own */
    ck_assert_uint_eq(locate("/f", at), 3);             /* open: where it is being written */
    dn_change(nodes[1], DN_CHANGE__KIND__RECEIVED, b);
    ck_assert(complete("/f", &b));
    ck_assert_uint_eq(locate("/f", at), 1);
    ck_assert_int_eq(at[0], nodes[1]);
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, b);
    dn_change(nodes[2], DN_CHANGE__KIND__RECEIVED, b);
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(locate("/f", at), 3);
    ck_assert_int_eq(at[0], 0);                         /* the reader's own first */
}
END_TEST

START_TEST(complete_waits_for_the_replica_to_be_reported)
{
    struct fake_call *c;
    int nodes[NODES];
    DnBlock b;

    create("/f", 3);
    add_block("/f", NULL, &b, nodes);
    c = complete_start("/f", &b);
    ck_assert(!c->ended);
    fake_nn_run(&f, 500);
    ck_assert(!c->ended);
    dn_change(nodes[2], DN_CHANGE__KIND__RECEIVED, b);
    fake_nn_run(&f, 0);
    ck_assert(complete_end(c));
    ck_assert(complete("/f", &b));                      /* a repeat whose reply was lost */
}
END_TEST

START_TEST(complete_says_not_yet_after_a_bounded_time)
{
    struct fake_call *c;
    int nodes[NODES];
    DnBlock b;

    create("/f", 3);
    add_block("/f", NULL, &b, nodes);
    c = complete_start("/f", &b);
    fake_nn_run(&f, NN_HOLD_MS - 1000);
    ck_assert(!c->ended);
    fake_nn_run(&f, 1500);
    ck_assert(!complete_end(c));
}
END_TEST

START_TEST(replica_of_another_length_does_not_complete_a_block)
{
    struct fake_call *c;
    int nodes[NODES];
    DnBlock b, shorter;

    create("/f", 3);
    add_block("/f", NULL, &b, nodes);
    shorter = b;
    shorter.bytes--;
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, shorter);
    c = complete_start("/f", &b);
    fake_nn_run(&f, 1000);
    ck_assert(!c->ended);
    dn_change(nodes[1], DN_CHANGE__KIND__RECEIVED, b);
    fake_nn_run(&f, 0);
    ck_assert(complete_end(c));
}
END_TEST

START_TEST(repeated_add_block_gets_the_same_block)
{
    int nodes[NODES];
    DnBlock b, again, next;

    create("/f", 3);
    add_block("/f", NULL, &b, nodes);
    ck_assert_uint_eq(add_block("/f", NULL, &again, nodes), 3);
    ck_assert_uint_eq(again.id, b.id);
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, b);
    ck_assert_uint_eq(add_block("/f", &b, &next, nodes), 3);
    ck_assert_uint_eq(add_block("/f", &b, &again, nodes), 3);
    ck_assert_uint_eq(next.id, again.id);
    ck_assert_uint_eq(add_block("/f", NULL, &again, nodes), 0);
    ck_assert_ptr_nonnull(strstr(why.text, "passed 'previous' block null does not match actual last block in file blk_"));
}
END_TEST

START_TEST(third_block_needs_a_replica_of_the_first)
{
    int nodes[NODES];
    DnBlock first, second, third;

    create("/f", 3);
    add_block("/f", NULL, &first, nodes);
    ck_assert_uint_eq(add_block("/f", &first, &second, nodes), 3);
    ck_assert_uint_eq(add_block("/f", &second, &third, nodes), 0);
    ck_assert_int_eq(why.rc, RC_NOT_REPLICATED);
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, first);
    ck_assert_uint_eq(add_block("/f", &second, &third, nodes), 3);
}
END_TEST

START_TEST(lost_node_is_made_up_for_and_its_return_trimmed)
{
    int nodes[NODES], at[NODES], spare, source = -1;
    DnBlock b = write_file("/f", nodes), what;
    DnOrder o = DN_ORDER__INIT;
    char target[16];

    spare = other_than(nodes);
    pass(700000, 0xfu & ~(1u << nodes[2]));             /* longer than the dead-node interval */
    for (int i = 0; i < 2 && source < 0; i++)
        if (dn_orders(nodes[i], &o, &what, target) == 1)
            source = nodes[i];
    ck_assert_int_ge(source, 0);
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__COPY);
    ck_assert_uint_eq(what.id, b.id);
    ck_assert_int_eq(node_of(target), spare);
    dn_change(spare, DN_CHANGE__KIND__RECEIVED, b);
    pass(5000, 0xfu & ~(1u << nodes[2]));
    ck_assert_uint_eq(locate("/f", at), 3);
    for (int i = 0; i < NODES; i++)
        if (i != nodes[2])
            ck_assert_uint_eq(dn_orders(i, &o, &what, NULL), 0);

    dn_register(nodes[2]);
    pass(5000, 0xf);
    for (int i = 0; i < NODES; i++)                     /* not reported yet: nothing is dropped */
        ck_assert_uint_eq(dn_orders(i, &o, &what, NULL), 0);
    dn_report(nodes[2], &b, 1);
    pass(5000, 0xf);
    for (int i = 0, dropped = 0; i < NODES; i++) {
        if (dn_orders(i, &o, &what, NULL) == 1) {
            ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__DELETE);
            ck_assert_int_eq(++dropped, 1);
            dn_change(i, DN_CHANGE__KIND__DELETED, b);
        }
        ck_assert(i < NODES - 1 || dropped == 1);
    }
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(locate("/f", at), 3);
}
END_TEST

struct warnings { unsigned count; };

static void count_warning(void *arg, enum log_level level, const char *event, const char *text)
{
    struct warnings *w = arg;

    (void)event, (void)text;
    w->count += level <= LOG_WARN;
}

static void copy_failed(int i, DnBlock b)
{
    DnOrderFailedRequest q = DN_ORDER_FAILED_REQUEST__INIT;
    char reason[] = "connection closed";
    struct fake_call *c;

    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.block = &b;
    q.reason = reason;
    c = fake_start(&f, "orderFailed", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
}

START_TEST(copy_that_failed_after_it_had_arrived_is_no_failure)
{
    struct warnings w = { 0 };
    int nodes[NODES], source = -1;
    DnBlock b = write_file("/f", nodes), what;
    DnOrder o = DN_ORDER__INIT;
    char target[16];

    pass(700000, 0xfu & ~(1u << nodes[2]));
    for (int i = 0; i < 2 && source < 0; i++)
        if (dn_orders(nodes[i], &o, &what, target) == 1)
            source = nodes[i];
    ck_assert_int_ge(source, 0);
    log_set_sink(count_warning, &w);
    copy_failed(source, b);
    ck_assert_uint_eq(w.count, 1);                      /* it was wanted, and is planned again */
    log_set_sink(NULL, NULL);
    pass(5000, 0xfu & ~(1u << nodes[2]));
    dn_change(node_of(target), DN_CHANGE__KIND__RECEIVED, b);
    log_set_sink(count_warning, &w);
    copy_failed(source, b);
    ck_assert_uint_eq(w.count, 1);
    log_set_sink(NULL, NULL);
}
END_TEST

START_TEST(time_in_which_the_namenode_did_not_run_makes_no_node_dead_and_no_lease_idle)
{
    const struct span writer = span_of("writer", 6);

    create("/f", 3);
    f.now_ms += 3600000;
    nn_core_woke(f.nn->core, 3600000);
    fake_nn_run(&f, 0);
    for (size_t i = 0; i < NODES; i++)
        ck_assert(!f.nn->core->blocks->nodes.all[i]->dead);
    ck_assert_uint_lt(nn_lease_idle_ms(f.nn->core, writer), 5000);
    fake_nn_run(&f, 700000);                            /* it ran, and heard nothing */
    for (size_t i = 0; i < NODES; i++)
        ck_assert(f.nn->core->blocks->nodes.all[i]->dead);
}
END_TEST

START_TEST(deleted_files_replicas_are_ordered_away)
{
    DeleteRequestProto q = DELETE_REQUEST_PROTO__INIT;
    int nodes[NODES];
    DnBlock b = write_file("/f", nodes), what;
    DnOrder o = DN_ORDER__INIT;
    struct fake_call *c;

    q.src = fake_text("/f");
    c = fake_start(&f, "delete", &q.base);
    ck_assert(!c->failed);
    fake_end(c);
    fake_nn_run(&f, 2000);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(dn_orders(nodes[i], &o, &what, NULL), 1);
        ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__DELETE);
        ck_assert_uint_eq(what.id, b.id);
        dn_change(nodes[i], DN_CHANGE__KIND__DELETED, b);
    }
    fake_nn_run(&f, 2000);
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, b);  /* and now nobody knows it any more */
    ck_assert_uint_eq(dn_orders(nodes[0], &o, &what, NULL), 1);
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__SET_ASIDE);
    ck_assert_uint_eq(o.keep_ms, 86400000);
}
END_TEST

START_TEST(deletion_that_was_ordered_is_not_forgotten_with_an_undone_group)
{
    SetReplicationRequestProto q = SET_REPLICATION_REQUEST_PROTO__INIT;
    MkdirsRequestProto m = MKDIRS_REQUEST_PROTO__INIT;
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    struct fake_call *c;
    int nodes[NODES], first = -1;
    DnBlock gone;
    DnOrder o;

    (void)write_file("/f", nodes);
    q.src = fake_text("/f");
    q.replication = 2;
    c = fake_start(&f, "setReplication", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
    pass(5000, 0xf);
    for (int i = 0; i < 3; i++)
        if (dn_orders(nodes[i], &o, &gone, NULL) > 0) {
            ck_assert_int_eq(first, -1);
            ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__DELETE);
            first = nodes[i];
        }
    ck_assert_int_ge(first, 0);
    m.src = fake_text("/d");
    m.masked = &perm;
    f.full = true;
    c = fake_start(&f, "mkdirs", &m.base);
    ck_assert(c->failed);
    fake_end(c);
    f.full = false;
    /* The node that got the order may have carried it out, and says nothing; now another one would be chosen. */
    for (int i = 0; i < NODES; i++)
        dn[i].is_fuller = i != first;
    pass(20000, 0xfu & ~(1u << first));
    for (int i = 0; i < NODES; i++)
        if (i != first)
            ck_assert_uint_eq(dn_orders(i, &o, &gone, NULL), 0);
    /* It gets the order once more. */
    pass(5000, 0xf);
    ck_assert_uint_eq(dn_orders(first, &o, &gone, NULL), 1);
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__DELETE);
}
END_TEST

START_TEST(corrupt_replica_is_replaced_and_set_aside)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes), what;
    DnOrder o = DN_ORDER__INIT;
    char target[16];
    size_t copies = 0;

    dn_change(nodes[0], DN_CHANGE__KIND__CORRUPT, b);
    fake_nn_run(&f, 4000);
    ck_assert_uint_eq(locate("/f", at), 2);
    for (int i = 1; i < 3; i++)
        if (dn_orders(nodes[i], &o, &what, target) > 0) {
            ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__COPY);
            ck_assert_int_eq(node_of(target), other_than(nodes));
            copies++;
        }
    ck_assert_uint_eq(copies, 1);
    ck_assert_uint_eq(dn_orders(nodes[0], &o, &what, NULL), 1);         /* two are good: the bad one may go */
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__SET_ASIDE);
}
END_TEST

START_TEST(suspect_replica_is_named_last_and_good_again_when_it_was_verified)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes);

    dn_change(nodes[0], DN_CHANGE__KIND__SUSPECT, b);
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(locate("/f", at), 3);
    ck_assert_int_eq(at[2], nodes[0]);
    dn_change(nodes[1], DN_CHANGE__KIND__CORRUPT, b);
    dn_change(nodes[2], DN_CHANGE__KIND__CORRUPT, b);
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(locate("/f", at), 1);
    ck_assert_int_eq(at[0], nodes[0]);
    dn_change(nodes[1], DN_CHANGE__KIND__RECEIVED, b);
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, b);
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(locate("/f", at), 2);
}
END_TEST

START_TEST(bad_replicas_of_a_block_without_good_ones_stay_are_named_and_verified_again)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes), what;
    DnOrder o = DN_ORDER__INIT;

    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__CORRUPT, b);
    fake_nn_run(&f, 20000);
    ck_assert_uint_eq(locate("/f", at), 3);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(dn_orders(nodes[i], &o, &what, NULL), 0);
    ck_assert(!dn_report(nodes[1], &b, 1));             /* says that it has it, not that it is good */
    fake_nn_run(&f, 5000);
    ck_assert_uint_eq(locate("/f", at), 3);
    ck_assert_uint_eq(dn_orders(nodes[1], &o, &what, NULL), 1);
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__VERIFY);
    ck_assert_uint_eq(what.id, b.id);
    dn_change(nodes[1], DN_CHANGE__KIND__RECEIVED, b);
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(locate("/f", at), 1);
    ck_assert_int_eq(at[0], nodes[1]);
}
END_TEST

START_TEST(restart_is_read_only_until_reports_are_in_and_reads_go_on)
{
    int nodes[NODES], at[NODES];
    DnBlock b[2], none, what, on[NODES][2];
    DnOrder o = DN_ORDER__INIT;
    size_t count[NODES] = { 0 };

    for (int k = 0; k < 2; k++) {
        b[k] = write_file(k == 0 ? "/f" : "/g", nodes);
        for (int i = 0; i < 3; i++)
            on[nodes[i]][count[nodes[i]]++] = b[k];
    }
    create("/open", 3);
    fake_nn_restart(&f);
    ck_assert_uint_eq(locate("/f", at), 3);
    fake_nn_run(&f, 1000);
    ck_assert_uint_eq(add_block("/open", NULL, &none, nodes), 0);
    ck_assert_int_eq(why.rc, RC_SAFE_MODE);
    ck_assert_ptr_nonnull(strstr(why.text, "Cannot add block to /open. Name node is in safe mode.\nThe reported blocks 0 needs "
                                 "additional 1 blocks to reach the threshold 0.9990 of total blocks 2."));
    ck_assert_ptr_nonnull(strstr(why.text, "4 DataNode(s) have not registered yet: 10.0.0.1:9866, 10.0.0.2:9866"));
    dn_register(0);                                     /* the writer's node has both */
    fake_nn_run(&f, 1000);
    ck_assert(f.nn->core->safe_mode);
    ck_assert(!dn_report(0, on[0], count[0]));          /* equal hashes: no range is sent */
    fake_nn_run(&f, 1000);
    ck_assert(!f.nn->core->safe_mode);
    pass(10000, 1);
    ck_assert_uint_eq(dn_orders(0, &o, &what, NULL), 0);        /* the others are provisional, not lost */
    pass(700000, 1);
    ck_assert_uint_eq(locate("/f", at), 1);             /* now they are lost, and there is nowhere to copy to */
    ck_assert_uint_eq(dn_orders(0, &o, &what, NULL), 0);
    dn_register(1);
    dn_report(1, on[1], count[1]);
    pass(5000, 3);
    ck_assert_uint_eq(count[1] == 2 ? 0 : 2 - count[1], dn_orders(0, &o, &what, NULL));
}
END_TEST

START_TEST(change_asked_for_during_a_start_waits_for_its_end)
{
    MkdirsRequestProto q = MKDIRS_REQUEST_PROTO__INIT, late = MKDIRS_REQUEST_PROTO__INIT;
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    struct fake_call *c, *refused;
    int nodes[NODES];
    DnBlock b[2];

    b[0] = write_file("/f", nodes);
    b[1] = write_file("/g", nodes);
    perm.perm = 0755;
    q.src = fake_text("/d");
    late.src = fake_text("/e");
    q.masked = late.masked = &perm;
    q.createparent = late.createparent = true;
    f.patient = true;
    fake_nn_restart(&f);
    refused = fake_start(&f, "mkdirs", &late.base);
    fake_nn_run(&f, NN_PARK_MS - 1000);
    ck_assert(!refused->ended);
    c = fake_start(&f, "mkdirs", &q.base);
    fake_nn_run(&f, 1500);
    ck_assert(refused->ended && refused->failed);
    ck_assert_int_eq(refused->why.rc, RC_SAFE_MODE);
    fake_end(refused);
    ck_assert(!c->ended);
    dn_register(0);
    dn_report(0, b, 2);
    fake_nn_run(&f, 1000);
    ck_assert(c->ended && !c->failed);
    fake_end(c);
}
END_TEST

START_TEST(namenode_that_is_behind_stays_read_only_and_deletes_nothing)
{
    DeleteRequestProto q = DELETE_REQUEST_PROTO__INIT;
    int nodes[NODES];
    DnBlock b = write_file("/f", nodes), what, newer = b;
    DnOrder o = DN_ORDER__INIT;
    struct fake_call *c;

    dn[1].seen_txid = 1000000;
    dn_register(1);
    newer.id += 100;
    dn_change(1, DN_CHANGE__KIND__RECEIVED, newer);
    fake_nn_run(&f, 5000);
    q.src = fake_text("/f");
    c = fake_start(&f, "delete", &q.base);
    ck_assert(c->failed);
    ck_assert_ptr_nonnull(strstr(c->why.text, "10.0.0.2:9866 has seen transaction 1000000"));
    fake_end(c);
    ck_assert_uint_eq(dn_orders(1, &o, &what, NULL), 0);
}
END_TEST

START_TEST(recovered_pipeline_makes_older_stamps_outdated)
{
    UpdateBlockForPipelineRequestProto u = UPDATE_BLOCK_FOR_PIPELINE_REQUEST_PROTO__INIT;
    UpdatePipelineRequestProto p = UPDATE_PIPELINE_REQUEST_PROTO__INIT;
    ExtendedBlockProto was = EXTENDED_BLOCK_PROTO__INIT, now = EXTENDED_BLOCK_PROTO__INIT;
    DatanodeIDProto ids[2] = { DATANODE_IDPROTO__INIT, DATANODE_IDPROTO__INIT }, *id_list[2] = { &ids[0], &ids[1] };
    ProtobufCBinaryData storages[2];
    int nodes[NODES], at[NODES];
    struct fake_call *c;
    DnBlock b, newer, what;
    DnOrder o = DN_ORDER__INIT;

    create("/f", 3);
    add_block("/f", NULL, &b, nodes);
    was.poolid = now.poolid = fake_text(f.nn->id.pool_id);
    was.blockid = now.blockid = b.id;
    was.generationstamp = b.stamp;
    was.has_numbytes = now.has_numbytes = true;
    was.numbytes = now.numbytes = 100;
    u.block = &was;
    u.clientname = p.clientname = fake_text("writer");
    c = fake_start(&f, "updateBlockForPipeline", &u.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    now.generationstamp = ((UpdateBlockForPipelineResponseProto *)(void *)c->call.reply)->block->b->generationstamp;
    ck_assert_uint_gt(now.generationstamp, b.stamp);
    fake_end(c);
    p.oldblock = &was;
    p.newblock = &now;
    for (int i = 0; i < 2; i++) {
        ids[i].datanodeuuid = fake_text(dn[nodes[i]].uuid);
        storages[i] = fake_text(dn[nodes[i]].storage);
    }
    p.n_newnodes = p.n_storageids = 2;
    p.newnodes = id_list;
    p.storageids = storages;
    c = fake_start(&f, "updatePipeline", &p.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
    ck_assert_uint_eq(locate("/f", at), 2);
    newer = b;
    newer.stamp = now.generationstamp;
    now.generationstamp = b.stamp;
    c = fake_start(&f, "updatePipeline", &p.base);              /* back to the stamp that was */
    ck_assert(c->failed);
    ck_assert_int_eq(c->why.rc, RC_IO_EXCEPTION);
    fake_end(c);
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, newer);
    dn_change(nodes[1], DN_CHANGE__KIND__RECEIVED, newer);
    dn_change(nodes[2], DN_CHANGE__KIND__RECEIVED, b);          /* the one that was cut off comes back */
    ck_assert(complete("/f", &newer));
    pass(5000, 0xf);
    ck_assert_uint_eq(locate("/f", at), 2);
    ck_assert_uint_eq(dn_orders(nodes[2], &o, &what, NULL), 1);
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__DELETE);
    ck_assert_uint_eq(what.stamp, b.stamp);
}
END_TEST

START_TEST(word_of_an_earlier_registration_is_refused)
{
    DnHeartbeatRequest q = DN_HEARTBEAT_REQUEST__INIT;
    uint64_t before = dn[0].epoch;
    struct fake_call *c;

    dn_register(0);                                             /* it was started again */
    q.node_uuid = dn[0].uuid;
    q.epoch = before;
    c = fake_start(&f, "heartbeat", &q.base);                   /* sent before that, and late */
    ck_assert(c->failed);
    fake_end(c);
    dn_heartbeat(0);
}
END_TEST

START_TEST(held_orders_call_is_answered_when_there_is_something_or_time_is_up)
{
    DnWaitOrdersRequest q = DN_WAIT_ORDERS_REQUEST__INIT;
    DeleteRequestProto d = DELETE_REQUEST_PROTO__INIT;
    struct fake_call *c, *del;
    int nodes[NODES];

    (void)write_file("/f", nodes);
    q.node_uuid = dn[nodes[0]].uuid;
    q.epoch = dn[nodes[0]].epoch;
    q.max_wait_ms = 3000;
    c = fake_start(&f, "waitOrders", &q.base);
    fake_nn_run(&f, 1000);
    ck_assert(!c->ended);
    fake_nn_run(&f, 3000);
    ck_assert(c->ended && !c->failed);
    fake_end(c);
    c = fake_start(&f, "waitOrders", &q.base);
    ck_assert(!c->ended);
    d.src = fake_text("/f");
    del = fake_start(&f, "delete", &d.base);
    fake_end(del);
    fake_nn_run(&f, 0);
    ck_assert(c->ended);
    ck_assert_uint_eq(((DnWaitOrdersReply *)(void *)c->call.reply)->n_orders, 1);
    fake_end(c);
}
END_TEST

START_TEST(log_replayed_gives_equal_tables)
{
    AbandonBlockRequestProto q = ABANDON_BLOCK_REQUEST_PROTO__INIT;
    ExtendedBlockProto last = EXTENDED_BLOCK_PROTO__INIT;
    struct fake_call *c;
    int nodes[NODES];
    DnBlock b;

    (void)write_file("/f", nodes);
    create("/g", 3);
    add_block("/g", NULL, &b, nodes);
    last.poolid = fake_text(f.nn->id.pool_id);
    last.blockid = b.id;
    last.generationstamp = b.stamp;
    q.b = &last;
    q.src = fake_text("/g");
    q.holder = fake_text("writer");
    c = fake_start(&f, "abandonBlock", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
    ck_assert(complete("/g", NULL));
    fake_nn_run(&f, 3000);      /* actors_end replays the log */
}
END_TEST

START_TEST(leaving_node_keeps_its_replicas_until_they_are_elsewhere)
{
    int nodes[NODES], spare;
    DnBlock b = write_file("/f", nodes), what, none;
    DnOrder o = DN_ORDER__INIT;
    char path[100], target[16];
    FILE *list;

    spare = other_than(nodes);
    snprintf(path, sizeof path, "%s/exclude", f.dir);
    ck_assert_ptr_nonnull(list = fopen(path, "w"));
    fprintf(list, "%s\n", dn[nodes[2]].host);
    fclose(list);
    ck_assert_int_eq(conf_set(&f.conf, "dfs.hosts.exclude", path, "test", &why), RC_OK);
    fake_nn_restart(&f);
    for (int i = 0; i < NODES; i++) {
        dn_register(i);
        dn_report(i, &b, i == spare ? 0 : 1);
    }
    pass(8000, 0xf);
    ck_assert_int_eq((int)f.nn->core->blocks->nodes.all[0]->admin + (int)f.nn->core->blocks->nodes.all[1]->admin +
                     (int)f.nn->core->blocks->nodes.all[2]->admin + (int)f.nn->core->blocks->nodes.all[3]->admin,
                     (int)NN_DECOMMISSIONING);
    for (int i = 0, copies = 0; i < NODES; i++) {
        if (dn_orders(i, &o, &what, target) == 1) {
            ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__COPY);
            ck_assert_int_eq(node_of(target), spare);
            copies++;
        }
        ck_assert(i < NODES - 1 || copies == 1);
    }
    dn_change(spare, DN_CHANGE__KIND__RECEIVED, b);
    pass(35000, 0xf);                                   /* the next sweep */
    for (size_t i = 0; i < NODES; i++) {
        const struct nn_node *n = f.nn->core->blocks->nodes.all[i];

        ck_assert_int_eq((int)n->admin, strcmp(n->uuid, dn[nodes[2]].uuid) == 0 ? NN_DECOMMISSIONED : NN_NORMAL);
        ck_assert_uint_eq(dn_orders((int)i, &o, &what, NULL), 0);
    }
    create("/g", 4);
    ck_assert_uint_eq(add_block("/g", NULL, &none, nodes), 3);
}
END_TEST

START_TEST(refused_placement_names_each_node)
{
    int nodes[NODES];
    DnBlock b;

    create("/f", 3);
    pass(40000, 0);
    ck_assert_uint_eq(add_block("/f", NULL, &b, nodes), 0);
    ck_assert_ptr_nonnull(strstr(why.text, "File /f could only be written to 0 of the 1 minReplication nodes. There are 4 "
                                 "datanode(s) running and 0 node(s) are excluded in this operation. "
                                 "10.0.0.1:9866: stale, silent for 4"));
}
END_TEST

Suite *suite_nn_blocks(void)
{
    Suite *s = suite_create("nn_blocks");
    TCase *tc = tcase_create("blocks");

    tcase_add_checked_fixture(tc, actors_begin, actors_end);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, written_file_is_located_on_the_nodes_that_reported_it);
    tcase_add_test(tc, complete_waits_for_the_replica_to_be_reported);
    tcase_add_test(tc, complete_says_not_yet_after_a_bounded_time);
    tcase_add_test(tc, replica_of_another_length_does_not_complete_a_block);
    tcase_add_test(tc, repeated_add_block_gets_the_same_block);
    tcase_add_test(tc, third_block_needs_a_replica_of_the_first);
    tcase_add_test(tc, lost_node_is_made_up_for_and_its_return_trimmed);
    tcase_add_test(tc, copy_that_failed_after_it_had_arrived_is_no_failure);
    tcase_add_test(tc, time_in_which_the_namenode_did_not_run_makes_no_node_dead_and_no_lease_idle);
    tcase_add_test(tc, deleted_files_replicas_are_ordered_away);
    tcase_add_test(tc, deletion_that_was_ordered_is_not_forgotten_with_an_undone_group);
    tcase_add_test(tc, corrupt_replica_is_replaced_and_set_aside);
    tcase_add_test(tc, suspect_replica_is_named_last_and_good_again_when_it_was_verified);
    tcase_add_test(tc, bad_replicas_of_a_block_without_good_ones_stay_are_named_and_verified_again);
    tcase_add_test(tc, restart_is_read_only_until_reports_are_in_and_reads_go_on);
    tcase_add_test(tc, change_asked_for_during_a_start_waits_for_its_end);
    tcase_add_test(tc, namenode_that_is_behind_stays_read_only_and_deletes_nothing);
    tcase_add_test(tc, recovered_pipeline_makes_older_stamps_outdated);
    tcase_add_test(tc, word_of_an_earlier_registration_is_refused);
    tcase_add_test(tc, held_orders_call_is_answered_when_there_is_something_or_time_is_up);
    tcase_add_test(tc, log_replayed_gives_equal_tables);
    tcase_add_test(tc, leaving_node_keeps_its_replicas_until_they_are_elsewhere);
    tcase_add_test(tc, refused_placement_names_each_node);
    suite_add_tcase(s, tc);
    return s;
}
