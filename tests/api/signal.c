/* Signals and console events, as the program that gets them sees them. What one process can send itself is tried here with raise(), which
 * Windows has not; there children are sent what wine and Windows can send. */
#include "signal_words.h"

#include "support/test.h"

#include <covey/loop.h>
#include <covey/node.h>
#include <covey/process.h>

#include "core/mem.h"
#include "core/fault.h"

#include <errno.h>
#include <uv.h>

enum { PATIENCE = 30000 };

covey_signals *signals_subscribe(const covey_signals_options *options)
{
  covey_signals *s = NULL;
  REQUIRE_OK(covey_signals_open(options, &s));
  return s;
}

void signals_expect(covey_signals *s, int signal, uint32_t count)
{
  covey_signal_event e;
  REQUIRE_OK(covey_signals_next(s, PATIENCE, &e));
  CHECK_INT(e.signal, signal);
  CHECK_UINT(e.count, count);
}

void signals_expect_nothing(covey_signals *s)
{
  covey_signal_event e;
  CHECK_ERR(covey_signals_next(s, 0, &e), COVEY_ETIMEDOUT);
}

void signals_needed(void)
{
  if (test_is_windows()) TEST_SKIP("no signals within one process: they are console events there");
}

/* Every system: a request to end, which this process sends to itself. On Windows it is WM_CLOSE, which a program hears that is subscribed to
 * the end of its session too. */
#define ASKED SIGNAL_SET(COVEY_SIGNAL_TERM, COVEY_SIGNAL_LOGOFF), .flags = COVEY_SIGNALS_REPEAT

static void ask_myself(void)
{
  if (!test_is_windows())
    raise(SIGTERM);
  else
    REQUIRE(test_session(test_pid(), TEST_CLOSE));
}

/* Requests may come one by one, or together. */
static void expect_asked(covey_signals *s, uint32_t count)
{
  for (covey_signal_event e; count; count -= e.count) {
    REQUIRE_OK(covey_signals_next(s, PATIENCE, &e));
    CHECK_INT(e.signal, COVEY_SIGNAL_TERM);
    REQUIRE(e.count >= 1 && e.count <= count);
  }
}

/* ---- what is refused ---- */

TEST(signals, refuses_what_cannot_be_had)
{
  static const int never[] = {0,
                              -1,
                              21,
                              31,
                              36,
                              999,
                              COVEY_SIGNAL_RAW,
                              COVEY_SIGNAL_RAW + 5000,
                              COVEY_SIGNAL_KILL,
                              COVEY_SIGNAL_STOP,
                              COVEY_SIGNAL_SEGV,
                              COVEY_SIGNAL_BUS,
                              COVEY_SIGNAL_FPE,
                              COVEY_SIGNAL_ILL,
                              COVEY_SIGNAL_TRAP,
                              COVEY_SIGNAL_ABRT,
                              COVEY_SIGNAL_CHLD};
  const char *before = test_dispositions();
  covey_signals *s = NULL;
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    int set[] = {COVEY_SIGNAL_TERM, never[i]};
    int wanted = test_is_windows() && never[i] > COVEY_SIGNAL_RAW ? COVEY_ENOTSUP : COVEY_EINVAL;
    CHECK_ERR(covey_signals_open(&(covey_signals_options){.signals = set, .count = 2}, &s), wanted);
  }
  if (!test_is_windows()) { /* by their raw numbers too */
    CHECK_ERR(covey_signals_open(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_RAW + 9)}, &s),
              COVEY_EINVAL);
    CHECK_ERR(covey_signals_open(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_RAW + SIGSEGV)}, &s),
              COVEY_EINVAL);
  } else {
    CHECK_ERR(
        covey_signals_open(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_TERM, COVEY_SIGNAL_USR1)}, &s),
        COVEY_ENOTSUP);
  }
  CHECK_ERR(covey_signals_open(&(covey_signals_options){.count = 1}, &s), COVEY_EINVAL);
  CHECK_ERR(covey_signals_open(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_INT), .flags = 4}, &s),
            COVEY_EINVAL);
  CHECK_ERR(covey_signals_open(&(covey_signals_options){.reserved = {1}}, &s), COVEY_EINVAL);
  CHECK_ERR(covey_signals_open(NULL, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_signals_next(NULL, 0, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_shutdown_wait(-2, NULL), COVEY_EINVAL);
  CHECK(s == NULL);
  covey_signals_close(NULL);
  CHECK_STR(test_dispositions(), before); /* and what was taken on the way was given back */
}

/* ---- next ---- */

TEST(signals, wait_until_their_deadline)
{
  covey_signals *s =
      signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_TERM, COVEY_SIGNAL_HUP)});
  int64_t before = test_now();
  CHECK_ERR(covey_signals_next(s, 150, NULL), COVEY_ETIMEDOUT);
  CHECK(test_now() - before >= 150);
  CHECK_ERR(covey_signals_next(s, -7, NULL), COVEY_EINVAL);
  covey_signals_close(s);
}

static void next_thread(void *arg)
{
  CHECK_ERR(covey_signals_next(arg, PATIENCE, NULL), COVEY_ECANCELED);
}

TEST(signals, are_cancelled)
{
  covey_cancel *cancel = NULL;
  REQUIRE_OK(covey_cancel_new(&cancel));
  covey_signals *s =
      signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_HUP), .cancel = cancel});
  test_thread *t[3];
  for (int i = 0; i < 3; i++) t[i] = test_thread_start(next_thread, s);
  test_pause(20);
  covey_cancel_fire(cancel);
  for (int i = 0; i < 3; i++) test_thread_join(t[i]);
  covey_signals_close(s);
  covey_cancel_free(cancel);
}

TEST(signals, come_in_order_and_coalesce)
{
  signals_needed();
  covey_signals *s = signals_subscribe(&(covey_signals_options){SIGNAL_SET(
      COVEY_SIGNAL_USR1, COVEY_SIGNAL_USR2, COVEY_SIGNAL_HUP, COVEY_SIGNAL_USR2, COVEY_SIGNAL_RAW + SIGHUP)});
  covey_signal_event e;
  raise(SIGUSR2);
  raise(SIGHUP);
  raise(SIGUSR2);
  raise(SIGUSR1);
  raise(SIGUSR2);
  REQUIRE_OK(covey_signals_next(s, PATIENCE, &e));
  CHECK_INT(e.signal, COVEY_SIGNAL_USR2);
  CHECK_INT(e.system, SIGUSR2);
  CHECK_UINT(e.count, 3);
  CHECK_INT(e.sender, test_pid());
  CHECK(e.user >= 0);
  CHECK_UINT(e.flags, 0);
  CHECK_INT(e.left, COVEY_FOREVER);
  signals_expect(s, COVEY_SIGNAL_HUP, 1);
  raise(SIGHUP); /* behind what waits already */
  signals_expect(s, COVEY_SIGNAL_USR1, 1);
  signals_expect(s, COVEY_SIGNAL_HUP, 1);
  signals_expect_nothing(s);
  covey_signals_close(s);
}

TEST(signals, every_subscription_gets_each)
{
  enum { MANY = 20 }; /* more than fit in the first piece of the list */
  covey_signals *s[MANY], *other = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_HUP)});
  for (int i = 0; i < MANY; i++) s[i] = signals_subscribe(&(covey_signals_options){ASKED});
  ask_myself();
  ask_myself();
  for (int i = 0; i < MANY; i++) {
    expect_asked(s[i], 2);
    signals_expect_nothing(s[i]);
  }
  signals_expect_nothing(other);
  covey_signals_close(s[3]);
  covey_signals_close(s[17]);
  ask_myself();
  expect_asked(s[0], 1);
  expect_asked(s[18], 1);
  for (int i = 0; i < MANY; i++)
    if (i != 3 && i != 17) covey_signals_close(s[i]);
  covey_signals_close(other);
}

static void ask_later(void *arg)
{
  (void)arg;
  test_pause(30);
  ask_myself();
}

TEST(signals, wake_who_waits)
{
  covey_signals *s = signals_subscribe(&(covey_signals_options){ASKED});
  for (int i = 0; i < 5; i++) {
    test_thread *t = test_thread_start(ask_later, NULL);
    expect_asked(s, 1);
    test_thread_join(t);
  }
  covey_signals_close(s);
}

/* ---- callbacks ---- */

typedef struct called {
  covey_signals *signals;
  int count, last;
  uint32_t sum;
  bool closes;
} called;

static void on_event(const covey_signal_event *event, void *user)
{
  called *c = user;
  c->count++;
  c->last = event->signal;
  c->sum += event->count;
  if (c->closes) covey_signals_close(c->signals);
}

static void dispatch_until(covey_loop *loop, covey_native handle, const called *c, uint32_t sum)
{
  while (c->sum < sum) {
    REQUIRE(test_handle_ready(handle, PATIENCE));
    REQUIRE_OK(covey_loop_dispatch(loop));
  }
}

TEST(signals, are_called_back_by_dispatch)
{
  called c = {0};
  covey_loop *loop = NULL;
  covey_native handle;
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  REQUIRE_OK(covey_loop_handle(loop, &handle));
  c.signals =
      signals_subscribe(&(covey_signals_options){ASKED, .loop = loop, .on_event = on_event, .user = &c});
  while (covey_loop_dispatch(loop) > 0) continue;
  for (int i = 0; i < 3; i++) ask_myself();
  CHECK_INT(c.count, 0);
  dispatch_until(loop, handle, &c, 3);
  CHECK_UINT(c.sum, 3);
  CHECK_INT(c.last, COVEY_SIGNAL_TERM);
  ask_myself(); /* a wait on that very object calls too */
  expect_asked(c.signals, 1);
  CHECK_UINT(c.sum, 4);
  c.closes = true;
  ask_myself();
  dispatch_until(loop, handle, &c, 5);
  REQUIRE_OK(covey_loop_dispatch(loop));
  covey_loop_close(loop);
}

typedef struct lent {
  uv_loop_t uv;
  uv_timer_t timer;
  called *called;
} lent;

static void ask_on_lent(uv_timer_t *timer)
{
  lent *l = timer->data;
  CHECK_ERR(covey_signals_next(l->called->signals, PATIENCE, NULL), COVEY_EDEADLK);
  ask_myself();
  uv_close((uv_handle_t *)timer, NULL);
}

TEST(signals, keep_a_lent_loop_going_and_are_called_back_there)
{
  lent l;
  called c = {.closes = true};
  covey_loop *loop = NULL;
  REQUIRE(uv_loop_init(&l.uv) == 0);
  REQUIRE_OK(covey_loop_attach(&l.uv, uv_version(), &loop));
  l.timer.data = &l;
  l.called = &c;
  c.signals =
      signals_subscribe(&(covey_signals_options){ASKED, .loop = loop, .on_event = on_event, .user = &c});
  REQUIRE(uv_timer_init(&l.uv, &l.timer) == 0);
  REQUIRE(uv_timer_start(&l.timer, ask_on_lent, 20, 0) == 0);
  CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0); /* until the subscription is closed */
  CHECK_INT(c.count, 1);
  covey_loop_close(loop);
  uv_run(&l.uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&l.uv), 0);
}

/* ---- many ---- */

enum { STORM = 10000 };

static void storm(void *arg)
{
  int number = *(const int *)arg;
  for (int i = 0; i < STORM; i++) raise(number);
}

TEST(signals, storms_are_counted)
{
  signals_needed();
  static const int numbers[] = {SIGUSR1, SIGUSR2};
  covey_signals *s =
      signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1, COVEY_SIGNAL_USR2)});
  test_thread *t[4];
  int64_t count[2] = {0, 0};
  for (int i = 0; i < 4; i++) t[i] = test_thread_start(storm, (void *)&numbers[i & 1]);
  while (count[0] < 2 * STORM || count[1] < 2 * STORM) {
    covey_signal_event e;
    REQUIRE_OK(covey_signals_next(s, PATIENCE, &e));
    count[e.signal == COVEY_SIGNAL_USR2] += e.count;
  }
  for (int i = 0; i < 4; i++) test_thread_join(t[i]);
  signals_expect_nothing(s);
  CHECK_INT(count[0], 2 * STORM);
  CHECK_INT(count[1], 2 * STORM);
  covey_signals_close(s);
}

static void open_and_close(void *arg)
{
  test_counter *stop = arg;
  while (!test_add(stop, 0)) {
    covey_signals *s =
        signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1, COVEY_SIGNAL_USR2)});
    covey_signals_next(s, 0, NULL);
    covey_signals_close(s);
  }
}

TEST(signals, storms_beside_open_and_close)
{
  signals_needed();
  test_counter stop = {0};
  covey_signals *s = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1)});
  test_thread *t[2];
  int64_t count = 0;
  for (int i = 0; i < 2; i++) t[i] = test_thread_start(open_and_close, &stop);
  for (int i = 0; i < STORM; i++) raise(SIGUSR1);
  test_add(&stop, 1);
  for (int i = 0; i < 2; i++) test_thread_join(t[i]);
  for (covey_signal_event e; covey_signals_next(s, 0, &e) == 0;) count += e.count;
  CHECK_INT(count, STORM);
  covey_signals_close(s);
}

TEST(signals, leak_nothing)
{
  for (int i = 0; i < 3; i++) covey_signals_close(signals_subscribe(NULL));
  test_pause(100); /* a pool of the system's, on Windows */
  test_no_handles_lost();
  for (int i = 0; i < 50; i++) {
    covey_signals *a = signals_subscribe(NULL),
                  *b = signals_subscribe(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_INT)});
    covey_signals_next(a, 0, NULL);
    covey_signals_close(a);
    covey_signals_close(b);
  }
}

/* Starting to hear, walked over all that can fail on the way: nothing stays behind. */
TEST(signals, a_failed_open_leaves_nothing)
{
  const char *before = test_dispositions();
  for (int i = 0; i < 2; i++) covey_signals_close(signals_subscribe(NULL));
  test_no_handles_lost();
  for (int kind = 0; kind < 2; kind++) {
    for (int64_t n = 1;; n++) {
      covey_signals *s = NULL;
      if (kind)
        cvy_mem_fail_after(n);
      else
        cvy_fault_after(CVOS_FAULT_NONE, n, 5);
      int r = covey_signals_open(NULL, &s);
      bool over = kind ? r == 0 : cvy_fault_seen() < n;
      cvy_mem_fail_after(0);
      cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
      if (r < 0) CHECK(s == NULL);
      covey_signals_close(s);
      CHECK_STR(test_dispositions(), before);
      if (over) {
        CHECK_OK(r);
        CHECK(n > 2);
        break;
      }
    }
  }
}
