/*
 * fuzz_elf -- a job's shared object, read without loading it: the note and the
 * descriptor.
 */
#include "tests/fuzz/fuzz.h"

#include "libmr/elf.h"
#include "libmr/task.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_io f;
    struct why why;
    struct mr_elf_job job;

    fuzz_io_init(&f, data, n);
    if (mr_note_check(&f.io, "/job.so", &why) != RC_OK)
        CHECK(why.rc == RC_BAD_JOB);
    if (mr_elf_job("job.so", data, n, n % 2 ? "name" : NULL, &job, &why) != RC_OK)
        CHECK(why.rc == RC_BAD_JOB);
    CHECK(mem_live() == 0);
    return 0;
}
