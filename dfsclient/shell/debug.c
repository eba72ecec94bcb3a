/* dfs debug: what an operator does to a single file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/io/thread.h"
#include "dfsclient/shell/shell.h"

#define RETRY_MS 4000       /* between two tries */

/* One try and up to `retries` more, as long as the file is not closed. */
static void
recover(struct sh *sh, struct item *it, unsigned long retries)
{
    bool closed = false;
    struct why why;
    enum rc rc;

    for (unsigned long tried = 0;; tried++) {
        if ((rc = fs_recover_lease(it->fs, it->path, &closed, &why)) == RC_OK && closed) {
            printf("recoverLease SUCCEEDED on %s\n", it->shown);
            return;
        }
        if (rc != RC_OK)
            fprintf(stderr, "recoverLease got exception: \n%s\n", why.text);
        else
            fprintf(stderr, "recoverLease returned false.\n");
        if (tried == retries)
            break;
        fprintf(stderr, "Retrying in %d ms...\nRetry #%lu\n", RETRY_MS, tried + 1);
        thread_sleep_until(sh->w.threads, clock_deadline(sh->w.clock, RETRY_MS));
    }
    fprintf(stderr, "Giving up on recoverLease for %s after %lu %s.\n", it->shown, retries + 1,
            retries == 0 ? "try" : "tries");
    sh->exit_code = EXIT_FAILED;
}

int
cmd_debug(struct sh *sh, int argc, char **argv)
{
    const char *path = NULL, *retries = "0";
    const struct option_row rows[] = { { "path", NULL, &path }, { "retries", NULL, &retries } };
    unsigned long n;
    struct arena arena;
    struct item it;
    struct why why;
    int exit_code;
    char *end;

    if (argc == 0 || strcmp(argv[0], "recoverLease") != 0)
        return sh_usage(sh, "%s", argc == 0 ? "Not enough arguments" : "Unknown command");
    argc--;
    argv++;
    if ((exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 0, 0)) != 0)
        return exit_code;
    if (path == NULL)
        return sh_usage(sh, "You must supply a -path argument to recoverLease.");
    n = strtoul(retries, &end, 10);
    if (*end != '\0' || end == retries)
        return sh_usage(sh, "For input string: \"%s\"", retries);
    arena_init(&arena, MB);
    if (sh_item(sh, path, &arena, &it, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (it.fs == NULL)
        sh_fail_path(sh, it.shown, "is not on a cluster");
    else
        recover(sh, &it, n);
    arena_fini(&arena);
    return sh->exit_code;
}
