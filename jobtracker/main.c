/* jobtracker -- the program. */
#include <pwd.h>
#include <unistd.h>

#include "core/conf/daemon.h"
#include "jobtracker/jt.h"

static enum rc
start(const struct world *w, const struct conf *c, void *prepared, void **ret_self, struct daemon_address *ret_address,
      struct why *why)
{
    const struct passwd *me = getpwuid(geteuid());
    struct jt_options o = { .conf = c, .superuser = me != NULL ? me->pw_name : "root" };
    struct net_addr at;
    struct jt *jt;
    enum rc rc;

    (void)prepared;
    if ((rc = jt_start(w, &o, &jt, &at, why)) != RC_OK)
        return rc;
    (void)net_addr_text(&at, ret_address->rpc);
    *ret_self = jt;
    return RC_OK;
}

static void
stop(void *self)
{
    jt_stop(self);
}

static bool
has_failed(void *self)
{
    return jt_has_failed(self);
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
