/* mr: jobs, from the command line. */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/conf/version.h"
#include "core/net/net.h"
#include "libmr/cmd.h"

static const struct command {
    const char *name, *words, *about;
    int (*run)(struct mr_cmd *c, int argc, char **argv);
} commands[] = {
#define COMMAND(name, words, about, fn) { name, words, about, fn },
#include "libmr/commands.def"
#undef COMMAND
};

static void
print_help(void)
{
    printf("Examples:\n"
           "  mr new wordcount && mrcc wordcount.c       a job to start from, compiled\n"
           "  mr run wordcount.so -input /text -output /counts\n"
           "  mr run --local wordcount.so -input text.txt -output counts\n"
           "  mr ps\n\n"
           "Usage: mr [--config FILE] [-D KEY=VALUE] COMMAND ...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        printf("  mr %s %s\n      %s\n", commands[i].name, commands[i].words, commands[i].about);
    printf("\nManual: man mr\n");
}

int
mr_complain(const struct why *why)
{
    fprintf(stderr, "mr: %s\n", why->text[0] != '\0' ? why->text : rc_text(why->rc));
    return why->rc == RC_BAD_USAGE || why->rc == RC_BAD_CONFIG ? MR_USAGE : MR_FAILED;
}

int
mr_misused(const char *fmt, const char *word)
{
    fprintf(stderr, "mr: ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fprintf(stderr, fmt, word);         /* one of a few constants, with one %s */
#pragma GCC diagnostic pop
    fprintf(stderr, "; `mr --help` shows how\n");
    return MR_USAGE;
}

bool
mr_take_option(struct mr_cmd *c, int argc, char **argv, int *i, int *ret_status)
{
    const char *pair = argv[*i] + 2;
    struct why why;

    if (strncmp(argv[*i], "-D", 2) != 0)
        return false;
    if (*pair == '\0') {
        if (*i + 1 == argc) {
            *ret_status = mr_misused("%s needs KEY=VALUE", argv[*i]);
            return true;
        }
        pair = argv[++*i];
    }
    if (conf_set_pair(&c->conf, pair, "-D", &why) != RC_OK)
        *ret_status = mr_complain(&why);
    return true;
}

/* Options before the command; -1 to go on, else the exit status.  *ret_i is the command's place. */
static int
take_general(struct mr_cmd *c, int argc, char **argv, int *ret_i)
{
    const char *file = conf_default_path();
    struct why why;
    int status = -1, i;

    for (i = 1; i + 1 < argc; i++)      /* first the file, which -D overrides */
        if (strcmp(argv[i], "--config") == 0)
            file = argv[i + 1];
    if (file != NULL && conf_load(&c->conf, file, &why) != RC_OK)
        return mr_complain(&why);
    for (i = 1; i < argc && argv[i][0] == '-' && status == -1; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return MR_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            version_print(stdout, "mr");
            return MR_DONE;
        }
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            i++;
        else if (!mr_take_option(c, argc, argv, &i, &status))
            return mr_misused("no option %s", argv[i]);
    }
    *ret_i = i;
    return status;
}

static char *
who_am_i(void)
{
    const char *name = getenv("HADOOP_USER_NAME");
    const struct passwd *me = getpwuid(geteuid());

    return mem_strdup(name && *name ? name : me ? me->pw_name : "nobody");
}

static int
run_command(struct mr_cmd *c, int argc, char **argv)
{
    for (size_t k = 0; k < ARRAY_LEN(commands); k++) {
        if (strcmp(argv[0], commands[k].name) != 0)
            continue;
        if (argc == 2 && strcmp(argv[1], "--help") == 0) {
            printf("mr %s %s\n    %s\n", commands[k].name, commands[k].words, commands[k].about);
            return MR_DONE;
        }
        return commands[k].run(c, argc - 1, argv + 1);
    }
    if (strcmp(argv[0], "help") == 0) {
        print_help();
        return MR_DONE;
    }
    return mr_misused("no command %s", argv[0]);
}

int
main(int argc, char **argv)
{
    struct mr_cmd c;
    struct why why;
    int status, i = 1;

    memset(&c, 0, sizeof c);
    (void)signal(SIGPIPE, SIG_IGN);
    world_posix(&c.w);
    if (conf_init(&c.conf, CL | MR, &why) != RC_OK)
        return mr_complain(&why);
    if ((c.user = who_am_i()) == NULL)
        status = MR_FAILED;
    else if ((status = take_general(&c, argc, argv, &i)) == -1) {
        if (i >= argc) {
            print_help();
            status = MR_USAGE;
        } else
            status = run_command(&c, argc - i, argv + i);
    }
    mr_cmd_fini(&c);
    return status;
}
