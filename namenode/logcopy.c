#include "namenode/logcopy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"
#include "core/io/crc.h"

/* docs/formats/namenode-copy.md has these layouts. */
#define MAGIC "MRNL"
#define VERSION 1
#define HEAD_BYTES 32
#define RECORD_BYTES 25         /* before the row */
#define FILE_MAX ((size_t)1 << 30)
#define NAME_BYTES 64

/* Checksums of records begin with whose log it is, so that bytes of another log, or of a user's making, are no record. */
static uint32_t
seed_of(const struct nn_logcopy_id *id)
{
    uint8_t b[12];

    put_be32(b, id->namespace_id);
    put_be64(b + 4, id->created_ms);
    return crc32c(0, b, sizeof b);
}

static uint64_t
get_be64(const uint8_t *p)
{
    return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

void
nn_logcopy_put_head(struct buf *b, const struct nn_logcopy_id *id, uint64_t first_txid)
{
    uint8_t head[HEAD_BYTES] = MAGIC;

    head[4] = VERSION;
    put_be32(head + 8, id->namespace_id);
    put_be64(head + 12, id->created_ms);
    put_be64(head + 20, first_txid);
    put_be32(head + 28, crc32c(0, head, 28));
    buf_put(b, head, sizeof head);
}

void
nn_logcopy_put(struct buf *b, const struct nn_logcopy_id *id, const struct nn_logcopy_record *rec)
{
    uint8_t head[RECORD_BYTES];
    uint32_t crc;

    put_be32(head, (uint32_t)rec->row.n);
    head[8] = (uint8_t)rec->kind;
    put_be64(head + 9, rec->txid);
    put_be64(head + 17, rec->at_ms);
    crc = crc32c(seed_of(id), head, 4);
    crc = crc32c(crc, head + 8, RECORD_BYTES - 8);
    crc = crc32c(crc, rec->row.p, rec->row.n);
    put_be32(head + 4, crc);
    buf_put(b, head, sizeof head);
    if (rec->row.n > 0)
        buf_put(b, rec->row.p, rec->row.n);
}

/* The record at the front of s; its length, 0 when there is no whole and good one. */
static size_t
parse(struct span s, uint32_t seed, struct nn_logcopy_record *ret)
{
    uint32_t n, crc;

    if (s.n < RECORD_BYTES)
        return 0;
    n = get_be32(s.p);
    if (n > s.n - RECORD_BYTES || (s.p[8] != NN_LOGCOPY_GROUP && s.p[8] != NN_LOGCOPY_UNDONE))
        return 0;
    crc = crc32c(seed, s.p, 4);
    crc = crc32c(crc, s.p + 8, RECORD_BYTES - 8 + n);
    if (crc != get_be32(s.p + 4))
        return 0;
    *ret = (struct nn_logcopy_record){ .kind = s.p[8], .txid = get_be64(s.p + 9), .at_ms = get_be64(s.p + 17),
                                       .row = span_of(s.p + RECORD_BYTES, n) };
    return RECORD_BYTES + n;
}

static struct span
behind(struct span s, size_t n)
{
    return span_of(s.p + n, s.n - n);
}

/* Is there a good record anywhere in s?  Then what stands before it is damaged, not cut short. */
static bool
has_record(struct span s, uint32_t seed)
{
    struct nn_logcopy_record rec;

    for (size_t i = 0; i + RECORD_BYTES <= s.n; i++)
        if (parse(behind(s, i), seed, &rec) > 0)
            return true;
    return false;
}

enum rc
nn_logcopy_read(struct span bytes, struct nn_logcopy_id *ret_id, uint64_t *ret_first, nn_logcopy_fn *fn, void *arg,
                struct why *why)
{
    struct span s = bytes;
    struct nn_logcopy_record rec, next;
    uint32_t seed;
    size_t n, m;
    enum rc rc;

    if (s.n < HEAD_BYTES || memcmp(s.p, MAGIC, 4) != 0)
        return why_set(why, RC_CORRUPT, "it does not begin as a segment of the log does");
    if (s.p[4] != VERSION)
        return why_set(why, RC_BAD_FORMAT, "its format has version %u, this NameNode knows version %d", s.p[4], VERSION);
    if (get_be32(s.p + 28) != crc32c(0, s.p, 28))
        return why_set(why, RC_CORRUPT, "its head does not match its checksum");
    *ret_id = (struct nn_logcopy_id){ get_be32(s.p + 8), get_be64(s.p + 12) };
    *ret_first = get_be64(s.p + 20);
    seed = seed_of(ret_id);
    s = behind(s, HEAD_BYTES);
    while ((n = parse(s, seed, &rec)) > 0) {
        s = behind(s, n);
        if ((m = parse(s, seed, &next)) > 0 && next.kind == NN_LOGCOPY_UNDONE && next.txid == rec.txid) {
            s = behind(s, m);
            continue;
        }
        if (rec.kind == NN_LOGCOPY_GROUP && fn != NULL && (rc = fn(arg, &rec, why)) != RC_OK)
            return rc;
    }
    if (s.n > 0 && has_record(behind(s, 1), seed))
        return why_set(why, RC_CORRUPT, "the record at byte %zu is damaged", bytes.n - s.n);
    return RC_OK;
}

char *
nn_logcopy_segment_path(const char *dir, uint64_t first_txid)
{
    return mem_printf("%s/edits-%020llu.log", dir, (unsigned long long)first_txid);
}

char *
nn_logcopy_backup_path(const char *dir, uint64_t txid)
{
    return mem_printf("%s/backup-%020llu.db", dir, (unsigned long long)txid);
}

/* ---- a directory ---- */

struct listing {
    uint64_t *segments;         /* first transactions, ascending */
    size_t segment_count, segment_cap;
    uint64_t *backups;
    size_t backup_count, backup_cap;
    bool bad;                   /* out of memory */
};

static bool
add(uint64_t **list, size_t *count, size_t *cap, uint64_t v)
{
    if (!mem_room(list, *count, cap, sizeof **list))
        return false;
    (*list)[(*count)++] = v;
    return true;
}

/* The number in name when it is written as format would write it. */
static bool
number_in(const char *name, const char *prefix, const char *suffix, uint64_t *ret)
{
    char again[NAME_BYTES];
    size_t n = strlen(prefix);

    if (strncmp(name, prefix, n) != 0)
        return false;
    *ret = strtoull(name + n, NULL, 10);
    snprintf(again, sizeof again, "%s%020llu%s", prefix, (unsigned long long)*ret, suffix);
    return strcmp(again, name) == 0;
}

static bool
on_name(void *arg, const char *name)
{
    struct listing *l = arg;
    uint64_t v;

    if (number_in(name, "edits-", ".log", &v))
        l->bad |= !add(&l->segments, &l->segment_count, &l->segment_cap, v);
    else if (number_in(name, "backup-", ".db", &v))
        l->bad |= !add(&l->backups, &l->backup_count, &l->backup_cap, v);
    return !l->bad;
}

static void
listing_fini(struct listing *l)
{
    mem_free(l->segments);
    mem_free(l->backups);
}

static enum rc
list_dir(struct io *io, const char *dir, struct listing *l, struct why *why)
{
    enum rc rc;

    *l = (struct listing){ 0 };
    if ((rc = io_list(io, dir, on_name, l, why)) == RC_OK && l->bad)
        rc = why_rc(why, RC_NOMEM);
    return rc;
}

/* The machine stopped before the head of this segment was on the disk. */
static bool
is_headless(struct span s)
{
    if (s.n < HEAD_BYTES)
        return true;
    for (size_t i = 0; i < HEAD_BYTES; i++)
        if (s.p[i] != 0)
            return false;
    return true;
}

struct scan {
    struct nn_logcopy_state *state;
    nn_logcopy_fn *fn;
    void *arg;
};

static enum rc
on_record(void *arg, const struct nn_logcopy_record *rec, struct why *why)
{
    struct scan *s = arg;
    struct nn_logcopy_state *st = s->state;
    enum rc rc;

    if (rec->txid <= st->backup)
        return RC_OK;
    if (rec->txid != st->last + 1)
        return why_set(why, RC_CORRUPT, "the log goes from transaction %llu to %llu", (unsigned long long)st->last,
                       (unsigned long long)rec->txid);
    if (s->fn != NULL && (rc = s->fn(s->arg, rec, why)) != RC_OK)
        return rc;
    st->last = rec->txid;
    st->last_sum = crc32c(0, rec->row.p, rec->row.n);
    st->last_is_logged = true;
    return RC_OK;
}

static enum rc
scan_segment(struct io *io, const char *dir, uint64_t first, struct scan *s, struct why *why)
{
    struct nn_logcopy_state *st = s->state;
    char *path = nn_logcopy_segment_path(dir, first);
    struct nn_logcopy_id id = { 0 };
    uint64_t named = first;
    uint8_t *bytes = NULL;
    size_t n = 0;
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if (first > st->last + 1) {
        rc = why_set(why, RC_CORRUPT, "the log goes from transaction %llu to %llu", (unsigned long long)st->last,
                     (unsigned long long)first);
        goto out;
    }
    if ((rc = io_read_file(io, path, FILE_MAX, &bytes, &n, why)) != RC_OK ||
        is_headless(span_of(bytes, n)))
        goto out;
    rc = nn_logcopy_read(span_of(bytes, n), &id, &named, on_record, s, why);
    if (rc == RC_OK && named != first)
        rc = why_set(why, RC_CORRUPT, "it says that it begins with transaction %llu", (unsigned long long)named);
    if (rc == RC_OK && st->has_id && (id.namespace_id != st->id.namespace_id || id.created_ms != st->id.created_ms))
        rc = why_set(why, RC_CORRUPT, "it belongs to another namespace than the segment before");
    st->id = rc == RC_OK ? id : st->id;
    st->has_id |= rc == RC_OK;
out:
    if (rc != RC_OK)
        (void)why_prefix(why, "%s", path);
    mem_free(bytes);
    mem_free(path);
    return rc;
}

enum rc
nn_logcopy_scan(struct io *io, const char *dir, nn_logcopy_fn *fn, void *arg, struct nn_logcopy_state *ret, struct why *why)
{
    struct scan s = { .state = ret, .fn = fn, .arg = arg };
    struct listing l;
    size_t i = 0;
    enum rc rc;

    *ret = (struct nn_logcopy_state){ 0 };
    if ((rc = list_dir(io, dir, &l, why)) != RC_OK) {
        rc = rc == RC_SYS_NOT_FOUND ? RC_OK : rc;
        goto out;
    }
    ret->has_files = l.segment_count + l.backup_count > 0;
    if (l.backup_count > 0) {
        ret->has_backup = true;
        ret->backup = ret->last = l.backups[l.backup_count - 1];
    }
    while (i + 1 < l.segment_count && l.segments[i + 1] <= ret->backup + 1)
        i++;            /* the backup has all of it */
    for (; i < l.segment_count; i++)
        if ((rc = scan_segment(io, dir, l.segments[i], &s, why)) != RC_OK)
            break;
out:
    listing_fini(&l);
    return rc;
}

enum rc
nn_logcopy_trim(struct io *io, const char *dir, uint64_t backup, struct why *why)
{
    struct listing l;
    char *path = NULL;
    enum rc rc;

    if ((rc = list_dir(io, dir, &l, why)) != RC_OK)
        goto out;
    for (size_t i = 0; i < l.backup_count && rc == RC_OK; i++) {
        if (l.backups[i] == backup)
            continue;
        mem_free(path);
        rc = (path = nn_logcopy_backup_path(dir, l.backups[i])) == NULL ? why_rc(why, RC_NOMEM) : io_unlink(io, path, why);
    }
    for (size_t i = 0; i + 1 < l.segment_count && l.segments[i + 1] <= backup + 1 && rc == RC_OK; i++) {
        mem_free(path);
        rc = (path = nn_logcopy_segment_path(dir, l.segments[i])) == NULL ? why_rc(why, RC_NOMEM) : io_unlink(io, path, why);
    }
out:
    mem_free(path);
    listing_fini(&l);
    return rc;
}
