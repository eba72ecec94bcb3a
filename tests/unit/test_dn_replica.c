#include "datanode/replica.h"

#include "datanode/report.h"
#include "tests/unit/suites.h"

suite_fn suite_dn_replica;

static struct dn_view
view(enum replica_state state, uint64_t stamp, uint64_t bytes, uint64_t visible)
{
    return (struct dn_view){ .id = { 7 }, .stamp = { stamp }, .state = state, .bytes = bytes, .visible = visible };
}

static struct dn_write_request
request(enum dtp_stage stage, uint64_t stamp, uint64_t new_stamp, uint64_t min, uint64_t max)
{
    return (struct dn_write_request){ .id = { 7 }, .stamp = { stamp }, .new_stamp = { new_stamp }, .stage = stage,
                                      .by_client = true, .min_bytes = min, .max_bytes = max };
}

static enum rc
plan(struct dn_write_request q, const struct dn_view *old, struct dn_write_plan *ret)
{
    struct why why;

    return dn_write_plan(&q, old, ret, &why);
}

START_TEST(create_without_a_replica_makes_one)
{
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_SETUP_CREATE, 1001, 0, 0, 0), NULL, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_CREATE);
    ck_assert_uint_eq(p.stamp.v, 1001);
    ck_assert(!p.replace);
}
END_TEST

START_TEST(create_replaces_an_older_stamp_only)
{
    struct dn_view old = view(RS_RBW, 1000, 10, 10), same = view(RS_RBW, 1001, 10, 10);
    struct dn_view newer = view(RS_FINALIZED, 1002, 10, 10), kept = view(RS_RWR, 1001, 10, 10);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_SETUP_CREATE, 1001, 0, 0, 0), &old, &p), RC_OK);
    ck_assert(p.replace);
    ck_assert_int_eq(plan(request(DTP_SETUP_CREATE, 1001, 0, 0, 0), &same, &p), RC_REPLICA_EXISTS);
    ck_assert_int_eq(plan(request(DTP_SETUP_CREATE, 1001, 0, 0, 0), &newer, &p), RC_REPLICA_EXISTS);
    ck_assert_int_eq(plan(request(DTP_SETUP_CREATE, 1001, 0, 0, 0), &kept, &p), RC_REPLICA_EXISTS);
}
END_TEST

START_TEST(copy_is_temporary_and_ends_as_its_source_was)
{
    struct dn_view kept = view(RS_RWR, 1001, 10, 10);
    struct dn_write_request rbw = request(DTP_TRANSFER_RBW, 1001, 0, 0, 0);
    struct dn_write_request whole = request(DTP_TRANSFER_FINALIZED, 1001, 0, 0, 0);
    struct dn_write_request by_node = request(DTP_SETUP_CREATE, 1001, 0, 0, 0);
    struct dn_write_plan p;

    by_node.by_client = false;
    ck_assert_int_eq(plan(rbw, NULL, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_COPY);
    ck_assert_int_eq(dn_copy_end(&rbw), RS_RBW);
    ck_assert_int_eq(dn_copy_end(&whole), RS_FINALIZED);
    ck_assert_int_eq(dn_copy_end(&by_node), RS_FINALIZED);
    ck_assert(dn_write_is_copy(&by_node));
    ck_assert(!dn_write_is_copy(&(struct dn_write_request){ .stage = DTP_SETUP_CREATE, .by_client = true }));
    /* what a restart left gives way to a copy of the same stamp */
    ck_assert_int_eq(plan(rbw, &kept, &p), RC_OK);
    ck_assert(p.replace);
}
END_TEST

START_TEST(streaming_recovery_goes_on_from_what_is_acknowledged)
{
    struct dn_view old = view(RS_RBW, 1001, 3000, 2000);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 2000, 4000), &old, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_REOPEN);
    ck_assert_uint_eq(p.keep, 2000);
    ck_assert_uint_eq(p.stamp.v, 1005);
}
END_TEST

START_TEST(streaming_recovery_keeps_what_readers_may_have_seen)
{
    struct dn_view old = view(RS_RBW, 1001, 3000, 2000);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 1500, 4000), &old, &p), RC_OK);
    ck_assert_uint_eq(p.keep, 2000);        /* acknowledged here, though not yet to the writer */
}
END_TEST

START_TEST(streaming_recovery_is_refused_outside_its_bounds)
{
    struct dn_view old = view(RS_RBW, 1001, 3000, 2000), done = view(RS_FINALIZED, 1001, 3000, 3000);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 2001, 4000), &old, &p), RC_IO_EXCEPTION);
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 2000, 2999), &old, &p), RC_IO_EXCEPTION);
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 3000, 4000), &done, &p), RC_IO_EXCEPTION);
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 0, 4000), NULL, &p), RC_REPLICA_NOT_FOUND);
}
END_TEST

START_TEST(stamp_never_goes_back)
{
    struct dn_view old = view(RS_RBW, 1003, 3000, 3000);
    struct dn_write_plan p;

    /* the replica is older than the writer believes; newer than what it would set; in between */
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1004, 1005, 0, 4000), &old, &p), RC_STALE_STAMP);
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1002, 0, 4000), &old, &p), RC_STALE_STAMP);
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 0, 4000), &old, &p), RC_OK);
}
END_TEST

START_TEST(append_wants_the_whole_finalized_replica)
{
    struct dn_view old = view(RS_FINALIZED, 1001, 3000, 3000), rbw = view(RS_RBW, 1001, 3000, 3000);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_SETUP_APPEND, 1001, 1001, 3000, 3000), &old, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_APPEND);
    ck_assert_uint_eq(p.keep, 3000);
    ck_assert_int_eq(plan(request(DTP_SETUP_APPEND, 1001, 1002, 2999, 2999), &old, &p), RC_IO_EXCEPTION);
    ck_assert_int_eq(plan(request(DTP_SETUP_APPEND, 1001, 1002, 3000, 3000), &rbw, &p), RC_IO_EXCEPTION);
    ck_assert_int_eq(plan(request(DTP_SETUP_APPEND_RECOVERY, 1001, 1002, 3000, 3000), &rbw, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_REOPEN);
    ck_assert_uint_eq(p.keep, 3000);
}
END_TEST

START_TEST(close_recovery_finalizes_what_has_all_its_bytes)
{
    struct dn_view rbw = view(RS_RBW, 1001, 3000, 3000), done = view(RS_FINALIZED, 1001, 3000, 3000);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_CLOSE_RECOVERY, 1001, 1002, 3000, 3000), &rbw, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_CLOSE);
    ck_assert_int_eq(plan(request(DTP_CLOSE_RECOVERY, 1001, 1002, 3000, 3000), &done, &p), RC_OK);
    ck_assert_int_eq(p.kind, DN_WRITE_CLOSE);
    ck_assert_int_eq(plan(request(DTP_CLOSE_RECOVERY, 1001, 1002, 3001, 3001), &rbw, &p), RC_IO_EXCEPTION);
}
END_TEST

START_TEST(stages_that_are_never_sent_are_refused)
{
    struct dn_view old = view(RS_RBW, 1001, 3000, 3000);
    struct dn_write_plan p;

    ck_assert_int_eq(plan(request(DTP_STREAMING, 1001, 1002, 0, 9000), &old, &p), RC_BAD_MESSAGE);
    ck_assert_int_eq(plan(request(DTP_CLOSE, 1001, 1002, 0, 9000), &old, &p), RC_BAD_MESSAGE);
    ck_assert_int_eq(plan(request((enum dtp_stage)42, 1001, 1002, 0, 9000), &old, &p), RC_BAD_MESSAGE);
}
END_TEST

START_TEST(corrupt_replica_is_not_written_on)
{
    struct dn_view old = view(RS_RBW, 1001, 3000, 3000);
    struct dn_write_plan p;

    old.corrupt = true;
    ck_assert_int_eq(plan(request(DTP_SETUP_STREAMING_RECOVERY, 1001, 1005, 0, 4000), &old, &p), RC_CORRUPT);
}
END_TEST

START_TEST(prefix_of_a_torn_chunk_is_found_by_its_checksum)
{
    uint8_t data[512];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31);
    ck_assert_uint_eq(dn_chunk_prefix(CRC_CRC32C, data, 300, crc32c(0, data, 200)), 200);
    ck_assert_uint_eq(dn_chunk_prefix(CRC_CRC32C, data, 300, crc32c(0, data, 300)), 300);
    ck_assert_uint_eq(dn_chunk_prefix(CRC_CRC32C, data, 100, crc32c(0, data, 300)), 0);
}
END_TEST

START_TEST(ranges_cover_every_id_and_every_replica)
{
    struct dn_view v[5];
    struct dn_range r[3];
    uint64_t numbers[3];

    for (uint64_t i = 0; i < 5; i++) {
        v[i] = view(i == 4 ? RS_RBW : RS_FINALIZED, 1001, 100 * i, 0);
        v[i].id.v = 1000 + 10 * i;
    }
    ck_assert_uint_eq(dn_range_count(5, 2), 3);
    dn_ranges(v, 5, 2, r);
    ck_assert_uint_eq(r[0].first, 0);
    ck_assert_uint_eq(r[0].last, 1010);
    ck_assert_uint_eq(r[1].first, 1011);
    ck_assert_uint_eq(r[2].last, UINT64_MAX);
    ck_assert_uint_eq(r[2].count, 1);
    ck_assert_uint_ne(r[0].hash, r[1].hash);
    dn_replica_numbers(&v[4], 1030, numbers);
    ck_assert_uint_eq(numbers[0], 10);
    ck_assert_uint_eq(numbers[1], 1001);
    ck_assert_uint_eq(numbers[2], 801);
    ck_assert_uint_eq(dn_range_count(0, 2), 1);
    dn_ranges(NULL, 0, 2, r);
    ck_assert_uint_eq(r[0].last, UINT64_MAX);
    ck_assert_uint_eq(r[0].hash, DN_HASH_START);
}
END_TEST

Suite *
suite_dn_replica(void)
{
    Suite *s = suite_create("dn_replica");
    TCase *t = tcase_create("replica");

    tcase_add_test(t, create_without_a_replica_makes_one);
    tcase_add_test(t, create_replaces_an_older_stamp_only);
    tcase_add_test(t, copy_is_temporary_and_ends_as_its_source_was);
    tcase_add_test(t, streaming_recovery_goes_on_from_what_is_acknowledged);
    tcase_add_test(t, streaming_recovery_keeps_what_readers_may_have_seen);
    tcase_add_test(t, streaming_recovery_is_refused_outside_its_bounds);
    tcase_add_test(t, stamp_never_goes_back);
    tcase_add_test(t, append_wants_the_whole_finalized_replica);
    tcase_add_test(t, close_recovery_finalizes_what_has_all_its_bytes);
    tcase_add_test(t, stages_that_are_never_sent_are_refused);
    tcase_add_test(t, corrupt_replica_is_not_written_on);
    tcase_add_test(t, prefix_of_a_torn_chunk_is_found_by_its_checksum);
    tcase_add_test(t, ranges_cover_every_id_and_every_replica);
    suite_add_tcase(s, t);
    return s;
}
