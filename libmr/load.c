#include <dlfcn.h>

#include "libmr/local.h"

enum rc
mr_job_load(const char *path, const struct mr_job **ret, struct why *why)
{
    const struct mr_job *job;
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    enum rc rc;

    if (so == NULL)
        return why_set(why, RC_BAD_JOB, "cannot load the job: %s", dlerror());
    if ((job = dlsym(so, MR_SYMBOL)) == NULL)
        return why_set(why, RC_BAD_JOB, "%s has no symbol " MR_SYMBOL ": was MR_JOB compiled out?", path);
    if ((rc = mr_job_check(job, why)) == RC_OK)
        *ret = job;
    return rc;
}
