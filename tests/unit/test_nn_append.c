/* Appending as the NameNode sees it: which replicas a writer is given, what becomes of those that were left out. */
#include <stdio.h>

#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "tests/unit/nn_actors.h"
#include "tests/unit/suites.h"

Suite *suite_nn_append(void);

/* append; how many nodes it names, -1 when there is no block in the answer, -2 when it is refused (why). */
static int append(const char *path, const char *client, uint32_t flag, DnBlock *ret, int nodes[NODES])
{
    AppendRequestProto q = APPEND_REQUEST_PROTO__INIT;
    const AppendResponseProto *r;
    struct fake_call *c;
    int n = -1;

    q.src = fake_text(path);
    q.clientname = fake_text(client);
    q.has_flag = true;
    q.flag = flag;
    c = fake_start(&f, "append", &q.base);
    if (c->failed) {
        why = c->why;
        fake_end(c);
        return -2;
    }
    r = (AppendResponseProto *)(void *)c->call.reply;
    ck_assert_ptr_nonnull(r->stat);
    if (r->block != NULL) {
        *ret = (DnBlock)DN_BLOCK__INIT;
        ret->id = r->block->b->blockid;
        ret->stamp = r->block->b->generationstamp;
        ret->bytes = r->block->b->numbytes;
        n = (int)r->block->n_locs;
        for (int i = 0; i < n; i++)
            nodes[i] = node_of((const char *)r->block->locs[i]->id->datanodeuuid.data);
    }
    fake_end(c);
    return n;
}

/* A new stamp for b on the first n nodes, as a writer asks for it. */
static DnBlock new_pipeline(DnBlock b, const int *nodes, size_t n)
{
    UpdateBlockForPipelineRequestProto u = UPDATE_BLOCK_FOR_PIPELINE_REQUEST_PROTO__INIT;
    UpdatePipelineRequestProto p = UPDATE_PIPELINE_REQUEST_PROTO__INIT;
    ExtendedBlockProto was = EXTENDED_BLOCK_PROTO__INIT, now = EXTENDED_BLOCK_PROTO__INIT;
    DatanodeIDProto ids[NODES], *list[NODES];
    ProtobufCBinaryData storages[NODES];
    struct fake_call *c;

    was.poolid = now.poolid = fake_text(f.nn->id.pool_id);
    was.blockid = now.blockid = b.id;
    was.generationstamp = b.stamp;
    was.has_numbytes = now.has_numbytes = true;
    was.numbytes = now.numbytes = b.bytes;
    u.block = p.oldblock = &was;
    u.clientname = p.clientname = fake_text("writer");
    c = fake_start(&f, "updateBlockForPipeline", &u.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    b.stamp = now.generationstamp = ((UpdateBlockForPipelineResponseProto *)(void *)c->call.reply)->block->b->generationstamp;
    fake_end(c);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (DatanodeIDProto)DATANODE_IDPROTO__INIT;
        ids[i].datanodeuuid = fake_text(dn[nodes[i]].uuid);
        list[i] = &ids[i];
        storages[i] = fake_text(dn[nodes[i]].storage);
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVING, b);
    }
    p.newblock = &now;
    p.newnodes = list;
    p.storageids = storages;
    p.n_newnodes = p.n_storageids = n;
    c = fake_start(&f, "updatePipeline", &p.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
    return b;
}

START_TEST(appended_block_is_open_again_with_its_length_and_stamp)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes), last;

    ck_assert_int_eq(append("/f", "writer", 4, &last, at), 3);
    ck_assert_uint_eq(last.id, b.id);
    ck_assert_uint_eq(last.stamp, b.stamp);
    ck_assert_uint_eq(last.bytes, BYTES);
    ck_assert_int_eq(at[0], 0);                     /* the writer's own first */
    ck_assert_uint_eq(locate("/f", at), 3);
    last = new_pipeline(last, nodes, 3);
    last.bytes = BYTES + 100;
    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVED, last);
    ck_assert(complete("/f", &last));
    ck_assert_uint_eq(locate("/f", at), 3);
}
END_TEST

START_TEST(replica_left_out_of_the_append_is_outdated_and_made_up_for)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes), last;
    DnOrder o = DN_ORDER__INIT;
    DnBlock what;

    ck_assert_int_eq(append("/f", "writer", 4, &last, at), 3);
    last = new_pipeline(last, nodes, 2);
    last.bytes++;
    dn_change(nodes[0], DN_CHANGE__KIND__RECEIVED, last);
    dn_change(nodes[1], DN_CHANGE__KIND__RECEIVED, last);
    ck_assert(complete("/f", &last));
    ck_assert_uint_eq(locate("/f", at), 2);
    pass(15000, 0xf);
    ck_assert_uint_ge(dn_orders(nodes[2], &o, &what, NULL), 1);
    ck_assert_int_eq((int)o.kind, DN_ORDER__KIND__DELETE);
    ck_assert_uint_eq(what.stamp, b.stamp);
}
END_TEST

START_TEST(dead_and_silent_nodes_are_not_given_to_an_appender)
{
    int nodes[NODES], at[NODES];
    unsigned others = 0xf;
    DnBlock last;

    (void)write_file("/f", nodes);
    others &= ~(1u << nodes[2]);
    pass(f.conf.stale_node_ms + 5000, others);
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), 2);
    ck_assert(at[0] != nodes[2] && at[1] != nodes[2]);
}
END_TEST

START_TEST(block_without_a_good_replica_is_not_appended_to)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes), last;

    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__DELETED, b);
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), -2);
    ck_assert_int_eq(why.rc, RC_IO_EXCEPTION);
    ck_assert_ptr_nonnull(strstr(why.text, "is not sufficiently replicated yet."));
    ck_assert_int_eq(append("/f", "writer", 0x24, &last, at), 0);      /* the refusal left the file closed */
}
END_TEST

START_TEST(append_before_any_holder_has_registered_is_to_be_tried_again)
{
    int nodes[NODES], at[NODES], other;
    DnBlock last;

    (void)write_file("/f", nodes);
    other = other_than(nodes);
    fake_nn_restart(&f);
    dn_register(other);
    dn_report(other, NULL, 0);
    fake_nn_run(&f, 1000);
    ck_assert(!f.nn->core->safe_mode);              /* 99.9 % of one block is none */
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), -2);
    ck_assert_int_eq(why.rc, RC_BUSY);
    dn_register(nodes[1]);
    fake_nn_run(&f, 1000);
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), 1);
    ck_assert_int_eq(at[0], nodes[1]);
}
END_TEST

START_TEST(full_block_is_followed_by_another)
{
    int nodes[NODES], at[NODES];
    DnBlock b, next;

    create("/f", 3);
    add_block("/f", NULL, &b, nodes);
    b.bytes = 1024;
    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVED, b);
    ck_assert(complete("/f", &b));
    ck_assert_int_eq(append("/f", "writer", 4, &next, at), -1);
    ck_assert_uint_eq(add_block("/f", NULL, &next, nodes), 3);
    ck_assert_uint_ne(next.id, b.id);
}
END_TEST

START_TEST(new_block_follows_one_that_is_not_full)
{
    int nodes[NODES], at[NODES];
    DnBlock b = write_file("/f", nodes), last, next;

    ck_assert_int_eq(append("/f", "writer", 0x24, &last, at), 0);
    ck_assert_uint_eq(last.id, b.id);
    ck_assert_uint_eq(add_block("/f", &last, &next, nodes), 3);
    ck_assert_uint_ne(next.id, b.id);
    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVED, next);
    ck_assert(complete("/f", &next));
}
END_TEST

START_TEST(file_that_another_writes_is_not_appended_to)
{
    int nodes[NODES], at[NODES];
    DnBlock last;

    (void)write_file("/f", nodes);
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), 3);
    ck_assert_int_eq(append("/f", "other", 4, &last, at), -2);
    ck_assert_int_eq(why.rc, RC_BEING_CREATED);
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), -2);
    ck_assert_int_eq(why.rc, RC_BEING_CREATED);
}
END_TEST

START_TEST(log_of_appends_replayed_gives_equal_tables)
{
    int nodes[NODES], at[NODES];
    DnBlock last;

    (void)write_file("/f", nodes);
    (void)write_file("/g", nodes);
    ck_assert_int_eq(append("/f", "writer", 4, &last, at), 3);
    last = new_pipeline(last, nodes, 3);
    ck_assert_int_eq(append("/g", "other", 0x24, &last, at), 0);
    fake_nn_run(&f, 3000);      /* actors_end replays the log */
}
END_TEST

Suite *suite_nn_append(void)
{
    Suite *s = suite_create("nn_append");
    TCase *tc = tcase_create("append");

    tcase_add_checked_fixture(tc, actors_begin, actors_end);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, appended_block_is_open_again_with_its_length_and_stamp);
    tcase_add_test(tc, replica_left_out_of_the_append_is_outdated_and_made_up_for);
    tcase_add_test(tc, dead_and_silent_nodes_are_not_given_to_an_appender);
    tcase_add_test(tc, block_without_a_good_replica_is_not_appended_to);
    tcase_add_test(tc, append_before_any_holder_has_registered_is_to_be_tried_again);
    tcase_add_test(tc, full_block_is_followed_by_another);
    tcase_add_test(tc, new_block_follows_one_that_is_not_full);
    tcase_add_test(tc, file_that_another_writes_is_not_appended_to);
    tcase_add_test(tc, log_of_appends_replayed_gives_equal_tables);
    suite_add_tcase(s, tc);
    return s;
}
