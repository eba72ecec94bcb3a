/* Replicas that could not be read or are damaged: what the store says of them, and when it takes that back. */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "datanode/store.h"
#include "tests/unit/dn_dir.h"
#include "tests/unit/suites.h"

suite_fn suite_dn_doubt;

static const char *dir;
static struct world world;
static struct dn_store *store;
static const struct dn_sums usual = { CRC_CRC32C, 512 };
static const struct dn_identity cluster = { .cluster_id = "CID-1", .pool_id = "BP-1-127.0.0.1-5", .namespace_id = 9,
                                            .created_ms = 5 };

static enum rc
open_store(struct why *why)
{
    char one[256], *dirs[] = { one, NULL };
    struct dn_store_options o = { .dirs = dirs, .claim_ms = 1000 };

    (void)snprintf(one, sizeof one, "%s/one", dir);
    return dn_store_open(&world, &o, &store, why);
}

static void
setup(void)
{
    struct why why;

    dir = dn_dir_make();
    world_posix(&world);
    ck_assert_int_eq(open_store(&why), RC_OK);
    ck_assert_int_eq(dn_store_join(store, &cluster, &why), RC_OK);
}

static void
teardown(void)
{
    dn_store_free(store);
    dn_dir_remove(dir);
    ck_assert_uint_eq(mem_live(), 0);
}

static void
make_finalized(uint64_t id, uint64_t stamp, uint32_t n)
{
    struct dn_write_request q = { .id = { id }, .stamp = { stamp }, .stage = DTP_SETUP_CREATE, .by_client = true,
                                  .max_bytes = UINT64_MAX };
    struct dn_write_options o = { .promise = 1 * MB, .chunk = 512, .volume = -1 };
    struct dtp_packet p = { .data_n = n, .sums_n = (uint32_t)(4 * dtp_chunk_count(0, n, 512)) };
    struct dn_claim claim = { .r = NULL };
    struct dn_write_plan plan;
    struct dn_sink sink;
    uint8_t body[8 * KB];
    unsigned volume;
    struct why why;
    uint64_t seq;

    ck_assert_int_eq(dn_store_begin(store, &q, &o, &claim, &sink, &plan, &volume, &seq, &why), RC_OK);
    dn_content(body + p.sums_n, n, 0);
    crc_chunks(CRC_CRC32C, body + p.sums_n, n, 512, body);
    ck_assert_int_eq(dn_sink_write(&sink, &usual, &p, body, &why), RC_OK);
    dn_store_progress(store, &claim, sink.bytes, sink.bytes);
    ck_assert_int_eq(dn_store_finalize(store, &claim, &sink, &seq, &why), RC_OK);
    dn_store_release(store, &claim);
    dn_sink_fini(&sink);
}

static struct dn_view
find(uint64_t id)
{
    struct dn_view v;
    struct why why;

    ck_assert_int_eq(dn_store_find(store, (struct block_id){ id }, &v, &why), RC_OK);
    return v;
}

START_TEST(damage_is_reported_once)
{
    struct dn_change c[16];
    struct dn_view v;
    size_t n;

    make_finalized(7, 1001, 10);
    v = find(7);
    ck_assert(dn_store_doubt(store, &v, RC_CORRUPT));
    ck_assert(!dn_store_doubt(store, &v, RC_CORRUPT));
    n = dn_store_unsent(store, v.volume, c, 16);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(c[2].kind, DN_CORRUPT);
    ck_assert(find(7).corrupt);
}
END_TEST

static enum rc
read_fails(struct io *io, int fd, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why)
{
    (void)io, (void)fd, (void)p, (void)n, (void)at, (void)ret_n;
    return why_set(why, RC_IO, "Input/output error");
}

START_TEST(replica_that_could_not_be_read_is_suspect_until_it_is_verified)
{
    struct io_ops ops = *io_posix()->ops;
    struct io failing = { .ops = &ops };
    struct block_id list[4];
    struct dn_source src;
    struct dn_change c[16];
    struct why why;

    make_finalized(7, 1001, 1000);
    dn_store_free(store);
    world.io = &failing;
    ck_assert_int_eq(open_store(&why), RC_OK);
    ops.pread = read_fails;
    ck_assert_int_eq(dn_store_read(store, (struct block_id){ 7 }, (struct stamp){ 0 }, &src, &why), RC_IO);
    ops.pread = io_posix()->ops->pread;
    ck_assert(!find(7).corrupt);
    ck_assert(find(7).suspect);
    ck_assert_uint_eq(dn_store_suspects(store, list, 4), 1);
    ck_assert_uint_eq(list[0].v, 7);
    ck_assert_uint_eq(dn_store_unsent(store, find(7).volume, c, 16), 1);
    ck_assert_int_eq(c[0].kind, DN_SUSPECT);
    ck_assert_int_eq(dn_store_read(store, (struct block_id){ 7 }, (struct stamp){ 0 }, &src, &why), RC_OK);
    ck_assert(dn_store_confirm(store, &src));
    dn_source_fini(store, &src);
    ck_assert(!find(7).suspect);
    ck_assert_uint_eq(dn_store_suspects(store, list, 4), 0);
    ck_assert_uint_eq(dn_store_unsent(store, find(7).volume, c, 16), 2);
    ck_assert_int_eq(c[1].kind, DN_RECEIVED);
    dn_store_free(store);
    world.io = io_posix();
    ck_assert_int_eq(open_store(&why), RC_OK);
}
END_TEST

START_TEST(suspect_replica_that_is_damaged_is_corrupt_and_not_suspect_again)
{
    struct dn_view v;

    make_finalized(7, 1001, 1000);
    v = find(7);
    ck_assert(dn_store_doubt(store, &v, RC_IO));
    ck_assert(!dn_store_doubt(store, &v, RC_IO));
    ck_assert(dn_store_doubt(store, &v, RC_CORRUPT));
    ck_assert(find(7).corrupt && !find(7).suspect);
    ck_assert(!dn_store_doubt(store, &v, RC_IO));
    ck_assert(find(7).corrupt && !find(7).suspect);
}
END_TEST

START_TEST(replica_whose_files_are_longer_than_it_is_is_not_confirmed)
{
    struct dn_source src;
    char pool[DN_PATH_MAX];
    struct dn_path path;
    struct dn_view v;
    struct why why;
    int fd;

    make_finalized(7, 1001, 1024);
    v = find(7);
    ck_assert(dn_store_doubt(store, &v, RC_CORRUPT));
    (void)snprintf(pool, sizeof pool, "%s/one/current/%s", dir, cluster.pool_id);
    dn_path_data(pool, DN_IN_FINALIZED, v.id, &path);
    ck_assert_int_eq(io_open(world.io, path.p, IO_READ | IO_WRITE, &fd, &why), RC_OK);
    ck_assert_int_eq(io_truncate(world.io, fd, 1536, &why), RC_OK);
    io_close(world.io, fd);
    ck_assert_int_eq(dn_store_read(store, v.id, (struct stamp){ 0 }, &src, &why), RC_OK);
    ck_assert(!dn_store_confirm(store, &src));
    dn_source_fini(store, &src);
    ck_assert(find(7).corrupt);
}
END_TEST

START_TEST(damage_of_an_older_stamp_is_not_reported)
{
    struct dn_view v;

    make_finalized(7, 1001, 10);
    v = find(7);
    v.stamp.v = 1000;
    ck_assert(!dn_store_doubt(store, &v, RC_CORRUPT));
    ck_assert(!find(7).corrupt);
}
END_TEST

START_TEST(length_that_disagrees_with_the_checksums_is_corrupt)
{
    char pool[DN_PATH_MAX];
    struct dn_path path;
    struct dn_view v;
    struct why why;
    int fd;

    make_finalized(7, 1001, 5000);
    v = find(7);
    (void)snprintf(pool, sizeof pool, "%s/one/current/%s", dir, cluster.pool_id);
    dn_path_meta(pool, DN_IN_FINALIZED, v.id, v.stamp, &path);
    ck_assert_int_eq(io_open(world.io, path.p, IO_WRITE, &fd, NULL), RC_OK);
    ck_assert_int_eq(io_truncate(world.io, fd, 20, NULL), RC_OK);
    io_close(world.io, fd);
    dn_store_free(store);
    ck_assert_int_eq(open_store(&why), RC_OK);
    ck_assert(find(7).corrupt);
}
END_TEST

START_TEST(new_volume_gets_no_new_name_while_the_old_one_cannot_be_read)
{
    struct io_ops ops = *io_posix()->ops;
    struct io failing = { &ops };
    char one[256], two[256], *dirs[] = { one, two, NULL };
    struct dn_store_options o = { .dirs = dirs, .failed_max = 1, .claim_ms = 1000 };
    struct dn_identity before, after;
    struct why why;
    enum rc rc;

    (void)snprintf(one, sizeof one, "%s/one", dir);
    (void)snprintf(two, sizeof two, "%s/two", dir);
    dn_store_identity(store, &before);
    dn_store_free(store);
    store = NULL;
    ops.pread = read_fails;
    world.io = &failing;
    rc = dn_store_open(&world, &o, &store, &why);
    world.io = io_posix();
    ck_assert_int_eq(rc, RC_IO);
    ck_assert_ptr_null(store);
    ck_assert_int_eq(dn_store_open(&world, &o, &store, &why), RC_OK);
    dn_store_identity(store, &after);
    ck_assert_str_eq(after.node_uuid, before.node_uuid);
}
END_TEST

Suite *
suite_dn_doubt(void)
{
    Suite *s = suite_create("dn_doubt");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, damage_is_reported_once);
    tcase_add_test(t, replica_that_could_not_be_read_is_suspect_until_it_is_verified);
    tcase_add_test(t, suspect_replica_that_is_damaged_is_corrupt_and_not_suspect_again);
    tcase_add_test(t, replica_whose_files_are_longer_than_it_is_is_not_confirmed);
    tcase_add_test(t, damage_of_an_older_stamp_is_not_reported);
    tcase_add_test(t, length_that_disagrees_with_the_checksums_is_corrupt);
    tcase_add_test(t, new_volume_gets_no_new_name_while_the_old_one_cannot_be_read);
    suite_add_tcase(s, t);
    return s;
}
