#include <ctype.h>
#include <string.h>

#include "core/base/mem.h"
#include "libmr/local.h"

/* The name goes in four times. */
static const char start[] =
    "/*\n"
    " * %s -- counts the words of its input.\n"
    " *\n"
    " *     mrcc %s.c\n"
    " *     mr run %s.so -input IN -output OUT\n"
    " *     mr run --local %s.so -input FILE -output DIR      (in one process, for a debugger)\n"
    " */\n"
    "#include <mr.h>\n"
    "\n"
    "static void\n"
    "map(struct mr_task *t, const struct mr_rec *rec, size_t n)\n"
    "{\n"
    "    for (size_t i = 0; i < n; i++) {\n"
    "        const char *p = rec[i].value, *end = p + rec[i].value_len;\n"
    "        struct mr_bytes word;\n"
    "\n"
    "        while (mr_word(&p, end, &word))\n"
    "            mr_emit_i64(t, word.p, word.n, 1);\n"
    "    }\n"
    "}\n"
    "\n"
    "/* Where values of one key only have to be added, no reduce is needed.  With one, leave the fold out:\n"
    " *\n"
    " *     static void reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)\n"
    " *     MR_JOB(.map = map, .reduce = reduce, .value = MR_VALUE_I64)\n"
    " *\n"
    " * mr.h says what else a job can have, mr_calls.h what it can call. */\n"
    "MR_JOB(.map = map, .fold = MR_FOLD_SUM_I64)\n";

enum rc
mr_new(const struct world *w, const char *name, struct why *why)
{
    char *path, *text = NULL;
    int fd = -1;
    enum rc rc;

    for (const char *p = name; *p || p == name; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
            return why_set(why, RC_BAD_USAGE, "\"%s\" is no name for a job: letters, digits, '_' and '-'", name);
    if ((path = mem_printf("%s.c", name)) == NULL || (text = mem_printf(start, name, name, name, name)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = io_open(w->io, path, IO_WRITE | IO_CREATE | IO_EXCL, &fd, why)) == RC_OK)
        rc = io_pwrite(w->io, fd, text, strlen(text), 0, why);
out:
    if (fd >= 0)
        io_close(w->io, fd);
    mem_free(path);
    mem_free(text);
    return rc;
}
