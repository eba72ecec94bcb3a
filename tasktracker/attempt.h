/*
 * attempt -- the tracker's side of one attempt: a thread that talks with its worker.
 *
 * Answers the worker's questions (input, files, segments, output), listens to
 * its progress and to what it prints, ends it when it is told to or when it
 * says nothing for too long, and reports how it ended.
 */
#ifndef TASKTRACKER_ATTEMPT_H
#define TASKTRACKER_ATTEMPT_H

#include "tasktracker/attempt_log.h"
#include "tasktracker/cache.h"
#include "tasktracker/feed.h"
#include "tasktracker/fetch.h"
#include "tasktracker/tt_priv.h"

#define TALK_SINKS_MAX 64

/* An input file of the attempt. */
struct talk_input {
    struct fs_reader *reader;       /* to find local blocks; NULL until asked for */
    struct feed *feed;              /* NULL none */
    char *filling;                  /* key of the cache's entry that the worker fills; NULL none */
};

/* One conversation.  Only its thread touches it. */
struct talk {
    struct tt_attempt *a;
    struct tt *tt;
    struct launched worker;
    int log_pipe;
    struct attempt_log log;
    struct talk_input *inputs;
    size_t input_count;
    JtSplit *second;                /* the second input's file of this map, the last input; NULL none */
    struct sink *sinks[TALK_SINKS_MAX];     /* of the outputs, in the order in which they were asked for */
    size_t sink_count;
    struct sink *part;              /* of the part, opened before it was asked for; NULL none */
    int part_fd;                    /* its other end */
    bool has_more_dir;
    bool is_early;                  /* the job's work directory has not been seen yet: that no output opens is not its fault, */
    bool no_place;                  /* and it was refused one for that */
    struct fetch *fetch;
    bool waits_for_segment;         /* the worker asked, there was none yet */
    char *output_path;              /* of the map's output; NULL none */
    int *files;                     /* intermediate files that the worker was given, to see how long they are */
    size_t file_count, file_cap;
    uint64_t heard_ms;              /* mono: the worker was busy or asked */
    TkReport *end;                  /* DONE or FAILED */
    char *log_path;
};

/* Answer one report; false ends the conversation, with why when it is a failure of ours. */
bool talk_answer(struct talk *k, TkReport *r, enum rc *ret_rc, struct why *why);
/* What a short map will ask for, while its worker gets ready: what cannot be had is asked for again when it is due. */
void talk_ahead(struct talk *k);
/* A segment came, or the shuffle failed. */
bool talk_segment(struct talk *k, enum rc *ret_rc, struct why *why);
/* Have the attempt's files grown beyond what it may write?  Then why says so. */
bool talk_wrote_too_much(struct talk *k, struct why *why);
/* What was being kept of the input is whole, or goes. */
void talk_end_cache(struct talk *k, bool succeeded);
/* Close inputs, files and shuffle. */
void talk_fini(struct talk *k);

#endif
