/* mr report: where a job's time went, as one HTML file. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "libmr/cmd.h"
#include "libmr/report.h"

#define ARENA ((size_t)4 * GB)
#define PAGE_MAX (256 * MB)

static enum rc
ask(struct mr_cmd *c, char *job, struct arena *a, struct report *ret, struct why *why)
{
    const JtAttemptsReply *r;
    const JtJobStatus *s;
    enum rc rc;

    if ((rc = mr_ask_job(c, job, true, a, &s, &r, why)) != RC_OK)
        return rc;
    return report_init(ret, s, r->attempts, r->n_attempts, clock_wall_ms(c->w.clock), why);
}

static int
write_file(const struct report *r, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    struct buf page;
    bool bad;

    buf_init(&page, PAGE_MAX);
    report_page(r, &page);
    bad = f == NULL || !buf_ok(&page) || fwrite(page.p, 1, page.n, f) != page.n || fflush(f) != 0;
    buf_fini(&page);
    if (f != NULL && f != stdout && fclose(f) != 0)
        bad = true;
    if (bad) {
        fprintf(stderr, "mr: %s cannot be written\n", path);
        return MR_FAILED;
    }
    if (f != stdout)
        printf("report in %s\n", path);
    return MR_DONE;
}

static void
print_path(const struct report *r)
{
    struct buf text;

    buf_init(&text, 64 * KB);
    report_path(r, &text);
    if (buf_ok(&text))
        printf("%.*s", (int)text.n, (const char *)text.p);
    buf_fini(&text);
    for (size_t i = 0; i < r->slow_count; i++)
        printf("Slow: %s on %s took %.3f s, the median %.3f s: %s.\n", r->slow[i].a->s->id, r->slow[i].a->s->node,
               (double)(r->slow[i].a->to_ms - r->slow[i].a->from_ms) / 1000, r->slow[i].median_s, r->slow[i].why);
}

int
mr_cmd_report(struct mr_cmd *c, int argc, char **argv)
{
    const char *path = NULL;
    char *job = NULL, name[160];
    struct report r;
    struct arena a;
    struct why why;
    int status;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (argv[i][0] == '-')
            return mr_misused("report: what is %s?", argv[i]);
        else if (job != NULL)
            return mr_misused("report: one job, not also %s", argv[i]);
        else
            job = argv[i];
    }
    if (job == NULL)
        return mr_misused("report: which job? give its id; `mr ps --all` lists them", NULL);
    arena_init(&a, ARENA);
    if (ask(c, job, &a, &r, &why) != RC_OK) {
        status = mr_complain(&why);
    } else {
        (void)snprintf(name, sizeof name, "%s.html", r.job->id);
        if (path == NULL || strcmp(path, "-") != 0)
            print_path(&r);
        status = write_file(&r, path != NULL ? path : name);
        report_fini(&r);
    }
    arena_fini(&a);
    return status;
}
