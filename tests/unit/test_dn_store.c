#include "datanode/store.h"

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/net/net.h"
#include "datanode/agree.h"
#include "tests/unit/dn_dir.h"
#include "tests/unit/suites.h"

suite_fn suite_dn_store;

static const char *dir;
static struct world world;
static struct dn_store *store;
static const struct dn_sums usual = { CRC_CRC32C, 512 };
static const struct dn_identity cluster = { .cluster_id = "CID-1", .pool_id = "BP-1-127.0.0.1-5", .namespace_id = 9,
                                            .created_ms = 5 };

/* Each look at the calendar is a millisecond after the one before. */
static uint64_t
wall_ticks(struct clock *c)
{
    static uint64_t ms = 1700000000000;

    (void)c;
    return ms++;
}

static uint64_t
mono_us(struct clock *c)
{
    (void)c;
    return 1000000;
}

static struct clock ticking = { mono_us, wall_ticks };

static enum rc
open_store(struct why *why)
{
    char one[256], two[256];
    char *dirs[] = { one, two, NULL };
    struct dn_store_options o = { .dirs = dirs, .failed_max = 0, .claim_ms = 1000 };

    (void)snprintf(one, sizeof one, "%s/one", dir);
    (void)snprintf(two, sizeof two, "%s/two", dir);
    return dn_store_open(&world, &o, &store, why);
}

static void
restart(void)
{
    struct why why;

    dn_store_free(store);
    store = NULL;
    ck_assert_msg(open_store(&why) == RC_OK, "%s", why.text);
}

static void
setup(void)
{
    struct why why;

    dir = dn_dir_make();
    world_posix(&world);
    world.clock = &ticking;
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

/* A writer with its claim and files. */
struct writer {
    struct dn_claim claim;
    struct dn_sink sink;
    struct dn_write_plan plan;
    unsigned volume;
    uint64_t seq;
};

static enum rc
begin(struct writer *w, enum dtp_stage stage, uint64_t id, uint64_t stamp, uint64_t new_stamp, uint64_t min)
{
    struct dn_write_request q = { .id = { id }, .stamp = { stamp }, .new_stamp = { new_stamp }, .stage = stage,
                                  .by_client = true, .min_bytes = min, .max_bytes = UINT64_MAX };
    struct dn_write_options o = { .promise = 1 * MB, .chunk = 512, .volume = -1 };
    struct why why;

    return dn_store_begin(store, &q, &o, &w->claim, &w->sink, &w->plan, &w->volume, &w->seq, &why);
}

static void
put(struct writer *w, uint64_t at, uint32_t n)
{
    static uint8_t body[2 * MB];
    struct dtp_packet p = { .offset = at, .data_n = n, .sums_n = (uint32_t)(4 * dtp_chunk_count(at, n, 512)) };
    struct why why;

    dn_content(body + p.sums_n, n, at);
    crc_chunks(CRC_CRC32C, body + p.sums_n, n, 512, body);
    ck_assert_int_eq(dn_sink_write(&w->sink, &usual, &p, body, &why), RC_OK);
    dn_store_progress(store, &w->claim, w->sink.bytes, w->sink.bytes);
}

static void
leave(struct writer *w)
{
    dn_store_release(store, &w->claim);
    dn_sink_fini(&w->sink);
}

static void
finish(struct writer *w)
{
    struct why why;

    ck_assert_int_eq(dn_store_finalize(store, &w->claim, &w->sink, &w->seq, &why), RC_OK);
    leave(w);
}

static void
make_finalized(uint64_t id, uint64_t stamp, uint32_t n)
{
    struct writer w;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, id, stamp, 0, 0), RC_OK);
    put(&w, 0, n);
    finish(&w);
}

static struct dn_view
find(uint64_t id)
{
    struct dn_view v;
    struct why why;

    ck_assert_int_eq(dn_store_find(store, (struct block_id){ id }, &v, &why), RC_OK);
    return v;
}

static bool
is_there(uint64_t id)
{
    struct dn_view v;

    return dn_store_find(store, (struct block_id){ id }, &v, NULL) == RC_OK;
}

static void
path_of(const struct dn_view *v, bool meta, struct dn_path *ret)
{
    char pool[DN_PATH_MAX];

    (void)snprintf(pool, sizeof pool, "%s/current/%s", dn_store_volume_dir(store, v->volume), cluster.pool_id);
    if (meta)
        dn_path_meta(pool, dn_state_place(v->state), v->id, v->stamp, ret);
    else
        dn_path_data(pool, dn_state_place(v->state), v->id, ret);
}

START_TEST(finalized_replica_is_found_again_after_a_restart)
{
    struct dn_view v;

    make_finalized(1073741825, 1001, 70000);
    restart();
    v = find(1073741825);
    ck_assert_int_eq(v.state, RS_FINALIZED);
    ck_assert_uint_eq(v.stamp.v, 1001);
    ck_assert_uint_eq(v.visible, 70000);
    ck_assert(!v.corrupt);
}
END_TEST

START_TEST(blocks_spread_over_the_volumes)
{
    unsigned on[2] = { 0 };

    for (uint64_t id = 1; id <= 10; id++) {
        make_finalized(id, 1001, 10);
        on[find(id).volume]++;
    }
    ck_assert_uint_eq(on[0], 5);
    ck_assert_uint_eq(on[1], 5);
}
END_TEST

START_TEST(replica_being_written_waits_for_recovery_after_a_restart)
{
    struct writer w;
    struct dn_view v;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    leave(&w);
    ck_assert_int_eq(find(7).state, RS_RBW);
    restart();
    v = find(7);
    ck_assert_int_eq(v.state, RS_RWR);
    ck_assert_uint_eq(v.bytes, 5000);
    /* verified, so that the writer may go on with it */
    ck_assert_int_eq(begin(&w, DTP_SETUP_STREAMING_RECOVERY, 7, 1001, 1002, 5000), RC_OK);
    put(&w, 4608, 1000);
    finish(&w);
    restart();
    v = find(7);
    ck_assert_int_eq(v.state, RS_FINALIZED);
    ck_assert_uint_eq(v.stamp.v, 1002);
    ck_assert_uint_eq(v.bytes, 5608);
}
END_TEST

START_TEST(replica_being_written_is_cut_to_what_agrees_with_its_checksums)
{
    struct dn_path path;
    struct dn_view v;
    struct writer w;
    int fd;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    leave(&w);
    v = find(7);
    path_of(&v, false, &path);
    ck_assert_int_eq(io_open(world.io, path.p, IO_WRITE, &fd, NULL), RC_OK);
    ck_assert_int_eq(io_pwrite(world.io, fd, "\xff\xff", 2, 3000, NULL), RC_OK);
    io_close(world.io, fd);
    restart();
    ck_assert_uint_eq(find(7).bytes, 2560);
}
END_TEST

START_TEST(copy_that_did_not_end_is_gone)
{
    struct writer w;

    ck_assert_int_eq(begin(&w, DTP_TRANSFER_FINALIZED, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    ck_assert(!is_there(7));        /* nobody else sees it */
    leave(&w);
    restart();
    ck_assert(!is_there(7));
}
END_TEST

START_TEST(copy_of_a_written_replica_becomes_one)
{
    struct writer w;
    struct why why;

    ck_assert_int_eq(begin(&w, DTP_TRANSFER_RBW, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    ck_assert_int_eq(dn_store_convert(store, &w.claim, &w.sink, &why), RC_OK);
    leave(&w);
    ck_assert_int_eq(find(7).state, RS_RBW);
    ck_assert_uint_eq(find(7).visible, 5000);
    ck_assert_int_eq(begin(&w, DTP_SETUP_STREAMING_RECOVERY, 7, 1001, 1002, 5000), RC_OK);
    leave(&w);
}
END_TEST

START_TEST(crash_between_the_renames_of_finalizing_leaves_a_usable_replica)
{
    struct dn_path from, to;
    struct dn_view v;
    struct writer w;

    make_finalized(1, 1001, 10);    /* makes the directory */
    make_finalized(2, 1001, 10);
    for (uint64_t id = 3; id <= 4; id++) {
        ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, id, 1001, 0, 0), RC_OK);
        put(&w, 0, 5000);
        leave(&w);
        v = find(id);
        path_of(&v, id == 4, &from);
        v.state = RS_FINALIZED;
        path_of(&v, id == 4, &to);
        ck_assert_int_eq(io_rename(world.io, from.p, to.p, NULL), RC_OK);
    }
    restart();
    for (uint64_t id = 3; id <= 4; id++) {
        ck_assert_int_eq(find(id).state, RS_RWR);
        ck_assert_uint_eq(find(id).bytes, 5000);
    }
}
END_TEST

START_TEST(both_names_of_a_finalized_replica_are_one_replica)
{
    struct dn_path fin, rbw;
    struct dn_view v;

    make_finalized(7, 1001, 5000);
    v = find(7);
    for (int meta = 0; meta < 2; meta++) {
        path_of(&v, meta, &fin);
        v.state = RS_RBW;
        path_of(&v, meta, &rbw);
        v.state = RS_FINALIZED;
        ck_assert_int_eq(io_link(world.io, fin.p, rbw.p, NULL), RC_OK);
    }
    restart();
    ck_assert_int_eq(find(7).state, RS_FINALIZED);
    restart();
    ck_assert_int_eq(find(7).state, RS_FINALIZED);
    ck_assert(!find(7).corrupt);
}
END_TEST

START_TEST(appending_moves_the_stamp_and_survives_a_restart)
{
    struct writer w;

    make_finalized(7, 1001, 5000);
    ck_assert_int_eq(begin(&w, DTP_SETUP_APPEND, 7, 1001, 1003, 5000), RC_OK);
    ck_assert_int_eq(find(7).state, RS_RBW);
    put(&w, 5000, 120);
    put(&w, 5120, 1000);
    finish(&w);
    restart();
    ck_assert_uint_eq(find(7).bytes, 6120);
    ck_assert_uint_eq(find(7).stamp.v, 1003);
    ck_assert_int_eq(find(7).state, RS_FINALIZED);
}
END_TEST

static enum rc
no_room_in_rbw(struct io *io, const char *from, const char *to, struct why *why)
{
    (void)io;
    if (strstr(to, "/rbw/blk_7") != NULL && strstr(to, ".meta") == NULL)
        return why_set(why, RC_NO_SPACE, "no room for a name");
    return io_rename(io_posix(), from, to, why);
}

START_TEST(appending_that_cannot_move_the_files_leaves_the_replica_whole)
{
    struct io_ops ops = *io_posix()->ops;
    struct io io = { .ops = &ops };
    struct writer w;

    ops.rename = no_room_in_rbw;
    world.io = &io;
    restart();
    make_finalized(7, 1001, 5000);
    ck_assert_int_eq(begin(&w, DTP_SETUP_APPEND, 7, 1001, 1003, 5000), RC_NO_SPACE);
    ck_assert_int_eq(find(7).state, RS_FINALIZED);
    ck_assert_uint_eq(find(7).stamp.v, 1001);
    ops.rename = io_posix()->ops->rename;
    ck_assert_int_eq(begin(&w, DTP_SETUP_APPEND, 7, 1001, 1003, 5000), RC_OK);
    put(&w, 5000, 120);
    finish(&w);
    ck_assert_uint_eq(find(7).bytes, 5120);
    world.io = io_posix();
    restart();
    ck_assert_uint_eq(find(7).bytes, 5120);
}
END_TEST

START_TEST(close_recovery_finalizes_and_moves_the_stamp_of_what_is_finalized)
{
    struct writer w;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    leave(&w);
    for (uint64_t stamp = 1002; stamp < 1004; stamp++) {
        ck_assert_int_eq(begin(&w, DTP_CLOSE_RECOVERY, 7, stamp - 1, stamp, 5000), RC_OK);
        dn_store_release(store, &w.claim);
        restart();
        ck_assert_int_eq(find(7).state, RS_FINALIZED);
        ck_assert_uint_eq(find(7).stamp.v, stamp);
    }
}
END_TEST

START_TEST(deletion_spares_a_newer_stamp)
{
    struct why why;

    make_finalized(7, 1005, 5000);
    ck_assert_int_eq(dn_store_delete(store, (struct block_id){ 7 }, (struct stamp){ 1004 }, -1, 0, &why), RC_STALE_STAMP);
    ck_assert(is_there(7));
    ck_assert_int_eq(dn_store_delete(store, (struct block_id){ 7 }, (struct stamp){ 1005 }, -1, 0, &why), RC_OK);
    ck_assert(!is_there(7));
    restart();
    ck_assert(!is_there(7));
}
END_TEST

START_TEST(deletion_from_a_volume_spares_the_replica_on_another)
{
    struct dn_change c[4];
    struct why why;
    unsigned other;

    make_finalized(7, 1001, 5000);
    other = 1 - find(7).volume;
    ck_assert_int_eq(dn_store_delete(store, (struct block_id){ 7 }, (struct stamp){ 1001 }, (int)other, 0, &why),
                     RC_REPLICA_NOT_FOUND);
    ck_assert(is_there(7));
    /* and the NameNode learns that nothing is there */
    ck_assert_uint_eq(dn_store_unsent(store, other, c, 4), 1);
    ck_assert_int_eq(c[0].kind, DN_DELETED);
    ck_assert_uint_eq(c[0].id.v, 7);
}
END_TEST

START_TEST(replica_set_aside_is_out_of_the_way)
{
    struct why why;

    make_finalized(7, 1001, 5000);
    ck_assert_int_eq(dn_store_delete(store, (struct block_id){ 7 }, (struct stamp){ 1001 }, -1, 3600000, &why), RC_OK);
    restart();
    ck_assert(!is_there(7));
    make_finalized(7, 1001, 4000);  /* the id is free again */
}
END_TEST

START_TEST(changes_are_numbered_in_order_and_sent_once)
{
    struct dn_change c[16];
    struct dn_volume_stat st;
    struct writer w;
    size_t n;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    finish(&w);
    n = dn_store_unsent(store, w.volume, c, 16);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(c[0].kind, DN_RECEIVING);
    ck_assert_int_eq(c[1].kind, DN_RECEIVED);
    ck_assert_uint_eq(c[1].seq, c[0].seq + 1);
    ck_assert_uint_eq(c[1].seq, w.seq);
    ck_assert_uint_eq(c[1].bytes, 5000);
    ck_assert_int_eq(dn_store_wait_sent(store, w.volume, w.seq, 0, NULL), RC_TIMEOUT);
    dn_store_sent(store, w.volume, c[0].seq);
    ck_assert_uint_eq(dn_store_unsent(store, w.volume, c, 16), 1);
    dn_store_sent(store, w.volume, w.seq);
    ck_assert_int_eq(dn_store_wait_sent(store, w.volume, w.seq, 0, NULL), RC_OK);
    dn_store_volume_stat(store, w.volume, &st);
    ck_assert_uint_eq(st.seq, w.seq);
}
END_TEST

START_TEST(numbers_of_changes_grow_over_restarts)
{
    struct dn_volume_stat before, after;

    make_finalized(7, 1001, 10);
    dn_store_volume_stat(store, 0, &before);
    restart();
    dn_store_volume_stat(store, 0, &after);
    ck_assert_uint_gt(after.seq, before.seq);
}
END_TEST

START_TEST(other_cluster_is_refused_and_nothing_is_touched)
{
    struct dn_identity other = cluster;
    struct why why;

    make_finalized(7, 1001, 10);
    (void)snprintf(other.cluster_id, sizeof other.cluster_id, "CID-2");
    ck_assert_int_eq(dn_store_join(store, &other, &why), RC_WRONG_CLUSTER);
    restart();
    ck_assert_int_eq(dn_store_join(store, &other, &why), RC_WRONG_CLUSTER);
    ck_assert(is_there(7));
    ck_assert_int_eq(dn_store_join(store, &cluster, &why), RC_OK);
}
END_TEST

START_TEST(directory_in_use_is_refused)
{
    struct dn_store *first = store;
    struct why why;

    ck_assert_int_eq(open_store(&why), RC_BUSY);
    store = first;
}
END_TEST

START_TEST(highest_numbers_are_remembered)
{
    struct dn_seen seen = { 100, 1073741830, 1010 }, lower = { 50, 1, 1 }, got;

    dn_store_raise_seen(store, &seen);
    dn_store_raise_seen(store, &lower);
    restart();
    dn_store_seen(store, &got);
    ck_assert_uint_eq(got.txid, 100);
    ck_assert_uint_eq(got.block_id, 1073741830);
    ck_assert_uint_eq(got.stamp, 1010);
}
END_TEST

START_TEST(failed_sync_fences_the_volume)
{
    struct dn_volume_stat st;
    struct why why = { .rc = RC_IO, .text = "input/output error" };

    make_finalized(1, 1001, 10);
    make_finalized(2, 1001, 10);
    dn_store_judge(store, find(1).volume, RC_NO_SPACE, &why);
    ck_assert(is_there(1));
    dn_store_judge(store, 0, RC_IO, &why);
    dn_store_volume_stat(store, 0, &st);
    ck_assert(st.failed);
    ck_assert_uint_eq(st.remaining, 0);
    ck_assert(is_there(1) != is_there(2));
    ck_assert(dn_store_has_failed(store));      /* none is tolerated */
}
END_TEST

static char synced_dir[DN_PATH_MAX];

static enum rc
note_sync_dir(struct io *io, const char *path, struct why *why)
{
    (void)io;
    (void)snprintf(synced_dir, sizeof synced_dir, "%s", path);
    return io_sync_dir(io_posix(), path, why);
}

START_TEST(names_are_durable_when_a_replica_is_synced_or_finalized)
{
    struct io_ops ops = *io_posix()->ops;
    struct io noting = { &ops };
    struct writer w;
    struct why why;

    ops.sync_dir = note_sync_dir;
    dn_store_free(store);
    world.io = &noting;
    ck_assert_int_eq(open_store(&why), RC_OK);
    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 1000);
    synced_dir[0] = '\0';
    ck_assert_int_eq(dn_store_sync(store, &w.claim, &w.sink, &why), RC_OK);
    ck_assert_ptr_nonnull(strstr(synced_dir, "/rbw"));
    synced_dir[0] = '\0';
    finish(&w);
    ck_assert_ptr_nonnull(strstr(synced_dir, "/finalized/subdir"));
    dn_store_free(store);
    world.io = io_posix();
    ck_assert_int_eq(open_store(&why), RC_OK);
}
END_TEST

START_TEST(replica_older_than_was_asked_for_is_not_read)
{
    struct dn_source src;
    struct why why;

    make_finalized(7, 1001, 10);
    ck_assert_int_eq(dn_store_read(store, (struct block_id){ 7 }, (struct stamp){ 1002 }, &src, &why), RC_STALE_STAMP);
    ck_assert_int_eq(dn_store_read(store, (struct block_id){ 7 }, (struct stamp){ 1001 }, &src, &why), RC_OK);
    dn_source_fini(store, &src);
}
END_TEST

static enum rc
list_fails(struct io *io, const char *path, bool (*on_name)(void *arg, const char *name), void *arg, struct why *why)
{
    return strstr(path, "/finalized/") == NULL ? io_list(io_posix(), path, on_name, arg, why)
                                               : why_set(why, io == NULL ? RC_BUG : RC_IO, "input/output error");
}

START_TEST(directory_that_cannot_be_read_is_not_an_empty_one)
{
    struct io_ops ops = *io_posix()->ops;
    struct io failing = { &ops };
    struct why why;
    enum rc rc;

    make_finalized(7, 1001, 10);
    dn_store_free(store);
    ops.list = list_fails;
    world.io = &failing;
    rc = open_store(&why);
    world.io = io_posix();
    ck_assert_int_ne(rc, RC_OK);            /* none of its volumes may fail */
    ck_assert_int_eq(open_store(&why), RC_OK);
    ck_assert(is_there(7));
}
END_TEST

static char logged[256];

static void
take_log(void *arg, enum log_level level, const char *event, const char *text)
{
    (void)arg;
    (void)level;
    (void)text;
    (void)snprintf(logged, sizeof logged, "%s", event);
}

START_TEST(data_without_checksums_are_corrupt)
{
    struct dn_path path;
    struct dn_view v;

    make_finalized(7, 1001, 5000);
    v = find(7);
    path_of(&v, true, &path);
    ck_assert_int_eq(io_unlink(world.io, path.p, NULL), RC_OK);
    log_set_sink(take_log, NULL);
    restart();
    log_set_sink(NULL, NULL);
    ck_assert(find(7).corrupt);
}
END_TEST

/* --- Recovery. */

static struct dn_found found;

static enum rc
init_recovery(uint64_t id, uint64_t stamp, uint64_t recovery)
{
    struct why why;

    return dn_store_init_recovery(store, (struct block_id){ id }, (struct stamp){ stamp }, (struct stamp){ recovery }, &found,
                                  &why);
}

static enum rc
update_recovered(uint64_t id, uint64_t recovery, uint64_t bytes)
{
    unsigned volume;
    uint64_t seq;
    struct why why;

    return dn_store_update_recovered(store, (struct block_id){ id }, (struct stamp){ recovery }, bytes, &volume, &seq, &why);
}

/* The files of a finalized replica agree with each other, byte for byte. */
static void
expect_whole(uint64_t id, uint64_t stamp, uint64_t bytes)
{
    struct dn_source src;
    struct dn_meta meta;
    uint64_t good = 0;
    struct why why;

    ck_assert_int_eq(dn_store_read(store, (struct block_id){ id }, (struct stamp){ stamp }, &src, &why), RC_OK);
    ck_assert_int_eq(src.view.state, RS_FINALIZED);
    ck_assert_uint_eq(src.view.stamp.v, stamp);
    ck_assert_uint_eq(src.view.visible, bytes);
    ck_assert_int_eq(dn_verify_prefix(world.io, src.data_fd, src.meta_fd, &good, &meta, &why), RC_OK);
    ck_assert_uint_eq(good, bytes);
    dn_source_fini(store, &src);
}

START_TEST(recovered_replica_is_finalized_with_the_agreed_bytes)
{
    struct writer w;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    leave(&w);
    ck_assert_int_eq(init_recovery(7, 1001, 1005), RC_OK);
    ck_assert(found.found && found.state == RS_RBW && found.bytes == 5000 && found.stamp.v == 1001);
    ck_assert_int_eq(find(7).state, RS_RBW);            /* readers see it as before */
    ck_assert_int_eq(begin(&w, DTP_SETUP_STREAMING_RECOVERY, 7, 1001, 1006, 5000), RC_IN_RECOVERY);
    ck_assert_int_eq(update_recovered(7, 1005, 5001), RC_IO_EXCEPTION);
    ck_assert_int_eq(update_recovered(7, 1005, 4700), RC_OK);
    ck_assert_int_eq(update_recovered(7, 1005, 4700), RC_OK);           /* said again */
    ck_assert_int_eq(update_recovered(7, 1005, 4600), RC_STALE_STAMP);
    expect_whole(7, 1005, 4700);
    restart();
    expect_whole(7, 1005, 4700);
}
END_TEST

START_TEST(later_recovery_takes_the_replica_from_an_earlier_one)
{
    make_finalized(7, 1001, 3000);
    ck_assert_int_eq(init_recovery(7, 1001, 1005), RC_OK);
    ck_assert_int_eq(init_recovery(7, 1001, 1005), RC_OK);              /* asked again */
    ck_assert_int_eq(init_recovery(7, 1001, 1007), RC_OK);
    ck_assert(found.state == RS_FINALIZED && found.bytes == 3000);
    ck_assert_int_eq(init_recovery(7, 1001, 1006), RC_IN_RECOVERY);
    ck_assert_int_eq(update_recovered(7, 1005, 3000), RC_STALE_STAMP);
    ck_assert_int_eq(update_recovered(7, 1007, 3000), RC_OK);
    expect_whole(7, 1007, 3000);
    ck_assert_int_eq(init_recovery(7, 1001, 1007), RC_STALE_STAMP);     /* stamps never go back */
    ck_assert_int_eq(init_recovery(7, 1001, 1008), RC_OK);
    ck_assert_uint_eq(found.stamp.v, 1007);
    restart();                                                          /* forgets the reservation, and nothing else */
    ck_assert_int_eq(update_recovered(7, 1008, 3000), RC_STALE_STAMP);
    expect_whole(7, 1007, 3000);
}
END_TEST

START_TEST(finalized_replica_is_cut)
{
    static const uint64_t lengths[] = { 69999, 65536, 1025, 513, 512, 511, 1 };
    uint64_t stamp = 1001;

    make_finalized(7, 1001, 70000);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++, stamp++) {
        ck_assert_int_eq(init_recovery(7, stamp, stamp + 1), RC_OK);
        ck_assert_int_eq(update_recovered(7, stamp + 1, lengths[i]), RC_OK);
        expect_whole(7, stamp + 1, lengths[i]);
    }
    restart();
    expect_whole(7, stamp, 1);
}
END_TEST

START_TEST(recovery_finds_what_is_no_replica_of_the_block_any_more)
{
    struct writer w;

    ck_assert_int_eq(init_recovery(7, 1001, 1005), RC_OK);
    ck_assert(!found.found);
    make_finalized(7, 1001, 100);
    ck_assert_int_eq(init_recovery(7, 1003, 1005), RC_OK);              /* older than the block */
    ck_assert(found.found && found.stamp.v == 1001);
    ck_assert_int_eq(update_recovered(7, 1005, 100), RC_STALE_STAMP);   /* and not reserved */
    ck_assert_int_eq(begin(&w, DTP_SETUP_APPEND, 7, 1001, 1002, 100), RC_OK);
    leave(&w);
}
END_TEST

START_TEST(replica_met_at_a_restart_is_recovered)
{
    struct writer w;

    ck_assert_int_eq(begin(&w, DTP_SETUP_CREATE, 7, 1001, 0, 0), RC_OK);
    put(&w, 0, 5000);
    leave(&w);
    restart();
    ck_assert_int_eq(init_recovery(7, 1001, 1005), RC_OK);
    ck_assert(found.state == RS_RWR && found.bytes == 5000);
    ck_assert_int_eq(update_recovered(7, 1005, 5000), RC_OK);
    expect_whole(7, 1005, 5000);
}
END_TEST

Suite *
suite_dn_store(void)
{
    Suite *s = suite_create("dn_store");
    TCase *t = tcase_create("store");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, finalized_replica_is_found_again_after_a_restart);
    tcase_add_test(t, blocks_spread_over_the_volumes);
    tcase_add_test(t, replica_being_written_waits_for_recovery_after_a_restart);
    tcase_add_test(t, replica_being_written_is_cut_to_what_agrees_with_its_checksums);
    tcase_add_test(t, copy_that_did_not_end_is_gone);
    tcase_add_test(t, copy_of_a_written_replica_becomes_one);
    tcase_add_test(t, crash_between_the_renames_of_finalizing_leaves_a_usable_replica);
    tcase_add_test(t, both_names_of_a_finalized_replica_are_one_replica);
    tcase_add_test(t, appending_moves_the_stamp_and_survives_a_restart);
    tcase_add_test(t, appending_that_cannot_move_the_files_leaves_the_replica_whole);
    tcase_add_test(t, close_recovery_finalizes_and_moves_the_stamp_of_what_is_finalized);
    tcase_add_test(t, deletion_spares_a_newer_stamp);
    tcase_add_test(t, deletion_from_a_volume_spares_the_replica_on_another);
    tcase_add_test(t, replica_set_aside_is_out_of_the_way);
    tcase_add_test(t, changes_are_numbered_in_order_and_sent_once);
    tcase_add_test(t, numbers_of_changes_grow_over_restarts);
    tcase_add_test(t, other_cluster_is_refused_and_nothing_is_touched);
    tcase_add_test(t, directory_in_use_is_refused);
    tcase_add_test(t, highest_numbers_are_remembered);
    tcase_add_test(t, failed_sync_fences_the_volume);
    tcase_add_test(t, names_are_durable_when_a_replica_is_synced_or_finalized);
    tcase_add_test(t, replica_older_than_was_asked_for_is_not_read);
    tcase_add_test(t, directory_that_cannot_be_read_is_not_an_empty_one);
    tcase_add_test(t, data_without_checksums_are_corrupt);
    tcase_add_test(t, recovered_replica_is_finalized_with_the_agreed_bytes);
    tcase_add_test(t, later_recovery_takes_the_replica_from_an_earlier_one);
    tcase_add_test(t, finalized_replica_is_cut);
    tcase_add_test(t, recovery_finds_what_is_no_replica_of_the_block_any_more);
    tcase_add_test(t, replica_met_at_a_restart_is_recovered);
    suite_add_tcase(s, t);
    return s;
}
