/* The loop as a user sees it: own loops and foreign loops. What hangs on them are tasks, notes, timers and connections of
 * the inside, since the objects of the public interface have tests of their own. */
#include "support/test.h"

#include <covey/loop.h>

#include "loop/loop.h"
#include "support/box.h"

TEST(loop, open_and_close_leave_nothing)
{
  covey_loop_close(box_loop(0)); /* libuv opens some things of its own once */
  test_no_handles_lost();
  for (int i = 0; i < 30; i++) {
    covey_native handle;
    box b = {.loop = box_loop(i % 3 == 0 ? COVEY_LOOP_NO_THREAD : 0), .wanted = 1, .timeout = 1};
    REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
    if (i % 3 == 2) REQUIRE_OK(covey_loop_handle(b.loop, &handle));
    CHECK_OK(box_wait(&b, BOX_LONG));
    cvy_loop_call(b.loop, box_timer_close, &b);
    covey_loop_close(b.loop);
  }
}

TEST(loop, the_default_loop)
{
  covey_loop *a, *b;
  REQUIRE_OK(cvy_loop_acquire(NULL, &a));
  REQUIRE_OK(cvy_loop_acquire(NULL, &b));
  CHECK(a == b);
  cvy_loop_release(b);
  covey_loop_close(a); /* does nothing to it */
  box x = {.loop = a, .wanted = 1};
  box_post(&x);
  CHECK_OK(box_wait(&x, BOX_LONG));
  CHECK_OK(covey_loop_dispatch(NULL));
  cvy_loop_release(a);
}

/* ---- callbacks and dispatch ---- */

TEST(loop, callbacks_run_in_dispatch_only)
{
  box b = {.loop = box_loop(0), .wanted = 1};
  box_note(&b);
  CHECK_ERR(box_wait(&b, 120), COVEY_ETIMEDOUT); /* neither a waiting thread nor the helper runs it */
  CHECK_INT(covey_loop_dispatch(b.loop), 1);
  CHECK_INT(b.count, 1);
  CHECK_INT(covey_loop_dispatch(b.loop), 0);
  box_note(&b);
  cvy_loop_lock(b.loop);
  cvy_loop_note(b.loop, &b.note); /* noted once */
  CHECK(cvy_loop_unnote(b.loop, &b.note));
  CHECK(!cvy_loop_unnote(b.loop, &b.note));
  cvy_loop_unlock(b.loop);
  CHECK_INT(covey_loop_dispatch(b.loop), 0);
  CHECK_INT(b.count, 1);
  covey_loop_close(b.loop);
}

static void note_again(void *arg)
{
  box *b = arg;
  cvy_loop_lock(b->loop);
  if (++b->count < 5) cvy_loop_note(b->loop, &b->note);
  cvy_loop_unlock(b->loop);
  if (b->count == 2) b->result = covey_loop_dispatch(b->loop); /* callbacks may dispatch */
}

TEST(loop, callbacks_that_note_more)
{
  box b = {.loop = box_loop(COVEY_LOOP_NO_THREAD)};
  b.note.run = note_again;
  b.note.arg = &b;
  cvy_loop_lock(b.loop);
  cvy_loop_note(b.loop, &b.note);
  cvy_loop_unlock(b.loop);
  CHECK_INT(covey_loop_dispatch(b.loop), 1); /* what comes meanwhile is the next dispatch's */
  CHECK_INT(covey_loop_dispatch(b.loop), 1);
  CHECK_INT(b.result, 1);
  CHECK_INT(covey_loop_dispatch(b.loop), 1);
  CHECK_INT(covey_loop_dispatch(b.loop), 1);
  CHECK_INT(covey_loop_dispatch(b.loop), 0);
  CHECK_INT(b.count, 5);
  covey_loop_close(b.loop);
}

TEST(loop, no_thread_means_nothing_happens_between_dispatches)
{
  box b = {.loop = box_loop(COVEY_LOOP_NO_THREAD), .wanted = 1, .timeout = 1};
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
  box c = {.loop = b.loop};
  box_post(&c);
  test_pause(150);
  CHECK_INT(box_count(&b), 0);
  CHECK_INT(box_count(&c), 0);
  CHECK_INT(covey_loop_dispatch(b.loop), 0);
  CHECK_INT(box_count(&b), 1);
  CHECK_INT(box_count(&c), 1);
  cvy_loop_call(b.loop, box_timer_close, &b);
  covey_loop_close(b.loop);
}

TEST(loop, dispatch_while_another_thread_waits)
{
  box b = {.loop = box_loop(0), .wanted = 1}, n = {.loop = b.loop};
  test_thread *t = test_thread_start(box_wait_thread, &b);
  REQUIRE(test_wait_until(box_in_wait, &b, BOX_LONG));
  for (int i = 0; i < 50; i++) {
    box_note(&n);
    CHECK_INT(covey_loop_dispatch(b.loop), 1);
  }
  CHECK_INT(n.count, 50);
  box_add(&b);
  test_thread_join(t);
  CHECK_OK(b.result);
  covey_loop_close(b.loop);
}

static void dispatch_inside(void *arg)
{
  box *b = arg;
  covey_native handle;
  b->result = covey_loop_dispatch(b->loop);
  CHECK_ERR(covey_loop_wait(b->loop, 0, NULL), COVEY_EDEADLK);
  CHECK_ERR(covey_loop_handle(b->loop, &handle), COVEY_EDEADLK);
  box_add(b);
}

TEST(loop, dispatch_inside_the_loop_is_a_deadlock)
{
  box b;
  CHECK_INT(box_run(&b, dispatch_inside), COVEY_EDEADLK);
}

/* ---- the handle for foreign loops ---- */

/* Dispatches until the handle stays quiet; a needless signal is allowed, but not without end. */
static void settle(covey_loop *loop, covey_native handle)
{
  int n = 0;
  while (test_handle_ready(handle, 20)) {
    REQUIRE(++n < 50);
    CHECK_OK(covey_loop_dispatch(loop));
  }
}

/* A foreign loop: dispatches whenever the handle is ready, until the box is full. */
static bool foreign(box *b, covey_native handle)
{
  int64_t start = test_now();
  while (box_count(b) < b->wanted && test_now() - start < BOX_LONG)
    if (test_handle_ready(handle, BOX_LONG)) CHECK_OK(covey_loop_dispatch(b->loop));
  return box_count(b) >= b->wanted;
}

TEST(loop_handle, is_level_triggered_and_cleared_by_dispatch)
{
  box b = {.loop = box_loop(0), .wanted = 1};
  covey_native handle, again;
  REQUIRE_OK(covey_loop_handle(b.loop, &handle));
  REQUIRE_OK(covey_loop_handle(b.loop, &again));
  CHECK(handle == again);
  settle(b.loop, handle);
  CHECK(!test_handle_ready(handle, 0));
  box_note(&b);
  for (int i = 0; i < 5; i++) CHECK(test_handle_ready(handle, 0));
  CHECK_INT(covey_loop_dispatch(b.loop), 1);
  settle(b.loop, handle);
  box_post(&b);
  for (int i = 0; i < 5; i++) CHECK(test_handle_ready(handle, 0));
  CHECK_INT(box_count(&b), 1); /* the helper is gone: only a dispatch runs it */
  CHECK_OK(covey_loop_dispatch(b.loop));
  CHECK_INT(box_count(&b), 2);
  settle(b.loop, handle);
  covey_loop_close(b.loop);
}

TEST(loop_handle, tells_timers)
{
  box b = {.loop = box_loop(COVEY_LOOP_NO_THREAD), .wanted = 1, .timeout = 60};
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(b.loop, &handle));
  int64_t start = test_now();
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
  CHECK(foreign(&b, handle));
  CHECK(test_now() - start >= 59);
  /* set by another thread to an earlier time than the one that is known */
  settle(b.loop, handle);
  b.wanted = 2;
  b.timeout = 3600000;
  cvy_loop_call(b.loop, box_timer_set, &b);
  settle(b.loop, handle);
  b.timeout = 50;
  cvy_loop_call(b.loop, box_timer_set, &b);
  CHECK(foreign(&b, handle));
  cvy_loop_call(b.loop, box_timer_close, &b);
  settle(b.loop, handle);
  covey_loop_close(b.loop);
}

/* A timer that is started in a callback during dispatch, the case that libuv's own descriptor misses. */
static void start_other(void *arg)
{
  box *b = arg;
  box_add(b);
  box_timer_set(b);
}

TEST(loop_handle, tells_what_a_callback_started)
{
  box b = {.loop = box_loop(COVEY_LOOP_NO_THREAD), .wanted = 8, .timeout = 5};
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(b.loop, &handle));
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
  b.note = (cvy_note){.run = start_other, .arg = &b};
  for (int i = 0; i < 3; i++) {
    cvy_loop_lock(b.loop);
    cvy_loop_note(b.loop, &b.note);
    cvy_loop_unlock(b.loop);
    b.task = (cvy_task){.run = start_other, .arg = &b};
    cvy_loop_lock(b.loop);
    cvy_loop_post(b.loop, &b.task);
    cvy_loop_unlock(b.loop);
    b.wanted = box_count(&b) + 3;
    CHECK(foreign(&b, handle));
  }
  cvy_loop_call(b.loop, box_timer_close, &b);
  covey_loop_close(b.loop);
}

static void post_thread(void *arg)
{
  box *b = arg;
  for (int i = 0; i < 300; i++) {
    box_note(b);
    box mine = {.loop = b->loop, .wanted = 1};
    box_post(&mine);
    REQUIRE_OK(box_wait(&mine, BOX_LONG)); /* leads the loop itself meanwhile */
  }
  cvy_loop_lock(b->loop);
  b->result = 1;
  cvy_loop_unlock(b->loop);
}

TEST(loop_handle, misses_nothing_beside_threads_that_wait)
{
  box b = {.loop = box_loop(0), .wanted = 1};
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(b.loop, &handle));
  test_thread *t = test_thread_start(post_thread, &b);
  int64_t start = test_now();
  for (bool over = false; !over && test_now() - start < BOX_LONG;) {
    if (test_handle_ready(handle, 50)) CHECK_OK(covey_loop_dispatch(b.loop));
    cvy_loop_lock(b.loop);
    over = b.result == 1;
    cvy_loop_unlock(b.loop);
  }
  test_thread_join(t);
  CHECK_INT(b.result, 1);
  settle(b.loop, handle);
  CHECK(b.count > 0);
  covey_loop_close(b.loop);
}

/* ---- fork ---- */

/* Loops come and go in other threads while the process forks: each child can still make and use one of its own. */
typedef struct churn {
  test_counter stop;
} churn;

static void churn_thread(void *arg)
{
  churn *c = arg;
  while (!test_add(&c->stop, 0)) {
    covey_loop *loop;
    REQUIRE_OK(covey_loop_open(NULL, &loop));
    box b = {.loop = loop, .wanted = 1};
    box_post(&b);
    REQUIRE_OK(box_wait(&b, BOX_LONG));
    covey_loop_close(loop);
  }
}

TEST(loop, a_child_of_fork_has_loops_of_its_own)
{
  if (test_is_windows()) TEST_SKIP("no fork there");
  if (!test_once_outlives_fork()) covey_loop_close(box_loop(COVEY_LOOP_NO_THREAD));
  churn c = {{0}};
  test_thread *threads[2] = {test_thread_start(churn_thread, &c), test_thread_start(churn_thread, &c)};
  for (int i = 0; i < 20; i++) {
    int64_t pid = test_fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      covey_loop *loop =
          box_loop(COVEY_LOOP_NO_THREAD); /* ThreadSanitizer allows no threads in such a child */
      box b = {.loop = loop, .wanted = 1};
      box_post(&b);
      if (box_wait(&b, BOX_LONG) != 0) test_system_exit(2);
      covey_loop_close(loop);
      test_system_exit(0);
    }
    CHECK_INT(test_fork_join(pid, BOX_LONG), 0);
  }
  test_add(&c.stop, 1);
  test_thread_join(threads[0]);
  test_thread_join(threads[1]);
}

TEST(loop, inherited_by_fork_is_stale)
{
  if (test_is_windows()) TEST_SKIP("no fork there");
  covey_loop *loop = box_loop(0), *def;
  REQUIRE_OK(cvy_loop_acquire(NULL, &def));
  box b = {.loop = loop, .wanted = 1};
  box_post(&b);
  CHECK_OK(box_wait(&b, BOX_LONG)); /* the helper runs, perhaps has the token */
  int64_t pid = test_fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    covey_native handle;
    covey_loop *got;
    int bad = 0;
    if (covey_loop_dispatch(loop) != COVEY_ESTALE) bad |= 1;
    if (covey_loop_dispatch(NULL) != COVEY_ESTALE || covey_loop_wait(loop, 0, NULL) != COVEY_ESTALE) bad |= 2;
    if (covey_loop_handle(loop, &handle) != COVEY_ESTALE) bad |= 4;
    if (cvy_loop_acquire(loop, &got) != COVEY_ESTALE) bad |= 8;
    if (cvy_loop_check(loop) != COVEY_ESTALE) bad |= 16;
    covey_loop_close(loop); /* does nothing */
    covey_loop *own_loop;
    if (covey_loop_open(NULL, &own_loop) != 0)
      bad |= 32; /* the child may have loops of its own */
    else
      covey_loop_close(own_loop);
    test_system_exit(bad);
  }
  CHECK_INT(test_fork_join(pid, BOX_LONG), 0);
  CHECK_OK(cvy_loop_check(loop));
  cvy_loop_release(def);
  covey_loop_close(loop);
}
