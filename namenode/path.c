#include "namenode/path.h"

#include <string.h>

#include "core/proto/ids.h"
#include "namenode/dirs.h"

#define PATH_CHARS_MAX 8000
#define PATH_LEVELS_MAX 1000

static bool
span_is(struct span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* The next component of rest, empty ones skipped; false at the end. */
static bool
next_name(struct span *rest, struct span *ret)
{
    const uint8_t *end;

    while (rest->n > 0 && rest->p[0] == '/') {
        rest->p++;
        rest->n--;
    }
    if (rest->n == 0)
        return false;
    end = memchr(rest->p, '/', rest->n);
    *ret = span_of(rest->p, end == NULL ? rest->n : (size_t)(end - rest->p));
    rest->p += ret->n;
    rest->n -= ret->n;
    return true;
}

const char *
nn_path_prefix(struct arena *arena, const struct nn_path *p, size_t at)
{
    const uint8_t *end;

    if (at == 0)
        return "/";
    end = p->names[at].p + p->names[at].n;
    return arena_strndup(arena, p->text.p, (size_t)(end - p->text.p));
}

/* Split src; names point into a fresh text without empty components. */
static enum rc
split(struct arena *arena, struct span src, struct nn_path *ret, struct why *why)
{
    struct span rest = src, name;
    size_t depth = 0, n = 0;
    uint8_t *text;

    while (next_name(&rest, &name))
        depth++;
    *ret = (struct nn_path){ .depth = depth };
    text = arena_alloc(arena, src.n + 2);
    ret->names = arena_calloc(arena, depth + 1, sizeof *ret->names);
    ret->inodes = arena_calloc(arena, depth + 1, sizeof *ret->inodes);
    if (text == NULL || ret->names == NULL || ret->inodes == NULL)
        return why_rc(why, RC_NOMEM);
    rest = src;
    for (size_t i = 1; next_name(&rest, &name); i++) {
        text[n++] = '/';
        memcpy(text + n, name.p, name.n);
        ret->names[i] = span_of(text + n, name.n);
        n += name.n;
    }
    if (depth == 0)
        text[n++] = '/';
    text[n] = '\0';
    ret->names[0] = span_of(text, 0);
    ret->text = span_of(text, n);
    return RC_OK;
}

/* "/.reserved/.inodes/<id>/rest" is the path of that inode and rest; "/.reserved/raw/path" is path, as nothing is
 * encrypted. */
static enum rc
expand_reserved(struct nn_db *db, struct arena *arena, struct span src, struct nn_path *p, struct why *why)
{
    struct span path, rest;
    uint64_t id = 0;
    bool found = false;
    char *joined;
    enum rc rc;

    if (p->depth < 3 || !span_is(p->names[1], ".reserved"))
        return RC_OK;
    if (span_is(p->names[2], "raw")) {
        const uint8_t *end = p->names[2].p + p->names[2].n;
        return split(arena, span_of(end, (size_t)(p->text.p + p->text.n - end)), p, why);
    }
    if (!span_is(p->names[2], ".inodes"))
        return RC_OK;
    for (size_t i = 0; i < p->names[3].n; i++) {
        if (p->names[3].p[i] < '0' || p->names[3].p[i] > '9' || id > UINT64_MAX / 16)
            return why_set(why, RC_NOT_FOUND, "Invalid inode path: %.*s", (int)src.n, (const char *)src.p);
        id = id * 10 + (uint64_t)(p->names[3].p[i] - '0');
    }
    if ((rc = nn_inode_path(db, arena, id, &path, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return why_set(why, RC_NOT_FOUND, "File for given inode path does not exist: %.*s", (int)src.n, (const char *)src.p);
    rest = span_of(p->names[3].p + p->names[3].n, (size_t)(p->text.p + p->text.n - (p->names[3].p + p->names[3].n)));
    joined = arena_printf(arena, "%.*s%.*s", (int)path.n, (const char *)path.p, (int)rest.n, (const char *)rest.p);
    if (joined == NULL)
        return why_rc(why, RC_NOMEM);
    return split(arena, span_of(joined, strlen(joined)), p, why);
}

/* Component `at` of the path into p->inodes; the last one is always read from the tables. */
static enum rc
find_component(struct nn_db *db, struct nn_path *p, size_t at, bool *ret_found, struct why *why)
{
    uint64_t parent = at == 0 ? 0 : p->inodes[at - 1].id;
    bool last = at == p->depth;
    enum rc rc;

    if (!last && (*ret_found = nn_dirs_find(db, parent, p->names[at], &p->inodes[at])))
        return RC_OK;
    if (at == 0)
        rc = nn_inode_find(db, ROOT_INODE, &p->inodes[0], ret_found, why);
    else
        rc = nn_inode_find_child(db, parent, p->names[at], &p->inodes[at], ret_found, why);
    if (rc == RC_OK && *ret_found && !last && p->inodes[at].type == NN_DIR)
        nn_dirs_add(db, parent, p->names[at], &p->inodes[at]);
    return rc;
}

enum rc
nn_path_lookup(struct nn_db *db, struct arena *arena, struct span src, struct nn_path *ret, struct why *why)
{
    bool found;
    enum rc rc;

    if (src.n == 0 || src.p[0] != '/')
        return why_set(why, RC_ASSERTION, "Absolute path required, but got '%.*s'", (int)src.n, (const char *)src.p);
    if (src.n > PATH_CHARS_MAX * 4 || memchr(src.p, 0, src.n) != NULL)
        return why_set(why, RC_BAD_PATH, "Invalid path name %.*s", (int)(src.n > 200 ? 200 : src.n), (const char *)src.p);
    if ((rc = split(arena, src, ret, why)) != RC_OK || (rc = expand_reserved(db, arena, src, ret, why)) != RC_OK)
        return rc;
    if ((rc = find_component(db, ret, 0, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return why_set(why, RC_CORRUPT, "the database has no root directory");
    while (ret->found < ret->depth && ret->inodes[ret->found].type == NN_DIR) {
        if ((rc = find_component(db, ret, ret->found + 1, &found, why)) != RC_OK)
            return rc;
        if (!found)
            break;
        ret->found++;
    }
    return RC_OK;
}

/* Well-formed UTF-8 without a NUL. */
static bool
is_text(struct span s)
{
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        size_t more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : (c & 0xf8) == 0xf0 ? 3 : 4;
        uint32_t v = more == 0 ? c : c & (0x3fu >> more);
        static const uint32_t least[] = { 1, 0x80, 0x800, 0x10000 };

        if (more == 4 || i + more >= s.n)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((s.p[i + k] & 0xc0) != 0x80)
                return false;
            v = v << 6 | (s.p[i + k] & 0x3fu);
        }
        if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
            return false;
        i += more + 1;
    }
    return true;
}

static bool
is_valid_name(struct span name, bool may_be_empty)
{
    if (name.n == 0)
        return may_be_empty;
    return !span_is(name, ".") && !span_is(name, "..") && memchr(name.p, ':', name.n) == NULL;
}

enum rc
nn_path_check_new(struct span src, const char *text, struct why *why)
{
    size_t start = 1;
    bool ok = src.n > 0 && src.p[0] == '/' && is_text(src);

    for (size_t i = 1; ok && i <= src.n; i++) {
        if (i < src.n && src.p[i] != '/')
            continue;
        ok = is_valid_name(span_of(src.p + start, i - start), i == src.n);     /* one "/" at the end is fine */
        start = i + 1;
    }
    if (!ok)
        return why_set(why, RC_BAD_PATH, "Invalid path name %s%.*s", text, (int)src.n, (const char *)src.p);
    return RC_OK;
}

enum rc
nn_path_check_length(struct span src, const char *method, struct why *why)
{
    size_t levels = 0;

    for (size_t i = 0; i < src.n; i++)
        levels += src.p[i] == '/';
    if (src.n > PATH_CHARS_MAX || levels > PATH_LEVELS_MAX)
        return why_set(why, RC_IO_EXCEPTION, "%s: Pathname too long.  Limit %d characters, %d levels.", method,
                       PATH_CHARS_MAX, PATH_LEVELS_MAX);
    return RC_OK;
}
