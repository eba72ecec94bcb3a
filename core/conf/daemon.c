#include "core/conf/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/conf/version.h"
#include "core/io/thread.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define SET_MAX 256
#define IDLE_THREADS 64         /* that wait for the next piece of work; as long as the process, which does not wait for them */
#define WATCH_MS 100        /* how often has_failed is asked */

/* The command line; everything is borrowed from argv. */
struct flags {
    const char *config;
    const char *sets[SET_MAX];
    size_t set_count;
    bool check;
    bool print;
    bool insecure;
    int ready_fd;           /* -1: none */
    const char *errand;     /* argument of spec->errand; NULL: serve */
};

struct daemon {
    const struct daemon_spec *spec;
    struct flags flags;
    struct conf conf;
    void *self;
};

static void
print_help(const struct daemon_spec *spec)
{
    printf("%s: %s\n\n"
           "Examples:\n"
           "  %s                                      everything on this machine, with the defaults\n"
           "  %s --config /etc/millrace/millrace.conf\n"
           "  %s --config site.conf --check           is that file right?\n"
           "  %s --print-config                       each value and where it comes from\n\n"
           "Options:\n"
           "  --config FILE        read FILE: key = value in sections, or Hadoop's *-site.xml, or a folder of them\n"
           "                       (default: $MILLRACE_CONF, else /etc/millrace/millrace.conf)\n"
           "  --set KEY=VALUE      set one key; also -D KEY=VALUE; may be repeated\n"
           "  --check              read the configuration, list every problem, exit with 0 or 2\n"
           "  --print-config       print the configuration and exit\n"
           "  --ready-fd N         write the bound addresses as JSON to descriptor N once serving\n"
           "  --insecure           allow addresses off loopback although nobody is authenticated\n"
           "  --help, --version\n",
           spec->name, spec->about, spec->name, spec->name, spec->name, spec->name);
    if (spec->errand != NULL)
        printf("  --%s %s  %s\n", spec->errand->name, spec->errand->argument, spec->errand->about);
    printf("\nSignals: SIGTERM and SIGINT stop, SIGHUP reads the configuration again.\n"
           "Manual: man %s, man 5 millrace.conf\n",
           spec->name);
}

static bool
parse_fd(const char *text, int *ret_fd)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || n < 0 || n > 1 << 20)
        return false;
    *ret_fd = (int)n;
    return true;
}

/* Returns -1 to go on, else the exit status. */
static int
parse_flags(int argc, char **argv, const struct daemon_spec *spec, struct flags *f)
{
    enum { F_CONFIG = 256, F_SET, F_CHECK, F_PRINT, F_READY, F_INSECURE, F_HELP, F_VERSION, F_ERRAND };
    const struct option options[] = {
        { "config", required_argument, NULL, F_CONFIG },     { "set", required_argument, NULL, F_SET },
        { "check", no_argument, NULL, F_CHECK },             { "print-config", no_argument, NULL, F_PRINT },
        { "ready-fd", required_argument, NULL, F_READY },    { "insecure", no_argument, NULL, F_INSECURE },
        { "help", no_argument, NULL, F_HELP },               { "version", no_argument, NULL, F_VERSION },
        { spec->errand != NULL ? spec->errand->name : NULL, required_argument, NULL, F_ERRAND },
        { NULL, 0, NULL, 0 },
    };
    int opt;

    *f = (struct flags){ .ready_fd = -1 };
    while ((opt = getopt_long(argc, argv, "D:", options, NULL)) != -1) {
        switch (opt) {
        case F_CONFIG:      f->config = optarg; break;
        case F_CHECK:       f->check = true; break;
        case F_PRINT:       f->print = true; break;
        case F_INSECURE:    f->insecure = true; break;
        case F_ERRAND:      f->errand = optarg; break;
        case F_HELP:        print_help(spec); return EXIT_DONE;
        case F_VERSION:     version_print(stdout, spec->name); return EXIT_DONE;
        case 'D':
        case F_SET:
            if (f->set_count == SET_MAX) {
                fprintf(stderr, "%s: more than %d of --set\n", spec->name, SET_MAX);
                return EXIT_USAGE;
            }
            f->sets[f->set_count++] = optarg;
            break;
        case F_READY:
            if (!parse_fd(optarg, &f->ready_fd)) {
                fprintf(stderr, "%s: --ready-fd: \"%s\" is not a descriptor's number\n", spec->name, optarg);
                return EXIT_USAGE;
            }
            break;
        default:
            fprintf(stderr, "Try \"%s --help\".\n", spec->name);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: \"%s\" is not an option\nTry \"%s --help\".\n", spec->name, argv[optind], spec->name);
        return EXIT_USAGE;
    }
    return -1;
}

static enum rc
load_config(const struct daemon_spec *spec, const struct flags *f, struct conf *c, struct why *why)
{
    const char *path = f->config != NULL ? f->config : conf_default_path();
    enum rc rc;

    if ((rc = conf_init(c, spec->who, why)) != RC_OK)
        return rc;
    if (path != NULL && (rc = conf_load(c, path, why)) != RC_OK)
        goto out;
    for (size_t i = 0; i < f->set_count; i++) {
        if ((rc = conf_set_pair(c, f->sets[i], "--set", why)) != RC_OK) {
            (void)why_prefix(why, "--set");
            goto out;
        }
    }
    if (f->insecure && (rc = conf_set(c, "millrace.insecure", "true", "--insecure", why)) != RC_OK)
        goto out;
    if ((rc = conf_derive(c, why)) == RC_OK && (rc = conf_verify(c, why)) == RC_OK && spec->bind_keys != NULL)
        rc = daemon_check_addresses(c, spec->bind_keys, why);
out:
    if (rc != RC_OK)
        conf_fini(c);
    return rc;
}

enum rc
daemon_check_addresses(const struct conf *c, const char *const *keys, struct why *why)
{
    for (; *keys != NULL; keys++) {
        const char *text = conf_find(c, *keys);
        struct net_addr at;
        enum rc rc;

        if (text == NULL || text[0] == '\0')
            continue;
        if ((rc = net_addr_parse(text, 0, &at, why)) != RC_OK) {
            (void)why_prefix(why, "%s", *keys);
            if (why != NULL)
                why->rc = RC_BAD_CONFIG;
            return RC_BAD_CONFIG;
        }
        if (!c->insecure && !net_addr_is_loopback(&at))
            return why_set(why, RC_BAD_CONFIG,
                           "%s = %s: this address is not on loopback, and whoever reaches it could read and delete "
                           "everything, because clients are not authenticated. Use an address such as 127.0.0.1, or, "
                           "on a network that you trust, start with --insecure (or set millrace.insecure = true).",
                           *keys, text);
    }
    return RC_OK;
}

static void
print_problems(const char *name, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        fprintf(stderr, "%s: %.*s\n", name, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void
log_unknown(void *arg, const char *key, const char *from)
{
    (void)arg;
    log_info("config_key_unknown", "key=%s at=%s", key, from);
}

static void
apply_log_level(const struct conf *c)
{
    enum log_level level;

    if (log_level_parse(c->log_level, &level))
        log_set_level(level);
}

/* {"rpc": "...", "http": "..."}; addresses have no character that JSON would escape. */
static enum rc
tell_ready(int fd, const struct daemon_address *address, struct why *why)
{
    char line[2 * NET_ADDR_TEXT + 64];
    size_t n, done = 0;

    snprintf(line, sizeof line, "{\"rpc\": \"%s\", \"http\": \"%s\"}\n", address->rpc, address->http);
    for (n = strlen(line); done < n;) {
        ssize_t k = write(fd, line + done, n - done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return why_errno(why, errno, "--ready-fd %d", fd);
        done += (size_t)k;
    }
    (void)close(fd);            /* its reader waits for the end */
    return RC_OK;
}

static void
log_change(void *arg, const char *key, const char *before, const char *now, bool taken)
{
    char was[256], is[256];

    (void)arg;
    log_quote(before, strlen(before), was, sizeof was);
    log_quote(now, strlen(now), is, sizeof is);
    if (taken)
        log_info("config_changed", "key=%s before=%s now=%s", key, was, is);
    else
        log_warn("config_needs_restart", "key=%s before=%s now=%s", key, was, is);
}

static void
reload(struct daemon *d)
{
    struct conf fresh;
    struct why why;
    enum rc rc;

    if ((rc = load_config(d->spec, &d->flags, &fresh, &why)) == RC_OK) {
        rc = conf_reload(&d->conf, &fresh, log_change, NULL, &why);
        conf_fini(&fresh);
    }
    if (rc != RC_OK) {
        log_error("config_reload_failed", "reason=\"%s\"", why.text);
        return;
    }
    apply_log_level(&d->conf);
    if (d->spec->reload != NULL)
        d->spec->reload(d->self);
    log_info("config_reloaded", "by=SIGHUP");
}

/* Until a signal says stop or the daemon has ended by itself; returns the exit status. */
static int
serve(struct daemon *d, const sigset_t *signals)
{
    const struct timespec period = { .tv_nsec = WATCH_MS * 1000000L };

    for (;;) {
        int sig = d->spec->has_failed != NULL ? sigtimedwait(signals, NULL, &period) : sigwaitinfo(signals, NULL);

        if (sig == SIGHUP) {
            reload(d);
        } else if (sig == SIGTERM || sig == SIGINT) {
            log_info("stopping", "signal=%s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
            return EXIT_DONE;
        }
        if (d->spec->has_failed != NULL && d->spec->has_failed(d->self)) {
            log_error("failed", "pid=%d", (int)getpid());
            return EXIT_FAILED;
        }
    }
}

/* A shell's soft limit of descriptors is for programs that use select; a daemon has thousands of connections. */
static void
use_all_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);     /* then the old one holds */
}

static int
run(struct daemon *d)
{
    const struct daemon_spec *spec = d->spec;
    struct daemon_address address = { .rpc = "" };
    void *prepared = NULL;
    struct world world;
    struct why why;
    sigset_t signals;
    int status;

    log_set_name(spec->name);
    apply_log_level(&d->conf);
    conf_each_unknown(&d->conf, log_unknown, NULL);
    if (spec->prepare != NULL && spec->prepare(&d->conf, &prepared, &why) != RC_OK) {
        print_problems(spec->name, why.text);
        return EXIT_FAILED;
    }
    use_all_descriptors();
    if (d->flags.errand != NULL) {
        world_posix(&world);
        if (spec->errand->run(&world, &d->conf, d->flags.errand, &why) == RC_OK)
            return EXIT_DONE;
        print_problems(spec->name, why.text);
        return EXIT_FAILED;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);       /* cannot fail with these arguments */
    (void)signal(SIGPIPE, SIG_IGN);
    world_posix(&world);
    if ((world.threads = threads_pool_new(IDLE_THREADS)) == NULL) {
        print_problems(spec->name, "there is no memory");
        return EXIT_FAILED;
    }
    faults_announce();
    if (spec->start(&world, &d->conf, prepared, &d->self, &address, &why) != RC_OK) {
        print_problems(spec->name, why.text);
        return EXIT_FAILED;
    }
    log_info("serving", "pid=%d rpc=%s http=%s", (int)getpid(), address.rpc, address.http);
    if (d->flags.ready_fd >= 0 && tell_ready(d->flags.ready_fd, &address, &why) != RC_OK) {
        print_problems(spec->name, why.text);
        status = EXIT_FAILED;
    } else {
        status = serve(d, &signals);
    }
    spec->stop(d->self);
    log_info("stopped", "status=%d", status);
    return status;
}

int
daemon_main(int argc, char **argv, const struct daemon_spec *spec)
{
    struct daemon d = { .spec = spec };
    struct why why;
    int status;

    if ((status = parse_flags(argc, argv, spec, &d.flags)) >= 0)
        return status;
    if (load_config(spec, &d.flags, &d.conf, &why) != RC_OK) {
        print_problems(spec->name, why.text);
        return EXIT_USAGE;
    }
    if (d.flags.print)
        conf_print(&d.conf, stdout);
    if (d.flags.check)
        printf("%s: configuration ok\n", spec->name);
    if (!d.flags.print && !d.flags.check)
        status = run(&d);
    else
        status = ferror(stdout) || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_DONE;
    conf_fini(&d.conf);
    return status;
}
