/* tasktracker -- the program. */
#include "core/base/mem.h"
#include "core/conf/daemon.h"
#include "core/http/http.h"
#include "tasktracker/launch.h"
#include "tasktracker/pages.h"
#include "tasktracker/tt.h"

struct self {
    struct launcher *launcher;
    struct tt *tt;
    struct http_server *http;
};

/* Before any thread exists. */
static enum rc
prepare(const struct conf *c, void **ret_prepared, struct why *why)
{
    struct launcher *l = mem_zalloc(sizeof *l);
    enum rc rc;

    if (l == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = launcher_start((unsigned)(c->map_slots + c->reduce_slots), l, why)) != RC_OK) {
        mem_free(l);
        return rc;
    }
    *ret_prepared = l;
    return RC_OK;
}

static enum rc
start(const struct world *w, const struct conf *c, void *prepared, void **ret_self, struct daemon_address *ret_address,
      struct why *why)
{
    struct launcher *l = prepared;
    struct self *self = mem_zalloc(sizeof *self);
    struct net_addr at, http;
    enum rc rc;

    if (self == NULL)
        rc = why_rc(why, RC_NOMEM);
    else
        rc = tt_start(w, c, &l->crew, &self->tt, &at, why);
    if (rc != RC_OK)
        crew_stop(&l->crew);
    if (rc == RC_OK && (rc = tt_pages_start(self->tt, &self->http, &http, why)) != RC_OK)
        tt_stop(self->tt);
    if (rc != RC_OK) {
        mem_free(l);
        mem_free(self);
        return rc;
    }
    self->launcher = l;
    (void)net_addr_text(&at, ret_address->rpc);
    (void)net_addr_text(&http, ret_address->http);
    *ret_self = self;
    return RC_OK;
}

static void
stop(void *arg)
{
    struct self *self = arg;

    http_stop(self->http);
    tt_stop(self->tt);
    mem_free(self->launcher);
    mem_free(self);
}

static bool
has_failed(void *arg)
{
    return tt_has_failed(((struct self *)arg)->tt);
}

static const char *const bind_keys[] = { "mapreduce.tasktracker.address", "mapreduce.tasktracker.http.address", NULL };

int
main(int argc, char **argv)
{
    const struct daemon_spec spec = { .name = "tasktracker", .about = "runs tasks and serves map outputs", .who = TT,
                                      .prepare = prepare, .start = start, .stop = stop, .has_failed = has_failed,
                                      .bind_keys = bind_keys };

    return daemon_main(argc, argv, &spec);
}
