#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/http/page.h"
#include "core/http/route.h"
#include "libmr/report.h"

#define DRAWN_MAX 5000              /* attempts in the timeline */
#define LISTED_MAX 2000
#define REDUCES_MAX 64              /* in the drawing of their input */
#define WIDTH 1000                  /* of a drawing, in its own units */
#define LEFT 150
#define RIGHT 24
#define LANE 16
#define BAR 13
#define TICKS 8

static const char css[] =
    "svg{display:block;width:100%;height:auto;font:11px system-ui,\"Liberation Sans\",sans-serif}"
    "svg text{fill:var(--soft)}.grid{stroke:var(--line)}.wait{opacity:.35}"
    ".c0{fill:#3b82c4}.c1{fill:#56b4d8}.c2{fill:#2f9e63}.c3{fill:#8cc152}.c4{fill:#d9a514}.c5{fill:#e07b39}.c6{fill:#a06cd5}"
    ".c7{fill:#d65db1}.c8{fill:#1c8a8a}.c9{fill:#b0563f}.c10{fill:#8a949c}.c11{fill:#b9c1c7}"
    ".map{fill:#3b82c4}.red{fill:#1c8a8a}.shuf{fill:#a06cd5}.failed{fill:#d1343a}.killed{fill:#8a949c}.lost{fill:#b0563f}"
    "td.key{display:table-cell;margin:0;color:var(--ink)}div.key{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.5rem 0;color:var(--soft);font-size:.85rem}"
    ".key svg{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem;vertical-align:-.08rem}"
    ".panel{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem}";

/* Classes of the parts of a run, as of the parts of attempts that they are like. */
static const int run_class[BENCH_PARTS] = {
    [BENCH_CLIENT] = 11, [BENCH_START] = 10, [BENCH_MAP] = 0, [BENCH_SHUFFLE] = 6, [BENCH_REDUCE] = 8, [BENCH_BARRIER] = 4,
    [BENCH_STRAGGLER] = 5, [BENCH_REDONE] = 9, [BENCH_COMMIT] = 2,
};

static void
put_escaped(struct buf *b, const char *text)
{
    http_escape(b, text, strlen(text));
}

static void
put_key(struct buf *b, const char *class, const char *text)
{
    buf_printf(b, "<span><svg viewBox=\"0 0 10 10\"><rect class=\"%s\" width=\"10\" height=\"10\" rx=\"2\"/></svg>%s</span>", class, text);
}

/* 1, 2 or 5 times a power of ten: a step that gives at most TICKS ticks. */
static double
nice_step(double all)
{
    double step = pow(10, floor(log10(all / TICKS)));

    return all / step <= TICKS ? step : all / step <= 2 * TICKS ? 2 * step : all / step <= 5 * TICKS ? 5 * step : 10 * step;
}

static void
put_grid(struct buf *b, double seconds, double height)
{
    double step = nice_step(seconds), x;

    for (int i = 0; i * step <= seconds; i++) {
        x = LEFT + (WIDTH - LEFT - RIGHT) * i * step / seconds;
        buf_printf(b, "<path class=\"grid\" d=\"M%.1f 0v%.0f\"/><text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.6g s</text>\n", x,
                   height, x, height + 14, i * step);
    }
}

/* ---- parts ---- */

static void
stacked_bar(struct buf *b, int class, const char *name, double seconds, double all, double *x)
{
    double width = all > 0 ? WIDTH * seconds / all : 0;

    if (width <= 0)
        return;
    buf_printf(b, "<rect class=\"c%d\" x=\"%.2f\" width=\"%.2f\" height=\"26\"><title>%s %.3f s</title></rect>\n", class, *x, width, name,
               seconds);
    *x += width;
}

static void
put_completion(const struct report *r, struct buf *b)
{
    char class[8], text[64];
    double x = 0;

    buf_put_str(b, "<h2>Time to completion</h2>\n<div class=\"panel\"><svg viewBox=\"0 0 1000 26\">\n");
    for (int i = 0; i < BENCH_PARTS; i++)
        stacked_bar(b, run_class[i], bench_part_names[i], r->run.part_ms[i] / 1000, r->run.total_ms / 1000, &x);
    buf_put_str(b, "</svg><div class=\"key\">");
    for (int i = 0; i < BENCH_PARTS; i++)
        if (r->run.part_ms[i] >= 0.5) {
            (void)snprintf(class, sizeof class, "c%d", run_class[i]);
            (void)snprintf(text, sizeof text, "%s %.3f s", bench_part_names[i], r->run.part_ms[i] / 1000);
            put_key(b, class, text);
        }
    buf_put_str(b, "</div></div>\n");
}

static void
put_number_cell(struct buf *b, double v, int decimals, const char *unit)
{
    buf_printf(b, "<td class=\"n\">%.*f%s</td>", decimals, v, unit);
}

static void
put_parts(const struct report *r, struct buf *b)
{
    static const char *const heads[] = { "Part", "What", "#Maps, s", "#Reduces, s", "#Share", "#Bytes", "#MB/s", NULL };
    double all = 0, x = 0;
    char class[8];

    for (int i = 0; i < REPORT_PARTS; i++)
        all += r->part_s[0][i] + r->part_s[1][i];
    buf_put_str(b, "<h2>Where the time of the attempts went</h2>\n<div class=\"panel\"><svg viewBox=\"0 0 1000 26\">\n");
    for (int i = 0; i < REPORT_PARTS; i++)
        stacked_bar(b, i, report_part_names[i].name, r->part_s[0][i] + r->part_s[1][i], all, &x);
    buf_put_str(b, "</svg></div>\n");
    page_table_begin(b, heads);
    for (int i = 0; i < REPORT_PARTS; i++) {
        const struct report_part_name *p = &report_part_names[i];
        double s = r->part_s[0][i] + r->part_s[1][i];

        page_row(b);
        (void)snprintf(class, sizeof class, "c%d", i);
        buf_put_str(b, "<td class=\"key\">");
        put_key(b, class, p->name);
        buf_put_str(b, "</td>");
        page_cell(b, p->doc);
        put_number_cell(b, r->part_s[1][i], 3, "");
        put_number_cell(b, r->part_s[0][i], 3, "");
        put_number_cell(b, all > 0 ? 100 * s / all : 0, 1, " %");
        if (p->bytes == NULL) {
            buf_put_str(b, "<td></td><td></td>");
            continue;
        }
        page_cell_bytes(b, r->part_bytes[i]);
        put_number_cell(b, s > 0 ? (double)r->part_bytes[i] / 1e6 / s : 0, 0, "");
    }
    page_table_end(b, "");
}

/* ---- timeline ---- */

static const char *
class_of(const struct report_attempt *a)
{
    if (strcmp(a->s->state, "FAILED") == 0)
        return "failed";
    if (strcmp(a->s->state, "KILLED") == 0)
        return "killed";
    if (strcmp(a->s->state, "LOST") == 0)
        return "lost";
    return a->is_map ? "map" : "red";
}

static void
put_box(struct buf *b, const char *class, double from_s, double to_s, double scale, size_t lane)
{
    double width = (to_s - from_s) * scale;

    if (to_s > from_s)
        buf_printf(b, "<rect class=\"%s\" x=\"%.2f\" y=\"%zu\" width=\"%.2f\" height=\"%d\"/>", class, LEFT + from_s * scale, lane * LANE + 1,
                   width < 0.6 ? 0.6 : width, BAR);
}

static void
put_attempt(struct buf *b, const struct report_attempt *a, double scale)
{
    double from = (double)a->from_ms / 1000, to = (double)a->to_ms / 1000, run = to, fetched = to;
    const char *class = class_of(a);

    if (a->counted) {
        run = to - (double)a->s->run_ms / 1000;
        run = run < from ? from : run;
        fetched = a->is_map ? run : run + (double)a->s->shuffle_ms / 1000;
        fetched = fetched > to ? to : fetched;
    } else {
        run = fetched = from;
    }
    buf_put_str(b, "<g><title>");
    put_escaped(b, a->s->id);
    buf_put_str(b, " on ");
    put_escaped(b, a->s->node);
    buf_printf(b, "\n%s, %.3f s to %.3f s (%.3f s)", a->s->state, from, to, to - from);
    if (a->counted)
        buf_printf(b, "\n%" PRIu64 " records, %" PRIu64 " bytes", a->records, a->bytes);
    if (a->s->reason[0] != '\0') {
        buf_put_str(b, "\n");
        put_escaped(b, a->s->reason);
    }
    buf_put_str(b, "</title>");
    if (run > from)
        buf_printf(b, "<g class=\"wait\">"), put_box(b, class, from, run, scale, a->lane), buf_put_str(b, "</g>");
    put_box(b, "shuf", run, fetched, scale, a->lane);
    put_box(b, class, fetched, to, scale, a->lane);
    buf_put_str(b, "</g>\n");
}

static void
put_timeline(const struct report *r, struct buf *b)
{
    double seconds = r->end_ms > 0 ? (double)r->end_ms / 1000 : 0.001, height = (double)(r->lane_count * LANE) + 4;
    const char *node = "";

    buf_put_str(b, "<h2>Attempts by node and slot</h2>\n<div class=\"key\">");
    put_key(b, "map", "map");
    put_key(b, "shuf", "reduce, fetching");
    put_key(b, "red", "reduce");
    put_key(b, "failed", "failed");
    put_key(b, "killed", "killed");
    put_key(b, "lost", "lost with its node");
    buf_printf(b, "</div>\n<div class=\"panel\"><svg viewBox=\"0 0 %d %.0f\">\n", WIDTH, height + 20);
    put_grid(b, seconds, height);
    for (size_t i = 0; i < r->lane_count; i++)
        if (strcmp(r->lanes[i].node, node) != 0) {
            node = r->lanes[i].node;
            buf_printf(b, "<path class=\"grid\" d=\"M0 %zuh%d\"/><text x=\"2\" y=\"%zu\">", i * LANE, WIDTH, i * LANE + 12);
            http_escape(b, node, strlen(node) < 22 ? strlen(node) : 22);
            buf_put_str(b, "</text>\n");
        }
    for (size_t i = 0; i < r->count && i < DRAWN_MAX; i++)
        put_attempt(b, &r->attempts[i], (WIDTH - LEFT - RIGHT) / seconds);
    buf_put_str(b, "</svg></div>\n");
    if (r->count > DRAWN_MAX)
        buf_printf(b, "<p class=\"soft\">Drawn are the first %d of %zu attempts.</p>\n", DRAWN_MAX, r->count);
}

/* ---- skew ---- */

static void
skew_row(struct buf *b, const char *what, const struct report_skew *s)
{
    if (s->with_most == NULL)
        return;
    page_row(b);
    page_cell(b, what);
    page_cell_number(b, s->n);
    page_cell_number(b, s->median);
    page_cell_number(b, s->most);
    put_number_cell(b, s->median > 0 ? (double)s->most / (double)s->median : s->most > 0 ? INFINITY : 1, 2, "");
    page_cell(b, s->with_most->s->id);
}

static void
put_reduces(const struct report *r, struct buf *b)
{
    size_t n = r->records[0].n < REDUCES_MAX ? r->records[0].n : REDUCES_MAX, at = 0;
    double width = (double)(WIDTH - LEFT - RIGHT) / (double)(n ? n : 1), most = (double)r->records[0].most;

    if (n < 2 || most <= 0)
        return;
    buf_printf(b, "<div class=\"panel\"><svg viewBox=\"0 0 %d 120\"><text x=\"2\" y=\"12\">records of each reduce</text>\n"
               "<path class=\"grid\" d=\"M%d 104h%d\"/>\n", WIDTH, LEFT, WIDTH - LEFT - RIGHT);
    for (size_t i = 0; i < r->count && at < n; i++) {
        const struct report_attempt *a = &r->attempts[i];
        double height = 100 * (double)a->records / most;

        if (a->is_map || !a->counted)
            continue;
        buf_printf(b, "<rect class=\"red\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>", LEFT + width * ((double)at + 0.1),
                   104 - height, width * 0.8, height);
        put_escaped(b, a->s->id);
        buf_printf(b, ": %" PRIu64 " records, %" PRIu64 " bytes</title></rect>\n", a->records, a->bytes);
        at++;
    }
    buf_put_str(b, "</svg></div>\n");
}

static void
put_skew(const struct report *r, struct buf *b)
{
    static const char *const heads[] = { "Input", "#Tasks", "#Median", "#Most", "#Most / median", "Of", NULL };
    static const char *const slow_heads[] = { "Slow attempt", "Node", "#Seconds", "#Median", "Why", NULL };

    buf_put_str(b, "<h2>Skew</h2>\n");
    page_table_begin(b, heads);
    skew_row(b, "records of maps", &r->records[1]);
    skew_row(b, "bytes of maps", &r->bytes[1]);
    skew_row(b, "records of reduces", &r->records[0]);
    skew_row(b, "bytes of reduces", &r->bytes[0]);
    page_table_end(b, "No task has ended.");
    put_reduces(r, b);
    buf_put_str(b, "<h2>Slow attempts</h2>\n");
    page_table_begin(b, slow_heads);
    for (size_t i = 0; i < r->slow_count; i++) {
        const struct report_slow *s = &r->slow[i];

        page_row(b);
        page_cell(b, s->a->s->id);
        page_cell(b, s->a->s->node);
        put_number_cell(b, (double)(s->a->to_ms - s->a->from_ms) / 1000, 3, "");
        put_number_cell(b, s->median_s, 3, "");
        page_cell_wrap(b, s->why);
    }
    page_table_end(b, "None took half as long again as the median of its kind.");
}

/* ---- the rest ---- */

static void
put_counters(const struct report *r, struct buf *b)
{
    static const char *const heads[] = { "Counter", "#Value", NULL };
    char text[32];

    buf_put_str(b, "<h2>Counters</h2>\n<details><summary>Show them</summary>\n");
    page_table_begin(b, heads);
    for (size_t i = 0; i < r->job->n_counters; i++) {
        page_row(b);
        page_cell(b, r->job->counters[i]->name);
        (void)snprintf(text, sizeof text, "%" PRId64, r->job->counters[i]->value);
        buf_printf(b, "<td class=\"n\">%s</td>", text);
    }
    page_table_end(b, "Nothing was counted.");
    buf_put_str(b, "</details>\n");
}

static void
put_attempts(const struct report *r, struct buf *b)
{
    static const char *const heads[] = { "Attempt", "State", "Node", "#From, s", "#To, s", "#Records", "#Bytes", "#start", "#read",
                                         "#parse", "#map", "#fold", "#sort", "#spill", "#fetch", "#merge", "#reduce", "#write",
                                         "#other", "Reason", NULL };
    static const enum report_part order[REPORT_PARTS] = { REPORT_START, REPORT_READ, REPORT_PARSE, REPORT_MAP, REPORT_FOLD,
                                                          REPORT_SORT, REPORT_SPILL, REPORT_FETCH, REPORT_MERGE, REPORT_REDUCE,
                                                          REPORT_WRITE, REPORT_OTHER };

    buf_put_str(b, "<h2>Attempts</h2>\n<details><summary>Show them</summary>\n");
    page_table_begin(b, heads);
    for (size_t i = 0; i < r->count && i < LISTED_MAX; i++) {
        const struct report_attempt *a = &r->attempts[i];
        const char *tone = a->counted ? "good" : strcmp(a->s->state, "FAILED") == 0 ? "bad" : "";

        page_row(b);
        page_cell(b, a->s->id);
        page_cell_tone(b, a->s->state, tone);
        page_cell(b, a->s->node);
        put_number_cell(b, (double)a->from_ms / 1000, 3, "");
        put_number_cell(b, (double)a->to_ms / 1000, 3, "");
        page_cell_number(b, a->records);
        page_cell_number(b, a->bytes);
        for (int k = 0; k < REPORT_PARTS; k++)
            put_number_cell(b, a->part_s[order[k]], 3, "");
        page_cell_wrap(b, a->s->reason);
    }
    page_table_end(b, "None has started.");
    if (r->count > LISTED_MAX)
        buf_printf(b, "<p class=\"soft\">Listed are the first %d of %zu.</p>\n", LISTED_MAX, r->count);
    buf_put_str(b, "</details>\n");
}

static void
put_cards(const struct report *r, struct buf *b)
{
    const JtJobStatus *j = r->job;
    const char *tone = strcmp(j->state, "SUCCEEDED") == 0 ? "good" : strcmp(j->state, "FAILED") == 0 ? "bad" : "warn";
    char text[64], when[32];

    page_cards_begin(b);
    page_card(b, "State", j->state, tone, j->reason[0] != '\0' ? j->reason : NULL);
    (void)snprintf(text, sizeof text, "%.3f s", (double)r->end_ms / 1000);
    page_card(b, j->finished_ms != 0 ? "Took" : "Runs for", text, "", page_time(j->submitted_ms, when));
    (void)snprintf(text, sizeof text, "%u of %u", j->maps->done, j->maps->total);
    page_card(b, "Maps", text, "", NULL);
    (void)snprintf(text, sizeof text, "%u of %u", j->reduces->done, j->reduces->total);
    page_card(b, "Reduces", text, "", NULL);
    (void)snprintf(text, sizeof text, "%zu", r->count);
    page_card(b, "Attempts", text, "", NULL);
    page_card(b, "User", j->user, "", NULL);
    page_cards_end(b);
}

static void
put_path(const struct report *r, struct buf *b)
{
    struct buf text;
    char *line, *rest;

    buf_init(&text, 64 * KB);
    report_path(r, &text);
    buf_u8(&text, '\0');
    if (buf_ok(&text))
        for (line = strtok_r((char *)text.p, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
            buf_put_str(b, "<p>");
            put_escaped(b, line);
            buf_put_str(b, "</p>\n");
        }
    buf_fini(&text);
}

void
report_page(const struct report *r, struct buf *out)
{
    const struct page page = { .daemon = "Report", .where = r->job->id, .title = r->job->name[0] ? r->job->name : r->job->id,
                               .alone = css };

    page_begin(out, &page);
    put_cards(r, out);
    put_path(r, out);
    if (r->run.total_ms > 0)
        put_completion(r, out);
    put_timeline(r, out);
    put_parts(r, out);
    put_skew(r, out);
    put_counters(r, out);
    put_attempts(r, out);
    page_end(out);
}
