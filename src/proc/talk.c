#include "proc/process.h"

#include "core/atomics.h"
#include "core/error.h"

#include <limits.h>
#include <string.h>

#define SINK_LEAST ((size_t)16 << 10) /* readers with less memory are better served from ours */

typedef struct stream_wait {
  covey_process *process;
  cvy_stream *stream;
  bool mine; /* the stream's sink is this reader's */
} stream_wait;

static bool readable(void *arg)
{
  const stream_wait *w = arg;
  const cvy_stream *s = w->stream;

  size_t unread;

  cvy_stream_unread(s, &unread);
  return unread || (w->mine && s->sunk) || s->ended || s->failed || cvy_load_seq_u32(&w->process->cancelled);
}

/* Takes what the system holds by one read of our own, where nobody turns the loop. Lock held on entry and return. */
static void look(covey_process *p, cvy_stream *s)
{
  bool found;

  if (!s->io || !s->reading || !cvy_loop_enter(p->loop)) return;
  cvy_loop_unlock(p->loop);
  found = s->io && cvos_io_look(s->io) > 0;
  cvy_loop_looked(p->loop, found);
  cvy_loop_lock(p->loop);
}

int covey_process_read(covey_process *process, int stream, int64_t timeout, void *ret_data, size_t capacity)
{
  covey_process *p = process;
  stream_wait w = {.process = p};
  cvy_stream *s;
  size_t sunk = 0, unread, at;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if (stream != COVEY_STDOUT && stream != COVEY_STDERR)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "stream");
  if (!ret_data || !capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_data");
  if ((r = cvy_timeout_check(timeout)) < 0 || (r = cvy_loop_check(p->loop)) < 0) return r;
  w.stream = s = &p->streams[stream];
  if (s->kind == CVY_STREAM_NONE || s->kind == CVY_STREAM_LINES || (s->shown && s->kind == CVY_STREAM_PIPE))
    return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_STDIO, stream, -1, "no pipe and no capture to be read");
  if (capacity > INT_MAX) capacity = INT_MAX;
  cvy_loop_lock(p->loop);
  w.mine = !s->sink && s->size == s->taken && capacity >= SINK_LEAST;
  if (w.mine) {
    s->sink = ret_data;
    s->sink_size = capacity;
    s->sink_owner = cvy_stream_thread();
    s->sunk = 0;
    look(p, s);
  }
  r = cvy_show_wait(p->loop, &p, 1, readable, &w, cvy_deadline_in(timeout), p->cancel);
  if (w.mine) {
    s->sink = NULL;
    sunk = s->sunk;
    s->sunk = 0;
  }
  at = cvy_stream_unread(s, &unread);
  if (sunk) {
    r = (int)sunk;
  } else if (unread) {
    if (unread > capacity) unread = capacity;
    memcpy(ret_data, s->data + at, unread);
    s->taken += unread;
    r = (int)unread;
    if (s->io && !s->reading && s->size - s->taken < s->limit / 2) cvy_process_wish(p, CVY_WISH_READ);
  } else if (s->failed) {
    r = s->failed;
  } else if (s->ended) {
    r = 0;
  } else if (r == 0) {
    r = COVEY_ECANCELED;
  }
  cvy_loop_unlock(p->loop);
  return r < 0 ? cvy_fail_at(r, COVEY_STAGE_STDIO, stream, -1, "process %lld", (long long)p->pid) : r;
}

static bool writer_free(void *arg)
{
  const stream_wait *w = arg;

  return !w->stream->writing || cvy_load_seq_u32(&w->process->cancelled);
}

static bool writable(void *arg)
{
  const stream_wait *w = arg;

  return !w->stream->waiting || !w->stream->io || cvy_load_seq_u32(&w->process->cancelled);
}

/* Writes until all is taken, the deadline, a cancel or the end of the stream: *ret_done bytes. Lock held, the stream is ours. */
static int write_all(covey_process *p, cvy_stream *s, const char *data, size_t size, cvy_deadline deadline,
                     size_t *ret_done)
{
  stream_wait w = {.process = p, .stream = s};
  bool waited = false;
  int r, system;

  for (;;) {
    cvos_piece piece = {data + *ret_done, size - *ret_done};
    int64_t n;

    if (!s->io || s->finishing || s->closing) return COVEY_ECLOSED;
    n = cvos_io_write(s->io, &piece, 1, NULL, 0, &system);
    if (n < 0) return (int)n;
    *ret_done += (size_t)n;
    if (n > 0) cvy_pty_typed(s, data[*ret_done - 1]);
    if (*ret_done == size) return 0;
    if (n > 0) continue;
    if (waited && cvy_deadline_passed(deadline)) return COVEY_ETIMEDOUT; /* it reads as fast as we write */
    waited = true;
    s->waiting = true;
    cvy_process_wish(p, CVY_WISH_ROOM);
    r = cvy_show_wait(p->loop, &p, 1, writable, &w, deadline, p->cancel);
    if (r < 0) return r;
    if (cvy_load_seq_u32(&p->cancelled)) return COVEY_ECANCELED;
  }
}

int covey_process_write(covey_process *process, const void *data, size_t size, int64_t timeout)
{
  covey_process *p = process;
  cvy_stream *s;
  stream_wait w;
  cvy_deadline deadline;
  size_t done = 0;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if (!data && size) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "data");
  if ((r = cvy_timeout_check(timeout)) < 0 || (r = cvy_loop_check(p->loop)) < 0) return r;
  s = &p->streams[0];
  if (s->kind != CVY_STREAM_PIPE) return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_STDIO, 0, -1, "in is no pipe");
  if (size > INT_MAX) size = INT_MAX;
  if (size == 0) return 0;
  deadline = cvy_deadline_in(timeout);
  w = (stream_wait){.process = p, .stream = s};
  cvy_loop_lock(p->loop);
  if (s->writing && cvy_show_inside(p))
    r = COVEY_EDEADLK; /* a callback inside a write */
  else
    while ((r = cvy_loop_wait(p->loop, writer_free, &w, deadline, p->cancel)) == 0 && s->writing)
      if (cvy_load_seq_u32(&p->cancelled)) { /* else another one was quicker */
        r = COVEY_ECANCELED;
        break;
      }
  if (r == 0) {
    s->writing = true;
    r = write_all(p, s, data, size, deadline, &done);
    s->writing = false;
    cvy_loop_changed(p->loop);
  }
  if (r == COVEY_ETIMEDOUT || r == COVEY_ECANCELED || r == COVEY_EDEADLK)
    s->short_of_room = p->on_room != NULL;
  cvy_show_note(p);
  cvy_loop_unlock(p->loop);
  if (done) return (int)done;
  return cvy_fail_at(r, COVEY_STAGE_WRITE, 0, -1, "process %lld", (long long)p->pid);
}

int covey_process_close_input(covey_process *process)
{
  covey_process *p = process;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if ((r = cvy_loop_check(p->loop)) < 0) return r;
  if (p->streams[0].kind != CVY_STREAM_PIPE)
    return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_STDIO, 0, -1, "in is no pipe");
  cvy_loop_lock(p->loop);
  if (p->streams[0].io && !p->streams[0].finishing) cvy_process_wish(p, CVY_WISH_CLOSE_IN);
  p->streams[0].closing = true;
  cvy_loop_unlock(p->loop);
  return 0;
}
