/*
 * rc -- result codes: why a call failed, as far as some caller acts on it.
 *
 * One row a code in rc.def: number, retry advice, the Java class that the wire
 * carries.  struct why holds the code together with a sentence for a person.
 */
#ifndef CORE_BASE_RC_H
#define CORE_BASE_RC_H

#include <stdarg.h>
#include <stddef.h>

#include "core/base/attr.h"

enum rc {
#define RC(symbol, number, retry, wire, text) RC_##symbol = (number),
#include "core/base/rc.def"
#undef RC
};

/* What a caller may do about a failure. */
enum rc_retry {
    RETRY_NEVER,        /* the answer will be the same */
    RETRY_LATER,        /* the same call may work after a while */
    RETRY_ELSEWHERE,    /* another replica, node or connection may work */
    RETRY_ASK,          /* outcome unknown: repeat with the same call id */
};

#define WHY_TEXT_MAX 2048

/*
 * Why something failed.  Filled exactly when the function that was given it
 * did not return RC_OK.  java is the class to put on the wire: the row's, or a
 * static string set by why_class().
 */
struct why {
    enum rc rc;
    const char *java;
    char text[WHY_TEXT_MAX];
};

/* Fill why (NULL is allowed) and return rc.  Text beyond WHY_TEXT_MAX - 1 bytes is cut. */
enum rc why_set(struct why *why, enum rc rc, const char *fmt, ...) PRINTF(3, 4);
enum rc why_vset(struct why *why, enum rc rc, const char *fmt, va_list ap) PRINTF(3, 0);

/* Like why_set with the code's own text: for failures that need no detail. */
enum rc why_rc(struct why *why, enum rc rc);

/* Replace the Java class that goes on the wire (borrows a static string); returns why->rc. */
enum rc why_class(struct why *why, const char *java);

/* Put "prefix: " before the text that is there; returns why->rc. */
enum rc why_prefix(struct why *why, const char *fmt, ...) PRINTF(2, 3);

/* The row's symbol ("LEASE_EXPIRED"), text, Java class ("" if it has none) and advice. */
const char *rc_name(enum rc rc);
const char *rc_text(enum rc rc);
const char *rc_java(enum rc rc);
enum rc_retry rc_retry(enum rc rc);

/*
 * The code for a Java class that a peer sent, RC_REMOTE if no row has it.
 * Where several rows share a class the first row with it is the answer.
 */
enum rc rc_from_java(const char *java, size_t len);

/* The code for an errno value: ENOENT, EEXIST, ENOSPC, EIO ... ; RC_IO for one not listed. */
enum rc rc_from_errno(int err);

/* Set why from errno: "what: strerror". Returns the code. */
enum rc why_errno(struct why *why, int err, const char *fmt, ...) PRINTF(3, 4);

#endif
