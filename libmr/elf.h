/*
 * elf -- what a job's descriptor says, read from its file without loading it.
 */
#ifndef LIBMR_ELF_H
#define LIBMR_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

/* Is the job in the shared object p[0..n) map_only?  RC_BAD_JOB when its descriptor cannot be found. */
enum rc mr_elf_map_only(const char *path, const uint8_t *p, size_t n, bool *ret, struct why *why) MUST_CHECK;

#endif
