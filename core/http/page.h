/*
 * page -- the frame and the parts of the daemons' status pages.
 *
 * A page is text in the reply's buffer: page_begin, parts, page_end.  Values that
 * came from users go through http_escape.  Style and script are assets served
 * from /static/ by page_static, so every page keeps to default-src 'self'.
 */
#ifndef CORE_HTTP_PAGE_H
#define CORE_HTTP_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/http/http.h"

struct page_link {
    const char *path, *text;
};

struct page {
    const char *daemon;             /* "NameNode" */
    const char *where;              /* its address, or another line of identity */
    const char *title;              /* of this page; escaped here */
    const char *path;               /* of this page: its link is marked as current */
    const struct page_link *links;  /* ended by { NULL, NULL } */
    unsigned live_ms;               /* fetch again this often; 0 never */
    const char *alone;              /* more style, of a page that is a file and needs nothing else; NULL: it is served */
};

void page_begin(struct buf *b, const struct page *p);
void page_end(struct buf *b);

/* Cards: a row of labelled values.  note may be NULL; tone is "", "good", "warn" or "bad". */
void page_cards_begin(struct buf *b);
void page_card(struct buf *b, const char *label, const char *value, const char *tone, const char *note);
void page_cards_end(struct buf *b);

/* A table: heads begin with '#' where the column holds numbers.  Rows are page_row and page_cell ... in order. */
void page_table_begin(struct buf *b, const char *const *heads);
void page_row(struct buf *b);
void page_cell(struct buf *b, const char *text);                                    /* escaped */
void page_cell_wrap(struct buf *b, const char *text);                               /* escaped; long text that may break */
void page_cell_number(struct buf *b, uint64_t n);
void page_cell_bytes(struct buf *b, uint64_t n);
void page_cell_tone(struct buf *b, const char *text, const char *tone);
void page_cell_link(struct buf *b, const char *path, const char *text);             /* both escaped */
void page_cell_progress(struct buf *b, double fraction);                            /* 0 .. 1 */
/* Ends the table; with no row it says `empty` instead. */
void page_table_end(struct buf *b, const char *empty);

/* "1.5 GB", "3 d 4 h", "12,345" into out; they return out. */
const char *page_bytes(uint64_t n, char out[32]);
const char *page_duration(uint64_t ms, char out[32]);
const char *page_number(uint64_t n, char out[32]);
/* "2026-01-31 12:00:00" UTC */
const char *page_time(uint64_t wall_ms, char out[32]);

/* GET /static/...: style.css and live.js. */
void page_static(void *arg, const struct http_request *req, struct http_reply *reply);

#endif
