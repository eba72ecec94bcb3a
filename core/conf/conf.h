/*
 * conf -- options, declared once in options.def.
 *
 * A row gives the struct field, the parser, the limits, the default, the sample
 * file and the manual.  Sources, later ones win: defaults, the file of --config
 * (inih sections, or Hadoop's *-site.xml by expat), -D / --set.  An unknown key
 * under dfs., fs., mapreduce., ipc., net., hadoop. or millrace. in our own files
 * is an error with a suggestion; in XML it is one line of information.  Keys
 * under hadoop.proxyuser. and under any other prefix are kept for whoever asks.
 *
 * In our files a section holds for one kind of program: [namenode], [datanode],
 * [jobtracker], [tasktracker], [client]; what stands before the first section or
 * in [all] holds for every one.
 */
#ifndef CORE_CONF_CONF_H
#define CORE_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/rc.h"

/* Who reads an option. */
enum conf_who { NN = 1, DN = 2, JT = 4, TT = 8, CL = 16, MR = 32, ALL = 63 };

enum conf_kind {
    CONF_BOOL,      /* bool */
    CONF_INT,       /* uint64_t, a count */
    CONF_BYTES,     /* uint64_t, with k, m, g, t */
    CONF_MSEC,      /* uint64_t, milliseconds; ms, s, m, h, d; a bare number is in the unit of the row's key */
    CONF_DECIMAL,   /* double */
    CONF_TEXT,      /* char * */
    CONF_LIST,      /* char *, comma-separated as given; conf_list splits */
};

enum conf_reload { RESTART, LIVE };

#define CONF_TYPE_BOOL bool
#define CONF_TYPE_INT uint64_t
#define CONF_TYPE_BYTES uint64_t
#define CONF_TYPE_MSEC uint64_t
#define CONF_TYPE_DECIMAL double
#define CONF_TYPE_TEXT char *
#define CONF_TYPE_LIST char *

struct conf_extra;

/* One field a row; set by conf_init, conf_load and conf_set only. */
struct conf {
#define OPT(field, key, kind, dflt, min, max, who, reload, doc) CONF_TYPE_##kind field;
#include "core/conf/options.def"
#undef OPT
    unsigned who;               /* enum conf_who this program is */
    struct conf_extra *extra;   /* where each value came from; keys that belong to jobs or to proxy rules */
};

enum rc conf_init(struct conf *c, unsigned who, struct why *why) MUST_CHECK;   /* defaults */
void conf_fini(struct conf *c);
enum rc conf_copy(struct conf *to, const struct conf *from, struct why *why) MUST_CHECK;

/* Read a file (ours or, by its name, *.xml), or what a folder has of core-site.xml, hdfs-site.xml, mapred-site.xml and
 * millrace.conf.  Every problem is listed in why, "file:line: key: reason". */
enum rc conf_load(struct conf *c, const char *path, struct why *why) MUST_CHECK;

/* "key=value" or key and value, as with -D and --set; from says where it came from ("-D"). */
enum rc conf_set(struct conf *c, const char *key, const char *value, const char *from, struct why *why) MUST_CHECK;
enum rc conf_set_pair(struct conf *c, const char *key_equals_value, const char *from, struct why *why) MUST_CHECK;

/* The value of a key as text: an option's, or one that no option has (hadoop.proxyuser.*, a job's own); NULL if unset.
 * Borrowed from c until it changes. */
const char *conf_find(const struct conf *c, const char *key);

/* Where the value of an option's key came from: "default", "FILE:LINE", "--set"; NULL for a key that is not an option. */
const char *conf_origin(const struct conf *c, const char *key);

/*
 * Options that follow from others where nobody set them: a NameNode without dfs.namenode.rpc-address serves at the
 * address of fs.defaultFS.  Called once, when everything has been read.
 */
enum rc conf_derive(struct conf *c, struct why *why) MUST_CHECK;

/* Relations between options, and values that no range can describe.  Every problem is listed in why. */
enum rc conf_verify(const struct conf *c, struct why *why) MUST_CHECK;

/*
 * Take over the LIVE options of fresh, for programs of c->who; fn is told of each key whose value differs, with
 * taken false where a restart is needed.  Numbers are stored atomically, and texts that were replaced live as long
 * as c, so threads that read c may go on meanwhile.
 */
enum rc conf_reload(struct conf *c, const struct conf *fresh,
                    void (*fn)(void *arg, const char *key, const char *before, const char *now, bool taken), void *arg,
                    struct why *why) MUST_CHECK;

/* Call fn for each key of a *-site.xml that looks like an option and is none. */
void conf_each_unknown(const struct conf *c, void (*fn)(void *arg, const char *key, const char *from), void *arg);

/* Call fn for each key that is set and that no option has. */
void conf_each_extra(const struct conf *c, void (*fn)(void *arg, const char *key, const char *value), void *arg);

void conf_print(const struct conf *c, FILE *out);   /* --print-config: key = value  # from */

/* Split a CONF_LIST value at commas, white space and "file://" removed: NULL-terminated, caller frees with
 * conf_list_free.  NULL when memory is short. */
char **conf_list(const char *value);
void conf_list_free(char **list);

/* The configuration file to use when --config is not given: $MILLRACE_CONF, else /etc/millrace/millrace.conf
 * if it is there, else NULL. */
const char *conf_default_path(void);

#endif
