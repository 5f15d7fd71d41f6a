#include "proc/stdio.h"

#include "core/error.h"
#include "os/error.h"
#include "os/handle.h"
#include "proc/options.h"

static int fail(int code, int index, const char *what)
{
  static const char *const names[] = {"in", "out", "err"};
  covey_failure failure;

  cvy_failure_set(&failure, code, COVEY_STAGE_STDIO, cvos_last_error(), "%s", what ? what : names[index]);
  failure.index = index;
  return cvy_fail_copy(&failure);
}

static int file_how(int kind, int index)
{
  if (kind == COVEY_STDIO_APPEND) return CVOS_FILE_APPEND;
  if (kind == COVEY_STDIO_FILE_NEW) return CVOS_FILE_EXCLUSIVE;
  return index == 0 ? CVOS_FILE_READ : CVOS_FILE_TRUNCATE;
}

static int open_null(cvy_stdio *s, int i)
{
  return cvos_null_kept(&s->theirs[i]);
}

static int open_one(cvy_stdio *s, int i, int kind, const covey_stdio *o)
{
  int r;

  switch (kind) {
  case COVEY_STDIO_NULL: return open_null(s, i);
  case COVEY_STDIO_INHERIT:
    s->theirs[i] = cvos_handle_standard(i);
    return s->theirs[i] == CVOS_NONE ? open_null(s, i) : 0;
  case COVEY_STDIO_NATIVE: s->theirs[i] = o->native; return 0;
  case COVEY_STDIO_MERGE: s->theirs[i] = s->theirs[1]; return 0;
  case COVEY_STDIO_PIPE:
  case COVEY_STDIO_CAPTURE:
  case COVEY_STDIO_LINES:
    r = (o->flags & COVEY_STDIO_SOCKET ? cvos_socket_for_child : cvos_pipe_for_child)(
        i == 0 ? CVOS_TO_CHILD : CVOS_FROM_CHILD, &s->ours[i], &s->theirs[i]);
    break;
  default: r = cvos_file_open(o->path, file_how(kind, i), &s->theirs[i]);
  }
  s->owned[i] = r == 0;
  return r;
}

/* One terminal for all three. */
static int open_pty(const covey_process_options *o, cvy_stdio *s)
{
  const covey_pty *pty = &o->pty;
  covey_failure failure;
  int r = cvos_pty_open(pty->rows ? pty->rows : CVY_PTY_ROWS, pty->columns ? pty->columns : CVY_PTY_COLUMNS,
                        pty->flags & COVEY_PTY_ECHO, &s->pty, &s->ours[0], &s->ours[1], &s->theirs[0]);

  if (r < 0) {
    cvy_failure_set(&failure, r, COVEY_STAGE_PTY, cvos_last_error(), "pseudo-terminal");
    return cvy_fail_copy(&failure);
  }
  s->owned[0] = s->theirs[0] != CVOS_NONE;
  s->theirs[1] = s->theirs[2] = s->theirs[0];
  return 0;
}

int cvy_stdio_open(const covey_process_options *options, cvy_stdio *ret)
{
  cvy_stdio s = {.theirs = {CVOS_NONE, CVOS_NONE, CVOS_NONE}, .ours = {CVOS_NONE, CVOS_NONE, CVOS_NONE}};

  if (options->flags & COVEY_PROCESS_PTY) {
    int r = open_pty(options, &s);

    if (r == 0) *ret = s;
    return r;
  }
  for (int i = 0; i < 3; i++) {
    const covey_stdio *o = cvy_options_stdio(options, i);
    int r = open_one(&s, i, cvy_options_stdio_kind(options, i), o);

    if (r < 0) {
      fail(r, i, o->path);
      cvy_stdio_fini(&s);
      return r;
    }
  }
  *ret = s;
  return 0;
}

void cvy_stdio_started(cvy_stdio *stdio)
{
  for (int i = 0; i < 3; i++) {
    if (stdio->owned[i]) cvos_handle_close(stdio->theirs[i]);
    stdio->owned[i] = false;
    stdio->theirs[i] = CVOS_NONE;
  }
}

cvos_handle cvy_stdio_take(cvy_stdio *stdio, int i)
{
  cvos_handle handle = stdio->ours[i];

  stdio->ours[i] = CVOS_NONE;
  return handle;
}

cvos_pty *cvy_stdio_take_pty(cvy_stdio *stdio)
{
  cvos_pty *pty = stdio->pty;

  stdio->pty = NULL;
  return pty;
}

void cvy_stdio_fini(cvy_stdio *stdio)
{
  cvy_stdio_started(stdio);
  for (int i = 0; i < 3; i++) cvos_handle_close(cvy_stdio_take(stdio, i));
  cvos_pty_close(cvy_stdio_take_pty(stdio));
}
