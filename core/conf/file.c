#include "core/conf/conf.h"

#include <ctype.h>
#include <errno.h>
#include <expat.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/conf/conf_priv.h"

#define FILE_BYTES_MAX (4 * MB)
#define VALUE_BYTES_MAX (64 * KB)
#define PROBLEM_MAX 12

/* What inih's lines may have, with room to spare; longer lines are handed over in pieces. */
#define PIECE_MAX 160

struct loader {
    struct conf *c;
    const char *path;
    unsigned problem_count;
    struct buf problems;
    enum rc rc;                 /* RC_NOMEM ends the loading */

    /* inih */
    const char *text;           /* the file, from the next line on */
    const char *rest;           /* of a long line, up to rest_end */
    const char *rest_end;
    unsigned line;              /* the one handed to inih last */
    unsigned key_line;
    char key[256];
    char section[64];
    struct buf value;

    /* expat */
    XML_Parser xml;
    unsigned depth;
    bool in_property;
    enum { NOWHERE, IN_NAME, IN_VALUE } where;
    struct buf name;
};

static void
note_problem(struct loader *l, unsigned line, const char *text)
{
    if (l->problem_count++ < PROBLEM_MAX)
        buf_printf(&l->problems, "%s%s:%u: %s", l->problem_count > 1 ? "\n" : "", l->path, line, text);
}

static void
put_key(struct loader *l, unsigned line, const char *key, const char *value, enum conf_source source)
{
    char from[512];
    struct why why;
    enum rc rc;

    snprintf(from, sizeof from, "%s:%u", l->path, line);
    rc = conf_put(l->c, key, value, from, source, &why);
    if (rc == RC_NOMEM)
        l->rc = rc;
    else if (rc != RC_OK)
        note_problem(l, line, why.text);
}

/* The programs that a section is for; 0 if it has no such name. */
static unsigned
section_who(const char *section)
{
    static const struct { const char *name; unsigned who; } sections[] = {
        { "", ALL },       { "all", ALL },       { "namenode", NN },    { "datanode", DN },
        { "jobtracker", JT }, { "tasktracker", TT }, { "client", CL | MR },
    };

    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        if (strcmp(sections[i].name, section) == 0)
            return sections[i].who;
    return 0;
}

/* The key whose value is complete now. */
static void
ini_flush(struct loader *l)
{
    unsigned who = section_who(l->section);
    struct conf scratch;
    struct why why;

    if (l->key_line == 0)
        return;
    buf_u8(&l->value, 0);
    if (!buf_ok(&l->value)) {
        note_problem(l, l->key_line, "value is too long");
    } else if (who == 0) {
        char text[160];

        snprintf(text, sizeof text, "[%s]: unknown section; there are [all], [namenode], [datanode], [jobtracker], "
                 "[tasktracker] and [client]", l->section);
        note_problem(l, l->key_line, text);
    } else if ((who & l->c->who) != 0) {
        put_key(l, l->key_line, l->key, (const char *)l->value.p, CONF_FROM_OURS);
    } else if (conf_init(&scratch, who, &why) != RC_OK) {
        l->rc = RC_NOMEM;
    } else {        /* it is for another program, and is held against the same rules */
        struct conf *mine = l->c;

        l->c = &scratch;
        put_key(l, l->key_line, l->key, (const char *)l->value.p, CONF_FROM_OURS);
        l->c = mine;
        conf_fini(&scratch);
    }
    buf_clear(&l->value);
    l->key_line = 0;
}

static int
on_ini(void *arg, const char *section, const char *name, const char *value)
{
    struct loader *l = arg;

    if (l->key_line != l->line) {
        ini_flush(l);
        l->key_line = l->line;
        snprintf(l->key, sizeof l->key, "%s", name);
        snprintf(l->section, sizeof l->section, "%s", section);
    }
    buf_put_str(&l->value, value);
    return 1;
}

/* The end of a line without white space and without a comment. */
static const char *
line_end(const char *p, const char *end)
{
    for (const char *q = p + 1; q < end; q++) {
        if (*q == ';' && isspace((unsigned char)q[-1])) {
            end = q;
            break;
        }
    }
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    return end;
}

/* Empty, a section, or a key with a value: what inih can use. */
static bool
line_is_sound(const char *p, size_t n)
{
    if (n == 0)
        return true;
    return p[0] == '[' ? memchr(p, ']', n) != NULL : p[0] != '=' && memchr(p, '=', n) != NULL;
}

/* inih asks for lines one by one.  Indentation means nothing here, and a long line goes in pieces: first its
 * beginning, then indented ones, which inih hands on as more of the same value. */
static char *
next_line(char *out, int cap, void *arg)
{
    struct loader *l = arg;
    bool more = l->rest != NULL;
    size_t n;

    (void)cap;                  /* at least 200, and a piece is shorter */
    if (!more) {
        const char *end;

        if (*l->text == '\0')
            return NULL;
        end = l->text + strcspn(l->text, "\n");
        l->rest = l->text;
        l->text = end + (*end == '\n');
        l->line++;
        while (l->rest < end && isspace((unsigned char)*l->rest))
            l->rest++;
        l->rest_end = *l->rest == '#' || *l->rest == ';' ? l->rest : line_end(l->rest, end);
        if (!line_is_sound(l->rest, (size_t)(l->rest_end - l->rest))) {
            note_problem(l, l->line, "neither \"key = value\" nor \"[section]\"");
            l->rest_end = l->rest;
        }
    }
    n = (size_t)(l->rest_end - l->rest);
    if (n > PIECE_MAX) {
        n = PIECE_MAX;          /* a piece may neither end nor begin with what inih takes away */
        while (n > 1 && (isspace((unsigned char)l->rest[n - 1]) || isspace((unsigned char)l->rest[n]) ||
                         l->rest[n] == '#' || l->rest[n] == ';'))
            n--;
    }
    snprintf(out, (size_t)cap, "%s%.*s\n", more ? " " : "", (int)n, l->rest);
    l->rest = l->rest + n < l->rest_end ? l->rest + n : NULL;
    return out;
}

static void
load_ini(struct loader *l, const char *text)
{
    int bad;

    l->text = text;
    bad = ini_parse_stream(next_line, l, on_ini, l);
    ini_flush(l);
    if (bad > 0 && l->problem_count == 0)       /* inih counts pieces of long lines, so its number says little */
        note_problem(l, l->line, "a line that cannot be read");
    else if (bad < 0)
        l->rc = RC_NOMEM;
}

/* Put text with ${key} and ${env.NAME} replaced by what they stand for; what is not known stays. */
static void
expand(const struct loader *l, const char *text, struct buf *out)
{
    const char *open, *close, *value;
    char key[256];

    while ((open = strstr(text, "${")) != NULL && (close = strchr(open, '}')) != NULL) {
        buf_put(out, text, (size_t)(open - text));
        snprintf(key, sizeof key, "%.*s", (int)(close - open - 2), open + 2);
        if (strncmp(key, "env.", 4) == 0)
            value = getenv(key + 4);
        else if (strcmp(key, "user.name") == 0)
            value = getenv("USER");
        else
            value = conf_find(l->c, key);
        if (value != NULL)
            buf_put_str(out, value);
        else
            buf_put(out, open, (size_t)(close - open) + 1);
        text = close + 1;
    }
    buf_put_str(out, text);
}

static char *
trimmed(struct buf *b)
{
    char *p, *end;

    buf_u8(b, 0);
    if (!buf_ok(b))
        return NULL;
    p = (char *)b->p;
    end = p + strlen(p);
    while (end > p && isspace((unsigned char)end[-1]))
        *--end = '\0';
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

static void
property_end(struct loader *l)
{
    unsigned line = (unsigned)XML_GetCurrentLineNumber(l->xml);
    char *name = trimmed(&l->name), *value = trimmed(&l->value);
    struct buf full;

    buf_init(&full, VALUE_BYTES_MAX);
    if (name == NULL || value == NULL) {
        note_problem(l, line, "name or value is too long");
    } else if (name[0] == '\0') {
        note_problem(l, line, "<property> without <name>");
    } else {
        expand(l, value, &full);
        buf_u8(&full, 0);
        if (buf_ok(&full))
            put_key(l, line, name, (const char *)full.p, CONF_FROM_XML);
        else
            note_problem(l, line, "value is too long");
    }
    buf_fini(&full);
}

static void
on_xml_start(void *arg, const char *name, const char **attributes)
{
    struct loader *l = arg;
    unsigned line = (unsigned)XML_GetCurrentLineNumber(l->xml);

    (void)attributes;
    l->depth++;
    if (l->depth == 1 && strcmp(name, "configuration") != 0) {
        note_problem(l, line, "not a <configuration>");
    } else if (l->depth == 2 && strcmp(name, "property") == 0) {
        l->in_property = true;
        buf_clear(&l->name);
        buf_clear(&l->value);
    } else if (l->depth == 2) {
        char text[128];

        snprintf(text, sizeof text, "<%.64s>: only <property> is read here", name);
        note_problem(l, line, text);
    } else if (l->depth == 3 && l->in_property) {
        l->where = strcmp(name, "name") == 0 ? IN_NAME : strcmp(name, "value") == 0 ? IN_VALUE : NOWHERE;
    }
}

static void
on_xml_end(void *arg, const char *name)
{
    struct loader *l = arg;

    (void)name;
    if (l->depth == 3)
        l->where = NOWHERE;
    if (l->depth == 2 && l->in_property) {
        l->in_property = false;
        property_end(l);
    }
    l->depth--;
}

static void
on_xml_text(void *arg, const char *text, int n)
{
    struct loader *l = arg;

    if (l->depth == 3 && l->where != NOWHERE)
        buf_put(l->where == IN_NAME ? &l->name : &l->value, text, (size_t)n);
}

/* Entities of a document type can make a small file huge. */
static void
on_xml_doctype(void *arg, const char *name, const char *sysid, const char *pubid, int has_internal_subset)
{
    struct loader *l = arg;

    (void)name;
    (void)sysid;
    (void)pubid;
    (void)has_internal_subset;
    note_problem(l, (unsigned)XML_GetCurrentLineNumber(l->xml), "document types are not read");
    XML_StopParser(l->xml, XML_FALSE);
}

static void
load_xml(struct loader *l, const char *text)
{
    unsigned before = l->problem_count;

    if ((l->xml = XML_ParserCreate(NULL)) == NULL) {
        l->rc = RC_NOMEM;
        return;
    }
    XML_SetUserData(l->xml, l);
    XML_SetElementHandler(l->xml, on_xml_start, on_xml_end);
    XML_SetCharacterDataHandler(l->xml, on_xml_text);
    XML_SetStartDoctypeDeclHandler(l->xml, on_xml_doctype);
    if (XML_Parse(l->xml, text, (int)strlen(text), 1) != XML_STATUS_OK && l->problem_count == before)
        note_problem(l, (unsigned)XML_GetCurrentLineNumber(l->xml), XML_ErrorString(XML_GetErrorCode(l->xml)));
    XML_ParserFree(l->xml);
}

static enum rc
read_file(const char *path, struct buf *out, struct why *why)
{
    FILE *f = fopen(path, "re");
    enum rc rc = RC_OK;

    if (f == NULL)
        return why_set(why, RC_BAD_CONFIG, "%s: %s", path, strerror(errno));
    for (;;) {
        uint8_t chunk[4096];
        size_t n = fread(chunk, 1, sizeof chunk, f);

        if (n == 0)
            break;
        buf_put(out, chunk, n);
    }
    if (ferror(f))
        rc = why_set(why, RC_BAD_CONFIG, "%s: %s", path, strerror(errno));
    (void)fclose(f);            /* was only read */
    buf_u8(out, 0);
    if (rc == RC_OK && !buf_ok(out) && out->n < FILE_BYTES_MAX / 2)
        rc = why_rc(why, RC_NOMEM);
    else if (rc == RC_OK && !buf_ok(out))
        rc = why_set(why, RC_BAD_CONFIG, "%s: larger than %zu MB", path, FILE_BYTES_MAX / MB);
    if (rc == RC_OK && strlen((const char *)out->p) + 1 != out->n)
        rc = why_set(why, RC_BAD_CONFIG, "%s: has a zero byte; not a text file", path);
    return rc;
}

static enum rc
load_one(struct conf *c, const char *path, struct why *why)
{
    struct loader l = { .c = c, .path = path, .rc = RC_OK };
    size_t n = strlen(path);
    struct buf text;
    enum rc rc;

    buf_init(&text, FILE_BYTES_MAX);
    buf_init(&l.problems, 64 * KB);
    buf_init(&l.value, VALUE_BYTES_MAX);
    buf_init(&l.name, 1 * KB);
    if ((rc = read_file(path, &text, why)) != RC_OK)
        goto out;
    if (n > 4 && strcmp(path + n - 4, ".xml") == 0)
        load_xml(&l, (const char *)text.p);
    else
        load_ini(&l, (const char *)text.p);
    if (l.problem_count > PROBLEM_MAX)
        buf_printf(&l.problems, "\n%s: and %u more", path, l.problem_count - PROBLEM_MAX);
    if (l.rc != RC_OK || !buf_ok(&l.problems))
        rc = why_rc(why, RC_NOMEM);
    else if (l.problem_count > 0)
        rc = why_set(why, RC_BAD_CONFIG, "%.*s", (int)l.problems.n, (const char *)l.problems.p);
out:
    buf_fini(&text);
    buf_fini(&l.problems);
    buf_fini(&l.value);
    buf_fini(&l.name);
    return rc;
}

static bool
is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum rc
conf_load(struct conf *c, const char *path, struct why *why)
{
    static const char *const names[] = { "core-site.xml", "hdfs-site.xml", "mapred-site.xml", "millrace.conf" };
    unsigned found = 0;
    enum rc rc = RC_OK;

    if (!is_dir(path))
        return load_one(c, path, why);
    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(names); i++) {
        char *file = mem_printf("%s/%s", path, names[i]);

        if (file == NULL)
            return why_rc(why, RC_NOMEM);
        if (access(file, F_OK) == 0) {
            found++;
            rc = load_one(c, file, why);
        }
        mem_free(file);
    }
    if (rc == RC_OK && found == 0)
        rc = why_set(why, RC_BAD_CONFIG, "%s: has none of %s, %s, %s and %s", path, names[0], names[1], names[2],
                     names[3]);
    return rc;
}
