/* A libuv loop of the program, lent to covey: the one test that includes uv.h, since its user does. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>
#include <uv.h>

#include "loop/loop.h"
#include "support/box.h"

typedef struct lent {
  uv_loop_t uv;
  covey_loop *loop;
} lent;

static void lent_open(lent *l)
{
  REQUIRE(uv_loop_init(&l->uv) == 0);
  REQUIRE_OK(covey_loop_attach(&l->uv, uv_version(), &l->loop));
}

static void lent_close(lent *l)
{
  covey_loop_close(l->loop);
  CHECK_INT(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&l->uv), 0);
}

TEST(loop_lent, does_not_keep_uv_run_going)
{
  lent l;
  lent_open(&l);
  CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
  lent_close(&l);
}

TEST(loop_lent, what_the_owner_leaves_is_done_before_uv_run_ends)
{
  lent l;
  lent_open(&l);
  box b = {.loop = l.loop};
  for (int i = 1; i <= 5; i++) {
    box_post(&b);
    CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
    CHECK_INT(b.count, 2 * i - 1);
    cvy_loop_lock(l.loop);
    b.note = (cvy_note){.run = box_add, .arg = &b};
    cvy_loop_note(l.loop, &b.note);
    cvy_loop_unlock(l.loop);
    CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
    CHECK_INT(b.count, 2 * i);
  }
  lent_close(&l);
}

TEST(loop_lent, the_owner_never_waits)
{
  lent l;
  lent_open(&l);
  box b = {.loop = l.loop, .wanted = 1};
  CHECK_ERR(box_wait(&b, BOX_LONG), COVEY_EDEADLK);
  CHECK_ERR(box_wait(&b, COVEY_FOREVER), COVEY_EDEADLK);
  CHECK_ERR(box_wait(&b, 0), COVEY_ETIMEDOUT); /* trying once is no waiting */
  b.count = 1;
  CHECK_OK(box_wait(&b, BOX_LONG));
  CHECK(cvy_loop_has_token(l.loop));
  lent_close(&l);
}

static void on_stop(uv_timer_t *timer)
{
  uv_stop(timer->loop);
}
static void on_timer_closed(uv_handle_t *timer)
{
  timer->data = NULL;
}

/* Turns the owner's loop for ms. */
static void own(lent *l, int64_t ms)
{
  uv_timer_t timer;
  uv_timer_init(&l->uv, &timer);
  timer.data = &timer;
  uv_update_time(&l->uv);
  uv_timer_start(&timer, on_stop, (uint64_t)ms, 0);
  uv_run(&l->uv, UV_RUN_DEFAULT);
  uv_close((uv_handle_t *)&timer, on_timer_closed);
  while (timer.data) uv_run(&l->uv, UV_RUN_NOWAIT);
}

static void lent_thread(void *arg)
{
  box *b = arg;
  for (int i = 0; i < 200; i++) {
    box mine = {.loop = b->loop, .wanted = 1};
    box_post(&mine);
    REQUIRE_OK(box_wait(&mine, BOX_LONG));
    REQUIRE(cvy_loop_call(b->loop, box_timer_set, b) == 0);
  }
  cvy_loop_lock(b->loop);
  b->result++;
  cvy_loop_unlock(b->loop);
}

TEST(loop_lent, other_threads_wait_and_the_owner_turns)
{
  lent l;
  lent_open(&l);
  box b = {.loop = l.loop, .timeout = 3600000};
  REQUIRE_OK(cvy_loop_call(l.loop, box_timer_open, &b));
  test_thread *threads[4];
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(lent_thread, &b);
  int64_t start = test_now();
  for (int done = 0; done < 4 && test_now() - start < BOX_LONG;) {
    own(&l, 5);
    cvy_loop_lock(l.loop);
    done = b.result;
    cvy_loop_unlock(l.loop);
  }
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  CHECK_INT(b.result, 4);
  cvy_loop_call(l.loop, box_timer_close, &b);
  lent_close(&l);
}

static void lent_callback(void *arg)
{
  box *b = arg;
  b->result = cvy_loop_has_token(b->loop);
  box_add(b); /* without locks: it may call covey */
}

TEST(loop_lent, callbacks_run_in_the_owners_uv_run)
{
  lent l;
  lent_open(&l);
  box b = {.loop = l.loop};
  b.note = (cvy_note){.run = lent_callback, .arg = &b};
  for (int i = 1; i <= 20; i++) {
    cvy_loop_lock(l.loop);
    cvy_loop_note(l.loop, &b.note);
    cvy_loop_unlock(l.loop);
    CHECK_INT(b.count, i - 1);
    own(&l, 20);
    CHECK_INT(b.count, i);
    CHECK_INT(b.result, 1);
  }
  lent_close(&l);
}

TEST(loop_lent, waits_end_though_the_owner_does_not_turn)
{
  lent l;
  lent_open(&l);
  covey_cancel *c;
  REQUIRE_OK(covey_cancel_new(&c));
  box late = {.loop = l.loop, .wanted = 1, .timeout = 100},
      cancelled = {.loop = l.loop, .wanted = 1, .cancel = c};
  test_thread *a = test_thread_start(box_wait_thread, &late),
              *b = test_thread_start(box_wait_thread, &cancelled);
  test_thread_join(a);
  CHECK_INT(late.result, COVEY_ETIMEDOUT);
  covey_cancel_fire(c);
  test_thread_join(b);
  CHECK_INT(cancelled.result, COVEY_ECANCELED);
  covey_cancel_free(c);
  lent_close(&l);
}

static void release_loop(void *arg)
{
  cvy_loop_release(arg);
}

TEST(loop_lent, outlives_its_closing_while_objects_hang_on_it)
{
  lent l;
  for (int i = 0; i < 10; i++) {
    lent_open(&l);
    covey_loop *again;
    REQUIRE_OK(cvy_loop_acquire(l.loop, &again));
    covey_loop_close(l.loop);
    uv_run(&l.uv, UV_RUN_NOWAIT);
    if (i & 1) {
      test_thread_join(
          test_thread_start(release_loop, again)); /* the last reference goes on another thread */
      own(&l, 5);
    } else {
      cvy_loop_release(again);
    }
    CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
    CHECK_INT(uv_loop_close(&l.uv), 0);
  }
}

/* ---- a child on the owner's loop ---- */

typedef struct child_seen {
  uint64_t lines, ends;
  covey_exit end;
  int waited;
  covey_loop *loop;
} child_seen;

static int see_line(const covey_line *line, void *user)
{
  child_seen *s = user;

  CHECK_UINT(line->number, ++s->lines);
  CHECK(cvy_loop_has_token(s->loop));
  return 0;
}

static void see_end(covey_process *p, const covey_exit *end, void *user)
{
  child_seen *s = user;

  s->ends++;
  s->end = *end;
  s->waited = covey_process_wait(p, TEST_SOON, NULL); /* the end is there: no waiting */
  covey_process_close(p);
}

/* Output and end by callbacks in the owner's uv_run, which goes on as long as there is something to tell. */
TEST(loop_lent, a_child_by_callbacks)
{
  lent l;
  covey_process *p;
  child_seen s = {.ends = 0};

  test_no_child_handles_lost();
  lent_open(&l);
  s.loop = l.loop;
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("lines", "50000"),
                                                  .out.kind = COVEY_STDIO_LINES,
                                                  .loop = l.loop,
                                                  .on_line = see_line,
                                                  .user = &s},
                         &p));
  CHECK_OK(covey_process_on_end(p, see_end, &s));
  CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
  CHECK_UINT(s.lines, 50000);
  CHECK_UINT(s.ends, 1);
  CHECK_INT(s.waited, 0);
  CHECK(COVEY_EXIT_OK(&s.end));
  lent_close(&l);
}
