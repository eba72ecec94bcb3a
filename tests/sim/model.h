/*
 * model -- a namespace as a plain tree in memory, to hold the NameNode's answers against.
 *
 * Pure: no clock, no files, no other module.  It knows what calls do to names
 * and nothing of how; what it cannot know (the number of a file whose creation
 * was not answered, the mode of a parent made on the way) it leaves open.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NODES_MAX 200
#define MODEL_NAME 4
#define MODEL_PATH 40
#define MODEL_CHILDREN_MAX 8

enum model_kind {
    MODEL_MKDIRS,               /* with parents */
    MODEL_CREATE,               /* with parents; flag: overwrite */
    MODEL_RENAME,               /* into a directory that is there */
    MODEL_RENAME2,              /* flag: overwrite */
    MODEL_DELETE,               /* flag: recursive */
    MODEL_SET_PERMISSION,
    MODEL_SET_REPLICATION,
    MODEL_STAT,
    MODEL_LIST,
    MODEL_KINDS,
};

struct model_call {
    enum model_kind kind;
    char path[MODEL_PATH], to[MODEL_PATH];
    bool flag;
    uint32_t number;            /* mode or replication */
};

enum model_verdict {
    MODEL_REFUSED,              /* an error, or the answer "false" */
    MODEL_SAME,                 /* success that changes nothing; every read that finds something */
    MODEL_CHANGED,
};

struct model_reply {
    enum model_verdict verdict;
    bool is_dir;                /* STAT */
    uint64_t file;              /* STAT, CREATE; 0: not known */
    uint32_t mode, replication; /* STAT; UINT32_MAX: not known */
    size_t count;               /* LIST: names in order */
    char names[MODEL_CHILDREN_MAX][MODEL_NAME];
};

struct model_node {
    bool is_used, is_dir;
    size_t parent;
    char name[MODEL_NAME];
    uint64_t file;
    uint32_t mode, replication;
};

struct model {
    struct model_node nodes[MODEL_NODES_MAX];   /* 0 is the root */
};

void model_init(struct model *m);

/* What call answers; file: the number that the NameNode gave to a file it creates, 0 when nobody knows.  Changes m. */
void model_apply(struct model *m, const struct model_call *call, uint64_t file, struct model_reply *ret);

/* What it would answer. */
void model_ask(const struct model *m, const struct model_call *call, struct model_reply *ret);

/* Could seen have been said where the model says reply? */
bool model_agrees(const struct model_call *call, const struct model_reply *reply, const struct model_reply *seen);

/* "rename /a to /b", for a person. */
void model_describe(const struct model_call *call, char *out, size_t cap);

#endif
