/*
 * pages_browse -- the tree: a directory's entries, a file's blocks and where they are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "namenode/pages_priv.h"

static ProtobufCBinaryData
bytes_of(const char *s)
{
    return (ProtobufCBinaryData){ strlen(s), (uint8_t *)(uintptr_t)s };
}

static const char *
mode_text(const HdfsFileStatusProto *st, char out[12])
{
    static const char letters[] = "rwxrwxrwx";
    uint32_t mode = st->permission->perm;
    bool is_dir = st->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR;

    out[0] = is_dir ? 'd' : '-';
    for (int i = 0; i < 9; i++)
        out[1 + i] = mode & (0400u >> i) ? letters[i] : '-';
    if (mode & 01000)
        out[9] = mode & 1 ? 't' : 'T';
    out[10] = 0;
    return out;
}

/* "/browse?path=..." with every byte that a query may not hold percent-encoded. */
static const char *
browse_link(struct arena *a, const char *dir, const char *name)
{
    char *out;
    struct buf b;

    buf_init(&b, 64 * KB);
    buf_put_str(&b, "/browse?path=");
    http_encode_path(&b, dir, strlen(dir));
    if (name[0] && (dir[0] == 0 || dir[strlen(dir) - 1] != '/'))
        buf_u8(&b, '/');
    http_encode_path(&b, name, strlen(name));
    out = buf_ok(&b) ? arena_strndup(a, b.p, b.n) : NULL;
    buf_fini(&b);
    return out ? out : "/browse?path=/";
}

/* The path as links to each directory on the way. */
static void
crumbs(struct buf *b, struct arena *a, const char *path)
{
    const char *p = path;

    buf_put_str(b, "<p><a href=\"/browse?path=/\">/</a>");
    while (*p) {
        const char *end;
        char *upto, *name;

        while (*p == '/')
            p++;
        if (*p == 0)
            break;
        end = strchrnul(p, '/');
        upto = arena_strndup(a, path, (size_t)(end - path));
        name = arena_strndup(a, p, (size_t)(end - p));
        if (upto == NULL || name == NULL)
            break;
        buf_put_str(b, " <a href=\"");
        http_escape(b, browse_link(a, upto, ""), strlen(browse_link(a, upto, "")));
        buf_put_str(b, "\">");
        http_escape(b, name, strlen(name));
        buf_put_str(b, *end ? "</a> /" : "</a>");
        p = end;
    }
    buf_put_str(b, "</p>\n");
}

static void
entry_row(struct buf *b, struct arena *a, const char *dir, const HdfsFileStatusProto *st)
{
    bool is_dir = st->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR;
    const char *name = pages_text(a, st->path);
    char mode[12], time[32];

    page_row(b);
    page_cell_link(b, browse_link(a, dir, name), name);
    buf_printf(b, "<td><code>%s</code></td>", mode_text(st, mode));
    page_cell(b, pages_text(a, st->owner));
    page_cell(b, pages_text(a, st->group));
    if (is_dir)
        buf_put_str(b, "<td></td><td></td><td></td>");
    else {
        page_cell_bytes(b, st->length);
        page_cell_number(b, st->block_replication);
        page_cell_bytes(b, st->blocksize);
    }
    page_cell(b, page_time(st->modification_time, time));
}

static void
show_dir(struct nn_pages *p, struct arena *a, const char *path, const char *after, struct http_reply *reply)
{
    static const char *const heads[] = { "Name", "Permission", "Owner", "Group", "#Size", "#Replication", "#Block size",
                                         "Modified (UTC)", NULL };
    GetListingRequestProto request = GET_LISTING_REQUEST_PROTO__INIT;
    const GetListingResponseProto *answer;
    struct buf *b = &reply->body;

    request.src = bytes_of(path);
    request.startafter = bytes_of(after);
    if ((answer = pages_ask(p->visitor, ROW_get_listing, &request.base, a, reply)) == NULL)
        return;
    pages_begin(p, b, path, "/browse?path=/");
    crumbs(b, a, path);
    page_table_begin(b, heads);
    for (size_t i = 0; answer->dirlist && i < answer->dirlist->n_partiallisting; i++)
        entry_row(b, a, path, answer->dirlist->partiallisting[i]);
    page_table_end(b, "This directory is empty.");
    if (answer->dirlist && answer->dirlist->remainingentries && answer->dirlist->n_partiallisting) {
        const HdfsFileStatusProto *last = answer->dirlist->partiallisting[answer->dirlist->n_partiallisting - 1];

        buf_put_str(b, "<p><a href=\"");
        http_escape(b, browse_link(a, path, ""), strlen(browse_link(a, path, "")));
        buf_put_str(b, "&amp;after=");
        http_encode_path(b, (const char *)last->path.data, last->path.len);
        buf_printf(b, "\">%u more</a></p>\n", answer->dirlist->remainingentries);
    }
    page_end(b);
}

static void
block_row(struct buf *b, struct arena *a, const LocatedBlockProto *l)
{
    char name[64], text[400];

    snprintf(name, sizeof name, "blk_%" PRIu64 "_%" PRIu64, l->b->blockid, l->b->generationstamp);
    page_row(b);
    buf_printf(b, "<td><code>%s</code></td>", name);
    page_cell_number(b, l->offset);
    page_cell_bytes(b, l->b->numbytes);
    buf_put_str(b, "<td class=\"wrap\">");
    for (size_t i = 0; i < l->n_locs; i++) {
        const DatanodeIDProto *id = l->locs[i]->id;

        snprintf(text, sizeof text, "%s%s (%s:%u)", i ? ", " : "", pages_text(a, id->hostname), pages_text(a, id->ipaddr),
                 id->xferport);
        http_escape(b, text, strlen(text));
    }
    if (l->n_locs == 0)
        buf_put_str(b, "<span class=\"bad\">no live replica</span>");
    buf_put_str(b, "</td>");
    page_cell_tone(b, l->corrupt ? "corrupt" : "good", l->corrupt ? "bad" : "good");
}

static void
show_file(struct nn_pages *p, struct arena *a, const char *path, const HdfsFileStatusProto *st, struct http_reply *reply)
{
    static const char *const heads[] = { "Block", "#Offset", "#Size", "Replicas", "State", NULL };
    GetBlockLocationsRequestProto request = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    const GetBlockLocationsResponseProto *answer;
    struct buf *b = &reply->body;
    char text[32], mode[12];

    request.src = bytes_of(path);
    request.length = INT64_MAX;
    if ((answer = pages_ask(p->visitor, ROW_get_block_locations, &request.base, a, reply)) == NULL)
        return;
    pages_begin(p, b, path, "/browse?path=/");
    crumbs(b, a, path);
    page_cards_begin(b);
    page_card(b, "Size", page_bytes(st->length, text), "", NULL);
    snprintf(text, sizeof text, "%u", st->block_replication);
    page_card(b, "Replication", text, "", NULL);
    page_card(b, "Block size", page_bytes(st->blocksize, text), "", NULL);
    page_card(b, "Owner", pages_text(a, st->owner), "", pages_text(a, st->group));
    page_card(b, "Permission", mode_text(st, mode), "", NULL);
    page_card(b, "Modified (UTC)", page_time(st->modification_time, text), "", NULL);
    page_cards_end(b);
    if (answer->locations && answer->locations->underconstruction)
        buf_put_str(b, "<p class=\"note\">This file is being written.</p>\n");
    buf_put_str(b, "<h2>Blocks</h2>\n");
    page_table_begin(b, heads);
    for (size_t i = 0; answer->locations && i < answer->locations->n_blocks; i++)
        block_row(b, a, answer->locations->blocks[i]);
    page_table_end(b, "The file is empty.");
    page_end(b);
}

void
page_browse(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct nn_pages *p = arg;
    const char *path = http_param(req, "path"), *after = http_param(req, "after");
    GetFileInfoRequestProto request = GET_FILE_INFO_REQUEST_PROTO__INIT;
    const GetFileInfoResponseProto *answer;
    struct why why;
    struct arena a;

    arena_init(&a, PAGES_ANSWER_MAX);
    if (path == NULL || path[0] != '/')
        path = "/";
    request.src = bytes_of(path);
    if ((answer = pages_ask(p->visitor, ROW_get_file_info, &request.base, &a, reply)) == NULL)
        goto out;
    if (answer->fs == NULL) {
        (void)why_set(&why, RC_NOT_FOUND, "%s does not exist", path);
        http_fail(reply, &why);
    } else if (answer->fs->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR) {
        show_dir(p, &a, path, after ? after : "", reply);
    } else {
        show_file(p, &a, path, answer->fs, reply);
    }
out:
    arena_fini(&a);
}
