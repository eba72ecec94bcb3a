/* Files whose writer is gone, and cuts, as the NameNode sees them: who may write, who leads, which results count. */
#include <stdio.h>

#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "tests/unit/nn_actors.h"
#include "tests/unit/suites.h"

Suite *suite_nn_recovery(void);

static int64_t length_of(const char *path)
{
    GetFileInfoRequestProto q = GET_FILE_INFO_REQUEST_PROTO__INIT;
    const GetFileInfoResponseProto *r;
    struct fake_call *c;
    int64_t length;

    q.src = fake_text(path);
    c = fake_start(&f, "getFileInfo", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    r = (GetFileInfoResponseProto *)(void *)c->call.reply;
    length = r->fs == NULL ? -1 : (int64_t)r->fs->length;
    fake_end(c);
    return length;
}

static bool is_closed(const char *path)
{
    IsFileClosedRequestProto q = IS_FILE_CLOSED_REQUEST_PROTO__INIT;
    struct fake_call *c;
    bool closed;

    q.src = fake_text(path);
    c = fake_start(&f, "isFileClosed", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    closed = ((IsFileClosedResponseProto *)(void *)c->call.reply)->result;
    fake_end(c);
    return closed;
}

static bool recover(const char *path)
{
    RecoverLeaseRequestProto q = RECOVER_LEASE_REQUEST_PROTO__INIT;
    struct fake_call *c;
    bool closed;

    q.src = fake_text(path);
    q.clientname = fake_text("other");
    c = fake_start(&f, "recoverLease", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    closed = ((RecoverLeaseResponseProto *)(void *)c->call.reply)->result;
    fake_end(c);
    fake_nn_run(&f, 0);
    return closed;
}

/* 1 done, 0 under way, -1 refused (why). */
static int truncate_to(const char *path, const char *client, uint64_t length)
{
    TruncateRequestProto q = TRUNCATE_REQUEST_PROTO__INIT;
    struct fake_call *c;
    int done;

    q.src = fake_text(path);
    q.newlength = length;
    q.clientname = fake_text(client);
    c = fake_start(&f, "truncate", &q.base);
    why = c->why;
    done = c->failed ? -1 : ((TruncateResponseProto *)(void *)c->call.reply)->result;
    fake_end(c);
    fake_nn_run(&f, 0);
    return done;
}

static enum rc create_by(const char *path, const char *client)
{
    CreateRequestProto q = CREATE_REQUEST_PROTO__INIT;
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    struct fake_call *c;
    enum rc rc;

    q.src = fake_text(path);
    q.masked = &perm;
    q.clientname = fake_text(client);
    q.createflag = 1;
    q.replication = 3;
    q.blocksize = 1024;
    c = fake_start(&f, "create", &q.base);
    why = c->why;
    rc = c->failed ? c->why.rc : RC_OK;
    fake_end(c);
    fake_nn_run(&f, 0);
    return rc;
}

/* Who has been ordered to lead a recovery; -1: nobody. */
static int leader(DnOrder *ret)
{
    DnBlock block;
    int found = -1;

    for (int i = 0; i < NODES; i++)
        if (dn_orders(i, ret, &block, NULL) > 0 && ret->kind == DN_ORDER__KIND__RECOVER) {
            ck_assert_int_eq(found, -1);
            found = i;
            ck_assert(ret->has_new_stamp);
            break;
        }
    return found;
}

/* A leader's result: the block's replicas are on the nodes of mask. */
static enum rc commit(int i, uint64_t block, uint64_t stamp, uint64_t bytes, unsigned mask, bool removes)
{
    DnCommitRecoveryRequest q = DN_COMMIT_RECOVERY_REQUEST__INIT;
    DnBlock b = DN_BLOCK__INIT;
    char *storages[NODES];
    struct fake_call *c;
    enum rc rc;

    b.id = block;
    b.stamp = stamp;
    b.bytes = bytes;
    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.block = &b;
    q.storage_uuids = storages;
    for (int k = 0; k < NODES; k++)
        if ((mask >> k & 1) != 0)
            storages[q.n_storage_uuids++] = dn[k].storage;
    q.removes = removes;
    c = fake_start(&f, "commitBlockSynchronization", &q.base);
    why = c->why;
    rc = c->failed ? c->why.rc : RC_OK;
    fake_end(c);
    return rc;
}

static void order_failed(int i, uint64_t block, uint64_t seq)
{
    DnOrderFailedRequest q = DN_ORDER_FAILED_REQUEST__INIT;
    DnBlock b = DN_BLOCK__INIT;
    char reason[] = "test";
    struct fake_call *c;

    b.id = block;
    q.node_uuid = dn[i].uuid;
    q.epoch = dn[i].epoch;
    q.seq = seq;
    q.block = &b;
    q.reason = reason;
    c = fake_start(&f, "orderFailed", &q.base);
    ck_assert_msg(!c->failed, "%s", c->why.text);
    fake_end(c);
}

static unsigned mask_of(const int nodes[3])
{
    return 1U << nodes[0] | 1U << nodes[1] | 1U << nodes[2];
}

/* An open file with one block that three nodes write. */
static DnBlock open_file(const char *path, int nodes[NODES])
{
    DnBlock b;

    create(path, 3);
    ck_assert_uint_eq(add_block(path, NULL, &b, nodes), 3);
    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVING, b);
    return b;
}

START_TEST(recovered_file_is_closed_with_what_the_datanodes_agreed_on)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES], at[NODES], by;
    DnBlock b = open_file("/f", nodes), next;

    ck_assert(!recover("/f"));
    by = leader(&o);
    ck_assert_int_ge(by, 0);
    ck_assert_uint_gt(o.new_stamp, b.stamp);
    ck_assert_uint_eq(o.n_targets, 3);
    ck_assert_uint_eq(add_block("/f", &b, &next, at), 0);              /* its writer is out */
    ck_assert_int_eq(why.rc, RC_LEASE_EXPIRED);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 600, mask_of(nodes), false), RC_OK);
    ck_assert(is_closed("/f"));
    ck_assert_int_eq(length_of("/f"), 600);
    ck_assert_uint_eq(locate("/f", at), 3);
    ck_assert(recover("/f"));
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 600, mask_of(nodes), false), RC_OK);    /* said again */
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 500, mask_of(nodes), false), RC_IO_EXCEPTION);
    ck_assert_int_eq(length_of("/f"), 600);
}
END_TEST

START_TEST(attempt_that_takes_too_long_is_followed_by_one_that_alone_counts)
{
    DnOrder first = DN_ORDER__INIT, second = DN_ORDER__INIT;
    int nodes[NODES], a, b;
    DnBlock block = open_file("/f", nodes);

    ck_assert(!recover("/f"));
    a = leader(&first);
    pass(f.conf.recovery_ms + 1000, 0xf);
    b = leader(&second);
    ck_assert_int_ge(b, 0);
    ck_assert_int_ne(a, b);
    ck_assert_uint_gt(second.new_stamp, first.new_stamp);
    ck_assert_int_eq(commit(a, block.id, first.new_stamp, 100, mask_of(nodes), false), RC_IO_EXCEPTION);
    ck_assert(!is_closed("/f"));
    ck_assert_int_eq(commit(b, block.id, second.new_stamp, 200, mask_of(nodes), false), RC_OK);
    ck_assert_int_eq(length_of("/f"), 200);
}
END_TEST

START_TEST(attempt_that_failed_is_followed_soon)
{
    DnOrder first = DN_ORDER__INIT, second = DN_ORDER__INIT;
    int nodes[NODES], a;
    DnBlock b = open_file("/f", nodes);

    ck_assert(!recover("/f"));
    a = leader(&first);
    order_failed(a, b.id, first.seq - 1);               /* another order, about the same block: a copy */
    pass(2000, 0xf);
    ck_assert_int_eq(leader(&second), -1);
    order_failed(a, b.id, first.seq);
    pass(2000, 0xf);
    ck_assert_int_ge(leader(&second), 0);
    ck_assert_uint_gt(second.new_stamp, first.new_stamp);
}
END_TEST

START_TEST(restart_begins_a_new_attempt_and_refuses_the_old_one)
{
    DnOrder first = DN_ORDER__INIT, second = DN_ORDER__INIT;
    int nodes[NODES], a, b;
    DnBlock block = open_file("/f", nodes);

    ck_assert(!recover("/f"));
    a = leader(&first);
    fake_nn_restart(&f);
    for (int i = 0; i < NODES; i++) {
        dn_register(i);
        dn_report(i, NULL, 0);
    }
    pass(3000, 0xf);
    b = leader(&second);
    ck_assert_int_ge(b, 0);
    ck_assert_uint_gt(second.new_stamp, first.new_stamp);
    ck_assert_int_eq(commit(a, block.id, first.new_stamp, 100, mask_of(nodes), false), RC_IO_EXCEPTION);
    ck_assert_msg(commit(b, block.id, second.new_stamp, 100, mask_of(nodes), false) == RC_OK, "%s", why.text);
    ck_assert(is_closed("/f"));
}
END_TEST

START_TEST(soft_limit_lets_another_client_begin_the_recovery)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES], by;
    DnBlock b = open_file("/f", nodes);

    pass(f.conf.lease_soft_ms - 2000, 0xf);
    ck_assert_int_eq(create_by("/f", "other"), RC_BEING_CREATED);
    ck_assert_int_eq(leader(&o), -1);
    pass(3000, 0xf);
    ck_assert_int_eq(create_by("/f", "other"), RC_IN_RECOVERY);
    ck_assert_str_eq(why.text, "Failed to CREATE_FILE /f for other on 10.0.0.1 because lease recovery is in progress. Try "
                               "again later.");
    ck_assert_int_eq(create_by("/f", "third"), RC_IN_RECOVERY);
    ck_assert_str_eq(why.text, "Failed to CREATE_FILE /f for third on 10.0.0.1 because another recovery is in progress by "
                               "HDFS_NameNode on 10.0.0.1");
    by = leader(&o);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 10, mask_of(nodes), false), RC_OK);
    ck_assert_int_eq(create_by("/f", "other"), RC_EXISTS);
}
END_TEST

START_TEST(hard_limit_begins_the_recovery_by_itself)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES], by;
    DnBlock b = open_file("/f", nodes);

    pass(f.conf.lease_hard_ms - 1000, 0xf);
    ck_assert_int_eq(leader(&o), -1);
    pass(5000, 0xf);
    by = leader(&o);
    ck_assert_int_ge(by, 0);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 10, 1U << nodes[1], false), RC_OK);
    ck_assert(is_closed("/f"));
    ck_assert_int_eq(length_of("/f"), 10);
}
END_TEST

START_TEST(block_without_a_byte_goes_when_everybody_was_asked)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES], by;
    DnBlock b = open_file("/f", nodes);

    ck_assert(!recover("/f"));
    by = leader(&o);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 0, 1U << nodes[0] | 1U << nodes[1], true), RC_IO_EXCEPTION);
    ck_assert(!is_closed("/f"));
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 0, mask_of(nodes), true), RC_OK);
    ck_assert(is_closed("/f"));
    ck_assert_int_eq(length_of("/f"), 0);
}
END_TEST

START_TEST(block_whose_last_place_has_something_older_goes)
{
    int nodes[NODES];
    DnBlock b = open_file("/f", nodes), old = b;

    old.stamp = 0;                                      /* data that a crash left without checksums */
    old.bytes = 0;
    for (int i = 0; i < 3; i++)
        dn_change(nodes[i], DN_CHANGE__KIND__RECEIVED, old);
    ck_assert(recover("/f"));
    ck_assert(is_closed("/f"));
}
END_TEST

START_TEST(file_without_blocks_and_one_that_is_committed_need_no_datanode)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES];
    struct fake_call *held;
    DnBlock b;

    create("/empty", 3);
    ck_assert(recover("/empty"));
    b = open_file("/committed", nodes);
    held = complete_start("/committed", &b);
    ck_assert(!recover("/committed"));
    ck_assert_int_eq(leader(&o), -1);
    dn_change(nodes[2], DN_CHANGE__KIND__RECEIVED, b);
    pass(2000, 0xf);
    ck_assert(is_closed("/committed"));
    ck_assert(complete_end(held));
}
END_TEST

START_TEST(file_deleted_meanwhile_refuses_the_result)
{
    DeleteRequestProto q = DELETE_REQUEST_PROTO__INIT;
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES], by;
    DnBlock b = open_file("/f", nodes);
    struct fake_call *c;

    ck_assert(!recover("/f"));
    by = leader(&o);
    q.src = fake_text("/f");
    c = fake_start(&f, "delete", &q.base);
    ck_assert(!c->failed);
    fake_end(c);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 10, mask_of(nodes), false), RC_IO_EXCEPTION);
    pass(10000, 0xf);
}
END_TEST

START_TEST(cut_at_a_blocks_end_is_done_at_once)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES];

    (void)write_file("/f", nodes);
    ck_assert_int_eq(truncate_to("/f", "cutter", BYTES + 1), -1);
    ck_assert_str_eq(why.text, "Cannot truncate to a larger file size. Current size: 700, truncate size: 701.");
    ck_assert_int_eq(truncate_to("/f", "cutter", UINT64_MAX), -1);
    ck_assert_str_eq(why.text, "Cannot truncate to a negative file size: -1.");
    ck_assert_int_eq(truncate_to("/f", "cutter", BYTES), 1);
    ck_assert_int_eq(truncate_to("/f", "cutter", 0), 1);
    ck_assert_int_eq(length_of("/f"), 0);
    ck_assert(is_closed("/f"));
    ck_assert_int_eq(leader(&o), -1);
}
END_TEST

START_TEST(cut_inside_a_block_waits_for_its_datanodes)
{
    DnOrder o = DN_ORDER__INIT;
    int nodes[NODES], by;
    DnBlock b = write_file("/f", nodes);

    ck_assert_int_eq(truncate_to("/f", "cutter", 300), 0);
    ck_assert(!is_closed("/f"));
    ck_assert_int_eq(length_of("/f"), BYTES);
    ck_assert_int_eq(truncate_to("/f", "cutter", 300), 0);              /* the same again */
    ck_assert_int_eq(truncate_to("/f", "cutter", 200), -1);
    ck_assert_str_eq(why.text, "Failed to TRUNCATE_FILE /f for cutter on 10.0.0.1 because /f is being truncated.");
    ck_assert_int_eq(truncate_to("/f", "other", 200), -1);
    ck_assert_str_eq(why.text, "Failed to TRUNCATE_FILE /f for other on 10.0.0.1 because another recovery is in progress by "
                               "cutter on 10.0.0.1");
    ck_assert(!recover("/f"));
    by = leader(&o);
    ck_assert_int_ge(by, 0);
    ck_assert(o.has_truncate_bytes && o.truncate_bytes == 300);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 400, mask_of(nodes), false), RC_IO_EXCEPTION);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 0, mask_of(nodes), true), RC_IO_EXCEPTION);
    ck_assert_int_eq(commit(by, b.id, o.new_stamp, 300, mask_of(nodes), false), RC_OK);
    ck_assert(is_closed("/f"));
    ck_assert_int_eq(length_of("/f"), 300);
    ck_assert_int_eq(truncate_to("/f", "cutter", 300), 1);
}
END_TEST

START_TEST(database_without_recoveries_is_brought_up_to_date)
{
    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "DROP TABLE recoveries; PRAGMA user_version = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    fake_nn_restart(&f);
    create("/empty", 3);
    ck_assert(recover("/empty"));
}
END_TEST

Suite *suite_nn_recovery(void)
{
    Suite *s = suite_create("nn_recovery");
    TCase *tc = tcase_create("recovery");

    tcase_add_checked_fixture(tc, actors_begin, actors_end);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, recovered_file_is_closed_with_what_the_datanodes_agreed_on);
    tcase_add_test(tc, attempt_that_takes_too_long_is_followed_by_one_that_alone_counts);
    tcase_add_test(tc, attempt_that_failed_is_followed_soon);
    tcase_add_test(tc, restart_begins_a_new_attempt_and_refuses_the_old_one);
    tcase_add_test(tc, soft_limit_lets_another_client_begin_the_recovery);
    tcase_add_test(tc, hard_limit_begins_the_recovery_by_itself);
    tcase_add_test(tc, block_without_a_byte_goes_when_everybody_was_asked);
    tcase_add_test(tc, block_whose_last_place_has_something_older_goes);
    tcase_add_test(tc, file_without_blocks_and_one_that_is_committed_need_no_datanode);
    tcase_add_test(tc, file_deleted_meanwhile_refuses_the_result);
    tcase_add_test(tc, cut_at_a_blocks_end_is_done_at_once);
    tcase_add_test(tc, cut_inside_a_block_waits_for_its_datanodes);
    tcase_add_test(tc, database_without_recoveries_is_brought_up_to_date);
    suite_add_tcase(s, tc);
    return s;
}
