/*
 * link -- a DataNode's side of the conversation with its NameNode.
 *
 * Threads: the keeper registers, again and again until it is taken, and sends
 * heartbeats; the reporter sends changes and full reports; the order taker keeps one
 * waitOrders call open; the worker deletes.  Copies run on threads of their own.
 * What the NameNode says is remembered: the epoch of this registration, and the
 * highest numbers heard, which the store keeps on disk.
 */
#ifndef DATANODE_LINK_H
#define DATANODE_LINK_H

#include "core/base/rc.h"
#include "datanode/dn.h"

enum rc dn_link_start(struct dn *dn, struct dn_link **ret, struct why *why) MUST_CHECK;
void dn_link_stop(struct dn_link *l);       /* calls end, threads are told */
void dn_link_free(struct dn_link *l);       /* after dn_link_stop: waits for the threads */
/* Registered, and the store has joined the cluster. */
bool dn_link_is_up(struct dn_link *l);

#endif
