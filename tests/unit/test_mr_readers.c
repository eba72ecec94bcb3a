/* Readers, folds and groups, each in a whole job in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/base/world.h"
#include "core/net/net.h"
#include "libmr/sample.h"
#include "tests/unit/mr_memhost.h"
#include "tests/unit/suites.h"

#define JOB .abi = MR_ABI, .size = sizeof(struct mr_job)

static void
map_pairs(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mr_emit(t, rec[i].key, rec[i].key_len, rec[i].value, rec[i].value_len);
}

static void
setup_alloc(struct mr_task *t)
{
    char *p = mr_alloc(t, 1000);

    ck_assert_uint_eq((uintptr_t)p % 64, 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(p[i], 0);
    t->state = p;
}

/* Row sums, told with their file and place. */
static void
columns_sums(struct mr_task *t, const struct mr_columns *c)
{
    char key[40], text[32];

    ck_assert_uint_eq((uintptr_t)c->col[0] % 64, 0);
    ck_assert_uint_eq(c->file, mr_number(t, MR_FILE));
    ck_assert_str_eq(mr_path(t), "input");
    for (size_t i = 0; i < c->rows; i++) {
        double sum = 0;

        for (uint32_t j = 0; j < c->cols; j++)
            sum += c->col[j][i] * (j + 1);
        mr_emit(t, key, (size_t)snprintf(key, sizeof key, "%llu", (unsigned long long)c->at[i]), text,
                mr_f64_text(t, sum, text));
    }
}

static void
columns_stats(struct mr_task *t, const struct mr_columns *c)
{
    struct mr_stats s[8];

    memset(s, 0, sizeof s);
    for (uint32_t j = 0; j < c->cols && j < 8; j++)
        mr_stats_add(&s[j], c->col[j], c->rows);
    mr_emit(t, "all", 3, s, c->cols * sizeof *s);
    for (size_t i = 0; i < c->rows; i++) {
        double row[8];

        for (uint32_t j = 0; j < c->cols && j < 8; j++)
            row[j] = c->col[j][i];
        mr_emit_stats(t, "each", 4, row, c->cols);
    }
}

static void
reduce_stats(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_stats s[3];
    double out[6];

    ck_assert(mr_next_copy(t, values, s, sizeof s));
    ck_assert(!mr_next_copy(t, values, s, sizeof s));
    for (int i = 0; i < 3; i++) {
        out[2 * i] = s[i].mean;
        out[2 * i + 1] = s[i].m2 / s[i].n;
    }
    mr_emit_vec(t, key.p, key.n, out, 6);
}

/* The longest word of each first letter, by a fold of one's own: its length must not change, so it is padded. */
static void
fold_longest(void *into, const void *value, size_t n)
{
    ck_assert_uint_eq((uintptr_t)into % 8, 0);
    ck_assert_uint_eq((uintptr_t)value % 8, 0);
    if (strnlen(value, n) > strnlen(into, n) || (strnlen(value, n) == strnlen(into, n) && memcmp(value, into, n) < 0))
        memcpy(into, value, n);
}

static void
map_longest(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    struct mr_bytes w;
    char padded[20] = "";

    for (size_t i = 0; i < n; i++)
        for (const char *p = rec[i].value, *end = p + rec[i].value_len; mr_word(&p, end, &w);) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, w.p, w.n < sizeof padded ? w.n : sizeof padded);
            mr_emit(t, w.p, 1, padded, sizeof padded);
        }
}

static int
compare_first(struct mr_bytes a, struct mr_bytes b)
{
    return (unsigned char)a.p[0] - (unsigned char)b.p[0];
}

static uint32_t
partition_first(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    (void)t;
    return (unsigned char)key.p[0] % parts;
}

/* All values of the group in one line, in the order of the keys. */
static void
reduce_join(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;
    char line[200];
    size_t n = 0;

    while (mr_next(t, values, &v) && n + v.n < sizeof line) {
        memcpy(line + n, v.p, v.n);
        n += v.n;
    }
    mr_emit(t, key.p, 1, line, n);
}

/* The side file, then as many bytes of the second input as the line is long. */
static void
map_extras(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    struct mr_bytes side, more;

    ck_assert(!mr_side(t, "other", &side));
    ck_assert(mr_side(t, "side", &side));
    for (size_t i = 0; i < n; i++) {
        int whole = mr_second(t, rec[i].value_len, &more);

        mr_emit(t, side.p, side.n, more.p, more.n);
        mr_write(t, whole ? "whole" : "short", NULL, 0, rec[i].value, rec[i].value_len);
    }
}

static void
map_writes_aside(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    (void)n;
    mr_write(t, "aside", NULL, 0, rec[0].value, rec[0].value_len);
}

static void
reduce_copy(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;

    while (mr_next(t, values, &v))
        mr_emit(t, key.p, key.n, v.p, v.n);
}

static const struct mr_job extras_job = { JOB, .map = map_extras, .map_only = 1 };
static const struct mr_job aside_job = { JOB, .map = map_writes_aside, .fold = MR_FOLD_SUM_I64 };
static const struct mr_job range_job = { JOB, .map = map_pairs, .reduce = reduce_copy, .reader = MR_READ_KEY_VALUE,
                                         .partition_by = MR_PART_RANGE };
static const struct mr_job pairs_job = { JOB, .map = map_pairs, .map_only = 1, .setup = setup_alloc };
static const struct mr_job fixed_job = { JOB, .map = map_pairs, .map_only = 1, .reader = MR_READ_FIXED };
static const struct mr_job prefixed_job = { JOB, .map = map_pairs, .map_only = 1, .reader = MR_READ_PREFIXED };
static const struct mr_job file_job = { JOB, .map = map_pairs, .map_only = 1, .reader = MR_READ_FILE };
static const struct mr_job columns_job = { JOB, .columns = columns_sums, .map_only = 1, .reader = MR_READ_COLUMNS };
static const struct mr_job stats_job = { JOB, .columns = columns_stats, .fold = MR_FOLD_STATS, .reduce = reduce_stats,
                                         .reader = MR_READ_COLUMNS, .value = MR_VALUE_VEC_F64 };
static const struct mr_job longest_job = { JOB, .map = map_longest, .fold = MR_FOLD_OWN, .fold_own = fold_longest };
static const struct mr_job group_job = { JOB, .map = map_pairs, .reduce = reduce_join, .reader = MR_READ_KEY_VALUE,
                                         .group = compare_first, .partition = partition_first };

static struct mem_job
make_job(const struct mr_job *job, const char *input, size_t n, const struct mr_option *options, size_t option_count)
{
    return (struct mem_job){ .job = job, .input = input, .input_bytes = n, .split_bytes = 1000000, .reduces = 2,
                             .sort_bytes = 8 * MB, .sort_factor = 10, .options = options, .option_count = option_count };
}

static void
run_ok(const struct mem_job *j, struct buf *out)
{
    int64_t counters[MRC_COUNT];
    struct why why = { 0 };
    enum rc rc = mem_job_run(j, out, counters, &why);

    ck_assert_msg(rc == RC_OK, "%s", why.text);
}

static void
assert_output(const struct mem_job *j, const char *want)
{
    struct buf out;

    run_ok(j, &out);
    ck_assert_msg(out.n == strlen(want) && memcmp(out.p, want, out.n) == 0, "\"%.*s\", not \"%s\"", (int)out.n, (char *)out.p,
                  want);
    buf_fini(&out);
}

static void
assert_fails(const struct mem_job *j, const char *want)
{
    int64_t counters[MRC_COUNT];
    struct why why = { 0 };
    struct buf out;

    ck_assert_int_eq(mem_job_run(j, &out, counters, &why), RC_JOB_FAILED);
    ck_assert_str_eq(why.text, want);
    buf_fini(&out);
}

START_TEST(fixed_records_have_their_first_bytes_as_key)
{
    const struct mr_option o[] = { { "mr.record.bytes", "5" }, { "mr.record.key.bytes", "2" } };
    struct mem_job j = make_job(&fixed_job, "ab123cd456ef789", 15, o, 2);

    assert_output(&j, "ab\t123\ncd\t456\nef\t789\n");
    j.split_bytes = 6;
    j.read_max = 4;
    assert_output(&j, "ab\t123\ncd\t456\nef\t789\n");
    j.option_count = 1;
    assert_output(&j, "ab123\ncd456\nef789\n");
    j.input_bytes = 14;
    assert_fails(&j, "input ends in the middle of the record at 10");
    j.option_count = 0;
    assert_fails(&j, "-D mr.record.bytes takes a number from 1 to 67108864, not \"\"");
}
END_TEST

START_TEST(prefixed_records_are_read_from_one_split)
{
    struct mem_job j = make_job(&prefixed_job, "\3\0\0\0abc\0\0\0\0\2\0\0\0de", 17, NULL, 0);

    j.split_bytes = 4;
    j.read_max = 3;
    assert_output(&j, "abc\n\nde\n");
    j.input_bytes = 16;
    assert_fails(&j, "input ends in the middle of the record at 11");
}
END_TEST

START_TEST(a_whole_file_is_one_record_even_if_it_is_empty)
{
    struct mem_job j = make_job(&file_job, "one\ntwo\n", 7, NULL, 0);

    j.split_bytes = 4;
    j.read_max = 2;
    assert_output(&j, "input\tone\ntwo\n");
    j.input_bytes = 0;
    assert_output(&j, "input\n");
}
END_TEST

START_TEST(columns_are_parsed_wherever_splits_and_reads_fall)
{
    struct buf text, want, got;
    struct mem_job j;
    char line[100];

    buf_init(&text, MB);
    buf_init(&want, MB);
    for (int i = 0; i < 3000; i++) {
        size_t at = text.n;

        buf_printf(&text, i % 7 ? "%d, %d.5 ,%de-1%s\n" : "\n%d,%d.5,%de-1%s\n", i, i, 10 * i, i % 3 ? "" : "\r");
        (void)snprintf(line, sizeof line, "%zu\t%d\n", at + (i % 7 == 0), i + 2 * i + 1 + 3 * i);
        buf_put_str(&want, line);
    }
    j = make_job(&columns_job, (char *)text.p, text.n, NULL, 0);
    for (uint64_t split = 1000; split < 40000; split += 2711) {
        j.split_bytes = split;
        j.read_max = split / 7;
        run_ok(&j, &got);
        ck_assert_uint_eq(got.n, want.n);
        ck_assert(memcmp(got.p, want.p, got.n) == 0);
        buf_fini(&got);
    }
    buf_fini(&text);
    buf_fini(&want);
}
END_TEST

START_TEST(columns_are_chosen_by_number_and_others_may_hold_anything)
{
    const struct mr_option o[] = { { "mr.csv.columns", "4,1-2" }, { "mr.csv.header", "1" }, { "mr.csv.separator", ";" } };
    const char *text = "a;b;c;d;e\n1;2;\"x;\"\"y\";3;z\n4;5;;6\n";
    struct mem_job j = make_job(&columns_job, text, strlen(text), o, 3);

    assert_output(&j, "10\t11\n26\t29\n");
    j.split_bytes = 12;
    assert_output(&j, "10\t11\n26\t29\n");
}
END_TEST

START_TEST(a_field_that_is_no_number_is_named)
{
    const struct mr_option twice[] = { { "mr.csv.columns", "1,2,1" } }, tab[] = { { "mr.csv.separator", "tab" } };
    struct mem_job j = make_job(&columns_job, "1,2\n3,four\n", 11, NULL, 0);

    assert_fails(&j, "input: in the line at byte 4, column 2, \"four\", is not a number");
    j = make_job(&columns_job, "1,2\n3\n", 6, NULL, 0);
    assert_fails(&j, "input: the line at byte 4 has 1 columns, not 2");
    j = make_job(&columns_job, "1,2\n3,4,\n", 9, NULL, 0);
    assert_fails(&j, "input: the line at byte 4 has 3 columns, not 2");
    j = make_job(&columns_job, "1,2\n", 4, twice, 1);
    assert_fails(&j, "-D mr.csv.columns takes numbers from 1, and ranges, each column once, as in 1-20,22; not \"1,2,1\"");
    j = make_job(&columns_job, "1\t\n", 3, tab, 1);
    assert_fails(&j, "input: in the line at byte 0, column 2, \"\", is not a number");
}
END_TEST

START_TEST(statistics_are_the_same_however_the_input_arrives)
{
    struct rng_seeded r;
    struct buf text, want, got;
    struct mem_job j;
    double mean[2][6];

    rng_seed(&r, 3);
    buf_init(&text, 4 * MB);
    for (int i = 0; i < 20000; i++)
        buf_printf(&text, "%.6f,%d,1e6\n", 1e6 + (double)rng_below(&r.rng, 1000000) / 1e6, i);
    j = make_job(&stats_job, (char *)text.p, text.n, NULL, 0);
    j.reduces = 1;
    j.split_bytes = 100000;
    run_ok(&j, &want);
    j.reverse = true;
    j.read_max = 999;
    run_ok(&j, &got);
    ck_assert_uint_eq(want.n, got.n);
    ck_assert(memcmp(want.p, got.p, got.n) == 0);
    buf_u8(&got, 0);
    ck_assert_int_eq(sscanf((char *)got.p, "all\t%lf %lf %lf %lf %lf %lf\neach\t%lf %lf %lf %lf %lf %lf\n", &mean[0][0], &mean[0][1],
                            &mean[0][2], &mean[0][3], &mean[0][4], &mean[0][5], &mean[1][0], &mean[1][1], &mean[1][2],
                            &mean[1][3], &mean[1][4], &mean[1][5]), 12);
    for (int k = 0; k < 2; k++) {
        ck_assert_double_eq_tol(mean[k][0], 1e6 + 0.5, 0.01);
        ck_assert_double_eq_tol(mean[k][1], 1.0 / 12, 0.002);
        ck_assert_double_eq_tol(mean[k][2], 9999.5, 1e-9);
        ck_assert_double_eq_tol(mean[k][3], (20000.0 * 20000.0 - 1) / 12, 1e-3);
        ck_assert_double_eq(mean[k][4], 1e6);
        ck_assert_double_eq(mean[k][5], 0);
    }
    buf_fini(&text);
    buf_fini(&want);
    buf_fini(&got);
}
END_TEST

START_TEST(a_fold_of_ones_own_gets_aligned_values)
{
    const char *text = "a bb ccc aaa b cc aa bbbb c\nab bcbc ca x";
    struct mem_job j = make_job(&longest_job, text, strlen(text), NULL, 0);
    struct buf out;

    j.split_bytes = 9;
    j.reduces = 1;
    run_ok(&j, &out);
    ck_assert_uint_eq(out.n, 4 * 23);
    ck_assert_str_eq((char *)out.p, "a\taaa");
    ck_assert_str_eq((char *)out.p + 23, "b\tbbbb");
    ck_assert_str_eq((char *)out.p + 46, "c\tccc");
    buf_fini(&out);
}
END_TEST

START_TEST(keys_of_one_group_are_one_call_of_reduce_in_their_order)
{
    const char *text = "a3\tz\nb1\tp\na1\tx\na2\ty\nb0\to\nc9\tc\n";
    struct mem_job j = make_job(&group_job, text, strlen(text), NULL, 0);

    j.reduces = 1;
    j.split_bytes = 10;
    assert_output(&j, "a\txyz\nb\top\nc\tc\n");
}
END_TEST

START_TEST(csv_fields_keep_separators_and_quotes_inside_quotes)
{
    const char *line = "a,\"b,c\",,\"d\"\"e\",\"\",\"open, end", *p = line, *end = line + strlen(line);
    static const char *const want[] = { "a", "b,c", "", "d\"\"e", "", "open, end" };
    struct mr_bytes f;
    char plain[10];
    size_t n = 0;

    for (; mr_csv_field(&p, end, ',', &f); n++)
        ck_assert_msg(f.n == strlen(want[n]) && memcmp(f.p, want[n], f.n) == 0, "field %zu: %.*s", n, (int)f.n, f.p);
    ck_assert_uint_eq(n, 6);
    f = (struct mr_bytes){ "d\"\"e", 4 };
    ck_assert_uint_eq(mr_csv_unquote(f, plain), 3);
    ck_assert(memcmp(plain, "d\"e", 3) == 0);
    p = end;
    ck_assert(mr_csv_field(&p, end, ',', &f) && f.n == 0 && !mr_csv_field(&p, end, ',', &f));
}
END_TEST

START_TEST(hash_and_random_numbers_never_change)
{
    double sum = 0;

    ck_assert_uint_eq(mr_hash("", 0), mr_hash("x", 0));
    ck_assert_uint_ne(mr_hash("ab", 2), mr_hash("ba", 2));
    ck_assert_uint_eq(mr_hash("millrace", 8), UINT64_C(0x0d4e144f34cf0acb));
    ck_assert_uint_eq(mr_random(1, 2), UINT64_C(0xb104d4af467b86d7));
    for (uint64_t i = 0; i < 10000; i++)
        sum += mr_random_f64(42, i);
    ck_assert_double_eq_tol(sum / 10000, 0.5, 0.02);
}
END_TEST

START_TEST(option_setup_and_memory_are_there_for_map)
{
    struct mem_job j = make_job(&pairs_job, "a\nb\n", 4, NULL, 0);

    assert_output(&j, "a\nb\n");
}
END_TEST

START_TEST(side_data_second_input_and_further_outputs_reach_the_host)
{
    struct mem_job j = make_job(&extras_job, "aa\nbbb\ncccc\n", 12, NULL, 0);

    j.side = "S";
    j.second = "1122233";
    assert_output(&j, "S\t11\nS\t222\nS\t33\nshort: cccc\nwhole: aa\nbbb\n");
    j.second = NULL;
    assert_fails(&j, "mr_second: this job has no second input");
    j = make_job(&aside_job, "x\n", 2, NULL, 0);
    assert_fails(&j, "mr_write to \"aside\": only tasks that write the job's output have further ones");
}
END_TEST

START_TEST(results_are_pairs_as_they_were_emitted)
{
    struct mem_job j = make_job(&pairs_job, "ab\n", 3, NULL, 0);
    struct mr_pair head;
    struct buf out;

    j.results = true;
    run_ok(&j, &out);
    ck_assert_uint_eq(out.n, sizeof head + 2);
    memcpy(&head, out.p, sizeof head);
    ck_assert_uint_eq(head.key_len, 0);
    ck_assert_uint_eq(head.value_len, 2);
    ck_assert(memcmp(out.p + sizeof head, "ab", 2) == 0);
    buf_fini(&out);
}
END_TEST

START_TEST(keys_go_to_the_range_that_their_bounds_say)
{
    const struct mr_bytes bounds[] = { { "c", 1 }, { "c", 1 }, { "m", 1 } };
    struct mem_job j = make_job(&range_job, "z\t1\na\t2\nm\t3\nc\t4\nb\t5\nlong\t6\n", 27, NULL, 0);

    j.reduces = 4;
    j.bounds = bounds;
    j.bound_count = 3;
    assert_output(&j, "a\t2\nb\t5\nc\t4\nlong\t6\nm\t3\nz\t1\n");
}
END_TEST

static enum rc
read_text(void *arg, const struct mr_split *s, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    (void)why;
    *ret_n = at >= s->file_bytes ? 0 : cap < s->file_bytes - at ? cap : (size_t)(s->file_bytes - at);
    memcpy(p, (const char *)arg + (*ret_n ? at : 0), *ret_n);
    return RC_OK;
}

START_TEST(bounds_from_a_sample_cut_the_keys_into_even_parts)
{
    struct rng_seeded r;
    struct buf text;
    struct world w;
    struct arena a;
    struct mr_split splits[3];
    struct mr_sample s = { .w = &w, .reader = MR_READ_KEY_VALUE, .splits = splits, .split_count = 3, .reduces = 4, .read = read_text };
    struct mr_bytes *bounds, *again;
    struct why why;
    size_t n, third;

    world_posix(&w);
    arena_init(&a, 64 * MB);
    buf_init(&text, 64 * MB);
    rng_seed(&r, 9);
    for (int i = 0; i < 100000; i++)
        buf_printf(&text, "%08u\tvalue of it\n", (unsigned)rng_below(&r.rng, 100000000));
    third = text.n / 3;
    for (uint64_t i = 0; i < 3; i++)
        splits[i] = (struct mr_split){ "text", i * third, i < 2 ? third : text.n - 2 * third, text.n, 0 };
    s.arg = text.p;
    ck_assert_int_eq(mr_sample_bounds(&s, &a, &bounds, &n, &why), RC_OK);
    ck_assert_uint_eq(n, 3);
    for (unsigned i = 0; i < n; i++)
        ck_assert_double_eq_tol(strtod(bounds[i].p, NULL), 25e6 * (i + 1), 2e6);
    ck_assert_int_eq(mr_sample_bounds(&s, &a, &again, &n, &why), RC_OK);
    for (unsigned i = 0; i < n; i++)
        ck_assert_str_eq(bounds[i].p, again[i].p);
    s.reader = MR_READ_LINES;
    ck_assert_int_eq(mr_sample_bounds(&s, &a, &bounds, &n, &why), RC_BAD_JOB);
    buf_fini(&text);
    arena_fini(&a);
}
END_TEST

Suite *suite_mr_readers(void);

Suite *
suite_mr_readers(void)
{
    Suite *s = suite_create("mr_readers");
    TCase *t = tcase_create("all");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, fixed_records_have_their_first_bytes_as_key);
    tcase_add_test(t, prefixed_records_are_read_from_one_split);
    tcase_add_test(t, a_whole_file_is_one_record_even_if_it_is_empty);
    tcase_add_test(t, columns_are_parsed_wherever_splits_and_reads_fall);
    tcase_add_test(t, columns_are_chosen_by_number_and_others_may_hold_anything);
    tcase_add_test(t, a_field_that_is_no_number_is_named);
    tcase_add_test(t, statistics_are_the_same_however_the_input_arrives);
    tcase_add_test(t, a_fold_of_ones_own_gets_aligned_values);
    tcase_add_test(t, keys_of_one_group_are_one_call_of_reduce_in_their_order);
    tcase_add_test(t, csv_fields_keep_separators_and_quotes_inside_quotes);
    tcase_add_test(t, hash_and_random_numbers_never_change);
    tcase_add_test(t, side_data_second_input_and_further_outputs_reach_the_host);
    tcase_add_test(t, results_are_pairs_as_they_were_emitted);
    tcase_add_test(t, keys_go_to_the_range_that_their_bounds_say);
    tcase_add_test(t, bounds_from_a_sample_cut_the_keys_into_even_parts);
    tcase_add_test(t, option_setup_and_memory_are_there_for_map);
    suite_add_tcase(s, t);
    return s;
}
