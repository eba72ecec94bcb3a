#include "dfsclient/fs.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "dfsclient/fs_priv.h"

/* $HADOOP_USER_NAME, else the login name: who one is when nobody says so. */
static enum rc
default_user(char **ret, struct why *why)
{
    const char *name = getenv("HADOOP_USER_NAME");
    struct passwd pw, *found = NULL;
    char room[4096];

    if (name == NULL || name[0] == '\0') {
        if (getpwuid_r(geteuid(), &pw, room, sizeof room, &found) != 0 || found == NULL)
            return why_set(why, RC_BAD_CONFIG, "no name for user id %u; set HADOOP_USER_NAME", (unsigned)geteuid());
        name = pw.pw_name;
    }
    return (*ret = mem_strdup(name)) == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

static enum rc
start(struct fs *fs, const char *uri, const char *user, struct why *why)
{
    char text[NET_ADDR_TEXT];
    enum rc rc;

    if ((rc = net_addr_parse_hdfs(uri != NULL ? uri : fs->conf.fs_default, &fs->nn_addr, why)) != RC_OK)
        return rc;
    if ((fs->uri = mem_printf("hdfs://%s", net_addr_text(&fs->nn_addr, text))) == NULL ||
        (fs->lock = mutex_new(fs->w.threads)) == NULL || (fs->wake = cond_new(fs->w.threads)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = dtp_idle_new(&fs->w, &fs->idle, why)) != RC_OK)
        return rc;
    if (user == NULL)
        rc = default_user(&fs->user, why);
    else if ((fs->user = mem_strdup(user)) == NULL)
        rc = why_rc(why, RC_NOMEM);
    if (rc != RC_OK)
        return rc;
    snprintf(fs->client_name, sizeof fs->client_name, "DFSClient_NONMAPREDUCE_%08x_%u",
             (unsigned)rng_below(fs->w.rng, UINT32_MAX), 1u);
    if (fs->w.net->ops->host_name(fs->w.net, fs->host_name, sizeof fs->host_name, NULL) != RC_OK)
        fs->host_name[0] = '\0';
    return rpc_client_new(&fs->w, &(struct rpc_client_options){ .to = fs->nn_addr, .protocol = &client_namenode_rpc,
                                                                .user = fs->user, .connect_ms = fs->conf.rpc_connect_ms,
                                                                .retry_ms = fs->conf.client_retry_ms },
                          &fs->nn, why);
}

enum rc
fs_open(const struct world *w, const struct conf *conf, const char *uri, const char *user, struct fs **ret,
        struct why *why)
{
    struct fs *fs = mem_zalloc(sizeof *fs);
    enum rc rc;

    if (fs == NULL)
        return why_rc(why, RC_NOMEM);
    fs->w = *w;
    if ((rc = conf_copy(&fs->conf, conf, why)) != RC_OK) {
        mem_free(fs);
        return rc;
    }
    if ((rc = start(fs, uri, user, why)) != RC_OK) {
        fs_close(fs);
        return rc;
    }
    *ret = fs;
    return RC_OK;
}

void
fs_close(struct fs *fs)
{
    if (fs == NULL)
        return;
    fs_lease_stop(fs);
    if (fs->nn != NULL)
        rpc_client_free(fs->nn);
    dtp_idle_free(fs->idle);
    if (fs->wake != NULL)
        cond_free(fs->w.threads, fs->wake);
    if (fs->lock != NULL)
        mutex_free(fs->w.threads, fs->lock);
    mem_free(fs->user);
    mem_free(fs->uri);
    conf_fini(&fs->conf);
    mem_free(fs);
}

const char *
fs_user(const struct fs *fs)
{
    return fs->user;
}

const char *
fs_uri(const struct fs *fs)
{
    return fs->uri;
}

uint64_t
fs_backoff_ms(struct fs *fs, unsigned n, uint64_t first, uint64_t max)
{
    uint64_t ms = n < 20 ? first << n : max;

    if (ms > max)
        ms = max;
    return ms - rng_below(fs->w.rng, ms / 4 + 1);
}

void
fs_sleep_ms(struct fs *fs, uint64_t ms)
{
    thread_sleep_until(fs->w.threads, clock_deadline(fs->w.clock, ms));
}

static enum rc
call(struct fs *fs, enum client_namenode_row m, const ProtobufCMessage *req, struct arena *a, bool patient, const void **ret,
     struct why *why)
{
    uint64_t retry_ms = patient ? fs->conf.write_retry_ms : fs->conf.client_retry_ms;
    uint64_t give_up = clock_deadline(fs->w.clock, retry_ms);
    const ProtobufCMessage *reply = NULL;
    enum rc rc;

    for (unsigned n = 0;; n++) {
        rc = rpc_client_call_for(fs->nn, m, req, a, fs->conf.rpc_timeout_ms, retry_ms, &reply, why);
        bool again = rc == RC_BUSY || (patient && (rc == RC_SAFE_MODE || rc == RC_NOT_REPLICATED));
        if (!again || clock_mono_ms(fs->w.clock) >= give_up)
            break;
        fs_sleep_ms(fs, fs_backoff_ms(fs, n, 50, 2000));
    }
    if (rc == RC_OK && ret != NULL)
        *ret = reply;
    return rc;
}

enum rc
fs_call(struct fs *fs, enum client_namenode_row m, const ProtobufCMessage *req, struct arena *a, const void **ret_reply,
        struct why *why)
{
    return call(fs, m, req, a, false, ret_reply, why);
}

enum rc
fs_call_patient(struct fs *fs, enum client_namenode_row m, const ProtobufCMessage *req, struct arena *a, const void **ret_reply,
                struct why *why)
{
    return call(fs, m, req, a, true, ret_reply, why);
}
