/* datanode -- the program. */
#include "core/conf/daemon.h"
#include "core/http/http.h"
#include "datanode/dn.h"
#include "datanode/pages.h"

static void
stop(void *self)
{
    struct dn *dn = self;

    if (dn->http != NULL)
        http_stop(dn->http);
    dn_close(dn);
}

static enum rc
start(const struct world *w, const struct conf *c, void *prepared, void **ret_self, struct daemon_address *ret_address,
      struct why *why)
{
    struct dn *dn;
    enum rc rc;

    (void)prepared;
    if ((rc = dn_open(w, c, &dn, why)) != RC_OK)
        return rc;
    if ((rc = dn_http_start(dn, why)) != RC_OK || (rc = dn_serve(dn, why)) != RC_OK) {
        stop(dn);
        return rc;
    }
    (void)net_addr_text(&dn->data_at, ret_address->rpc);
    (void)net_addr_text(&dn->http_at, ret_address->http);
    *ret_self = dn;
    return RC_OK;
}

static const char *const bind_keys[] = { "dfs.datanode.address", "dfs.datanode.ipc.address", "dfs.datanode.http.address",
                                         NULL };

int
main(int argc, char **argv)
{
    const struct daemon_spec spec = { .name = "datanode", .about = "keeps the blocks of a filesystem's files", .who = DN,
                                      .start = start, .stop = stop, .has_failed = dn_has_failed, .bind_keys = bind_keys };

    return daemon_main(argc, argv, &spec);
}
