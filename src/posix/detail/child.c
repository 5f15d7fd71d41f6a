#include "posix/detail/posix.h"

#include "os/fault.h"
#include "posix/detail/launch.h"
#include "posix/detail/raw.h"

_Noreturn static void fail(cvos_launch *plan, int error_pipe, int stage, int index)
{
  int error = errno;
  plan->stage = stage;
  plan->error = error;
  plan->index = index;
  if (error_pipe >= 0) {
    cvos_report report = {stage, error, index, plan->guarded, plan->unheard};
    (void)raw_write(error_pipe, &report, sizeof report);
  }
  raw_exit(127);
}

/* Writes our line into the guard's table, in one call: it is whole or not there. */
static bool tell_guard(cvos_launch *plan)
{
  char digits[12], *line = plan->line;
  size_t n = 0, size = plan->line_size;
  for (unsigned pid = (unsigned)raw_getpid(); pid; pid /= 10) digits[n++] = (char)('0' + pid % 10);
  while (n) line[size++] = digits[--n];
  while (size < CVOS_GUARD_LINE - 1) line[size++] = ' ';
  line[size++] = '\n';
  ssize_t told;
  do told = CVOS_CALL(GUARD, raw_pwrite(plan->guard, line, size, plan->guard_at), -1);
  while (told < 0 && errno == EINTR);
  return told == (ssize_t)size;
}

static void place(cvos_launch *plan, int error_pipe)
{
  for (size_t i = 0; i < plan->move_count; i++) {
    cvos_move *move = &plan->moves[i];
    move->now = move->from;
    if (!move->park) continue;
    move->now = CVOS_CALL(PLACE, raw_fcntl(move->from, F_DUPFD_CLOEXEC, plan->highest + 1), -1);
    if (move->now < 0) {
      if (errno == EINVAL) errno = EMFILE;
      fail(plan, error_pipe, COVEY_STAGE_STDIO, move->index);
    }
  }
  for (size_t i = 0; i < plan->move_count; i++) {
    cvos_move *move = &plan->moves[i];
    int r;
    if (move->ready) continue;
    if (move->now == move->to)
      r = CVOS_CALL(PLACE, raw_fcntl(move->to, F_SETFD, 0), -1);
    else
      r = CVOS_CALL(PLACE, raw_dup(move->now, move->to), -1);
    if (r < 0) {
      /* a target above the limit on descriptors */
      if (errno == EBADF && raw_fcntl(move->now, F_GETFD, 0) >= 0) errno = EMFILE;
      fail(plan, error_pipe, COVEY_STAGE_STDIO, move->index);
    }
  }
  for (int i = 0; i < 3; i++) {
    if (plan->shut[i]) (void)raw_close(i);
  }
}

static void attribute(cvos_launch *plan, int error_pipe)
{
  int index, stage = cvos_attributes_limit(plan->attributes, &index);
  if (!stage) stage = cvos_attributes_become(plan->attributes, &index);
  if (stage) fail(plan, error_pipe, stage, index);
}

_Noreturn void cvos_child(cvos_launch *plan, int error_pipe)
{
  if (plan->own == CVOS_OWN_SESSION && CVOS_CALL(SESSION, raw_setsid(), -1) < 0)
    fail(plan, error_pipe, COVEY_STAGE_SCOPE, -1);
  if (plan->own == CVOS_OWN_GROUP && CVOS_CALL(GROUP, raw_setpgid(), -1) < 0)
    fail(plan, error_pipe, COVEY_STAGE_SCOPE, -1);
  if (plan->guard >= 0) {
    plan->guarded = tell_guard(plan);
    plan->unheard = !plan->guarded;
    if (plan->unheard) fail(plan, error_pipe, COVEY_STAGE_SCOPE, -1);
  }
  if (plan->terminal >= 0 && CVOS_CALL(PTY, raw_take_terminal(plan->terminal), -1) < 0)
    fail(plan, error_pipe, COVEY_STAGE_PTY, -1);
  if (plan->front >= 0 && CVOS_CALL(PTY, raw_take_front(plan->front), -1) < 0)
    fail(plan, error_pipe, COVEY_STAGE_SCOPE, -1);
  if (cvos_raw_close_on_exec() < 0) fail(plan, error_pipe, COVEY_STAGE_STDIO, -1);
  place(plan, error_pipe);
  if (plan->attributes) attribute(plan, error_pipe);
  if (plan->cwd && CVOS_CALL(CHDIR, raw_chdir(plan->cwd), -1) < 0)
    fail(plan, error_pipe, COVEY_STAGE_CWD, -1);
  for (int number = 1; number <= CVOS_RAW_SIGNALS; number++) {
    if (number != SIGKILL && number != SIGSTOP) raw_signal(number, plan->ignore_signals);
  }
  raw_unmask();
  (void)CVOS_CALL(EXEC, raw_exec(plan->file, plan->argv, plan->env), -1);
  fail(plan, error_pipe, COVEY_STAGE_EXEC, -1);
}
