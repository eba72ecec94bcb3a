#include "namenode/groups.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "core/io/thread.h"
#include "namenode/nn.h"

#define KEEP_MS 300000
#define USERS_MAX 100000        /* then all are forgotten */
#define GROUPS_MAX 1024         /* of one user */
#define ENTRY_MAX (1 * MB)      /* one line of the group file */

/* ---- the system's ---- */

/* The name of a group; NULL when it has none.  The caller frees it. */
static char *
group_name(gid_t id)
{
    struct group gr, *found = NULL;
    char *name = NULL;

    for (size_t n = 4 * KB; n <= ENTRY_MAX && name == NULL; n *= 4) {
        char *text = mem_alloc(n);
        int e = text == NULL ? ENOMEM : getgrgid_r(id, &gr, text, n, &found);

        if (e == 0 && found != NULL)
            name = mem_strdup(found->gr_name);
        mem_free(text);
        if (e != ERANGE)
            break;
    }
    return name;
}

static void
each_system_group(const struct nn_groups *g, const char *user, void (*on_group)(void *arg, const char *group), void *arg)
{
    char text[16 * 1024];
    struct passwd pw, *found;
    gid_t ids[GROUPS_MAX];
    int n = GROUPS_MAX;

    (void)g;
    if (getpwnam_r(user, &pw, text, sizeof text, &found) != 0 || found == NULL)
        return;
    if (getgrouplist(user, pw.pw_gid, ids, &n) < 0)
        n = GROUPS_MAX;         /* more than fit: the first ones count */
    for (int i = 0; i < n; i++) {
        char *name = group_name(ids[i]);

        if (name != NULL)
            on_group(arg, name);
        mem_free(name);
    }
}

const struct nn_groups *
nn_groups_system(void)
{
    static const struct nn_groups system = { each_system_group };

    return &system;
}

/* ---- the cache ---- */

struct user {
    UT_hash_handle hh;
    uint64_t until_ms;          /* mono */
    struct buf groups;          /* names, each with its NUL */
    char name[];
};

struct nn_group_cache {
    struct threads *threads;
    struct mutex *lock;
    struct user *users;         /* under lock */
};

static void
free_user(struct user *u)
{
    if (u == NULL)
        return;
    buf_fini(&u->groups);
    mem_free(u);
}

static void
forget_all(struct nn_group_cache *c)
{
    struct user *u, *next;

    HASH_ITER(hh, c->users, u, next) {
        HASH_DELETE(hh, c->users, u);
        free_user(u);
    }
}

enum rc
nn_group_cache_new(const struct nn *nn, struct nn_group_cache **ret, struct why *why)
{
    struct nn_group_cache *c = mem_zalloc(sizeof *c);

    if (c == NULL || (c->lock = mutex_new(nn->world->threads)) == NULL) {
        mem_free(c);
        return why_rc(why, RC_NOMEM);
    }
    c->threads = nn->world->threads;
    *ret = c;
    return RC_OK;
}

void
nn_group_cache_free(struct nn_group_cache *c)
{
    if (c == NULL)
        return;
    forget_all(c);
    mutex_free(c->threads, c->lock);
    mem_free(c);
}

static void
add_name(void *arg, const char *group)
{
    struct user *u = arg;

    buf_put(&u->groups, group, strlen(group) + 1);
}

/* Asked now; NULL when memory is short: the user is then in no group for this call. */
static struct user *
ask(const struct nn *nn, const char *name)
{
    struct user *u = mem_zalloc(sizeof *u + strlen(name) + 1);

    if (u == NULL)
        return NULL;
    memcpy(u->name, name, strlen(name) + 1);
    buf_init(&u->groups, 1 * MB);
    u->until_ms = clock_mono_ms(nn->world->clock) + KEEP_MS;
    nn->groups->each(nn->groups, name, add_name, u);
    if (buf_ok(&u->groups))
        return u;
    free_user(u);
    return NULL;
}

static void
tell(const struct user *u, void (*on_group)(void *arg, const char *group), void *arg)
{
    for (size_t i = 0; i < u->groups.n; i += strlen((const char *)u->groups.p + i) + 1)
        on_group(arg, (const char *)u->groups.p + i);
}

void
nn_groups_each(const struct nn *nn, const char *name, void (*on_group)(void *arg, const char *group), void *arg)
{
    struct nn_group_cache *c = nn->group_cache;
    struct user *u, *old;

    mutex_lock(c->threads, c->lock);
    HASH_FIND_STR(c->users, name, u);
    if (u != NULL && u->until_ms > clock_mono_ms(nn->world->clock)) {
        tell(u, on_group, arg);
        mutex_unlock(c->threads, c->lock);
        return;
    }
    mutex_unlock(c->threads, c->lock);
    if ((u = ask(nn, name)) == NULL)        /* without the lock: it may take long */
        return;
    tell(u, on_group, arg);
    mutex_lock(c->threads, c->lock);
    if (HASH_COUNT(c->users) >= USERS_MAX)
        forget_all(c);
    HASH_FIND_STR(c->users, name, old);
    if (old != NULL)
        HASH_DELETE(hh, c->users, old);
    HASH_ADD_STR(c->users, name, u);
    mutex_unlock(c->threads, c->lock);
    free_user(old);
}
