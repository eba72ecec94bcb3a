/*
 * pages_priv -- what the files of the NameNode's pages share.
 */
#ifndef NAMENODE_PAGES_PRIV_H
#define NAMENODE_PAGES_PRIV_H

#include "core/base/arena.h"
#include "core/http/page.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "namenode/pages.h"

#define PAGES_ANSWER_MAX (64 * MB)

struct nn_pages {
    const struct world *w;
    struct rpc_client *super, *visitor;     /* for overviews; for browsing */
    struct http_server *http;
    struct net_addr rpc;                    /* the NameNode's */
    char where[NET_ADDR_TEXT];
    char *superuser, *visitor_name;
    uint64_t replication_min;
    const struct nn_metrics *metrics;       /* the NameNode's */
};

/* A connection of its own, as that user; the caller frees it. */
enum rc pages_client(const struct nn_pages *p, const char *user, struct rpc_client **ret, struct why *why) MUST_CHECK;

/* One call to the NameNode; NULL after a failure, which is then the reply. */
const void *pages_ask(struct rpc_client *c, size_t method, const ProtobufCMessage *request, struct arena *a,
                      struct http_reply *reply);

/* Head of a page; path is the link to mark. */
void pages_begin(struct nn_pages *p, struct buf *b, const char *title, const char *path);

/* A bytes field as a string of the arena. */
const char *pages_text(struct arena *a, ProtobufCBinaryData d);

void page_browse(void *arg, const struct http_request *req, struct http_reply *reply);     /* pages_browse.c */
void page_fsck(void *arg, const struct http_request *req, struct http_reply *reply);       /* fsck_walk.c */

#endif
