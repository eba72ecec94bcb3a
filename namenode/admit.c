#include "namenode/admit.h"

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "namenode/core.h"
#include "namenode/nodes_view.h"
#include "namenode/perm.h"
#include "namenode/reader.h"

/* What a method says in safe mode; %s is its path or, for renewLease, the client. */
static const struct {
    const char *method, *before, *after;
} safe_mode_texts[] = {
    { "create", "Cannot create file", "." },
    { "append", "Cannot append to file", "." },
    { "mkdirs", "Cannot create directory ", "." },
    { "delete", "Cannot delete ", "." },
    { "rename", "Cannot rename ", "." },
    { "rename2", "Cannot rename ", "." },
    { "setReplication", "Cannot set replication for ", "." },
    { "setPermission", "Cannot set permission for ", "." },
    { "setOwner", "Cannot set owner for ", "." },
    { "setTimes", "Cannot set times ", "." },
    { "truncate", "Cannot truncate for ", "." },
    { "renewLease", "Cannot renew lease for ", "." },
    { "recoverLease", "Cannot recover the lease of ", "." },
    { "complete", "Cannot complete file ", "." },
    { "addBlock", "Cannot add block to ", "." },
};

/* Operations whose name in a refusal is not the method's. */
static const struct {
    const char *method, *operation;
} superuser_names[] = {
    { "getDatanodeReport", "datanodeReport" },
    { "getDatanodeStorageReport", "getDatanodeStorageReport" },
};

/* The first bytes field of the request: src, clientName. */
static struct span
subject(const struct rpc_call *call)
{
    const ProtobufCMessageDescriptor *d = call->request->descriptor;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if (f->type == PROTOBUF_C_TYPE_BYTES && f->label == PROTOBUF_C_LABEL_REQUIRED) {
            const ProtobufCBinaryData *v = (const void *)((const char *)call->request + f->offset);
            return span_of(v->data, v->len);
        }
    }
    return (struct span){ 0 };
}

/* "\n" and what safe mode waits for, as later lines of the message. */
static enum rc
refuse(const struct nn_core *core, struct why *why)
{
    struct buf b;
    size_t n = strlen(why->text);

    buf_init(&b, sizeof why->text);
    buf_put_str(&b, "\n");
    nn_safemode_text(core->blocks, &b);
    if (buf_ok(&b))
        snprintf(why->text + n, sizeof why->text - n, "%.*s", (int)b.n, (const char *)b.p);
    buf_fini(&b);
    return why->rc;
}

static enum rc
check_safe_mode(const struct nn_core *core, const struct rpc_call *call, struct why *why)
{
    struct span s = subject(call);

    for (size_t i = 0; i < ARRAY_LEN(safe_mode_texts); i++)
        if (strcmp(safe_mode_texts[i].method, call->method->name) == 0) {
            (void)why_set(why, RC_SAFE_MODE, "%s%.*s%s Name node is in safe mode.", safe_mode_texts[i].before,
                          (int)s.n, (const char *)s.p, safe_mode_texts[i].after);
            return refuse(core, why);
        }
    (void)why_set(why, RC_SAFE_MODE, "Cannot %s. Name node is in safe mode.", call->method->name);
    return refuse(core, why);
}

static enum rc
check_superuser(const struct nn *nn, const struct rpc_call *call, struct why *why)
{
    const char *operation = call->method->name;

    if ((call->method->flags & RPC_SUPERUSER) == 0 || nn_is_superuser(nn, call->user))
        return RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(superuser_names); i++)
        if (strcmp(superuser_names[i].method, operation) == 0)
            operation = superuser_names[i].operation;
    return why_set(why, RC_DENIED, "Access denied for user %s. Superuser privilege is required for operation %s",
                   call->user, operation);
}

enum rc
nn_admit_core(struct nn_core *core, const struct rpc_call *call, struct why *why)
{
    bool writes = (call->method->flags & RPC_WRITE) != 0;
    enum rc rc;

    if ((rc = check_superuser(core->nn, call, why)) != RC_OK)
        return rc;
    if (core->safe_mode && (call->method->flags & RPC_IN_SAFE_MODE) == 0 &&
        (writes || strcmp(call->method->name, "renewLease") == 0))
        return check_safe_mode(core, call, why);
    if (core->disk_full && writes && strcmp(call->method->name, "delete") != 0)
        return why_set(why, RC_SAFE_MODE, "Cannot %s. The disk of the NameNode is full: only deletes are admitted until "
                       "there is room again.", call->method->name);
    return RC_OK;
}

enum rc
nn_admit_reader(struct nn_reader *r, const struct rpc_call *call, struct why *why)
{
    return check_superuser(r->nn, call, why);
}
