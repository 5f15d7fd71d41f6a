/* Stopping step by step, and by what a system has to ask a console that is not ours. */
#include "support/test.h"

#include <covey/launch.h>
#include <covey/loop.h>
#include <covey/process.h>

static covey_process *start(const covey_process_options *options)
{
  covey_process *p = NULL;
  char line[6];
  int size = 0, n;

  REQUIRE_OK(covey_spawn(options, &p));
  while (size < 6 &&
         (n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, line + size, sizeof line - (size_t)size)) > 0)
    size += n;
  CHECK(size == 6 && memcmp(line, "ready\n", 6) == 0);
  return p;
}

/* Stops a child of that behaviour by these steps. */
static covey_exit stopped(const char *behaviour, const covey_stop_step *ladder, size_t count, int64_t grace)
{
  covey_exit e = {0};
  covey_process *p = start(&(covey_process_options){.argv = TEST_HELPER(behaviour),
                                                    .in.kind = COVEY_STDIO_PIPE,
                                                    .out.kind = COVEY_STDIO_PIPE,
                                                    .ladder = ladder,
                                                    .ladder_count = count});

  CHECK_OK(covey_process_stop(p, grace, &e));
  covey_process_close(p);
  return e;
}

#define STOPPED(behaviour, grace, ...)                                                                       \
  stopped(behaviour, (const covey_stop_step[]){__VA_ARGS__},                                                 \
          sizeof((const covey_stop_step[]){__VA_ARGS__}) / sizeof(covey_stop_step), grace)

TEST(ladder, the_first_step_that_is_heard)
{
  test_no_child_handles_lost();
  covey_exit e = STOPPED("stop-at-end", COVEY_FOREVER, {COVEY_STOP_SIGNAL, COVEY_SIGNAL_TERM, 200},
                         {COVEY_STOP_CLOSE_INPUT, 0, TEST_SOON}, {.action = COVEY_STOP_KILL});
  CHECK_INT(e.why, COVEY_WHY_STOP);
  CHECK_UINT(e.code, 7);
  CHECK_UINT(e.step, 2);
  e = STOPPED("stop-at-end", COVEY_FOREVER, {COVEY_STOP_CLOSE_INPUT, 0, TEST_SOON},
              {COVEY_STOP_ASK, 0, TEST_SOON});
  CHECK_UINT(e.code, 7);
  CHECK_UINT(e.step, 1);
}

TEST(ladder, nobody_listens)
{
  test_no_child_handles_lost();
  int64_t begin = test_now();
  covey_exit e =
      STOPPED("ignore", COVEY_FOREVER, {COVEY_STOP_ASK, 0, 100}, {COVEY_STOP_SIGNAL, COVEY_SIGNAL_INT, 0},
              {COVEY_STOP_SIGNAL, COVEY_SIGNAL_TERM, 100}, {.action = COVEY_STOP_KILL});
  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK_UINT(e.step, 4);
  if (!test_is_windows()) CHECK(test_now() - begin >= 200);
  /* without a KILL at its end: that comes all the same */
  e = STOPPED("ignore", COVEY_FOREVER, {COVEY_STOP_ASK, 0, 50});
  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK_UINT(e.step, 2);
  /* the caller's patience is shorter than the ladder's */
  begin = test_now();
  e = STOPPED("ignore", 100, {COVEY_STOP_ASK, 0, TEST_SOON}, {.action = COVEY_STOP_KILL});
  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK(test_now() - begin < TEST_SOON);
  e = STOPPED("ignore", 0, {COVEY_STOP_ASK, 0, TEST_SOON}, {.action = COVEY_STOP_KILL});
  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK_UINT(e.step, 0);
}

/* A signal is passed over, without a wait, where this system has it not. */
TEST(ladder, steps_that_reach_nobody)
{
  int64_t begin = test_now();
  covey_exit e =
      STOPPED("ignore", COVEY_FOREVER,
              {COVEY_STOP_SIGNAL, test_is_windows() ? COVEY_SIGNAL_USR1 : COVEY_SIGNAL_RAW + 99, TEST_SOON},
              {.action = COVEY_STOP_KILL});

  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK(test_now() - begin < TEST_SOON);
}

TEST(ladder, a_last_step_that_waits)
{
  const covey_stop_step wait = {COVEY_STOP_SIGNAL, COVEY_SIGNAL_TERM, COVEY_FOREVER};
  covey_exit e = {0};
  covey_process *p = start(&(covey_process_options){.argv = TEST_HELPER("ignore"),
                                                    .out.kind = COVEY_STDIO_PIPE,
                                                    .timeout = 100,
                                                    .ladder = &wait,
                                                    .ladder_count = 1});

  CHECK_ERR(covey_process_wait(p, 400, &e), COVEY_ETIMEDOUT);
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_TIMEOUT);
  covey_process_close(p);
}

/* The library's own reasons take the same ladder. */
TEST(ladder, of_a_time_out)
{
  static const covey_stop_step ladder[] = {{COVEY_STOP_ASK, 0, 100}, {.action = COVEY_STOP_KILL}};
  covey_result r;

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("ignore"),
                                                .out.kind = COVEY_STDIO_NULL,
                                                .timeout = 300,
                                                .ladder = ladder,
                                                .ladder_count = 2},
                       &r));
  CHECK_INT(r.exit.why, COVEY_WHY_TIMEOUT);
  CHECK_UINT(r.exit.step, 2);
  covey_result_free(&r);
}

/* A console program hears the request whatever console it is in: ours, its own, one without a window. */
TEST_LIMIT(ladder, every_console, 120)
{
  if (!(covey_caps() & COVEY_CAP_ASK_CONSOLE))
    TEST_SKIP("the tool is not beside this program, or it is wine, which has no CTRL_BREAK");
  for (int i = COVEY_WINDOW_DEFAULT; i <= COVEY_WINDOW_CONSOLE; i++) {
    const covey_launch launch = {.window = i};
    covey_exit e = {0};
    covey_process *p = start(&(covey_process_options){
        .argv = TEST_HELPER("stop"), .out.kind = COVEY_STDIO_PIPE, .launch = &launch});
    CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
    CHECK_INT(e.why, COVEY_WHY_STOP);
    CHECK_UINT(e.code, 7);
    if (e.code != 7) test_log("window %d", i);
    covey_process_close(p);
  }
}

/* A program with a window is asked as its user would: by closing it. One that was found running, and one that was suspended, hear it too. */
TEST(ladder, window_is_closed)
{
  test_no_child_handles_lost();
  for (int how = 0; how < 4; how++) {
    bool adopted = how & 1, suspended = how & 2;
    covey_exit e = {0};
    covey_process *found = NULL, *p = start(&(covey_process_options){.argv = TEST_HELPER("window"),
                                                                     .out.kind = COVEY_STDIO_PIPE});
    if (adopted) REQUIRE_OK(covey_process_adopt(covey_process_pid(p), 0, NULL, &found));
    if (suspended && !test_is_windows())
      CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_LEADER));
    CHECK_OK(covey_process_stop(adopted ? found : p, TEST_SOON, &e));
    CHECK_INT(e.why, COVEY_WHY_STOP);
    CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
    CHECK_UINT(e.code, 7);
    covey_process_close(found);
    covey_process_close(p);
  }
}

/* Who leads no console group is sent no CTRL_BREAK: the console would send it to all of its programs. */
TEST(ladder, shared_console_is_left_alone)
{
  covey_exit e;
  covey_process *p = start(&(covey_process_options){
      .argv = TEST_HELPER("stop"), .out.kind = COVEY_STDIO_PIPE, .scope = COVEY_SCOPE_SHARED});
  int expected = test_is_windows() ? COVEY_ENOTSUP : COVEY_OK;
  CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_INT, COVEY_TARGET_LEADER), expected);
  if (test_is_windows()) {
    CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER), COVEY_ENOTSUP);
    CHECK_OK(covey_process_kill(p));
  }
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  covey_process_close(p);
}

/* Nobody waits: the end is told by a callback, and in dispatch the grace passes as well. */
static void told(covey_process *p, const covey_exit *end, void *user)
{
  (void)p;
  *(covey_exit *)user = *end;
}

static covey_exit end_of_begun(const char *behaviour, int64_t grace)
{
  const covey_stop_step steps[] = {{COVEY_STOP_CLOSE_INPUT, 0, grace}, {.action = COVEY_STOP_KILL}};
  covey_loop *loop;
  covey_native handle;
  covey_exit e = {.why = -1};

  REQUIRE_OK(covey_loop_open(NULL, &loop));
  covey_process *p = start(&(covey_process_options){.argv = TEST_HELPER(behaviour),
                                                    .in.kind = COVEY_STDIO_PIPE,
                                                    .out.kind = COVEY_STDIO_PIPE,
                                                    .ladder = steps,
                                                    .ladder_count = 2,
                                                    .loop = loop});

  CHECK_OK(covey_process_on_end(p, told, &e));
  CHECK_OK(covey_loop_handle(loop, &handle));
  CHECK_OK(covey_process_stop_start(p, COVEY_FOREVER));
  CHECK_INT(e.why, -1); /* not inside another call */
  while ((int)e.why == -1 && test_handle_ready(handle, TEST_SOON)) CHECK(covey_loop_dispatch(loop) >= 0);
  covey_process_close(p);
  covey_loop_close(loop);
  return e;
}

TEST(ladder, begun_and_not_waited_for)
{
  test_no_child_handles_lost();
  covey_exit e = end_of_begun("stop-at-end", TEST_SOON);
  CHECK_INT(e.why, COVEY_WHY_STOP);
  CHECK_UINT(e.code, 7);
  e = end_of_begun("ignore", 50);
  CHECK_INT(e.why, COVEY_WHY_KILL);
}
