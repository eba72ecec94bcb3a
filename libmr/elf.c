#include "libmr/elf.h"

#include <elf.h>
#include <string.h>

#include "libmr/mr.h"

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

/* The symbol called MR_SYMBOL in the table that section header s describes. */
static bool
find_symbol(const uint8_t *p, size_t n, const Elf64_Ehdr *e, const Elf64_Shdr *s, Elf64_Sym *ret)
{
    Elf64_Shdr names;
    char name[sizeof MR_SYMBOL];

    if (!copy_at(p, n, e->e_shoff + (uint64_t)s->sh_link * sizeof names, &names, sizeof names))
        return false;
    if (s->sh_offset > n || s->sh_size > n - s->sh_offset)
        return false;
    for (uint64_t at = 0; s->sh_size - at >= sizeof *ret; at += sizeof *ret)
        if (copy_at(p, n, s->sh_offset + at, ret, sizeof *ret) && ret->st_name < names.sh_size &&
            copy_at(p, n, names.sh_offset + ret->st_name, name, sizeof name) && memcmp(name, MR_SYMBOL, sizeof name) == 0)
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

enum rc
mr_elf_map_only(const char *path, const uint8_t *p, size_t n, bool *ret, struct why *why)
{
    const size_t end = offsetof(struct mr_job, map_only) + sizeof(int);
    Elf64_Ehdr e;
    Elf64_Shdr s;
    Elf64_Sym sym;
    uint64_t at;
    int map_only;

    if (copy_at(p, n, 0, &e, sizeof e) && e.e_shentsize == sizeof s && e.e_phentsize == sizeof(Elf64_Phdr) &&
        find_symbols(p, n, &e, &s) && find_symbol(p, n, &e, &s, &sym) && sym.st_size >= end &&
        file_offset(p, n, &e, sym.st_value + offsetof(struct mr_job, map_only), &at) &&
        copy_at(p, n, at, &map_only, sizeof map_only)) {
        *ret = map_only != 0;
        return RC_OK;
    }
    return why_set(why, RC_BAD_JOB, "%s does not export " MR_SYMBOL ": its source needs MR_JOB(...) from mr.h", path);
}
