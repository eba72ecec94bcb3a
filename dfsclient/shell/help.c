/* What `dfs help COMMAND` tells beyond one line. */
#include <string.h>

#include "dfsclient/shell/shell.h"

static const struct {
    const char *name, *text;
} details[] = {
    { "admin", "-report [-live] [-dead] ...   capacity, blocks that need care, and each DataNode\n"
               "-safemode get|enter|leave|wait  look at safe mode, or change it\n"
               "-printTopology                racks and their nodes\n" },
    { "appendToFile", "-n   begin a new block\n"
                      "The local file - is standard input.\n" },
    { "bench", "stream   write and read a file a thread, in calls of 1 MB\n"
               "small    put and get small files, each durable before the next\n"
               "meta     mkdir, stat, rename and delete, each durable before the next\n"
               "-t N   N threads (4)    -size N[kmg]   bytes of each thread's stream (256m)    -files N   small files and names (1000)\n"
               "-small N[k]   bytes of a small file (4k)    -rep N   replicas    -json   a list of objects instead of a table\n"
               "Works in a new directory in -dir (your home directory), which it removes at its end and on Ctrl-C.\n"
               "p50, p99 and max are times of one operation: of a stream one call of 1 MB.  What is read is compared.\n" },
    { "chmod", "-R   everything below, too\n"
               "MODE is octal (755) or letters: [ugoa]*[-+=][rwxXt]+, several with commas between.\n" },
    { "chown", "-R   everything below, too\n"
               "OWNER alone, OWNER:GROUP or :GROUP.  Only the superuser gives files away.\n" },
    { "count", "Prints DIR_COUNT FILE_COUNT CONTENT_SIZE PATHNAME.\n"
               "-q   quotas first, and what is left of them    -u   only the quotas\n"
               "-h   sizes for people    -v   a line of titles    -t   by type of storage\n"
               "-x   without snapshots    -s   snapshots too    -e   erasure coding\n" },
    { "cp", "-f   over files that exist    -d   without a file ._COPYING_ in between\n"
            "-p   keep times, owner and mode; -ptopax only those of the letters\n"
            "Several sources need a directory as destination.\n" },
    { "debug", "recoverLease   ends the lease of a file that nobody writes any more, and closes it with what its DataNodes have\n"
               "-retries N     ask N times more, every 4 s, until it is closed\n" },
    { "df", "-h   sizes for people\n" },
    { "du", "Prints bytes, bytes with all replicas, and path.\n"
            "-s   one sum for each path    -h   sizes for people    -v   a line of titles    -x   without snapshots\n" },
    { "expunge", "Deletes what has been in the trash for longer than fs.trash.interval minutes.\n"
                 "-immediate   all of it\n" },
    { "find", "-name PATTERN, -iname PATTERN   the last part of the path; the second ignores case\n"
              "-type f|d   -empty   -size [+-]N[ckMGT]   -mtime [+-]DAYS\n"
              "-print, -print0   print the path, with a newline or a zero byte; -print is the default\n"
              "Expressions one after the other, or with -a between, must all be true.\n" },
    { "fsck", "-files -blocks -locations|-racks   print files, their blocks, and where those are\n"
              "-list-corruptfileblocks           only files that lost a block\n"
              "Exit 0 when all is healthy, 1 when something is corrupt.\n" },
    { "get", "-f   over files that exist    -p   keep times and mode\n"
             "-t N   N files at a time    -q N   at most N wait their turn\n"
             "-crc and -ignoreCrc are taken for the sake of scripts: damaged bytes are never delivered.\n"
             "The local destination - is standard output.\n" },
    { "getmerge", "-nl   a newline behind each file    -skip-empty-file   leave empty files out\n" },
    { "ls", "-d   directories as plain entries    -R   everything below, too\n"
            "-h   sizes for people    -C   only paths    -q   ? for characters that cannot be printed\n"
            "-t   newest first    -S   largest first    -r   the other way round    -u   by time of access\n"
            "-e   erasure coding\n"
            "Prints permissions, replicas, owner, group, bytes, time and path.\n" },
    { "mkdir", "-p   parents as needed; no error when it exists\n" },
    { "put", "-f   over files that exist    -p   keep times, owner and mode\n"
             "-l   one replica    -d   without a file ._COPYING_ in between\n"
             "-t N   N files at a time    -q N   at most N wait their turn\n"
             "The local source - is standard input.  Several sources need a directory as destination.\n" },
    { "rm", "-r, -R   directories with what is in them    -f   no error for what does not exist\n"
            "-skipTrash   delete at once    -safely   ask before many files are deleted\n"
            "Deleted names go to /user/NAME/.Trash/Current; dfs undelete takes them back.\n" },
    { "rmdir", "--ignore-fail-on-non-empty   say nothing of directories that are not empty\n" },
    { "setrep", "-w   wait until the replicas are there    -R   nothing more: directories are always followed\n" },
    { "stat", "%a %A   permissions, octal and in letters    %b   bytes    %F   type    %g %u   group, owner\n"
              "%n   name    %o   block size    %r   replicas\n"
              "%x %X   time of access    %y %Y   of change; capital letters in milliseconds since 1970; UTC\n"
              "Without a format it is %y.\n" },
    { "tail", "-f   go on as the file grows    -s MS   look every MS milliseconds\n" },
    { "test", "-e   exists    -d   is a directory    -f   is a file    -s   has bytes    -z   has none\n"
              "-r   may be read    -w   may be written\n"
              "Exit 0 when it is so, 1 when not.\n" },
    { "touch", "-a   only the time of access    -m   only the time of change    -c   make no file\n"
               "-t yyyyMMdd:HHmmss   that time instead of now\n" },
    { "truncate", "-w   wait until the last block has its new length\n" },
};

const char *
sh_command_details(const char *name)
{
    if (strcmp(name, "copyFromLocal") == 0)
        name = "put";
    else if (strcmp(name, "copyToLocal") == 0)
        name = "get";
    else if (strcmp(name, "dfsadmin") == 0)
        name = "admin";
    else if (strcmp(name, "chgrp") == 0)
        return "-R   everything below, too\n";
    for (size_t i = 0; i < ARRAY_LEN(details); i++)
        if (strcmp(details[i].name, name) == 0)
            return details[i].text;
    return "";
}
