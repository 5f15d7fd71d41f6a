#include "proc/process.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "os/memory.h"

#include <limits.h>
#include <string.h>

#define FEED_AT_ONCE ((size_t)256 << 10) /* bytes handed to the system in one call */
#define READ_AT_ONCE ((size_t)64 << 10)  /* what a pipe holds */
#define READY_STEP                                                                                           \
  ((size_t)1                                                                                                 \
   << 20) /* a capture that has come so far goes on, likely: its memory is made ready in such pieces */
#define SINK_LEAST ((size_t)16 << 10) /* readers with less memory are better served from ours */

static const void *this_thread(void)
{
  static CVOS_THREAD_LOCAL char self;

  return &self;
}

/* ---- output ---- */

/* Makes room for size more bytes behind s->size, moving what is unread to the front first. Lock held. */
static bool grow(cvy_stream *s, size_t size)
{
  size_t wanted, capacity;
  char *data;

  if (s->kind == CVY_STREAM_PIPE && s->taken && (s->taken == s->size || s->taken >= s->capacity / 2)) {
    memmove(s->data, s->data + s->taken, s->size - s->taken);
    s->size -= s->taken;
    s->taken = 0;
  }
  if (size > SIZE_MAX / 2 - s->size) return false;
  wanted = s->size + size;
  if (wanted <= s->capacity) return true;
  capacity = s->capacity ? s->capacity : 4096;
  while (capacity < wanted) capacity *= 2;
  if (!(data = cvy_realloc(s->data, capacity))) {
    if (!(data = cvy_realloc(s->data, wanted))) return false;
    capacity = wanted;
  }
  s->data = data;
  s->capacity = capacity;
  return true;
}

/* Keeps what fits of a capture. True when this is the first byte too much. Lock held. */
static bool capture(cvy_stream *s, const void *data, size_t size)
{
  size_t room = s->limit - s->size, kept = size < room ? size : room;
  bool first = !s->cut;

  if (kept && !s->cut && !grow(s, kept)) {
    s->failed = COVEY_ENOMEM;
    kept = 0;
    size = 1;
  }
  if (s->cut) kept = 0;
  if (kept && data != s->data + s->size) memcpy(s->data + s->size, data, kept);
  s->size += kept;
  if (kept == size) return false;
  s->cut = true;
  if (!s->failed) s->failed = COVEY_ETOOBIG;
  return first;
}

/* How long an open stream may be silent from now on, once the process has ended. Lock held. */
static cvy_deadline quiet_from_now(const covey_process *p, const cvy_stream *s)
{
  cvy_deadline quiet = cvy_deadline_in(p->drain), all = CVY_NEVER;

  if (s->kind == CVY_STREAM_CAPTURE && p->drain_max != COVEY_FOREVER) all = p->ended_at + p->drain_max;
  return quiet < all ? quiet : all;
}

/* Where the next bytes go without a copy: to a reader of this thread, or behind what is kept, where there is room for a whole read. A reader
 * that has its bytes is about to come for more: they stay in the pipe until then. */
static void *place(void *arg, size_t *ret_size)
{
  cvy_stream *s = arg;
  covey_process *p = s->process;
  char *at = NULL, *fresh = NULL;
  size_t fresh_size = 0;

  cvy_loop_lock(p->loop);
  if (s->sink && s->sink_owner == this_thread() && s->size == s->taken) {
    at = s->sunk ? NULL : s->sink;
    *ret_size = s->sunk ? 0 : s->sink_size;
  } else if (!s->ended && !s->cut && (s->kind == CVY_STREAM_PIPE || s->limit - s->size >= READ_AT_ONCE) &&
             grow(s, READ_AT_ONCE)) {
    at = s->data + s->size;
    *ret_size = READ_AT_ONCE;
    if (s->kind == CVY_STREAM_CAPTURE && s->size >= READY_STEP && s->size + READ_AT_ONCE > s->ready) {
      if (s->ready < s->size) s->ready = s->size;
      fresh = s->data + s->ready;
      fresh_size = s->capacity - s->ready < READY_STEP ? s->capacity - s->ready : READY_STEP;
      s->ready += fresh_size;
    }
  }
  cvy_loop_unlock(p->loop);
  if (fresh_size) cvos_memory_ready(fresh, fresh_size);
  return at;
}

static void bytes_came(void *arg, const void *data, size_t size, const cvos_handle *handles, size_t count)
{
  cvy_stream *s = arg;
  covey_process *p = s->process;
  bool over = false, pause = false, lost = false;

  (void)handles;
  (void)count;
  cvy_loop_lock(p->loop);
  if (!s->ended) {
    if (s->kind == CVY_STREAM_CAPTURE) {
      over = capture(s, data, size) && !(p->flags & COVEY_PROCESS_KEEP_HEAD);
      if (over && !p->over) p->over = s->index;
    } else if (s->sink && data == s->sink) {
      s->sunk = size;
    } else if (data == s->data + s->size || grow(s, size)) {
      if (data != s->data + s->size) memcpy(s->data + s->size, data, size);
      s->size += size;
      pause = s->size - s->taken >= s->limit;
      if (pause) s->reading = false;
    } else {
      s->failed = COVEY_ENOMEM;
      lost = true;
    }
    s->last_call = false;
    if (p->ended) s->quiet = pause ? CVY_NEVER : quiet_from_now(p, s);
    if (p->idle_at != CVY_NEVER) p->idle_at = pause ? CVY_NEVER : cvy_deadline_in(p->idle);
    cvy_loop_changed(p->loop);
  }
  cvy_loop_unlock(p->loop);
  if (pause) cvos_io_read(s->io, false);
  if (lost) cvy_stream_close(s, true);
  if (over) cvy_process_begin_stop(p, COVEY_WHY_OUTPUT, p->grace);
}

static void stream_ended(void *arg, int status, int system)
{
  cvy_stream *s = arg;

  (void)system;
  if (s->index > 0 && status < 0 && status != COVEY_ECLOSED) {
    cvy_loop_lock(s->process->loop);
    if (!s->failed) s->failed = status;
    cvy_loop_unlock(s->process->loop);
  }
  cvy_stream_close(s, true);
}

static void io_closed(void *arg)
{
  cvy_stream *s = arg;

  cvy_process_unhold(s->process);
}

/* ---- input ---- */

/* [token] Feeds as much as the system takes; closes behind the last byte. */
static void feed(cvy_stream *s)
{
  covey_process *p = s->process;
  bool over = false, full = false;
  int system;

  cvy_loop_lock(p->loop);
  s->waiting = false;
  while (s->io && !over && !full) {
    size_t left = s->input_size - s->fed, size = left < FEED_AT_ONCE ? left : FEED_AT_ONCE;
    cvos_piece piece = {s->input + s->fed, size};
    int64_t n = size ? cvos_io_write(s->io, &piece, 1, NULL, 0, &system) : 0;

    if (n > 0) s->fed += (size_t)n;
    over = n < 0 || s->fed == s->input_size; /* a child that does not read its input is no failure */
    full = (size_t)n < size;
  }
  s->waiting = !over && full;
  cvy_loop_unlock(p->loop);
  if (over)
    cvy_stream_close(s, false);
  else if (s->io && full)
    cvos_io_want_room(s->io);
}

static void room_came(void *arg)
{
  cvy_stream *s = arg;

  if (s->kind == CVY_STREAM_FEED) {
    feed(s);
    return;
  }
  cvy_loop_lock(s->process->loop);
  s->waiting = false;
  cvy_loop_changed(s->process->loop);
  cvy_loop_unlock(s->process->loop);
}

/* ---- opening and closing ---- */

static const cvos_io_events events = {
    .bytes = bytes_came, .end = stream_ended, .room = room_came, .closed = io_closed, .place = place};

int cvy_stream_open(covey_process *p, int i, cvos_handle handle)
{
  cvy_stream *s = &p->streams[i];
  cvos_io *io;
  int r = cvos_io_open(cvy_loop_uv(p->loop), handle, i == 0 ? CVOS_IO_WRITE : CVOS_IO_READ, &events, s, &io);

  if (r < 0) return r;
  cvy_loop_lock(p->loop);
  p->holds++;
  s->io = io;
  s->ended = false;
  s->reading = i > 0;
  cvy_loop_unlock(p->loop);
  if (i > 0)
    cvos_io_read(io, true);
  else if (s->kind == CVY_STREAM_FEED)
    feed(s);
  return 0;
}

void cvy_stream_close(cvy_stream *s, bool now)
{
  covey_process *p = s->process;
  cvos_io *io;

  cvy_loop_lock(p->loop);
  io = s->io;
  s->io = NULL;
  s->ended = true;
  s->quiet = CVY_NEVER;
  cvy_process_check_done(p);
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
  if (io) cvos_io_close(io, now);
}

void cvy_stream_work(covey_process *p, uint32_t wishes)
{
  bool on[3] = {false, false, false};

  if ((wishes & CVY_WISH_ROOM) && p->streams[0].io) cvos_io_want_room(p->streams[0].io);
  if (wishes & CVY_WISH_READ) {
    cvy_loop_lock(p->loop);
    for (int i = 1; i < 3; i++) {
      cvy_stream *s = &p->streams[i];

      on[i] = s->io && !s->reading && s->size - s->taken < s->limit / 2;
      if (on[i]) s->reading = true;
      if (on[i] && p->ended) s->quiet = quiet_from_now(p, s);
      if (on[i] && !p->ended && !p->detached) p->idle_at = cvy_deadline_in(p->idle);
    }
    cvy_loop_unlock(p->loop);
    for (int i = 1; i < 3; i++)
      if (on[i]) cvos_io_read(p->streams[i].io, true);
  }
  if (wishes & CVY_WISH_CLOSE_IN) cvy_stream_close(&p->streams[0], false);
}

/* ---- silence ---- */

/* [token] Stops a child that has written nothing for too long; what the system holds is looked at first, as in cvy_stream_expire. */
static void stop_the_silent(covey_process *p)
{
  bool silent;

  for (int i = 1; i < 3; i++)
    while (p->streams[i].io && cvy_deadline_passed(p->idle_at) && cvos_io_look(p->streams[i].io) > 0)
      ;
  cvy_loop_lock(p->loop);
  silent = cvy_deadline_passed(p->idle_at);
  if (silent) p->idle_at = CVY_NEVER;
  cvy_loop_unlock(p->loop);
  if (silent) cvy_process_begin_stop(p, COVEY_WHY_IDLE, p->grace);
}

/* ---- the time after the end ---- */

void cvy_stream_begin_drain(covey_process *p)
{
  for (int i = 1; i < 3; i++) {
    cvy_stream *s = &p->streams[i];

    if (s->io && s->reading) s->quiet = quiet_from_now(p, s);
  }
}

cvy_deadline cvy_stream_deadline(const covey_process *p)
{
  cvy_deadline next = p->idle_at;

  for (int i = 1; i < 3; i++)
    if (p->streams[i].quiet < next) next = p->streams[i].quiet;
  return next;
}

/* A stream whose time is over gets one more turn of the loop: a thread that was not run for a while finds its timer due before it has
 * looked at what the system holds. */
void cvy_stream_expire(covey_process *p)
{
  if (cvy_deadline_passed(p->idle_at)) stop_the_silent(p);
  for (int i = 1; i < 3; i++) {
    cvy_stream *s = &p->streams[i];
    bool over;

    if (!s->io || !cvy_deadline_passed(s->quiet)) continue;
    while (cvos_io_look(s->io) > 0 && s->io && cvy_deadline_passed(s->quiet) &&
           cvy_now() < p->ended_at + p->drain_max)
      ;
    if (!s->io || !cvy_deadline_passed(s->quiet)) continue;
    cvy_loop_lock(p->loop);
    over = s->last_call;
    s->last_call = true;
    if (over)
      s->held = s->cut = true;
    else
      s->quiet = cvy_deadline_in(1);
    cvy_loop_unlock(p->loop);
    if (over) cvy_stream_close(s, true);
  }
}

/* ---- the calls ---- */

typedef struct stream_wait {
  covey_process *process;
  cvy_stream *stream;
} stream_wait;

static bool readable(void *arg)
{
  const stream_wait *w = arg;
  const cvy_stream *s = w->stream;

  return s->size > s->taken || s->sunk || s->ended || s->failed || cvy_load_seq_u32(&w->process->cancelled);
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
  stream_wait w = {p, NULL};
  cvy_stream *s;
  size_t sunk = 0;
  bool mine;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if (stream != COVEY_STDOUT && stream != COVEY_STDERR)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "stream");
  if (!ret_data || !capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_data");
  if ((r = cvy_timeout_check(timeout)) < 0 || (r = cvy_loop_check(p->loop)) < 0) return r;
  w.stream = s = &p->streams[stream];
  if (s->kind == CVY_STREAM_NONE)
    return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_STDIO, stream, -1, "no pipe and no capture");
  if (capacity > INT_MAX) capacity = INT_MAX;
  cvy_loop_lock(p->loop);
  mine = !s->sink && s->size == s->taken && capacity >= SINK_LEAST;
  if (mine) {
    s->sink = ret_data;
    s->sink_size = capacity;
    s->sink_owner = this_thread();
    s->sunk = 0;
    look(p, s);
  }
  r = cvy_loop_wait(p->loop, readable, &w, cvy_deadline_in(timeout), p->cancel);
  if (mine) {
    s->sink = NULL;
    sunk = s->sunk;
    s->sunk = 0;
  }
  if (sunk) {
    r = (int)sunk;
  } else if (s->size > s->taken) {
    size_t size = s->size - s->taken;

    if (size > capacity) size = capacity;
    memcpy(ret_data, s->data + s->taken, size);
    s->taken += size;
    r = (int)size;
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
  stream_wait w = {p, s};
  int r, system;

  for (;;) {
    cvos_piece piece = {data + *ret_done, size - *ret_done};
    int64_t n;

    if (!s->io) return COVEY_ECLOSED;
    n = cvos_io_write(s->io, &piece, 1, NULL, 0, &system);
    if (n < 0) return (int)n;
    *ret_done += (size_t)n;
    if (*ret_done == size) return 0;
    if (n > 0) continue;
    s->waiting = true;
    cvy_process_wish(p, CVY_WISH_ROOM);
    r = cvy_loop_wait(p->loop, writable, &w, deadline, p->cancel);
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
  w = (stream_wait){p, s};
  cvy_loop_lock(p->loop);
  r = cvy_loop_wait(p->loop, writer_free, &w, deadline, p->cancel);
  if (r == 0 && s->writing) r = COVEY_ECANCELED;
  if (r == 0) {
    s->writing = true;
    r = write_all(p, s, data, size, deadline, &done);
    s->writing = false;
    cvy_loop_changed(p->loop);
  }
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
  if (p->streams[0].io) cvy_process_wish(p, CVY_WISH_CLOSE_IN);
  cvy_loop_unlock(p->loop);
  return 0;
}
