/*
 * gendoc -- the texts that come from the tables: sample configuration, reference, parts of the manuals.
 *
 *     gendoc sample | options | reference       to stdout
 *     gendoc man FILE.in                        FILE with its @LINES@ filled in, to stdout
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "core/base/attr.h"
#include "core/base/rc.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"

enum entry_kind { ENTRY_OPTION, ENTRY_GROUP, ENTRY_ALIAS };

struct entry {
    enum entry_kind entry;
    const char *key;            /* or the group's title */
    const char *now;            /* of an alias */
    const char *dflt, *min, *max, *doc;
    enum conf_kind kind;
    unsigned who;
    enum conf_reload reload;
};

static const struct entry entries[] = {
#define OPT(f, k, kd, d, lo, hi, w, r, text) \
    { .entry = ENTRY_OPTION, .key = (k), .dflt = (d), .min = (lo), .max = (hi), .doc = (text), .kind = CONF_##kd, \
      .who = (w), .reload = (r) },
#define OPT_GROUP(title) { .entry = ENTRY_GROUP, .key = (title) },
#define OPT_ALIAS(old, new) { .entry = ENTRY_ALIAS, .key = (old), .now = (new) },
#include "core/conf/options.def"
};

struct method {
    const char *name;
    const char *request;
    const char *reply;
    const char *flags;
};

#define RPC(method, wire, req, rep, fl) { .name = (wire), .request = #req, .reply = #rep, .flags = #fl },
static const struct method client_methods[] = {
#include "core/proto/client_namenode.def"
    { .name = NULL } };
static const struct method datanode_methods[] = {
#include "core/proto/datanode.def"
    { .name = NULL } };
static const struct method ha_methods[] = {
#include "core/proto/ha_service.def"
    { .name = NULL } };
static const struct method mapping_methods[] = {
#include "core/proto/user_mappings.def"
    { .name = NULL } };
static const struct method job_methods[] = {
#include "core/proto/jobclient.def"
    { .name = NULL } };
static const struct method tracker_methods[] = {
#include "core/proto/tracker.def"
    { .name = NULL } };
#undef RPC

struct counter {
    const char *group;
    const char *name;
    const char *doc;
};

static const struct counter counters[] = {
#define COUNTER(symbol, in, text_name, text) { .group = (in), .name = (text_name), .doc = (text) },
#include "libmr/counters.def"
#undef COUNTER
};

struct command {
    const char *name;
    const char *usage;
    const char *about;
    const char *instead;
};

static const struct command commands[] = {
#define COMMAND(word, form, fn, text, now) { .name = (word), .usage = (form), .about = (text), .instead = (now) },
#include "dfsclient/shell/commands.def"
#undef COMMAND
};

static const struct command mr_commands[] = {
#define COMMAND(word, form, text, fn) { .name = (word), .usage = (form), .about = (text) },
#include "libmr/commands.def"
#undef COMMAND
};

struct code {
    const char *name;
    int number;
    const char *retry;
    const char *java;
    const char *text;
};

static const struct code codes[] = {
#define RC(symbol, num, advice, wire, about) \
    { .name = #symbol, .number = (num), .retry = #advice, .java = (wire), .text = (about) },
#include "core/base/rc.def"
#undef RC
};

static const struct { unsigned who; const char *text; } programs[] = {
    { NN, "namenode" }, { DN, "datanode" }, { JT, "jobtracker" }, { TT, "tasktracker" }, { CL, "dfs" }, { MR, "mr" },
};

static const char *const kind_texts[] = {
    [CONF_BOOL] = "true or false", [CONF_INT] = "number", [CONF_BYTES] = "bytes", [CONF_MSEC] = "time",
    [CONF_DECIMAL] = "decimal", [CONF_TEXT] = "text", [CONF_LIST] = "list",
};

static void
put_programs(FILE *out, unsigned who, const char *between)
{
    const char *sep = "";

    if (who == ALL) {
        fputs("every program", out);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        if ((who & programs[i].who) != 0) {
            fprintf(out, "%s%s", sep, programs[i].text);
            sep = between;
        }
    }
}

/* text in lines of at most width columns, each after prefix. */
static void
put_wrapped(FILE *out, const char *prefix, const char *text, size_t width)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        if (column > 0 && column + 1 + n > width) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column == 0 ? prefix : " ", (int)n, text);
        text += n + strspn(text + n, " ");
    }
    fputc('\n', out);
}

static void
put_limits(FILE *out, const struct entry *e)
{
    fputs(kind_texts[e->kind], out);
    if (e->min[0] != '\0' && e->max[0] != '\0')
        fprintf(out, ", %s to %s", e->min, e->max);
}

static void
put_sample(FILE *out)
{
    fputs("# Every option with its default.  Take the # away from a line to change it.\n"
          "#\n"
          "# A section holds for one kind of program: [namenode], [datanode], [jobtracker],\n"
          "# [tasktracker], [client].  What stands before the first section, or in [all],\n"
          "# holds for every one.  `namenode --config FILE --check` lists what is wrong, and\n"
          "# `namenode --config FILE --print-config` shows each value and where it came from.\n"
          "#\n"
          "# Bytes take k, m, g and t (of 1024); times take ms, s, m, h and d.\n", out);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        const struct entry *e = &entries[i];

        if (e->entry == ENTRY_GROUP)
            fprintf(out, "\n\n# ---- %s ----\n", e->key);
        if (e->entry != ENTRY_OPTION)
            continue;
        fputc('\n', out);
        put_wrapped(out, "# ", e->doc, 90);
        fputs("# ", out);
        put_limits(out, e);
        fputs("; read by ", out);
        put_programs(out, e->who, ", ");
        fprintf(out, "%s.\n#%s = %s\n", e->reload == LIVE ? "; SIGHUP takes a change" : "", e->key, e->dflt);
    }
}

/* A cell of a Markdown table. */
static void
put_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void
put_options(FILE *out)
{
    fputs("# Options\n\nThis file is generated from core/conf/options.def.\n\n"
          "No option is required. Sources, later ones win: the default, the file of `--config` (by default\n"
          "`$MILLRACE_CONF`, else `/etc/millrace/millrace.conf`), `--set KEY=VALUE` or `-D KEY=VALUE`. A file is\n"
          "`key = value` in sections, or, if its name ends in `.xml`, Hadoop's `*-site.xml`. A change to a *live*\n"
          "option is taken at SIGHUP; other changes need a restart.\n\n"
          "Bytes take `k`, `m`, `g` and `t` (of 1024). Times take `ms`, `s`, `m`, `h` and `d`; a bare number is in\n"
          "the unit in which the default is written.\n", out);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        const struct entry *e = &entries[i];

        if (e->entry == ENTRY_GROUP)
            fprintf(out, "\n## %s\n\n| Key | Default | Value | Read by | Live | |\n|---|---|---|---|---|---|\n", e->key);
        if (e->entry != ENTRY_OPTION)
            continue;
        fprintf(out, "| `%s` | ", e->key);
        if (e->dflt[0] != '\0')
            fprintf(out, "`%s`", e->dflt);
        fputs(" | ", out);
        put_limits(out, e);
        fputs(" | ", out);
        put_programs(out, e->who, ", ");
        fprintf(out, " | %s | ", e->reload == LIVE ? "yes" : "");
        put_cell(out, e->doc);
        fputs(" |\n", out);
    }
    fputs("\n## Old names\n\n| Old name | Now |\n|---|---|\n", out);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (entries[i].entry == ENTRY_ALIAS)
            fprintf(out, "| `%s` | `%s` |\n", entries[i].key, entries[i].now);
}

static void
put_metrics(FILE *out, const char *title, const struct metric_row *rows)
{
    fprintf(out, "\n### %s\n\n| Name | Kind | Unit | |\n|---|---|---|---|\n", title);
    for (; rows->name != NULL; rows++) {
        fprintf(out, "| `millrace_%s` | %s | %s | ", rows->name, rows->kind == METRIC_COUNTER ? "counter" : "gauge",
                rows->unit);
        put_cell(out, rows->doc);
        fputs(" |\n", out);
    }
}

static void
put_methods(FILE *out, const char *title, const struct method *m)
{
    static const struct { const char *flag; const char *text; } words[] = {
        { "RPC_READ", "reads" },        { "RPC_WRITE", "writes" },      { "RPC_CORE", "soft state" },
        { "RPC_WAIT", "may wait" },     { "RPC_AT_MOST_ONCE", "once" }, { "RPC_SUPERUSER", "superuser" },
        { "RPC_IN_SAFE_MODE", "in safe mode" },
    };

    fprintf(out, "\n### %s\n\n| Method | Request | |\n|---|---|---|\n", title);
    for (; m->name != NULL; m++) {
        const char *sep = "";

        fprintf(out, "| `%s` | `%s` | ", m->name, m->request);
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            if (strstr(m->flags, words[i].flag) != NULL) {
                fprintf(out, "%s%s", sep, words[i].text);
                sep = ", ";
            }
        }
        fputs(" |\n", out);
    }
}

static void
put_reference(FILE *out)
{
    fputs("# Reference\n\nThis file is generated from the tables named in each section.\n\n"
          "## Metrics\n\nFrom core/conf/metrics.def; each daemon serves its own at `/metrics` in Prometheus' text "
          "format.\n", out);
    put_metrics(out, "NameNode", nn_metric_rows);
    put_metrics(out, "DataNode", dn_metric_rows);
    put_metrics(out, "JobTracker", jt_metric_rows);
    put_metrics(out, "TaskTracker", tt_metric_rows);
    fputs("\n## Counters of a job\n\nFrom libmr/counters.def.\n\n| Group | Counter | |\n|---|---|---|\n", out);
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        fprintf(out, "| %s | `%s` | ", counters[i].group, counters[i].name);
        put_cell(out, counters[i].doc);
        fputs(" |\n", out);
    }
    fputs("\n## RPC methods\n\nFrom core/proto/*.def. *Once* means that a repeated call with the same id is answered "
          "from the\nretry cache; a method without it may be repeated blindly.\n", out);
    put_methods(out, "ClientProtocol: clients to the NameNode", client_methods);
    put_methods(out, "HAServiceProtocol: administration tools to the NameNode", ha_methods);
    put_methods(out, "GetUserMappingsProtocol: whoever asks for a user's groups", mapping_methods);
    put_methods(out, "millrace.DatanodeProtocol: DataNodes to the NameNode", datanode_methods);
    put_methods(out, "millrace.JobClientProtocol: clients to the JobTracker", job_methods);
    put_methods(out, "millrace.TrackerProtocol: TaskTrackers to the JobTracker", tracker_methods);
    fputs("\n## Result codes\n\nFrom core/base/rc.def. The class is what goes on the wire; where several codes share "
          "one, a peer's\nanswer is read as the first of them.\n\n"
          "| Number | Code | Meaning | Retry | Java class |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        fprintf(out, "| %d | %s | %s | %s | %s |\n", codes[i].number, codes[i].name, codes[i].text, codes[i].retry,
                codes[i].java);
}

/* Text for troff: hyphens that can be copied, no escapes, no requests. */
static void
put_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

/* The options that programs in who read. */
static void
put_roff_options(FILE *out, unsigned who, bool with_groups)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        const struct entry *e = &entries[i];

        if (e->entry == ENTRY_GROUP && with_groups)
            fprintf(out, ".SS %s\n", e->key);
        if (e->entry != ENTRY_OPTION || (e->who & who) == 0)
            continue;
        fputs(".TP\n.BR ", out);
        put_roff(out, e->key);
        if (e->dflt[0] != '\0') {
            fputs(" \" = ", out);
            put_roff(out, e->dflt);
            fputc('"', out);
        }
        fputc('\n', out);
        put_roff(out, e->doc);
        fputs("\n(", out);
        put_limits(out, e);
        if (with_groups) {
            fputs("; ", out);
            put_programs(out, e->who, ", ");
        }
        fprintf(out, "%s)\n", e->reload == LIVE ? "; taken at SIGHUP" : "");
    }
}

static void
put_roff_flags(FILE *out)
{
    fputs(".TP\n.BI \\-\\-config \" FILE\"\n"
          "Read the configuration from FILE: key = value in sections, or, if its name ends in .xml,\n"
          "Hadoop's *\\-site.xml; of a folder its core\\-site.xml, hdfs\\-site.xml, mapred\\-site.xml and\n"
          "millrace.conf are read.  By default $MILLRACE_CONF, else /etc/millrace/millrace.conf if it is there.\n"
          ".TP\n.B \\-\\-set \\fIKEY=VALUE\\fR, \\fB\\-D \\fIKEY=VALUE\n"
          "Set one key; wins over the file.  May be repeated.\n"
          ".TP\n.B \\-\\-check\n"
          "Read the configuration, list every problem as file:line: key: reason, and exit with 0 or 2.\n"
          ".TP\n.B \\-\\-print\\-config\n"
          "Print each value and where it came from, and exit.\n"
          ".TP\n.BI \\-\\-ready\\-fd \" N\"\n"
          "Once serving, write one line of JSON with the bound addresses to descriptor N and close it.\n"
          ".TP\n.B \\-\\-insecure\n"
          "Allow addresses that are not on loopback, although clients are not authenticated: whoever reaches\n"
          "the port can read and delete everything.\n"
          ".TP\n.B \\-\\-help\nPrint a page with examples.\n"
          ".TP\n.B \\-\\-version\nPrint the version, and the libraries that the program runs against.\n", out);
}

static void
put_roff_commands(FILE *out, const struct command *c, size_t count)
{
    for (; count > 0; c++, count--) {
        fprintf(out, ".TP\n.BI \"%s \" \"", c->name);
        put_roff(out, c->usage);
        fputs("\"\n", out);
        put_roff(out, c->about);
        if (c->instead != NULL) {
            fputs("  Old; use\n.BR \"", out);
            put_roff(out, c->instead);
            fputs("\" .", out);
        }
        fputc('\n', out);
    }
}

/* "@KEYS namenode@" on a line of its own; false if there is no such thing. */
static bool
put_macro(FILE *out, const char *name)
{
    if (strcmp(name, "FLAGS") == 0) {
        put_roff_flags(out);
        return true;
    }
    if (strcmp(name, "COMMANDS dfs") == 0) {
        put_roff_commands(out, commands, ARRAY_LEN(commands));
        return true;
    }
    if (strcmp(name, "COMMANDS mr") == 0) {
        put_roff_commands(out, mr_commands, ARRAY_LEN(mr_commands));
        return true;
    }
    if (strcmp(name, "KEYS") == 0) {
        put_roff_options(out, ALL, true);
        return true;
    }
    if (strncmp(name, "KEYS ", 5) == 0) {
        for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
            if (strcmp(programs[i].text, name + 5) == 0) {
                put_roff_options(out, programs[i].who, false);
                return true;
            }
        }
    }
    return false;
}

/* The line with @VERSION@ replaced. */
static void
put_line(FILE *out, const char *line)
{
    const char *at;

    while ((at = strstr(line, "@VERSION@")) != NULL) {
        fprintf(out, "%.*s%s", (int)(at - line), line, PACKAGE_VERSION);
        line = at + strlen("@VERSION@");
    }
    fprintf(out, "%s\n", line);
}

static int
put_man(FILE *out, const char *path)
{
    FILE *in = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int status = 0;

    if (in == NULL) {
        perror(path);
        return 1;
    }
    while (status == 0 && (n = getline(&line, &cap, in)) > 0) {
        if (line[n - 1] == '\n')
            line[--n] = '\0';
        if (n > 2 && line[0] == '@' && line[n - 1] == '@') {
            line[n - 1] = '\0';
            if (!put_macro(out, line + 1)) {
                fprintf(stderr, "gendoc: %s: @%s@ means nothing\n", path, line + 1);
                status = 1;
            }
        } else {
            put_line(out, line);
        }
    }
    free(line);
    fclose(in);
    return status;
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int status = 0;

    if (strcmp(what, "sample") == 0)
        put_sample(stdout);
    else if (strcmp(what, "options") == 0)
        put_options(stdout);
    else if (strcmp(what, "reference") == 0)
        put_reference(stdout);
    else if (strcmp(what, "man") == 0 && argc == 3)
        status = put_man(stdout, argv[2]);
    else
        status = 2;
    if (status == 2)
        fprintf(stderr, "usage: gendoc sample | options | reference | man FILE.in\n");
    if (status == 0 && (ferror(stdout) || fflush(stdout) != 0)) {
        perror("gendoc");
        status = 1;
    }
    return status;
}
