/*
 * shell -- the `dfs` command: a table of commands over the client library.
 *
 * A command gets its words, parses its options (options.c), turns words into
 * items (item.c: names on a cluster or on the local disk, globs expanded) and
 * works on each; a failure is printed, noted and does not keep it from the next.
 * Output, errors and exit codes are those of HDFS's own shell.
 */
#ifndef DFSCLIENT_SHELL_SHELL_H
#define DFSCLIENT_SHELL_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/conf/conf.h"
#include "dfsclient/fs.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 255, EXIT_INTERRUPTED = 130 };

struct command;
struct sh_handle;
struct sh_temp;

struct sh {
    struct world w;
    struct conf conf;
    struct arena arena;             /* lives as long as the command */
    struct fs *fs;                  /* the default one; opened at the first use */
    struct sh_handle *handles;      /* of other clusters */
    struct sh_temp *temp;           /* what an interrupt must clean up */
    const struct command *cmd;
    const char *program;            /* "dfs" */
    int exit_code;
};

/* A name on a cluster (fs set) or on the local disk (fs NULL). */
struct item {
    char *shown;                    /* as the user wrote it, or as it follows from that */
    char *path;                     /* absolute */
    struct fs *fs;
    bool exists;
    struct fs_status st;            /* when it exists */
};

struct item_list {
    struct arena arena;
    struct item *v;
    size_t n, cap;
};

struct command {
    const char *name;               /* "ls" */
    const char *usage;              /* "[-R] [<path> ...]" */
    int (*run)(struct sh *sh, int argc, char **argv);   /* words after the command; an exit code */
    const char *about;
    const char *instead;            /* NULL, or what to use: the command is deprecated */
};

extern const struct command sh_commands[];
extern const size_t sh_command_count;
const struct command *sh_command_find(const char *name);
/* The command closest to a word that is none; NULL when nothing is near. */
const char *sh_command_near(const char *word);
int sh_usage(struct sh *sh, const char *fmt, ...) PRINTF(2, 3);     /* "-ls: text" and the command's usage; EXIT_USAGE */
void sh_print_commands(void);
const char *sh_command_details(const char *name);   /* help.c: its options, a line each; "" when there is no more to tell */

/* Options: single-dash words before the paths. */
struct option_row {
    const char *name;               /* "R", without the dash */
    bool *flag;                     /* set when met */
    const char **value;             /* not NULL: takes the next word */
};
/*
 * Read options and count what is left, min to max words.  0, or the exit code of
 * the usage error that it printed.  *argc and *argv move past the options.
 */
int sh_options(struct sh *sh, int *argc, char ***argv, const struct option_row *rows, size_t row_count, int min, int max);

/* Errors: "name: text" on stderr, and the command will end with 1. */
void sh_fail(struct sh *sh, const struct why *why);
void sh_fail_text(struct sh *sh, const char *fmt, ...) PRINTF(2, 3);
void sh_fail_path(struct sh *sh, const char *shown, const char *text);      /* name: `shown': text */
void sh_fail_missing(struct sh *sh, const struct item *it);     /* No such file or directory */

/* item.c */
enum rc sh_fs(struct sh *sh, struct fs **ret, struct why *why) MUST_CHECK;
/* What the word names, without asking anyone whether it is there.  RC_BAD_USAGE for an empty word. */
enum rc sh_item(struct sh *sh, const char *word, struct arena *a, struct item *ret, struct why *why) MUST_CHECK;
/* Ask: sets exists and st.  That it is missing is no error. */
enum rc sh_stat(struct sh *sh, struct item *it, struct arena *a, struct why *why) MUST_CHECK;
enum rc sh_child(const struct item *dir, const char *name, struct arena *a, struct item *ret, struct why *why) MUST_CHECK;
/* The entries of a directory in name order, with their status. */
enum rc sh_children(struct sh *sh, const struct item *dir, struct item_list *ret, struct why *why) MUST_CHECK;
/* As the word says, globs expanded, each with its status; one item that does not exist when nothing matches. */
enum rc sh_expand(struct sh *sh, const char *word, struct item_list *ret, struct why *why) MUST_CHECK;
void sh_close(struct sh *sh);     /* every handle */
char *sh_uri(const struct item *it, struct arena *a);   /* "hdfs://host:port/path", "file:///path"; NULL: no memory */
const char *sh_base_name(const char *path);
bool sh_parent(const struct item *it, struct arena *a, struct item *ret);   /* false at the root or without memory */
bool sh_is_under(const char *path, const char *dir);    /* path is dir or inside it */

void item_list_init(struct item_list *l);
void item_list_fini(struct item_list *l);
enum rc item_list_add(struct item_list *l, const struct item *it, struct why *why) MUST_CHECK;

/* Expand every word, print what fails, and call fn for each item that exists; missing NULL prints and fails. */
int sh_each(struct sh *sh, int argc, char **argv, void (*fn)(struct sh *sh, struct item *it, void *arg),
            void (*missing)(struct sh *sh, struct item *it, void *arg), void *arg);
/* fn for the item and, below a directory, for everything in it, a directory before what is in it. */
void sh_walk(struct sh *sh, struct item *it, void (*fn)(struct sh *sh, struct item *it, void *arg), void *arg);

/* local.c: the local disk as items. */
enum rc local_stat(const char *path, struct arena *a, struct item *it, struct why *why) MUST_CHECK;
enum rc local_list(const struct item *dir, struct item_list *ret, struct why *why) MUST_CHECK;

/* main.c: files to delete when an interrupt comes, from enter to leave; the caller's, as long as it is in there. */
struct sh_temp_file {
    struct sh_temp_file *prev, *next;
    struct fs *fs;                  /* NULL: local */
    const char *path;
    bool tree;                      /* a directory, with all that is in it */
};
void sh_temp_enter(struct sh *sh, struct sh_temp_file *f);
void sh_temp_leave(struct sh *sh, struct sh_temp_file *f);

/* The handlers, one a row of the table. */
#define SH_COMMAND(fn) int fn(struct sh *sh, int argc, char **argv)
SH_COMMAND(cmd_admin);
SH_COMMAND(cmd_append);
SH_COMMAND(cmd_bench);
SH_COMMAND(cmd_cat);
SH_COMMAND(cmd_checksum);
SH_COMMAND(cmd_chgrp);
SH_COMMAND(cmd_chmod);
SH_COMMAND(cmd_chown);
SH_COMMAND(cmd_count);
SH_COMMAND(cmd_cp);
SH_COMMAND(cmd_debug);
SH_COMMAND(cmd_df);
SH_COMMAND(cmd_du);
SH_COMMAND(cmd_dus);
SH_COMMAND(cmd_expunge);
SH_COMMAND(cmd_find);
SH_COMMAND(cmd_fsck);
SH_COMMAND(cmd_get);
SH_COMMAND(cmd_getconf);
SH_COMMAND(cmd_getmerge);
SH_COMMAND(cmd_head);
SH_COMMAND(cmd_help);
SH_COMMAND(cmd_ls);
SH_COMMAND(cmd_lsr);
SH_COMMAND(cmd_mkdir);
SH_COMMAND(cmd_move_from_local);
SH_COMMAND(cmd_move_to_local);
SH_COMMAND(cmd_mv);
SH_COMMAND(cmd_put);
SH_COMMAND(cmd_rm);
SH_COMMAND(cmd_rmdir);
SH_COMMAND(cmd_rmr);
SH_COMMAND(cmd_setrep);
SH_COMMAND(cmd_stat);
SH_COMMAND(cmd_tail);
SH_COMMAND(cmd_test);
SH_COMMAND(cmd_touch);
SH_COMMAND(cmd_touchz);
SH_COMMAND(cmd_truncate);
SH_COMMAND(cmd_undelete);
SH_COMMAND(cmd_usage);

#endif
