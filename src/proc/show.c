#include "proc/process.h"

#include "core/atomics.h"
#include "core/error.h"
#include "proc/options.h"

#include <string.h>

#define AT_ONCE 64 /* pieces that one dispatch shows before others have their turn */

static void run_note(void *arg);

void cvy_show_begin(covey_process *p, const covey_process_options *o)
{
  p->on_output = o->on_output;
  p->on_line = o->on_line;
  p->on_room = o->on_room;
  p->user = o->user;
  p->note = (cvy_note){.run = run_note, .arg = p};
  for (int i = 1; i < 3; i++) {
    cvy_stream *s = &p->streams[i];

    s->shown = s->kind == CVY_STREAM_LINES || (s->kind != CVY_STREAM_NONE && o->on_output);
    s->flushed = s->kind != CVY_STREAM_LINES;
    cvy_lines_init(&s->lines, o->line_max ? o->line_max : CVY_LINE_DEFAULT);
  }
}

void cvy_show_fini(covey_process *p)
{
  cvy_pieces_fini(&p->pieces);
  for (int i = 1; i < 3; i++) cvy_lines_fini(&p->streams[i].lines);
}

bool cvy_show_put(cvy_stream *s, const void *data, size_t size)
{
  covey_process *p = s->process;

  if (p->deaf) return true;
  if (!cvy_pieces_put(&p->pieces, s->index, data, size)) return false;
  cvy_show_note(p);
  return true;
}

bool cvy_show_full(const covey_process *p)
{
  return p->pieces.memory >= CVY_SHOWN_MOST;
}

/* ---- what there is to show; lock held ---- */

static bool calls(const covey_process *p)
{
  return p->on_output || p->on_line;
}

/* A stream that has ended, and of which nothing but its last line can still come. */
static cvy_stream *unflushed(const covey_process *p)
{
  for (int i = 1; i < 3; i++) {
    const cvy_stream *s = &p->streams[i];

    if (s->ended && !s->flushed && p->pieces.taken >= s->end_at) return (cvy_stream *)s;
  }
  return NULL;
}

static bool has_output(const covey_process *p)
{
  return p->pieces.first || unflushed(p);
}

/* A writer that had to break off may go on, or learns that nobody reads any more. */
static bool has_room(const covey_process *p)
{
  const cvy_stream *s = &p->streams[0];

  return s->short_of_room && !p->ended && !s->closing && !s->writing && (!s->waiting || !s->io);
}

static bool has_call(const covey_process *p)
{
  return has_room(p) || (calls(p) && has_output(p)) || (p->on_end && p->done);
}

bool cvy_show_pending(const covey_process *p)
{
  return p->shower || has_call(p);
}

bool cvy_show_inside(const covey_process *p)
{
  return p->shower == cvy_stream_thread();
}

static bool may_show(const covey_process *p)
{
  return !p->shower && !p->torn && !p->held && has_call(p);
}

void cvy_show_note(covey_process *p)
{
  if (p->run || p->note.queued || !may_show(p)) return;
  p->holds++;
  cvy_loop_note(p->loop, &p->note);
}

void cvy_show_release(covey_process *p)
{
  cvy_loop_lock(p->loop);
  p->held = false;
  cvy_show_note(p);
  cvy_loop_unlock(p->loop);
}

bool cvy_show_close(covey_process *p)
{
  return cvy_loop_unnote(p->loop, &p->note);
}

/* Takes size bytes of the front; who was stopped for want of room goes on. */
static void take(covey_process *p, size_t size)
{
  cvy_pieces_take(&p->pieces, size);
  for (int i = 1; i < 3; i++) {
    const cvy_stream *s = &p->streams[i];

    if (!s->shown || !s->io || s->reading || p->pieces.memory >= CVY_SHOWN_MOST / 2) continue;
    cvy_process_wish(p, CVY_WISH_READ);
    return;
  }
}

/* ---- lines; by the one who shows ---- */

static covey_line number(cvy_stream *s, const cvy_line *line)
{
  covey_process *p = s->process;
  covey_line out = {.data = line->data, .size = line->size, .stream = s->index};

  if (line->flags & CVY_LINE_MORE) out.flags |= COVEY_LINE_MORE;
  if (line->flags & CVY_LINE_OPEN) out.flags |= COVEY_LINE_OPEN;
  if (line->flags & CVY_LINE_CRLF) out.flags |= COVEY_LINE_CRLF;
  out.number = s->number ? s->number : ++p->line_count;
  s->number = line->flags & CVY_LINE_MORE ? out.number : 0;
  return out;
}

/* The handle was closed, in the callback for a line perhaps: there is no next one. No lock held. */
static bool is_torn(const cvy_stream *s)
{
  return cvy_load_seq_u32(&s->process->torn) != 0;
}

/* Calls back with all lines of these bytes. What the callback answered, or COVEY_ENOMEM with *ret_failed. No lock held. */
static int call_lines(cvy_stream *s, const char *data, size_t size, bool *ret_failed)
{
  cvy_line line;
  int r = 0, found;

  while (r == 0 && !is_torn(s) && (found = cvy_lines_next(&s->lines, &data, &size, &line)) != 0) {
    covey_line out;

    *ret_failed = found < 0;
    if (found < 0) return found;
    out = number(s, &line);
    r = s->process->on_line(&out, s->process->user);
  }
  return r;
}

static int call_last_line(cvy_stream *s)
{
  cvy_line line;
  int r = 0;

  while (r == 0 && !is_torn(s) && cvy_lines_end(&s->lines, &line)) {
    covey_line out = number(s, &line);

    r = s->process->on_line(&out, s->process->user);
  }
  return r;
}

/* ---- callbacks ---- */

/* No more is shown: what waits is dropped, and what comes is not kept. Lock held. */
static void go_deaf(covey_process *p)
{
  p->deaf = true;
  cvy_pieces_fini(&p->pieces);
  take(p, 0);
}

/* One piece, or the last line of a stream. Lock held on entry and return. True when the program wants the child stopped. */
static bool show_output(covey_process *p)
{
  cvy_stream *s = unflushed(p);
  bool last = s != NULL, failed = false;
  const char *data = NULL;
  size_t size = 0;
  int r, tag = 0;

  if (!last) {
    data = cvy_pieces_front(&p->pieces, &tag, &size);
    s = &p->streams[tag];
  } else {
    s->flushed = true;
    if (p->deaf) return false;
  }
  cvy_loop_unlock(p->loop);
  if (last)
    r = call_last_line(s);
  else if (s->kind == CVY_STREAM_LINES)
    r = call_lines(s, data, size, &failed);
  else
    r = p->on_output(s->index, data, size, p->user);
  cvy_loop_lock(p->loop);
  if (failed && !s->failed) s->failed = COVEY_ENOMEM;
  if (r != 0)
    go_deaf(p);
  else if (!last)
    take(p, size);
  return r != 0 && !failed;
}

static void show_room(covey_process *p)
{
  p->streams[0].short_of_room = false;
  cvy_loop_unlock(p->loop);
  p->on_room(p, p->user);
  cvy_loop_lock(p->loop);
}

static void show_end(covey_process *p)
{
  covey_end_callback on_end = p->on_end;
  void *user = p->end_user;
  covey_exit end;

  cvy_process_fill_exit(p, &end);
  p->on_end = NULL;
  cvy_loop_unlock(p->loop);
  on_end(p, &end, user);
  cvy_loop_lock(p->loop);
}

/* Makes one call back, where may_show. Lock held on entry and return, not between. */
static void show(covey_process *p)
{
  bool stop = false;

  p->shower = cvy_stream_thread();
  if (has_room(p))
    show_room(p);
  else if (calls(p) && has_output(p))
    stop = show_output(p);
  else
    show_end(p);
  if (stop) {
    cvy_loop_unlock(p->loop);
    cvy_process_had_enough(p, COVEY_WHY_CANCEL);
    cvy_loop_lock(p->loop);
  }
  p->shower = NULL;
  cvy_show_note(p);
  cvy_told_note(p);
  cvy_loop_changed(p->loop);
}

/* In a dispatch. */
static void run_note(void *arg)
{
  covey_process *p = arg;

  cvy_loop_lock(p->loop);
  for (int i = 0; i < AT_ONCE && may_show(p); i++) show(p);
  cvy_show_note(p);
  cvy_loop_unlock(p->loop);
  cvy_process_unhold(p);
}

/* ---- waiting ---- */

typedef struct show_wait {
  covey_loop *loop;
  covey_process *const *list;
  size_t count;
  cvy_predicate met;
  void *arg;
} show_wait;

static bool met_or_shows(void *arg)
{
  const show_wait *w = arg;

  for (size_t i = 0; i < w->count; i++)
    if (w->list[i]->loop == w->loop && may_show(w->list[i])) return true;
  return w->met(w->arg);
}

int cvy_show_wait(covey_loop *loop, covey_process *const *list, size_t count, cvy_predicate met, void *arg,
                  cvy_deadline deadline, covey_cancel *cancel)
{
  show_wait w = {loop, list, count, met, arg};
  int r;

  while ((r = cvy_loop_wait(loop, met_or_shows, &w, deadline, cancel)) == 0 && !met(arg)) {
    for (size_t i = 0; i < count; i++)
      if (list[i]->loop == loop && may_show(list[i])) show(list[i]);
    if (met(arg)) break;
    if (cvy_cancel_fired(cancel)) return COVEY_ECANCELED; /* also when there is always something to show */
    if (cvy_deadline_passed(deadline)) return COVEY_ETIMEDOUT;
  }
  return r;
}

/* ---- the calls ---- */

int covey_process_on_end(covey_process *process, covey_end_callback callback, void *user)
{
  covey_process *p = process;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if ((r = cvy_loop_check(p->loop)) < 0) return r;
  cvy_loop_lock(p->loop);
  p->on_end = callback;
  p->end_user = user;
  cvy_show_note(p);
  cvy_told_note(p); /* taken back: nothing may be left to wait for */
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
  return 0;
}

/* 1: *ret is the next line. 0: more must come first, or nothing does. Lock held. */
static int next_line(covey_process *p, covey_line *ret)
{
  cvy_line line;

  take(p, p->given);
  p->given = 0;
  while (has_output(p)) {
    cvy_stream *s = unflushed(p);
    const char *data;
    size_t size, left;
    int tag, r;

    if (s && cvy_lines_end(&s->lines, &line)) {
      *ret = number(s, &line);
      return 1;
    }
    if (s) {
      s->flushed = true;
      continue;
    }
    data = cvy_pieces_front(&p->pieces, &tag, &size);
    s = &p->streams[tag];
    left = size;
    r = cvy_lines_next(&s->lines, &data, &left, &line);
    if (r > 0) {
      *ret = number(s, &line);
      p->given = size - left; /* the line may lie there: taken at the next call */
      return 1;
    }
    take(p, size);
    if (r < 0) return r;
  }
  return 0;
}

static bool lines_ended(const covey_process *p)
{
  return p->streams[1].flushed && p->streams[2].flushed;
}

static bool line_may_come(void *arg)
{
  const covey_process *p = arg;

  return has_output(p) || lines_ended(p) || cvy_load_seq_u32(&p->cancelled);
}

int covey_process_read_line(covey_process *process, int64_t timeout, covey_line *ret_line)
{
  covey_process *p = process;
  cvy_deadline deadline;
  covey_line line;
  bool waited = false;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if (!ret_line) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_line");
  if ((r = cvy_timeout_check(timeout)) < 0 || (r = cvy_loop_check(p->loop)) < 0) return r;
  if (p->on_line || (p->streams[1].kind != CVY_STREAM_LINES && p->streams[2].kind != CVY_STREAM_LINES))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_STDIO, "no lines to be read");
  deadline = cvy_deadline_in(timeout);
  cvy_loop_lock(p->loop);
  while ((r = next_line(p, &line)) == 0 && !lines_ended(p)) {
    if (cvy_load_seq_u32(&p->cancelled)) r = COVEY_ECANCELED;
    if (r == 0 && waited && cvy_deadline_passed(deadline))
      r = COVEY_ETIMEDOUT; /* much came, but no line end */
    waited = true;
    if (r == 0) r = cvy_show_wait(p->loop, &p, 1, line_may_come, p, deadline, p->cancel);
    if (r < 0) break;
  }
  for (int i = 1; i < 3 && r == 0; i++)
    if (p->streams[i].kind == CVY_STREAM_LINES) r = p->streams[i].failed;
  cvy_loop_unlock(p->loop);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_STDIO, "process %lld", (long long)p->pid);
  if (r > 0) *ret_line = line;
  return r;
}
