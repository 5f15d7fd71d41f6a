/* Everything at once: threads that wait, try, post, call, cancel and dispatch on one loop, beside streams and timers. What is asked: no wait is
 * missed, every call and task runs once, nothing hangs. Meant for ThreadSanitizer. */
#include "support/test.h"

#include <covey/loop.h>

#include "loop/loop.h"
#include "support/ends.h"

enum { THREADS = 6 };

typedef struct stage {
  covey_loop *loop;
  int64_t tasks_run, tasks_posted, calls, pings; /* under the lock */
  covey_cancel *cancel;
  int rounds;
} stage;

typedef struct actor {
  stage *s;
  uint32_t random;
  int64_t wanted;
  cvy_task task;
  cvy_note note;
  int64_t own;   /* under the lock */
  int64_t notes; /* the same */
  cvy_timer *timer;
  struct actor *next;
} actor;

static uint32_t pick(actor *a, uint32_t n)
{
  a->random = a->random * 1664525u + 1013904223u;
  return (a->random >> 16) % n;
}

static void run_task(void *arg)
{
  actor *a = arg;
  REQUIRE(cvy_loop_has_token(a->s->loop));
  cvy_loop_lock(a->s->loop);
  a->own++;
  a->s->tasks_run++;
  cvy_loop_changed(a->s->loop);
  cvy_loop_unlock(a->s->loop);
}

static void run_note(void *arg)
{
  actor *a = arg;
  cvy_loop_lock(a->s->loop);
  a->notes++;
  cvy_loop_changed(a->s->loop);
  cvy_loop_unlock(a->s->loop);
}

static bool own_reached(void *arg)
{
  actor *a = arg;
  return a->own >= a->wanted;
}

static bool never(void *arg)
{
  (void)arg;
  return false;
}

static int open_timer(void *arg)
{
  actor *a = arg;
  int r = cvy_timer_open(a->s->loop, run_task, a, &a->timer);
  if (!r) cvy_timer_set(a->timer, cvy_deadline_in(pick(a, 3)));
  return r;
}

static int close_timer(void *arg)
{
  cvy_timer_close(((actor *)arg)->timer);
  return 0;
}

static int count_call(void *arg)
{
  actor *a = arg;
  REQUIRE(cvy_loop_has_token(a->s->loop));
  cvy_loop_lock(a->s->loop);
  a->s->calls++;
  cvy_loop_unlock(a->s->loop);
  return 5;
}

/* A wish that a task, or a timer, meets. */
static void wait_own(actor *a, int64_t timeout)
{
  cvy_loop_lock(a->s->loop);
  int r = cvy_loop_wait(a->s->loop, own_reached, a, cvy_deadline_in(timeout), NULL);
  cvy_loop_unlock(a->s->loop);
  if (timeout > 1000) REQUIRE_OK(r);
}

static void post(actor *a)
{
  cvy_loop_lock(a->s->loop);
  a->wanted = a->own + 1;
  a->task.run = run_task;
  a->task.arg = a;
  cvy_loop_post(a->s->loop, &a->task);
  a->s->tasks_posted++;
  cvy_loop_unlock(a->s->loop);
}

static void act(actor *a)
{
  stage *s = a->s;
  int r;
  switch (pick(a, 9)) {
  case 0:
  case 1:
    post(a);
    wait_own(a, ENDS_LONG);
    break;
  case 2:
    post(a);
    wait_own(a, 0);
    wait_own(a, ENDS_LONG);
    break;
  case 3:
    cvy_loop_lock(s->loop);
    a->wanted = a->own + 1;
    s->tasks_posted++;
    cvy_loop_unlock(s->loop);
    REQUIRE_OK(cvy_loop_call(s->loop, open_timer, a));
    wait_own(a, ENDS_LONG);
    REQUIRE_OK(cvy_loop_call(s->loop, close_timer, a));
    break;
  case 4: REQUIRE(cvy_loop_call(s->loop, count_call, a) == 5); break;
  case 5:
    cvy_loop_lock(s->loop);
    r = cvy_loop_wait(s->loop, never, NULL, cvy_deadline_in(pick(a, 4)), s->cancel);
    cvy_loop_unlock(s->loop);
    REQUIRE(r == COVEY_ETIMEDOUT || r == COVEY_ECANCELED);
    break;
  case 6:
    cvy_loop_lock(s->loop);
    a->note = (cvy_note){.run = run_note, .arg = a};
    int64_t before = a->notes;
    cvy_loop_note(s->loop, &a->note);
    cvy_loop_unlock(s->loop);
    REQUIRE_OK(covey_loop_dispatch(s->loop));
    /* another thread's dispatch may have taken it: then it runs or has run */
    for (int64_t start = test_now();;) {
      cvy_loop_lock(s->loop);
      bool ran = a->notes > before;
      cvy_loop_unlock(s->loop);
      if (ran) break;
      REQUIRE(test_now() - start < ENDS_LONG);
      REQUIRE_OK(covey_loop_dispatch(s->loop));
    }
    break;
  case 7: covey_cancel_fire(s->cancel); break;
  default: test_pause(pick(a, 2)); break;
  }
}

static void actor_thread(void *arg)
{
  actor *a = arg;
  for (int i = 0; i < a->s->rounds; i++) act(a);
}

/* A stream beside it all: what one end gets goes back from the other. */
typedef struct pinger {
  stage *s;
  cvos_io *io;
  int closed;
} pinger;

static void on_ping(void *arg, const void *data, size_t size, const cvos_handle *handles, size_t count)
{
  pinger *p = arg;
  cvos_piece piece = {data, size};
  int system;
  (void)handles;
  (void)count;
  cvy_loop_hot(p->s->loop, p->io);
  cvy_loop_lock(p->s->loop);
  p->s->pings++;
  cvy_loop_changed(p->s->loop);
  cvy_loop_unlock(p->s->loop);
  cvos_io_write(p->io, &piece, 1, NULL, 0, &system);
}

static void on_ping_closed(void *arg)
{
  pinger *p = arg;
  cvy_loop_lock(p->s->loop);
  p->closed = 1;
  cvy_loop_changed(p->s->loop);
  cvy_loop_unlock(p->s->loop);
}

static const cvos_io_events ping_events = {.bytes = on_ping, .closed = on_ping_closed};

typedef struct opening {
  pinger *p;
  cvos_handle handle;
} opening;

static int open_pinger(void *arg)
{
  opening *o = arg;
  int r = cvos_io_open(cvy_loop_uv(o->p->s->loop), o->handle, CVOS_IO_READ | CVOS_IO_WRITE, &ping_events,
                       o->p, &o->p->io);
  if (!r) cvos_io_read(o->p->io, true);
  return r;
}

static int close_pinger(void *arg)
{
  pinger *p = arg;
  cvy_loop_cold(p->s->loop, p->io);
  cvos_io_close(p->io, true);
  return 0;
}

static bool pinger_closed(void *arg)
{
  return ((pinger *)arg)->closed != 0;
}

static void stress(uint32_t flags, bool handle)
{
  stage s = {.rounds = test_is_wine() ? 60 : 250};
  covey_loop_options o = {.flags = flags};
  REQUIRE_OK(covey_loop_open(&o, &s.loop));
  REQUIRE_OK(covey_cancel_new(&s.cancel));
  covey_native h;
  if (handle) REQUIRE_OK(covey_loop_handle(s.loop, &h));
  char token[CVOS_TOKEN_MAX];
  cvos_handle given;
  pinger a = {.s = &s}, b = {.s = &s};
  opening first = {.p = &a}, second = {.p = &b};
  REQUIRE_OK(cvos_stream_pair(&first.handle, &given, token));
  REQUIRE_OK(cvos_stream_inherit(token, &second.handle));
  REQUIRE_OK(cvy_loop_call(s.loop, open_pinger, &first));
  REQUIRE_OK(cvy_loop_call(s.loop, open_pinger, &second));
  cvos_piece ball = {"ball", 4};
  int system;
  CHECK_INT(cvos_io_write(b.io, &ball, 1, NULL, 0, &system), 4);
  actor actors[THREADS];
  test_thread *threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    actors[i] = (actor){.s = &s, .random = (uint32_t)i * 7919u + flags + handle};
    threads[i] = test_thread_start(actor_thread, &actors[i]);
  }
  for (int i = 0; i < THREADS; i++) test_thread_join(threads[i]);
  cvy_loop_lock(s.loop);
  CHECK_INT(s.tasks_run, s.tasks_posted);
  CHECK(s.pings > 0);
  cvy_loop_unlock(s.loop);
  cvy_loop_call(s.loop, close_pinger, &a);
  cvy_loop_call(s.loop, close_pinger, &b);
  cvy_loop_lock(s.loop);
  CHECK_OK(cvy_loop_wait(s.loop, pinger_closed, &a, cvy_deadline_in(ENDS_LONG), NULL));
  CHECK_OK(cvy_loop_wait(s.loop, pinger_closed, &b, cvy_deadline_in(ENDS_LONG), NULL));
  cvy_loop_unlock(s.loop);
  covey_cancel_free(s.cancel);
  covey_loop_close(s.loop);
}

TEST_LIMIT(loop_stress, with_the_helper, 120)
{
  stress(0, false);
}
TEST_LIMIT(loop_stress, without_a_thread, 120)
{
  stress(COVEY_LOOP_NO_THREAD, false);
}
TEST_LIMIT(loop_stress, with_a_handle, 120)
{
  stress(0, true);
}
