#include "namenode/policy.h"

#include <string.h>

#include "core/base/attr.h"
#include "namenode/dispatch.h"
#include "namenode/reader.h"
#include "namenode/resolve.h"

enum { DISK = STORAGE_TYPE_PROTO__DISK, SSD = STORAGE_TYPE_PROTO__SSD, ARCHIVE = STORAGE_TYPE_PROTO__ARCHIVE,
       RAM = STORAGE_TYPE_PROTO__RAM_DISK, PROVIDED = STORAGE_TYPE_PROTO__PROVIDED, NVDIMM = STORAGE_TYPE_PROTO__NVDIMM };

#define TYPES_MAX 2

/* Kinds of storage in order; 0 ends the list. */
static const struct policy {
    uint32_t id;
    const char *name;
    uint8_t create[TYPES_MAX], create_else[TYPES_MAX], copy_else[TYPES_MAX];
} policies[] = {
    { 1, "PROVIDED", { PROVIDED, DISK }, { PROVIDED, DISK }, { PROVIDED, DISK } },
    { 2, "COLD", { ARCHIVE }, { 0 }, { 0 } },
    { 5, "WARM", { DISK, ARCHIVE }, { DISK, ARCHIVE }, { DISK, ARCHIVE } },
    { 7, "HOT", { DISK }, { 0 }, { ARCHIVE } },
    { 10, "ONE_SSD", { SSD, DISK }, { SSD, DISK }, { SSD, DISK } },
    { 12, "ALL_SSD", { SSD }, { DISK }, { DISK } },
    { 14, "ALL_NVDIMM", { NVDIMM }, { DISK }, { DISK } },
    { 15, "LAZY_PERSIST", { RAM, DISK }, { DISK }, { DISK } },
};

#define POLICY_DEFAULT 7

enum rc
nn_policy_find(struct span name, uint32_t *ret_id, struct why *why)
{
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if (strlen(policies[i].name) == name.n && memcmp(policies[i].name, name.p, name.n) == 0) {
            *ret_id = policies[i].id;
            return RC_OK;
        }
    return why_set(why, RC_ILLEGAL_ARGUMENT, "Cannot find a block policy with the name %.*s", (int)name.n,
                   (const char *)name.p);
}

bool
nn_policy_is_replication(struct span name)
{
    static const char word[] = "replication";

    return name.n == sizeof word - 1 && memcmp(name.p, word, name.n) == 0;
}

static StorageTypesProto *
make_types(struct arena *arena, const uint8_t types[TYPES_MAX])
{
    StorageTypesProto *t = arena_alloc(arena, sizeof *t);

    if (t == NULL)
        return NULL;
    storage_types_proto__init(t);
    if ((t->storagetypes = arena_calloc(arena, TYPES_MAX, sizeof *t->storagetypes)) == NULL)
        return NULL;
    for (size_t i = 0; i < TYPES_MAX && types[i] != 0; i++)
        t->storagetypes[t->n_storagetypes++] = (StorageTypeProto)types[i];
    return t;
}

static BlockStoragePolicyProto *
make_policy(struct arena *arena, const struct policy *from)
{
    BlockStoragePolicyProto *p = arena_alloc(arena, sizeof *p);

    if (p == NULL)
        return NULL;
    block_storage_policy_proto__init(p);
    p->policyid = from->id;
    p->name = rpc_text(arena, from->name);
    if ((p->creationpolicy = make_types(arena, from->create)) == NULL)
        return NULL;
    if (from->create_else[0] != 0 && (p->creationfallbackpolicy = make_types(arena, from->create_else)) == NULL)
        return NULL;
    if (from->copy_else[0] != 0 && (p->replicationfallbackpolicy = make_types(arena, from->copy_else)) == NULL)
        return NULL;
    return p;
}

enum rc
nn_do_get_storage_policies(struct nn_reader *r, struct rpc_call *call, const GetStoragePoliciesRequestProto *req,
                           GetStoragePoliciesResponseProto *ret, struct why *why)
{
    (void)r, (void)req;
    if ((ret->policies = arena_calloc(&call->arena, ARRAY_LEN(policies), sizeof *ret->policies)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if ((ret->policies[ret->n_policies++] = make_policy(&call->arena, &policies[i])) == NULL)
            return why_rc(why, RC_NOMEM);
    return RC_OK;
}

enum rc
nn_do_get_storage_policy(struct nn_reader *r, struct rpc_call *call, const GetStoragePolicyRequestProto *req,
                         GetStoragePolicyResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    uint32_t id;
    enum rc rc;

    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve(&caller, &r->db, pb_span(req->path), NN_TO_USE, &p, why)) != RC_OK)
        return rc;
    if (!nn_path_exists(&p))
        return why_set(why, RC_NOT_FOUND, "File/Directory does not exist: %s", (const char *)p.text.p);
    if ((rc = nn_may(&caller, &r->db, &p, p.depth, MAY_READ, why)) != RC_OK)
        return rc;
    id = nn_path_last(&p)->policy != 0 ? nn_path_last(&p)->policy : POLICY_DEFAULT;
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if (policies[i].id == id)
            return (ret->storagepolicy = make_policy(&call->arena, &policies[i])) != NULL ? RC_OK : why_rc(why, RC_NOMEM);
    return why_set(why, RC_CORRUPT, "%s has the unknown storage policy %u", (const char *)p.text.p, id);
}
