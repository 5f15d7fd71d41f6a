/* Signals and console events that other processes send, and those that are sent on to children: the helper subscribes, this program sends. */
#include "support/test.h"

#include <covey/manager.h>
#include <covey/node.h>
#include <covey/process.h>
#include <covey/signal.h>

enum { PATIENCE = 30000, STOPPED = 7, SECOND_MS = 100 };

static void needs_signals(void)
{
  if (test_is_windows()) TEST_SKIP("no signals there: they are console events");
}

/* ---- other processes ---- */

static covey_process *start(const char *const *argv)
{
  covey_process *p = NULL;
  covey_process_options options = {.argv = argv,
                                   .out.kind = COVEY_STDIO_PIPE,
                                   .err.kind = COVEY_STDIO_MERGE,
                                   .scope = COVEY_SCOPE_SESSION};
  REQUIRE_OK(covey_spawn(&options, &p));
  return p;
}

/* Reads until a line with that text has come. */
static void says(covey_process *p, const char *text)
{
  char seen[4096];
  size_t size = 0;
  for (;;) {
    int n = covey_process_read(p, COVEY_STDOUT, PATIENCE, seen + size, 1);
    if (n != 1) {
      seen[size] = '\0';
      TEST_FAIL("\"%s\" never came, but: %s", text, seen);
      covey_process_close(p);
      REQUIRE(n == 1);
    }
    if (size + 2 < sizeof seen) size++;
    seen[size] = '\0';
    if (seen[size - 1] != '\n') continue;
    if (strstr(seen, text)) return;
    size = 0;
  }
}

/* Both lines, in whatever order two processes write them. */
static void say_both(covey_process *p, const char *a, const char *b)
{
  char line[256];
  bool has_a = false, has_b = false;
  for (size_t size = 0; !has_a || !has_b;) {
    REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, line + size, 1) == 1);
    if (size + 2 < sizeof line) size++;
    line[size] = '\0';
    if (line[size - 1] != '\n') continue;
    has_a = has_a || strstr(line, a);
    has_b = has_b || strstr(line, b);
    size = 0;
  }
}

static void ends(covey_process *p, int how, uint32_t code)
{
  covey_exit end;
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &end));
  CHECK_INT(end.how, how);
  CHECK_UINT(end.code, code);
  covey_process_close(p);
}

TEST(signals, show_who_sent_them)
{
  needs_signals();
  covey_process *p = start(TEST_HELPER("signals-show", "0", test_format("%d", COVEY_SIGNAL_USR1),
                                       test_format("%d", COVEY_SIGNAL_TERM)));
  says(p, "ready");
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_USR1, COVEY_TARGET_LEADER));
  says(p, test_format("signal %d count 1 sender %" PRId64 " left -1", COVEY_SIGNAL_USR1, test_pid()));
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  says(p, test_format("signal %d count 1 sender %" PRId64 " left -1", COVEY_SIGNAL_TERM, test_pid()));
  ends(p, COVEY_HOW_EXITED, STOPPED);
}

/* The system makes one of those that wait while the program is in the handler; none comes twice, and none comes behind the TERM. Of two kinds that wait
 * TERM is told first here, so it is sent when the program has heard of the storm. */
TEST(signals, storms_from_outside)
{
  needs_signals();
  enum { SENT = 10000 };
  char line[128];
  int64_t usr1 = 0;
  size_t size = 0;
  bool asked = false;
  covey_exit end;
  covey_process *p = start(TEST_HELPER("signals-show", "0", test_format("%d", COVEY_SIGNAL_TERM),
                                       test_format("%d", COVEY_SIGNAL_USR1)));
  says(p, "ready");
  for (int i = 0; i < SENT; i++) REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_USR1, COVEY_TARGET_LEADER));
  while (covey_process_read(p, COVEY_STDOUT, PATIENCE, line + size, 1) == 1 && size + 2 < sizeof line) {
    int signal = 0, count = 0;
    if (line[size++] != '\n') continue;
    line[size] = '\0';
    size = 0;
    REQUIRE(sscanf(line, "signal %d count %d", &signal, &count) == 2 && count > 0);
    CHECK(signal == COVEY_SIGNAL_USR1 || signal == COVEY_SIGNAL_TERM);
    if (signal == COVEY_SIGNAL_USR1) usr1 += count;
    if (!asked) REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
    asked = true;
  }
  CHECK(usr1 >= 1 && usr1 <= SENT);
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &end));
  CHECK_UINT(end.code, STOPPED);
  covey_process_close(p);
}

TEST(signals, the_second_request_ends_a_program_that_hangs)
{
  needs_signals();
  covey_process *p = start(TEST_HELPER("signals-hang", "0"));
  says(p, "ready");
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER)); /* the same request */
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_HUP, COVEY_TARGET_LEADER));
  CHECK_ERR(covey_process_wait(p, 2 * SECOND_MS, NULL), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_HUP, COVEY_TARGET_LEADER)); /* never a second */
  CHECK_ERR(covey_process_wait(p, SECOND_MS, NULL), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_INT, COVEY_TARGET_LEADER));
  ends(p, COVEY_HOW_SIGNALLED, 128 + 2);
}

TEST(signals, the_second_request_is_the_last_on_windows_too)
{
  if (!test_is_windows()) TEST_SKIP("windows of Windows; signals have their own test");
  covey_process *p = start(TEST_HELPER("signals-hang", "0"));
  says(p, "ready");
  for (int i = 0; i < 2; i++) REQUIRE(test_session(covey_process_pid(p), TEST_CLOSE));
  CHECK_ERR(covey_process_wait(p, 3 * SECOND_MS, NULL), COVEY_ETIMEDOUT);
  REQUIRE(test_session(covey_process_pid(p), TEST_CLOSE));
  ends(p, COVEY_HOW_EXITED, 0xC000013A);
}

TEST(signals, the_second_is_an_event_where_that_is_asked_for)
{
  needs_signals();
  covey_process *p = start(TEST_HELPER("signals-hang", test_format("%d", COVEY_SIGNALS_REPEAT)));
  says(p, "ready");
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_process_signal(p, i == 1 ? COVEY_SIGNAL_INT : COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
    CHECK_ERR(covey_process_wait(p, 2 * SECOND_MS, NULL), COVEY_ETIMEDOUT);
  }
  covey_process_kill(p);
  REQUIRE_OK(covey_process_wait(p, PATIENCE, NULL));
  covey_process_close(p);
}

TEST(signals, a_program_hears_its_own_console)
{
  covey_process *p = start(TEST_HELPER("signals-self"));
  for (int i = 0; i < 3; i++) says(p, test_format("signal %d count 1", COVEY_SIGNAL_INT));
  ends(p, COVEY_HOW_EXITED, 0);
}

TEST(signals, ctrl_break_is_term)
{
  if (!test_is_windows()) TEST_SKIP("consoles of Windows");
  if (test_is_wine()) TEST_SKIP("wine does not deliver CTRL_BREAK");
  covey_process *p = NULL;
  covey_process_options options = {.argv =
                                       TEST_HELPER("signals-show", "0", test_format("%d", COVEY_SIGNAL_TERM)),
                                   .out.kind = COVEY_STDIO_PIPE};
  REQUIRE_OK(covey_spawn(&options, &p));
  says(p, "ready");
  if (covey_process_signal(p, COVEY_SIGNAL_INT, COVEY_TARGET_LEADER) < 0) {
    covey_process_close(p);
    TEST_SKIP("this program has no console");
  }
  says(p, test_format("signal %d count 1", COVEY_SIGNAL_TERM));
  ends(p, COVEY_HOW_EXITED, STOPPED);
}

/* ---- shutdown ---- */

TEST(signals, shutdown_by_each)
{
  needs_signals();
  static const int each[] = {COVEY_SIGNAL_INT, COVEY_SIGNAL_TERM, COVEY_SIGNAL_QUIT, COVEY_SIGNAL_HUP};
  for (int i = 0; i < 4; i++) {
    covey_process *p = start(TEST_HELPER("signals-shutdown"));
    says(p, "ready");
    REQUIRE_OK(covey_process_signal(p, each[i], COVEY_TARGET_LEADER));
    says(p, test_format("signal %d count 1 sender %" PRId64, each[i], test_pid()));
    says(p, test_format("done %d", each[i]));
    ends(p, COVEY_HOW_EXITED, STOPPED);
  }
}

TEST(signals, shutdown_by_a_signal_to_the_tree)
{
  covey_process *p = start(TEST_HELPER("signals-shutdown")), *deaf = start(TEST_HELPER("hang"));
  says(p, "ready");
  says(deaf, "ready");
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_TREE));
  says(p, test_format("done %d", COVEY_SIGNAL_TERM));
  ends(p, COVEY_HOW_EXITED, STOPPED);
  if (test_is_windows()) { /* no console that we share, no window */
    CHECK_ERR(covey_process_signal(deaf, COVEY_SIGNAL_TERM, COVEY_TARGET_TREE), COVEY_ENOTSUP);
    CHECK_ERR(covey_process_signal(deaf, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER), COVEY_ENOTSUP);
  }
  covey_process_close(deaf);
}

TEST(signals, shutdown_by_a_stop)
{
  covey_process *p = start(TEST_HELPER("signals-shutdown"));
  covey_exit end;
  says(p, "ready");
  REQUIRE_OK(covey_process_stop(p, PATIENCE, &end));
  says(p, test_format("signal %d count", COVEY_SIGNAL_TERM));
  CHECK_INT(end.why, COVEY_WHY_STOP);
  ends(p, COVEY_HOW_EXITED, STOPPED);
}

TEST(signals, shutdown_by_the_parent)
{
  covey_process *p = NULL;
  covey_exit end;
  covey_process_options options = {.argv = TEST_HELPER("signals-shutdown"), .out.kind = COVEY_STDIO_PIPE};
  REQUIRE_OK(covey_node_spawn(NULL, &options, &p));
  says(p, "ready");
  REQUIRE_OK(covey_process_stop(p, PATIENCE, &end));
  says(p, test_format("signal %d count 1", COVEY_SIGNAL_PARENT));
  CHECK_INT(end.why, COVEY_WHY_STOP);
  ends(p, COVEY_HOW_EXITED, STOPPED);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(signals, the_end_of_a_session_waits_for_the_program)
{
  if (!test_is_windows()) TEST_SKIP("sessions of Windows");
  static const int each[] = {TEST_LOGOFF, TEST_SHUTDOWN, TEST_CLOSE};
  static const int seen[] = {COVEY_SIGNAL_LOGOFF, COVEY_SIGNAL_SHUTDOWN, COVEY_SIGNAL_TERM};
  for (int i = 0; i < 3; i++) {
    covey_process *p = start(TEST_HELPER("signals-shutdown", "300"));
    says(p, "ready");
    if (!test_session(covey_process_pid(p), each[i])) {
      covey_process_close(p);
      TEST_SKIP("no windows here: no window station");
    }
    says(p, test_format("signal %d count 1 sender 0 left %d", seen[i], each[i] == TEST_CLOSE ? -1 : 1));
    says(p, test_format("done %d", seen[i]));
    ends(p, COVEY_HOW_EXITED, STOPPED);
  }
}

TEST(signals, nobody_asks_to_shut_down)
{
  int64_t before = test_now();
  covey_signal_event e;
  CHECK_ERR(covey_shutdown_wait(0, &e), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_shutdown_wait(150, &e), COVEY_ETIMEDOUT);
  CHECK(test_now() - before >= 150);
}

/* ---- passing on ---- */

static void passes(const char *how, int signal, const char *behaviour, const char *ending)
{
  covey_process *p = start(TEST_HELPER(how, behaviour));
  if (strcmp(how, "signals-pass") == 0)
    say_both(p, "passing", "ready");
  else
    says(p, "ready");
  REQUIRE_OK(covey_process_signal(p, signal, COVEY_TARGET_LEADER));
  says(p, ending);
  ends(p, COVEY_HOW_EXITED, 0);
}

TEST(signals, go_on_to_a_child)
{
  needs_signals();
  passes("signals-run", COVEY_SIGNAL_TERM, "stop", "how 0 code 7");
  passes("signals-run", COVEY_SIGNAL_INT, "stop", "how 0 code 7");
  passes("signals-run", COVEY_SIGNAL_HUP, "hang", "how 1 code 129");
  passes("signals-run", COVEY_SIGNAL_QUIT, "hang", "how 1 code 131");
  passes("signals-pass", COVEY_SIGNAL_TERM, "hang", "how 1 code 143");
}

TEST(signals, go_on_as_often_as_they_come)
{
  needs_signals();
  covey_process *p = start(TEST_HELPER("signals-run", "signals-hang", "0"));
  says(p, "ready");
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  CHECK_ERR(covey_process_wait(p, 2 * SECOND_MS, NULL), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  says(p, "how 1 code 143");
  ends(p, COVEY_HOW_EXITED, 0);
}

TEST(signals, go_on_by_a_subscription)
{
  if (test_is_newer_wine()) TEST_SKIP("wine 10 says that CTRL_BREAK was sent, and delivers it to nobody");
  covey_process *p = start(TEST_HELPER("signals-pass", "signals-shutdown"));
  say_both(p, "passing", "ready");
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  says(p, test_format("done %d", COVEY_SIGNAL_TERM));
  says(p, "how 0 code 7");
  ends(p, COVEY_HOW_EXITED, 0);
}

TEST(signals, go_on_to_a_manager)
{
  if (test_is_newer_wine()) TEST_SKIP("wine 10 says that CTRL_BREAK was sent, and delivers it to nobody");
  covey_process *p = start(TEST_HELPER("signals-manager", "3"));
  for (int i = 0; i < 3; i++) says(p, "ready");
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  says(p, "right 3");
  ends(p, COVEY_HOW_EXITED, 0);
}

TEST(signals, of_a_child_that_has_ended_are_ours_again)
{
  const char *before = test_dispositions();
  covey_process *p = NULL, *q = NULL;
  covey_process_options options = {.argv = TEST_HELPER("nothing"), .flags = COVEY_PROCESS_FORWARD};
  covey_process_options missing = {.argv = (const char *const[]){"/no/such/program", NULL},
                                   .flags = COVEY_PROCESS_FORWARD};
  REQUIRE_OK(covey_run(&options, NULL));
  CHECK_STR(test_dispositions(), before);
  CHECK_ERR(covey_run(&missing, NULL), COVEY_ENOTFOUND);
  CHECK_ERR(covey_spawn(&missing, &p), COVEY_ENOTFOUND);
  CHECK_STR(test_dispositions(), before);
  REQUIRE_OK(covey_spawn(&options, &p));
  REQUIRE_OK(covey_process_wait(p, PATIENCE, NULL));
  CHECK_STR(test_dispositions(), before);
  options.argv = TEST_HELPER("hang");
  REQUIRE_OK(covey_spawn(&options, &q));
  covey_process_close(q);
  covey_process_close(p);
  REQUIRE_OK(covey_spawn(&options, &q)); /* a process on a loop that turns when it wants to */
  covey_process_kill(q);
  REQUIRE_OK(covey_process_wait(q, PATIENCE, NULL));
  covey_process_close(q);
}

TEST(signals, a_manager_lets_them_go)
{
  const char *before = test_dispositions();
  covey_manager *m = NULL;
  covey_signals_options o = {.signals = &(const int){COVEY_SIGNAL_TERM}, .count = 1};
  REQUIRE_OK(covey_manager_new(NULL, &m));
  REQUIRE_OK(covey_manager_forward(m, &o));
  REQUIRE_OK(covey_manager_forward(m, &o));
  o.forward = (covey_process *)(void *)m;
  CHECK_ERR(covey_manager_forward(m, &o), COVEY_EINVAL);
  CHECK_ERR(covey_manager_forward(NULL, NULL), COVEY_EINVAL);
  REQUIRE_OK(covey_manager_forward(m, NULL));
  CHECK_STR(test_dispositions(), before);
  o.forward = NULL;
  REQUIRE_OK(covey_manager_forward(m, &o));
  covey_manager_free(m);
  CHECK_STR(test_dispositions(), before);
}
