/*
 * Single calls of the client library that no command makes, for tests of recovery:
 *
 *     client_recovery URI write PATH BLOCK_BYTES SYNCED MORE    hsync SYNCED bytes, write MORE, say so, wait to be killed
 *     client_recovery URI stream PATH BLOCK_BYTES               write and hsync for ever, telling how many bytes are safe
 *     client_recovery URI recover PATH                          recoverLease: prints true or false
 *     client_recovery URI closed PATH                           isFileClosed
 *     client_recovery URI create PATH                           and close it
 *     client_recovery URI truncate PATH BYTES
 *     client_recovery URI check PATH BYTES                      has exactly so many bytes, those that write writes
 *
 * A refusal is printed as its code and text, exit 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/net/net.h"
#include "dfsclient/fs.h"

static uint8_t
byte_at(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static int
refused(const struct why *why)
{
    printf("%s: %s\n", rc_name(why->rc), why->text);
    return 1;
}

static int
answer(enum rc rc, const bool *yes, const struct why *why)
{
    if (rc != RC_OK)
        return refused(why);
    printf("%s\n", *yes ? "true" : "false");
    return 0;
}

static enum rc
write_bytes(struct fs_writer *wr, uint64_t from, uint64_t n, struct why *why)
{
    uint8_t part[8192];
    enum rc rc = RC_OK;

    while (n > 0 && rc == RC_OK) {
        size_t k = n < sizeof part ? (size_t)n : sizeof part;

        for (size_t i = 0; i < k; i++)
            part[i] = byte_at(from + i);
        rc = fs_write(wr, part, k, why);
        from += k;
        n -= k;
    }
    return rc;
}

static int
write_and_wait(struct fs *fs, const char *path, char **arg)
{
    struct fs_create_options o = { .block_bytes = strtoull(arg[0], NULL, 10), .replication = 3 };
    uint64_t synced = strtoull(arg[1], NULL, 10), more = strtoull(arg[2], NULL, 10);
    struct fs_writer *wr;
    struct why why;

    if (fs_create(fs, path, &o, &wr, &why) != RC_OK || write_bytes(wr, 0, synced, &why) != RC_OK ||
        fs_flush(wr, true, &why) != RC_OK || write_bytes(wr, synced, more, &why) != RC_OK)
        return refused(&why);
    printf("synced\n");
    fflush(stdout);
    for (;;)
        pause();
}

static int
stream(struct fs *fs, const char *path, char **arg)
{
    struct fs_create_options o = { .block_bytes = strtoull(arg[0], NULL, 10), .replication = 3 };
    struct fs_writer *wr;
    struct why why;
    uint64_t at = 0;

    if (fs_create(fs, path, &o, &wr, &why) != RC_OK)
        return refused(&why);
    for (uint64_t n = 1;; at += n, n = n * 7 % 30011 + 1) {
        if (write_bytes(wr, at, n, &why) != RC_OK || fs_flush(wr, true, &why) != RC_OK)
            return refused(&why);
        printf("%" PRIu64 "\n", at + n);
        fflush(stdout);
    }
}

static int
create_and_close(struct fs *fs, const char *path)
{
    struct fs_create_options o = { .replication = 3 };
    struct fs_writer *wr;
    struct why why;

    if (fs_create(fs, path, &o, &wr, &why) != RC_OK || fs_close_write(wr, &why) != RC_OK)
        return refused(&why);
    printf("true\n");
    return 0;
}

static int
check(struct fs *fs, const char *path, uint64_t bytes)
{
    uint8_t part[65536];
    struct fs_reader *r;
    struct why why;
    uint64_t at = 0;
    size_t n = 1;

    if (fs_open_read(fs, path, &r, &why) != RC_OK)
        return refused(&why);
    if (fs_reader_size(r) != bytes) {
        printf("%" PRIu64 " bytes, not %" PRIu64 "\n", fs_reader_size(r), bytes);
        return 1;
    }
    for (; at < bytes && n > 0; at += n) {
        if (fs_pread(r, part, sizeof part, at, &n, &why) != RC_OK)
            return refused(&why);
        for (size_t i = 0; i < n; i++)
            if (part[i] != byte_at(at + i)) {
                printf("wrong byte at %" PRIu64 "\n", at + i);
                return 1;
            }
    }
    fs_close_read(r);
    printf("%s\n", at == bytes ? "true" : "ends early");
    return at != bytes;
}

int
main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    uint64_t bytes = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    struct world w;
    struct conf c;
    struct why why;
    struct fs *fs;
    bool yes = false;
    int status = 2;

    if (argc < 4) {
        fprintf(stderr, "usage: client_recovery URI write|stream|recover|closed|create|truncate|check PATH ...\n");
        return 2;
    }
    world_posix(&w);
    if (conf_init(&c, CL, &why) != RC_OK || fs_open(&w, &c, argv[1], NULL, &fs, &why) != RC_OK)
        return refused(&why);
    if (strcmp(what, "write") == 0 && argc == 7)
        status = write_and_wait(fs, argv[3], argv + 4);
    else if (strcmp(what, "stream") == 0 && argc == 5)
        status = stream(fs, argv[3], argv + 4);
    else if (strcmp(what, "recover") == 0)
        status = answer(fs_recover_lease(fs, argv[3], &yes, &why), &yes, &why);
    else if (strcmp(what, "closed") == 0)
        status = answer(fs_is_closed(fs, argv[3], &yes, &why), &yes, &why);
    else if (strcmp(what, "truncate") == 0 && argc == 5)
        status = answer(fs_truncate(fs, argv[3], bytes, &yes, &why), &yes, &why);
    else if (strcmp(what, "create") == 0)
        status = create_and_close(fs, argv[3]);
    else if (strcmp(what, "check") == 0 && argc == 5)
        status = check(fs, argv[3], bytes);
    fs_close(fs);
    conf_fini(&c);
    return status;
}
