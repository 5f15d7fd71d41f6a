/* Senders and receivers that die at each step of a message's way, and of a connection's life (CVY_STEPS): nothing hangs, what was told to have gone arrives, what
 * arrives is whole and in order, and the survivor goes on. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"

#include <covey/message.h>
#include <covey/process.h>

enum { PATIENCE = 60000, COUNT = 23, LARGEST = 300000 };

/* In all: 10,000 where there is much time. */
static int rounds(void)
{
  if (test_is_windows()) return test_is_long() ? 320 : 16;
  return test_is_long() ? 5000 : test_is_slow() ? 32 : 160;
}

static covey_process *start(const char *const *argv)
{
  covey_process *p;
  covey_process_options options = {.argv = argv, .out.kind = COVEY_STDIO_CAPTURE};
  REQUIRE_OK(covey_spawn(&options, &p));
  return p;
}

/* What it has written: a byte for each message. */
static int told(covey_process *p)
{
  char data[256];
  int all = 0;
  for (int n; (n = covey_process_read(p, COVEY_STDOUT, 0, data, sizeof data)) > 0;) all += n;
  return all;
}

static bool is_connected(int64_t pid)
{
  static covey_peer_description d[64];
  int count = covey_node_peers(NULL, d, 64);
  REQUIRE(count >= 0 && count <= 64);
  for (int i = 0; i < count; i++) {
    if (d[i].identity.pid == pid) return true;
  }
  return false;
}

/* Each message has brought one to three handles; on Windows they are there as long as their sender is. */
static void take_handles(covey_message *m, int n)
{
  covey_native handle;
  CHECK_UINT(m->handle_count, 1 + (uint32_t)n % 3);
  int r = covey_message_take(m, (uint32_t)n % m->handle_count, &handle);
  if (r == 0)
    cvos_handle_close(handle);
  else if (!test_is_windows() || r != COVEY_ENOTFOUND)
    CHECK_OK(r);
}

static const char *part; /* for step-send; NULL: without handles */

/* One message that must be the n-th of pid's; false: none came in time. */
static bool take(int64_t pid, int n, size_t size, int64_t timeout)
{
  covey_message m;
  int r = covey_receive(NULL, "step", timeout, &m);
  if (r == COVEY_ETIMEDOUT) return false;
  REQUIRE_OK(r);
  CHECK_INT(m.from.pid, pid);
  CHECK_UINT(m.size, size);
  CHECK(m.size == size && test_is_pattern(m.data, m.size, (uint64_t)n));
  if (part) take_handles(&m, n);
  covey_message_free(&m);
  return true;
}

static int died; /* of the processes that were to */

static void sender_dies(int step, int n, size_t size)
{
  const char *argv[] = {test_helper(),
                        "step-send",
                        test_format("%" PRId64, test_pid()),
                        test_format("%d", COUNT),
                        test_format("%zu", size),
                        test_format("%d", step),
                        test_format("%d", n),
                        part,
                        NULL};
  covey_process *p = start(argv);
  covey_exit how;
  int64_t pid = covey_process_pid(p), limit = test_now() + PATIENCE;
  int got = 0;
  while (covey_process_wait(p, 0, &how) == COVEY_ETIMEDOUT || is_connected(pid)) {
    if (take(pid, got, size, 2)) got++;
    REQUIRE(test_now() < limit);
  }
  while (take(pid, got, size, 0)) got++;
  int went = told(p);
  if (got < went || got > went + 5) {
    TEST_FAIL("step %d, time %d, %zu bytes: %d are told to have gone, %d arrived", step, n, size, went, got);
  }
  if (how.code == 0) CHECK_INT(got, went);
  died += how.code != 0;
  covey_process_close(p);
}

TEST_LIMIT(node_step, senders_that_die, 600)
{
  static const size_t sizes[] = {0, 100, 40000, LARGEST};
  REQUIRE_OK(covey_group_open(NULL, "step", NULL));
  for (int i = 0; i < rounds(); i++) {
    sender_dies(i % CVY_STEP_COUNT, 1 + (int)test_random(12), sizes[test_random(4)]);
  }
  CHECK(died > rounds() / 8);
  covey_statistics s;
  REQUIRE_OK(covey_node_statistics(NULL, &s));
  CHECK_UINT(s.waiting, 0);
  CHECK_UINT(s.broken, 0);
  CHECK_UINT(s.memory, 0); /* all that was lent has come back */
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

/* In the middle of the frame that tells of handles, between it and its message, and anywhere else: what came of them is given back. */
TEST_LIMIT(node_step, senders_of_handles_that_die, 600)
{
  static const size_t sizes[] = {0, 100, 3000};
  static const char *const parts[] = {"0", "7", "24", "1000"};
  REQUIRE_OK(covey_group_open(NULL, "step", &(covey_group_options){.handles = 1}));
  for (int i = 0; i < rounds(); i++) {
    part = parts[test_random(4)];
    if (i == 2) test_no_child_handles_lost();
    sender_dies(i % 4 ? (int)test_random(4) : (int)test_random(CVY_STEP_COUNT),
                1 + (int)test_random(*part == '7' ? 120 : 40), sizes[test_random(3)]);
  }
  CHECK(died > rounds() / 8);
  covey_statistics s;
  REQUIRE_OK(covey_node_statistics(NULL, &s));
  CHECK_UINT(s.waiting + s.broken + s.memory, 0);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

static void receiver_dies(int step, int n, size_t size)
{
  static char data[LARGEST];
  const char *argv[] = {test_helper(),           "step-receive",       test_format("%" PRId64, test_pid()),
                        test_format("%d", step), test_format("%d", n), NULL};
  covey_process *p = start(argv);
  covey_exit how;
  covey_message m;
  int64_t pid = covey_process_pid(p), limit = test_now() + PATIENCE;
  int r, sent = 0, consumed = 0;
  while ((r = covey_receive(NULL, "ready", 20, &m)) == COVEY_ETIMEDOUT) {
    if (covey_process_wait(p, 0, &how) == 0) break; /* before it could say so */
    REQUIRE(test_now() < limit);
  }
  if (r == 0) covey_message_free(&m);
  covey_send_options to = {.pid = pid, .group = "step", .timeout = PATIENCE};
  for (r = 0; r == 0 && sent < COUNT; sent += r == 0) {
    to.level = sent % 3 == 2 ? COVEY_LEVEL_CONSUMED : COVEY_LEVEL_SENT;
    r = covey_message_send(NULL, &to, &(covey_buffer){data, size}, 1, NULL);
    if (r == 0 && to.level == COVEY_LEVEL_CONSUMED) consumed = sent + 1;
  }
  if (r < 0 && r != COVEY_ENOPEER && r != COVEY_EPEERDIED)
    TEST_FAIL("step %d, time %d, %zu bytes: %s", step, n, size, covey_errname(r));
  to.level = COVEY_LEVEL_SENT;
  if (r == 0) covey_message_send(NULL, &to, NULL, 0, NULL); /* the end; or it dies meanwhile */
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &how));
  CHECK(told(p) + 1 >= consumed);
  died += how.code != 0;
  CHECK(test_now() < limit);
  covey_process_close(p);
  while (covey_receive(NULL, "ready", 0, &m) == 0) covey_message_free(&m);
}

TEST_LIMIT(node_step, receivers_that_die, 600)
{
  static const size_t sizes[] = {1, 100, 40000, LARGEST};
  for (int i = 0; i < rounds(); i++) {
    receiver_dies(i % CVY_STEP_COUNT, 1 + (int)test_random(12), sizes[test_random(4)]);
  }
  for (int i = 0; covey_node_peers(NULL, NULL, 0) > 0 && i < 1000; i++) test_pause(10);
  CHECK(died > rounds() / 8);
  covey_statistics s;
  REQUIRE_OK(covey_node_statistics(NULL, &s));
  CHECK_UINT(s.unsent + s.waiting + s.memory + s.broken, 0);
}
