/*
 * note -- what an ELF file says of itself, read without loading it.
 */
#include <elf.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "libmr/task.h"

#define JOB_FILE_MAX (512 * MB)

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#define OUR_MACHINE_NAME "x86-64"
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#define OUR_MACHINE_NAME "aarch64"
#else
#error "add the ELF number of this machine"
#endif

/* The note among those in p[0..n). */
static bool
find_note(const uint8_t *p, size_t n, uint32_t *ret_abi)
{
    Elf64_Nhdr h;
    struct rd r;

    rd_init(&r, p, n);
    while (r.left >= sizeof h) {
        const uint8_t *head = rd_bytes(&r, sizeof h), *name, *desc;

        memcpy(&h, head, sizeof h);
        name = rd_bytes(&r, (h.n_namesz + (size_t)3) / 4 * 4);
        desc = rd_bytes(&r, (h.n_descsz + (size_t)3) / 4 * 4);
        if (r.bad)
            return false;
        if (h.n_type == MR_NOTE_TYPE && h.n_namesz >= sizeof MR_NOTE_NAME && h.n_descsz >= 4 &&
            memcmp(name, MR_NOTE_NAME, sizeof MR_NOTE_NAME) == 0) {
            memcpy(ret_abi, desc, sizeof *ret_abi);
            return true;
        }
    }
    return false;
}

static enum rc
check_elf(const char *path, const uint8_t *p, size_t n, struct why *why)
{
    Elf64_Ehdr e;
    Elf64_Phdr ph;
    uint32_t abi;

    if (n < sizeof e || memcmp(p, ELFMAG, SELFMAG) != 0)
        return why_set(why, RC_BAD_JOB, "%s is not a shared object (no ELF header): compile your job with mrcc", path);
    memcpy(&e, p, sizeof e);
    if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != OUR_MACHINE)
        return why_set(why, RC_BAD_JOB, "%s is for another machine (ELF machine %u); this one is " OUR_MACHINE_NAME, path,
                       e.e_machine);
    if (e.e_type != ET_DYN)
        return why_set(why, RC_BAD_JOB, "%s is an ELF file but not a shared object: compile your job with mrcc", path);
    for (unsigned i = 0; i < e.e_phnum; i++) {
        uint64_t at = e.e_phoff + (uint64_t)i * e.e_phentsize;

        if (e.e_phentsize != sizeof ph || e.e_phoff > n || at > n || n - at < sizeof ph)
            break;
        memcpy(&ph, p + at, sizeof ph);
        if (ph.p_type != PT_NOTE || ph.p_offset > n || ph.p_filesz > n - ph.p_offset)
            continue;
        if (!find_note(p + ph.p_offset, ph.p_filesz, &abi))
            continue;
        if (abi != MR_ABI)
            return why_set(why, RC_BAD_JOB, "%s was compiled for ABI %u of mr.h, this engine has %d: compile it again "
                           "with mrcc", path, abi, MR_ABI);
        return RC_OK;
    }
    return why_set(why, RC_BAD_JOB, "%s is a shared object without a job: its source needs MR_JOB(...) from mr.h", path);
}

enum rc
mr_note_check(struct io *io, const char *path, struct why *why)
{
    uint8_t *p = NULL;
    size_t n;
    enum rc rc;

    if ((rc = io_read_file(io, path, JOB_FILE_MAX, &p, &n, why)) != RC_OK)
        return rc;
    rc = check_elf(path, p, n, why);
    mem_free(p);
    return rc;
}
