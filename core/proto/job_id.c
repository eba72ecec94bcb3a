#include "core/proto/job_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *
job_id_text(uint64_t created_ms, uint64_t number, char out[JOB_ID_TEXT])
{
    time_t s = (time_t)(created_ms / 1000);
    struct tm tm;

    (void)gmtime_r(&s, &tm);
    (void)snprintf(out, JOB_ID_TEXT, "job_%04d%02d%02d%02d%02d_%04" PRIu64, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                   tm.tm_hour, tm.tm_min, number);
    return out;
}

const char *
attempt_id_text(const char *job_id, bool is_map, uint32_t task, uint32_t attempt, char out[ATTEMPT_ID_TEXT])
{
    (void)snprintf(out, ATTEMPT_ID_TEXT, "attempt_%s_%c_%06u_%u", job_id + strlen("job_"), is_map ? 'm' : 'r', task, attempt);
    return out;
}

uint64_t
job_id_parse(uint64_t created_ms, const char *text)
{
    char want[JOB_ID_TEXT];
    const char *last = strrchr(text, '_');
    uint64_t number;

    if (last == NULL || (number = strtoull(last + 1, NULL, 10)) == 0)
        return 0;
    return strcmp(job_id_text(created_ms, number, want), text) == 0 ? number : 0;
}
