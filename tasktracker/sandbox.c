#include "tasktracker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/attr.h"

#include <linux/capability.h>
#include <seccomp.h>

#define SLOT_UID 61200              /* the first of the uids that workers run under in the root tier */
#define THREADS_MAX 256             /* of a worker: its uid or its user namespace is its own */
#define THREADS_MAX_SHARED 4096     /* the same, counted with all else that the tracker's user runs */
#define TMP_OPTIONS "size=16m,mode=1777"

static const struct { int flag; const char *name; } kinds[] = {
    { CLONE_NEWUSER, "user" }, { CLONE_NEWPID, "pid" }, { CLONE_NEWNS, "mount" },
    { CLONE_NEWNET, "net" }, { CLONE_NEWIPC, "ipc" }, { CLONE_NEWUTS, "uts" },
};

const char *
sandbox_tier_name(enum sandbox_tier tier)
{
    switch (tier) {
    case TIER_ROOT: return "root";
    case TIER_USERNS: return "userns";
    case TIER_PLAIN: break;
    }
    return "plain";
}

/* ---- namespaces ---- */

pid_t
sandbox_fork(const struct sandbox *s)
{
    /* Not glibc's clone: the child goes on here, with this stack's copy. */
    return (pid_t)syscall(SYS_clone, (unsigned long)(s->namespaces | SIGCHLD), 0UL, 0UL, 0UL, 0UL);
}

void
sandbox_share(struct sandbox *s)
{
    /* A user namespace of its own cannot be entered with one of another's: there each worker keeps one for itself. */
    if ((s->namespaces & CLONE_NEWNET) && !(s->namespaces & CLONE_NEWUSER) && unshare(CLONE_NEWNET) == 0)
        s->namespaces &= ~CLONE_NEWNET;
}

static enum rc
write_proc(const char *path, const char *text, struct why *why)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return why_errno(why, errno, "%s", path);
    n = write(fd, text, strlen(text));
    (void)close(fd);                /* the write says how it went */
    return n == (ssize_t)strlen(text) ? RC_OK : why_errno(why, errno, "%s", path);
}

static enum rc
map_user(uid_t uid, gid_t gid, struct why *why)
{
    char uids[64], gids[64];
    enum rc rc;

    (void)snprintf(uids, sizeof uids, "%u %u 1", (unsigned)uid, (unsigned)uid);
    (void)snprintf(gids, sizeof gids, "%u %u 1", (unsigned)gid, (unsigned)gid);
    if ((rc = write_proc("/proc/self/setgroups", "deny", why)) != RC_OK ||
        (rc = write_proc("/proc/self/uid_map", uids, why)) != RC_OK)
        return rc;
    return write_proc("/proc/self/gid_map", gids, why);
}

/* struct mount_attr and its call; older C libraries have neither. */
struct mount_attr_ours {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};
#define ATTR_RDONLY 0x1
#define ATTR_NOSUID 0x2

static enum rc
make_read_only(struct why *why)
{
    struct mount_attr_ours attr = { .attr_set = ATTR_RDONLY | ATTR_NOSUID };

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return why_errno(why, errno, "private mounts");
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, TMP_OPTIONS) != 0)
        return why_errno(why, errno, "a private /tmp");
#ifdef SYS_mount_setattr
    if (syscall(SYS_mount_setattr, -1, "/", AT_RECURSIVE, &attr, sizeof attr) != 0)
        return why_errno(why, errno, "a read-only root");
    return RC_OK;
#else
    (void)attr;
    return why_set(why, RC_UNSUPPORTED, "no mount_setattr");
#endif
}

enum rc
sandbox_enter(const struct sandbox *s, struct why *why)
{
    enum rc rc;

    if ((s->namespaces & CLONE_NEWUSER) && (rc = map_user(s->uid, s->gid, why)) != RC_OK)
        return rc;
    return s->namespaces & CLONE_NEWNS ? make_read_only(why) : RC_OK;
}

/* Does a child in these namespaces come to life? */
static bool
namespaces_work(int flags)
{
    const struct sandbox s = { .namespaces = flags, .uid = getuid(), .gid = getgid() };
    int status;
    pid_t pid = sandbox_fork(&s);
    struct why why;

    if (pid < 0)
        return false;
    if (pid == 0)
        _exit(sandbox_enter(&s, &why) != RC_OK);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
probe_namespaces(int base)
{
    int all = base, some = base;

    for (size_t i = 1; i < ARRAY_LEN(kinds); i++)
        all |= kinds[i].flag;
    if (namespaces_work(all))
        return all;
    if (base != 0 && !namespaces_work(base))
        return 0;
    for (size_t i = 1; i < ARRAY_LEN(kinds); i++)
        if (namespaces_work(base | kinds[i].flag))
            some |= kinds[i].flag;
    return some == base || namespaces_work(some) ? some : base;
}

static bool
uids_work(void)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return false;
    if (pid == 0)
        _exit(setgroups(0, NULL) != 0 || setresgid(SLOT_UID, SLOT_UID, SLOT_UID) != 0 ||
              setresuid(SLOT_UID, SLOT_UID, SLOT_UID) != 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void
sandbox_probe(struct sandbox *ret)
{
    size_t n;
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    memset(ret, 0, sizeof *ret);
    ret->uid = getuid();
    ret->gid = getgid();
    ret->landlock = abi > 0 ? abi : 0;
    if (geteuid() == 0 && uids_work()) {
        ret->tier = TIER_ROOT;
        ret->namespaces = probe_namespaces(0);
    } else {
        ret->namespaces = probe_namespaces(CLONE_NEWUSER);
        ret->tier = ret->namespaces & CLONE_NEWPID ? TIER_USERNS : TIER_PLAIN;
        if (ret->tier == TIER_PLAIN)
            ret->namespaces = 0;
    }
    n = (size_t)snprintf(ret->text, sizeof ret->text, "%s namespaces=", sandbox_tier_name(ret->tier));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (ret->namespaces & kinds[i].flag)
            n += (size_t)snprintf(ret->text + n, sizeof ret->text - n, "%s%s", ret->text[n - 1] == '=' ? "" : ",",
                                  kinds[i].name);
    (void)snprintf(ret->text + n, sizeof ret->text - n, "%s landlock=%d seccomp", ret->namespaces ? "" : "none",
                   ret->landlock);
}

/* ---- the worker ---- */

static enum rc
set_limit(int which, const char *name, rlim_t max, struct why *why)
{
    struct rlimit r;

    if (getrlimit((__rlimit_resource_t)which, &r) != 0)
        return why_errno(why, errno, "getrlimit %s", name);
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < max)
        max = r.rlim_max;
    r.rlim_cur = r.rlim_max = max;
    if (setrlimit((__rlimit_resource_t)which, &r) != 0)
        return why_errno(why, errno, "setrlimit %s", name);
    return RC_OK;
}

static enum rc
drop_privileges(const struct sandbox *s, unsigned slot, struct why *why)
{
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct none[2];

    memset(none, 0, sizeof none);
    if (s->tier == TIER_ROOT) {
        uid_t uid = SLOT_UID + slot;

        if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
            return why_errno(why, errno, "setresuid %u", (unsigned)uid);
    }
    if (syscall(SYS_capset, &head, none) != 0)
        return why_errno(why, errno, "capset");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return why_errno(why, errno, "no_new_privs");
    return RC_OK;
}

/* Only what a shared object's libraries need may be read; everything else that is on a disk is out of reach. */
static enum rc
lock_files(int abi, struct why *why)
{
    static const char *const readable[] = { "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime" };
    struct landlock_ruleset_attr all = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                             LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                             LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                             LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                             LANDLOCK_ACCESS_FS_MAKE_SYM,
    };
    int rules;
    enum rc rc = RC_OK;

    if (abi == 0)
        return RC_OK;
    if ((rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0)) < 0)
        return why_errno(why, errno, "Landlock");
    for (size_t i = 0; i < ARRAY_LEN(readable) && rc == RC_OK; i++) {
        struct landlock_path_beneath_attr at = { .allowed_access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE };

        if ((at.parent_fd = open(readable[i], O_PATH | O_CLOEXEC)) < 0)
            continue;               /* not on this machine */
        if (i < 3)
            at.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &at, 0) != 0)
            rc = why_errno(why, errno, "Landlock, %s", readable[i]);
        (void)close(at.parent_fd);
    }
    if (rc == RC_OK && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        rc = why_errno(why, errno, "Landlock");
    (void)close(rules);
    return rc;
}

static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
    SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(stat),
    SCMP_SYS(lstat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(getcwd), SCMP_SYS(dup),
    SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(memfd_create), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
    SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
    SCMP_SYS(pselect6), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(mincore), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(set_tid_address), SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list), SCMP_SYS(rseq), SCMP_SYS(arch_prctl), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu),
    SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrandom), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Not those that have signals sent to whoever one likes (F_SETOWN, F_SETSIG). */
static const int allowed_fcntl[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS, F_GET_SEALS };

static enum rc
lock_calls(struct why *why)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r = f == NULL ? -ENOMEM : 0;
    scmp_datum_t self = (scmp_datum_t)getpid();

    for (size_t i = 0; i < ARRAY_LEN(allowed) && r == 0; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < ARRAY_LEN(allowed_fcntl) && r == 0; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)allowed_fcntl[i]));
    /* Threads, not processes; signals to oneself, limits of one's own; a thread's name. */
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self));
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);      /* glibc then uses clone */
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
    if (r == 0)
        r = seccomp_load(f);
    if (f != NULL)
        seccomp_release(f);
    return r == 0 ? RC_OK : why_errno(why, -r, "seccomp");
}

enum rc
sandbox_lock(const struct sandbox *s, unsigned slot, struct why *why)
{
    enum rc rc;

    if ((rc = set_limit(RLIMIT_CORE, "core", 0, why)) != RC_OK ||
        (rc = set_limit(RLIMIT_NOFILE, "nofile", 65536, why)) != RC_OK ||
        (rc = set_limit(RLIMIT_MEMLOCK, "memlock", 64 * KB, why)) != RC_OK ||
        (rc = set_limit(RLIMIT_MSGQUEUE, "msgqueue", 0, why)) != RC_OK ||
        (rc = set_limit(RLIMIT_NPROC, "nproc", s->tier == TIER_PLAIN ? THREADS_MAX_SHARED : THREADS_MAX, why)) != RC_OK ||
        (rc = drop_privileges(s, slot, why)) != RC_OK || (rc = lock_files(s->landlock, why)) != RC_OK)
        return rc;
    /* After the change of user, which clears it: no worker outlives its warden. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return why_errno(why, errno, "PR_SET_PDEATHSIG");
    /* The change of user cleared this too, and without it /proc/self/fd, through which the job is loaded, is root's. */
    if (prctl(PR_SET_DUMPABLE, 1) != 0)
        return why_errno(why, errno, "PR_SET_DUMPABLE");
    return lock_calls(why);
}
