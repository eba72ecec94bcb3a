#include "dfsclient/recovery.h"

#include <string.h>

#include "core/base/faults.h"
#include "dfsclient/located.h"

struct ack_verdict
recovery_judge_ack(const struct dtp_ack *a, bool any_sent, int64_t head_seqno, size_t node_count)
{
    int bad = dtp_ack_first_bad(a);

    if (bad >= 0)
        return (struct ack_verdict){ ACK_BAD, (size_t)bad < node_count ? (size_t)bad : node_count - 1 };
    if (a->seqno == DTP_SEQNO_HEARTBEAT)
        return (struct ack_verdict){ ACK_HEARTBEAT, 0 };
    if (!any_sent || a->seqno != head_seqno)
        return (struct ack_verdict){ ACK_BAD, 0 };      /* acks come in order, or the first node is confused */
    if (a->count < node_count && !old_bug(OLD_BUG_SHORT_ACK_TRUSTED))
        return (struct ack_verdict){ ACK_BAD, a->count };   /* the first that said nothing */
    return (struct ack_verdict){ ACK_PACKET, 0 };
}

size_t
recovery_blame_setup(const char *first_bad_link, const struct fs_location *nodes, size_t node_count)
{
    char text[300];

    for (size_t i = 0; i < node_count; i++)
        if (strcmp(first_bad_link, fs_location_text(&nodes[i], text)) == 0)
            return i;
    return 0;
}

size_t
recovery_blame(size_t bad, bool sure, bool again, const bool *answers, size_t n)
{
    if (sure)
        return again && bad > 0 && bad < n && answers[bad] ? bad - 1 : bad;
    for (size_t i = 0; i < n; i++)
        if (!answers[i])
            return i;
    return bad;
}

bool
replace_policy_parse(const char *text, enum replace_policy *ret)
{
    if (strcmp(text, "DEFAULT") == 0)
        *ret = REPLACE_DEFAULT;
    else if (strcmp(text, "ALWAYS") == 0)
        *ret = REPLACE_ALWAYS;
    else if (strcmp(text, "NEVER") == 0)
        *ret = REPLACE_NEVER;
    else
        return false;
    return true;
}

bool
recovery_wants_node(enum replace_policy policy, uint32_t replication, size_t good_count, bool flushed)
{
    if (good_count == 0 || good_count >= replication)
        return false;
    switch (policy) {
    case REPLACE_NEVER:
        return false;
    case REPLACE_ALWAYS:
        return true;
    case REPLACE_DEFAULT:
        break;
    }
    return replication >= 3 && (good_count <= replication / 2 || flushed);
}

enum dtp_stage
recovery_stage(bool appending, bool only_last_left)
{
    if (appending)
        return DTP_SETUP_APPEND_RECOVERY;
    return only_last_left ? DTP_CLOSE_RECOVERY : DTP_SETUP_STREAMING_RECOVERY;
}

bool
recovery_try(struct recovery_count *c, int64_t head_seqno)
{
    if (c->tries == 0 || c->seqno != head_seqno)
        *c = (struct recovery_count){ .seqno = head_seqno };
    return ++c->tries <= RECOVERY_MAX;
}
