/* Starting, waiting, ending: the life of one process and its tree. */
#include "process_words.h"

#include "support/test.h"

covey_process *process_spawn(const covey_process_options *options)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(options, &p));
  REQUIRE(p != NULL);
  return p;
}

covey_process *process_spawn_piped(const char *const *argv)
{
  return process_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE});
}

const char *process_read_line(covey_process *p)
{
  static char line[256];
  size_t size = 0;

  while (size < sizeof line - 1) {
    int n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, line + size, 1);

    REQUIRE_OK(n);
    if (n == 0 || line[size] == '\n') break;
    if (line[size] != '\r') size++;
  }
  line[size] = '\0';
  return line;
}

covey_exit process_end(covey_process *p)
{
  covey_exit e = {0};

  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  return e;
}

/* ---- ends ---- */

TEST(process, exit_code)
{
  test_no_child_handles_lost();
  covey_process *p = process_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "3")});
  CHECK(covey_process_pid(p) > 0);
  covey_exit e = process_end(p);
  CHECK_INT(e.how, COVEY_HOW_EXITED);
  CHECK_INT(e.why, COVEY_WHY_SELF);
  CHECK_UINT(e.code, 3);
  CHECK_INT(e.signal, 0);
  CHECK_INT(e.pipe_held, 0);
  CHECK(e.started > 1577836800000); /* 2020 */
  CHECK(e.ended >= e.started);
  CHECK(!COVEY_EXIT_OK(&e));
  covey_process_close(p);
}

TEST(process, wide_exit_code)
{
  covey_process *p = process_spawn(&(covey_process_options){.argv = TEST_HELPER("exit-code-big")});
  CHECK_UINT(process_end(p).code, test_is_windows() ? 0x12345678u : 0x78u);
  covey_process_close(p);
}

TEST(process, crash)
{
  covey_process *p =
      process_spawn(&(covey_process_options){.argv = TEST_HELPER("crash"), .err.kind = COVEY_STDIO_NULL});
  covey_exit e = process_end(p);
  CHECK_INT(e.why, COVEY_WHY_SELF);
  if (test_is_windows()) {
    CHECK_INT(e.how, COVEY_HOW_EXITED);
    CHECK_UINT(e.code, 0xC0000005u);
  } else {
    CHECK_INT(e.how, COVEY_HOW_SIGNALLED);
    CHECK_INT(e.signal, COVEY_SIGNAL_SEGV);
    CHECK_UINT(e.code, 128u + (unsigned)e.system_signal);
  }
  covey_process_close(p);
}

TEST(process, usage)
{
  covey_process *p = process_spawn(&(covey_process_options){.argv = TEST_HELPER("burn", "60")});
  covey_exit e = process_end(p);
  CHECK(COVEY_EXIT_OK(&e));
  CHECK(e.user_time + e.system_time >= (test_is_wine() ? 0 : 30000)); /* wine counts the start only */
  CHECK(e.peak_memory > 100000 || e.peak_memory == -1);
  covey_process_close(p);
}

TEST(process, wait_again_and_without_result)
{
  covey_process *p = process_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "5")});
  CHECK_OK(covey_process_wait(p, COVEY_FOREVER, NULL));
  for (int i = 0; i < 3; i++) CHECK_UINT(process_end(p).code, 5);
  CHECK_OK(covey_process_wait(p, 0, NULL));
  covey_process_close(p);
}

TEST(process, wait_has_a_deadline)
{
  covey_process *p = process_spawn_piped(TEST_HELPER("hang"));
  CHECK_STR(process_read_line(p), "ready");
  CHECK_ERR(covey_process_wait(p, 0, NULL), COVEY_ETIMEDOUT);
  int64_t begin = test_now();
  CHECK_ERR(covey_process_wait(p, 120, NULL), COVEY_ETIMEDOUT);
  CHECK(test_now() - begin >= 120);
  CHECK_ERR(covey_process_wait(p, -2, NULL), COVEY_EINVAL);
  covey_process_close(p);
}

TEST(process, kill)
{
  test_no_child_handles_lost();
  covey_process *p = process_spawn_piped(TEST_HELPER("hang"));
  int64_t pid = covey_process_pid(p);
  CHECK_STR(process_read_line(p), "ready");
  CHECK_OK(covey_process_kill(p));
  covey_exit e = process_end(p);
  CHECK_INT(e.how, COVEY_HOW_SIGNALLED);
  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK_INT(e.signal, COVEY_SIGNAL_KILL);
  CHECK_UINT(e.code, 137);
  CHECK_OK(covey_process_kill(p));
  CHECK(covey_process_pid(p) == pid);
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
}

/* ---- many threads ---- */

typedef struct crowd {
  covey_process *process;
  test_counter right, cancelled;
} crowd;

static void crowd_wait(void *arg)
{
  crowd *c = arg;
  covey_exit e = {0};
  int r = covey_process_wait(c->process, TEST_SOON, &e);

  if (r == 0 && e.how == COVEY_HOW_SIGNALLED && e.code == 137) test_add(&c->right, 1);
  if (r == COVEY_ECANCELED) test_add(&c->cancelled, 1);
}

TEST(process, killed_while_eight_wait)
{
  crowd c = {.process = process_spawn_piped(TEST_HELPER("hang"))};
  test_thread *threads[8];

  CHECK_STR(process_read_line(c.process), "ready");
  for (int i = 0; i < 8; i++) threads[i] = test_thread_start(crowd_wait, &c);
  CHECK_OK(covey_process_kill(c.process));
  for (int i = 0; i < 8; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&c.right, 0), 8);
  covey_process_close(c.process);
}

TEST(process, cancel_wakes_all)
{
  crowd c = {.process = process_spawn_piped(TEST_HELPER("hang"))};
  test_thread *threads[4];
  char byte;

  CHECK_STR(process_read_line(c.process), "ready");
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(crowd_wait, &c);
  covey_process_cancel(c.process);
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&c.cancelled, 0), 4);
  CHECK_ERR(covey_process_wait(c.process, TEST_SOON, NULL), COVEY_ECANCELED);
  CHECK_ERR(covey_process_read(c.process, COVEY_STDOUT, TEST_SOON, &byte, 1), COVEY_ECANCELED);
  /* the process was not touched, and can still be ended */
  CHECK_OK(covey_process_stop(c.process, 0, NULL));
  CHECK_OK(covey_process_wait(c.process, 0, NULL));
  covey_process_close(c.process);
}

static void crowd_stop(void *arg)
{
  crowd *c = arg;
  covey_exit e = {0};

  if (covey_process_stop(c->process, 300, &e) == 0 && e.code == 137) test_add(&c->right, 1);
}

TEST(process, stopped_by_many)
{
  crowd c = {.process = process_spawn_piped(TEST_HELPER("ignore"))};
  test_thread *threads[6];

  CHECK_STR(process_read_line(c.process), "ready");
  for (int i = 0; i < 6; i++) threads[i] = test_thread_start(i % 2 ? crowd_stop : crowd_wait, &c);
  for (int i = 0; i < 6; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&c.right, 0), 6);
  covey_process_close(c.process);
}

static void fire(void *arg)
{
  test_pause(50);
  covey_cancel_fire(arg);
}

TEST(process, cancel_object)
{
  covey_cancel *cancel;

  REQUIRE_OK(covey_cancel_new(&cancel));
  covey_process *p = process_spawn(
      &(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL, .cancel = cancel});
  test_thread *t = test_thread_start(fire, cancel);
  CHECK_ERR(covey_process_wait(p, TEST_SOON, NULL), COVEY_ECANCELED);
  test_thread_join(t);
  covey_process_close(p);
  covey_cancel_free(cancel);
}

/* ---- trees ---- */

TEST(process, close_kills_the_tree)
{
  int64_t pids[7];

  test_no_child_handles_lost();
  covey_process *p = process_spawn_piped(TEST_HELPER("tree", "2", "2"));
  for (int i = 0; i < 7; i++) {
    pids[i] = strtoll(process_read_line(p), NULL, 10);
    REQUIRE(pids[i] > 0);
  }
  for (int i = 0; i < 7; i++) CHECK(test_process_alive(pids[i]));
  covey_process_close(p);
  for (int i = 0; i < 7; i++) CHECK(test_process_gone(pids[i], TEST_SOON));
}

TEST(process, the_tree_ends_with_its_handle)
{
  covey_process *p = process_spawn_piped(TEST_HELPER("leave"));
  int64_t pid = strtoll(process_read_line(p), NULL, 10);

  REQUIRE(pid > 0);
  CHECK_UINT(process_end(p).code, 0);
  CHECK(test_process_alive(pid));
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
}

TEST(process, kill_reaches_a_tree_whose_leader_has_ended)
{
  covey_process *p = process_spawn_piped(TEST_HELPER("leave"));
  int64_t pid = strtoll(process_read_line(p), NULL, 10);

  process_end(p);
  CHECK_OK(covey_process_kill(p));
  CHECK(test_process_gone(pid, TEST_SOON));
  covey_process_close(p);
}

TEST(process, leave_tree)
{
  covey_process *p = process_spawn(&(covey_process_options){
      .argv = TEST_HELPER("leave"), .out.kind = COVEY_STDIO_PIPE, .flags = COVEY_PROCESS_LEAVE_TREE});
  int64_t pid = strtoll(process_read_line(p), NULL, 10);

  REQUIRE(pid > 0);
  process_end(p);
  covey_process_close(p);
  CHECK(test_process_alive(pid));
  test_process_kill(pid);
  CHECK(test_process_gone(pid, TEST_SOON));
}

TEST(process, detach)
{
  covey_process *p = process_spawn_piped(TEST_HELPER("hang"));
  int64_t pid = covey_process_pid(p);

  CHECK_STR(process_read_line(p), "ready");
  CHECK_OK(covey_process_detach(p));
  covey_process_close(p);
  CHECK(test_process_alive(pid));
  test_process_kill(pid);
  CHECK(test_process_gone(pid, TEST_SOON));
}

TEST(process, detached)
{
  covey_process *p =
      process_spawn(&(covey_process_options){.argv = TEST_HELPER("hang"), .scope = COVEY_SCOPE_DETACHED});
  int64_t pid = covey_process_pid(p);

  covey_process_close(p);
  CHECK(test_process_alive(pid));
  test_process_kill(pid);
  CHECK(test_process_gone(pid, TEST_SOON));
}

/* A handle may be closed at any moment of the child's life; the runner looks for zombies. */
TEST(process, closed_at_once)
{
  test_no_child_handles_lost();
  for (int i = 0; i < 20; i++) {
    covey_process *p =
        process_spawn(&(covey_process_options){.argv = TEST_HELPER(i % 2 ? "hang" : "nothing"),
                                               .out.kind = i % 4 < 2 ? COVEY_STDIO_NULL : COVEY_STDIO_PIPE});
    int64_t pid = covey_process_pid(p);

    covey_process_close(p);
    CHECK(test_process_gone(pid, TEST_SOON));
  }
}

/* ---- signals ---- */

TEST(process, signal)
{
  covey_process *p = process_spawn_piped(TEST_HELPER("hang"));
  covey_exit e;

  CHECK_STR(process_read_line(p), "ready");
  CHECK_ERR(covey_process_signal(p, 0, COVEY_TARGET_LEADER), COVEY_EINVAL);
  CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_TERM, 7), COVEY_EINVAL);
  if (test_is_windows())
    CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_USR1, COVEY_TARGET_LEADER), COVEY_ENOTSUP);
  CHECK_OK(
      covey_process_signal(p, test_is_windows() ? COVEY_SIGNAL_KILL : COVEY_SIGNAL_TERM, COVEY_TARGET_TREE));
  e = process_end(p);
  CHECK_INT(e.how, COVEY_HOW_SIGNALLED);
  CHECK_INT(e.signal, test_is_windows() ? COVEY_SIGNAL_KILL : COVEY_SIGNAL_TERM);
  CHECK_UINT(e.code, test_is_windows() ? 137 : 143);
  CHECK_INT(e.why, test_is_windows() ? COVEY_WHY_KILL : COVEY_WHY_SELF);
  CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_LEADER), COVEY_ENOTFOUND);
  CHECK(strstr(covey_last_failure()->what, "signal 5 to process"));
  covey_process_close(p);
}

TEST(process, suspend_and_resume)
{
  int target =
      test_is_wine() ? COVEY_TARGET_LEADER : COVEY_TARGET_TREE; /* wine does not tell a job's members */
  covey_process *p = process_spawn(&(covey_process_options){
      .argv = TEST_HELPER("echo-line"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});
  char byte;

  CHECK_INT(covey_process_write(p, "a\n", 2, TEST_SOON), 2);
  CHECK_STR(process_read_line(p), "a");
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_STOP, target));
  CHECK_INT(covey_process_write(p, "b\n", 2, TEST_SOON), 2);
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 200, &byte, 1), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_process_wait(p, 0, NULL), COVEY_ETIMEDOUT);
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, target));
  CHECK_STR(process_read_line(p), "b");
  covey_process_close(p);
}

/* ---- identity and adoption ---- */

TEST(process, identity)
{
  covey_identity id;
  covey_process *p = process_spawn_piped(TEST_HELPER("hang"));

  CHECK_STR(process_read_line(p), "ready");
  REQUIRE_OK(covey_process_identity(p, &id));
  CHECK_INT(id.pid, covey_process_pid(p));
  CHECK(id.start != 0);
  CHECK(id.flags & COVEY_ID_CHILD);
  CHECK(id.flags & COVEY_ID_SAME_USER);
  CHECK_ERR(covey_process_identity(NULL, &id), COVEY_EINVAL);
  CHECK_ERR(covey_process_identity(p, NULL), COVEY_EINVAL);
  covey_process_close(p);
}

TEST(process, adopt)
{
  covey_identity id, same;
  covey_process *adopted = NULL, *p = process_spawn_piped(TEST_HELPER("hang"));

  test_no_child_handles_lost();
  CHECK_STR(process_read_line(p), "ready");
  REQUIRE_OK(covey_process_identity(p, &id));
  CHECK_ERR(covey_process_adopt(id.pid, id.start + 1, NULL, &adopted), COVEY_ENOTFOUND);
  CHECK(adopted == NULL);
  REQUIRE_OK(covey_process_adopt(id.pid, id.start, NULL, &adopted));
  REQUIRE_OK(covey_process_identity(adopted, &same));
  CHECK_UINT(same.start, id.start);
  CHECK(!(same.flags & COVEY_ID_CHILD));
  CHECK_ERR(covey_process_wait(adopted, 0, NULL), COVEY_ETIMEDOUT);
  covey_process_close(adopted);
  CHECK(test_process_alive(id.pid)); /* closing leaves it alone */
  REQUIRE_OK(covey_process_adopt(id.pid, 0, NULL, &adopted));
  CHECK_OK(covey_process_stop(adopted, 0, NULL));
  covey_exit e = process_end(p);
  CHECK_UINT(e.code, 137);
  CHECK_OK(covey_process_wait(adopted, TEST_SOON, NULL));
  covey_process_close(adopted);
  covey_process_close(p);
}

TEST(process, adopt_refuses)
{
  covey_process *p = NULL;

  CHECK_ERR(covey_process_adopt(0, 0, NULL, &p), COVEY_EINVAL);
  CHECK_ERR(covey_process_adopt(-5, 0, NULL, &p), COVEY_EINVAL);
  CHECK_ERR(covey_process_adopt(test_pid(), 0, NULL, &p), COVEY_EINVAL);
  CHECK_ERR(covey_process_adopt(0x7ffffff0, 0, NULL, &p), COVEY_ENOTFOUND);
  CHECK_ERR(covey_process_adopt(1, 0, NULL, NULL), COVEY_EINVAL);
  CHECK(p == NULL);
}

/* ---- crowds ---- */

/* Long-lived siblings do not hold each other's pipes: every end arrives. */
TEST_LIMIT(process, many_beside_long_lived_siblings, 240)
{
  enum { MOST = 200 };
  covey_process *sleepers[4], *p[MOST];
  int count = test_is_windows() ? 40 : MOST;
  char byte;

  test_no_child_handles_lost();
  for (int i = 0; i < 4; i++) sleepers[i] = process_spawn_piped(TEST_HELPER("hang"));
  for (int i = 0; i < count; i++) p[i] = process_spawn_piped(TEST_HELPER("say", "x"));
  for (int i = 0; i < count; i++) {
    CHECK_STR(process_read_line(p[i]), "x");
    CHECK_INT(covey_process_read(p[i], COVEY_STDOUT, TEST_SOON, &byte, 1), 0);
    CHECK_UINT(process_end(p[i]).code, 0);
    covey_process_close(p[i]);
  }
  for (int i = 0; i < 4; i++) {
    int64_t pid = covey_process_pid(sleepers[i]);

    covey_process_close(sleepers[i]);
    CHECK(test_process_gone(pid, TEST_SOON));
  }
}

typedef struct storm {
  test_counter ended;
} storm;

static void storm_thread(void *arg)
{
  storm *s = arg;

  for (int i = 0; i < 10; i++) {
    covey_process *p = NULL;
    covey_exit e = {0};

    if (covey_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "6")}, &p) < 0) continue;
    if (covey_process_wait(p, TEST_SOON, &e) == 0 && e.code == 6) test_add(&s->ended, 1);
    covey_process_close(p);
  }
}

TEST_LIMIT(process, spawned_by_six_threads, 240)
{
  storm s = {{0}};
  test_thread *threads[6];

  test_helper(); /* looked up once, before the threads */
  for (int i = 0; i < 6; i++) threads[i] = test_thread_start(storm_thread, &s);
  for (int i = 0; i < 6; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&s.ended, 0), 60);
}
