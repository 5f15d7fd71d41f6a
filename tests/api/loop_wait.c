/* covey_loop_wait: the loop of a program that has no other. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/message.h>
#include <covey/process.h>

#include "loop/loop.h"
#include "support/box.h"

TEST(loop_wait, runs_what_is_due_and_waits_for_more)
{
  for (uint32_t flags = 0; flags <= COVEY_LOOP_NO_THREAD; flags += COVEY_LOOP_NO_THREAD) {
    box b = {.loop = box_loop(flags)};
    CHECK_ERR(covey_loop_wait(b.loop, 0, NULL), COVEY_ETIMEDOUT);
    int64_t start = test_now();
    CHECK_ERR(covey_loop_wait(b.loop, 60, NULL), COVEY_ETIMEDOUT);
    CHECK(test_now() - start >= 60);
    box_note(&b);
    CHECK_INT(covey_loop_wait(b.loop, 0, NULL), 1);
    box_note(&b);
    CHECK_INT(covey_loop_wait(b.loop, COVEY_FOREVER, NULL), 1);
    CHECK_INT(b.count, 2);
    covey_loop_close(b.loop);
  }
}

/* ---- what ends a wait ---- */

struct waiting {
  covey_loop *loop;
  covey_cancel *cancel;
  test_counter begun;
  int result;
};

static void wait_thread(void *arg)
{
  struct waiting *w = arg;
  test_add(&w->begun, 1);
  w->result = covey_loop_wait(w->loop, BOX_LONG, w->cancel);
}

static bool has_begun(void *arg)
{
  struct waiting *w = arg;
  return test_add(&w->begun, 0) > 0;
}

TEST(loop_wait, callbacks_of_another_thread)
{
  box b = {.loop = box_loop(0)}, follow = {.loop = b.loop, .wanted = 1};
  for (int way = 0; way < 2; way++) {
    /* the second time another one has the token already: ours follows */
    test_thread *leader = way ? test_thread_start(box_wait_thread, &follow) : NULL;
    if (way) REQUIRE(test_wait_until(box_in_wait, &follow, BOX_LONG));
    for (int i = 0; i < 50; i++) {
      struct waiting w = {.loop = b.loop};
      test_thread *t = test_thread_start(wait_thread, &w);
      REQUIRE(test_wait_until(has_begun, &w, BOX_LONG));
      box_note(&b); /* before it waits, or behind */
      test_thread_join(t);
      CHECK_INT(w.result, 1);
    }
    if (!way) continue;
    box_add(&follow);
    test_thread_join(leader);
    CHECK_OK(follow.result);
  }
  CHECK_INT(b.count, 100);
  covey_loop_close(b.loop);
}

TEST(loop_wait, each_callback_runs_once)
{
  enum { THREADS = 4, NOTES = 300 };
  covey_loop *loop = box_loop(0);
  struct waiting w[THREADS];
  test_thread *t[THREADS];
  covey_cancel *cancel;
  int64_t ran = 0;
  REQUIRE_OK(covey_cancel_new(&cancel));
  static box boxes[NOTES];
  for (int n = 0; n < NOTES; n += THREADS) {
    for (int i = 0; i < THREADS; i++) {
      w[i] = (struct waiting){.loop = loop, .cancel = cancel};
      boxes[n + i] = (box){.loop = loop};
      t[i] = test_thread_start(wait_thread, &w[i]);
    }
    for (int i = 0; i < THREADS; i++) box_note(&boxes[n + i]);
    for (bool all = false; !all;) {
      all = true;
      for (int i = 0; i < THREADS; i++) all = all && box_count(&boxes[n + i]) == 1;
      if (!all) test_pause(1);
    }
    covey_cancel_fire(cancel);
    for (int i = 0; i < THREADS; i++) {
      test_thread_join(t[i]);
      if (w[i].result > 0)
        ran += w[i].result;
      else
        CHECK_ERR(w[i].result, COVEY_ECANCELED);
    }
    covey_cancel_reset(cancel);
  }
  CHECK_INT(ran, NOTES);
  covey_cancel_free(cancel);
  covey_loop_close(loop);
}

TEST(loop_wait, cancelled)
{
  struct waiting w = {.loop = box_loop(0)};
  REQUIRE_OK(covey_cancel_new(&w.cancel));
  test_thread *t = test_thread_start(wait_thread, &w);
  REQUIRE(test_wait_until(has_begun, &w, BOX_LONG));
  covey_cancel_fire(w.cancel);
  test_thread_join(t);
  CHECK_ERR(w.result, COVEY_ECANCELED);
  CHECK_ERR(covey_loop_wait(w.loop, COVEY_FOREVER, w.cancel), COVEY_ECANCELED);
  box b = {.loop = w.loop};
  box_note(&b);
  CHECK_INT(covey_loop_wait(w.loop, COVEY_FOREVER, w.cancel), 1); /* what is due comes first */
  covey_cancel_free(w.cancel);
  covey_loop_close(w.loop);
}

TEST(loop_wait, closed_meanwhile)
{
  box b = {.loop = box_loop(0), .wanted = 1}; /* which nobody meets: it keeps the loop */
  struct waiting w = {.loop = b.loop};
  covey_loop *kept;
  REQUIRE_OK(cvy_loop_acquire(b.loop, &kept));
  test_thread *t = test_thread_start(wait_thread, &w);
  REQUIRE(test_wait_until(has_begun, &w, BOX_LONG));
  covey_loop_close(b.loop);
  test_thread_join(t);
  CHECK_ERR(w.result, COVEY_ECLOSED);
  cvy_loop_release(kept);
}

/* ---- inside callbacks ---- */

static void wait_inside(void *arg)
{
  box *b = arg;
  if (++b->count == 1) {
    box_note(b->other);
    b->result = covey_loop_wait(b->loop, BOX_LONG, NULL);
  } else {
    covey_loop_close(b->loop);
  }
}

TEST(loop_wait, inside_a_callback)
{
  box b = {.loop = box_loop(0)}, inner = {.loop = b.loop};
  b.other = &inner;
  b.note = (cvy_note){.run = wait_inside, .arg = &b};
  for (int i = 0; i < 2; i++) {
    cvy_loop_lock(b.loop);
    cvy_loop_note(b.loop, &b.note);
    cvy_loop_unlock(b.loop);
    CHECK_INT(covey_loop_wait(b.loop, BOX_LONG, NULL), 1); /* the second one closes the loop */
  }
  CHECK_INT(b.result, 1);
  CHECK_INT(inner.count, 1);
}

/* A callback that always has more does not keep the loop from turning. */
static void for_ever(void *arg)
{
  box *b = arg;
  b->count++;
  cvy_loop_lock(b->loop);
  cvy_loop_note(b->loop, &b->note);
  cvy_loop_unlock(b->loop);
}

TEST(loop_wait, starves_nobody)
{
  box b = {.loop = box_loop(COVEY_LOOP_NO_THREAD)}, t = {.loop = b.loop, .timeout = 20, .wanted = 1};
  b.note = (cvy_note){.run = for_ever, .arg = &b};
  for_ever(&b);
  REQUIRE_OK(cvy_loop_call(b.loop, box_timer_open, &t));
  for (int64_t until = test_now() + BOX_LONG; !box_count(&t) && test_now() < until;)
    CHECK_INT(covey_loop_wait(b.loop, COVEY_FOREVER, NULL), 1);
  CHECK_INT(box_count(&t), 1);
  cvy_loop_call(b.loop, box_timer_close, &t);
  covey_loop_close(b.loop);
}

/* ---- with the objects of the program ---- */

struct program {
  int messages, ends;
};

static void on_message(covey_message *message, void *arg)
{
  struct program *p = arg;
  CHECK_STR(message->data, "hello");
  p->messages++;
}

static void on_end(covey_process *process, const covey_exit *end, void *arg)
{
  struct program *p = arg;
  (void)process;
  CHECK_UINT(end->code, 3);
  p->ends++;
}

static void a_message_and_an_end(covey_loop *loop)
{
  struct program seen = {0};
  covey_node *node;
  covey_process *child;
  REQUIRE_OK(covey_node_open(&(covey_node_options){.loop = loop}, &node));
  REQUIRE_OK(covey_group_on_message(node, NULL, on_message, &seen));
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "3"), .loop = loop}, &child));
  REQUIRE_OK(covey_process_on_end(child, on_end, &seen));
  REQUIRE_OK(covey_send(node, test_pid(), NULL, "hello", 5, BOX_LONG));
  while (seen.messages + seen.ends < 2) REQUIRE_OK(covey_loop_wait(loop, BOX_LONG, NULL));
  CHECK_INT(seen.messages, 1);
  CHECK_INT(seen.ends, 1);
  CHECK_ERR(covey_loop_wait(loop, 0, NULL), COVEY_ETIMEDOUT);
  covey_process_close(child);
  CHECK_OK(covey_node_close(node, BOX_LONG));
}

TEST(loop_wait, a_message_and_an_end_on_the_default_loop)
{
  a_message_and_an_end(NULL);
}

TEST(loop_wait, a_message_and_an_end_on_a_loop_of_its_own)
{
  covey_loop *loop = box_loop(0);
  a_message_and_an_end(loop);
  covey_loop_close(loop);
}

TEST(loop_wait, a_message_and_an_end_on_a_loop_with_a_handle)
{
  covey_loop *loop = box_loop(COVEY_LOOP_NO_THREAD);
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(loop, &handle));
  a_message_and_an_end(loop);
  covey_loop_close(loop);
}
