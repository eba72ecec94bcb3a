#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "libmr/collect.h"
#include "tests/unit/mr_memhost.h"
#include "tests/unit/suites.h"

/* Words of a small vocabulary with uneven frequencies, in lines of uneven lengths. */
static char *
make_text(size_t n, uint64_t seed)
{
    struct rng_seeded r;
    char *p = mem_alloc(n + 64);
    size_t at = 0;

    rng_seed(&r, seed);
    while (at < n) {
        uint64_t word = rng_below(&r.rng, 1 + rng_below(&r.rng, 3000));

        at += (size_t)snprintf(p + at, n + 64 - at, "w%llu%s", (unsigned long long)word,
                              rng_below(&r.rng, 9) == 0 ? "\n" : rng_below(&r.rng, 50) == 0 ? "  \t" : " ");
    }
    p[n] = 0;
    return p;
}

static void
map_words(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    struct mr_bytes w;

    for (size_t i = 0; i < n; i++) {
        const char *p = rec[i].value, *end = p + rec[i].value_len;

        while (mr_word(&p, end, &w))
            mr_emit_i64(t, w.p, w.n, 1);
    }
}

static void
reduce_sum(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    int64_t v, sum = 0;

    while (mr_next_i64(t, values, &v))
        sum += v;
    mr_emit_i64(t, key.p, key.n, sum);
}

/* Sums doubles whose order matters for the last bit. */
static void
map_doubles(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = 1.0 / (double)(rec[i].at * 7 + 3);

        mr_emit_f64(t, "sum", 3, v);
        mr_emit_f64(t, rec[i].value, rec[i].value_len < 4 ? rec[i].value_len : 4, v);
    }
}

static void
map_copy(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mr_emit(t, NULL, 0, rec[i].value, rec[i].value_len);
}

static void
reduce_first(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;

    ck_assert(mr_next(t, values, &v));
    mr_emit(t, key.p, key.n, v.p, v.n);
}

static void
map_fails(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    (void)rec;
    (void)n;
    mr_emit_i64(t, "x", 1, 1);
    mr_fail(t, "line 1 has no colon");
}

static const struct mr_job fold_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_words, .fold = MR_FOLD_SUM_I64 };
static const struct mr_job reduce_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_words, .reduce = reduce_sum,
                                          .value = MR_VALUE_I64 };
static const struct mr_job combine_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_words, .reduce = reduce_sum,
                                           .combine = reduce_sum, .value = MR_VALUE_I64 };
static const struct mr_job double_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_doubles, .fold = MR_FOLD_SUM_F64 };
static const struct mr_job copy_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_copy, .map_only = 1 };
static const struct mr_job first_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_words, .reduce = reduce_first,
                                         .value = MR_VALUE_I64 };
static const struct mr_job failing_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), .map = map_fails, .fold = MR_FOLD_SUM_I64 };

static struct mem_job
make_job(const struct mr_job *job, const char *text)
{
    return (struct mem_job){ .job = job, .input = text, .input_bytes = strlen(text), .split_bytes = 20000, .reduces = 3,
                             .sort_bytes = 8 * MB, .sort_factor = 10 };
}

static void
run_ok(const struct mem_job *j, struct buf *out, int64_t counters[MRC_COUNT])
{
    struct why why = { 0 };
    enum rc rc = mem_job_run(j, out, counters, &why);

    ck_assert_msg(rc == RC_OK, "%s", why.text);
}

static void
assert_same(const struct buf *a, const struct buf *b)
{
    ck_assert_uint_eq(a->n, b->n);
    ck_assert(memcmp(a->p, b->p, a->n) == 0);
}

/* Sum of the counts in "word\tcount" lines, and check that words within a partition rise. */
static int64_t
sum_counts(const struct buf *out)
{
    int64_t sum = 0;
    long long n;
    const char *p = (const char *)out->p, *end = p + out->n;

    while (p < end) {
        const char *tab = memchr(p, '\t', (size_t)(end - p));

        ck_assert_ptr_nonnull(tab);
        ck_assert_int_eq(sscanf(tab + 1, "%lld", &n), 1);
        sum += n;
        p = (const char *)memchr(tab, '\n', (size_t)(end - tab)) + 1;
    }
    return sum;
}

START_TEST(fold_reduce_and_combine_give_the_same_counts)
{
    char *text = make_text(300000, 1);
    int64_t c[MRC_COUNT], words = 0;
    struct buf fold, reduce, combine;
    struct mem_job j = make_job(&fold_job, text);

    for (const char *p = text, *end = text + strlen(text); p < end;) {
        struct mr_bytes w;

        words += mr_word(&p, end, &w);
    }
    run_ok(&j, &fold, c);
    ck_assert_int_eq(c[MRC_MAP_OUTPUT_RECORDS], words);
    ck_assert_int_eq(sum_counts(&fold), words);
    j.job = &reduce_job;
    run_ok(&j, &reduce, c);
    ck_assert_int_eq(c[MRC_REDUCE_INPUT_RECORDS], words);
    j.job = &combine_job;
    run_ok(&j, &combine, c);
    ck_assert_int_lt(c[MRC_REDUCE_INPUT_RECORDS], words);
    assert_same(&fold, &reduce);
    assert_same(&fold, &combine);
    buf_fini(&fold);
    buf_fini(&reduce);
    buf_fini(&combine);
    mem_free(text);
}
END_TEST

START_TEST(spills_merges_and_compression_do_not_change_output)
{
    char *text = make_text(400000, 2);
    const struct mr_job *jobs[] = { &fold_job, &reduce_job, &combine_job };
    int64_t c[MRC_COUNT];

    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        struct buf want, got;
        struct mem_job j = make_job(jobs[i], text);

        j.split_bytes = 100000;
        run_ok(&j, &want, c);
        ck_assert_int_eq(c[MRC_SPILLS], 0);
        j.sort_bytes = 40000;
        j.sort_factor = 2;
        j.compress = true;
        j.reverse = true;
        run_ok(&j, &got, c);
        ck_assert_int_gt(c[MRC_SPILLS], 8);
        assert_same(&want, &got);
        buf_fini(&want);
        buf_fini(&got);
    }
    mem_free(text);
}
END_TEST

START_TEST(sums_of_doubles_do_not_depend_on_arrival)
{
    char *text = make_text(300000, 3);
    int64_t c[MRC_COUNT];
    struct buf want, got;
    struct mem_job j = make_job(&double_job, text);

    run_ok(&j, &want, c);
    j.reverse = true;
    j.read_max = 777;
    run_ok(&j, &got, c);
    assert_same(&want, &got);
    buf_fini(&want);
    buf_fini(&got);
    mem_free(text);
}
END_TEST

START_TEST(each_line_is_read_once_wherever_splits_fall)
{
    char *text = make_text(5000, 4);
    int64_t c[MRC_COUNT];
    struct buf out;

    for (uint64_t split = 20; split < 420; split += 7) {
        struct mem_job j = make_job(&copy_job, text);
        size_t n = strlen(text);

        j.split_bytes = split + 400 * (split < 60);
        run_ok(&j, &out, c);
        ck_assert_uint_ge(out.n, n);
        ck_assert(memcmp(out.p, text, n) == 0);
        ck_assert(out.n == n || (out.n == n + 1 && text[n - 1] != '\n'));
        buf_fini(&out);
    }
    mem_free(text);
}
END_TEST

START_TEST(carriage_returns_and_empty_lines_are_handled)
{
    int64_t c[MRC_COUNT];
    struct buf out;
    struct mem_job j = make_job(&copy_job, "a\r\n\r\nb\n\nlast");

    run_ok(&j, &out, c);
    ck_assert_int_eq(c[MRC_MAP_INPUT_RECORDS], 5);
    ck_assert_uint_eq(out.n, strlen("a\n\nb\n\nlast\n"));
    ck_assert(memcmp(out.p, "a\n\nb\n\nlast\n", out.n) == 0);
    buf_fini(&out);
}
END_TEST

START_TEST(reduce_that_stops_early_still_sees_each_key_once)
{
    char *text = make_text(50000, 5);
    int64_t c[MRC_COUNT], groups;
    struct buf a, b;
    struct mem_job j = make_job(&fold_job, text);

    run_ok(&j, &a, c);
    groups = c[MRC_REDUCE_INPUT_GROUPS];
    j.job = &first_job;
    run_ok(&j, &b, c);
    ck_assert_int_eq(c[MRC_REDUCE_INPUT_GROUPS], groups);
    ck_assert_int_eq(sum_counts(&b), groups);
    buf_fini(&a);
    buf_fini(&b);
    mem_free(text);
}
END_TEST

START_TEST(a_job_that_fails_says_its_own_text)
{
    int64_t c[MRC_COUNT];
    struct why why = { 0 };
    struct buf out;
    struct mem_job j = make_job(&failing_job, "x\ny\n");

    ck_assert_int_eq(mem_job_run(&j, &out, c, &why), RC_JOB_FAILED);
    ck_assert_str_eq(why.text, "line 1 has no colon");
    buf_fini(&out);
}
END_TEST

/* First many short words, which fill the memory with their table, then long ones, which need another. */
START_TEST(words_that_change_their_length_do_not_spill_one_by_one)
{
    char *text = mem_alloc(4 * MB);
    size_t at = 0;
    int64_t c[MRC_COUNT];
    struct mem_job j;
    struct buf out;

    for (int i = 0; i < 40000; i++)
        at += (size_t)snprintf(text + at, 4 * MB - at, "w%d\n", i);
    for (int i = 0; i < 40000; i++)
        at += (size_t)snprintf(text + at, 4 * MB - at, "a-longer-word-%d\n", i);
    j = make_job(&fold_job, text);
    j.split_bytes = 4 * MB;
    j.reduces = 1;
    for (size_t kb = 64; kb <= 1024; kb *= 4) {
        j.sort_bytes = kb * KB;
        run_ok(&j, &out, c);
        ck_assert_int_eq(sum_counts(&out), 80000);
        ck_assert_int_lt(c[MRC_SPILLS], (int64_t)(80000 * 64 / (kb * KB)) + 100 / (int64_t)(kb / 64));
        buf_fini(&out);
    }
    mem_free(text);
}
END_TEST

/* The clock moves in the host's calls only, so that each counter of time shows whose calls it holds. */
START_TEST(each_moment_is_counted_once_and_for_what_it_was_spent_on)
{
    char *text = make_text(300000, 7);
    struct mem_job j = make_job(&reduce_job, text);
    int64_t c[MRC_COUNT], reads, segments;
    struct buf out;

    j.split_bytes = 100000;
    j.sort_bytes = 64 * KB;             /* many spills, merged in rounds */
    j.sort_factor = 3;
    run_ok(&j, &out, c);
    reads = c[MRC_READ_MICROSECONDS] / HOST_READ_US;
    segments = c[MRC_FETCH_MICROSECONDS] / HOST_SEGMENT_US;
    ck_assert_int_ge(reads, 3);
    ck_assert_int_eq(c[MRC_READ_MICROSECONDS], reads * HOST_READ_US);
    ck_assert_int_eq(c[MRC_FETCH_MICROSECONDS], segments * HOST_SEGMENT_US);
    ck_assert_int_eq(segments, c[MRC_SHUFFLED_MAPS] + 3);
    ck_assert_int_gt(c[MRC_SPILLS], 3);
    ck_assert_int_eq(c[MRC_SPILL_MICROSECONDS], c[MRC_SPILLS] * HOST_SCRATCH_US);
    ck_assert_int_gt(c[MRC_MERGE_MICROSECONDS], 0);
    ck_assert_int_eq(c[MRC_MERGE_MICROSECONDS] % HOST_SCRATCH_US, 0);
    ck_assert_int_eq(c[MRC_WRITE_MICROSECONDS], 3 * HOST_WRITE_US);
    ck_assert_int_eq(c[MRC_PARSE_MICROSECONDS] + c[MRC_MAP_MICROSECONDS] + c[MRC_FOLD_MICROSECONDS] +
                     c[MRC_SORT_MICROSECONDS] + c[MRC_REDUCE_MICROSECONDS], 0);
    buf_fini(&out);
    mem_free(text);
}
END_TEST

/* Emits its line, and behind each hundredth a pair larger than any window. */
static void
map_large(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mr_emit(t, rec[i].value, rec[i].value_len, "1", 1);
        if (rec[i].value_len > 2 && rec[i].value[1] == '7' && rec[i].value[2] == '7') {
            char *p = mr_emit_head(t, rec[i].value, rec[i].value_len, 300000);

            memset(p, rec[i].value[0], 300000);
        }
    }
}

static void
reduce_lengths(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;
    int64_t sum = 0;

    while (mr_next(t, values, &v)) {
        for (size_t i = 1; i < v.n; i += 997)
            ck_assert_int_eq(v.p[i], 'w');
        sum += (int64_t)v.n;
    }
    mr_emit_i64(t, key.p, key.n, sum);
}

START_TEST(pairs_larger_than_the_window_lie_between_small_ones_also_when_they_spill)
{
    const struct mr_job job = { .abi = MR_ABI, .size = sizeof job, .map = map_large, .reduce = reduce_lengths,
                                .value = MR_VALUE_I64 };
    char *text = mem_alloc(40000 * 8 + 1);
    int64_t c[MRC_COUNT], sums = 0;
    struct buf want, got;
    struct mem_job j = make_job(&job, text);
    size_t at = 0, large = 0;

    for (unsigned i = 0; i < 40000; i++) {
        unsigned word = i * 7919 % 3001;

        at += (size_t)snprintf(text + at, 9, "w%u\n", word);
        large += word == 77 || word / 10 == 77;        /* as map_large sees it: w77, w770 .. w779 */
    }
    j.input_bytes = at;
    j.split_bytes = 100000;
    j.sort_bytes = 64 * MB;
    run_ok(&j, &want, c);
    ck_assert_int_eq(c[MRC_SPILLS], 0);
    sums = sum_counts(&want);
    ck_assert_int_eq(sums, 40000 + (int64_t)large * 300000);
    j.sort_bytes = 200000;
    run_ok(&j, &got, c);
    ck_assert_int_gt(c[MRC_SPILLS], 8);
    assert_same(&want, &got);
    buf_fini(&want);
    buf_fini(&got);
    mem_free(text);
}
END_TEST

START_TEST(memory_that_a_map_leaves_serves_the_next_and_goes_with_the_first_reduce)
{
    char *text = make_text(6000000, 12);
    struct collect_memory memory = { .cap = 0 };
    int64_t c[MRC_COUNT];
    struct buf want, got;
    struct mem_job j = make_job(&reduce_job, text);

    j.split_bytes = 1500000;
    run_ok(&j, &want, c);
    j.memory = &memory;
    run_ok(&j, &got, c);
    assert_same(&want, &got);
    ck_assert_ptr_null(memory.pairs);   /* the reduces came last */
    buf_fini(&got);
    j.sort_bytes = 200000;              /* and when it spills */
    run_ok(&j, &got, c);
    ck_assert_int_gt(c[MRC_SPILLS], 8);
    assert_same(&want, &got);
    buf_fini(&want);
    buf_fini(&got);
    collect_memory_fini(&memory);
    mem_free(text);
}
END_TEST

START_TEST(empty_input_gives_empty_output)
{
    int64_t c[MRC_COUNT];
    struct buf out;
    struct mem_job j = make_job(&fold_job, "");

    run_ok(&j, &out, c);
    ck_assert_uint_eq(out.n, 0);
    buf_fini(&out);
}
END_TEST

Suite *suite_mr_attempt(void);

Suite *
suite_mr_attempt(void)
{
    Suite *s = suite_create("mr_attempt");
    TCase *t = tcase_create("all");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, fold_reduce_and_combine_give_the_same_counts);
    tcase_add_test(t, spills_merges_and_compression_do_not_change_output);
    tcase_add_test(t, sums_of_doubles_do_not_depend_on_arrival);
    tcase_add_test(t, each_line_is_read_once_wherever_splits_fall);
    tcase_add_test(t, carriage_returns_and_empty_lines_are_handled);
    tcase_add_test(t, reduce_that_stops_early_still_sees_each_key_once);
    tcase_add_test(t, a_job_that_fails_says_its_own_text);
    tcase_add_test(t, words_that_change_their_length_do_not_spill_one_by_one);
    tcase_add_test(t, each_moment_is_counted_once_and_for_what_it_was_spent_on);
    tcase_add_test(t, pairs_larger_than_the_window_lie_between_small_ones_also_when_they_spill);
    tcase_add_test(t, memory_that_a_map_leaves_serves_the_next_and_goes_with_the_first_reduce);
    tcase_add_test(t, empty_input_gives_empty_output);
    suite_add_tcase(s, t);
    return s;
}
