/* dfs fsck: the NameNode's own check, asked for over HTTP. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "dfsclient/shell/shell.h"

#define LINE_MAX_KEPT 4096
#define READ_BYTES (64 * KB)

static void
put_escaped(struct buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        if (isalnum((unsigned char)*s) || strchr("-_.*", *s) != NULL)
            buf_u8(b, (uint8_t)*s);
        else
            buf_printf(b, "%%%02X", (unsigned char)*s);
    }
}

/* What came last that is not blank says how it went. */
struct answer {
    char line[LINE_MAX_KEPT], last[LINE_MAX_KEPT];
    size_t n;
    bool in_body;
    unsigned status;
};

static void
take_line(struct answer *a)
{
    a->line[a->n] = '\0';
    if (strspn(a->line, " \t\r") < a->n)
        memcpy(a->last, a->line, a->n + 1);
    a->n = 0;
}

/* Head lines are looked at, body lines printed. */
static void
take_bytes(struct answer *a, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a->in_body)
            putchar(p[i]);
        if (p[i] != '\n') {
            if (a->n < sizeof a->line - 1)
                a->line[a->n++] = p[i];
            continue;
        }
        bool blank = a->n == 0 || (a->n == 1 && a->line[0] == '\r');
        if (a->in_body) {
            take_line(a);
            continue;
        }
        a->line[a->n] = '\0';
        if (a->status == 0)
            a->status = (unsigned)strtoul(a->line + strcspn(a->line, " "), NULL, 10);
        a->in_body = blank;
        a->n = 0;
    }
}

static enum rc
fetch(struct sh *sh, const struct net_addr *to, const char *target, struct answer *a, struct why *why)
{
    struct net *net = sh->w.net;
    uint64_t deadline = clock_deadline(sh->w.clock, sh->conf.socket_ms);
    char *request = mem_printf("GET %s HTTP/1.0\r\nHost: %s:%u\r\nConnection: close\r\n\r\n", target, to->host, to->port);
    char *room = mem_alloc(READ_BYTES);
    size_t n = 0;
    int sock = -1;
    enum rc rc;

    if (request == NULL || room == NULL)
        rc = why_rc(why, RC_NOMEM);
    else if ((rc = net_connect(net, to, deadline, &sock, why)) == RC_OK)
        rc = net_write(net, sock, request, strlen(request), deadline, why);
    while (rc == RC_OK) {
        /* Each piece has its own time: a check of a large tree takes long and shows it is alive. */
        rc = net_read(net, sock, room, READ_BYTES, clock_deadline(sh->w.clock, sh->conf.socket_ms * 10), &n, why);
        if (rc == RC_OK)
            take_bytes(a, room, n);
    }
    if (sock >= 0)
        net_close(net, sock);
    mem_free(request);
    mem_free(room);
    if (rc != RC_CLOSED || !a->in_body)
        return rc;
    take_line(a);
    return a->status == 200 ? RC_OK : why_set(why, RC_REMOTE, "the NameNode answered with HTTP status %u", a->status);
}

static bool
ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static int
verdict(char *last)
{
    last[strcspn(last, "\r")] = '\0';
    if (ends_with(last, "is HEALTHY") || ends_with(last, "does not exist") || ends_with(last, "has no CORRUPT files") ||
        ends_with(last, "has 0 CORRUPT blocks") || strstr(last, "Incorrect blockId format:") != NULL)
        return EXIT_OK;
    return ends_with(last, "is CORRUPT") ? EXIT_FAILED : EXIT_USAGE;
}

static int
misused(struct sh *sh, const char *text, const char *word)
{
    if (text != NULL)
        fprintf(stderr, "fsck: %s '%s'\n", text, word);
    fprintf(stderr, "Usage: %s fsck %s\n", sh->program, sh->cmd->usage);
    return EXIT_USAGE;
}

/* The options are parameters of the same name; the last few in small letters and without dashes. */
#define VERBATIM 12

static int
build_target(struct sh *sh, int argc, char **argv, struct buf *b, bool *ret_missing)
{
    static const char *const flags[] = { "move", "delete", "files", "openforwrite", "blocks", "locations", "racks",
                                         "storagepolicies", "showprogress", "includeSnapshots", "maintenance", "replicate",
                                         "replicaDetails", "upgradedomains", "list-corruptfileblocks" };
    const char *path = NULL;
    struct item it;
    struct why why;
    struct fs *fs;

    if (sh_fs(sh, &fs, &why) != RC_OK) {
        sh_fail(sh, &why);
        return sh->exit_code;
    }
    buf_put_str(b, "/fsck?ugi=");
    put_escaped(b, fs_user(fs));
    for (int i = 0; i < argc; i++) {
        size_t k = 0;
        if (argv[i][0] != '-') {
            if (path != NULL)
                return misused(sh, "can only operate on one path at a time", argv[i]);
            path = argv[i];
            continue;
        }
        while (k < ARRAY_LEN(flags) && strcmp(argv[i] + 1, flags[k]) != 0)
            k++;
        if (strcmp(argv[i], "-blockId") == 0) {
            buf_put_str(b, "&blockId=");
            for (; i + 1 < argc && argv[i + 1][0] != '-'; i++) {
                put_escaped(b, argv[i + 1]);
                buf_put_str(b, "+");
            }
        } else if (k == ARRAY_LEN(flags)) {
            return misused(sh, "Illegal option", argv[i]);
        } else {
            buf_put_str(b, "&");
            for (const char *p = flags[k]; *p != '\0'; p++)
                if (*p != '-')
                    buf_u8(b, (uint8_t)(k < VERBATIM ? *p : tolower((unsigned char)*p)));
            buf_put_str(b, "=1");
        }
    }
    if (path == NULL)
        return misused(sh, NULL, NULL);
    if (sh_item(sh, path, &sh->arena, &it, &why) != RC_OK || sh_stat(sh, &it, &sh->arena, &why) != RC_OK) {
        sh_fail(sh, &why);
        return sh->exit_code;
    }
    if (!it.exists) {
        fprintf(stderr, "FileSystem is inaccessible due to:\njava.io.FileNotFoundException: File does not exist: %s\n"
                "DFSck exiting.\n", it.path);
        *ret_missing = true;
        return 0;
    }
    buf_put_str(b, "&path=");
    put_escaped(b, it.path);
    buf_u8(b, '\0');
    return buf_ok(b) ? 0 : EXIT_FAILED;
}

int
cmd_fsck(struct sh *sh, int argc, char **argv)
{
    struct answer *a = arena_zalloc(&sh->arena, sizeof *a);
    struct net_addr to;
    struct why why;
    struct buf b;
    bool missing = false;
    int exit_code;

    if (a == NULL)
        return EXIT_FAILED;
    if (argc == 0)
        return misused(sh, NULL, NULL);
    buf_init(&b, 256 * KB);
    if ((exit_code = build_target(sh, argc, argv, &b, &missing)) != 0 || missing)
        goto out;
    exit_code = EXIT_USAGE;
    if (net_addr_parse(sh->conf.nn_http_bind, 9870, &to, &why) != RC_OK) {
        sh_fail(sh, &why);
        goto out;
    }
    fprintf(stderr, "Connecting to namenode via http://%s%s\n", sh->conf.nn_http_bind, (const char *)b.p);
    if (fetch(sh, &to, (const char *)b.p, a, &why) != RC_OK)
        sh_fail(sh, &why);
    else
        exit_code = verdict(a->last);
out:
    buf_fini(&b);
    return exit_code;
}
