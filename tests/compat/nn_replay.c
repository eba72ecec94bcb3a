/*
 * nn_replay DIR -- is the log of the NameNode in DIR the whole truth?
 *
 * Applies the log to an empty database and compares the tables, then looks
 * whether all rules of verify.h hold.  The NameNode must not be running.  Exit status 0: equal; 1: different or unreadable, with
 * the reason on stderr; 2: used wrongly.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/conf.h"
#include "core/io/io.h"
#include "core/io/sqlvfs.h"
#include "core/net/net.h"
#include "namenode/db.h"
#include "namenode/txlog.h"
#include "namenode/verify.h"

static enum rc
replay(const struct world *w, const struct conf *conf, const char *dir, const char *scratch, struct why *why)
{
    struct sqlvfs *vfs = NULL;
    struct nn_db original = { 0 }, copy = { 0 };
    char path[4096];
    enum rc rc;

    if ((rc = sqlvfs_new(w, "replay", &vfs, why)) != RC_OK)
        return rc;
    snprintf(path, sizeof path, "%s/namespace.db", dir);
    if ((rc = nn_db_open(&original, vfs, path, true, conf, why)) != RC_OK)
        goto out;
    snprintf(path, sizeof path, "%s/replayed.db", scratch);
    if ((rc = nn_db_open(&copy, vfs, path, true, conf, why)) != RC_OK ||
        (rc = nn_txlog_replay(&original, &copy, why)) != RC_OK)
        goto out;
    if ((rc = nn_txlog_compare(&original, &copy, why)) == RC_OK)
        rc = nn_verify(&original, why);
out:
    nn_db_fini(&copy);
    nn_db_fini(&original);
    sqlvfs_free(vfs);
    return rc;
}

int
main(int argc, char **argv)
{
    char scratch[] = "/tmp/nn-replay-XXXXXX";
    struct world w;
    struct conf conf;
    struct why why = { 0 }, ignored;
    enum rc rc;

    if (argc != 2 || mkdtemp(scratch) == NULL) {
        fprintf(stderr, "usage: nn_replay DIR, the folder of dfs.namenode.name.dir\n");
        return 2;
    }
    world_posix(&w);
    if ((rc = conf_init(&conf, NN, &why)) == RC_OK)
        rc = replay(&w, &conf, argv[1], scratch, &why);
    if (rc != RC_OK)
        fprintf(stderr, "nn_replay: %s: %s\n", argv[1], why.text);
    conf_fini(&conf);
    if (io_remove_tree(w.io, scratch, &ignored) != RC_OK)
        fprintf(stderr, "nn_replay: left behind: %s\n", scratch);
    return rc == RC_OK ? 0 : 1;
}
