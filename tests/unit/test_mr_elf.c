/* A job's descriptor read from the bytes of its file, whole and broken. */
#include "libmr/elf.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "core/base/mem.h"
#include "libmr/mr.h"
#include "tests/unit/suites.h"

Suite *suite_mr_elf(void);

#define NAMES "\0other\0" MR_SYMBOL

/* The least that an ELF file with a job in it has. */
struct file {
    Elf64_Ehdr e;
    Elf64_Phdr ph;
    Elf64_Shdr sh[2];           /* symbols, names */
    Elf64_Sym sym[3];
    char names[sizeof NAMES];
    struct mr_job job;
};

static void
make(struct file *f, int map_only)
{
    memset(f, 0, sizeof *f);
    memcpy(f->e.e_ident, ELFMAG, SELFMAG);
    f->e.e_phoff = offsetof(struct file, ph);
    f->e.e_phentsize = sizeof f->ph;
    f->e.e_phnum = 1;
    f->e.e_shoff = offsetof(struct file, sh);
    f->e.e_shentsize = sizeof f->sh[0];
    f->e.e_shnum = 2;
    f->ph.p_type = PT_LOAD;
    f->ph.p_vaddr = 0x10000;
    f->ph.p_filesz = sizeof *f;
    f->sh[0].sh_type = SHT_DYNSYM;
    f->sh[0].sh_link = 1;
    f->sh[0].sh_offset = offsetof(struct file, sym);
    f->sh[0].sh_size = sizeof f->sym;
    f->sh[1].sh_offset = offsetof(struct file, names);
    f->sh[1].sh_size = sizeof f->names;
    f->sym[1].st_name = 1;
    f->sym[2].st_name = 7;
    f->sym[2].st_value = 0x10000 + offsetof(struct file, job);
    f->sym[2].st_size = sizeof f->job;
    memcpy(f->names, NAMES, sizeof NAMES);
    f->job.map_only = map_only;
    f->job.reader = MR_READ_FILE;
}

START_TEST(map_only_is_found_where_the_symbol_says)
{
    struct file f;
    struct why why;
    struct mr_elf_job got;

    for (int want = 0; want < 2; want++) {
        make(&f, want);
        ck_assert_int_eq(mr_elf_job("a.so", (uint8_t *)&f, sizeof f, NULL, &got, &why), RC_OK);
        ck_assert_int_eq(got.map_only, want);
        ck_assert_int_eq(got.reader, MR_READ_FILE);
    }
}
END_TEST

START_TEST(file_without_the_symbol_is_no_job)
{
    struct file f;
    struct why why;
    struct mr_elf_job got;

    make(&f, 1);
    f.names[8] = 'x';
    ck_assert_int_eq(mr_elf_job("a.so", (uint8_t *)&f, sizeof f, NULL, &got, &why), RC_BAD_JOB);
}
END_TEST

START_TEST(every_shortened_file_is_refused_without_reading_beyond_it)
{
    struct file f;
    struct why why;
    struct mr_elf_job got;

    make(&f, 1);
    for (size_t n = 0; n < sizeof f; n++) {
        uint8_t *p = mem_alloc(n + !n);         /* exactly as long, so that a sanitizer sees a step too far */

        memcpy(p, &f, n);
        ck_assert_int_eq(mr_elf_job("a.so", p, n, NULL, &got, &why), RC_BAD_JOB);
        mem_free(p);
    }
}
END_TEST

START_TEST(every_byte_may_be_anything_without_harm)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    struct file f;
    struct why why;
    struct mr_elf_job got;
    size_t found = 0;

    for (size_t at = 0; at < sizeof f; at++)
        for (size_t v = 0; v < sizeof values; v++) {
            uint8_t *p = mem_alloc(sizeof f);

            make(&f, 1);
            memcpy(p, &f, sizeof f);
            p[at] = values[v];
            found += mr_elf_job("a.so", p, sizeof f, NULL, &got, &why) == RC_OK;
            mem_free(p);
        }
    ck_assert_uint_gt(found, 0);
}
END_TEST

START_TEST(a_table_of_symbols_longer_than_the_file_is_not_walked)
{
    struct file f;
    struct why why;
    struct mr_elf_job got;

    make(&f, 1);
    f.names[8] = 'x';
    f.sh[0].sh_size = UINT64_MAX;
    ck_assert_int_eq(mr_elf_job("a.so", (uint8_t *)&f, sizeof f, NULL, &got, &why), RC_BAD_JOB);
    f.sh[0].sh_offset = UINT64_MAX - 7;
    ck_assert_int_eq(mr_elf_job("a.so", (uint8_t *)&f, sizeof f, NULL, &got, &why), RC_BAD_JOB);
}
END_TEST

Suite *
suite_mr_elf(void)
{
    Suite *s = suite_create("mr_elf");
    TCase *t = tcase_create("descriptor");

    tcase_add_test(t, map_only_is_found_where_the_symbol_says);
    tcase_add_test(t, file_without_the_symbol_is_no_job);
    tcase_add_test(t, every_shortened_file_is_refused_without_reading_beyond_it);
    tcase_add_test(t, a_table_of_symbols_longer_than_the_file_is_not_walked);
    tcase_add_test(t, every_byte_may_be_anything_without_harm);
    suite_add_tcase(s, t);
    return s;
}
