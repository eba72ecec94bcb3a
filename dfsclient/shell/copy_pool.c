/* Several files at a time: the threads of put, get and cp -t. */

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/queue.h"
#include "core/io/thread.h"
#include "dfsclient/shell/copy.h"

#define JOB_BYTES (1 * MB)      /* arena of one job: a few paths */

struct job {
    struct arena arena;         /* holds the strings of both */
    struct item src, target;
};

struct copy_pool {
    struct sh *sh;
    const struct copy *c;
    struct queue *jobs;
    struct thread *threads[COPY_THREADS_MAX];
    size_t thread_count;
};

static void
free_job(struct job *j)
{
    arena_fini(&j->arena);
    mem_free(j);
}

static void
run(void *arg)
{
    struct copy_pool *p = arg;
    void *item = NULL;

    while (queue_take(p->jobs, FOREVER, &item) == RC_OK) {
        struct job *j = item;
        copy_file(p->sh, p->c, &j->src, &j->target, &j->arena);
        free_job(j);
    }
}

enum rc
copy_pool_new(struct sh *sh, const struct copy *c, size_t threads, size_t waiting, struct copy_pool **ret, struct why *why)
{
    struct copy_pool *p = mem_zalloc(sizeof *p);
    enum rc rc;

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    p->sh = sh;
    p->c = c;
    if ((rc = queue_new(sh->w.threads, waiting, &p->jobs)) != RC_OK) {
        mem_free(p);
        return why_rc(why, rc);
    }
    while (p->thread_count < threads && p->thread_count < COPY_THREADS_MAX) {
        if ((rc = thread_spawn(sh->w.threads, "copy", run, p, &p->threads[p->thread_count], why)) != RC_OK)
            break;
        p->thread_count++;
    }
    if (p->thread_count == 0) {     /* fewer than asked for will do */
        copy_pool_finish(p);
        return rc;
    }
    *ret = p;
    return RC_OK;
}

void
copy_pool_finish(struct copy_pool *p)
{
    if (p == NULL)
        return;
    queue_stop(p->jobs);
    for (size_t i = 0; i < p->thread_count; i++)
        thread_join(p->sh->w.threads, p->threads[i]);
    queue_free(p->jobs);
    mem_free(p);
}

static bool
copy_item(const struct item *it, struct arena *a, struct item *ret)
{
    *ret = *it;
    ret->path = arena_strdup(a, it->path);
    ret->shown = arena_strdup(a, it->shown);
    if (it->exists) {
        ret->st.owner = arena_strdup(a, it->st.owner);
        ret->st.group = arena_strdup(a, it->st.group);
    }
    return ret->path != NULL && ret->shown != NULL && (!it->exists || (ret->st.owner != NULL && ret->st.group != NULL));
}

enum rc
copy_pool_add(struct copy_pool *p, const struct item *src, const struct item *target, struct why *why)
{
    struct job *j = mem_zalloc(sizeof *j);
    enum rc rc = RC_NOMEM;

    if (j == NULL)
        return why_rc(why, RC_NOMEM);
    arena_init(&j->arena, JOB_BYTES);
    if (copy_item(src, &j->arena, &j->src) && copy_item(target, &j->arena, &j->target))
        rc = queue_put_wait(p->jobs, j, FOREVER);
    if (rc == RC_OK)
        return RC_OK;
    free_job(j);
    return why_rc(why, rc);
}
