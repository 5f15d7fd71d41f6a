/* The end of a process under the loop. */
#include "child.h"

#include "os/signal.h"
#include "support/ends.h"

typedef struct watched {
  child c;
  cvos_exit_watch *watch;
  int exited, closed;
  bool close_at_once;
  bool lent; /* watched as on a loop that is not ours: uv has it from the first moment on */
} watched;

static void on_exited(void *arg)
{
  watched *w = arg;
  w->exited++;
  if (w->close_at_once) cvos_exit_watch_close(w->watch);
}

static void on_closed(void *arg)
{
  ((watched *)arg)->closed++;
}

static bool has_exited(void *arg)
{
  return ((watched *)arg)->exited != 0;
}
static bool is_closed(void *arg)
{
  return ((watched *)arg)->closed != 0;
}

static void watch(watched *w, covey_loop *loop)
{
  REQUIRE_OK(
      cvos_exit_watch_open(cvy_loop_uv(loop), !w->lent, &w->c.process, on_exited, on_closed, w, &w->watch));
}

static void unwatch(watched *w, covey_loop *loop)
{
  cvos_exit_watch_close(w->watch);
  CHECK(ends_wait(loop, is_closed, w, ENDS_LONG));
  CHECK_INT(w->closed, 1);
}

static void tell_once(bool lent)
{
  covey_loop *loop = ends_loop();
  watched w = {.lent = lent};
  child_start(&w.c, NULL, TEST_WORDS("sleep", "60"));
  watch(&w, loop);
  CHECK(!ends_wait(loop, has_exited, &w, 0));
  CHECK(ends_wait(loop, has_exited, &w, ENDS_LONG));
  ends_turn(loop, 30);
  CHECK_INT(w.exited, 1);
  cvos_status status;
  CHECK_OK(cvos_process_note(&w.c.process, &status)); /* not reaped */
  unwatch(&w, loop);
  child_finish(&w.c);
  cvy_loop_private_close(loop);
}

TEST(watch_exit, told_once)
{
  tell_once(false);
  tell_once(true);
}

TEST(watch_exit, of_one_that_has_ended_already)
{
  covey_loop *loop = ends_loop();
  watched w = {.close_at_once = true};
  child_start(&w.c, NULL, TEST_WORDS("nothing"));
  CHECK_OK(cvos_process_wait(&w.c.process, ENDS_LONG));
  watch(&w, loop);
  CHECK_INT(w.exited, 0); /* from a later turn */
  CHECK(ends_wait(loop, is_closed, &w, ENDS_LONG));
  CHECK_INT(w.exited, 1);
  child_finish(&w.c);
  cvy_loop_private_close(loop);
}

TEST(watch_exit, closed_before_the_end)
{
  covey_loop *loop = ends_loop();
  for (int i = 0; i < 6; i++) {
    watched w = {.exited = 0};
    child_start(&w.c, NULL, TEST_WORDS("sleep", "20"));
    watch(&w, loop);
    if (i & 1) ends_turn(loop, 5 * i);
    int before = w.exited;
    unwatch(&w, loop);
    CHECK_INT(w.exited, before);
    child_finish(&w.c);
  }
  cvy_loop_private_close(loop);
}

/* Many watches of one process, closed while the system tells them of its end. */
TEST_LIMIT(watch_exit, closed_while_it_ends, 120)
{
  static watched w[150];
  enum { COUNT = sizeof w / sizeof w[0] };
  covey_loop *loop = ends_loop();
  for (int round = 0; round < 10; round++) {
    memset(w, 0, sizeof w);
    child_start(&w[0].c, NULL, TEST_WORDS("sleep", "30"));
    for (int i = 0; i < COUNT; i++) {
      w[i].lent = test_is_windows(); /* uv itself polls a descriptor only once */
      w[i].c.process = w[0].c.process;
      watch(&w[i], loop);
    }
    if (round < 2)
      CHECK(ends_wait(loop, has_exited, &w[0], ENDS_LONG));
    else
      CHECK_OK(cvos_process_wait(&w[0].c.process, ENDS_LONG));
    for (int i = 0; i < COUNT; i++) cvos_exit_watch_close(w[i].watch);
    for (int i = 0; i < COUNT; i++) {
      CHECK(ends_wait(loop, is_closed, &w[i], ENDS_LONG));
      CHECK_INT(w[i].closed, 1);
      CHECK(w[i].exited <= 1);
    }
    child_finish(&w[0].c);
  }
  cvy_loop_private_close(loop);
}

/* A child of ours may be a peer too, and be adopted: each watch is told, and the close of one takes nothing from the others. */
TEST(watch_exit, told_to_everybody)
{
  covey_loop *loop = ends_loop();
  watched w[4] = {0};
  child_start(&w[0].c, NULL, TEST_WORDS("sleep", "100"));
  for (int i = 0; i < 4; i++) {
    const cvos_process *first = &w[0].c.process;
    if (i) REQUIRE_OK(cvos_process_open(first->pid, first->start, &w[i].c.process));
    w[i].lent = i & 1;
    watch(&w[i], loop);
  }
  unwatch(&w[3], loop);
  for (int i = 0; i < 3; i++) CHECK(ends_wait(loop, has_exited, &w[i], ENDS_LONG));
  for (int i = 0; i < 3; i++) {
    CHECK_INT(w[i].exited, 1);
    unwatch(&w[i], loop);
  }
  CHECK_INT(w[3].exited, 0);
  for (int i = 1; i < 4; i++) cvos_process_close(&w[i].c.process);
  child_finish(&w[0].c);
  cvy_loop_private_close(loop);
}

TEST(watch_exit, dropped_or_not)
{
  covey_loop *loop = ends_loop();
  for (int i = 0; i < 4; i++) {
    watched w = {.lent = i >= 2};
    child_start(&w.c, NULL, TEST_WORDS("sleep", "20"));
    watch(&w, loop);
    if (i & 1) CHECK(ends_wait(loop, has_exited, &w, ENDS_LONG));
    if (w.lent || test_is_windows()) CHECK(!cvos_exit_watch_drop(w.watch));
    if (w.lent || !cvos_exit_watch_drop(w.watch)) {
      unwatch(&w, loop);
    } else {
      ends_turn(loop, 30);
      CHECK_INT(w.closed, 0);
      CHECK_INT(w.exited, i & 1);
    }
    child_finish(&w.c);
  }
  cvy_loop_private_close(loop);
}

static bool has_stopped(void *arg)
{
  return cvos_process_stopped(&((watched *)arg)->c.process);
}

/* A stop is no end, whoever looks: by what the system has for it, and by the pid alone. */
TEST(watch_exit, not_by_a_stop)
{
  if (test_is_windows()) TEST_SKIP("nobody is stopped there as a whole");
  covey_loop *loop = ends_loop();
  for (int i = 0; i < 2; i++) {
    watched w = {.exited = 0};
    cvos_status status;
    child_start(&w.c, NULL, TEST_WORDS("hang"));
    child_says(&w.c, "ready");
    REQUIRE_OK(cvos_signal_send(&w.c.process, CVOS_SIGNAL_STOP));
    CHECK(test_wait_until(has_stopped, &w, ENDS_LONG));
    CHECK_ERR(cvos_process_note(&w.c.process, &status), COVEY_EAGAIN);
    CHECK_ERR(cvos_process_wait(&w.c.process, 20), COVEY_ETIMEDOUT);
    cvos_process seen = w.c.process;
    if (i) seen.handle = CVOS_NONE;
    REQUIRE_OK(cvos_exit_watch_open(cvy_loop_uv(loop), true, &seen, on_exited, on_closed, &w, &w.watch));
    ends_turn(loop, 100);
    CHECK_INT(w.exited, 0);
    REQUIRE_OK(cvos_signal_send(&w.c.process, CVOS_SIGNAL_KILL));
    CHECK(ends_wait(loop, has_exited, &w, ENDS_LONG));
    unwatch(&w, loop);
    child_finish(&w.c);
    CHECK_INT(w.c.status.signal, CVOS_SIGNAL_KILL);
  }
  cvy_loop_private_close(loop);
}

/* A process without pidfd or handle: POSIX systems that have neither pidfds nor kqueue look by a timer. */
TEST(watch_exit, by_its_pid_alone)
{
  if (test_is_windows()) TEST_SKIP("a process is a handle there");
  covey_loop *loop = ends_loop();
  for (int i = 0; i < 2; i++) {
    watched w = {.exited = 0};
    child_start(&w.c, NULL, TEST_WORDS("sleep", i ? "0" : "80"));
    if (i) CHECK_OK(cvos_process_wait(&w.c.process, ENDS_LONG));
    cvos_process bare = w.c.process;
    bare.handle = CVOS_NONE;
    REQUIRE_OK(cvos_exit_watch_open(cvy_loop_uv(loop), true, &bare, on_exited, on_closed, &w, &w.watch));
    if (i)
      ends_turn(loop, 30);
    else
      CHECK(ends_wait(loop, has_exited, &w, ENDS_LONG));
    CHECK_INT(w.exited, 1);
    CHECK_OK(cvos_process_wait(&w.c.process, 0));
    unwatch(&w, loop);
    child_finish(&w.c);
    /* reaped: nobody has this number any more */
    w.exited = w.closed = 0;
    REQUIRE_OK(cvos_exit_watch_open(cvy_loop_uv(loop), true, &bare, on_exited, on_closed, &w, &w.watch));
    ends_turn(loop, 30);
    CHECK_INT(w.exited, 1);
    unwatch(&w, loop);
  }
  cvy_loop_private_close(loop);
}

typedef struct crowd {
  watched *w;
  int count;
} crowd;

static bool all_exited(void *arg)
{
  crowd *c = arg;
  int n = 0;
  for (int i = 0; i < c->count; i++) n += c->w[i].exited != 0;
  return n == c->count;
}

TEST_LIMIT(watch_exit, many_at_once, 120)
{
  covey_loop *loop = ends_loop();
  crowd c = {NULL, test_is_windows() ? 30 : 120};
  c.w = calloc((size_t)c.count, sizeof *c.w);
  REQUIRE(c.w);
  for (int i = 0; i < c.count; i++) {
    child_start(&c.w[i].c, NULL, TEST_WORDS("sleep", "50"));
    watch(&c.w[i], loop);
  }
  CHECK(ends_wait(loop, all_exited, &c, 60000));
  for (int i = 0; i < c.count; i++) {
    CHECK_INT(c.w[i].exited, 1);
    unwatch(&c.w[i], loop);
    child_finish(&c.w[i].c);
  }
  free(c.w);
  cvy_loop_private_close(loop);
}
