#include "proc/process.h"

#include "os/handle.h"
#include "os/memory.h"

#include <string.h>

#define FEED_AT_ONCE ((size_t)256 << 10) /* bytes handed to the system in one call */
#define READ_AT_ONCE ((size_t)64 << 10)  /* what a pipe holds */
#define READ_MOST    ((size_t)128 << 10) /* half of a busy pipe: its writer goes on while we read the rest */
#define READY_STEP   ((size_t)256 << 10) /* memory of a long capture is made ready piece by piece */

const void *cvy_stream_thread(void)
{
  static CVOS_THREAD_LOCAL char self;

  return &self;
}

/* ---- output ---- */

/* When draining is over, whatever still comes. Lock held. */
static cvy_deadline drain_end(const covey_process *p, const cvy_stream *s)
{
  if (s->kind != CVY_STREAM_CAPTURE || p->drain_max == COVEY_FOREVER) return CVY_NEVER;
  return p->ended_at + p->drain_max + s->patience;
}

/* How long an open stream may be silent from now on, once the process has ended. Lock held. */
static cvy_deadline quiet_from_now(const covey_process *p, const cvy_stream *s)
{
  cvy_deadline quiet = cvy_deadline_in(p->drain), all = drain_end(p, s);

  return cvy_pty_quiet(p, quiet < all ? quiet : all);
}

/* Is there room for what reading would bring? Lock held. */
static bool has_room(const cvy_stream *s)
{
  return s->shown ? !cvy_show_full(s->process) : s->size - s->taken < s->limit / 2;
}

/* What the next read of a capture may take: as much as there is room for, up to what a busy pipe holds. */
static size_t most_of(const cvy_stream *s)
{
  size_t room = (s->capacity < s->limit ? s->capacity : s->limit) - s->size;

  return room < READ_MOST ? room : READ_MOST;
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
  if (s->sink && s->sink_owner == cvy_stream_thread() && s->size == s->taken && !cvy_show_inside(p)) {
    at = s->sunk ? NULL : s->sink;
    *ret_size = s->sunk ? 0 : s->sink_size;
  } else if (!s->ended && !s->cut && (!s->shown || s->kind == CVY_STREAM_CAPTURE) &&
             (s->kind == CVY_STREAM_PIPE || s->limit - s->size >= READ_AT_ONCE) &&
             cvy_stream_grow(s, READ_AT_ONCE)) {
    at = s->data + s->size;
    *ret_size = s->kind == CVY_STREAM_CAPTURE && !s->shown ? most_of(s) : READ_AT_ONCE;
    if (s->kind == CVY_STREAM_CAPTURE && s->size >= READY_STEP && s->size + *ret_size > s->ready) {
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

/* Bytes of a pipe that is read by covey_process_read. False: out of memory. Lock held. */
static bool keep_unread(cvy_stream *s, const void *data, size_t size)
{
  if (s->sink && data == s->sink) {
    s->sunk = size;
    return true;
  }
  if (data != s->data + s->size) {
    if (!cvy_stream_grow(s, size)) return false;
    memcpy(s->data + s->size, data, size);
  }
  s->size += size;
  return true;
}

static void bytes_came(void *arg, const void *data, size_t size, const cvos_handle *handles, size_t count)
{
  cvy_stream *s = arg;
  covey_process *p = s->process;
  bool over = false, pause = false, lost = false;

  for (size_t i = 0; i < count; i++) cvos_handle_close(handles[i]); /* a child on a socket may send some */
  cvy_loop_lock(p->loop);
  if (!s->ended) {
    if (s->shown) lost = !cvy_show_put(s, data, size);
    if (s->kind == CVY_STREAM_CAPTURE) {
      over =
          cvy_stream_keep(s, data, size) && !(p->flags & (COVEY_PROCESS_KEEP_HEAD | COVEY_PROCESS_KEEP_ENDS));
      if (over && !p->over) p->over = s->index;
    } else if (!s->shown) {
      lost = !keep_unread(s, data, size);
    }
    if (lost) s->failed = COVEY_ENOMEM;
    pause = s->shown ? cvy_show_full(p) : s->kind == CVY_STREAM_PIPE && s->size - s->taken >= s->limit;
    if (pause) s->reading = false;
    if (pause) s->paused_at = cvy_now();
    s->last_call = false;
    if (p->ended) s->quiet = pause ? CVY_NEVER : quiet_from_now(p, s);
    if (p->idle_at != CVY_NEVER) p->idle_at = pause ? CVY_NEVER : cvy_deadline_in(p->idle);
    cvy_loop_changed(p->loop);
  }
  cvy_loop_unlock(p->loop);
  if (pause) cvos_io_read(s->io, false);
  if (lost) cvy_stream_close(s, true);
  if (over) cvy_process_had_enough(p, COVEY_WHY_OUTPUT);
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
    cvos_piece piece = {size ? s->input + s->fed : NULL, size};
    int64_t n = size ? cvos_io_write(s->io, &piece, 1, NULL, 0, &system) : 0;

    if (n > 0) s->fed += (size_t)n;
    if (n > 0) cvy_pty_typed(s, s->input[s->fed - 1]);
    over = n < 0 || s->fed == s->input_size; /* a child that does not read its input is no failure */
    full = n >= 0 && (size_t)n < size;
    if (over && n >= 0 && cvy_pty_end_input(s)) over = s->input_size == 0;
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

  if (s->kind == CVY_STREAM_FEED || s->finishing) {
    feed(s);
    return;
  }
  cvy_loop_lock(s->process->loop);
  s->waiting = false;
  cvy_show_note(s->process);
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
  if (!s->ended) s->end_at = p->pieces.put;
  s->ended = true;
  if (s->cut && s->dropped && !s->failed) s->failed = COVEY_ETOOBIG;
  s->quiet = CVY_NEVER;
  cvy_process_check_done(p);
  cvy_show_note(p);
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
  if (io) cvos_io_close(io, now);
}

/* [token] Of a terminal: by a text, the rest of which may have to wait for room. */
static void end_input(cvy_stream *s)
{
  bool first;

  cvy_loop_lock(s->process->loop);
  first = s->io && cvy_pty_end_input(s);
  cvy_loop_unlock(s->process->loop);
  if (first)
    feed(s);
  else if (!s->finishing)
    cvy_stream_close(s, false);
}

void cvy_stream_work(covey_process *p, uint32_t wishes)
{
  bool on[3] = {false, false, false};

  if ((wishes & CVY_WISH_ROOM) && p->streams[0].io) cvos_io_want_room(p->streams[0].io);
  if (wishes & CVY_WISH_READ) {
    cvy_loop_lock(p->loop);
    for (int i = 1; i < 3; i++) {
      cvy_stream *s = &p->streams[i];

      on[i] = s->io && !s->reading && has_room(s);
      if (on[i]) s->reading = true;
      if (on[i] && p->ended)
        s->patience += cvy_now() - (s->paused_at > p->ended_at ? s->paused_at : p->ended_at);
      if (on[i] && p->ended) s->quiet = quiet_from_now(p, s);
      if (on[i] && !p->ended && !p->detached) p->idle_at = cvy_deadline_in(p->idle);
    }
    cvy_loop_unlock(p->loop);
    for (int i = 1; i < 3; i++)
      if (on[i]) cvos_io_read(p->streams[i].io, true);
  }
  if (wishes & CVY_WISH_CLOSE_IN) end_input(&p->streams[0]);
}

/* ---- silence ---- */

/* Any thread may take the deadline away. */
static bool is_silent(covey_process *p, bool take)
{
  bool silent;

  cvy_loop_lock(p->loop);
  silent = cvy_deadline_passed(p->idle_at);
  if (silent && take) p->idle_at = CVY_NEVER;
  cvy_loop_unlock(p->loop);
  return silent;
}

/* [token] Stops a child that has written nothing for too long; what the system holds is looked at first, as in cvy_stream_expire. */
static void stop_the_silent(covey_process *p)
{
  for (int i = 1; i < 3; i++)
    while (p->streams[i].io && is_silent(p, false) && cvos_io_look(p->streams[i].io) > 0)
      ;
  if (is_silent(p, true)) cvy_process_begin_stop(p, COVEY_WHY_IDLE, p->grace);
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
  if (is_silent(p, false)) stop_the_silent(p);
  for (int i = 1; i < 3; i++) {
    cvy_stream *s = &p->streams[i];
    bool over;

    if (!s->io || !cvy_deadline_passed(s->quiet)) continue;
    while (cvos_io_look(s->io) > 0 && s->io && cvy_deadline_passed(s->quiet) &&
           cvy_now() < p->ended_at + p->drain_max + s->patience)
      ;
    if (!s->io || !cvy_deadline_passed(s->quiet) || cvy_pty_expire(p, s)) continue;
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
