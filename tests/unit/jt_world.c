#include "tests/unit/jt_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"

static void
open_core(struct jt_world *w)
{
    struct jt_store *store;
    struct why why;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open_v2(w->uri, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL), SQLITE_OK);
    ck_assert_msg(jt_store_open(db, 1700000000000, &store, &why) == RC_OK, "%s", why.text);
    ck_assert_msg(jt_core_init(&w->core, store, &w->rng.rng, DEAD_MS, &w->now, &why) == RC_OK, "%s", why.text);
}

void
world_init(struct jt_world *w)
{
    memset(w, 0, sizeof *w);
    snprintf(w->uri, sizeof w->uri, "file:jt%p?mode=memory&cache=shared", (void *)w);
    ck_assert_int_eq(sqlite3_open_v2(w->uri, &w->keeper, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL),
                     SQLITE_OK);
    log_set_level(LOG_ERROR);
    rng_seed(&w->rng, 1);
    w->now = (struct jt_now){ 1000, 1700000000000 };
    for (int i = 0; i < 8; i++)
        snprintf(w->uuid[i], sizeof w->uuid[i], "00000000-0000-4000-8000-00000000000%d", i);
    open_core(w);
}

static void
commit(struct jt_world *w)
{
    struct why why;

    ck_assert_msg(jt_store_commit(w->core.store, &why) == RC_OK, "%s", why.text);
}

void
world_fini(struct jt_world *w)
{
    commit(w);
    jt_core_fini(&w->core);
    sqlite3_close(w->keeper);
}

void
world_restart(struct jt_world *w)
{
    commit(w);
    jt_core_fini(&w->core);
    memset(w->t, 0, sizeof w->t);
    w->now.mono_ms += 500;
    w->now.wall_ms += 500;
    open_core(w);
}

static void
fill_ids(const struct jt_attempt **list, size_t n, JtAttemptId *ids, JtAttemptId **ptrs)
{
    for (size_t i = 0; i < n; i++) {
        ids[i] = (JtAttemptId)JT_ATTEMPT_ID__INIT;
        ids[i].job = list[i]->task->job->number;
        ids[i].is_map = list[i]->task->is_map;
        ids[i].index = list[i]->task->index;
        ids[i].attempt = list[i]->number;
        ptrs[i] = &ids[i];
    }
}

void
world_register(struct jt_world *w, int i, const struct jt_attempt **running, size_t n_running,
               const struct jt_attempt **outputs, size_t n_outputs)
{
    TtRegisterRequest req = TT_REGISTER_REQUEST__INIT;
    JtAttemptId ids[2][16], *ptrs[2][16];
    char name[16];
    struct why why;

    snprintf(name, sizeof name, "node%d", i);
    req.uuid = w->uuid[i];
    req.host = "";
    req.name = name;
    req.shuffle_port = 7000 + (uint32_t)i;
    req.map_slots = 2;
    req.reduce_slots = 1;
    req.version = "1";
    req.tier = "plain";
    fill_ids(running, n_running, ids[0], ptrs[0]);
    fill_ids(outputs, n_outputs, ids[1], ptrs[1]);
    req.running = ptrs[0];
    req.n_running = n_running;
    req.outputs = ptrs[1];
    req.n_outputs = n_outputs;
    ck_assert_msg(jt_core_register(&w->core, &w->now, &req, "10.0.0.1", &w->t[i], &why) == RC_OK, "%s", why.text);
}

struct jt_job *
world_submit(struct jt_world *w, uint32_t maps, uint32_t reduces, const char *homes)
{
    JtJobSpec spec = JT_JOB_SPEC__INIT, *copy;
    JtMap map[64], *map_ptrs[64];
    JtSplit split = JT_SPLIT__INIT, *split_ptr = &split;
    char names[64][16], *name_ptrs[64], *rack = "";
    uint8_t packed[16384], id[JT_SUBMIT_ID_BYTES] = { (uint8_t)rng_u64(&w->rng.rng) };
    struct jt_job *j;
    struct why why;
    size_t n;

    split.path = "/in";
    for (uint32_t i = 0; i < maps; i++) {
        map[i] = (JtMap)JT_MAP__INIT;
        map_ptrs[i] = &map[i];
        map[i].splits = &split_ptr;
        map[i].n_splits = 1;
        if (homes[0] == '\0')
            continue;
        snprintf(names[i], sizeof names[i], "node%c", homes[i % strlen(homes)]);
        name_ptrs[i] = names[i];
        map[i].hosts = &name_ptrs[i];
        map[i].racks = &rack;
        map[i].n_hosts = map[i].n_racks = 1;
    }
    spec.name = "test";
    spec.output = w->session ? "" : "/out/of";
    spec.has_results = spec.results = spec.has_session = w->session != NULL;
    spec.session = (ProtobufCBinaryData){ JT_SESSION_BYTES, (uint8_t *)w->session };
    spec.maps = map_ptrs;
    spec.n_maps = maps;
    spec.reduces = reduces;
    spec.map_attempts = spec.reduce_attempts = 4;
    spec.slowstart = 0.5;
    spec.locality_wait_ms = 1000;
    n = jt_job_spec__get_packed_size(&spec);
    ck_assert_uint_lt(n, sizeof packed);
    jt_job_spec__pack(&spec, packed);
    ck_assert_int_eq(jt_spec_unpack(packed, n, &copy, &why), RC_OK);
    ck_assert_msg(jt_core_submit(&w->core, &w->now, "ann", id, copy, w->code ? w->code : "so",
                                 w->code ? strlen(w->code) : 2, &j, &why) == RC_OK, "%s", why.text);
    for (struct jt_work *work = jt_core_take_work(&w->core), *after; work != NULL; work = after) {
        after = work->next;
        ck_assert_int_eq(work->kind, WORK_PREPARE);
        jt_work_free(work);
    }
    if (w->session == NULL && !w->is_unprepared)
        world_prepared(w, j->number);
    return j;
}

void
world_prepared(struct jt_world *w, uint64_t job)
{
    jt_core_prepared(&w->core, &w->now, job, RC_OK, NULL);
    if (w->core.works != NULL && w->core.works->kind == WORK_MARK) {       /* not of a job that has nothing to run */
        jt_work_free(jt_core_take_work(&w->core));
        jt_core_marked(&w->core, &w->now, job, RC_OK);
    }
}

void
world_step(struct jt_world *w)
{
    jt_core_tick(&w->core, &w->now);
    jt_core_assign(&w->core, &w->now);
    commit(w);
}

bool
world_end(struct jt_world *w, struct jt_attempt *a, int how)
{
    TtEndedRequest req = TT_ENDED_REQUEST__INIT;
    JtAttemptId id, *ptr;
    const struct jt_attempt *list[] = { a };
    bool accepted;

    fill_ids(list, 1, &id, &ptr);
    req.uuid = a->tracker->uuid;
    req.id = ptr;
    req.how = (TtEndedRequest__How)how;
    req.reason = how == TT_ENDED_REQUEST__HOW__FAILED ? "killed by SIGSEGV" : "";
    req.log_path = "/log";
    req.log.data = (uint8_t *)"hello\n";
    req.log.len = 6;
    req.has_result = w->result != NULL;
    req.result = (ProtobufCBinaryData){ w->result_bytes, (uint8_t *)w->result };
    jt_core_ended(&w->core, &w->now, a->tracker, &req, &accepted);
    commit(w);
    return accepted;
}

struct jt_attempt *
world_attempt(struct jt_job *j, bool is_map, uint32_t index)
{
    struct jt_task *t = jt_task_find(j, is_map, index);

    return t->attempts ? t->attempts->prev : NULL;
}

size_t
world_orders(struct jt_world *w, int i, enum jt_order_kind kind)
{
    struct jt_order *o;
    size_t n = 0;

    DL_FOREACH(w->t[i]->orders, o)
        n += o->kind == kind;
    return n;
}
