/* fsck's text, as Hadoop 3.4 writes it. */
#include "namenode/fsck.h"

#include <string.h>

#include "tests/unit/suites.h"

Suite *suite_nn_fsck(void);

static ProtobufCBinaryData text(const char *s)
{
    return (ProtobufCBinaryData){ .len = strlen(s), .data = (uint8_t *)(uintptr_t)s };
}

static bool dead_is_three(void *arg, ProtobufCBinaryData uuid)
{
    (void)arg;
    return uuid.data[0] != '3';
}

static const struct fsck_live live = { dead_is_three, NULL };

/* A file of two blocks of 1024 and 500 bytes; the first on nodes[0..n). */
static ExtendedBlockProto ids[2];
static LocatedBlockProto blocks[2], *list[2];
static DatanodeInfoProto nodes[3], *locs[3];
static DatanodeIDProto node_ids[3];
static ProtobufCBinaryData storages[3];
static LocatedBlocksProto all;
static HdfsFileStatusProto status;
static struct fsck_counts counts;
static struct buf out;

static void setup(void)
{
    static const char *const uuids[] = { "1", "2", "3" };

    for (int i = 0; i < 3; i++) {
        node_ids[i] = (DatanodeIDProto)DATANODE_IDPROTO__INIT;
        node_ids[i].ipaddr = text("10.0.0.1");
        node_ids[i].datanodeuuid = text(uuids[i]);
        node_ids[i].xferport = 9866 + (uint32_t)i;
        nodes[i] = (DatanodeInfoProto)DATANODE_INFO_PROTO__INIT;
        nodes[i].id = &node_ids[i];
        nodes[i].location = text("/default-rack");
        locs[i] = &nodes[i];
        storages[i] = text("DS-1");
    }
    for (int i = 0; i < 2; i++) {
        ids[i] = (ExtendedBlockProto)EXTENDED_BLOCK_PROTO__INIT;
        ids[i].poolid = text("BP-1");
        ids[i].blockid = 7 + (uint64_t)i;
        ids[i].generationstamp = 1001;
        ids[i].numbytes = i == 0 ? 1024 : 500;
        blocks[i] = (LocatedBlockProto)LOCATED_BLOCK_PROTO__INIT;
        blocks[i].b = &ids[i];
        blocks[i].n_locs = blocks[i].n_storageids = 2;
        blocks[i].locs = locs;
        blocks[i].storageids = storages;
        list[i] = &blocks[i];
    }
    all = (LocatedBlocksProto)LOCATED_BLOCKS_PROTO__INIT;
    all.n_blocks = 2;
    all.blocks = list;
    all.lastblock = list[1];
    all.islastblockcomplete = true;
    status = (HdfsFileStatusProto)HDFS_FILE_STATUS_PROTO__INIT;
    status.length = 1524;
    status.block_replication = 2;
    counts = (struct fsck_counts){ 0 };
    buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    buf_fini(&out);
}

static const char *file(const struct fsck_ask *ask)
{
    fsck_file(&counts, ask, &live, "/f", &status, &all, 1, &out);
    buf_u8(&out, 0);
    return (const char *)out.p;
}

START_TEST(healthy_file_says_nothing_unless_asked)
{
    ck_assert_str_eq(file(&(struct fsck_ask){ 0 }), "");
    ck_assert_uint_eq(counts.blocks, 2);
    ck_assert_uint_eq(counts.minimal, 2);
}
END_TEST

START_TEST(files_blocks_and_locations_are_listed)
{
    ck_assert_str_eq(file(&(struct fsck_ask){ .files = true, .blocks = true, .locations = true }),
                     "/f 1524 bytes, replicated: replication=2, 2 block(s):  OK\n"
                     "0. BP-1:blk_7_1001 len=1024 Live_repl=2  [DatanodeInfoWithStorage[10.0.0.1:9866,DS-1,DISK], "
                     "DatanodeInfoWithStorage[10.0.0.1:9867,DS-1,DISK]]\n"
                     "1. BP-1:blk_8_1001 len=500 Live_repl=2  [DatanodeInfoWithStorage[10.0.0.1:9866,DS-1,DISK], "
                     "DatanodeInfoWithStorage[10.0.0.1:9867,DS-1,DISK]]\n\n");
}
END_TEST

START_TEST(racks_are_listed)
{
    ck_assert_ptr_nonnull(strstr(file(&(struct fsck_ask){ .files = true, .blocks = true, .racks = true }),
                                 "Live_repl=2  [/default-rack/10.0.0.1:9866, /default-rack/10.0.0.1:9867]\n"));
}
END_TEST

START_TEST(corrupt_block_is_named_and_counted)
{
    blocks[0].corrupt = true;
    ck_assert_str_eq(file(&(struct fsck_ask){ 0 }), "\n/f: CORRUPT blockpool BP-1 block blk_7\n"
                     "\n/f: CORRUPT 1 blocks of total size 1024 B.");
    ck_assert_uint_eq(counts.corrupt, 1);
    ck_assert_uint_eq(counts.minimal, 1);
    ck_assert_uint_eq(counts.missing, 0);
}
END_TEST

START_TEST(block_on_dead_nodes_only_is_missing)
{
    blocks[1].n_locs = 1;
    blocks[1].locs = &locs[2];
    ck_assert_str_eq(file(&(struct fsck_ask){ .files = true, .blocks = true }),
                     "/f 1524 bytes, replicated: replication=2, 2 block(s):  MISSING 1 blocks of total size 500 B\n"
                     "0. BP-1:blk_7_1001 len=1024 Live_repl=2\n1. BP-1:blk_8_1001 len=500 MISSING!\n\n");
}
END_TEST

START_TEST(too_few_replicas_are_told)
{
    status.block_replication = 3;
    blocks[0].n_locs = 3;                               /* the third is on the dead node */
    ck_assert_str_eq(file(&(struct fsck_ask){ 0 }),
                     "\n/f:  Under replicated BP-1:blk_7_1001. Target Replicas is 3 but found 2 live replica(s), 0 decommissioned "
                     "replica(s), 0 decommissioning replica(s).\n"
                     "\n/f:  Under replicated BP-1:blk_8_1001. Target Replicas is 3 but found 2 live replica(s), 0 decommissioned "
                     "replica(s), 0 decommissioning replica(s).\n");
    ck_assert_uint_eq(counts.missing_replicas, 2);
}
END_TEST

START_TEST(open_file_is_counted_apart)
{
    all.underconstruction = true;
    all.islastblockcomplete = false;
    ck_assert_str_eq(file(&(struct fsck_ask){ .files = true }), "");
    ck_assert_uint_eq(counts.open_files, 1);
    ck_assert_uint_eq(counts.files, 0);
}
END_TEST

START_TEST(summary_of_a_corrupt_file_is_hadoops)
{
    const struct fsck_cluster cluster = { 3, 1, 3, 1 };
    const struct fsck_counts c = { .files = 1, .bytes = 3000, .blocks = 3, .live_replicas = 6, .wanted_replicas = 9, .minimal = 2,
                                   .corrupt = 1, .corrupt_bytes = 1024, .bad_files = 1 };

    fsck_summary(&c, &cluster, &out);
    buf_u8(&out, 0);
    ck_assert_ptr_nonnull(strstr((char *)out.p,
        "\nStatus: CORRUPT\n Number of data-nodes:\t3\n Number of racks:\t\t1\n Total dirs:\t\t\t0\n Total symlinks:\t\t0\n\n"
        "Replicated Blocks:\n Total size:\t3000 B\n Total files:\t1\n Total blocks (validated):\t3 (avg. block size 1000 B)\n"
        "  ********************************\n  UNDER MIN REPL'D BLOCKS:\t1 (33.333332 %)\n  MINIMAL BLOCK REPLICATION:\t1\n"
        "  CORRUPT FILES:\t1\n  CORRUPT BLOCKS: \t1\n  CORRUPT SIZE:\t\t1024 B\n  ********************************\n"
        " Minimally replicated blocks:\t2 (66.666664 %)\n Over-replicated blocks:\t0 (0.0 %)\n"
        " Under-replicated blocks:\t0 (0.0 %)\n Mis-replicated blocks:\t\t0 (0.0 %)\n Default replication factor:\t3\n"
        " Average block replication:\t2.0\n Missing blocks:\t\t0\n Corrupt blocks:\t\t1\n Missing replicas:\t\t0 (0.0 %)\n"));
}
END_TEST

START_TEST(floats_are_written_as_java_does)
{
    char b[32];

    ck_assert_str_eq(fsck_float(100.0f, b), "100.0");
    ck_assert_str_eq(fsck_float(0.0f, b), "0.0");
    ck_assert_str_eq(fsck_float(78.0f / 34.0f, b), "2.2941177");
    ck_assert_str_eq(fsck_float(200.0f / 3.0f, b), "66.666664");
    ck_assert_str_eq(fsck_float(71.0f / 31.0f, b), "2.2903225");
}
END_TEST

Suite *suite_nn_fsck(void)
{
    Suite *s = suite_create("nn_fsck");
    TCase *tc = tcase_create("fsck");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, healthy_file_says_nothing_unless_asked);
    tcase_add_test(tc, files_blocks_and_locations_are_listed);
    tcase_add_test(tc, racks_are_listed);
    tcase_add_test(tc, corrupt_block_is_named_and_counted);
    tcase_add_test(tc, block_on_dead_nodes_only_is_missing);
    tcase_add_test(tc, too_few_replicas_are_told);
    tcase_add_test(tc, open_file_is_counted_apart);
    tcase_add_test(tc, summary_of_a_corrupt_file_is_hadoops);
    tcase_add_test(tc, floats_are_written_as_java_does);
    suite_add_tcase(s, tc);
    return s;
}
