#include "tests/unit/mr_memhost.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/net.h"

#define MAPS_MAX 256

struct mem_host {
    struct mr_host host;
    const struct mem_job *j;
    struct buf *out;
    int map_fd[MAPS_MAX];
    struct mr_map_index index[MAPS_MAX];
    uint32_t maps, next, part;
    int output_fd;
    struct clock clock;
    uint64_t now_us;
};

static uint64_t
mono_us(struct clock *c)
{
    return CONTAINER_OF(c, struct mem_host, clock)->now_us;
}

static uint64_t
wall_ms(struct clock *c)
{
    return mono_us(c) / 1000;
}

static enum rc
host_read(struct mr_host *h, size_t split, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    const struct mem_job *j = ((struct mem_host *)h)->j;

    (void)split;
    (void)why;
    ((struct mem_host *)h)->now_us += HOST_READ_US;
    if (j->read_max && cap > j->read_max)
        cap = j->read_max;
    if (at > j->input_bytes)
        at = j->input_bytes;
    if (cap > j->input_bytes - at)
        cap = j->input_bytes - at;
    memcpy(p, j->input + at, cap);
    *ret_n = cap;
    return RC_OK;
}

static enum rc
temp_fd(int *ret_fd, struct why *why)
{
    FILE *f = tmpfile();

    if (f == NULL)
        return why_rc(why, RC_IO);
    *ret_fd = dup(fileno(f));
    (void)fclose(f);    /* the duplicate stays */
    return RC_OK;
}

static enum rc
host_scratch(struct mr_host *h, int *ret_fd, struct why *why)
{
    ((struct mem_host *)h)->now_us += HOST_SCRATCH_US;
    return temp_fd(ret_fd, why);
}

static enum rc
host_map_output(struct mr_host *h, int *ret_fd, struct why *why)
{
    struct mem_host *m = (struct mem_host *)h;
    enum rc rc = temp_fd(ret_fd, why);

    if (rc == RC_OK)
        m->output_fd = dup(*ret_fd);
    return rc;
}

static enum rc
host_next_segment(struct mr_host *h, struct mr_segment *ret, bool *ret_more, struct why *why)
{
    struct mem_host *m = (struct mem_host *)h;
    uint32_t map;

    (void)why;
    m->now_us += HOST_SEGMENT_US;
    if ((*ret_more = m->next < m->maps) == false)
        return RC_OK;
    map = m->j->reverse ? m->maps - 1 - m->next : m->next;
    m->next++;
    ret->map = map;
    ret->fd = dup(m->map_fd[map]);
    ret->at = m->index[map].at[m->part];
    ret->bytes = m->index[map].at[m->part + 1] - ret->at;
    return RC_OK;
}

static enum rc
host_write(struct mr_host *h, const char *output, const void *p, size_t n, struct why *why)
{
    (void)why;
    ((struct mem_host *)h)->now_us += HOST_WRITE_US;
    if (output) {
        buf_put_str(((struct mem_host *)h)->out, output);
        buf_put_str(((struct mem_host *)h)->out, ": ");
    }
    buf_put(((struct mem_host *)h)->out, p, n);
    return RC_OK;
}

static void
host_progress(struct mr_host *h, const struct mr_progress *p)
{
    (void)h;
    (void)p;
}

static enum rc
host_side(struct mr_host *h, const char *name, struct mr_bytes *ret, struct why *why)
{
    const struct mem_job *j = ((struct mem_host *)h)->j;

    (void)why;
    *ret = j->side && strcmp(name, "side") == 0 ? (struct mr_bytes){ j->side, strlen(j->side) } : (struct mr_bytes){ NULL, 0 };
    return RC_OK;
}

static enum rc
host_second(struct mr_host *h, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    const struct mem_job *j = ((struct mem_host *)h)->j;
    size_t n = strlen(j->second);

    (void)why;
    if (cap > 5)
        cap = 5;
    *ret_n = at >= n ? 0 : cap < n - at ? cap : n - at;
    memcpy(p, j->second + (at < n ? at : n), *ret_n);
    return RC_OK;
}

static const struct mr_host_ops ops = {
    host_read, host_scratch, host_map_output, host_next_segment, host_write, host_progress,
    host_side, host_second, NULL, NULL,     /* nothing is kept in memory */
};

static enum rc
run_attempt(struct mem_host *m, struct mr_spec *spec, struct mr_map_index *index, int64_t counters[MRC_COUNT],
            struct why *why)
{
    struct mr_progress p;
    struct arena a;
    struct world w;
    enum rc rc;

    world_posix(&w);
    arena_init(&a, 16 * MB);
    spec->reduce_count = m->j->job->map_only ? 0 : m->j->reduces;
    spec->sort_bytes = m->j->sort_bytes;
    spec->sort_factor = m->j->sort_factor;
    spec->compress = m->j->compress;
    spec->options = m->j->options;
    spec->option_count = m->j->option_count;
    spec->second = m->j->second != NULL;
    spec->results = m->j->results;
    spec->bounds = m->j->bounds;
    spec->bound_count = m->j->bound_count;
    rc = mr_attempt_run(spec, m->j->job, &m->host, w.io, &m->clock, &a, &p, index, why);
    for (int i = 0; i < MRC_COUNT; i++)
        counters[i] += p.counters[i];
    arena_fini(&a);
    return rc;
}

enum rc
mem_job_run(const struct mem_job *j, struct buf *out, int64_t counters[MRC_COUNT], struct why *why)
{
    struct mem_host m = { .host = { &ops, j->memory }, .j = j, .out = out, .output_fd = -1, .clock = { mono_us, wall_ms } };
    struct mr_file file = { "input", j->input_bytes, j->split_bytes, mr_reader_takes_files(j->job->reader) };
    struct mr_split *splits;
    struct arena a;
    size_t n;
    enum rc rc;

    buf_init(out, GB);
    memset(counters, 0, MRC_COUNT * sizeof *counters);
    arena_init(&a, 16 * MB);
    rc = mr_split_plan(&file, 1, 1, UINT64_MAX / 4, &a, &splits, &n, why);
    m.maps = (uint32_t)n;
    for (uint32_t i = 0; rc == RC_OK && i < n; i++) {
        struct mr_spec spec = { .is_map = true, .index = i, .map_count = m.maps, .splits = &splits[i], .split_count = 1 };

        m.map_fd[i] = -1;
        rc = run_attempt(&m, &spec, &m.index[i], counters, why);
        m.map_fd[i] = m.output_fd;
        m.output_fd = -1;
    }
    for (m.part = 0; rc == RC_OK && !j->job->map_only && m.part < j->reduces; m.part++) {
        struct mr_spec spec = { .index = m.part, .map_count = m.maps };

        m.next = 0;
        rc = run_attempt(&m, &spec, NULL, counters, why);
    }
    for (uint32_t i = 0; i < m.maps; i++) {
        if (m.map_fd[i] >= 0)
            (void)close(m.map_fd[i]);
        mem_free(m.index[i].at);
        mem_free(m.index[i].crc);
    }
    arena_fini(&a);
    return rc;
}
