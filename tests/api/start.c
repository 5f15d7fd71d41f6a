/* Starts that nobody waits for. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>

#include "core/fault.h"
#include "core/mem.h"
#include "os/handle.h"

#include <uv.h>

typedef struct told {
  int count, failed;
  covey_process *process;
  covey_failure failure;
  covey_starting *close; /* by the callback itself */
} told;

static void on_started(void *user, covey_process *process, const covey_failure *failure)
{
  told *t = user;

  t->count++;
  t->process = process;
  CHECK(!process == (failure != NULL));
  if (failure) t->failure = *failure;
  if (failure) t->failed++;
  if (t->close) covey_starting_close(t->close);
}

static covey_loop *open_loop(void)
{
  covey_loop *loop;

  REQUIRE_OK(covey_loop_open(NULL, &loop));
  return loop;
}

static bool was_told(covey_loop *loop, const told *t, int count)
{
  covey_native handle;

  REQUIRE_OK(covey_loop_handle(loop, &handle));
  for (int64_t end = test_now() + TEST_SOON; t->count < count && test_now() < end;) {
    CHECK_OK(covey_loop_dispatch(loop));
    if (t->count < count) (void)test_handle_ready(handle, 1000);
  }
  return t->count == count;
}

TEST(start, is_told)
{
  char word[] = "hello", name[] = "COVEY_A=b";
  const char *argv[] = {test_helper(), "say", word, NULL}, *env[] = {name, NULL};
  covey_loop *loop = open_loop();
  covey_starting *s;
  told t = {0};
  char text[8] = "";

  test_no_child_handles_lost();
  REQUIRE_OK(covey_spawn_start(
      &(covey_process_options){.argv = argv, .env = env, .out.kind = COVEY_STDIO_PIPE, .loop = loop},
      on_started, &t, &s));
  /* it was copied */
  memset(word, 'x', 5);
  memset(name, 'x', 5);
  argv[1] = "crash";
  env[0] = "=";
  CHECK(was_told(loop, &t, 1));
  REQUIRE(t.process != NULL);
  for (int n = 0, r;
       n < 6 && (r = covey_process_read(t.process, COVEY_STDOUT, TEST_SOON, text + n, 6 - (size_t)n)) > 0;
       n += r) {
  }
  CHECK_STR(text, "hello\n");
  covey_process_close(t.process);
  covey_starting_close(s);
  covey_loop_close(loop);
}

TEST(start, fails_later)
{
  covey_loop *loop = open_loop();
  covey_cancel *cancel;
  told t = {0};

  test_no_child_handles_lost();
  REQUIRE_OK(covey_spawn_start(&(covey_process_options){.argv = TEST_WORDS("/no/such/program"), .loop = loop},
                               on_started, &t, NULL));
  CHECK(was_told(loop, &t, 1));
  CHECK(t.process == NULL);
  CHECK_INT(t.failure.code, COVEY_ENOTFOUND);
  CHECK_INT(t.failure.stage, COVEY_STAGE_LOOKUP);
  CHECK_STR(t.failure.what, "/no/such/program");
  REQUIRE_OK(covey_cancel_new(&cancel));
  covey_cancel_fire(cancel);
  REQUIRE_OK(covey_spawn_start(
      &(covey_process_options){.argv = TEST_HELPER("nothing"), .loop = loop, .cancel = cancel}, on_started,
      &t, &t.close));
  CHECK(was_told(loop, &t, 2));
  CHECK_INT(t.failure.code, COVEY_ECANCELED);
  covey_cancel_free(cancel);
  covey_loop_close(loop);
}

/* More than there are threads, some closed before anybody was told: nothing is told of those, and nothing of them is left. */
TEST_LIMIT(start, many_and_closed, 240)
{
  enum { MANY = 24 };
  covey_loop *loop = open_loop();
  covey_starting *s[MANY];
  told t[MANY] = {{0}}, all = {0};

  test_no_child_handles_lost();
  for (int i = 0; i < MANY; i++)
    REQUIRE_OK(covey_spawn_start(
        &(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL, .loop = loop},
        on_started, &t[i], &s[i]));
  for (int i = 0; i < MANY; i += 3) covey_starting_close(s[i]);
  for (int i = 0; i < MANY; i++)
    if (i % 3) CHECK(was_told(loop, &t[i], 1));
  (void)all;
  CHECK_OK(covey_loop_dispatch(loop));
  for (int i = 0; i < MANY; i++) {
    CHECK_INT(t[i].count, i % 3 ? 1 : 0);
    if (i % 3 == 0) continue;
    if (!t[i].process)
      TEST_FAIL("start %d: code %d, stage %d, system %d: %s", i, t[i].failure.code, t[i].failure.stage,
                t[i].failure.system, t[i].failure.what);
    CHECK_OK(covey_process_kill(t[i].process));
    CHECK_OK(covey_process_wait(t[i].process, TEST_SOON, NULL));
    covey_process_close(t[i].process);
    covey_starting_close(s[i]);
  }
  covey_loop_close(loop);
}

/* A lent loop runs until it has been told: a start is something to wait for. */
TEST(start, on_a_lent_loop)
{
  uv_loop_t uv;
  covey_loop *loop;
  told t = {0};

  REQUIRE(uv_loop_init(&uv) == 0);
  REQUIRE_OK(covey_loop_attach(&uv, uv_version(), &loop));
  REQUIRE_OK(covey_spawn_start(&(covey_process_options){.argv = TEST_HELPER("nothing"), .loop = loop},
                               on_started, &t, NULL));
  uv_run(&uv, UV_RUN_DEFAULT); /* while it is started, and runs */
  CHECK_INT(t.count, 1);
  REQUIRE(t.process != NULL);
  CHECK_OK(covey_process_wait(t.process, 0, NULL));
  covey_process_close(t.process);
  covey_loop_close(loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
}

/* Each allocation fails once: told, or returned, and nothing is left. */
TEST_LIMIT(start, allocation_walk, 240)
{
  const uint64_t all = UINT64_MAX;
  static const covey_stop_step step = {.action = COVEY_STOP_ASK};
  const covey_limit limit = {.kind = COVEY_LIMIT_CORE, .soft = 0, .hard = 0};
  const covey_launch launch = {.affinity = &all, .affinity_count = 1, .limits = &limit, .limit_count = 1};
  int failed = 0;

  test_no_child_handles_lost();
  for (int64_t n = 1; n < 60; n++) {
    covey_starting *s = NULL;
    told t = {0};
    covey_loop *loop = open_loop();
    cvy_mem_fail_after(n);
    int r = covey_spawn_start(&(covey_process_options){.argv = TEST_HELPER("nothing"),
                                                       .env = TEST_WORDS("A=1", "B"),
                                                       .input = "x",
                                                       .input_size = 1,
                                                       .launch = &launch,
                                                       .ladder = &step,
                                                       .ladder_count = 1,
                                                       .loop = loop},
                              on_started, &t, &s);
    cvy_mem_fail_after(0);
    if (r < 0) {
      failed++;
      CHECK_INT(r, COVEY_ENOMEM);
      CHECK(s == NULL);
    } else {
      CHECK(was_told(loop, &t, 1));
      covey_process_close(t.process);
      covey_starting_close(s);
    }
    covey_loop_close(loop);
    if (r >= 0) break;
  }
  CHECK(failed > 10);
}

/* ---- what the program lends ---- */

/* Descriptors are the program's own again when the call returns, and none of ours keeps a pipe open behind the child. */
TEST(start, takes_descriptors_of_its_own)
{
  covey_loop *loop = open_loop();
  covey_pass pass = {.native = COVEY_NATIVE_NONE};
  covey_native ours, theirs;

  test_no_child_handles_lost();
  for (int i = 0; i < 20 && test_failures() == 0; i++) {
    told t = {0};
    covey_starting *s;
    covey_process_options o = {
        .argv = TEST_HELPER("out", "100"), .out.kind = COVEY_STDIO_NATIVE, .loop = loop};

    REQUIRE_OK(cvos_pipe_between(&ours, &theirs));
    pass = (covey_pass){.native = theirs, .child = 7};
    o.out.native = theirs;
    o.pass = test_is_windows() ? NULL : &pass;
    o.pass_count = o.pass != NULL;
    REQUIRE_OK(covey_spawn_start(&o, on_started, &t, &s));
    cvos_handle_close(theirs);
    CHECK(was_told(loop, &t, 1));
    CHECK_INT(t.failed, 0);
    if (t.process) CHECK_OK(covey_process_wait(t.process, TEST_SOON, NULL));
    covey_process_close(t.process);
    covey_result r; /* counts until the last one has closed */
    covey_process_options counts = {.argv = TEST_HELPER("count"),
                                    .in = {.kind = COVEY_STDIO_NATIVE, .native = ours},
                                    .out.kind = COVEY_STDIO_CAPTURE,
                                    .timeout = TEST_SOON};
    REQUIRE_OK(covey_run(&counts, &r));
    CHECK_STR(r.out, "100 pattern\n");
    covey_result_free(&r);
    cvos_handle_close(ours);
    covey_starting_close(s);
  }
  covey_loop_close(loop);
}

/* ---- closed while its process has just been started ---- */

static test_counter at_step, may_go;

static void stand_still(int step)
{
  if (step != CVY_STEP_STARTED) return;
  test_add(&at_step, 1);
  while (!test_add(&may_go, 0)) test_pause(1);
}

static int count_line(const covey_line *line, void *user)
{
  (void)line;
  ++*(int *)user;
  return 0;
}

static bool is_at_step(void *arg)
{
  (void)arg;
  return test_add(&at_step, 0) != 0;
}

TEST(start, shows_nothing_before_it_is_told)
{
  for (int closed = 0; closed < 2; closed++) {
    covey_loop *loop = open_loop();
    covey_starting *s;
    told t = {0};
    int lines = 0;
    covey_process_options o = {.argv = TEST_HELPER("lines", "5"),
                               .out.kind = COVEY_STDIO_LINES,
                               .on_line = count_line,
                               .user = &lines,
                               .loop = loop};

    at_step = may_go = (test_counter){0};
    cvy_fault_on_step(stand_still);
    REQUIRE_OK(covey_spawn_start(&o, on_started, &t, &s));
    CHECK(test_wait_until(is_at_step, NULL, TEST_SOON));
    for (int64_t end = test_now() + 500; lines == 0 && test_now() < end; test_pause(1))
      CHECK_OK(covey_loop_dispatch(loop));
    CHECK_INT(lines, 0);
    if (closed) covey_starting_close(s);
    (void)test_add(&may_go, 1);
    if (!closed) {
      CHECK(was_told(loop, &t, 1));
      CHECK_OK(covey_process_wait(t.process, TEST_SOON, NULL));
      CHECK_INT(lines, 5);
      covey_process_close(t.process);
      covey_starting_close(s);
    }
    covey_loop_close(loop);
    CHECK_INT(lines, closed ? 0 : 5);
    cvy_fault_on_step(NULL);
  }
}
