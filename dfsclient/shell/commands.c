/* The table of commands, and what tells people about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dfsclient/shell/shell.h"

const struct command sh_commands[] = {
    { "admin", "[-report | -safemode <get|enter|leave|wait> | -printTopology]", cmd_admin,
      "Looks at the cluster and changes its state.", NULL },
    { "appendToFile", "[-n] <localsrc> ... <dst>", cmd_append, "Appends local files, or standard input (-), to a file.", NULL },
    { "cat", "[-ignoreCrc] <src> ...", cmd_cat, "Writes files to standard output.", NULL },
    { "checksum", "[-v] <src> ...", cmd_checksum, "Prints the checksum of files.", NULL },
    { "chgrp", "[-R] GROUP PATH...", cmd_chgrp, "Gives files to a group.", NULL },
    { "chmod", "[-R] <MODE[,MODE]... | OCTALMODE> PATH...", cmd_chmod, "Changes permissions.", NULL },
    { "chown", "[-R] [OWNER][:[GROUP]] PATH...", cmd_chown, "Changes owner and group.", NULL },
    { "copyFromLocal", "[-f] [-p] [-l] [-d] [-t <thread count>] [-q <thread pool queue size>] <localsrc> ... <dst>", cmd_put,
      "The same as put.", NULL },
    { "copyToLocal", "[-f] [-p] [-crc] [-ignoreCrc] [-t <thread count>] [-q <thread pool queue size>] <src> ... <localdst>",
      cmd_get, "The same as get.", NULL },
    { "count", "[-q] [-h] [-v] [-t [<storage type>]] [-u] [-x] [-e] [-s] <path> ...", cmd_count,
      "Counts directories, files and bytes.", NULL },
    { "cp", "[-f] [-p | -p[topax]] [-d] [-t <thread count>] [-q <thread pool queue size>] <src> ... <dst>", cmd_cp,
      "Copies files.", NULL },
    { "df", "[-h] [<path> ...]", cmd_df, "Shows how full the filesystem is.", NULL },
    { "dfsadmin", "[-report | -safemode <get|enter|leave|wait> | -printTopology]", cmd_admin, "The same as admin.", NULL },
    { "du", "[-s] [-h] [-v] [-x] <path> ...", cmd_du, "Shows the bytes that files and directories take.", NULL },
    { "dus", "[-h] <path> ...", cmd_dus, "Shows sums of bytes.", "du -s" },
    { "expunge", "[-immediate] [-fs <path>]", cmd_expunge, "Empties old parts of the trash.", NULL },
    { "find", "<path> ... <expression> ...", cmd_find,
      "Finds names: -name, -iname, -type, -size, -mtime, -empty, -print, -print0, -a.", NULL },
    { "fsck", "<path> [-files [-blocks [-locations | -racks]]] [-list-corruptfileblocks] [-move | -delete] [-openforwrite]",
      cmd_fsck, "Checks the health of files.", NULL },
    { "get", "[-f] [-p] [-crc] [-ignoreCrc] [-t <thread count>] [-q <thread pool queue size>] <src> ... <localdst>", cmd_get,
      "Copies files to the local disk.", NULL },
    { "getconf", "-confKey <key> | -namenodes | -nnRpcAddresses", cmd_getconf, "Prints configuration.", NULL },
    { "getmerge", "[-nl] [-skip-empty-file] <src> <localdst>", cmd_getmerge, "Joins files into one local file.", NULL },
    { "head", "<file>", cmd_head, "Writes the first kilobyte of a file.", NULL },
    { "help", "[cmd ...]", cmd_help, "Tells about commands.", NULL },
    { "ls", "[-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [-e] [<path> ...]", cmd_ls, "Lists files and directories.", NULL },
    { "lsr", "[<path> ...]", cmd_lsr, "Lists trees.", "ls -R" },
    { "mkdir", "[-p] <path> ...", cmd_mkdir, "Makes directories.", NULL },
    { "moveFromLocal", "[-f] [-p] [-l] [-d] <localsrc> ... <dst>", cmd_move_from_local,
      "Copies files from the local disk and deletes them there.", NULL },
    { "moveToLocal", "<src> <localdst>", cmd_move_to_local, "Not there yet.", NULL },
    { "mv", "<src> ... <dst>", cmd_mv, "Moves or renames.", NULL },
    { "put", "[-f] [-p] [-l] [-d] [-t <thread count>] [-q <thread pool queue size>] <localsrc> ... <dst>", cmd_put,
      "Copies local files, or standard input (-), into the filesystem.", NULL },
    { "rm", "[-f] [-r|-R] [-skipTrash] [-safely] <src> ...", cmd_rm, "Deletes, by way of the trash.", NULL },
    { "rmdir", "[--ignore-fail-on-non-empty] <dir> ...", cmd_rmdir, "Deletes empty directories.", NULL },
    { "rmr", "<src> ...", cmd_rmr, "Deletes trees.", "-rm -r" },
    { "setrep", "[-R] [-w] <rep> <path> ...", cmd_setrep, "Sets the number of replicas.", NULL },
    { "stat", "[format] <path> ...", cmd_stat, "Prints what is known of a name, by a format.", NULL },
    { "tail", "[-f] [-s <sleep interval>] <file>", cmd_tail, "Writes the last kilobyte of a file.", NULL },
    { "test", "-[defswrz] <path>", cmd_test, "Answers a question by its exit code.", NULL },
    { "text", "[-ignoreCrc] <src> ...", cmd_cat, "Writes files as text.", NULL },
    { "touch", "[-a] [-m] [-t TIMESTAMP (yyyyMMdd:HHmmss) ] [-c] <path> ...", cmd_touch,
      "Sets times; makes the file when it is missing.", NULL },
    { "touchz", "<path> ...", cmd_touchz, "Makes empty files.", NULL },
    { "truncate", "[-w] <length> <path> ...", cmd_truncate, "Cuts files.", NULL },
    { "undelete", "<path> ...", cmd_undelete, "Takes names back out of the trash.", NULL },
    { "usage", "[cmd ...]", cmd_usage, "Shows how commands are written.", NULL },
};
const size_t sh_command_count = ARRAY_LEN(sh_commands);

const struct command *
sh_command_find(const char *name)
{
    for (size_t i = 0; i < sh_command_count; i++)
        if (strcmp(sh_commands[i].name, name) == 0)
            return &sh_commands[i];
    return NULL;
}

/* Edits that turn one word into the other; both shorter than 32 bytes. */
static unsigned
distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned row[33];

    if (n > 31 || m > 31)
        return UINT32_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[m];
}

const char *
sh_command_near(const char *word)
{
    const char *best = NULL;
    unsigned least = strlen(word) > 4 ? 3 : 2;

    for (size_t i = 0; i < sh_command_count; i++) {
        unsigned d = distance(word, sh_commands[i].name);
        if (d < least) {
            least = d;
            best = sh_commands[i].name;
        }
    }
    return best;
}

void
sh_print_commands(void)
{
    for (size_t i = 0; i < sh_command_count; i++)
        if (sh_commands[i].instead == NULL)
            printf("  %-14s %s\n", sh_commands[i].name, sh_commands[i].about);
}

static int
each_named(struct sh *sh, int argc, char **argv, void (*print)(const struct sh *sh, const struct command *c))
{
    int exit_code = EXIT_OK;

    for (int i = 0; i < argc; i++) {
        const char *name = argv[i][0] == '-' ? argv[i] + 1 : argv[i];
        const struct command *c = sh_command_find(name);
        if (c == NULL)
            exit_code = sh_usage(sh, "`%s': Unknown command", name);
        else
            print(sh, c);
    }
    return exit_code;
}

static void
print_usage(const struct sh *sh, const struct command *c)
{
    printf("Usage: %s [generic options] -%s%s%s\n", sh->program, c->name, c->usage[0] != '\0' ? " " : "", c->usage);
}

static void
print_help(const struct sh *sh, const struct command *c)
{
    (void)sh;
    printf("-%s%s%s :\n  %s\n", c->name, c->usage[0] != '\0' ? " " : "", c->usage, c->about);
}

int
cmd_usage(struct sh *sh, int argc, char **argv)
{
    if (argc == 0)
        for (size_t i = 0; i < sh_command_count; i++)
            print_usage(sh, &sh_commands[i]);
    return each_named(sh, argc, argv, print_usage);
}

int
cmd_help(struct sh *sh, int argc, char **argv)
{
    if (argc == 0)
        sh_print_commands();
    return each_named(sh, argc, argv, print_help);
}
