/*
 * The client library against a running cluster: what was flushed is seen by new
 * readers, odd sizes cross packets and blocks, reads out of order.
 *
 *     client_stream hdfs://host:port DIR
 *
 * Prints one line a step; the first that fails ends it with 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/mem.h"
#include "core/net/net.h"
#include "dfsclient/fs.h"
#include "dfsclient/visible.h"

#define WHOLE 700001

struct test {
    struct fs *fs;
    const char *dir;
    uint8_t *data;          /* WHOLE bytes that tell their place */
    struct arena arena;
};

static void
must(enum rc rc, const struct why *why, const char *step)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", step, rc_name(rc), why->text);
    exit(1);
}

static void
expect(bool holds, const char *step)
{
    if (holds)
        return;
    fprintf(stderr, "%s: not so\n", step);
    exit(1);
}

/* A new reader sees exactly the first n bytes. */
static void
expect_visible(struct test *t, const char *path, size_t n, const char *step)
{
    uint8_t *got = mem_alloc(WHOLE + 1);
    struct fs_reader *r = NULL;
    struct why why;
    size_t done = 0;

    expect(got != NULL, "memory");
    must(fs_open_read(t->fs, path, &r, &why), &why, step);
    expect(fs_reader_size(r) == n, step);
    must(fs_pread(r, got, WHOLE + 1, 0, &done, &why), &why, step);
    expect(done == n && memcmp(got, t->data, n) == 0, step);
    fs_close_read(r);
    mem_free(got);
    printf("ok %s: %zu bytes\n", step, n);
}

static void
flushed_bytes_are_seen(struct test *t, const char *path, bool sync)
{
    static const size_t steps[] = { 1000, 1, 511, 65536, 0, 100000, 512, 3 };
    struct fs_create_options o = { .block_bytes = 1024 * 1024, .replication = 3 };
    struct fs_writer *wr = NULL;
    struct why why;
    size_t at = 0;

    must(fs_create(t->fs, path, &o, &wr, &why), &why, "create");
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        must(fs_write(wr, t->data + at, steps[i], &why), &why, "write");
        at += steps[i];
        must(fs_flush(wr, false, &why), &why, "flush");
        if (sync)
            must(fs_flush(wr, true, &why), &why, "sync");
        expect_visible(t, path, at, sync ? "seen after hsync" : "seen after hflush");
    }
    must(fs_write(wr, t->data + at, WHOLE - at, &why), &why, "write");
    must(fs_close_write(wr, &why), &why, "close");
    expect_visible(t, path, WHOLE, "seen after close");
}

static void
odd_pieces_make_the_file(struct test *t, const char *path, uint64_t block_bytes)
{
    struct fs_create_options o = { .block_bytes = block_bytes, .overwrite = true };
    struct fs_writer *wr = NULL;
    struct fs_block *blocks;
    struct why why;
    uint64_t bytes;
    size_t n;

    must(fs_create(t->fs, path, &o, &wr, &why), &why, "create");
    for (size_t at = 0, step = 1; at < WHOLE; at += step, step = step * 3 % 30011 + 1) {
        if (step > WHOLE - at)
            step = WHOLE - at;
        must(fs_write(wr, t->data + at, step, &why), &why, "write");
    }
    must(fs_close_write(wr, &why), &why, "close");
    expect_visible(t, path, WHOLE, "odd pieces");
    must(fs_blocks(t->fs, path, 0, UINT64_MAX, &t->arena, &blocks, &n, &bytes, &why), &why, "blocks");
    expect(bytes == WHOLE && n == (WHOLE + block_bytes - 1) / block_bytes, "blocks of the size asked for");
}

static void
reads_out_of_order_are_right(struct test *t, const char *path)
{
    uint8_t got[5000];
    struct fs_reader *r = NULL;
    struct why why;
    size_t n, at = 17;

    must(fs_open_read(t->fs, path, &r, &why), &why, "open");
    for (int i = 0; i < 300; i++) {
        size_t want = 1 + at % sizeof got, left;
        must(fs_pread(r, got, want, at, &n, &why), &why, "pread");
        left = WHOLE - at;
        expect(n == (want < left ? want : left) && memcmp(got, t->data + at, n) == 0, "bytes of a read out of order");
        at = i % 3 == 0 ? at + n : (at * 7919 + 12345) % WHOLE;
        if (at >= WHOLE)
            at = 0;
    }
    must(fs_pread(r, got, 10, WHOLE, &n, &why), &why, "pread at the end");
    expect(n == 0, "nothing at the end");
    fs_close_read(r);
    printf("ok reads out of order\n");
}

static void
abandoned_writer_leaves_the_cluster_usable(struct test *t, const char *path)
{
    struct fs_create_options o = { .overwrite = true };
    struct fs_writer *wr = NULL;
    struct why why;

    must(fs_create(t->fs, path, &o, &wr, &why), &why, "create");
    must(fs_write(wr, t->data, 300000, &why), &why, "write");
    fs_abandon_write(wr);
    must(fs_create(t->fs, path, &o, &wr, &why), &why, "create over it");
    must(fs_write(wr, t->data, WHOLE, &why), &why, "write");
    must(fs_close_write(wr, &why), &why, "close");
    expect_visible(t, path, WHOLE, "after an abandoned writer");
}

/* A network that deletes a file before it makes the next connection to a DataNode. */
struct late_net {
    struct net net;
    struct net_ops ops;
    struct test *t;
    const char *path;           /* NULL: it was done */
    struct fs_block block;      /* of the file */
};

/* Delete the file, and wait until no DataNode has its block. */
static void
delete_all_of(struct late_net *late)
{
    uint64_t visible;
    struct why why;
    bool deleted = false;

    must(fs_delete(late->t->fs, late->path, false, &deleted, &why), &why, "delete");
    expect(deleted, "it was there");
    for (size_t i = 0; i < late->block.location_count; i++)
        while (fs_visible_length(late->t->fs, &late->block, &late->block.locations[i], 5000, &visible, &why) !=
               RC_REPLICA_NOT_FOUND)
            (void)usleep(50000);    /* cut short: asked a little earlier */
}

static enum rc
connect_late(struct net *n, const struct net_addr *to, uint64_t deadline_ms, int *ret_sock, struct why *why)
{
    struct late_net *late = CONTAINER_OF(n, struct late_net, net);

    if (late->path != NULL && to->port == late->block.locations[0].ipc_port) {
        delete_all_of(late);
        late->path = NULL;
    }
    return net_connect(net_posix(), to, deadline_ms, ret_sock, why);
}

/* Its NameNode names the DataNodes, then it is deleted, and they say that they have nothing of it: it is not an empty file. */
static void
file_deleted_while_it_is_opened_is_not_found(struct test *t, const struct world *w, const struct conf *c, const char *uri,
                                             const char *path)
{
    struct late_net late = { .ops = *net_posix()->ops, .t = t, .path = path };
    struct fs_create_options o = { .replication = 1 };
    struct fs_writer *wr = NULL;
    struct fs_reader *r = NULL;
    struct world other = *w;
    struct fs_block *blocks;
    struct fs *fs;
    struct why why;
    uint64_t bytes;
    size_t n;

    must(fs_create(t->fs, path, &o, &wr, &why), &why, "create");
    must(fs_write(wr, t->data, 1000, &why), &why, "write");
    must(fs_flush(wr, true, &why), &why, "sync");
    must(fs_blocks(t->fs, path, 0, UINT64_MAX, &t->arena, &blocks, &n, &bytes, &why), &why, "blocks");
    expect(n == 1 && blocks[0].location_count == 1, "one open block");
    late.block = blocks[0];
    late.ops.connect = connect_late;
    late.net.ops = &late.ops;
    other.net = &late.net;
    must(fs_open(&other, c, uri, NULL, &fs, &why), &why, "open");
    expect(fs_open_read(fs, path, &r, &why) == RC_NOT_FOUND && late.path == NULL, "deleted while it is opened: not found");
    fs_close(fs);
    fs_abandon_write(wr);
    printf("ok deleted while it is opened\n");
}

int
main(int argc, char **argv)
{
    struct test t = { .dir = argc > 2 ? argv[2] : "/" };
    struct world w;
    struct conf c;
    struct why why;

    if (argc != 3) {
        fprintf(stderr, "usage: client_stream hdfs://host:port DIR\n");
        return 2;
    }
    world_posix(&w);
    arena_init(&t.arena, 16 * MB);
    must(conf_init(&c, CL, &why), &why, "configuration");
    must(fs_open(&w, &c, argv[1], NULL, &t.fs, &why), &why, "open");
    expect((t.data = mem_alloc(WHOLE)) != NULL, "memory");
    for (size_t i = 0; i < WHOLE; i++)
        t.data[i] = (uint8_t)(i * 7 + i / 251);
    must(fs_mkdirs(t.fs, t.dir, 0755, true, &why), &why, "mkdir");
    flushed_bytes_are_seen(&t, arena_printf(&t.arena, "%s/flushed", t.dir), false);
    flushed_bytes_are_seen(&t, arena_printf(&t.arena, "%s/synced", t.dir), true);
    odd_pieces_make_the_file(&t, arena_printf(&t.arena, "%s/odd", t.dir), 1024 * 1024);
    reads_out_of_order_are_right(&t, arena_printf(&t.arena, "%s/odd", t.dir));
    abandoned_writer_leaves_the_cluster_usable(&t, arena_printf(&t.arena, "%s/left", t.dir));
    file_deleted_while_it_is_opened_is_not_found(&t, &w, &c, argv[1], arena_printf(&t.arena, "%s/deleted", t.dir));
    mem_free(t.data);
    fs_close(t.fs);
    conf_fini(&c);
    arena_fini(&t.arena);
    expect(mem_live() == 0, "everything freed");
    return 0;
}
