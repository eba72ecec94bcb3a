#include <dlfcn.h>
#include <string.h>

#include "core/base/mem.h"
#include "libmr/local.h"

/* The symbol of the shared object at path, which stays loaded; NULL with why. */
static const void *
load(const char *path, const char *symbol, enum rc *ret_rc, struct why *why)
{
    /* A name without a slash would be looked for among the system's libraries. */
    char *here = strchr(path, '/') == NULL ? mem_printf("./%s", path) : mem_strdup(path);
    void *so = here ? dlopen(here, RTLD_NOW | RTLD_LOCAL) : NULL;
    const void *p = NULL;

    if (here == NULL)
        *ret_rc = why_rc(why, RC_NOMEM);
    else if (so == NULL)
        *ret_rc = why_set(why, RC_BAD_JOB, "cannot load the job: %s", dlerror());
    else if ((p = dlsym(so, symbol)) == NULL)
        *ret_rc = why_set(why, RC_NOT_FOUND, "%s does not export %s", path, symbol);
    mem_free(here);
    return p;
}

enum rc
mr_job_load(const char *path, const char *stage, const struct mr_job **ret, struct why *why)
{
    char *symbol = stage ? mem_printf(MR_STAGE_SYMBOL "%s", stage) : mem_strdup(MR_SYMBOL);
    const struct mr_job *job;
    enum rc rc = RC_OK;

    if (symbol == NULL)
        return why_rc(why, RC_NOMEM);
    job = load(path, symbol, &rc, why);
    mem_free(symbol);
    if (rc == RC_NOT_FOUND && stage)
        return why_set(why, RC_BAD_JOB, "%s has no stage \"%s\"", path, stage);
    if (rc == RC_NOT_FOUND)
        return why_set(why, RC_BAD_JOB, "%s has no symbol " MR_SYMBOL ": was MR_JOB compiled out?", path);
    if (rc == RC_OK && (rc = mr_job_check(job, why)) == RC_OK)
        *ret = job;
    return rc;
}

enum rc
mr_driver_load(const char *path, const struct mr_driver_entry **ret, struct why *why)
{
    enum rc rc = RC_OK;
    const struct mr_driver_entry *e = load(path, MR_DRIVER_SYMBOL, &rc, why);

    if (rc != RC_OK)
        return rc;
    if (e->abi != MR_ABI || e->size < sizeof *e || e->run == NULL)
        return why_set(why, RC_BAD_JOB, "the driver of %s was compiled for ABI %u of mr.h, this engine has %d", path, e->abi,
                       MR_ABI);
    *ret = e;
    return RC_OK;
}
