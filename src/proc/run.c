#include "proc/run.h"

#include "core/error.h"
#include "core/mem.h"
#include "proc/options.h"

#include <string.h>

static bool nothing(void *arg)
{
  (void)arg;
  return false;
}

/* ---- the result ---- */

/* What we did to the child, as a failure; code 0 when it came to its end by itself. */
static void tell_failure(const covey_process *p, const char *name, covey_failure *ret)
{
  int code = 0, stage = COVEY_STAGE_NONE;
  int64_t index = -1;

  memset(ret, 0, sizeof *ret);
  ret->offset = ret->index = -1;
  for (int i = 1; i < 3; i++)
    if (p->streams[i].failed && p->streams[i].failed != COVEY_ETOOBIG && !code) {
      code = p->streams[i].failed;
      stage = COVEY_STAGE_STDIO;
      index = i;
    }
  switch (p->exit.why) {
  case COVEY_WHY_IDLE:
  case COVEY_WHY_TIMEOUT: code = COVEY_ETIMEDOUT; break;
  case COVEY_WHY_CANCEL: code = COVEY_ECANCELED; break;
  case COVEY_WHY_OUTPUT:
    if (!code) code = p->streams[p->over].failed;
    stage = COVEY_STAGE_STDIO;
    index = p->over;
    break;
  default: break;
  }
  if (!code) return;
  cvy_failure_set(ret, code, stage, 0, "%s", name);
  ret->index = index;
}

static int collect(covey_process *p, const char *name, covey_result *ret)
{
  covey_result result;

  memset(&result, 0, sizeof result);
  cvy_loop_lock(p->loop);
  cvy_process_fill_exit(p, &result.exit);
  tell_failure(p, name, &result.failure);
  if (p->streams[1].cut) result.flags |= COVEY_RESULT_OUT_CUT;
  if (p->streams[2].cut) result.flags |= COVEY_RESULT_ERR_CUT;
  if (result.exit.pipe_held) result.flags |= COVEY_RESULT_HELD;
  result.out_dropped = p->streams[1].dropped;
  result.err_dropped = p->streams[2].dropped;
  result.out_gap = cvy_stream_gap(&p->streams[1]);
  result.err_gap = cvy_stream_gap(&p->streams[2]);
  result.out = cvy_stream_take(&p->streams[1], &result.out_size);
  result.err = cvy_stream_take(&p->streams[2], &result.err_size);
  cvy_loop_unlock(p->loop);
  if (!result.out || !result.err) {
    covey_result_free(&result);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_STDIO, "%s", name);
  }
  *ret = result;
  return 0;
}

/* The last line of text that is not empty: a view of *ret_size bytes. */
static const char *last_line(const char *text, size_t size, int *ret_size)
{
  size_t begin;

  while (size && (text[size - 1] == '\n' || text[size - 1] == '\r' || text[size - 1] == ' ')) size--;
  for (begin = size; begin && text[begin - 1] != '\n';) begin--;
  if (size - begin > 160) size = begin + 160;
  *ret_size = (int)(size - begin);
  return text + begin;
}

int cvy_run_verdict(const covey_result *result, const char *name)
{
  const covey_exit *e = &result->exit;
  const char *separator;
  const char *line;
  int size;

  if (result->failure.code) return cvy_fail_copy(&result->failure);
  if (COVEY_EXIT_OK(e)) return 0;
  line = last_line(result->err, result->err_size, &size);
  separator = size ? ": " : "";
  if (e->how == COVEY_HOW_EXITED)
    return cvy_fail_at(COVEY_EFAILED, COVEY_STAGE_NONE, e->code, -1, "%s: exit code %lu%s%.*s", name,
                       (unsigned long)e->code, separator, size, line);
  if (e->how == COVEY_HOW_SIGNALLED)
    return cvy_fail_at(COVEY_EFAILED, COVEY_STAGE_NONE, e->code, -1, "%s: signal %d%s%.*s", name,
                       e->system_signal, separator, size, line);
  return cvy_fail_at(COVEY_EFAILED, COVEY_STAGE_NONE, e->code, -1, "%s: its status is lost%s%.*s", name,
                     separator, size, line);
}

void covey_result_free(covey_result *result)
{
  if (!result) return;
  cvy_free(result->out);
  cvy_free(result->err);
  memset(result, 0, sizeof *result);
}

/* ---- the run ---- */

typedef struct group {
  covey_process *const *list;
  size_t count;
} group;

static bool all_over(void *arg)
{
  const group *g = arg;
  bool over = true;

  for (size_t i = 0; i < g->count && over; i++) over = cvy_process_shown(g->list[i]);
  return over;
}

const char *cvy_run_name(const covey_process_options *o)
{
  return o->command ? o->command : o->argv[0];
}

int cvy_run_cancelled(covey_loop *loop, covey_cancel *cancel)
{
  int r;

  if (!cancel) return 0;
  cvy_loop_lock(loop);
  r = cvy_loop_wait(loop, nothing, NULL, cvy_deadline_in(0), cancel);
  cvy_loop_unlock(loop);
  return r == COVEY_ETIMEDOUT ? 0 : r;
}

int cvy_run_wait(covey_loop *loop, covey_process *const *list, size_t count, cvy_deadline deadline,
                 int64_t grace, covey_cancel *cancel)
{
  group g = {list, count};
  int r;

  cvy_loop_lock(loop);
  r = cvy_show_wait(loop, list, count, all_over, &g, deadline, cancel);
  if (r == COVEY_ECANCELED || r == COVEY_ETIMEDOUT) {
    int why = r == COVEY_ECANCELED ? COVEY_WHY_CANCEL : COVEY_WHY_TIMEOUT;

    cvy_loop_unlock(loop);
    for (size_t i = 0; i < count; i++) cvy_process_begin_stop(list[i], why, grace ? grace : list[i]->grace);
    cvy_loop_lock(loop);
    r = cvy_show_wait(loop, list, count, all_over, &g, CVY_NEVER, NULL);
  }
  for (size_t i = 0; i < count && r == 0; i++)
    if (!list[i]->done) r = COVEY_ESTUCK;
  cvy_loop_unlock(loop);
  return r;
}

int cvy_run_finish(covey_process *p, const char *name, covey_result *ret)
{
  cvy_mutex_lock(p->os_lock);
  cvy_process_settle(p, cvy_process_kills_rest(p));
  cvy_mutex_unlock(p->os_lock);
  return collect(p, name, ret);
}

void cvy_run_abandon(covey_process *p)
{
  bool done = cvy_process_done(p);

  if (!done) {
    cvy_process_kill_now(p);
    if (cvy_process_hand_over(p)) return;
  }
  cvy_mutex_lock(p->os_lock);
  if (done || (cvos_process_wait(&p->os, 1000) == 0 && cvy_process_observe(p)))
    cvy_process_settle(p, cvy_process_kills_rest(p));
  else
    p->settled = true; /* nobody can take it: it stays a zombie, but nobody waits for it */
  cvy_mutex_unlock(p->os_lock);
}

/* Starts and waits on loop, which is this call's own. */
static int run_on(covey_loop *loop, const covey_process_options *o, const char *name, covey_result *ret)
{
  cvy_process_extra extra = {.loop = loop, .handle = CVOS_NONE, .run = true};
  covey_process *p;
  int r = cvy_run_cancelled(loop, o->cancel);

  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "%s", name);
  if ((r = cvy_process_spawn(o, &extra, &p)) < 0) return r;
  r = cvy_run_wait(loop, &p, 1, CVY_NEVER, 0, o->cancel);
  if (r == 0) {
    r = cvy_run_finish(p, name, ret);
  } else {
    cvy_run_abandon(p);
    cvy_fail(r, COVEY_STAGE_NONE, "%s", name);
  }
  covey_process_close(p);
  return r;
}

int covey_run(const covey_process_options *options, covey_result *ret_result)
{
  const char *name;
  covey_loop *loop;
  covey_result result;
  int r = cvy_options_check(options, true);

  if (r < 0) return r;
  name = cvy_run_name(options);
  if ((r = cvy_loop_private(&loop)) < 0) return r;
  r = run_on(loop, options, name, &result);
  cvy_loop_private_close(loop);
  if (r == 0 && (options->flags & COVEY_PROCESS_CHECK) && (r = cvy_run_verdict(&result, name)) < 0)
    covey_result_free(&result);
  if (r < 0) return r;
  if (ret_result)
    *ret_result = result;
  else
    covey_result_free(&result);
  return 0;
}
