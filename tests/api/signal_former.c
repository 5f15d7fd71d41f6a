/* Subscriptions beside the program's own handlers, older and newer ones, and after fork. */
#include "signal_words.h"

#include "support/test.h"

#include <covey/loop.h>
#include <covey/node.h>

#include <errno.h>
#include <uv.h>

enum { PATIENCE = 30000 };

static volatile sig_atomic_t former_calls, errno_seen;

static void former(int number)
{
  (void)number;
  former_calls++;
  errno = 1;
}

TEST(signals, leave_nothing_behind)
{
  signals_needed();
  signal(SIGUSR1, former);
  signal(SIGHUP, SIG_IGN);
  const char *before = test_dispositions();
  covey_signals *a = signals_subscribe(
      &(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1, COVEY_SIGNAL_HUP, COVEY_SIGNAL_TERM)});
  covey_signals *b =
      signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1, COVEY_SIGNAL_WINCH)});
  CHECK(strcmp(test_dispositions(), before) != 0);
  raise(SIGUSR1);
  raise(SIGHUP);
  CHECK_INT(former_calls, 1);
  signals_expect(a, COVEY_SIGNAL_USR1, 1);
  signals_expect(a, COVEY_SIGNAL_HUP, 1);
  signals_expect(b, COVEY_SIGNAL_USR1, 1);
  covey_signals_close(a);
  raise(SIGUSR1);
  CHECK_INT(former_calls, 2);
  signals_expect(b, COVEY_SIGNAL_USR1, 1);
  covey_signals_close(b);
  CHECK_STR(test_dispositions(), before);
  raise(SIGUSR1);
  raise(SIGHUP);
  CHECK_INT(former_calls, 3);
}

TEST(signals, keep_errno)
{
  signals_needed();
  signal(SIGUSR1, former);
  covey_signals *s = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1)});
  errno = 4711;
  raise(SIGUSR1);
  errno_seen = errno;
  CHECK_INT(errno_seen, 4711);
  signals_expect(s, COVEY_SIGNAL_USR1, 1);
  covey_signals_close(s);
}

TEST(signals, are_touched_by_nothing_else)
{
  signals_needed();
  const char *before = test_dispositions();
  covey_loop *loop = NULL;
  covey_process *p = NULL;
  covey_result r;
  covey_identity us;
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  REQUIRE_OK(covey_run(
      &(covey_process_options){.argv = TEST_HELPER("lines", "3"), .out.kind = COVEY_STDIO_CAPTURE}, &r));
  covey_result_free(&r);
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("hang")}, &p));
  REQUIRE_OK(covey_node_identity(NULL, &us));
  CHECK_STR(test_dispositions(), before);
  covey_process_close(p);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
  covey_loop_close(loop);
  CHECK_STR(test_dispositions(), before);
}

TEST(signals, that_are_ignored_are_spared)
{
  signals_needed();
  signal(SIGHUP, SIG_IGN);
  signal(SIGUSR1, former);
  covey_signals *all = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR2)});
  covey_signals *s = signals_subscribe(&(covey_signals_options){
      SIGNAL_SET(COVEY_SIGNAL_HUP, COVEY_SIGNAL_USR1, COVEY_SIGNAL_USR2), .flags = COVEY_SIGNALS_SPARE});
  raise(SIGHUP);
  raise(SIGUSR1);
  raise(SIGUSR2);
  signals_expect(s, COVEY_SIGNAL_USR2, 1); /* covey's own handler is not the program's */
  signals_expect_nothing(s);
  CHECK_INT(former_calls, 1);
  covey_signals_close(s);
  covey_signals_close(all);
}

static void over(int number)
{
  (void)number;
  former_calls += 100;
}

TEST(signals, under_a_newer_handler)
{
  signals_needed();
  covey_signals *s = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1)}), *t = NULL;
  signal(SIGUSR1, over);
  raise(SIGUSR1);
  CHECK_INT(former_calls, 100);
  signals_expect_nothing(s);
  covey_signals_close(s);
  CHECK(signal(SIGUSR1, over) == over);
  CHECK_ERR(
      covey_signals_open(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR2, COVEY_SIGNAL_USR1)}, &t),
      COVEY_EEXIST);
  signal(SIGUSR1, SIG_DFL);
  t = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1)});
  raise(SIGUSR1);
  signals_expect(t, COVEY_SIGNAL_USR1, 1);
  covey_signals_close(t);
}

TEST(signals, are_the_parents_after_fork)
{
  signals_needed();
  if (test_has_thread_checker()) TEST_SKIP("the thread sanitizer runs no handler in a child of fork");
  covey_signals *s = signals_subscribe(NULL);
  int64_t pid = test_fork();
  if (pid == 0) {
    if (covey_signals_next(s, 0, NULL) != COVEY_ESTALE) test_system_exit(2);
    covey_signals_close(s);
    raise(SIGTERM);   /* as if nobody had subscribed */
    test_pause(1000); /* the thread sanitizer keeps it back until a call that waits */
    test_system_exit(3);
  }
  CHECK_INT(test_fork_join(pid, PATIENCE), -1);
  signals_expect_nothing(s);
  raise(SIGTERM);
  signals_expect(s, COVEY_SIGNAL_TERM, 1);
  covey_signals_close(s);
}

TEST(signals, of_a_child_of_fork)
{
  signals_needed();
  if (test_has_thread_checker()) TEST_SKIP("the thread sanitizer runs no handler in a child of fork");
  covey_signals *s = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1)});
  int64_t pid = test_fork();
  if (pid == 0) {
    covey_loop *loop = NULL;
    covey_signals *own = NULL;
    covey_signal_event e = {0};
    if (covey_loop_open(NULL, &loop) < 0) test_system_exit(2);
    covey_signals_options o = {SIGNAL_SET(COVEY_SIGNAL_USR1), .loop = loop};
    if (covey_signals_open(&o, &own) < 0) test_system_exit(3);
    raise(SIGUSR1);
    if (covey_signals_next(own, PATIENCE, &e) < 0 || e.count != 1) test_system_exit(4);
    covey_signals_close(own);
    raise(SIGUSR1);
    test_system_exit(5);
  }
  CHECK_INT(test_fork_join(pid, PATIENCE), -1);
  signals_expect_nothing(s);
  covey_signals_close(s);
}
