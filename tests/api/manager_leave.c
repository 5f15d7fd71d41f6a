/* Members that leave the set while others wait for them. */
#include "support/test.h"

#include <covey/manager.h>
#include <covey/process.h>

#include "loop/state.h"
#include "proc/process.h"

enum { ANY, ALL, STOP };

typedef struct waiting {
  covey_manager *manager;
  int way, result;
  covey_member member;
} waiting;

static void wait_inside(void *arg)
{
  waiting *w = arg;
  switch (w->way) {
  case ANY: w->result = covey_manager_wait_any(w->manager, COVEY_FOREVER, &w->member); break;
  case ALL: w->result = covey_manager_wait_all(w->manager, COVEY_FOREVER, &w->member, 1); break;
  default: w->result = covey_manager_stop_all(w->manager, 10 * TEST_SOON, &w->member, 1);
  }
}

static bool somebody_waits(void *arg)
{
  covey_loop *loop = arg;
  cvy_loop_lock(loop);
  bool waits = loop->waiters != NULL;
  cvy_loop_unlock(loop);
  return waits;
}

/* A child to which nobody but the set holds a reference ends as it leaves, whoever waits for it. */
static void leave(int way)
{
  covey_loop *loop;
  covey_manager *m;
  covey_process *p;
  char text[16];
  waiting w = {.way = way, .result = 1};
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.loop = loop, .flags = COVEY_MANAGER_PLAIN}, &m));
  REQUIRE_OK(covey_manager_spawn(
      m, &(covey_process_options){.argv = TEST_HELPER("ignore"), .out.kind = COVEY_STDIO_PIPE}, &p));
  int64_t pid = covey_process_pid(p);
  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, text, sizeof text) > 0); /* "ready" */
  covey_process_close(p);
  w.manager = m;
  test_thread *thread = test_thread_start(wait_inside, &w);
  REQUIRE(test_wait_until(somebody_waits, loop, TEST_SOON));
  CHECK_OK(covey_manager_remove(m, pid));
  test_thread_join(thread);
  if (way == ANY) {
    CHECK_ERR(w.result, COVEY_ENOTFOUND);
  } else {
    CHECK_INT(w.result, 0);
    CHECK_INT(w.member.pid, pid);
    CHECK_INT(w.member.ended, 1);
  }
  CHECK(test_process_gone(pid, TEST_SOON));
  covey_manager_free(m);
  covey_loop_close(loop);
}

TEST(manager_leave, ends_a_child_that_others_wait_for)
{
  int ways = test_is_windows() ? STOP : STOP + 1;  /* there it ends when it is asked */
  for (int way = 0; way < ways; way++) leave(way); /* what the system keeps of threads */
  test_no_child_handles_lost();
  for (int way = 0; way < ways; way++) leave(way);
}
