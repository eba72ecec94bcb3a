#include "core/base/rc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rc_row {
    const char *name;
    const char *text;
    const char *java;
    enum rc_retry retry;
};

static const struct rc_row rows[] = {
#define RC(symbol, number, advice, wire, about) \
    [number] = { .name = #symbol, .text = (about), .java = (wire), .retry = RETRY_##advice },
#include "core/base/rc.def"
#undef RC
};

/* In the order of rc.def, for classes that several rows share. */
static const enum rc in_order[] = {
#define RC(symbol, number, advice, wire, about) RC_##symbol,
#include "core/base/rc.def"
#undef RC
};

static const struct rc_row *
find_row(enum rc rc)
{
    size_t i = (size_t)rc;

    if (i >= ARRAY_LEN(rows) || rows[i].name == NULL)
        i = RC_BUG;
    return &rows[i];
}

const char *
rc_name(enum rc rc)
{
    return find_row(rc)->name;
}

const char *
rc_text(enum rc rc)
{
    return find_row(rc)->text;
}

const char *
rc_java(enum rc rc)
{
    return find_row(rc)->java;
}

enum rc_retry
rc_retry(enum rc rc)
{
    return find_row(rc)->retry;
}

enum rc
rc_from_java(const char *java, size_t len)
{
    if (len == 0)
        return RC_REMOTE;
    for (size_t i = 0; i < ARRAY_LEN(in_order); i++) {
        const char *class = rc_java(in_order[i]);

        if (strlen(class) == len && memcmp(class, java, len) == 0)
            return in_order[i];
    }
    return RC_REMOTE;
}

enum rc
rc_from_errno(int err)
{
    switch (err) {
    case 0:             return RC_OK;
    case ENOMEM:        return RC_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:         return RC_NO_SPACE;
    case EMFILE:
    case ENFILE:        return RC_NO_DESCRIPTORS;
    case ENOENT:        return RC_SYS_NOT_FOUND;
    case EEXIST:        return RC_SYS_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:         return RC_SYS_DENIED;
    case ENOTEMPTY:     return RC_SYS_NOT_EMPTY;
    case ENOTDIR:       return RC_SYS_NOT_DIR;
    case EAGAIN:        return RC_BUSY;
    case ETIMEDOUT:     return RC_TIMEOUT;
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EPIPE:         return RC_CLOSED;
    case ECONNREFUSED:  return RC_REFUSED;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL: return RC_UNREACHABLE;
    case EADDRINUSE:    return RC_ADDRESS_IN_USE;
    case EINTR:         return RC_INTERRUPTED;
    default:            return RC_IO;
    }
}

enum rc
why_vset(struct why *why, enum rc rc, const char *fmt, va_list ap)
{
    if (why == NULL)
        return rc;
    why->rc = rc;
    why->java = rc_java(rc);
    (void)vsnprintf(why->text, sizeof why->text, fmt, ap);  /* cut text is as good */
    return rc;
}

enum rc
why_set(struct why *why, enum rc rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)why_vset(why, rc, fmt, ap);
    va_end(ap);
    return rc;
}

enum rc
why_rc(struct why *why, enum rc rc)
{
    return why_set(why, rc, "%s", rc_text(rc));
}

enum rc
why_class(struct why *why, const char *java)
{
    if (why == NULL)
        return RC_REMOTE;
    why->java = java;
    return why->rc;
}

enum rc
why_prefix(struct why *why, const char *fmt, ...)
{
    char old[WHY_TEXT_MAX];
    va_list ap;
    int n;

    if (why == NULL)
        return RC_BUG;
    memcpy(old, why->text, sizeof old);
    old[sizeof old - 1] = '\0';
    va_start(ap, fmt);
    n = vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof why->text)
        (void)snprintf(why->text + n, sizeof why->text - (size_t)n, ": %s", old);   /* cut text is as good */
    return why->rc;
}

enum rc
why_errno(struct why *why, int err, const char *fmt, ...)
{
    enum rc rc = rc_from_errno(err);
    va_list ap;
    size_t n;

    if (why == NULL)
        return rc;
    va_start(ap, fmt);
    (void)why_vset(why, rc, fmt, ap);
    va_end(ap);
    n = strlen(why->text);
    if (n < sizeof why->text - 1) {
        char scratch[128];

        (void)snprintf(why->text + n, sizeof why->text - n, ": %s", strerror_r(err, scratch, sizeof scratch));
    }
    return rc;
}
