/* What a journal of load says must be there. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/table.h"
#include "tests/cluster/load.h"

#define WORKERS_MAX 64
#define LINE_MAX_BYTES 4096

struct entry {
    struct load_file f;
    struct entry *next;
    UT_hash_handle hh;
};

/* The call that a worker is in. */
struct pending {
    char op;                /* 0: none */
    char path[LOAD_PATH_MAX], to[LOAD_PATH_MAX];
    uint64_t a, b;
};

struct replay {
    struct entry *by_path;
    struct pending pending[WORKERS_MAX];
};

static struct load_file *
file_of(struct replay *r, const char *path)
{
    struct entry *e;

    HASH_FIND_STR(r->by_path, path, e);
    if (e == NULL) {
        if ((e = mem_zalloc(sizeof *e)) == NULL)
            abort();
        (void)snprintf(e->f.path, sizeof e->f.path, "%s", path);
        HASH_ADD_KEYPTR(hh, r->by_path, e->f.path, strlen(e->f.path), e);
    }
    return &e->f;
}

static void
copy_content(struct load_file *to, const struct load_file *from)
{
    to->is_dir = from->is_dir;
    to->closed = from->closed;
    to->torn = from->torn;
    to->seed = from->seed;
    to->bytes_min = from->bytes_min;
    to->bytes_max = from->bytes_max;
    to->flushed = from->flushed;
}

/* All below path too. */
static void
set_state_below(struct replay *r, const char *path, int state)
{
    size_t n = strlen(path);
    struct entry *e, *next;

    HASH_ITER(hh, r->by_path, e, next)
        if (strncmp(e->f.path, path, n) == 0 && e->f.path[n] == '/' && e->f.state != LOAD_GONE)
            e->f.state = state;
}

/* Before the call: from here on its effect may be there. */
static void
begin(struct replay *r, struct pending *p)
{
    struct load_file *f = file_of(r, p->path), *to;

    switch (p->op) {
    case LOAD_MKDIR:
        f->is_dir = true;
        f->state = LOAD_MAYBE;
        break;
    case LOAD_CREATE:
        *f = (struct load_file){ .state = LOAD_MAYBE, .seed = p->a, .bytes_max = p->b, .torn = true };
        (void)snprintf(f->path, sizeof f->path, "%s", p->path);
        break;
    case LOAD_APPEND:
        f->closed = false;
        f->torn = true;
        f->bytes_max = p->b;
        break;
    case LOAD_RENAME:
        to = file_of(r, p->to);
        copy_content(to, f);
        f->state = to->state = LOAD_MAYBE;
        (void)snprintf(f->partner, sizeof f->partner, "%s", to->path);
        (void)snprintf(to->partner, sizeof to->partner, "%s", f->path);
        break;
    case LOAD_DELETE:
        f->state = LOAD_MAYBE;
        set_state_below(r, p->path, LOAD_MAYBE);
        break;
    default:
        break;
    }
}

/* The call succeeded. */
static void
end(struct replay *r, const struct pending *p)
{
    struct load_file *f = file_of(r, p->path), *to;

    switch (p->op) {
    case LOAD_MKDIR:
    case LOAD_CREATE:
        f->state = LOAD_THERE;
        break;
    case LOAD_FLUSH:
        f->flushed = p->a;
        break;
    case LOAD_SYNC:
        f->flushed = f->bytes_min = p->a;
        break;
    case LOAD_CLOSE:
        f->flushed = f->bytes_min = f->bytes_max = p->a;
        f->closed = true;
        f->torn = false;
        break;
    case LOAD_RENAME:
        to = file_of(r, p->to);
        f->state = LOAD_GONE;
        to->state = LOAD_THERE;
        f->partner[0] = to->partner[0] = '\0';
        break;
    case LOAD_DELETE:
        f->state = LOAD_GONE;
        set_state_below(r, p->path, LOAD_GONE);
        break;
    default:
        break;
    }
}

static bool
take_intent(struct replay *r, struct pending *p, const char *text)
{
    char op, path[LOAD_PATH_MAX], rest[LOAD_PATH_MAX] = "";
    uint64_t b = 0;
    int n = sscanf(text, "%c %255s %255s %" SCNu64, &op, path, rest, &b);

    if (n < 2)
        return false;
    *p = (struct pending){ .op = op, .b = b };
    (void)snprintf(p->path, sizeof p->path, "%s", path);
    (void)snprintf(p->to, sizeof p->to, "%s", rest);
    p->a = strtoull(rest, NULL, 10);        /* 0 where it is a name */
    begin(r, p);
    return true;
}

/* A line without its end was being written when the writer was killed. */
static bool
take_line(struct replay *r, char *line)
{
    unsigned worker;
    char kind, op;
    int at = 0;

    if (line[strlen(line) - 1] != '\n')
        return true;
    if (sscanf(line, "%u %c %n", &worker, &kind, &at) < 2 || worker >= WORKERS_MAX)
        return false;
    if (kind == 'X')
        return true;                        /* said by whoever reads the journal besides us */
    if (kind == '?')
        return take_intent(r, &r->pending[worker], line + at);
    if (sscanf(line + at, "%c", &op) != 1)
        return false;
    if (op == LOAD_READ)
        return true;
    if (op != r->pending[worker].op)
        return false;
    if (kind == '+')
        end(r, &r->pending[worker]);
    r->pending[worker].op = 0;
    return kind == '+' || kind == '!';
}

bool
load_replay(const char *journal, void (*on_file)(void *arg, struct load_file *f), void *arg)
{
    struct replay *r = mem_zalloc(sizeof *r);
    struct entry *e, *next;
    char line[LINE_MAX_BYTES];
    FILE *in = fopen(journal, "re");
    bool good = r != NULL && in != NULL;

    while (good && fgets(line, sizeof line, in) != NULL)
        if (!(good = take_line(r, line)))
            fprintf(stderr, "load: %s: %s", journal, line);
    if (in != NULL)
        (void)fclose(in);                   /* read */
    if (r == NULL)
        return false;
    HASH_ITER(hh, r->by_path, e, next) {
        if (good)
            on_file(arg, &e->f);
        HASH_DEL(r->by_path, e);
        mem_free(e);
    }
    mem_free(r);
    return good;
}
