/* Every allocation and every system call of our thread is made to fail once: an error with a reason, nothing lost, and the next try works. */
#include "support/test.h"

#include <covey/message.h>

#include "core/fault.h"
#include "core/mem.h"

enum { PATIENCE = 30000, PATIENT_FAR = 2000 };

typedef struct pair {
  covey_node *a, *b;
  const char *to;
} pair;

static void pair_open(pair *p)
{
  covey_node_options oa = {.name = test_format("fa-%" PRId64, test_pid())};
  covey_node_options ob = {.name = test_format("fb-%" PRId64, test_pid())};
  p->to = ob.name;
  REQUIRE_OK(covey_node_open(&oa, &p->a));
  REQUIRE_OK(covey_node_open(&ob, &p->b));
}

static void pair_close(pair *p)
{
  CHECK_OK(covey_node_close(p->a, PATIENCE));
  CHECK_OK(covey_node_close(p->b, PATIENCE));
}

static int open_one(pair *p)
{
  covey_node_options options = {.name = test_format("fx-%" PRId64, test_pid())};
  covey_node *node = NULL;
  (void)p;
  int r = covey_node_open(&options, &node);
  if (r < 0) CHECK(node == NULL);
  if (r == 0) CHECK_OK(covey_node_close(node, PATIENCE));
  return r;
}

static int first_contact(pair *p)
{
  covey_send_options to = {.name = p->to, .timeout = PATIENT_FAR};
  return covey_message_send(p->a, &to, &(covey_buffer){"x", 1}, 1, NULL);
}

static int large(pair *p)
{
  static char data[1000000];
  covey_send_options to = {.name = p->to, .group = "faults", .timeout = PATIENT_FAR};
  return covey_message_send(p->a, &to, &(covey_buffer){data, sizeof data}, 1, NULL);
}

static int open_group(pair *p)
{
  int r = covey_group_open(p->b, "passing", NULL);
  if (r == 0) CHECK_OK(covey_group_close(p->b, "passing"));
  return r;
}

static int to_ourselves(pair *p)
{
  covey_message m;
  covey_send_options to = {.name = p->to, .timeout = PATIENT_FAR};
  int r = covey_message_send(p->b, &to, &(covey_buffer){"x", 1}, 1, NULL);
  if (r < 0) return r;
  r = covey_receive(p->b, NULL, PATIENT_FAR, &m);
  if (r == 0) covey_message_free(&m);
  return r;
}

static int receive(pair *p)
{
  covey_message m;
  int r = first_contact(p);
  if (r < 0) return r;
  r = covey_receive(p->b, NULL, PATIENT_FAR, &m);
  if (r == 0) covey_message_free(&m);
  return r;
}

static void empty(covey_node *node)
{
  covey_message m;
  while (covey_receive(node, COVEY_ANY_GROUP, 0, &m) == 0) covey_message_free(&m);
}

/* Walks over operation: each allocation (memory) or system call of this thread fails once. */
static void walk(int (*operation)(pair *), bool memory, bool fresh)
{
  pair p = {0};
  int failures = 0;
  pair_open(&p);
  REQUIRE_OK(covey_group_open(p.b, "faults", NULL));
  for (int64_t n = 1; n < 400; n++) {
    if (memory)
      cvy_mem_fail_after(n);
    else
      cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 12);
    int r = operation(&p);
    int64_t seen = cvy_fault_seen();
    cvy_mem_fail_after(0);
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r < 0) {
      failures++;
      CHECK_INT(covey_last_failure()->code, r);
    }
    empty(p.b);
    if (fresh) { /* what is made once is made again */
      pair_close(&p);
      pair_open(&p);
      REQUIRE_OK(covey_group_open(p.b, "faults", NULL));
    } else {
      if (operation(&p) < 0) {
        TEST_FAIL("not whole after failure %" PRId64 " (%s): %s: %s", n, covey_errname(r),
                  covey_errname(covey_last_failure()->code), covey_last_failure()->what);
      }
      empty(p.b);
    }
    if (!memory && seen < n) break;
    if (memory && r == 0 && n > 60) break;
  }
  test_log("%d failures", failures);
  pair_close(&p);
}

TEST_LIMIT(node_faults, memory_of_opening, 120)
{
  walk(open_one, true, false);
}
TEST_LIMIT(node_faults, memory_of_first_contact, 120)
{
  walk(first_contact, true, true);
}
TEST_LIMIT(node_faults, memory_of_a_large_message, 120)
{
  walk(large, true, false);
}
TEST_LIMIT(node_faults, memory_of_groups, 120)
{
  walk(open_group, true, false);
}
TEST_LIMIT(node_faults, memory_of_ourselves, 120)
{
  walk(to_ourselves, true, false);
}
TEST_LIMIT(node_faults, memory_of_receiving, 120)
{
  walk(receive, true, false);
}
TEST_LIMIT(node_faults, calls_of_opening, 120)
{
  walk(open_one, false, false);
}
TEST_LIMIT(node_faults, calls_of_first_contact, 120)
{
  walk(first_contact, false, true);
}
TEST_LIMIT(node_faults, calls_of_a_large_message, 120)
{
  walk(large, false, false);
}
TEST_LIMIT(node_faults, calls_of_receiving, 120)
{
  walk(receive, false, false);
}
