/*
 * nn_load -- calls a second of a NameNode, ours or Hadoop's, over its own RPC.
 *
 *     bench/nn_load HOST:PORT CALLERS SECONDS DIRECTORY [PID]
 *
 * CALLERS clients, each with a connection and a client id of its own and one call under way at a time, served by one
 * thread here, so that the generator stays cheap.  Each has files of its own in DIRECTORY/<caller>: create, complete,
 * stat, open (getBlockLocations), rename, delete, one phase after the other; a phase takes SECONDS, the changing ones
 * less if the files run out.  For each it prints "create 12345" (calls a second), create_us, create_p50_us and
 * create_p99_us (time of a call: mean, median, 99 of 100), load_create_cpu_us (CPU of this program for a call) and,
 * with the NameNode's PID on this machine, create_cpu_us (its CPU for a call).  HADOOP_USER_NAME is who asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/attr.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/rpc.pb-c.h"

#define CALLERS_MAX 1024
#define FRAME_MAX 4096
#define EVENTS 128
#define BUCKETS 1024            /* of call times, 16 for each power of two of nanoseconds */
#define PROTOCOL "org.apache.hadoop.hdfs.protocol.ClientProtocol"

enum phase { CREATE, COMPLETE, STAT, OPEN, RENAME, DELETE, PHASES };

static const struct {
    const char *name, *method;
} phases[PHASES] = {
    { "create", "create" },         { "complete", "complete" },
    { "stat", "getFileInfo" },      { "open", "getBlockLocations" },
    { "rename", "rename" },         { "delete", "delete" },
};

struct caller {
    int sock;
    unsigned number;
    bool greeted, busy;
    uint8_t id[16];
    int32_t call_id;
    unsigned long files;        /* that it created */
    unsigned long next;         /* file of the next call */
    uint64_t sent_ns;
    size_t got;
    uint8_t in[FRAME_MAX];
};

struct load {
    enum phase phase;
    const char *directory, *user;
    unsigned callers;
    long pid;                   /* the NameNode's; 0: not known */
    uint64_t until_ns;
    unsigned long calls, failed;
    uint64_t spent_ns;          /* sum of the times of calls */
    unsigned long times[BUCKETS];
    uint8_t header[128];        /* of the phase's calls, delimited */
    size_t header_n;
    char said[512];             /* first failure */
    struct caller caller[CALLERS_MAX];
};

static uint64_t
now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
end(const char *what)
{
    fprintf(stderr, "nn_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- requests ---- */

static ProtobufCBinaryData
bytes(const char *p)
{
    return (ProtobufCBinaryData){ strlen(p), (uint8_t *)p };
}

static size_t
delimit(const ProtobufCMessage *m, uint8_t *to)
{
    size_t n = protobuf_c_message_get_packed_size(m), at = 0, left = n;

    for (; left > 127; left >>= 7)
        to[at++] = (uint8_t)(left | 128);
    to[at++] = (uint8_t)left;
    return at + protobuf_c_message_pack(m, to + at);
}

/* The length of what is at to + 4, in front of it. */
static size_t
frame(uint8_t *to, size_t n)
{
    put_be32(to, (uint32_t)n);
    return n + 4;
}

static size_t
put_call_header(const struct caller *c, int32_t call_id, int32_t retry_count, uint8_t *to)
{
    RpcRequestHeaderProto h = RPC_REQUEST_HEADER_PROTO__INIT;

    h.has_rpckind = h.has_rpcop = h.has_retrycount = 1;
    h.rpckind = RPC_KIND_PROTO__RPC_PROTOCOL_BUFFER;
    h.callid = call_id;
    h.clientid = (ProtobufCBinaryData){ sizeof c->id, (uint8_t *)c->id };
    h.retrycount = retry_count;
    return delimit(&h.base, to);
}

/* What opens a connection. */
static size_t
put_hello(const struct load *l, const struct caller *c, uint8_t *to)
{
    IpcConnectionContextProto context = IPC_CONNECTION_CONTEXT_PROTO__INIT;
    UserInformationProto user = USER_INFORMATION_PROTO__INIT;
    size_t n;

    memcpy(to, "hrpc\x09\0\0", 7);
    user.has_effectiveuser = context.has_protocol = 1;
    user.effectiveuser = bytes(l->user);
    context.userinfo = &user;
    context.protocol = bytes(PROTOCOL);
    n = put_call_header(c, -3, -1, to + 11);
    n += delimit(&context.base, to + 11 + n);
    return 7 + frame(to + 7, n);
}

static size_t
put_create(ProtobufCBinaryData path, ProtobufCBinaryData client, uint8_t *to)
{
    CreateRequestProto r = CREATE_REQUEST_PROTO__INIT;
    FsPermissionProto mode = FS_PERMISSION_PROTO__INIT;

    mode.perm = 0644;
    r.src = path;
    r.masked = &mode;
    r.clientname = client;
    r.createflag = 1;
    r.createparent = true;
    r.replication = 1;
    r.blocksize = 128 * MB;
    return delimit(&r.base, to);
}

/* The parameter of a call of the phase about the caller's file. */
static size_t
put_request(const struct load *l, const struct caller *c, unsigned long file, uint8_t *to)
{
    CompleteRequestProto complete = COMPLETE_REQUEST_PROTO__INIT;
    GetFileInfoRequestProto stat = GET_FILE_INFO_REQUEST_PROTO__INIT;
    GetBlockLocationsRequestProto locate = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    RenameRequestProto rename_to = RENAME_REQUEST_PROTO__INIT;
    DeleteRequestProto delete = DELETE_REQUEST_PROTO__INIT;
    char path[256], other[256], client[32];

    snprintf(path, sizeof path, "%s/%u/%c%lu", l->directory, c->number, l->phase == DELETE ? 'g' : 'f', file);
    snprintf(client, sizeof client, "nn_load-%u", c->number);
    switch (l->phase) {
    case CREATE:
        return put_create(bytes(path), bytes(client), to);
    case COMPLETE:
        complete.src = bytes(path);
        complete.clientname = bytes(client);
        return delimit(&complete.base, to);
    case STAT:
        stat.src = bytes(path);
        return delimit(&stat.base, to);
    case OPEN:
        locate.src = bytes(path);
        locate.length = 1 * MB;
        return delimit(&locate.base, to);
    case RENAME:
        snprintf(other, sizeof other, "%s/%u/g%lu", l->directory, c->number, file);
        rename_to.src = bytes(path);
        rename_to.dst = bytes(other);
        return delimit(&rename_to.base, to);
    case DELETE:
    case PHASES:
        break;
    }
    delete.src = bytes(path);
    return delimit(&delete.base, to);
}

/* ---- one caller ---- */

/* Send the caller's next call, unless the phase is over for it. */
static void
ask(struct load *l, struct caller *c, uint64_t now)
{
    bool reads = l->phase == STAT || l->phase == OPEN;
    bool all = l->phase == COMPLETE || l->phase == RENAME;      /* what follows needs them */
    uint8_t out[FRAME_MAX];
    size_t n = 0, at;

    if ((!all && now >= l->until_ns) || (l->phase != CREATE && c->files == 0))
        return;
    if (l->phase != CREATE && c->next == c->files) {
        if (!reads)
            return;
        c->next = 0;
    }
    if (!c->greeted)
        n = put_hello(l, c, out);
    c->greeted = true;
    at = n + 4;
    at += put_call_header(c, c->call_id, 0, out + at);
    memcpy(out + at, l->header, l->header_n);
    at += l->header_n;
    at += put_request(l, c, c->next++, out + at);
    n += frame(out + n, at - n - 4);
    c->sent_ns = now;
    c->busy = true;
    if (write(c->sock, out, n) != (ssize_t)n)
        end("write");
}

static unsigned
bucket_of(uint64_t ns)
{
    unsigned top = ns < 16 ? 4 : 63 - (unsigned)__builtin_clzll(ns), at = (top - 4) * 16 + (unsigned)(ns >> (top - 4) & 15);

    return at < BUCKETS ? at : BUCKETS - 1;
}

/* The answer is there: was it a success? */
static bool
is_good(struct load *l, const uint8_t *p, size_t n)
{
    RpcResponseHeaderProto *h;
    struct span s;
    struct rd r;
    bool good;

    rd_init(&r, p, n);
    s = rd_delimited(&r);
    /* callId and status come first; of a success nothing else is looked at. */
    if (!r.bad && s.n > 2 && s.p[0] == 8) {
        size_t at = 1;

        while (at < s.n && (s.p[at] & 128) != 0)
            at++;
        if (at + 2 < s.n && s.p[at + 1] == 16 && s.p[at + 2] == RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__SUCCESS)
            return true;
    }
    h = r.bad ? NULL : rpc_response_header_proto__unpack(NULL, s.n, s.p);
    good = h != NULL && h->status == RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__SUCCESS;
    if (!good && l->failed++ == 0)
        snprintf(l->said, sizeof l->said, "%.*s", h == NULL ? 0 : (int)h->errormsg.len,
                 h == NULL ? "" : (const char *)h->errormsg.data);
    if (h != NULL)
        rpc_response_header_proto__free_unpacked(h, NULL);
    return good;
}

static void
hear(struct load *l, struct caller *c, uint64_t *now)
{
    ssize_t n = read(c->sock, c->in + c->got, sizeof c->in - c->got);
    size_t want;

    if (n <= 0 && errno != EAGAIN)
        end("read");
    if (n <= 0)
        return;
    c->got += (size_t)n;
    if (c->got < 4 || c->got < (want = get_be32(c->in) + 4))
        return;
    *now = now_ns();
    c->got = 0;                 /* one call at a time: nothing follows */
    c->busy = false;
    c->call_id++;
    if (is_good(l, c->in + 4, want - 4)) {
        l->calls++;
        l->spent_ns += *now - c->sent_ns;
        l->times[bucket_of(*now - c->sent_ns)]++;
        c->files += l->phase == CREATE;
    } else if (l->phase == CREATE) {
        l->until_ns = *now;
    }
    ask(l, c, *now);
}

/* ---- phases ---- */

/* CPU of a process, us; 0 when it is not known. */
static double
cpu_us(long pid)
{
    unsigned long user = 0, sys = 0;
    char path[64], text[1024];
    const char *end_of_name;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (pid == 0 || (f = fopen(path, "r")) == NULL)
        return 0;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    if ((end_of_name = strrchr(text, ')')) == NULL ||
        sscanf(end_of_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        return 0;
    return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static double
own_cpu_us(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* us within which this part of the calls were answered. */
static double
within(const struct load *l, double part)
{
    unsigned long seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++)
        if ((double)(seen += l->times[i]) >= part * (double)l->calls)
            return (double)((16 + (i & 15)) * ((uint64_t)1 << (i / 16))) / 1e3;
    return 0;
}

static void
print(const struct load *l, double seconds, double cpu, double own_cpu)
{
    const char *name = phases[l->phase].name;
    double calls = l->calls ? (double)l->calls : 1;

    printf("%s %.0f\n%s_us %.1f\n%s_p50_us %.0f\n%s_p99_us %.0f\nload_%s_cpu_us %.1f\n", name, (double)l->calls / seconds,
           name, (double)l->spent_ns / calls / 1e3, name, within(l, 0.5), name, within(l, 0.99), name, own_cpu / calls);
    if (l->pid != 0)
        printf("%s_cpu_us %.1f\n", name, cpu / calls);
    fflush(stdout);
}

static void
run_phase(struct load *l, int poll, enum phase phase, unsigned seconds)
{
    RequestHeaderProto h = REQUEST_HEADER_PROTO__INIT;
    struct epoll_event ready[EVENTS];
    double cpu = cpu_us(l->pid), own_cpu = own_cpu_us();
    uint64_t began = now_ns(), now = began;
    unsigned busy;

    l->phase = phase;
    l->calls = 0;
    l->spent_ns = 0;
    memset(l->times, 0, sizeof l->times);
    l->until_ns = began + (uint64_t)seconds * 1000000000;
    h.methodname = bytes(phases[phase].method);
    h.declaringclassprotocolname = bytes(PROTOCOL);
    h.clientprotocolversion = 1;
    l->header_n = delimit(&h.base, l->header);
    for (unsigned i = 0; i < l->callers; i++) {
        l->caller[i].next = 0;
        ask(l, &l->caller[i], now);
    }
    do {
        int n = epoll_wait(poll, ready, EVENTS, 60000);

        if (n == 0)
            errno = ETIMEDOUT;
        if (n == 0 || (n < 0 && errno != EINTR))
            end("epoll_wait");
        for (int i = 0; i < n; i++)
            hear(l, ready[i].data.ptr, &now);
        busy = 0;
        for (unsigned i = 0; i < l->callers && busy == 0; i++)
            busy = l->caller[i].busy;
    } while (busy != 0);
    print(l, (double)(now_ns() - began) / 1e9, cpu_us(l->pid) - cpu, own_cpu_us() - own_cpu);
}

static void
connect_all(struct load *l, int poll, const char *to)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *at;
    const char *colon = strrchr(to, ':');
    char host[256];
    int one = 1;

    snprintf(host, sizeof host, "%.*s", colon == NULL ? 0 : (int)(colon - to), to);
    if (colon == NULL || getaddrinfo(host, colon + 1, &hints, &at) != 0) {
        fprintf(stderr, "nn_load: %s is no HOST:PORT\n", to);
        exit(2);
    }
    for (unsigned i = 0; i < l->callers; i++) {
        struct caller *c = &l->caller[i];
        struct epoll_event e = { .events = EPOLLIN, .data = { .ptr = c } };

        c->number = i;
        if (getrandom(c->id, sizeof c->id, 0) != sizeof c->id || (c->sock = socket(at->ai_family, SOCK_STREAM, 0)) < 0 ||
            connect(c->sock, at->ai_addr, at->ai_addrlen) != 0)
            end(to);
        (void)setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);     /* slower without, not wrong */
        if (fcntl(c->sock, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(poll, EPOLL_CTL_ADD, c->sock, &e) != 0)
            end("epoll");
    }
    freeaddrinfo(at);
}

int
main(int argc, char **argv)
{
    unsigned seconds = argc > 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    static struct load l;

    l.callers = argc > 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (l.callers == 0 || l.callers > CALLERS_MAX || seconds == 0) {
        fprintf(stderr, "usage: nn_load HOST:PORT CALLERS (1 .. %d) SECONDS DIRECTORY [PID]\n", CALLERS_MAX);
        return 2;
    }
    l.directory = argv[4];
    l.pid = argc > 5 ? strtol(argv[5], NULL, 10) : 0;
    l.user = getenv("HADOOP_USER_NAME") ? getenv("HADOOP_USER_NAME") : "root";
    connect_all(&l, poll, argv[1]);
    for (unsigned i = 0; i < PHASES && l.failed == 0; i++)
        run_phase(&l, poll, (enum phase)i, seconds);
    if (l.failed != 0)
        fprintf(stderr, "nn_load: %lu calls failed, the first: %s\n", l.failed, l.said);
    return l.failed == 0 ? 0 : 1;
}
