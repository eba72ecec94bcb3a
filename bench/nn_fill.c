/*
 * nn_fill -- a namespace with many files, fast, by the NameNode's own edits in large groups.
 *
 *     bench/nn_fill DIR FILES
 *
 * Makes dfs.namenode.name.dir DIR with FILES files of one block each, 1,000 in a directory: /fill/d<n>/f<n>, and one
 * DataNode that is said to hold all blocks.  What is left is what that many create, addBlock, complete would have left,
 * but for who asked: the log has a call for each 1,000 files.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/proto/ids.h"
#include "namenode/block.h"
#include "namenode/core.h"
#include "namenode/edit.h"
#include "namenode/nn.h"
#include "namenode/replica.h"

#define DIR_FILES 1000
#define GROUP_DIRS 10
#define BYTES (1 * MB)
#define STORAGE 1

struct fill {
    uint64_t dir;               /* inode of /fill */
    uint64_t next, files;
    enum rc rc;
    struct why why;
};

static struct span
text(const char *s)
{
    return span_of(s, strlen(s));
}

static enum rc
make_dir(struct nn_core *core, uint64_t parent, const char *name, uint64_t *ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_MKDIR, .at_ms = nn_core_now_ms(core) };

    *ret = core->next.inode++;
    e.mkdir = (struct nn_edit_mkdir){ .inode = *ret, .parent = parent, .name = text(name), .perm = 0755,
                                      .owner = text("root"), .group = text("supergroup") };
    return nn_edit_apply(core, &e, why);
}

static enum rc
make_file(struct nn_core *core, uint64_t parent, uint64_t number, struct why *why)
{
    uint64_t inode = core->next.inode++, block = core->next.block++, stamp = core->next.stamp++;
    struct nn_replicas list = { .n = 1, .r = { { .storage = STORAGE, .stamp = stamp, .bytes = BYTES } } };
    struct nn_edit e = { .kind = EDIT_CREATE, .at_ms = nn_core_now_ms(core) };
    struct buf packed;
    char name[32];
    enum rc rc;

    (void)snprintf(name, sizeof name, "f%" PRIu64, number);
    buf_init(&packed, 256);
    nn_replicas_pack(&list, &packed);
    e.create = (struct nn_edit_create){ .inode = inode, .parent = parent, .name = text(name), .perm = 0644,
                                        .owner = text("root"), .group = text("supergroup"), .replication = 1,
                                        .block_size = 128 * MB, .holder = text("nn_fill"), .client_node = text("127.0.0.1") };
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        goto out;
    e.kind = EDIT_BLOCK_ADD;
    e.block_add = (struct nn_edit_block_add){ .inode = inode, .block = block, .stamp = stamp };
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        goto out;
    e.kind = EDIT_BLOCK_SET;
    e.block_set = (struct nn_edit_block_set){ .block = block, .bytes = BYTES, .stamp = stamp, .state = NN_BLOCK_COMPLETE,
                                              .roster = span_of(packed.p, packed.n) };
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        goto out;
    e.kind = EDIT_CLOSE;
    e.close = (struct nn_edit_close){ .inode = inode, .length = BYTES };
    rc = nn_edit_apply(core, &e, why);
out:
    buf_fini(&packed);
    return rc;
}

/* One directory with its files. */
static enum rc
fill_dir(struct nn_core *core, void *arg, struct why *why)
{
    struct fill *f = arg;
    uint64_t dir = 0;
    char name[32];

    (void)snprintf(name, sizeof name, "d%" PRIu64, f->next / DIR_FILES);
    f->rc = make_dir(core, f->dir, name, &dir, why);
    for (uint64_t i = 0; f->rc == RC_OK && i < DIR_FILES && f->next < f->files; i++)
        f->rc = make_file(core, dir, f->next++, why);
    if (f->rc != RC_OK)
        f->why = *why;
    return f->rc;
}

static enum rc
begin(struct nn_core *core, void *arg, struct why *why)
{
    struct fill *f = arg;
    sqlite3_stmt *st;

    if ((f->rc = make_dir(core, ROOT_INODE, "fill", &f->dir, why)) != RC_OK)
        goto out;
    f->rc = RC_IO;
    if ((st = nn_sql(&core->db, SQL_NODE_SET, why)) == NULL)
        goto out;
    for (int i = 1; i <= 3; i++)
        nn_bind_span(st, i, text("fill-node"));
    for (int i = 4; i <= 6; i++)
        nn_bind_u64(st, i, 9866);
    if ((f->rc = nn_run(&core->db, st, why)) != RC_OK || (st = nn_sql(&core->db, SQL_STORAGE_SET, why)) == NULL)
        goto out;
    nn_bind_u64(st, 1, STORAGE);
    nn_bind_span(st, 2, text("DS-fill"));
    nn_bind_span(st, 3, text("fill-node"));
    f->rc = nn_run(&core->db, st, why);
out:
    if (f->rc != RC_OK)
        f->why = *why;
    return f->rc;
}

/* One group of up to `dirs` runs of fn. */
static enum rc
group(struct nn *nn, struct fill *f, nn_post_fn *fn, size_t dirs)
{
    struct nn_post *posts[GROUP_DIRS];
    size_t n = 0;

    for (; n < dirs; n++) {
        if ((posts[n] = mem_zalloc(sizeof *posts[n])) == NULL)
            abort();
        *posts[n] = (struct nn_post){ .fn = fn, .arg = f };
    }
    nn_core_group(nn->core, posts, n);
    if (f->rc == RC_OK && nn_has_failed(nn))
        f->rc = why_set(&f->why, RC_IO, "the group was not committed");
    return f->rc;
}

int
main(int argc, char **argv)
{
    struct fill f = { .files = argc == 3 ? strtoull(argv[2], NULL, 10) : 0 };
    struct nn_options o = { .superuser = "root" };
    struct conf conf;
    struct world w;
    struct nn *nn;
    enum rc rc;

    if (f.files == 0) {
        fprintf(stderr, "usage: nn_fill DIR FILES\n");
        return 2;
    }
    world_posix(&w);
    o.conf = &conf;
    if ((rc = conf_init(&conf, NN, &f.why)) != RC_OK ||
        (rc = conf_set(&conf, "dfs.namenode.name.dir", argv[1], "nn_fill", &f.why)) != RC_OK || (rc = nn_open(&w, &o, &nn, &f.why)) != RC_OK) {
        fprintf(stderr, "nn_fill: %s\n", f.why.text);
        return 1;
    }
    rc = group(nn, &f, begin, 1);
    while (rc == RC_OK && f.next < f.files)
        rc = group(nn, &f, fill_dir, GROUP_DIRS);
    if (rc != RC_OK)
        fprintf(stderr, "nn_fill: %s\n", f.why.text);
    nn_free(nn);
    conf_fini(&conf);
    return rc == RC_OK ? 0 : 1;
}
