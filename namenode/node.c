#include "namenode/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

void nn_nodes_init(struct nn_nodes *t)
{
    memset(t, 0, sizeof *t);
}

static void node_free(struct nn_node *n)
{
    if (n == NULL)
        return;
    nn_orders_clear(n);
    mem_free(n->uuid);
    mem_free(n->host);
    mem_free(n->host_name);
    mem_free(n->rack);
    mem_free(n->address);
    mem_free(n->storages);
    mem_free(n);
}

static void storage_free(struct nn_storage *s)
{
    if (s == NULL)
        return;
    nn_seen_free(s->seen);
    mem_free(s->uuid);
    mem_free(s);
}

void nn_nodes_fini(struct nn_nodes *t)
{
    HASH_CLEAR(hh, t->by_uuid);
    HASH_CLEAR(hh, t->storage_by_uuid);
    for (size_t i = 0; i < t->storage_count; i++)
        storage_free(t->storages[i]);
    for (size_t i = 0; i < t->count; i++)
        node_free(t->all[i]);
    mem_free(t->storages);
    mem_free(t->all);
    memset(t, 0, sizeof *t);
}

struct nn_node *nn_node_find(const struct nn_nodes *t, const char *uuid)
{
    struct nn_node *n;

    HASH_FIND_STR(t->by_uuid, uuid, n);
    return n;
}

struct nn_node *nn_node_find_address(const struct nn_nodes *t, const char *host, uint16_t data_port)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->all[i]->data_port == data_port && t->all[i]->host != NULL && strcmp(t->all[i]->host, host) == 0)
            return t->all[i];
    return NULL;
}

struct nn_storage *nn_storage_find(const struct nn_nodes *t, const char *uuid)
{
    struct nn_storage *s;

    HASH_FIND_STR(t->storage_by_uuid, uuid, s);
    return s;
}

struct nn_storage *nn_storage_at(const struct nn_nodes *t, uint32_t no)
{
    return no == 0 || no > t->storage_count ? NULL : t->storages[no - 1];
}

enum rc nn_node_add(struct nn_nodes *t, const char *uuid, uint64_t now_ms, struct nn_node **ret, struct why *why)
{
    struct nn_node *n = nn_node_find(t, uuid);

    if (n != NULL) {
        *ret = n;
        return RC_OK;
    }
    if ((n = mem_zalloc(sizeof *n)) == NULL || (n->uuid = mem_strdup(uuid)) == NULL ||
        (n->rack = mem_strdup(NN_DEFAULT_RACK)) == NULL || (n->host = mem_strdup("")) == NULL ||
        (n->host_name = mem_strdup("")) == NULL || (n->address = mem_strdup("")) == NULL ||
        !mem_room(&t->all, t->count, &t->cap, sizeof *t->all)) {
        node_free(n);
        return why_rc(why, RC_NOMEM);
    }
    n->heard_ms = now_ms;
    t->all[t->count++] = n;
    HASH_ADD_KEYPTR(hh, t->by_uuid, n->uuid, strlen(n->uuid), n);
    t->changes++;
    *ret = n;
    return RC_OK;
}

/* Replace *text by a copy of now; false when memory is short. */
static bool set_text(char **text, const char *now)
{
    char *copy;

    if (strcmp(*text, now) == 0)
        return true;
    if ((copy = mem_strdup(now)) == NULL)
        return false;
    mem_free(*text);
    *text = copy;
    return true;
}

enum rc nn_node_set_address(struct nn_nodes *t, struct nn_node *n, const char *host, const char *host_name,
                            uint16_t data_port, uint16_t ipc_port, uint16_t http_port, struct why *why)
{
    char address[300];

    snprintf(address, sizeof address, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, (unsigned)data_port);
    if (!set_text(&n->host, host) || !set_text(&n->host_name, host_name) || !set_text(&n->address, address))
        return why_rc(why, RC_NOMEM);
    n->data_port = data_port;
    n->ipc_port = ipc_port;
    n->http_port = http_port;
    t->changes++;
    return RC_OK;
}

enum rc nn_node_set_rack(struct nn_nodes *t, struct nn_node *n, const char *rack, struct why *why)
{
    if (!set_text(&n->rack, rack))
        return why_rc(why, RC_NOMEM);
    t->changes++;
    return RC_OK;
}

static bool node_takes(struct nn_node *n, struct nn_storage *s)
{
    struct nn_storage **grown = mem_realloc(n->storages, (n->storage_count + 1) * sizeof(*grown));

    if (grown == NULL)
        return false;
    n->storages = grown;
    n->storages[n->storage_count++] = s;
    s->node = n;
    return true;
}

static void node_loses(struct nn_node *n, const struct nn_storage *s)
{
    for (size_t i = 0; i < n->storage_count; i++)
        if (n->storages[i] == s) {
            memmove(n->storages + i, n->storages + i + 1, (n->storage_count - i - 1) * sizeof(struct nn_storage *));
            n->storage_count--;
            return;
        }
}

enum rc nn_storage_add(struct nn_nodes *t, struct nn_node *n, const char *uuid, uint32_t no, struct nn_storage **ret,
                       struct why *why)
{
    struct nn_storage *s = nn_storage_find(t, uuid);

    if (s != NULL) {
        if (s->node != n) {                 /* a disk that was carried to another machine */
            struct nn_node *from = s->node;

            if (!node_takes(n, s))
                return why_rc(why, RC_NOMEM);
            if (from != NULL)
                node_loses(from, s);
            s->confirmed = false;
            t->changes++;
        }
        *ret = s;
        return RC_OK;
    }
    if (no == 0)
        no = (uint32_t)t->storage_count + 1;
    if (no > NN_STORAGES_MAX)
        return why_set(why, RC_BUSY, "more than %d storages in one cluster", NN_STORAGES_MAX);
    if (no <= t->storage_count && t->storages[no - 1] != NULL)
        return why_set(why, RC_CORRUPT, "two storages have the number %" PRIu32, no);
    if ((s = mem_zalloc(sizeof *s)) == NULL || (s->uuid = mem_strdup(uuid)) == NULL)
        goto nomem;
    while (t->storage_count < no) {
        if (!mem_room(&t->storages, t->storage_count, &t->storage_cap, sizeof *t->storages))
            goto nomem;
        t->storages[t->storage_count++] = NULL;
    }
    s->no = no;
    if (!node_takes(n, s))
        goto nomem;
    t->storages[no - 1] = s;
    HASH_ADD_KEYPTR(hh, t->storage_by_uuid, s->uuid, strlen(s->uuid), s);
    t->changes++;
    *ret = s;
    return RC_OK;
nomem:
    storage_free(s);
    return why_rc(why, RC_NOMEM);
}

void nn_nodes_forgive(struct nn_nodes *t, uint64_t ms)
{
    for (size_t i = 0; i < t->count; i++)
        t->all[i]->heard_ms += ms;
}

void nn_node_begin(struct nn_nodes *t, struct nn_node *n, uint64_t epoch, uint64_t now_ms, uint64_t wall_ms)
{
    nn_orders_clear(n);
    n->order_seq = 0;
    n->registered = true;
    n->dead = false;
    n->epoch = epoch;
    n->heard_ms = now_ms;
    n->heard_wall_ms = wall_ms;
    n->transfers = n->planned = n->copying = n->failed_volumes = 0;
    for (size_t i = 0; i < n->storage_count; i++) {
        n->storages[i]->confirmed = false;
        nn_seen_free(n->storages[i]->seen);
        n->storages[i]->seen = NULL;
    }
    t->changes++;
}

struct nn_space nn_node_space(const struct nn_node *n)
{
    struct nn_space sum = { 0, 0, 0, 0 };

    for (size_t i = 0; i < n->storage_count; i++) {
        const struct nn_storage *s = n->storages[i];

        if (s->failed)
            continue;
        sum.capacity += s->capacity;
        sum.dfs_used += s->dfs_used;
        sum.remaining += s->remaining;
        sum.block_count += s->block_count;
    }
    return sum;
}

enum rc nn_order_add(struct nn_node *n, const struct nn_order *o, struct why *why)
{
    struct nn_order *copy;

    if (n->order_count >= NN_ORDERS_MAX)
        return why_set(why, RC_BUSY, "%s has %zu orders waiting", n->address, n->order_count);
    if ((copy = mem_alloc(sizeof *copy)) == NULL)
        return why_rc(why, RC_NOMEM);
    *copy = *o;
    copy->seq = ++n->order_seq;
    DL_APPEND(n->orders, copy);
    n->order_count++;
    return RC_OK;
}

void nn_orders_acked(struct nn_node *n, uint64_t up_to_seq)
{
    struct nn_order *o;

    while ((o = n->orders) != NULL && o->seq <= up_to_seq) {
        DL_DELETE(n->orders, o);
        mem_free(o);
        n->order_count--;
    }
}

void nn_orders_clear(struct nn_node *n)
{
    nn_orders_acked(n, UINT64_MAX);
}

/* One block that changed, in the table and in the list from the oldest change to the newest. */
struct seen_one {
    uint64_t block, seq;
    struct seen_one *prev, *next;
    UT_hash_handle hh;
};

struct nn_seen {
    struct seen_one *by_block;
    struct seen_one *oldest;
    uint64_t forgot_seq;        /* highest number of a change that was pushed out */
    size_t count;
};

enum rc nn_seen_note(struct nn_storage *s, struct block_id block, uint64_t seq, bool *ret_news, struct why *why)
{
    struct seen_one *one;

    if (s->seen == NULL && (s->seen = mem_zalloc(sizeof *s->seen)) == NULL)
        return why_rc(why, RC_NOMEM);
    HASH_FIND(hh, s->seen->by_block, &block.v, sizeof block.v, one);
    if (one != NULL) {
        *ret_news = seq > one->seq;
        if (*ret_news) {
            one->seq = seq;
            DL_DELETE(s->seen->oldest, one);
            DL_APPEND(s->seen->oldest, one);
        }
        return RC_OK;
    }
    if (s->seen->count == NN_SEEN_MAX) {
        one = s->seen->oldest;
        DL_DELETE(s->seen->oldest, one);
        HASH_DEL(s->seen->by_block, one);
        if (one->seq > s->seen->forgot_seq)
            s->seen->forgot_seq = one->seq;
        s->seen->count--;
    } else if ((one = mem_alloc(sizeof *one)) == NULL) {
        return why_rc(why, RC_NOMEM);
    }
    memset(one, 0, sizeof *one);
    one->block = block.v;
    one->seq = seq;
    HASH_ADD(hh, s->seen->by_block, block, sizeof one->block, one);
    DL_APPEND(s->seen->oldest, one);
    s->seen->count++;
    *ret_news = true;
    return RC_OK;
}

bool nn_seen_after(const struct nn_storage *s, struct block_id block, uint64_t seq)
{
    struct seen_one *one;

    if (s->seen == NULL)
        return false;
    HASH_FIND(hh, s->seen->by_block, &block.v, sizeof block.v, one);
    return one != NULL && one->seq > seq;
}

bool nn_seen_forgot(const struct nn_storage *s, uint64_t seq)
{
    return s->seen != NULL && s->seen->forgot_seq > seq;
}

void nn_seen_free(struct nn_seen *seen)
{
    struct seen_one *one, *next;

    if (seen == NULL)
        return;
    HASH_ITER(hh, seen->by_block, one, next) {
        HASH_DEL(seen->by_block, one);
        mem_free(one);
    }
    mem_free(seen);
}

/* The next white-space-separated word of the line at *p; empty at the end of the line. */
static struct span next_word(const char **p, const char *end)
{
    struct span w;

    while (*p < end && (**p == ' ' || **p == '\t' || **p == '\r' || **p == ','))
        (*p)++;
    w.p = (const uint8_t *)*p;
    while (*p < end && **p != ' ' && **p != '\t' && **p != '\r' && **p != ',' && **p != '\n')
        (*p)++;
    w.n = (size_t)((const uint8_t *)*p - w.p);
    return w;
}

static bool word_is(struct span w, const char *text)
{
    return text != NULL && w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

void nn_rack_of(const char *table, size_t table_bytes, const char *host, const char *host_name, char *out, size_t cap)
{
    const char *p = table, *end = table == NULL ? table : table + table_bytes;

    snprintf(out, cap, "%s", NN_DEFAULT_RACK);
    while (p < end) {
        struct span name = next_word(&p, end), rack = next_word(&p, end);

        if (name.n > 0 && name.p[0] != '#' && rack.n > 0 && rack.n < cap &&
            (word_is(name, host) || word_is(name, host_name))) {
            snprintf(out, cap, "%s%.*s", rack.p[0] == '/' ? "" : "/", (int)rack.n, (const char *)rack.p);
            return;
        }
        while (p < end && *p != '\n')
            p++;
        p += p < end;
    }
}

bool nn_hosts_has(const char *text, size_t n, const struct nn_node *node)
{
    const char *p = text, *end = text == NULL ? text : text + n;

    while (p < end) {
        struct span w = next_word(&p, end);

        while (w.n > 0 && w.p[0] != '#') {
            if (word_is(w, node->host) || word_is(w, node->host_name) || word_is(w, node->address))
                return true;
            w = next_word(&p, end);
        }
        while (p < end && *p != '\n')
            p++;
        p += p < end;
    }
    return false;
}
