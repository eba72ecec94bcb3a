/* namenode -- the program. */
#include <pwd.h>
#include <unistd.h>

#include "core/conf/daemon.h"
#include "namenode/nn.h"

static enum rc
start(const struct world *w, const struct conf *c, void *prepared, void **ret_self, struct daemon_address *ret_address,
      struct why *why)
{
    const struct passwd *me = getpwuid(geteuid());
    struct nn_options o = { .conf = c, .superuser = me != NULL ? me->pw_name : "root" };
    struct net_addr at;
    struct nn *nn;
    enum rc rc;

    (void)prepared;
    if ((rc = nn_open(w, &o, &nn, why)) != RC_OK)
        return rc;
    if ((rc = nn_serve(nn, &at, why)) != RC_OK) {
        nn_free(nn);
        return rc;
    }
    (void)net_addr_text(&at, ret_address->rpc);
    *ret_self = nn;
    return RC_OK;
}

static void
stop(void *self)
{
    nn_stop(self);
    nn_free(self);
}

static bool
has_failed(void *self)
{
    return nn_has_failed(self);
}

static const char *const bind_keys[] = { "dfs.namenode.rpc-address", "dfs.namenode.http-address", NULL };

int
main(int argc, char **argv)
{
    const struct daemon_spec spec = { .name = "namenode", .about = "keeps the names, blocks and leases of a filesystem",
                                      .who = NN, .start = start, .stop = stop, .has_failed = has_failed,
                                      .bind_keys = bind_keys };

    return daemon_main(argc, argv, &spec);
}
