/* covey/pipeline.h: several programs in a row. Part of process.h, which includes it. */
#ifndef COVEY_PIPELINE_H
#define COVEY_PIPELINE_H

#include <covey/process.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  /* a command but the last that ends by SIGPIPE, because the one behind it had read enough, has not failed (POSIX;
   * on Windows a broken pipe is an exit code like any other) */
  COVEY_PIPELINE_ALLOW_SIGPIPE = 1 << 0
};

enum { COVEY_PIPELINE_MOST = 64 }; /* commands in one pipeline */

/* How a pipeline is run as a whole. All zero is the default. */
typedef struct covey_pipeline_options {
  uint32_t flags;     /* COVEY_PIPELINE_... */
  uint32_t reserved0; /* zero */
  /* milliseconds for all of it, from the call on; then every command that still runs is stopped
   * (COVEY_WHY_TIMEOUT). 0 or COVEY_FOREVER: none */
  int64_t timeout;
  /* between asking and killing when the whole is stopped. 0: that of each command */
  int64_t grace;
  covey_cancel *cancel; /* borrowed; once fired every command is stopped (COVEY_WHY_CANCEL). NULL: none */
  uint64_t reserved[8]; /* zero */
} covey_pipeline_options;

/* What covey_pipeline returns; freed with covey_pipeline_result_free. */
typedef struct covey_pipeline_result {
  covey_result *results; /* one for each command, in their order; owned with the struct */
  size_t count;
  /* index of the last command that did not end cleanly, which is what a shell calls pipefail; -1: all did */
  int64_t failed;
  uint64_t reserved[4];
} covey_pipeline_result;

/* covey_pipeline runs several programs at once, each of which reads from its standard input what the one before writes
 * to its standard output, without a shell and without a copy through this process; and returns when all have ended and
 * nothing of them is left.
 * commands, count: borrowed; 1 to COVEY_PIPELINE_MOST, each with all options of covey_run, but: in and input only of
 * the first, out only of the last (for the others they are the pipes between them), cancel only in options. err of each
 * goes where its own options say; COVEY_STDIO_MERGE sends it down the pipe too. A timeout of a command is its own.
 * options: borrowed, NULL: the default. ret_result: owned, free with covey_pipeline_result_free; may be NULL.
 * Returns 0 when all were started and their ends are known, whatever those were: see failed, and each exit. A
 * negative code means that there is no result: ret_result is untouched. When a command cannot be started those before
 * it are killed, and what in the failure begins with its number ("command 2: ...", counted from 1). With
 * COVEY_PROCESS_CHECK in the options of the command that is failed, its end is a failure of the call, as in covey_run.
 * Errors: COVEY_EINVAL (ARGUMENTS; also no command, or too many), and all of covey_run. Any thread; calls of different
 * threads do not disturb each other. */
COVEY_API int covey_pipeline(const covey_process_options *commands, size_t count,
                             const covey_pipeline_options *options, covey_pipeline_result *ret_result);

/* covey_pipeline_result_free frees what result holds and zeroes it. result: the struct stays the caller's; NULL and
 * all-zero do nothing. */
COVEY_API void covey_pipeline_result_free(covey_pipeline_result *result);

#ifdef __cplusplus
}
#endif

#endif
