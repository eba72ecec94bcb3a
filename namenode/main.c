/* namenode -- the program. */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/conf/daemon.h"
#include "namenode/nn.h"
#include "namenode/pages.h"
#include "namenode/recover.h"

struct self {
    struct nn *nn;
    struct nn_pages *pages;
};

static enum rc
start(const struct world *w, const struct conf *c, void *prepared, void **ret_self, struct daemon_address *ret_address,
      struct why *why)
{
    const struct passwd *me = getpwuid(geteuid());
    struct nn_options o = { .conf = c, .superuser = me != NULL ? me->pw_name : "root" };
    struct self *self = mem_zalloc(sizeof *self);
    struct net_addr at, http;
    enum rc rc;

    (void)prepared;
    if (self == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = nn_open(w, &o, &self->nn, why)) != RC_OK)
        goto out;
    if ((rc = nn_serve(self->nn, &at, why)) != RC_OK)
        goto out_free;
    if ((rc = nn_pages_start(w, c, &at, o.superuser, &self->nn->metrics, &self->pages, &http, why)) != RC_OK)
        goto out_stop;
    (void)net_addr_text(&at, ret_address->rpc);
    (void)net_addr_text(&http, ret_address->http);
    *ret_self = self;
    return RC_OK;
out_stop:
    nn_stop(self->nn);
out_free:
    nn_free(self->nn);
out:
    mem_free(self);
    return rc;
}

static void
stop(void *arg)
{
    struct self *self = arg;

    nn_pages_stop(self->pages);
    nn_stop(self->nn);
    nn_free(self->nn);
    mem_free(self);
}

static bool
has_failed(void *arg)
{
    return nn_has_failed(((struct self *)arg)->nn);
}

static enum rc
recover(const struct world *w, const struct conf *c, const char *dir, struct why *why)
{
    struct nn_recovered r;
    enum rc rc;

    if ((rc = nn_recover(w, c, dir, &r, why)) != RC_OK)
        return rc;
    if (r.moved[0] != '\0')
        printf("moved aside: %s\n", r.moved);
    printf("recovered from %s: backup of transaction %" PRIu64 ", log up to transaction %" PRIu64 ", %" PRIu64
           " files and directories, %" PRIu64 " blocks\nStart the NameNode as usual.\n", dir, r.backup, r.txid, r.inodes, r.blocks);
    return RC_OK;
}

static const struct daemon_errand errand = {
    "recover-from", "DIR", "make the database anew from DIR, a further directory of dfs.namenode.name.dir", recover
};

static const char *const bind_keys[] = { "dfs.namenode.rpc-address", "dfs.namenode.http-address", NULL };

int
main(int argc, char **argv)
{
    const struct daemon_spec spec = { .name = "namenode", .about = "keeps the names, blocks and leases of a filesystem",
                                      .who = NN, .start = start, .stop = stop, .has_failed = has_failed,
                                      .errand = &errand, .bind_keys = bind_keys };

    return daemon_main(argc, argv, &spec);
}
