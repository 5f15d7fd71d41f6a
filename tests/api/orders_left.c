/* What is left behind: handles that are closed while the system refuses what that takes, loops that are closed while something is under way, loops that are
 * turned late. */
#include "support/test.h"

#include <covey/find.h>
#include <covey/loop.h>
#include <covey/message.h>
#include <covey/node.h>
#include <covey/process.h>

#include "core/fault.h"
#include "core/mem.h"

#include <string.h>

static covey_loop *open_loop(uint32_t flags)
{
  covey_loop *loop = NULL;

  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = flags}, &loop));
  return loop;
}

static covey_process *start(const covey_process_options *options)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(options, &p));
  return p;
}

/* ---- a close that cannot hand over ---- */

/* Closes p while the n-th allocation (or else system call) of this thread fails; whether there was one. */
static bool close_without(covey_process *p, int64_t n, bool memory)
{
  int64_t begin = test_now();
  bool met;

  if (memory)
    cvy_mem_fail_after(n);
  else
    cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 24); /* no resources, EMFILE */
  covey_process_close(p);
  met = memory ? n <= 20 : cvy_fault_seen() >= n;
  cvy_mem_fail_after(0);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  CHECK(test_now() - begin < 800); /* it never waits */
  return met;
}

static void walk(int scope, bool detach)
{
  covey_native handle;

  if (test_has_thread_checker()) TEST_SKIP("it takes the numbers of closed loops for those loops");
  /* whoever comes turns the default loop: so the failure meets the work there too */
  REQUIRE_OK(covey_loop_handle(NULL, &handle));
  for (int memory = 0; memory < 2; memory++) {
    bool met = true;

    for (int64_t n = 1; met && n < 100; n++) {
      covey_loop *loop = open_loop(0);
      covey_process *p =
          start(&(covey_process_options){.argv = TEST_HELPER("hang"), .scope = scope, .loop = loop});
      int64_t pid = covey_process_pid(p);

      if (detach) CHECK_OK(covey_process_detach(p));
      met = close_without(p, n, memory);
      CHECK_OK(covey_loop_dispatch(NULL));
      covey_loop_close(loop);
      if (detach || scope == COVEY_SCOPE_DETACHED) {
        if (test_process_gone(pid, 100))
          TEST_FAIL("it was let go, and killed: %s %lld", memory ? "allocation" : "call", (long long)n);
        test_process_kill(pid);
      }
      for (int64_t end = test_now() + TEST_SOON; test_process_alive(pid) && test_now() < end; test_pause(1))
        CHECK_OK(covey_loop_dispatch(NULL));
      if (!test_process_gone(pid, 0))
        TEST_FAIL("it is still there: %s %lld", memory ? "allocation" : "call", (long long)n);
      test_process_reap(pid);
    }
  }
}

TEST_LIMIT(orders, closed_for_want_of_everything, 120)
{
  walk(COVEY_SCOPE_TREE, false);
}

TEST_LIMIT(orders, let_go_for_want_of_everything, 120)
{
  walk(COVEY_SCOPE_TREE, true);
}

TEST_LIMIT(orders, detached_for_want_of_everything, 120)
{
  walk(COVEY_SCOPE_DETACHED, false);
}

/* ---- a loop that is closed ---- */

static void never_told(void *user, covey_process *process, const covey_failure *failure)
{
  (void)failure;
  covey_process_close(process);
  *(bool *)user = true;
}

#define SLEEP 500000000 /* ms, and our pid: by this they are known */

static bool sleeps(void *arg)
{
  covey_find_options o = {.command = test_format("sleep %lld", SLEEP + (long long)test_pid())};
  covey_find_result r;
  bool any;

  if (covey_find(&o, &r) < 0) return false;
  any = r.count != 0;
  covey_find_free(&r);
  return any == *(bool *)arg;
}

/* Nobody can be told any more: what was started goes with the loop. */
TEST_LIMIT(orders, a_start_whose_loop_is_closed, 120)
{
  static const uint32_t flags[] = {0, COVEY_LOOP_NO_THREAD};
  const char *word = test_format("%lld", SLEEP + (long long)test_pid());
  bool yes = true, no = false;

  if (test_has_thread_checker()) TEST_SKIP("it takes the numbers of closed loops for those loops");

  test_no_child_handles_lost();
  for (int i = 0; i < 4; i++) {
    covey_loop *loop = open_loop(flags[i % 2]);
    bool told = false;

    REQUIRE_OK(covey_spawn_start(&(covey_process_options){.argv = TEST_HELPER("sleep", word), .loop = loop},
                                 never_told, &told, NULL));
    if (i < 2) REQUIRE(test_wait_until(sleeps, &yes, TEST_SOON));
    covey_loop_close(loop);
    CHECK(!told);
    CHECK(test_wait_until(sleeps, &no, TEST_SOON));
  }
}

/* ---- a loop that is turned late ---- */

/* A child that hears our connection but does not follow, and would follow the system's request. */
static covey_process *deaf_child(covey_node *node, const covey_stop_step *steps, size_t count)
{
  covey_process *p = NULL;
  covey_message m;

  REQUIRE_OK(covey_node_spawn(
      node,
      &(covey_process_options){.argv = TEST_HELPER("node-sink", test_format("%lld", (long long)test_pid())),
                               .ladder = count ? steps : NULL,
                               .ladder_count = count},
      &p));
  REQUIRE_OK(covey_receive(node, "back", TEST_SOON, &m));
  covey_message_free(&m);
  return p;
}

TEST(orders, who_is_asked_late_is_asked_all_the_same)
{
  static const covey_stop_step steps[] = {{COVEY_STOP_ASK, 0, 800}, {.action = COVEY_STOP_KILL}};
  covey_loop *loop = open_loop(COVEY_LOOP_NO_THREAD);
  covey_node *node = NULL;
  covey_exit e = {0};

  if (test_is_windows()) TEST_SKIP("there is nothing to ask a console program by under wine");
  REQUIRE_OK(covey_node_open(&(covey_node_options){.loop = loop}, &node));
  REQUIRE_OK(covey_group_open(node, "back", NULL));
  for (int i = 0; i < 2; i++) {
    covey_process *p = deaf_child(node, steps, i ? 2 : 0);

    REQUIRE_OK(covey_process_stop_start(p, i ? COVEY_FOREVER : 800));
    test_pause(1000); /* nobody turns the loop: both times have passed when somebody does */
    REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
    CHECK_INT(e.why, COVEY_WHY_STOP);
    CHECK_INT(e.signal, COVEY_SIGNAL_TERM);
    covey_process_close(p);
  }
  /* a caller without patience is not made to wait */
  covey_process *p = deaf_child(node, NULL, 0);
  REQUIRE_OK(covey_process_stop_start(p, TEST_SOON));
  REQUIRE_OK(covey_process_stop(p, 50, &e));
  CHECK_INT(e.why, COVEY_WHY_KILL);
  covey_process_close(p);
  CHECK_OK(covey_node_close(node, TEST_SOON));
  covey_loop_close(loop);
}
