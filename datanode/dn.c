#include "datanode/dn.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "datanode/ipc.h"
#include "datanode/link.h"
#include "datanode/scan.h"
#include "datanode/session.h"

bool
dn_has_failed(void *self)
{
    struct dn *dn = self;

    return dn_store_has_failed(dn->store);
}

static enum rc
open_store(struct dn *dn, struct why *why)
{
    struct dn_store_options o = { .reserved = dn->conf.dn_reserved, .failed_max = (unsigned)dn->conf.dn_failed_max,
                                  .claim_ms = dn->conf.socket_ms };
    char **dirs = conf_list(dn->conf.dn_dirs);
    enum rc rc;

    if (dirs == NULL)
        return why_rc(why, RC_NOMEM);
    o.dirs = dirs;
    rc = dn_store_open(&dn->w, &o, &dn->store, why);
    conf_list_free(dirs);
    return rc;
}

enum rc
dn_open(const struct world *w, const struct conf *c, struct dn **ret, struct why *why)
{
    struct dn *dn = mem_zalloc(sizeof *dn);
    enum rc rc;

    if (dn == NULL)
        return why_rc(why, RC_NOMEM);
    dn->w = *w;
    dn->listener = dn->local_listener = -1;
    dn->started_ms = clock_mono_ms(w->clock);
    if ((rc = conf_copy(&dn->conf, c, why)) != RC_OK) {
        mem_free(dn);
        return rc;
    }
    rc = RC_NOMEM;
    if ((dn->mu = mutex_new(w->threads)) == NULL || (dn->idle = cond_new(w->threads)) == NULL)
        (void)why_rc(why, rc);
    else if ((rc = dtp_idle_new(&dn->w, &dn->kept, why)) == RC_OK && (rc = open_store(dn, why)) == RC_OK &&
             (rc = dn_ipc_start(dn, &dn->ipc, why)) == RC_OK)
        rc = dn_scan_start(dn, &dn->scan, why);
    if (rc != RC_OK) {
        dn_close(dn);
        return rc;
    }
    *ret = dn;
    return RC_OK;
}

enum rc
dn_serve(struct dn *dn, struct why *why)
{
    enum rc rc;

    if ((rc = dn_sessions_start(dn, why)) != RC_OK)
        return rc;
    return dn_link_start(dn, &dn->link, why);
}

void
dn_close(struct dn *dn)
{
    struct threads *t = dn->w.threads;

    if (dn->mu != NULL) {
        mutex_lock(t, dn->mu);
        dn->stop = true;
        mutex_unlock(t, dn->mu);
    }
    if (dn->link != NULL)
        dn_link_stop(dn->link);
    if (dn->store != NULL) {
        dn_store_stop(dn->store);
        dn_sessions_stop(dn);
    }
    if (dn->link != NULL)
        dn_link_free(dn->link);
    if (dn->scan != NULL)
        dn_scan_stop(dn->scan);
    if (dn->ipc != NULL)
        dn_ipc_stop(dn->ipc);
    dn_store_free(dn->store);
    dtp_idle_free(dn->kept);
    if (dn->idle != NULL)
        cond_free(t, dn->idle);
    if (dn->mu != NULL)
        mutex_free(t, dn->mu);
    conf_fini(&dn->conf);
    mem_free(dn);
}
