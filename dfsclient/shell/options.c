/* Options of a command, and how it is used. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dfsclient/shell/shell.h"

int
sh_usage(struct sh *sh, const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "-%s: ", sh->cmd->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nUsage: %s [generic options] -%s%s%s\n", sh->program, sh->cmd->name,
            sh->cmd->usage[0] != '\0' ? " " : "", sh->cmd->usage);
    return EXIT_USAGE;
}

static const struct option_row *
find_row(const struct option_row *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

int
sh_options(struct sh *sh, int *argc, char ***argv, const struct option_row *rows, size_t row_count, int min, int max)
{
    while (*argc > 0 && (*argv)[0][0] == '-' && (*argv)[0][1] != '\0') {
        const char *word = (*argv)[0] + 1;
        const struct option_row *row;

        (*argc)--;
        (*argv)++;
        if (strcmp(word, "-") == 0)
            break;
        if ((row = find_row(rows, row_count, word)) == NULL)
            return sh_usage(sh, "Illegal option -%s", word);
        if (row->flag != NULL)
            *row->flag = true;
        if (row->value != NULL) {
            if (*argc == 0)
                return sh_usage(sh, "option %s requires 1 argument", word);
            *row->value = (*argv)[0];
            (*argc)--;
            (*argv)++;
        }
    }
    if (*argc < min)
        return sh_usage(sh, "Not enough arguments: expected %d but got %d", min, *argc);
    if (*argc > max)
        return sh_usage(sh, "Too many arguments: expected %d but got %d", max, *argc);
    return 0;
}

void
sh_fail_text(struct sh *sh, const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    flockfile(stderr);      /* a line of its own, whichever thread */
    fprintf(stderr, "%s: ", sh->cmd->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    sh->exit_code = EXIT_FAILED;
    funlockfile(stderr);
}

void
sh_fail(struct sh *sh, const struct why *why)
{
    size_t n = strcspn(why->text, "\n");

    if (why->rc == RC_BAD_USAGE) {
        sh->exit_code = sh_usage(sh, "%.*s", (int)n, why->text);
        return;
    }
    if (n == 0)
        sh_fail_text(sh, "%s", rc_text(why->rc));
    else
        sh_fail_text(sh, "%.*s", (int)n, why->text);
}

void
sh_fail_path(struct sh *sh, const char *shown, const char *text)
{
    sh_fail_text(sh, "`%s': %s", shown, text);
}

void
sh_fail_missing(struct sh *sh, const struct item *it)
{
    sh_fail_path(sh, it->shown, "No such file or directory");
}
