/*
 * replication -- how many replicas a client may ask for.
 */
#ifndef NAMENODE_REPLICATION_H
#define NAMENODE_REPLICATION_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

struct conf;

/* RC_IO_EXCEPTION with HDFS's text; client is named in it unless NULL. */
enum rc nn_check_replication(const struct conf *conf, uint32_t replication, struct span src, const char *client,
                             struct why *why) MUST_CHECK;

#endif
