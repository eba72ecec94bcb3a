#include <dlfcn.h>
#include <string.h>

#include "core/base/mem.h"
#include "libmr/local.h"

enum rc
mr_job_load(const char *path, const struct mr_job **ret, struct why *why)
{
    /* A name without a slash would be looked for among the system's libraries. */
    char *here = strchr(path, '/') == NULL ? mem_printf("./%s", path) : mem_strdup(path);
    const struct mr_job *job;
    void *so = here ? dlopen(here, RTLD_NOW | RTLD_LOCAL) : NULL;
    enum rc rc;

    if (here == NULL)
        return why_rc(why, RC_NOMEM);
    mem_free(here);
    if (so == NULL)
        return why_set(why, RC_BAD_JOB, "cannot load the job: %s", dlerror());
    if ((job = dlsym(so, MR_SYMBOL)) == NULL)
        return why_set(why, RC_BAD_JOB, "%s has no symbol " MR_SYMBOL ": was MR_JOB compiled out?", path);
    if ((rc = mr_job_check(job, why)) == RC_OK)
        *ret = job;
    return rc;
}
