#include "libmr/bench_plot.h"

#include <math.h>

#define WIDTH 960
#define HEIGHT 420
#define TOP 60
#define BOTTOM 60
#define LEFT 60                     /* of the bars */
#define BARS 420
#define LEGEND 500
#define LINES 660                   /* left end of the speed-up */
#define PLOT (HEIGHT - TOP - BOTTOM)

static const char *const colours[BENCH_PARTS] = {
    [BENCH_CLIENT] = "#9aa0a6", [BENCH_START] = "#f2c14e", [BENCH_MAP] = "#1f6fb4", [BENCH_SHUFFLE] = "#8f5db7",
    [BENCH_REDUCE] = "#2a9d55", [BENCH_BARRIER] = "#f4a261", [BENCH_STRAGGLER] = "#d1495b", [BENCH_REDONE] = "#5c1a1b",
    [BENCH_COMMIT] = "#444444",
};

static void
put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '<' || *text == '>' || *text == '&')
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text, out);
}

/* The least value not below v whose quarters are short numbers. */
static double
axis_top(double v)
{
    static const double steps[] = { 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 };
    double unit = pow(10, floor(log10(v / 4)));
    size_t i = 0;

    while (i + 1 < sizeof steps / sizeof *steps && 4 * steps[i] * unit < v)
        i++;
    return 4 * steps[i] * unit;
}

static void
put_axis(FILE *out, int x, int width, double top, const char *name)
{
    for (int i = 0; i <= 4; i++) {
        double y = TOP + PLOT - PLOT * i / 4.0;

        fprintf(out, "<path d=\"M%d %.1fh%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", x, y,
                width, x - 6, y + 4, top * i / 4);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\">%s</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">nodes</text>\n", x, TOP - 12,
            name, x + width / 2, HEIGHT - 16);
}

static void
put_bars(FILE *out, const struct bench_row *rows, size_t n, double top)
{
    double step = (double)BARS / (double)n, width = step * 0.7;

    for (size_t r = 0; r < n; r++) {
        double x = LEFT + step * (double)r + (step - width) / 2, y = TOP + PLOT;

        for (int i = 0; i < BENCH_PARTS; i++) {
            double ms = rows[r].run->part_ms[i], h = PLOT * ms / top;

            y -= h;
            fprintf(out, "<rect x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\"><title>%s %.3f s</title></rect>\n",
                    x, y, width, h, colours[i], bench_part_names[i], ms / 1000);
        }
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n<text x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">%.2f s</text>\n", x + width / 2, HEIGHT - BOTTOM + 18, rows[r].nodes, x + width / 2, y - 5,
                rows[r].run->total_ms / 1000);
    }
    for (int i = 0; i < BENCH_PARTS; i++)
        fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">%s</text>\n", LEGEND,
                TOP + 20 * (BENCH_PARTS - 1 - i), colours[i], LEGEND + 18, TOP + 20 * (BENCH_PARTS - 1 - i) + 10,
                bench_part_names[i]);
}

/* Both axes begin at 0 and end at the most nodes, by the least. */
static void
put_lines(FILE *out, const struct bench_row *rows, size_t n, double most, double top)
{
    double width = WIDTH - LINES - 30, ideal = most / rows[0].nodes;

    fprintf(out, "<path d=\"M%d %dL%.1f %.1f\" stroke=\"#999\" stroke-dasharray=\"5 4\"/>\n<polyline fill=\"none\" stroke=\"#1f6fb4\" "
            "stroke-width=\"2\" points=\"", LINES, TOP + PLOT, LINES + width, TOP + PLOT - PLOT * ideal / top);
    for (size_t r = 0; r < n; r++)
        fprintf(out, "%.1f,%.1f ", LINES + width * rows[r].nodes / most, TOP + PLOT - PLOT * rows[r].speed_up / top);
    fprintf(out, "\"/>\n");
    for (size_t r = 0; r < n; r++)
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"#1f6fb4\"/><text x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%u</text>\n", LINES + width * rows[r].nodes / most,
                TOP + PLOT - PLOT * rows[r].speed_up / top, LINES + width * rows[r].nodes / most, HEIGHT - BOTTOM + 18,
                rows[r].nodes);
}

void
bench_plot_write(FILE *out, const char *title, const struct bench_row *rows, size_t n)
{
    double slowest = 1, most = 1, top = 1;

    for (size_t r = 0; r < n; r++) {
        slowest = rows[r].run->total_ms > slowest ? rows[r].run->total_ms : slowest;
        most = rows[r].nodes > most ? rows[r].nodes : most;
        top = rows[r].speed_up > top ? rows[r].speed_up : top;
    }
    top = most / rows[0].nodes > top ? most / rows[0].nodes : top;
    top = axis_top(top);
    slowest = axis_top(slowest * 1.05 / 1000) * 1000;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"24\" font-size=\"15\">",
            WIDTH, HEIGHT, LEFT);
    put_text(out, title);
    fprintf(out, "</text>\n");
    put_axis(out, LEFT, BARS, slowest / 1000, "seconds");
    put_bars(out, rows, n, slowest);
    put_axis(out, LINES, WIDTH - LINES - 30, top, "speed-up");
    put_lines(out, rows, n, most, top);
    fprintf(out, "</svg>\n");
}
