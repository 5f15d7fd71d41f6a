/* Hosts of every kind: SIGCHLD ignored, standard streams closed, forks, loops of their own, many threads on one handle. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>

#include "proc/process.h"

#include <signal.h>
#include <uv.h>

static covey_process *spawn(const covey_process_options *options)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(options, &p));
  return p;
}

/* All of the child's output: how many bytes, or the failure. It may come in pieces. */
static int read_all(covey_process *p, char *text, size_t capacity)
{
  int size = 0, n;

  while ((size_t)size < capacity &&
         (n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, text + size, capacity - (size_t)size)) != 0) {
    if (n < 0) return n;
    size += n;
  }
  return size;
}

/* ---- the host ignores SIGCHLD: the system throws the status away ---- */

TEST(process_host, ignores_sigchld)
{
#if defined(SIGCHLD)
  covey_result r = {0};
  covey_exit e;

  test_no_child_handles_lost();
  signal(SIGCHLD, SIG_IGN);
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "3")});
  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK(e.how == COVEY_HOW_LOST ? e.code == UINT32_MAX : e.code == 3);
  CHECK(!COVEY_EXIT_OK(&e));
  covey_process_close(p);
  REQUIRE_OK(covey_run(
      &(covey_process_options){.argv = TEST_HELPER("say", "x"), .out.kind = COVEY_STDIO_CAPTURE}, &r));
  CHECK_STR(r.out, "x\n");
  CHECK(r.exit.how == COVEY_HOW_LOST || COVEY_EXIT_OK(&r.exit));
  covey_result_free(&r);
  p = spawn(&(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL});
  int64_t pid = covey_process_pid(p);
  CHECK_OK(covey_process_stop(p, 0, &e));
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
  /* the child starts with it at its default */
  REQUIRE_OK(covey_run(
      &(covey_process_options){.argv = TEST_HELPER("signals"), .out.kind = COVEY_STDIO_CAPTURE}, &r));
  CHECK_STR(r.out, "blocked:\nignored:\n");
  covey_result_free(&r);
  signal(SIGCHLD, SIG_DFL);
#else
  TEST_SKIP("SIGCHLD is of POSIX");
#endif
}

/* ---- the host reaps whoever has ended: a status is there or lost, and nobody waits for ever ---- */

static void reap_everybody(void *arg)
{
  test_counter *over = arg;

  while (!test_add(over, 0)) {
    if (!test_reap_anybody()) test_pause(1);
  }
}

TEST(process_host, reaps_everybody)
{
  test_counter over = {0};
  covey_exit e;

  if (test_is_windows()) TEST_SKIP("a status cannot be taken from others there");
  test_thread *thread = test_thread_start(reap_everybody, &over);
  for (int i = 0; i < 40; i++) {
    covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "3")});
    REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
    CHECK(e.how == COVEY_HOW_LOST ? e.code == UINT32_MAX : e.code == 3);
    covey_process_close(p);
  }
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL});
  int64_t pid = covey_process_pid(p);
  CHECK_OK(covey_process_stop(p, 0, &e));
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
  test_add(&over, 1);
  test_thread_join(thread);
}

/* A child is its program's, not its thread's: on Linux a signal at the parent's death would follow the thread. */
static void start_one(void *arg)
{
  *(covey_process **)arg =
      spawn(&(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL});
}

TEST(process_host, outlives_the_thread_that_started_it)
{
  covey_process *p = NULL;
  covey_exit e = {0};

  test_thread_join(test_thread_start(start_one, &p));
  REQUIRE(p != NULL);
  CHECK_ERR(covey_process_wait(p, 300, NULL), COVEY_ETIMEDOUT);
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_KILL);
  covey_process_close(p);
}

/* However many descriptors are allowed, none is looked at that is not open: a loop over a million takes 140 ms and more of the child's time. */
TEST(process_host, a_million_descriptors_are_allowed)
{
  int64_t least = INT64_MAX;
  covey_result r;

  if (test_allow_handles() < 1000000) TEST_SKIP("they cannot be allowed here");
  for (int i = 0; i < 5; i++) {
    REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_WORDS("/bin/sh", "-c", ":")}, &r));
    CHECK(COVEY_EXIT_OK(&r.exit));
    int64_t spent = r.exit.user_time + r.exit.system_time;
    if (spent < least) least = spent;
    covey_result_free(&r);
  }
  CHECK(least < 70000);
}

/* ---- the flags of what a child shares with us are not ours to change ---- */

TEST(process_host, inherited_streams_keep_their_flags)
{
  if (test_is_windows()) TEST_SKIP("streams have no flags there");
  for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
    int64_t before[3];
    for (int i = 0; i < 3; i++) before[i] = test_stream_flags(i, i ? -1 : nonblocking);
    covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("say", "x"),
                                                      .in.kind = COVEY_STDIO_INHERIT,
                                                      .flags = COVEY_PROCESS_FOREGROUND,
                                                      .out.kind = COVEY_STDIO_PIPE});
    char text[8];
    CHECK_INT(read_all(p, text, sizeof text), 2);
    for (int i = 0; i < 3; i++) CHECK_INT(test_stream_flags(i, -1), before[i]);
    CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
    covey_process_close(p);
    CHECK_OK(covey_run(
        &(covey_process_options){.argv = TEST_HELPER("nothing"), .in.kind = COVEY_STDIO_INHERIT}, NULL));
    for (int i = 0; i < 3; i++) CHECK_INT(test_stream_flags(i, -1), before[i]);
  }
}

TEST(process_host, ignores_sigpipe_no_more_than_before)
{
  if (test_is_windows()) TEST_SKIP("signals are of POSIX");
  char data[1000] = {0};
  int n = 0;
  /* SIGPIPE has its default here: a write to a child that is gone would end this program */
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"), .in.kind = COVEY_STDIO_PIPE});

  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  for (int i = 0; i < 200 && n >= 0; i++) n = covey_process_write(p, data, sizeof data, TEST_SOON);
  CHECK_ERR(n, COVEY_ECLOSED);
  covey_process_close(p);
}

/* ---- standard streams closed ---- */

static void run_closed(const char *what)
{
  covey_result r = {0};

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("count"),
                                                .in.kind = COVEY_STDIO_INHERIT,
                                                .out.kind = COVEY_STDIO_CAPTURE},
                       &r));
  CHECK_STR(r.out, "0 pattern\n"); /* the null device in its place */
  covey_result_free(&r);
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "70000", "50000"),
                                                .out.kind = COVEY_STDIO_CAPTURE,
                                                .err.kind = COVEY_STDIO_CAPTURE},
                       &r));
  if (r.out_size != 70000 || r.err_size != 50000) TEST_FAIL("with %s closed", what);
  covey_result_free(&r);
  CHECK_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("say", "nobody hears it")}, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  covey_result_free(&r);
}

TEST(process_host, streams_closed)
{
  if (test_is_windows()) TEST_SKIP("a Windows program keeps the numbers of handles that it has closed");
  test_helper();
  fclose(stdin);
  run_closed("stdin");
  fclose(stdout);
  run_closed("stdin and stdout");
}

/* ---- fork ---- */

TEST(process_host, inherited_by_fork_is_stale)
{
  char byte;
  covey_identity id;

  if (test_is_windows()) TEST_SKIP("no fork there");
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("echo-line"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});
  int64_t pid = test_fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    CHECK_ERR(covey_process_wait(p, 0, NULL), COVEY_ESTALE);
    CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, &byte, 1), COVEY_ESTALE);
    CHECK_ERR(covey_process_write(p, "x", 1, 0), COVEY_ESTALE);
    CHECK_ERR(covey_process_close_input(p), COVEY_ESTALE);
    CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_TREE), COVEY_ESTALE);
    CHECK_ERR(covey_process_stop(p, 0, NULL), COVEY_ESTALE);
    CHECK_ERR(covey_process_kill(p), COVEY_ESTALE);
    CHECK_ERR(covey_process_detach(p), COVEY_ESTALE);
    CHECK_ERR(covey_process_identity(p, &id), COVEY_ESTALE);
    covey_process_close(p); /* touches nothing */
    test_system_exit(test_failures() ? 1 : 0);
  }
  CHECK_INT(test_fork_join(pid, TEST_SOON), 0);
  CHECK_INT(covey_process_write(p, "y\n", 2, TEST_SOON), 2); /* the child of the parent is unharmed */
  CHECK_INT(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &byte, 1), 1);
  CHECK_INT(byte, 'y');
  covey_process_close(p);
}

/* ---- loops ---- */

TEST(process_host, on_a_loop_of_its_own)
{
  covey_loop *loop;
  covey_exit e;
  char text[8];

  for (int i = 0; i < 2; i++) {
    REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = i ? COVEY_LOOP_NO_THREAD : 0}, &loop));
    covey_process *p = spawn(&(covey_process_options){
        .argv = TEST_HELPER("say", "hi"), .out.kind = COVEY_STDIO_PIPE, .loop = loop});
    CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
    CHECK(COVEY_EXIT_OK(&e));
    CHECK_INT(read_all(p, text, sizeof text), 3);
    CHECK_MEM(text, "hi\n", 3);
    covey_process *live = spawn(
        &(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL, .loop = loop});
    int64_t pid = covey_process_pid(live);
    covey_process_close(p);
    covey_process_close(live);
    covey_loop_close(loop);
    CHECK(test_process_gone(pid, TEST_SOON));
  }
}

typedef struct lodger {
  covey_process *process;
  test_counter done;
  int result, size;
  covey_exit exit;
  char text[8];
} lodger;

static void lodger_thread(void *arg)
{
  lodger *l = arg;

  l->result = covey_process_wait(l->process, TEST_SOON, &l->exit);
  l->size = read_all(l->process, l->text, sizeof l->text);
  test_add(&l->done, 1);
}

static void tick(uv_timer_t *timer)
{
  (void)timer;
}

/* On the application's own loop: its thread never waits, another one does while it turns the loop. */
TEST(process_host, on_a_lent_loop)
{
  uv_loop_t uv;
  uv_timer_t timer;
  covey_loop *loop;
  lodger l = {0};
  char byte;

  REQUIRE(uv_loop_init(&uv) == 0);
  uv_timer_init(&uv, &timer);
  uv_timer_start(&timer, tick, 10, 10);
  REQUIRE_OK(covey_loop_attach(&uv, uv_version(), &loop));
  l.process = spawn(
      &(covey_process_options){.argv = TEST_HELPER("say", "hi"), .out.kind = COVEY_STDIO_PIPE, .loop = loop});
  CHECK_ERR(covey_process_wait(l.process, TEST_SOON, NULL), COVEY_EDEADLK);
  CHECK_ERR(covey_process_read(l.process, COVEY_STDOUT, TEST_SOON, &byte, 1), COVEY_EDEADLK);
  CHECK_ERR(covey_process_wait(l.process, 0, NULL), COVEY_ETIMEDOUT);
  test_thread *t = test_thread_start(lodger_thread, &l);
  while (test_add(&l.done, 0) == 0) uv_run(&uv, UV_RUN_ONCE);
  test_thread_join(t);
  CHECK_OK(l.result);
  CHECK(COVEY_EXIT_OK(&l.exit));
  CHECK_INT(l.size, 3);
  CHECK_OK(covey_process_wait(l.process, TEST_SOON, NULL)); /* what is known needs no waiting */
  /* children that outlive the loop: one is killed, one goes on */
  covey_process *live = spawn(
      &(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL, .loop = loop});
  covey_process *free_one = spawn(
      &(covey_process_options){.argv = TEST_HELPER("hang"), .scope = COVEY_SCOPE_DETACHED, .loop = loop});
  int64_t pid = covey_process_pid(live), free_pid = covey_process_pid(free_one);
  covey_process_close(live);
  covey_process_close(free_one);
  covey_process_close(l.process);
  covey_loop_close(loop);
  CHECK(test_process_gone(pid, TEST_SOON));
  CHECK(test_process_alive(free_pid));
  test_process_kill(free_pid);
  CHECK(test_process_gone(free_pid, TEST_SOON));
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
}

/* ---- eight threads on one child: everything at once, and each releases its own reference last ---- */

typedef struct storm {
  covey_process *process;
  test_counter strange;
} storm;

static void check_code(storm *s, int r)
{
  if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_ECANCELED && r != COVEY_ECLOSED && r != COVEY_ENOTFOUND) {
    test_add(&s->strange, 1);
    test_log("%s", covey_errname(r));
  }
}

static void storm_thread(void *arg)
{
  static test_counter numbers;
  storm *s = arg;
  int64_t number = test_add(&numbers, 1);
  char data[512] = {0};

  for (int i = 0; i < 12; i++) {
    switch ((number * 7 + i * 5) % 9) {
    case 0: check_code(s, covey_process_wait(s->process, i, NULL)); break;
    case 1: check_code(s, covey_process_read(s->process, COVEY_STDOUT, i, data, sizeof data)); break;
    case 2: check_code(s, covey_process_write(s->process, data, sizeof data, i)); break;
    case 3: check_code(s, covey_process_signal(s->process, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER)); break;
    case 4:
      if (i > 8) check_code(s, covey_process_kill(s->process));
      break;
    case 5:
      if (i > 6) check_code(s, covey_process_stop(s->process, 20, NULL));
      break;
    case 6: check_code(s, covey_process_read(s->process, COVEY_STDERR, 0, data, sizeof data)); break;
    case 7:
      if (i > 9) covey_process_cancel(s->process);
      break;
    default:
      if (i > 10) check_code(s, covey_process_close_input(s->process));
    }
  }
  covey_process_close(s->process);
}

TEST_LIMIT(process_host, a_storm_on_one_child, 240)
{
  storm s = {0};
  test_thread *threads[8];

  int64_t end = test_now() + (test_is_long() ? 60000 : 0);
  for (int round = 0; round < 16 || test_now() < end; round++) {
    if (round == 9)
      test_no_child_handles_lost(); /* threads, and pools of the system, are made in the first rounds */
    s.process = spawn(&(covey_process_options){.argv = round % 3 == 0   ? TEST_HELPER("cat")
                                                       : round % 3 == 1 ? TEST_HELPER("flood")
                                                                        : TEST_HELPER("ignore"),
                                               .in.kind = COVEY_STDIO_PIPE,
                                               .out.kind = COVEY_STDIO_PIPE,
                                               .err.kind = COVEY_STDIO_CAPTURE});
    int64_t pid = covey_process_pid(s.process);

    for (int i = 0; i < 7; i++) cvy_process_ref(s.process);
    for (int i = 0; i < 8; i++) threads[i] = test_thread_start(storm_thread, &s);
    for (int i = 0; i < 8; i++) test_thread_join(threads[i]);
    CHECK(test_process_gone(pid, TEST_SOON));
  }
  CHECK_INT(test_add(&s.strange, 0), 0);
}
