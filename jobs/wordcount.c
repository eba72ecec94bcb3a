/* wordcount -- how often each word occurs; words are split at white space, bytes kept as they are. */
#include <mr.h>

static void
map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *p = rec[i].value, *end = p + rec[i].value_len;
        struct mr_bytes word;

        while (mr_word(&p, end, &word))
            mr_emit_i64(t, word.p, word.n, 1);
    }
}

MR_JOB(.map = map, .fold = MR_FOLD_SUM_I64)
