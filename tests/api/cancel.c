/* Cancelling in a signal handler, on the very thread that waits, inside every call that waits, and inside every lock of the library. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/manager.h>
#include <covey/message.h>
#include <covey/node.h>
#include <covey/process.h>
#include <covey/signal.h>

#include "core/atomics.h"

#include <errno.h>
#include <signal.h>

enum { PATIENCE = 30000, TICKS = 30 };

#define ARGV(...) ((const char *const[]){test_helper(), __VA_ARGS__, NULL})

static covey_cancel *cancel;
static covey_process *process;
static uint32_t ticks, inside, spoilt; /* handlers run on any thread that waits */

/* Every millisecond; the call has begun to wait by the thirtieth. */
static void tick(void)
{
  int kept = errno;
  cvy_add_u32(&inside, 1);
  if (cvy_add_u32(&ticks, 1) >= TICKS) {
    errno = 4711;
    covey_cancel_fire(cancel);
    covey_process_cancel(process);
    if (errno != 4711) cvy_add_u32(&spoilt, 1);
  }
  cvy_add_u32(&inside, UINT32_MAX);
  errno = kept;
}

static void needs_signals(void)
{
  if (test_is_windows()) TEST_SKIP("no signal handlers");
}

static void begin(void)
{
  if (!cancel) REQUIRE_OK(covey_cancel_new(&cancel));
  covey_cancel_reset(cancel);
  cvy_store_seq_u32(&ticks, 0);
  test_interrupt_calls(tick);
  test_interrupt(true);
}

static bool nobody_inside(void *arg)
{
  (void)arg;
  return cvy_load_seq_u32(&inside) == 0;
}

static void end(void)
{
  test_interrupt(false);
  test_interrupt_calls(NULL);
  REQUIRE(test_wait_until(nobody_inside, NULL, PATIENCE));
  CHECK(cvy_load_seq_u32(&ticks) >= TICKS);
  CHECK_UINT(cvy_load_seq_u32(&spoilt), 0);
}

static covey_process *start(const char *behaviour, covey_loop *loop)
{
  covey_process *p = NULL;
  covey_process_options options = {
      .argv = ARGV(behaviour), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE, .loop = loop};
  char text[8];
  REQUIRE_OK(covey_spawn(&options, &p));
  for (int i = 0; i < 6; i++)
    REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, text, 1) == 1); /* ready */
  return p;
}

/* ---- waiting on a process ---- */

enum { WAIT, READ, WRITE, STOP, WAITS };

static void wait_on(int how, covey_loop *loop)
{
  static char data[65536];
  covey_process *p = start("ignore", loop);
  if (how == WRITE)
    while (covey_process_write(p, data, sizeof data, 0) > 0) continue;
  process = p;
  begin();
  switch (how) {
  case WAIT: CHECK_ERR(covey_process_wait(p, PATIENCE, NULL), COVEY_ECANCELED); break;
  case READ: CHECK_ERR(covey_process_read(p, COVEY_STDOUT, PATIENCE, data, 1), COVEY_ECANCELED); break;
  case WRITE: CHECK_ERR(covey_process_write(p, data, 1, PATIENCE), COVEY_ECANCELED); break;
  default: CHECK_ERR(covey_process_stop(p, COVEY_FOREVER, NULL), COVEY_ECANCELED);
  }
  end();
  process = NULL;
  covey_process_close(p);
}

TEST(cancel, in_a_handler_on_the_default_loop)
{
  needs_signals();
  for (int how = 0; how < WAITS; how++) wait_on(how, NULL);
}

TEST(cancel, in_a_handler_on_a_loop_without_a_thread)
{
  needs_signals();
  covey_loop *loop = NULL;
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  for (int how = 0; how < WAITS; how++) wait_on(how, loop);
  covey_loop_close(loop);
}

static void leads(void *arg)
{
  CHECK_ERR(covey_process_wait(arg, PATIENCE, NULL), COVEY_ECANCELED);
}

/* Another thread turns the loop; the one that has the handler may be either. */
TEST(cancel, in_a_handler_beside_a_leader)
{
  needs_signals();
  covey_process *other = start("hang", NULL);
  test_thread *t = test_thread_start(leads, other);
  for (int how = 0; how < WAITS; how++) wait_on(how, NULL);
  covey_process_cancel(other);
  test_thread_join(t);
  covey_process_close(other);
}

TEST(cancel, in_a_handler_during_a_run)
{
  needs_signals();
  covey_result result;
  begin();
  covey_process_options options = {
      .argv = ARGV("hang"), .out.kind = COVEY_STDIO_CAPTURE, .cancel = cancel, .timeout = PATIENCE};
  REQUIRE_OK(covey_run(&options, &result));
  end();
  CHECK_INT(result.exit.why, COVEY_WHY_CANCEL);
  covey_result_free(&result);
}

/* ---- messages ---- */

TEST(cancel, in_a_handler_during_a_receive)
{
  needs_signals();
  covey_message m;
  begin();
  CHECK_ERR(covey_message_receive(NULL, &(covey_receive_options){.timeout = PATIENCE, .cancel = cancel}, &m),
            COVEY_ECANCELED);
  end();
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(cancel, in_a_handler_during_a_send)
{
  needs_signals();
  static char data[65536];
  covey_message m;
  covey_process *nobody = start("hang", NULL), *full = NULL;
  covey_buffer buffer = {data, sizeof data};
  begin(); /* a process without a node */
  covey_send_options to = {.pid = covey_process_pid(nobody), .timeout = PATIENCE, .cancel = cancel};
  CHECK_ERR(covey_message_send(NULL, &to, &buffer, 1, NULL), COVEY_ECANCELED);
  end();
  covey_cancel_reset(cancel);
  /* a group without room */
  covey_process_options options = {.argv = ARGV("node-sink", test_format("%" PRId64, test_pid()))};
  REQUIRE_OK(covey_spawn(&options, &full));
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  covey_message_free(&m);
  to.pid = covey_process_pid(full);
  to.flags = COVEY_SEND_TRY;
  while (covey_message_send(NULL, &to, &buffer, 1, NULL) == 0) continue;
  begin();
  to.flags = 0;
  int r = 0;
  while (r == 0) r = covey_message_send(NULL, &to, &buffer, 1, NULL);
  CHECK_ERR(r, COVEY_ECANCELED);
  end();
  covey_process_close(nobody);
  covey_process_close(full);
  covey_node_close(NULL, PATIENCE);
}

/* ---- sets ---- */

TEST(cancel, in_a_handler_during_a_sweep)
{
  needs_signals();
  covey_manager *m = NULL;
  covey_member members[2];
  begin();
  test_interrupt(false);
  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN, .cancel = cancel}, &m));
  for (int i = 0; i < 2; i++)
    REQUIRE_OK(covey_manager_spawn(m, &(covey_process_options){.argv = ARGV("sleep", "60000")}, NULL));
  begin();
  CHECK_INT(covey_manager_wait_all(m, PATIENCE, members, 2), 2);
  end();
  for (int i = 0; i < 2; i++) CHECK_INT(members[i].result, COVEY_ECANCELED);
  covey_manager_free(m);
}

TEST(cancel, in_a_handler_while_waiting_for_signals)
{
  needs_signals();
  covey_signals *s = NULL;
  begin();
  covey_signals_options options = {.signals = (const int[]){COVEY_SIGNAL_HUP}, .count = 1, .cancel = cancel};
  REQUIRE_OK(covey_signals_open(&options, &s));
  CHECK_ERR(covey_signals_next(s, PATIENCE, NULL), COVEY_ECANCELED);
  end();
  covey_signals_close(s);
}

/* ---- inside the library ---- */

/* What takes locks, over and over, while the handler fires into it; whatever the calls answer, they answer. */
static void busy(covey_process *p, covey_loop *loop, int64_t ms)
{
  char text[64];
  covey_identity who;
  covey_receive_options receive = {.flags = COVEY_RECEIVE_TRY, .cancel = cancel};
  for (int64_t until = test_now() + ms; test_now() < until;) {
    covey_cancel *another = NULL;
    covey_signals *s = NULL;
    covey_message m;
    REQUIRE_OK(covey_cancel_new(&another));
    covey_signals_options options = {
        .signals = (const int[]){COVEY_SIGNAL_USR1}, .count = 1, .loop = loop, .cancel = another};
    REQUIRE_OK(covey_signals_open(&options, &s));
    raise(SIGINT);
    covey_signals_next(s, 0, NULL);
    covey_process_wait(p, 0, NULL);
    covey_process_read(p, COVEY_STDOUT, 0, text, sizeof text);
    covey_process_write(p, "x", 1, 0);
    covey_process_identity(p, &who);
    covey_send(NULL, test_pid(), NULL, "x", 1, 0);
    if (covey_message_receive(NULL, &receive, &m) == 0) covey_message_free(&m);
    covey_signals_close(s);
    covey_loop_dispatch(loop);
    covey_cancel_free(another);
  }
}

static void on_interrupt(int number)
{
  (void)number;
  tick();
}

TEST(cancel, in_a_handler_inside_the_locks)
{
  needs_signals();
  covey_loop *loop = NULL;
  REQUIRE(signal(SIGINT, on_interrupt) != SIG_ERR);
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  process = start("hang", loop);
  begin();
  busy(process, loop, test_is_long() ? 20000 : 1500);
  end();
  covey_process_close(process);
  process = NULL;
  covey_loop_close(loop);
  covey_node_close(NULL, PATIENCE);
}
