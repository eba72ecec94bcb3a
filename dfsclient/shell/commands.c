/* The table of commands, and what tells people about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/near.h"
#include "dfsclient/shell/shell.h"

const struct command sh_commands[] = {
#define COMMAND(word, form, fn, text, now) { word, form, fn, text, now },
#include "dfsclient/shell/commands.def"
#undef COMMAND
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

const char *
sh_command_near(const char *word)
{
    const char *best = NULL;
    unsigned least = strlen(word) > 4 ? 3 : 2;

    for (size_t i = 0; i < sh_command_count; i++) {
        unsigned d = near_distance(word, sh_commands[i].name, least);
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
    const char *line = sh_command_details(c->name);

    (void)sh;
    printf("-%s%s%s :\n  %s\n", c->name, c->usage[0] != '\0' ? " " : "", c->usage, c->about);
    for (size_t n; *line != '\0'; line += n) {
        n = strcspn(line, "\n") + 1;
        printf("    %.*s", (int)n, line);
    }
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
