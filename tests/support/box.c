#include "box.h"
#include "test.h"

#include <covey/loop.h>

covey_loop *box_loop(uint32_t flags)
{
  covey_loop *loop = NULL;
  covey_loop_options o = {.flags = flags};
  REQUIRE_OK(covey_loop_open(&o, &loop));
  return loop;
}

void box_add(void *arg)
{
  box *b = arg;
  bool has_token = cvy_loop_has_token(b->loop);
  cvy_loop_lock(b->loop);
  b->has_token = has_token;
  b->count++;
  cvy_loop_changed(b->loop);
  cvy_loop_unlock(b->loop);
}

int64_t box_count(box *b)
{
  cvy_loop_lock(b->loop);
  int64_t n = b->count;
  cvy_loop_unlock(b->loop);
  return n;
}

bool box_full(void *arg)
{
  const box *b = arg;
  return b->count >= b->wanted;
}

bool box_filled(void *arg)
{
  box *b = arg;
  cvy_loop_lock(b->loop);
  bool full = box_full(b);
  cvy_loop_unlock(b->loop);
  return full;
}

int box_wait(box *b, int64_t ms)
{
  cvy_loop_lock(b->loop);
  b->in_wait = true;
  int r = cvy_loop_wait(b->loop, box_full, b, cvy_deadline_in(ms), b->cancel);
  cvy_loop_unlock(b->loop);
  return r;
}

void box_wait_thread(void *arg)
{
  box *b = arg;
  b->result = box_wait(b, b->timeout ? b->timeout : BOX_LONG);
}

bool box_in_wait(void *arg)
{
  box *b = arg;
  cvy_loop_lock(b->loop);
  bool in = b->in_wait;
  cvy_loop_unlock(b->loop);
  return in;
}

int box_run(box *b, void (*run)(void *b))
{
  *b = (box){.loop = box_loop(0), .wanted = 1, .task = {.run = run, .arg = b}};
  cvy_loop_lock(b->loop);
  cvy_loop_post(b->loop, &b->task);
  cvy_loop_unlock(b->loop);
  CHECK_OK(box_wait(b, BOX_LONG));
  covey_loop_close(b->loop);
  return b->result;
}

void box_post(box *b)
{
  cvy_loop_lock(b->loop);
  b->task.run = box_add;
  b->task.arg = b;
  cvy_loop_post(b->loop, &b->task);
  cvy_loop_unlock(b->loop);
}

void box_note(box *b)
{
  cvy_loop_lock(b->loop);
  b->note.run = box_add;
  b->note.arg = b;
  cvy_loop_note(b->loop, &b->note);
  cvy_loop_unlock(b->loop);
}

int box_timer_open(void *arg)
{
  box *b = arg;
  int r = cvy_timer_open(b->loop, box_add, b, &b->timer);
  if (!r) box_timer_set(b);
  return r;
}

int box_timer_set(void *arg)
{
  box *b = arg;
  cvy_timer_set(b->timer, cvy_deadline_in(b->timeout));
  return 0;
}

int box_timer_close(void *arg)
{
  cvy_timer_close(((box *)arg)->timer);
  return 0;
}
