#include "namenode/fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *fsck_float(float v, char out[32])
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(out, 32, "%.*g", digits, (double)v);
        if (strtof(out, NULL) == v)
            break;
    }
    if (strchr(out, 'e') != NULL)
        snprintf(out, 32, "%.1f", (double)v);
    if (strchr(out, '.') == NULL)
        snprintf(out + strlen(out), 32 - strlen(out), ".0");
    return out;
}

const char *fsck_date(uint64_t wall_ms, char out[40])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 40, "%a %b %d %H:%M:%S UTC %Y", &tm);
    return out;
}

/* One block, judged. */
struct judged {
    unsigned live, leaving, left;   /* replicas on live nodes: staying, being decommissioned, decommissioned */
    bool missing, corrupt;
};

static struct judged judge(const LocatedBlockProto *b, const struct fsck_live *live)
{
    struct judged j = { .corrupt = b->corrupt };

    for (size_t i = 0; i < b->n_locs && !b->corrupt; i++) {
        if (!live->is_live(live->arg, b->locs[i]->id->datanodeuuid))
            continue;
        switch (b->locs[i]->adminstate) {
        case DATANODE_INFO_PROTO__ADMIN_STATE__DECOMMISSION_INPROGRESS: j.leaving++; break;
        case DATANODE_INFO_PROTO__ADMIN_STATE__DECOMMISSIONED: j.left++; break;
        case DATANODE_INFO_PROTO__ADMIN_STATE__NORMAL:
        case DATANODE_INFO_PROTO__ADMIN_STATE__ENTERING_MAINTENANCE:
        case DATANODE_INFO_PROTO__ADMIN_STATE__IN_MAINTENANCE:
        case _DATANODE_INFO_PROTO__ADMIN_STATE_IS_INT_SIZE: j.live++; break;
        }
    }
    j.missing = !j.corrupt && j.live + j.leaving + j.left == 0;
    return j;
}

static void put_id(struct buf *out, const ExtendedBlockProto *b)
{
    buf_printf(out, "%.*s:blk_%" PRIu64 "_%" PRIu64, (int)b->poolid.len, (const char *)b->poolid.data, b->blockid,
               b->generationstamp);
}

static void put_locations(struct buf *out, const struct fsck_ask *ask, const struct fsck_live *live, const LocatedBlockProto *b)
{
    buf_put_str(out, "  [");
    for (size_t i = 0; i < b->n_locs; i++) {
        const DatanodeInfoProto *n = b->locs[i];
        char address[300];

        snprintf(address, sizeof address, "%.*s:%" PRIu32, (int)n->id->ipaddr.len, (const char *)n->id->ipaddr.data,
                 n->id->xferport);
        buf_put_str(out, i > 0 ? ", " : "");
        if (ask->racks) {
            buf_printf(out, "%.*s/%s", (int)n->location.len, (const char *)n->location.data, address);
            continue;
        }
        buf_printf(out, "DatanodeInfoWithStorage[%s,%.*s,DISK]", address,
                   i < b->n_storageids ? (int)b->storageids[i].len : 0,
                   i < b->n_storageids ? (const char *)b->storageids[i].data : "");
        if (ask->details)
            buf_put_str(out, b->corrupt ? "(CORRUPT)" : !live->is_live(live->arg, n->id->datanodeuuid) ? "(DEAD)" :
                        n->adminstate == DATANODE_INFO_PROTO__ADMIN_STATE__NORMAL ? "(LIVE)" : "(DECOMMISSIONING)");
    }
    buf_u8(out, ']');
}

static void put_block(struct buf *out, const struct fsck_ask *ask, const struct fsck_live *live, size_t number,
                      const LocatedBlockProto *b, const struct judged *j)
{
    buf_printf(out, "%zu. ", number);
    put_id(out, b->b);
    buf_printf(out, " len=%" PRIu64, b->b->numbytes);
    if (j->missing) {
        buf_put_str(out, " MISSING!\n");
        return;
    }
    buf_printf(out, " Live_repl=%u", j->live);
    if (ask->locations || ask->racks || ask->details)
        put_locations(out, ask, live, b);
    buf_u8(out, '\n');
}

static bool is_open_block(const LocatedBlocksProto *l, const LocatedBlockProto *b)
{
    return l->underconstruction && !l->islastblockcomplete && l->lastblock != NULL && l->lastblock->b->blockid == b->b->blockid;
}

/* What is wrong with the blocks of one file. */
struct wrong { uint64_t missing, missing_bytes, corrupt, corrupt_bytes, under; };

static void say_under(struct buf *out, const struct fsck_ask *ask, const char *path, const LocatedBlockProto *b,
                      const struct judged *j, uint32_t wanted)
{
    if (!ask->files)
        buf_printf(out, "\n%s: ", path);
    buf_put_str(out, " Under replicated ");
    put_id(out, b->b);
    buf_printf(out, ". Target Replicas is %" PRIu32 " but found %u live replica(s), %u decommissioned replica(s), %u "
               "decommissioning replica(s).\n", wanted, j->live, j->left, j->leaving);
}

static void count_block(struct fsck_counts *c, const struct fsck_ask *ask, const char *path, const LocatedBlockProto *b,
                        const struct judged *j, uint32_t wanted, uint64_t replication_min, struct wrong *w, struct buf *out)
{
    c->blocks++;
    c->live_replicas += j->live;
    c->wanted_replicas += wanted;
    c->minimal += j->live + j->leaving + j->left >= replication_min;
    c->over += j->live > wanted;
    if (j->corrupt) {
        w->corrupt++;
        w->corrupt_bytes += b->b->numbytes;
        buf_printf(out, "\n%s: CORRUPT blockpool %.*s block blk_%" PRIu64 "\n", path, (int)b->b->poolid.len,
                   (const char *)b->b->poolid.data, b->b->blockid);
    } else if (j->missing) {
        w->missing++;
        w->missing_bytes += b->b->numbytes;
    } else if (j->live < wanted) {
        w->under++;
        c->missing_replicas += wanted - j->live;
        say_under(out, ask, path, b, j, wanted);
    }
}

static void say_wrong(struct buf *out, const struct fsck_ask *ask, const char *path, const struct wrong *w)
{
    if (w->missing > 0 && ask->files)
        buf_printf(out, " MISSING %" PRIu64 " blocks of total size %" PRIu64 " B\n", w->missing, w->missing_bytes);
    else if (w->missing > 0)
        buf_printf(out, "\n%s: MISSING %" PRIu64 " blocks of total size %" PRIu64 " B.", path, w->missing, w->missing_bytes);
    if (w->corrupt > 0 && ask->files)
        buf_printf(out, " CORRUPT %" PRIu64 " blocks of total size %" PRIu64 " B\n", w->corrupt, w->corrupt_bytes);
    else if (w->corrupt > 0)
        buf_printf(out, "\n%s: CORRUPT %" PRIu64 " blocks of total size %" PRIu64 " B.", path, w->corrupt, w->corrupt_bytes);
}

void fsck_dir(struct fsck_counts *c, const struct fsck_ask *ask, const char *path, struct buf *out)
{
    c->dirs++;
    if (ask->files)
        buf_printf(out, "%s <dir>\n", path);
}

void fsck_file(struct fsck_counts *c, const struct fsck_ask *ask, const struct fsck_live *live, const char *path,
               const HdfsFileStatusProto *st, const LocatedBlocksProto *l, uint64_t replication_min, struct buf *out)
{
    struct wrong w = { 0 };
    struct buf lines;

    if (l->underconstruction && !ask->open_files) {
        c->open_files++;
        c->open_bytes += l->filelength;
        c->open_blocks += l->n_blocks;
        return;
    }
    c->files++;
    c->bytes += st->length;
    if (ask->files || l->underconstruction)
        buf_printf(out, "%s %" PRIu64 " bytes, replicated: replication=%" PRIu32 ", %zu block(s)%s: ", path, st->length,
                   st->block_replication, l->n_blocks, l->underconstruction ? ", OPENFORWRITE" : "");
    buf_init(&lines, 64 * MB);
    for (size_t i = 0; i < l->n_blocks; i++) {
        struct judged j = judge(l->blocks[i], live);

        if (is_open_block(l, l->blocks[i]))
            j = (struct judged){ .live = (unsigned)l->blocks[i]->n_locs };      /* being written: what it will have */
        else
            count_block(c, ask, path, l->blocks[i], &j, st->block_replication, replication_min, &w, out);
        if (ask->blocks)
            put_block(&lines, ask, live, i, l->blocks[i], &j);
    }
    c->missing += w.missing;
    c->corrupt += w.corrupt;
    c->missing_bytes += w.missing_bytes;
    c->corrupt_bytes += w.corrupt_bytes;
    c->under += w.under;
    c->bad_files += w.missing + w.corrupt > 0;
    say_wrong(out, ask, path, &w);
    if ((ask->files || l->underconstruction) && w.missing + w.corrupt + w.under == 0)
        buf_put_str(out, " OK\n");
    if (ask->files && ask->blocks) {
        buf_put(out, lines.p, lines.n);
        buf_u8(out, '\n');
    }
    out->bad |= lines.bad;
    buf_fini(&lines);
}

/* ":\tN" and, when there are blocks, " (X %)". */
static void share(struct buf *out, const char *label, uint64_t n, uint64_t of)
{
    char text[32];

    buf_printf(out, "%s\t%" PRIu64, label, n);
    if (of > 0)
        buf_printf(out, " (%s %%)", fsck_float((float)(n * 100) / (float)of, text));
    buf_u8(out, '\n');
}

#define STARS "  ********************************\n"

static void say_bad(const struct fsck_counts *c, const struct fsck_cluster *cluster, struct buf *out)
{
    buf_put_str(out, STARS);
    if (c->blocks > c->minimal) {
        share(out, "  UNDER MIN REPL'D BLOCKS:", c->blocks - c->minimal, c->blocks);
        buf_printf(out, "  MINIMAL BLOCK REPLICATION:\t%" PRIu64 "\n", cluster->replication_min);
    }
    buf_printf(out, "  CORRUPT FILES:\t%" PRIu64 "\n", c->bad_files);
    if (c->missing > 0)
        buf_printf(out, "  MISSING BLOCKS:\t%" PRIu64 "\n  MISSING SIZE:\t\t%" PRIu64 " B\n", c->missing, c->missing_bytes);
    if (c->corrupt > 0)
        buf_printf(out, "  CORRUPT BLOCKS: \t%" PRIu64 "\n  CORRUPT SIZE:\t\t%" PRIu64 " B\n", c->corrupt, c->corrupt_bytes);
    buf_put_str(out, STARS);
}

static void say_blocks(const struct fsck_counts *c, const struct fsck_cluster *cluster, struct buf *out)
{
    char text[32];

    share(out, " Minimally replicated blocks:", c->minimal, c->blocks);
    share(out, " Over-replicated blocks:", c->over, c->blocks);
    share(out, " Under-replicated blocks:", c->under, c->blocks);
    share(out, " Mis-replicated blocks:\t", 0, c->blocks);
    buf_printf(out, " Default replication factor:\t%" PRIu64 "\n", cluster->replication);
    buf_printf(out, " Average block replication:\t%s\n",
               fsck_float(c->blocks == 0 ? 0 : (float)c->live_replicas / (float)c->blocks, text));
    buf_printf(out, " Missing blocks:\t\t%" PRIu64 "\n Corrupt blocks:\t\t%" PRIu64 "\n", c->missing, c->corrupt);
    share(out, " Missing replicas:\t", c->missing_replicas, c->wanted_replicas);
    buf_printf(out, " Blocks queued for replication:\t%" PRIu64 "\n", c->under);
}

void fsck_summary(const struct fsck_counts *c, const struct fsck_cluster *cluster, struct buf *out)
{
    bool bad = c->missing + c->corrupt > 0;

    buf_printf(out, "\nStatus: %s\n Number of data-nodes:\t%" PRIu64 "\n Number of racks:\t\t%" PRIu64 "\n Total dirs:\t\t\t%" PRIu64
               "\n Total symlinks:\t\t0\n\nReplicated Blocks:\n Total size:\t%" PRIu64 " B", bad ? "CORRUPT" : "HEALTHY",
               cluster->nodes, cluster->racks, c->dirs, c->bytes);
    if (c->open_bytes > 0)
        buf_printf(out, " (Total open files size: %" PRIu64 " B)", c->open_bytes);
    buf_printf(out, "\n Total files:\t%" PRIu64, c->files);
    if (c->open_files > 0)
        buf_printf(out, " (Files currently being written: %" PRIu64 ")", c->open_files);
    buf_printf(out, "\n Total blocks (validated):\t%" PRIu64, c->blocks);
    if (c->blocks > 0)
        buf_printf(out, " (avg. block size %" PRIu64 " B)", c->bytes / c->blocks);
    if (c->open_blocks > 0)
        buf_printf(out, " (Total open file blocks (not validated): %" PRIu64 ")", c->open_blocks);
    buf_u8(out, '\n');
    if (bad)
        say_bad(c, cluster, out);
    say_blocks(c, cluster, out);
    buf_put_str(out, "\nErasure Coded Block Groups:\n Total size:\t0 B\n Total files:\t0\n Total block groups (validated):\t0\n"
                " Minimally erasure-coded block groups:\t0\n Over-erasure-coded block groups:\t0\n"
                " Under-erasure-coded block groups:\t0\n Unsatisfactory placement block groups:\t0\n"
                " Average block group size:\t0.0\n Missing block groups:\t\t0\n Corrupt block groups:\t\t0\n"
                " Missing internal blocks:\t0\n Blocks queued for replication:\t0\n");
}
