/*
 * pages -- a DataNode over HTTP: its volumes, /healthz and /metrics.
 */
#ifndef DATANODE_PAGES_H
#define DATANODE_PAGES_H

#include "core/base/rc.h"
#include "datanode/dn.h"

enum rc dn_http_start(struct dn *dn, struct why *why) MUST_CHECK;    /* sets dn->http and dn->http_at */

#endif
