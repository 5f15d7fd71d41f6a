/* proc/run.h: start, wait, collect: what covey_run and covey_pipeline share. All of it on a loop that is the call's own. */
#ifndef COVEY_PROC_RUN_H
#define COVEY_PROC_RUN_H

#include "proc/process.h"

/* What a command is called in failures: a view of its options. */
const char *cvy_run_name(const covey_process_options *options);

/* 0, or COVEY_ECANCELED (COVEY_ENOMEM) when cancel, which may be NULL, was fired before the start. Not recorded. */
int cvy_run_cancelled(covey_loop *loop, covey_cancel *cancel);

/* Waits until all of list have ended and are drained. At the deadline, or once cancel is fired, all are stopped, with grace (0: each with its own),
 * and waited out. 0, or COVEY_ESTUCK: one of them does not end. Not recorded. */
int cvy_run_wait(covey_loop *loop, covey_process *const *list, size_t count, cvy_deadline deadline,
                 int64_t grace, covey_cancel *cancel);

/* Sees to the tree of one that is done, reaps it and takes its result: *ret owned. Errors: COVEY_ENOMEM, recorded. */
int cvy_run_finish(covey_process *p, const char *name, covey_result *ret);

/* Sees to one whose result nobody takes: one that is not done is killed, and reaped in the background. */
void cvy_run_abandon(covey_process *p);

/* COVEY_PROCESS_CHECK: 0 for a clean end, else a failure that says what it was, recorded. */
int cvy_run_verdict(const covey_result *result, const char *name);

#endif
