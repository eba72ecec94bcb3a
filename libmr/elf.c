#include "libmr/elf.h"

#include <elf.h>
#include <string.h>

#include "core/base/mem.h"

/* p[0..n) as a file: a copy of `size` bytes at `at`; false beyond its end. */
static bool
copy_at(const uint8_t *p, size_t n, uint64_t at, void *to, size_t size)
{
    if (at > n || n - at < size)
        return false;
    memcpy(to, p + at, size);
    return true;
}

/* Where the byte that is loaded at address `v` is in the file. */
static bool
file_offset(const uint8_t *p, size_t n, const Elf64_Ehdr *e, uint64_t v, uint64_t *ret)
{
    Elf64_Phdr ph;

    for (unsigned i = 0; i < e->e_phnum; i++)
        if (copy_at(p, n, e->e_phoff + (uint64_t)i * sizeof ph, &ph, sizeof ph) && ph.p_type == PT_LOAD &&
            v >= ph.p_vaddr && v - ph.p_vaddr < ph.p_filesz) {
            *ret = ph.p_offset + (v - ph.p_vaddr);
            return true;
        }
    return false;
}

/* The symbol of that name in the table that section header s describes. */
static bool
find_in(const uint8_t *p, size_t n, const Elf64_Ehdr *e, const Elf64_Shdr *s, const char *symbol, Elf64_Sym *ret)
{
    size_t len = strlen(symbol) + 1;
    Elf64_Shdr names;

    if (!copy_at(p, n, e->e_shoff + (uint64_t)s->sh_link * sizeof names, &names, sizeof names) || names.sh_offset > n)
        return false;
    if (s->sh_offset > n || s->sh_size > n - s->sh_offset)
        return false;
    for (uint64_t at = 0; s->sh_size - at >= sizeof *ret; at += sizeof *ret)
        if (copy_at(p, n, s->sh_offset + at, ret, sizeof *ret) && ret->st_name < names.sh_size &&
            ret->st_name <= n - names.sh_offset && len <= n - names.sh_offset - ret->st_name &&
            memcmp(p + names.sh_offset + ret->st_name, symbol, len) == 0)
            return true;
    return false;
}

/* The table of symbols: a file has one, and of one with more the first counts, so that no file is read many times over. */
static bool
find_symbols(const uint8_t *p, size_t n, const Elf64_Ehdr *e, Elf64_Shdr *ret)
{
    for (unsigned i = 0; i < e->e_shnum; i++)
        if (copy_at(p, n, e->e_shoff + (uint64_t)i * sizeof *ret, ret, sizeof *ret) && ret->sh_type == SHT_DYNSYM)
            return true;
    return false;
}

static bool
find_symbol(const uint8_t *p, size_t n, const char *symbol, Elf64_Ehdr *ret_e, Elf64_Sym *ret)
{
    Elf64_Shdr s;

    return copy_at(p, n, 0, ret_e, sizeof *ret_e) && ret_e->e_shentsize == sizeof s && ret_e->e_phentsize == sizeof(Elf64_Phdr) &&
           find_symbols(p, n, ret_e, &s) && find_in(p, n, ret_e, &s, symbol, ret);
}

bool
mr_elf_exports(const uint8_t *p, size_t n, const char *symbol)
{
    Elf64_Ehdr e;
    Elf64_Sym sym;

    return find_symbol(p, n, symbol, &e, &sym);
}

enum rc
mr_elf_job(const char *path, const uint8_t *p, size_t n, const char *stage, struct mr_elf_job *ret, struct why *why)
{
    char *symbol = stage ? mem_printf(MR_STAGE_SYMBOL "%s", stage) : mem_strdup(MR_SYMBOL);
    struct mr_job job;                  /* its callbacks are not relocated */
    Elf64_Ehdr e;
    Elf64_Sym sym;
    uint64_t at;
    bool found;

    if (symbol == NULL)
        return why_rc(why, RC_NOMEM);
    found = find_symbol(p, n, symbol, &e, &sym) && sym.st_size >= sizeof job && file_offset(p, n, &e, sym.st_value, &at) &&
            copy_at(p, n, at, &job, sizeof job);
    mem_free(symbol);
    if (!found && stage)
        return why_set(why, RC_BAD_JOB, "%s has no stage \"%s\": its source needs MR_STAGE(%s, ...)", path, stage, stage);
    if (!found)
        return why_set(why, RC_BAD_JOB, "%s does not export " MR_SYMBOL ": its source needs MR_JOB(...) from mr.h", path);
    *ret = (struct mr_elf_job){ job.map_only != 0, job.fold != MR_FOLD_NONE, job.reader, job.partition_by, job.record_bytes, job.key_bytes };
    return RC_OK;
}
