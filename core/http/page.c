#include "core/http/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The assets are in the program: web/style.css and web/live.js, as they are. */
#define ASSET(name, file)                                       \
    __asm__(".pushsection .rodata\n"                            \
            ".global millrace_" #name "\n"                      \
            "millrace_" #name ":\n"                             \
            ".incbin \"" WEB_DIR "/" file "\"\n"                \
            ".global millrace_" #name "_end\n"                  \
            "millrace_" #name "_end:\n"                         \
            ".byte 0\n"                                         \
            ".popsection\n");                                   \
    extern const char millrace_##name[], millrace_##name##_end[]

ASSET(style, "style.css");
ASSET(live, "live.js");
ASSET(icon, "icon.svg");

static void
put_escaped(struct buf *b, const char *text)
{
    http_escape(b, text, strlen(text));
}

void
page_begin(struct buf *b, const struct page *p)
{
    buf_put_str(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    put_escaped(b, p->title);
    buf_put_str(b, " - ");
    put_escaped(b, p->daemon);
    if (p->alone != NULL) {
        buf_put_str(b, "</title><style>\n");
        buf_put(b, millrace_style, (size_t)(millrace_style_end - millrace_style));
        buf_put_str(b, p->alone);
        buf_put_str(b, "\n</style></head>\n");
    } else {
        buf_put_str(b, "</title><link rel=\"stylesheet\" href=\"/static/style.css\"><link rel=\"icon\" href=\"/static/icon.svg\">"
                       "<script defer src=\"/static/live.js\"></script></head>\n");
    }
    buf_printf(b, "<body data-live=\"%u\"><header><div><b>", p->live_ms);
    put_escaped(b, p->daemon);
    buf_put_str(b, "</b><span>");
    put_escaped(b, p->where);
    buf_put_str(b, "</span><nav>");
    for (const struct page_link *l = p->links; l != NULL && l->path != NULL; l++)
        buf_printf(b, "<a href=\"%s\"%s>%s</a>", l->path, strcmp(l->path, p->path) == 0 ? " aria-current=\"page\"" : "",
                   l->text);
    buf_put_str(b, "</nav></div></header>\n<main><h1>");
    put_escaped(b, p->title);
    buf_put_str(b, "</h1>\n");
}

void
page_end(struct buf *b)
{
    buf_put_str(b, "</main>\n<footer>Millrace " MILLRACE_VERSION "</footer></body></html>\n");
}

void
page_cards_begin(struct buf *b)
{
    buf_put_str(b, "<dl class=\"cards\">");
}

void
page_card(struct buf *b, const char *label, const char *value, const char *tone, const char *note)
{
    buf_put_str(b, "<div class=\"card\"><dt>");
    put_escaped(b, label);
    buf_printf(b, "</dt><dd class=\"%s\">", tone);
    put_escaped(b, value);
    if (note) {
        buf_put_str(b, "<small>");
        put_escaped(b, note);
        buf_put_str(b, "</small>");
    }
    buf_put_str(b, "</dd></div>");
}

void
page_cards_end(struct buf *b)
{
    buf_put_str(b, "</dl>\n");
}

#define TABLE_MARK "<tbody>\n"

void
page_table_begin(struct buf *b, const char *const *heads)
{
    buf_put_str(b, "<div class=\"scroll\"><table><thead><tr>");
    for (; *heads; heads++) {
        bool number = (*heads)[0] == '#';

        buf_printf(b, "<th%s>", number ? " class=\"n\"" : "");
        put_escaped(b, *heads + number);
        buf_put_str(b, "</th>");
    }
    buf_put_str(b, "</tr></thead>" TABLE_MARK);
}

void
page_row(struct buf *b)
{
    buf_put_str(b, "<tr>");
}

void
page_cell(struct buf *b, const char *text)
{
    buf_put_str(b, "<td>");
    put_escaped(b, text);
    buf_put_str(b, "</td>");
}

void
page_cell_wrap(struct buf *b, const char *text)
{
    buf_put_str(b, "<td class=\"wrap\">");
    put_escaped(b, text);
    buf_put_str(b, "</td>");
}

void
page_cell_number(struct buf *b, uint64_t n)
{
    char text[32];

    buf_printf(b, "<td class=\"n\">%s</td>", page_number(n, text));
}

void
page_cell_bytes(struct buf *b, uint64_t n)
{
    char text[32];

    buf_printf(b, "<td class=\"n\">%s</td>", page_bytes(n, text));
}

void
page_cell_tone(struct buf *b, const char *text, const char *tone)
{
    buf_printf(b, "<td class=\"%s\">", tone);
    put_escaped(b, text);
    buf_put_str(b, "</td>");
}

void
page_cell_link(struct buf *b, const char *path, const char *text)
{
    buf_put_str(b, "<td><a href=\"");
    put_escaped(b, path);
    buf_put_str(b, "\">");
    put_escaped(b, text);
    buf_put_str(b, "</a></td>");
}

void
page_cell_progress(struct buf *b, double fraction)
{
    buf_printf(b, "<td><progress max=\"1\" value=\"%.3f\"></progress> %.0f %%</td>", fraction, fraction * 100);
}

void
page_table_end(struct buf *b, const char *empty)
{
    size_t mark = strlen(TABLE_MARK);
    bool none = buf_ok(b) && b->n >= mark && memcmp(b->p + b->n - mark, TABLE_MARK, mark) == 0;

    buf_put_str(b, "</tbody></table>");
    if (none) {
        buf_put_str(b, "<div class=\"empty\">");
        put_escaped(b, empty);
        buf_put_str(b, "</div>");
    }
    buf_put_str(b, "</div>\n");
}

const char *
page_bytes(uint64_t n, char out[32])
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
    double v = (double)n;
    unsigned u = 0;

    for (; v >= 1024 && u + 1 < sizeof units / sizeof *units; u++)
        v /= 1024;
    (void)snprintf(out, 32, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
    return out;
}

const char *
page_duration(uint64_t ms, char out[32])
{
    uint64_t s = ms / 1000;

    if (ms < 10000)
        (void)snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
    else if (s < 60)
        (void)snprintf(out, 32, "%" PRIu64 " s", s);
    else if (s < 3600)
        (void)snprintf(out, 32, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, 32, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(out, 32, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s % 86400 / 3600);
    return out;
}

const char *
page_number(uint64_t n, char out[32])
{
    char plain[24];
    int len = snprintf(plain, sizeof plain, "%" PRIu64, n), at = 0;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = plain[i];
    }
    out[at] = 0;
    return out;
}

const char *
page_time(uint64_t wall_ms, char out[32])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    (void)strftime(out, 32, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
    return out;
}

void
page_static(void *arg, const struct http_request *req, struct http_reply *reply)
{
    static const struct {
        const char *path, *type, *from, *to;
    } assets[] = {
        { "/static/style.css", "text/css; charset=utf-8", millrace_style, millrace_style_end },
        { "/static/live.js", "text/javascript; charset=utf-8", millrace_live, millrace_live_end },
        { "/static/icon.svg", "image/svg+xml", millrace_icon, millrace_icon_end },
    };

    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(assets); i++)
        if (strcmp(req->path, assets[i].path) == 0) {
            reply->type = assets[i].type;
            buf_put(&reply->body, assets[i].from, (size_t)(assets[i].to - assets[i].from));
            return;
        }
    reply->status = 404;
    reply->type = "text/plain; charset=utf-8";
    buf_put_str(&reply->body, "no such asset\n");
}
