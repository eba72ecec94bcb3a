/*
 * elf -- what a job's descriptor says, read from its file without loading it.
 */
#ifndef LIBMR_ELF_H
#define LIBMR_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "libmr/mr.h"

/* What submission has to know of a job. */
struct mr_elf_job {
    bool map_only;
    bool folds;                     /* map output is what is left of it after a fold */
    enum mr_reader reader;
    enum mr_part partition_by;
    uint32_t record_bytes, key_bytes;
};

/* The job of the shared object p[0..n), or its stage of that name (NULL: MR_JOB's).  RC_BAD_JOB when its descriptor cannot
 * be found. */
enum rc mr_elf_job(const char *path, const uint8_t *p, size_t n, const char *stage, struct mr_elf_job *ret,
                   struct why *why) MUST_CHECK;

/* Does it export this symbol? */
bool mr_elf_exports(const uint8_t *p, size_t n, const char *symbol);

#endif
