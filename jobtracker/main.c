/* jobtracker -- the program. */
#include <pwd.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/conf/daemon.h"
#include "jobtracker/jt.h"
#include "jobtracker/pages.h"

struct self {
    struct jt *jt;
    struct jt_pages *pages;
};

static enum rc
start(const struct world *w, const struct conf *c, void *prepared, void **ret_self, struct daemon_address *ret_address,
      struct why *why)
{
    const struct passwd *me = getpwuid(geteuid());
    struct jt_options o = { .conf = c, .superuser = me != NULL ? me->pw_name : "root" };
    struct net_addr at, http;
    struct self *self = mem_zalloc(sizeof *self);
    enum rc rc;

    (void)prepared;
    if (self == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = jt_start(w, &o, &self->jt, &at, why)) != RC_OK)
        goto out;
    if ((rc = jt_pages_start(w, c, &at, o.superuser, jt_metrics(self->jt), &self->pages, &http, why)) != RC_OK) {
        jt_stop(self->jt);
        goto out;
    }
    (void)net_addr_text(&at, ret_address->rpc);
    (void)net_addr_text(&http, ret_address->http);
    *ret_self = self;
    self = NULL;
out:
    mem_free(self);
    return rc;
}

static void
stop(void *arg)
{
    struct self *self = arg;

    jt_pages_stop(self->pages);
    jt_stop(self->jt);
    mem_free(self);
}

static bool
has_failed(void *arg)
{
    return jt_has_failed(((struct self *)arg)->jt);
}

static const char *const bind_keys[] = { "mapreduce.jobtracker.address", "mapreduce.jobtracker.http.address", NULL };

int
main(int argc, char **argv)
{
    const struct daemon_spec spec = { .name = "jobtracker", .about = "runs jobs: gives their tasks to TaskTrackers",
                                      .who = JT, .start = start, .stop = stop, .has_failed = has_failed,
                                      .bind_keys = bind_keys };

    return daemon_main(argc, argv, &spec);
}
