#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "mini/supervise.h"

/* DIR/run may be longer than a socket's address allows, so it is reached through a descriptor of it. */
static enum rc
control_address(const struct cluster *c, int *ret_dir_fd, struct sockaddr_un *ret, struct why *why)
{
    char path[PATH_MAX];
    enum rc rc;

    if ((rc = cluster_path(c, path, sizeof path, why, "run")) != RC_OK)
        return rc;
    if ((*ret_dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return why_errno(why, errno, "%s", path);
    memset(ret, 0, sizeof *ret);
    ret->sun_family = AF_UNIX;
    snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/control.sock", *ret_dir_fd);
    return RC_OK;
}

enum rc
control_connect(const struct cluster *c, int *ret_fd, struct why *why)
{
    struct sockaddr_un un;
    int dir_fd, fd;
    enum rc rc;

    if ((rc = control_address(c, &dir_fd, &un, why)) != RC_OK)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        rc = why_errno(why, errno, "socket");
    else if (connect(fd, (struct sockaddr *)&un, sizeof un) < 0)
        rc = why_set(why, RC_REFUSED, "the cluster in %s is not running", c->dir);
    (void)close(dir_fd);
    if (rc == RC_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    return rc;
}

enum rc
control_listen(const struct cluster *c, int *ret_fd, struct why *why)
{
    struct sockaddr_un un;
    int dir_fd, fd;
    enum rc rc;

    if (control_connect(c, &fd, why) == RC_OK) {
        (void)close(fd);
        return why_set(why, RC_ADDRESS_IN_USE, "the cluster in %s is running already: `millrace ps %s` shows it, "
                       "`millrace stop %s` stops it", c->dir, c->dir, c->dir);
    }
    if ((rc = control_address(c, &dir_fd, &un, why)) != RC_OK)
        return rc;
    (void)unlink(un.sun_path);      /* of a supervisor that died; often not there */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof un) < 0 || listen(fd, 16) < 0)
        rc = why_errno(why, errno, "%s/run/control.sock", c->dir);
    (void)close(dir_fd);
    if (rc == RC_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    return rc;
}

enum rc
control_ask(const struct cluster *c, const char *line, char **ret, struct why *why)
{
    struct buf b;
    int fd;
    enum rc rc;

    if ((rc = control_connect(c, &fd, why)) != RC_OK)
        return rc;
    buf_init(&b, 1 * MB);
    if (dprintf(fd, "%s\n", line) < 0)
        rc = why_errno(why, errno, "the supervisor of %s", c->dir);
    while (rc == RC_OK) {
        uint8_t *p = buf_grow(&b, 4096);
        ssize_t n;

        if (p == NULL) {
            rc = why_rc(why, RC_NOMEM);
            break;
        }
        b.n -= 4096;
        if ((n = read(fd, p, 4096)) < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        b.n += (size_t)n;
    }
    (void)close(fd);
    while (b.n && b.p[b.n - 1] == '\n')
        b.n--;
    if (rc == RC_OK && b.n == 0)
        rc = why_set(why, RC_CLOSED, "the supervisor of %s ended without an answer", c->dir);
    if (rc == RC_OK && (*ret = mem_strndup(b.p, b.n)) == NULL)
        rc = why_rc(why, RC_NOMEM);
    buf_fini(&b);
    return rc;
}
