/*
 * job_id -- the names of jobs and attempts as people see them.
 *
 *     job_202601311200_0001                     when the JobTracker's state was made, number of the job
 *     attempt_202601311200_0001_m_000003_0      map or reduce, number of the task, number of the attempt
 */
#ifndef CORE_PROTO_JOB_ID_H
#define CORE_PROTO_JOB_ID_H

#include <stdbool.h>
#include <stdint.h>

#define JOB_ID_TEXT 48
#define ATTEMPT_ID_TEXT 72

const char *job_id_text(uint64_t created_ms, uint64_t number, char out[JOB_ID_TEXT]);
const char *attempt_id_text(const char *job_id, bool is_map, uint32_t task, uint32_t attempt, char out[ATTEMPT_ID_TEXT]);
/* The number in a job id of the JobTracker whose state was made at created_ms; 0 if it is not one. */
uint64_t job_id_parse(uint64_t created_ms, const char *text);

#endif
