/*
 * plot.h -- lines over a common x axis as SVG text: what drivers write beside their tables.
 */
#ifndef JOBS_PLOT_H
#define JOBS_PLOT_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PLOT_SERIES 6
#define PLOT_WIDTH 720
#define PLOT_HEIGHT 400
#define PLOT_LEFT 80
#define PLOT_TOP 40
#define PLOT_RIGHT 20
#define PLOT_BOTTOM 50

struct plot_series {
    const char *name;
    const double *x, *y;
    size_t n;
};

struct plot {
    const char *title, *x_name, *y_name;
    struct plot_series series[PLOT_SERIES];
    size_t count;
};

static inline void plot_range(const struct plot *p, int of_y, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t s = 0; s < p->count; s++)
        for (size_t i = 0; i < p->series[s].n; i++) {
            double v = of_y ? p->series[s].y[i] : p->series[s].x[i];

            *low = v < *low ? v : *low;
            *high = v > *high ? v : *high;
        }
    if (!(*low < *high)) {
        *low = isfinite(*low) ? *low - 0.5 : 0;
        *high = *low + 1;
    }
}

/* Write the plot to out. */
static inline void plot_write(const struct plot *p, FILE *out)
{
    static const char *const colours[PLOT_SERIES] = { "#1f6fb4", "#d1495b", "#2a9d55", "#8f5db7", "#b9770e", "#444444" };
    double x0, x1, y0, y1, w = PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT, h = PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM;

    plot_range(p, 0, &x0, &x1);
    plot_range(p, 1, &y0, &y1);
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
            "<text x=\"%d\" y=\"22\" font-size=\"15\">%s</text>\n", PLOT_WIDTH, PLOT_HEIGHT, PLOT_LEFT, p->title);
    for (int i = 0; i <= 4; i++) {
        double x = PLOT_LEFT + w * i / 4, y = PLOT_TOP + h - h * i / 4;

        fprintf(out, "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>\n", PLOT_LEFT, y, PLOT_WIDTH - PLOT_RIGHT,
                PLOT_LEFT - 6, y + 4, y0 + (y1 - y0) * i / 4, x, PLOT_HEIGHT - PLOT_BOTTOM + 18, x0 + (x1 - x0) * i / 4);
    }
    fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n<text x=\"16\" y=\"%.1f\" "
            "text-anchor=\"middle\" transform=\"rotate(-90 16 %.1f)\">%s</text>\n", PLOT_LEFT + w / 2, PLOT_HEIGHT - 10,
            p->x_name, PLOT_TOP + h / 2, PLOT_TOP + h / 2, p->y_name);
    for (size_t s = 0; s < p->count; s++) {
        const struct plot_series *v = &p->series[s];

        fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colours[s]);
        for (size_t i = 0; i < v->n; i++)
            fprintf(out, "%.1f,%.1f ", PLOT_LEFT + w * (v->x[i] - x0) / (x1 - x0), PLOT_TOP + h - h * (v->y[i] - y0) / (y1 - y0));
        fprintf(out, "\"/>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"%s\">%s</text>\n", PLOT_WIDTH - PLOT_RIGHT - 8,
                PLOT_TOP + 16 + 16 * (int)s, colours[s], v->name);
    }
    fprintf(out, "</svg>\n");
}

#endif
