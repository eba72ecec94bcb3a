/* dfs: the filesystem's command. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "core/base/log.h"
#include "core/conf/version.h"
#include "core/io/thread.h"
#include "dfsclient/shell/shell.h"

#define IDLE_THREADS 64         /* that wait for the next block to be written or read */

/* What to delete when somebody presses Ctrl-C.  The lock is held while it changes. */
struct sh_temp {
    pthread_mutex_t lock;
    struct sh_temp_file *files;
};

void
sh_temp_enter(struct sh *sh, struct sh_temp_file *f)
{
    pthread_mutex_lock(&sh->temp->lock);
    DL_APPEND(sh->temp->files, f);
    pthread_mutex_unlock(&sh->temp->lock);
}

void
sh_temp_leave(struct sh *sh, struct sh_temp_file *f)
{
    pthread_mutex_lock(&sh->temp->lock);
    DL_DELETE(sh->temp->files, f);
    pthread_mutex_unlock(&sh->temp->lock);
}

/* Waits for Ctrl-C; a second one ends the program at once. */
static void *
wait_for_interrupt(void *arg)
{
    struct sh_temp *t = arg;
    struct sh_temp_file *f;
    bool deleted;
    sigset_t set;
    int sig = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigwait(&set, &sig) != 0)
        return NULL;
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pthread_mutex_lock(&t->lock);
    DL_FOREACH(t->files, f) {
        enum rc ignored = f->fs != NULL ? fs_delete(f->fs, f->path, f->tree, &deleted, NULL)
                                        : rc_from_errno(unlink(f->path));
        (void)ignored;      /* the half-written file stays: its name says what it is */
    }
    _exit(sig == SIGINT ? EXIT_INTERRUPTED : 128 + sig);
}

static void
print_help(const char *program)
{
    printf("Examples:\n"
           "  %s ls /                          what is there\n"
           "  %s put FILE /dir/                copy a local file in\n"
           "  %s get /dir/FILE .               and out\n"
           "  %s admin -report                 the cluster's state\n"
           "\n"
           "Usage: %s [-D key=value] [-fs hdfs://host:port] [--config FILE] COMMAND [options] [words]\n"
           "\n"
           "\"-ls\" and \"ls\" are the same command.  \"%s help COMMAND\" tells more about one.\n\n",
           program, program, program, program, program, program);
    sh_print_commands();
}

static int
wrong(const char *program, const char *fmt, const char *word)
{
    fprintf(stderr, "%s: ", program);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fprintf(stderr, fmt, word);     /* fmt is one of a few constants below */
#pragma GCC diagnostic pop
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

struct general {
    const char *file, *fs;
    const char *set[64];
    size_t set_count;
    bool help, version;
};

/* Options before the command.  0, or an exit code. */
static int
parse_general(const char *program, int *argc, char ***argv, struct general *g)
{
    while (*argc > 0) {
        const char *word = (*argv)[0], *eq = strchr(word, '=');
        const char **value = NULL;
        size_t n = eq != NULL ? (size_t)(eq - word) : strlen(word);

        if (strcmp(word, "--help") == 0)
            g->help = true;
        else if (strcmp(word, "--version") == 0 || strcmp(word, "-version") == 0)
            g->version = true;
        else if (strcmp(word, "-conf") == 0 || (n == 8 && strncmp(word, "--config", 8) == 0))
            value = &g->file;
        else if (strcmp(word, "-fs") == 0)
            value = &g->fs;
        else if (strncmp(word, "-D", 2) == 0 || strcmp(word, "--set") == 0) {
            if (g->set_count == ARRAY_LEN(g->set))
                return wrong(program, "too many options at %s", word);
            value = &g->set[g->set_count++];
        } else
            return 0;
        (*argc)--;
        (*argv)++;
        if (value == NULL)
            continue;
        if (word[1] == 'D' && word[2] != '\0') {
            *value = word + 2;
        } else if (word[1] == '-' && eq != NULL) {
            *value = eq + 1;
        } else if (*argc == 0) {
            return wrong(program, "%s needs a value", word);
        } else {
            *value = (*argv)[0];
            (*argc)--;
            (*argv)++;
        }
    }
    return 0;
}

static enum rc
configure(struct sh *sh, const struct general *g, struct why *why)
{
    const char *file = g->file != NULL ? g->file : conf_default_path();
    enum rc rc;

    if ((rc = conf_init(&sh->conf, CL, why)) != RC_OK)
        return rc;
    if (file != NULL && (rc = conf_load(&sh->conf, file, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < g->set_count; i++)
        if ((rc = conf_set_pair(&sh->conf, g->set[i], "-D", why)) != RC_OK)
            return rc;
    return g->fs != NULL ? conf_set(&sh->conf, "fs.defaultFS", g->fs, "-fs", why) : RC_OK;
}

static int
run(struct sh *sh, int argc, char **argv)
{
    const char *word = argv[0], *near;
    int exit_code;

    if ((sh->cmd = sh_command_find(word[0] == '-' ? word + 1 : word)) == NULL) {
        near = sh_command_near(word[0] == '-' ? word + 1 : word);
        fprintf(stderr, "%s: Unknown command\n", word);
        if (near != NULL)
            fprintf(stderr, "Did you mean %s?\n", near);
        else
            fprintf(stderr, "Try %s help.\n", sh->program);
        return EXIT_USAGE;
    }
    if (sh->cmd->instead != NULL)
        fprintf(stderr, "%s: DEPRECATED: Please use '%s' instead.\n", sh->cmd->name, sh->cmd->instead);
    exit_code = sh->cmd->run(sh, argc - 1, argv + 1);
    if (fflush(stdout) != 0 && exit_code == EXIT_OK)
        exit_code = EXIT_FAILED;
    return exit_code;
}

int
main(int argc, char **argv)
{
    struct sh_temp temp = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct sh sh = { .temp = &temp, .program = "dfs" };
    struct general g = { .help = false };
    pthread_t interrupt;
    struct why why;
    sigset_t set;
    int exit_code;

    log_set_name("dfs");
    argc--;
    argv++;
    if ((exit_code = parse_general(sh.program, &argc, &argv, &g)) != 0)
        return exit_code;
    if (g.version) {
        version_print(stdout, sh.program);
        return EXIT_OK;
    }
    if (g.help) {
        print_help(sh.program);
        return EXIT_OK;
    }
    if (argc == 0)
        return wrong(sh.program, "no command given; try %s --help", sh.program);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);     /* before any thread: all inherit it */
    if (pthread_create(&interrupt, NULL, wait_for_interrupt, &temp) != 0)
        return wrong(sh.program, "%s", "cannot start a thread");
    world_posix(&sh.w);
    arena_init(&sh.arena, 4 * GB);
    if ((sh.w.threads = threads_pool_new(IDLE_THREADS)) == NULL) {
        exit_code = wrong(sh.program, "%s", "there is no memory");
    } else if (configure(&sh, &g, &why) != RC_OK) {
        exit_code = wrong(sh.program, "%s", why.text);
    } else {
        exit_code = run(&sh, argc, argv);
        sh_close(&sh);
    }
    threads_pool_free(sh.w.threads);
    conf_fini(&sh.conf);
    arena_fini(&sh.arena);
    return exit_code;
}
