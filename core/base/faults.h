/*
 * faults -- places where a test may end the process, and known bugs that a test may bring back.
 *
 * Both exist only in a build configured with --enable-faults (MILLRACE_FAULTS in config.h); elsewhere CRASH_POINT is
 * nothing and old_bug is the constant false.  Such a build is for tests: every daemon of it says so when it starts.
 *
 * A crash point is a row of crash_points.def and one or more CRASH_POINT(name) in the code.  The process that passes it
 * ends by SIGKILL: nothing is flushed, no destructor runs.  Which point is meant comes from
 *     MILLRACE_CRASH_AT=name[:k]     the k-th passing (from 1) in each process with this environment
 *     MILLRACE_CRASH_FILE=path       a file with that text, read at every passing: a test arms a point by making it.
 *                                    Passings count from then; the process that reaches the k-th removes the file and
 *                                    ends, so of several daemons one ends, and what is started again goes on.
 *
 * An old bug is a row of old_bugs.def and an old_bug(OLD_BUG_name) where the right thing is left out.
 *     MILLRACE_OLD_BUG=name          brings one back in each process with this environment, the simulator too.
 * A name that no row has ends the process at once: a test that means nothing must not pass.
 *
 * Owns: counts of passings, for the whole process.  Any thread.
 */
#ifndef CORE_BASE_FAULTS_H
#define CORE_BASE_FAULTS_H

#include <stdbool.h>

#include "config.h"

enum crash_point {
#define CRASH(name, program, text) CP_##name,
#include "core/base/crash_points.def"
#undef CRASH
    CRASH_POINT_COUNT
};

enum old_bug {
#define OLD_BUG(name, rule, caught_by, text) OLD_BUG_##name,
#include "core/base/old_bugs.def"
#undef OLD_BUG
    OLD_BUG_COUNT
};

#ifdef MILLRACE_FAULTS

#define CRASH_POINT(name) faults_pass(CP_##name)

void faults_pass(enum crash_point point);
bool old_bug(enum old_bug bug);

/* Say in the log that this build can be made to fail. */
void faults_announce(void);

#else

#define CRASH_POINT(name) ((void)CP_##name)

static inline bool old_bug(enum old_bug bug) { (void)bug; return false; }
static inline void faults_announce(void) { }

#endif

#endif
