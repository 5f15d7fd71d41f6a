#include "core/fault.h"
#include "os/interrupt.h"
#include "os/signal.h"
#include "support/test.h"

#include <signal.h>

static struct {
  int count;
  bool answer;
  cvos_interrupt last;
} got;

static bool taker(const cvos_interrupt *what)
{
  got.count++;
  got.last = *what;
  return got.answer;
}

static void needs_signals(void)
{
  if (test_is_windows()) TEST_SKIP("no signals: tests/api/signal.c has its console and session events");
}

#if defined(SIGUSR1)
enum { NUMBER = SIGUSR1 };
#else
enum { NUMBER = SIGTERM };
#endif

TEST(interrupt, numbers)
{
  bool seen[CVOS_INTERRUPT_COUNT] = {false};
  for (int i = 1; i < CVOS_SIGNAL_RAW + 70; i++) {
    int index = cvos_interrupt_index(i);
    CHECK(index < CVOS_INTERRUPT_COUNT);
    if (index < 0 || i > CVOS_SIGNAL_RAW) continue;
    CHECK(!seen[index]);
    seen[index] = true;
  }
  CHECK(cvos_interrupt_index(CVOS_SIGNAL_INT) >= 0);
  CHECK(cvos_interrupt_index(CVOS_SIGNAL_HUP) >= 0);
  CHECK(cvos_interrupt_index(CVOS_INTERRUPT_CLOSE) >= 0);
  CHECK_INT(cvos_interrupt_index(0), -1);
  CHECK_INT(cvos_interrupt_index(-5), -1);
  CHECK_INT(cvos_interrupt_index(99), -1);
  CHECK_INT(cvos_interrupt_index(CVOS_SIGNAL_USR1) < 0, test_is_windows());
  if (!test_is_windows())
    CHECK_INT(cvos_interrupt_index(CVOS_SIGNAL_RAW + 15), cvos_interrupt_index(CVOS_SIGNAL_TERM));
}

TEST(interrupt, takes_and_leaves)
{
  static const int all[] = {CVOS_SIGNAL_INT,        CVOS_SIGNAL_TERM,     CVOS_SIGNAL_HUP,
                            CVOS_SIGNAL_QUIT,       CVOS_INTERRUPT_CLOSE, CVOS_INTERRUPT_LOGOFF,
                            CVOS_INTERRUPT_SHUTDOWN};
  enum { COUNT = sizeof all / sizeof all[0] };
  const char *before = test_dispositions();
  for (int i = 0; i < COUNT; i++) REQUIRE_OK(cvos_interrupt_take(all[i], taker));
  for (int i = 0; i < COUNT; i++) cvos_interrupt_leave(all[i]);
  CHECK_STR(test_dispositions(), before);
  test_no_handles_lost();
  for (int n = 0; n < 10; n++) {
    for (int i = 0; i < COUNT; i++) REQUIRE_OK(cvos_interrupt_take(all[(i + n) % COUNT], taker));
    for (int i = 0; i < COUNT; i++) cvos_interrupt_leave(all[i]);
  }
  CHECK_STR(test_dispositions(), before);
  CHECK_INT(got.count, 0);
}

TEST(interrupt, refuses)
{
  if (test_is_windows()) {
    CHECK_ERR(cvos_interrupt_take(CVOS_SIGNAL_USR1, taker), COVEY_ENOTSUP);
    CHECK_ERR(cvos_interrupt_take(CVOS_SIGNAL_KILL, taker), COVEY_ENOTSUP);
  } else {
    CHECK_ERR(cvos_interrupt_take(CVOS_SIGNAL_KILL, taker), COVEY_EINVAL);
    CHECK_ERR(cvos_interrupt_take(CVOS_SIGNAL_STOP, taker), COVEY_EINVAL);
  }
  CHECK_ERR(cvos_interrupt_take(0, taker), COVEY_ENOTSUP);
  cvos_interrupt_leave(0);
  CHECK(cvos_interrupt_is_default(CVOS_SIGNAL_TERM));
}

TEST(interrupt, a_failed_take_changes_nothing)
{
  const char *before = test_dispositions();
  int64_t n = 1;
  REQUIRE_OK(cvos_interrupt_take(CVOS_INTERRUPT_SHUTDOWN,
                                 taker)); /* the first window of a process opens things for good */
  cvos_interrupt_leave(CVOS_INTERRUPT_SHUTDOWN);
  test_no_handles_lost();
  for (;; n++) {
    cvy_fault_after(CVOS_FAULT_NONE, n, 5);
    int r = cvos_interrupt_take(CVOS_INTERRUPT_SHUTDOWN, taker);
    if (r == 0 && !test_is_windows()) r = cvos_interrupt_take(CVOS_SIGNAL_TERM, taker);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (over) {
      CHECK_OK(r);
      break;
    }
    CHECK(r < 0);
    CHECK_STR(test_dispositions(), before);
  }
  CHECK(n > 2);
  cvos_interrupt_leave(CVOS_INTERRUPT_SHUTDOWN);
  if (!test_is_windows()) cvos_interrupt_leave(CVOS_SIGNAL_TERM);
  CHECK_STR(test_dispositions(), before);
}

static volatile sig_atomic_t former_calls;

static void former(int number)
{
  (void)number;
  former_calls++;
}

TEST(interrupt, tells_and_calls_the_former)
{
  needs_signals();
  signal(NUMBER, former);
  CHECK(!cvos_interrupt_is_default(CVOS_SIGNAL_RAW + NUMBER));
  REQUIRE_OK(cvos_interrupt_take(CVOS_SIGNAL_RAW + NUMBER, taker));
  CHECK(!cvos_interrupt_is_default(CVOS_SIGNAL_RAW + NUMBER));
  for (int i = 0; i < 2; i++) {
    got.answer = i == 1;
    raise(NUMBER);
    CHECK_INT(got.count, i + 1);
    CHECK_INT(former_calls, i + 1);
  }
  CHECK_INT(got.last.signal, cvos_signal_from_system(NUMBER));
  CHECK_INT(got.last.system, NUMBER);
  CHECK_INT(got.last.sender, test_pid());
  CHECK(got.last.user >= 0);
  CHECK(!got.last.by_system);
  CHECK_INT(got.last.bound, -1);
  cvos_interrupt_leave(CVOS_SIGNAL_RAW + NUMBER);
  raise(NUMBER);
  CHECK_INT(got.count, 2);
  CHECK_INT(former_calls, 3);
}

/* An answer of false is the default action, where nobody else had it. */
TEST(interrupt, not_taken_is_the_default)
{
  needs_signals();
  if (test_has_thread_checker()) TEST_SKIP("the thread sanitizer runs no handler in a child of fork");
  for (int stage = 0; stage < 4; stage++) {
    int64_t pid = test_fork();
    if (pid == 0) {
      signal(NUMBER, stage == 1 ? SIG_IGN : SIG_DFL);
      if (cvos_interrupt_take(CVOS_SIGNAL_RAW + NUMBER, taker) < 0) test_system_exit(2);
      got.answer = stage == 2;
      if (stage == 3) cvos_interrupt_leave(CVOS_SIGNAL_RAW + NUMBER);
      raise(NUMBER);
      test_system_exit(got.count);
    }
    CHECK_INT(test_fork_join(pid, 20000), stage == 1 || stage == 2 ? 1 : -1);
  }
}

/* What the system does by itself, without an end, is no harm. */
TEST(interrupt, not_taken_is_nothing_where_that_is_the_default)
{
  needs_signals();
  int set[] = {CVOS_SIGNAL_WINCH, CVOS_SIGNAL_CONT};
  for (int i = 0; i < 2; i++) {
    REQUIRE_OK(cvos_interrupt_take(set[i], taker));
    got.answer = false;
    raise(cvos_signal_to_system(set[i]));
    CHECK_INT(got.count, 2 * i + 1);
    raise(cvos_signal_to_system(set[i])); /* ours is in force again */
    CHECK_INT(got.count, 2 * i + 2);
    cvos_interrupt_leave(set[i]);
  }
}

static void (*below)(int);

TEST_CALLS_ANYHOW static void passes_down(int number)
{
  former_calls += 10;
  below(number);
}

TEST(interrupt, under_a_handler_that_passes_down)
{
  needs_signals();
  signal(NUMBER, former);
  REQUIRE_OK(cvos_interrupt_take(CVOS_SIGNAL_RAW + NUMBER, taker));
  below = signal(NUMBER, passes_down);
  REQUIRE(below != SIG_ERR && below != SIG_DFL);
  got.answer = true;
  raise(NUMBER);
  CHECK_INT(got.count, 1);
  CHECK_INT(got.last.sender, 0); /* a handler of signal() passes a number down, and nothing else */
  CHECK_INT(former_calls, 11);
  cvos_interrupt_leave(CVOS_SIGNAL_RAW + NUMBER); /* stays below, and does what the former did */
  raise(NUMBER);
  CHECK_INT(got.count, 1);
  CHECK_INT(former_calls, 22);
  CHECK_ERR(cvos_interrupt_take(CVOS_SIGNAL_RAW + NUMBER, taker), COVEY_EEXIST);
  signal(NUMBER, below); /* taken away: ours is in force, and knows no sender */
  raise(NUMBER);
  CHECK_INT(former_calls, 23);
  REQUIRE_OK(cvos_interrupt_take(CVOS_SIGNAL_RAW + NUMBER, taker));
  raise(NUMBER);
  CHECK_INT(got.count, 2);
  CHECK_INT(former_calls, 24);
  CHECK_INT(got.last.sender, test_pid());
  cvos_interrupt_leave(CVOS_SIGNAL_RAW + NUMBER);
}
