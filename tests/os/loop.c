/* The inside of the loop: waits, the token, tasks, calls, timers, cancel objects, notes, the helper thread. */
#include "support/test.h"

#include "loop/loop.h"
#include "loop/sync.h"
#include "support/box.h"

#include <errno.h>
#include <signal.h>

/* ---- time ---- */

TEST(loop_time, deadlines)
{
  CHECK_INT(cvy_deadline_in(COVEY_FOREVER), CVY_NEVER);
  CHECK(!cvy_deadline_passed(CVY_NEVER));
  CHECK_INT(cvy_deadline_left(CVY_NEVER), COVEY_FOREVER);
  CHECK(cvy_deadline_passed(cvy_deadline_in(0)));
  CHECK_INT(cvy_deadline_in(INT64_MAX), CVY_NEVER);
  CHECK_INT(cvy_deadline_in(INT64_MAX - 1), CVY_NEVER);
  cvy_deadline d = cvy_deadline_in(60000);
  CHECK(!cvy_deadline_passed(d));
  CHECK(cvy_deadline_left(d) > 50000 && cvy_deadline_left(d) <= 60001);
  CHECK_ERR(cvy_timeout_check(-2), COVEY_EINVAL);
  CHECK_OK(cvy_timeout_check(COVEY_FOREVER));
  CHECK_OK(cvy_timeout_check(0));
  CHECK_INT(cvy_option_time(0, 7), 7);
  CHECK_INT(cvy_option_time(COVEY_FOREVER, 7), COVEY_FOREVER);
}

/* ---- waiting ---- */

TEST(loop_wait, met_at_once_and_past_deadline)
{
  box b = {.loop = box_loop(0)};
  CHECK_OK(box_wait(&b, 0));
  b.wanted = 1;
  CHECK_ERR(box_wait(&b, 0), COVEY_ETIMEDOUT);
  int64_t start = test_now();
  CHECK_ERR(box_wait(&b, 120), COVEY_ETIMEDOUT);
  CHECK(test_now() - start >= 119);
  covey_loop_close(b.loop);
}

/* A wait that begins in the last microseconds before its deadline, so that it passes anywhere in the first turn: a timer far away would
 * be what ends a turn that missed it. */
TEST(loop_wait, a_deadline_that_passes_as_the_wait_begins)
{
  box b = {.loop = box_loop(0), .wanted = INT64_MAX, .timeout = BOX_LONG};
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
  for (uint64_t i = 0; i < 600 && test_failures() == 0; i++) {
    cvy_deadline deadline = cvy_now() + 1;
    while (cvy_now_ns() + i % 60 * 500 < (uint64_t)deadline * 1000000) continue;
    cvy_loop_lock(b.loop);
    CHECK_ERR(cvy_loop_wait(b.loop, box_full, &b, deadline, NULL), COVEY_ETIMEDOUT);
    cvy_loop_unlock(b.loop);
    CHECK(cvy_now() - deadline < BOX_LONG / 2);
  }
  cvy_loop_call(b.loop, box_timer_close, &b);
  covey_loop_close(b.loop);
}

TEST(loop_wait, try_once_lets_the_loop_turn)
{
  /* A task that is posted meets the wish: a single try must run it, whoever has the token. */
  for (int i = 0; i < 200; i++) {
    box b = {.loop = box_loop(i & 1 ? COVEY_LOOP_NO_THREAD : 0), .wanted = 1};
    box_post(&b);
    CHECK_OK(box_wait(&b, 0));
    covey_loop_close(b.loop);
  }
}

TEST(loop_wait, another_thread_changes_the_state)
{
  box b = {.loop = box_loop(0), .wanted = 1};
  test_thread *t = test_thread_start(box_wait_thread, &b);
  test_pause(20);
  box_add(&b);
  test_thread_join(t);
  CHECK_OK(b.result);
  covey_loop_close(b.loop);
}

static bool never(void *arg)
{
  (void)arg;
  return false;
}

static void wait_inside(void *arg)
{
  box *b = arg;
  cvy_loop_lock(b->loop);
  b->result = cvy_loop_wait(b->loop, never, NULL, CVY_NEVER, NULL);
  int once = cvy_loop_wait(b->loop, never, NULL, cvy_deadline_in(0), NULL);
  cvy_loop_unlock(b->loop);
  CHECK_INT(once, COVEY_ETIMEDOUT);
  box_add(b);
}

TEST(loop_wait, inside_a_callback_is_a_deadlock)
{
  box b;
  CHECK_INT(box_run(&b, wait_inside), COVEY_EDEADLK);
  CHECK(b.has_token);
}

/* Many threads wait on one loop, each for a number of its own; each number is raised by the thread before. */
enum { CHAIN = 12, ROUNDS = 200 };
typedef struct chain_link {
  box *all;
  int index;
} chain_link;

static void chain_thread(void *arg)
{
  chain_link *l = arg;
  box *mine = &l->all[l->index], *next = &l->all[(l->index + 1) % CHAIN];
  for (int i = 0; i < ROUNDS; i++) {
    cvy_loop_lock(mine->loop);
    mine->wanted = i + 1;
    int r = cvy_loop_wait(mine->loop, box_full, mine, cvy_deadline_in(BOX_LONG), NULL);
    next->count++;
    cvy_loop_changed(mine->loop);
    cvy_loop_unlock(mine->loop);
    REQUIRE_OK(r);
    if ((i + l->index) % 64 == 0) test_pause(1);
  }
}

TEST(loop_wait, the_token_goes_round)
{
  covey_loop *loop = box_loop(0);
  box boxes[CHAIN] = {{0}};
  chain_link links[CHAIN];
  test_thread *threads[CHAIN];
  for (int i = 0; i < CHAIN; i++) {
    boxes[i].loop = loop;
    boxes[i].wanted = 1;
    links[i] = (chain_link){boxes, i};
  }
  for (int i = 0; i < CHAIN; i++) threads[i] = test_thread_start(chain_thread, &links[i]);
  box_add(&boxes[0]);
  for (int i = 0; i < CHAIN; i++) test_thread_join(threads[i]);
  CHECK_INT(boxes[0].count, ROUNDS + 1);
  covey_loop_close(loop);
}

/* Deadlines of followers pass on time though another leads, and the leader's though nothing happens. */
static void deadline_thread(void *arg)
{
  box *b = arg;
  int64_t start = test_now();
  b->result = box_wait(b, b->timeout);
  b->count = test_now() - start;
}

TEST(loop_wait, deadlines_of_leader_and_followers)
{
  covey_loop *loop = box_loop(0);
  box boxes[8] = {{0}};
  test_thread *threads[8];
  for (int i = 0; i < 8; i++) {
    boxes[i] = (box){.loop = loop, .wanted = INT64_MAX, .timeout = 400 - 40 * i};
    threads[i] = test_thread_start(deadline_thread, &boxes[i]);
  }
  for (int i = 0; i < 8; i++) {
    test_thread_join(threads[i]);
    CHECK_INT(boxes[i].result, COVEY_ETIMEDOUT);
    CHECK(boxes[i].count >= boxes[i].timeout - 1);
    CHECK(boxes[i].count < boxes[i].timeout + 5000);
  }
  covey_loop_close(loop);
}

TEST(loop_wait, try_once_while_another_leads)
{
  covey_loop *loop = box_loop(0);
  box leader = {.loop = loop, .wanted = 1}, b = {.loop = loop, .wanted = 1};
  test_thread *t = test_thread_start(box_wait_thread, &leader);
  for (int i = 0; i < 100; i++) CHECK_ERR(box_wait(&b, 0), COVEY_ETIMEDOUT);
  box_add(&leader);
  test_thread_join(t);
  CHECK_OK(leader.result);
  covey_loop_close(loop);
}

/* ---- tasks and calls ---- */

TEST(loop_task, the_helper_runs_what_is_posted)
{
  box b = {.loop = box_loop(0), .wanted = 1};
  cvy_mutex *m;
  REQUIRE_OK(cvy_mutex_new(&m));
  cvy_mutex_lock(m);
  cvy_mutex_unlock(m);
  cvy_mutex_free(m);
  for (int i = 1; i <= 50; i++) {
    box_post(&b);
    int64_t start = test_now();
    for (;;) {
      cvy_loop_lock(b.loop);
      bool done = b.count >= i;
      cvy_loop_unlock(b.loop);
      if (done || test_now() - start > BOX_LONG) break;
      test_pause(1);
    }
    REQUIRE(b.count == i);
    CHECK(b.has_token);
  }
  covey_loop_close(b.loop);
}

TEST(loop_task, taken_back)
{
  box b = {.loop = box_loop(COVEY_LOOP_NO_THREAD)};
  b.task.run = box_add;
  b.task.arg = &b;
  cvy_loop_lock(b.loop);
  CHECK(!cvy_loop_unpost(b.loop, &b.task));
  cvy_loop_post(b.loop, &b.task);
  cvy_loop_post(b.loop, &b.task); /* queued once */
  CHECK(cvy_loop_unpost(b.loop, &b.task));
  CHECK(!cvy_loop_unpost(b.loop, &b.task));
  cvy_loop_unlock(b.loop);
  CHECK_OK(covey_loop_dispatch(b.loop));
  CHECK_INT(b.count, 0);
  box_post(&b);
  CHECK_OK(covey_loop_dispatch(b.loop));
  CHECK_INT(b.count, 1);
  covey_loop_close(b.loop);
}

static int call_add(void *arg)
{
  box *b = arg;
  box_add(b);
  return 7;
}

static void call_thread(void *arg)
{
  box *b = arg;
  for (int i = 0; i < 300; i++) {
    int r = cvy_loop_call(b->loop, call_add, b);
    REQUIRE(r == 7);
  }
}

TEST(loop_task, calls_from_many_threads)
{
  /* With a leader that waits all the time, with the helper, and with nobody. */
  for (int way = 0; way < 3; way++) {
    box b = {.loop = box_loop(way == 2 ? COVEY_LOOP_NO_THREAD : 0), .wanted = 6 * 300 + (way ? 0 : 1)};
    test_thread *leader = way ? NULL : test_thread_start(box_wait_thread, &b), *threads[6];
    for (int i = 0; i < 6; i++) threads[i] = test_thread_start(call_thread, &b);
    for (int i = 0; i < 6; i++) test_thread_join(threads[i]);
    CHECK_INT(b.count, 6 * 300);
    CHECK(b.has_token);
    box_add(&b);
    if (leader) test_thread_join(leader);
    covey_loop_close(b.loop);
  }
}

static int call_nested(void *arg)
{
  box *b = arg;
  return cvy_loop_call(b->loop, call_add, b);
}

TEST(loop_task, a_call_inside_a_call)
{
  box b = {.loop = box_loop(0)};
  CHECK_INT(cvy_loop_call(b.loop, call_nested, &b), 7);
  CHECK_INT(b.count, 1);
  covey_loop_close(b.loop);
}

/* ---- timers ---- */

TEST(loop_timer, fires_once_on_time)
{
  box b = {.loop = box_loop(0), .wanted = 1};
  int64_t start = test_now();
  b.timeout = 80;
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
  CHECK_OK(box_wait(&b, BOX_LONG));
  CHECK(test_now() - start >= 79);
  CHECK(b.has_token);
  b.wanted = 2;
  CHECK_ERR(box_wait(&b, 60), COVEY_ETIMEDOUT);
  b.timeout = 0;
  cvy_loop_call(b.loop, box_timer_set, &b);
  CHECK_OK(box_wait(&b, BOX_LONG));
  /* moved further on, stopped, closed: not called */
  b.wanted = 3;
  b.timeout = 30;
  cvy_loop_call(b.loop, box_timer_set, &b);
  b.timeout = COVEY_FOREVER;
  cvy_loop_call(b.loop, box_timer_set, &b);
  CHECK_ERR(box_wait(&b, 100), COVEY_ETIMEDOUT);
  b.timeout = 30;
  cvy_loop_call(b.loop, box_timer_set, &b);
  cvy_loop_call(b.loop, box_timer_close, &b);
  CHECK_ERR(box_wait(&b, 100), COVEY_ETIMEDOUT);
  covey_loop_close(b.loop);
}

TEST(loop_timer, the_helper_takes_over_after_the_last_wait)
{
  box b = {.loop = box_loop(0), .wanted = 1}, none = {.loop = b.loop, .wanted = 1};
  CHECK_ERR(box_wait(&none, 10), COVEY_ETIMEDOUT);
  int64_t start = test_now();
  b.timeout = 1;
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &b));
  CHECK(test_wait_until(box_filled, &b, BOX_LONG));
  CHECK(test_now() - start < 10000);
  cvy_loop_call(b.loop, box_timer_close, &b);
  covey_loop_close(b.loop);
}

/* ---- cancel objects ---- */

TEST(loop_cancel, fired_before_and_reset)
{
  covey_cancel *c;
  CHECK_ERR(covey_cancel_new(NULL), COVEY_EINVAL);
  REQUIRE_OK(covey_cancel_new(&c));
  box b = {.loop = box_loop(0), .wanted = 1, .cancel = c};
  covey_cancel_fire(c);
  CHECK(cvy_cancel_fired(c));
  CHECK_ERR(box_wait(&b, BOX_LONG), COVEY_ECANCELED);
  b.count = 1;
  CHECK_OK(box_wait(&b, BOX_LONG)); /* what is there goes first */
  b.count = 0;
  covey_cancel_reset(c);
  CHECK(!cvy_cancel_fired(c));
  CHECK_ERR(box_wait(&b, 30), COVEY_ETIMEDOUT);
  covey_cancel_fire(NULL);
  covey_cancel_reset(NULL);
  covey_cancel_free(NULL);
  covey_cancel_free(c);
  covey_loop_close(b.loop);
}

/* Leaders and followers on three loops, more threads than a cancel object has slots at first. */
TEST(loop_cancel, wakes_every_thread_on_every_loop)
{
  enum { N = 30 };
  for (int round = 0; round < 10; round++) {
    covey_cancel *c;
    REQUIRE_OK(covey_cancel_new(&c));
    covey_loop *loops[3];
    for (int i = 0; i < 3; i++) loops[i] = box_loop(i == 2 ? COVEY_LOOP_NO_THREAD : 0);
    box boxes[N] = {{0}};
    test_thread *threads[N];
    for (int i = 0; i < N; i++) {
      boxes[i] = (box){.loop = loops[i % 3], .wanted = 1, .cancel = c};
      threads[i] = test_thread_start(box_wait_thread, &boxes[i]);
    }
    if (round & 1) test_pause(15);
    covey_cancel_fire(c);
    for (int i = 0; i < N; i++) {
      test_thread_join(threads[i]);
      CHECK_INT(boxes[i].result, COVEY_ECANCELED);
    }
    for (int i = 0; i < 3; i++) covey_loop_close(loops[i]);
    covey_cancel_free(c);
  }
}

static covey_cancel *signal_cancel;

static void on_signal(int number)
{
  (void)number;
  covey_cancel_fire(signal_cancel);
}

TEST(loop_cancel, fired_in_a_signal_handler)
{
  REQUIRE_OK(covey_cancel_new(&signal_cancel));
  box leader = {.loop = box_loop(0), .wanted = 1, .cancel = signal_cancel}, follower = leader;
  test_thread *a = test_thread_start(box_wait_thread, &leader),
              *b = test_thread_start(box_wait_thread, &follower);
  test_pause(5);
  REQUIRE(signal(SIGINT, on_signal) != SIG_ERR);
  errno = 4711;
  raise(SIGINT);
  CHECK_INT(errno, 4711);
  test_thread_join(a);
  test_thread_join(b);
  CHECK_INT(leader.result, COVEY_ECANCELED);
  CHECK_INT(follower.result, COVEY_ECANCELED);
  signal(SIGINT, SIG_DFL);
  covey_loop_close(leader.loop);
  covey_cancel_free(signal_cancel);
}

/* ---- references ---- */

static void release_loop(void *arg)
{
  cvy_loop_release(arg);
}

TEST(loop_end, the_last_reference_goes_in_a_callback)
{
  static cvy_task tasks[50]; /* they may run after the loop of this test has gone on */
  for (int i = 0; i < 50; i++) {
    covey_loop *loop = box_loop(0), *again;
    REQUIRE_OK(cvy_loop_acquire(loop, &again));
    CHECK(again == loop);
    tasks[i] = (cvy_task){.run = release_loop, .arg = loop};
    if (i & 1) covey_loop_close(loop); /* the object keeps it alive */
    cvy_loop_lock(again);
    cvy_loop_post(again, &tasks[i]);
    cvy_loop_unlock(again);
    if (!(i & 1)) covey_loop_close(loop);
  }
}

TEST(loop_end, private_loops)
{
  for (int i = 0; i < 50; i++) {
    covey_loop *loop;
    REQUIRE_OK(cvy_loop_private(&loop));
    box b = {.loop = loop, .wanted = 1, .timeout = 1};
    REQUIRE_OK(cvy_loop_call(loop, box_timer_open, &b));
    CHECK_OK(box_wait(&b, BOX_LONG));
    cvy_loop_call(loop, box_timer_close, &b);
    cvy_loop_ref(loop);
    b.task = (cvy_task){.run = release_loop, .arg = loop};
    cvy_loop_lock(loop);
    cvy_loop_post(loop, &b.task);
    cvy_loop_unlock(loop);
    cvy_loop_private_close(loop);
  }
  cvy_loop_private_close(NULL);
}
