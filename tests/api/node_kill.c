/* Senders and receivers that are killed in the middle: no hang, no half message, nothing out of order. */
#include "support/test.h"

#include <covey/message.h>

enum { PATIENCE = 30000, SMALL = 5000, LARGE = 150000 };

static int rounds(void)
{
  return test_is_windows() || test_is_slow() ? 8 : 40;
}

static int64_t start(const char *a, const char *b, const char *c, const char *d)
{
  const char *argv[] = {test_helper(), a, test_format("%" PRId64, test_pid()), b, c, d, NULL};
  return test_start(argv);
}

/* Receives what is there, at most most; each must be whole and the next one. */
static int take(int64_t pid, uint64_t *next, size_t size, int most, int64_t timeout)
{
  static uint8_t wanted[LARGE];
  covey_message m;
  int n = 0;
  while (n < most && covey_receive(NULL, NULL, timeout, &m) == 0) {
    test_make_pattern(wanted, size, (*next)++);
    CHECK_INT(m.from.pid, pid);
    CHECK_UINT(m.size, size);
    CHECK_MEM(m.data, wanted, m.size < size ? m.size : size);
    covey_message_free(&m);
    n++;
  }
  return n;
}

static void kill_sender(size_t size)
{
  for (int i = 0; i < rounds(); i++) {
    uint64_t next = 0;
    int64_t pid = start("node-send", "-", "1000000", test_format("%zu", size));
    CHECK_INT(take(pid, &next, size, i * 3 + 1, PATIENCE), i * 3 + 1);
    test_process_kill(pid);
    CHECK(test_process_ended(pid, PATIENCE));
    int r = covey_send(NULL, pid, NULL, "x", 1, PATIENCE);
    CHECK(r == COVEY_ENOPEER || r == COVEY_EPEERCHANGED); /* on a busy machine its number may be another's */
    take(pid, &next, size, INT_MAX, 0);                   /* what it had sent before */
  }
}

TEST_LIMIT(node_kill, senders_of_small_ones, 120)
{
  kill_sender(SMALL);
}

TEST_LIMIT(node_kill, senders_of_large_ones, 120)
{
  kill_sender(LARGE);
}

TEST_LIMIT(node_kill, receivers, 120)
{
  static char data[LARGE];
  covey_message m;
  for (int i = 0; i < rounds(); i++) {
    int64_t pid = start("node-count", "work", "1000000", "0");
    REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
    covey_message_free(&m);
    int r = 0, n = 0;
    while (r == 0) {
      if (n++ == i * 5) test_process_kill(pid);
      r = covey_send(NULL, pid, "work", data, i % 2 ? SMALL : LARGE, PATIENCE);
    }
    CHECK(r == COVEY_ENOPEER || r == COVEY_EPEERDIED);
    if (r == COVEY_ENOPEER) CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
    if (r == COVEY_EPEERDIED) CHECK_INT(covey_last_failure()->reached, COVEY_FAR_MAYBE);
    CHECK(test_process_ended(pid, PATIENCE));
  }
}
