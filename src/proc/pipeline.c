#include "core/error.h"
#include "core/mem.h"
#include "os/handle.h"
#include "proc/options.h"
#include "proc/run.h"

#include <stdio.h>
#include <string.h>

/* A pipeline while it runs. */
typedef struct pipeline {
  const covey_process_options *commands;
  size_t count, started;
  covey_process *list[COVEY_PIPELINE_MOST];
} pipeline;

static int refuse(size_t command, const char *field)
{
  return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)command, -1, "command %u: %s",
                     (unsigned)command + 1, field);
}

/* The last failure was that of a command: says which. */
static int name_command(size_t command)
{
  covey_failure failure = *covey_last_failure();
  char what[sizeof failure.what];

  (void)snprintf(what, sizeof what, "command %u: %.200s", (unsigned)command + 1, failure.what);
  memcpy(failure.what, what, sizeof what);
  return cvy_fail_copy(&failure);
}

static int check(const covey_process_options *commands, size_t count, const covey_pipeline_options *options)
{
  int r;

  if (!commands || count == 0 || count > COVEY_PIPELINE_MOST)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%u commands", (unsigned)count);
  if ((options->flags & ~(uint32_t)COVEY_PIPELINE_ALLOW_SIGPIPE) || options->reserved0 ||
      !cvy_is_zero(options->reserved, sizeof options->reserved / sizeof options->reserved[0]))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags or reserved words of the pipeline");
  if (options->timeout < COVEY_FOREVER || options->grace < COVEY_FOREVER)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a time of the pipeline");
  for (size_t i = 0; i < count; i++) {
    const covey_process_options *o = &commands[i];

    if ((r = cvy_options_check(o, true)) < 0) return name_command(i);
    if (i > 0 && (o->input || o->in.kind != COVEY_STDIO_DEFAULT)) return refuse(i, "in belongs to the first");
    if (i + 1 < count && o->out.kind != COVEY_STDIO_DEFAULT) return refuse(i, "out belongs to the last");
    if (o->cancel) return refuse(i, "cancel belongs to the pipeline");
  }
  return 0;
}

/* Starts command i, which reads from in (CVOS_NONE: its own) and writes to out; both stay ours to close. */
static int start_one(pipeline *l, size_t i, covey_loop *loop, cvos_handle in, cvos_handle out)
{
  covey_process_options o = l->commands[i];
  cvy_process_extra extra = {.loop = loop, .handle = CVOS_NONE, .run = true};
  int r;

  if (in != CVOS_NONE) {
    o.in.kind = COVEY_STDIO_NATIVE;
    o.in.native = in;
  }
  if (out != CVOS_NONE) {
    o.out.kind = COVEY_STDIO_NATIVE;
    o.out.native = out;
  }
  r = cvy_process_spawn(&o, &extra, &l->list[i]);
  if (r < 0) return name_command(i);
  l->started++;
  return 0;
}

/* Starts all, in order: a writer may fill its pipe before its reader is there. */
static int start_all(pipeline *l, covey_loop *loop)
{
  cvos_handle in = CVOS_NONE;
  int r = 0;

  for (size_t i = 0; i < l->count && r == 0; i++) {
    cvos_handle out = CVOS_NONE, next = CVOS_NONE;

    if (i + 1 < l->count && (r = cvos_pipe_between(&next, &out)) < 0) {
      cvy_fail(r, COVEY_STAGE_STDIO, "a pipe");
      name_command(i);
    }
    if (r == 0) r = start_one(l, i, loop, in, out);
    cvos_handle_close(in);
    cvos_handle_close(out);
    in = next;
  }
  cvos_handle_close(in);
  return r;
}

/* Not all could be started: those that were end now. The failure stays what it is. */
static void take_back(pipeline *l, covey_loop *loop)
{
  covey_failure failure = *covey_last_failure();

  for (size_t i = 0; i < l->started; i++) cvy_process_kill_now(l->list[i]);
  (void)cvy_run_wait(loop, l->list, l->started, CVY_NEVER, 0, NULL);
  for (size_t i = 0; i < l->started; i++) cvy_run_abandon(l->list[i]);
  cvy_fail_copy(&failure);
}

static int finish_all(pipeline *l, covey_pipeline_result *result)
{
  int r = 0;

  for (size_t i = 0; i < l->count && r == 0; i++)
    r = cvy_run_finish(l->list[i], cvy_run_name(&l->commands[i]), &result->results[i]);
  return r;
}

static int run_on(pipeline *l, covey_loop *loop, const covey_pipeline_options *options, cvy_deadline deadline,
                  covey_pipeline_result *result)
{
  int r = cvy_run_cancelled(loop, options->cancel);

  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "the pipeline");
  if ((r = start_all(l, loop)) < 0) {
    take_back(l, loop);
  } else if ((r = cvy_run_wait(loop, l->list, l->count, deadline, options->grace, options->cancel)) < 0) {
    for (size_t i = 0; i < l->count; i++) cvy_run_abandon(l->list[i]);
    cvy_fail(r, COVEY_STAGE_NONE, "the pipeline");
  } else {
    r = finish_all(l, result);
  }
  for (size_t i = 0; i < l->started; i++) covey_process_close(l->list[i]);
  return r;
}

/* The last one that did not end cleanly, -1: all did. */
static int64_t find_failed(const covey_pipeline_result *result, uint32_t flags)
{
  for (size_t i = result->count; i-- > 0;) {
    const covey_exit *e = &result->results[i].exit;
    bool pipe = (flags & COVEY_PIPELINE_ALLOW_SIGPIPE) && i + 1 < result->count &&
                e->how == COVEY_HOW_SIGNALLED && e->why == COVEY_WHY_SELF && e->signal == COVEY_SIGNAL_PIPE;

    if (!COVEY_EXIT_OK(e) && !pipe) return (int64_t)i;
  }
  return -1;
}

static int verdict(const pipeline *l, const covey_pipeline_result *result)
{
  size_t i = (size_t)result->failed;
  int r;

  if (result->failed < 0 || !(l->commands[i].flags & COVEY_PROCESS_CHECK)) return 0;
  r = cvy_run_verdict(&result->results[i], cvy_run_name(&l->commands[i]));
  return r < 0 ? name_command(i) : 0;
}

int covey_pipeline(const covey_process_options *commands, size_t count, const covey_pipeline_options *options,
                   covey_pipeline_result *ret_result)
{
  static const covey_pipeline_options usual;
  covey_pipeline_result result = {.failed = -1};
  pipeline l = {.commands = commands, .count = count};
  covey_loop *loop;
  int r = check(commands, count, options ? options : &usual);

  if (r < 0) return r;
  if (!options) options = &usual;
  cvy_deadline deadline = cvy_deadline_in(options->timeout ? options->timeout : COVEY_FOREVER);
  if (!(result.results = cvy_alloc_zero(count, sizeof *result.results)))
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ARGUMENTS, "the results");
  result.count = count;
  r = cvy_loop_private(&loop);
  if (r == 0) {
    r = run_on(&l, loop, options, deadline, &result);
    cvy_loop_private_close(loop);
  }
  if (r == 0) {
    result.failed = find_failed(&result, options->flags);
    r = verdict(&l, &result);
  }
  if (r == 0 && ret_result)
    *ret_result = result;
  else
    covey_pipeline_result_free(&result);
  return r;
}

void covey_pipeline_result_free(covey_pipeline_result *result)
{
  if (!result) return;
  for (size_t i = 0; i < result->count; i++) covey_result_free(&result->results[i]);
  cvy_free(result->results);
  memset(result, 0, sizeof *result);
}
