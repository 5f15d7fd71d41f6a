/* What becomes of those that a child started, whatever they do to get away. */
#include "support/test.h"

#include <covey/process.h>

enum { GONE = 20000 };

/* Starts the helper, which starts one that makes a session of its own and has no parent left; ret_pid is that one's. */
static covey_process *start_with_escapee_as(uint32_t flags, const covey_launch *launch, int64_t *ret_pid)
{
  covey_process_options o = {
      .argv = TEST_HELPER("daemon"), .out.kind = COVEY_STDIO_PIPE, .flags = flags, .launch = launch};
  covey_process *p;
  char text[32] = "";
  size_t size = 0;
  REQUIRE_OK(covey_spawn(&o, &p));
  while (!strchr(text, '\n')) {
    int n = covey_process_read(p, COVEY_STDOUT, GONE, text + size, sizeof text - 1 - size);
    REQUIRE_OK(n);
    REQUIRE(n > 0);
    size += (size_t)n;
  }
  *ret_pid = strtoll(text, NULL, 10);
  REQUIRE(test_process_alive(*ret_pid));
  return p;
}

static covey_process *start_with_escapee(int64_t *ret_pid)
{
  return start_with_escapee_as(0, NULL, ret_pid);
}

static void need_kernel(void)
{
  if (!(covey_caps() & COVEY_CAP_TREE_KERNEL)) TEST_SKIP("no control group here that is ours to divide");
}

TEST(process_tree, an_escapee_ends_with_the_handle)
{
  int64_t pid;
  need_kernel();
  covey_process_close(start_with_escapee(&pid));
  CHECK(test_process_gone(pid, GONE));
}

TEST(process_tree, an_escapee_ends_by_kill)
{
  int64_t pid;
  need_kernel();
  covey_process *p = start_with_escapee(&pid);
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, GONE, NULL));
  CHECK(test_process_gone(pid, GONE));
  covey_process_close(p);
}

TEST(process_tree, an_escapee_ends_by_stop)
{
  int64_t pid;
  need_kernel();
  covey_process *p = start_with_escapee(&pid);
  CHECK_OK(covey_process_stop(p, 100, NULL));
  covey_process_close(p);
  CHECK(test_process_gone(pid, GONE));
}

/* Untied, so that no control group holds it. */
static bool ends_by_kill(const covey_launch *launch, int64_t within)
{
  int64_t pid;
  covey_process *p = start_with_escapee_as(COVEY_PROCESS_UNTIED, launch, &pid);
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, GONE, NULL));
  bool gone = test_process_gone(pid, within);
  if (!gone) test_process_kill(pid);
  covey_process_close(p);
  return gone;
}

TEST(process_tree, a_subreaper_loses_nobody)
{
  const covey_launch launch = {.flags = COVEY_LAUNCH_SUBREAPER};
  covey_process_options o = {.argv = TEST_HELPER("nothing"), .launch = &launch};

  if (covey_run(&o, NULL) == COVEY_ENOTSUP) TEST_SKIP("this system has no subreapers");
  CHECK(ends_by_kill(&launch, GONE));
  if (!test_is_windows()) CHECK(!ends_by_kill(NULL, 200));
}

TEST(process_tree, who_is_let_go_goes_on)
{
  int64_t pid;
  covey_process *p = start_with_escapee(&pid);
  int64_t leader = covey_process_pid(p);
  CHECK_OK(covey_process_detach(p));
  covey_process_close(p);
  CHECK(!test_process_gone(pid, 300));
  CHECK(test_process_alive(leader));
  test_process_kill(pid);
  test_process_kill(leader);
  CHECK(test_process_gone(pid, GONE));
  CHECK(test_process_gone(leader, GONE));
}

static bool nobody_hears(void *p)
{
  return covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_TREE) == COVEY_ENOTFOUND;
}

/* A leader that has ended is nobody, also while its number is still kept. */
TEST(process_tree, nobody_is_left_to_hear)
{
  static const int signals[] = {COVEY_SIGNAL_TERM, COVEY_SIGNAL_STOP, COVEY_SIGNAL_CONT, COVEY_SIGNAL_KILL};
  covey_process *p;
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing")}, &p));
  CHECK_OK(covey_process_wait(p, GONE, NULL));
  CHECK(test_wait_until(nobody_hears, p, GONE)); /* wine: the host of its console is a member, for a moment */
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    CHECK_ERR(covey_process_signal(p, signals[i], COVEY_TARGET_TREE), COVEY_ENOTFOUND);
    CHECK_INT(covey_last_failure()->system, 0);
  }
  CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_LEADER), COVEY_ENOTFOUND);
  CHECK_OK(covey_process_kill(p)); /* this one is for ends, whoever has brought them about */
  covey_process_close(p);
}

TEST(process_tree, who_is_left_hears)
{
  int64_t pid;
  need_kernel();
  covey_process *p = start_with_escapee(&pid);
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_LEADER));
  CHECK_OK(covey_process_wait(p, GONE, NULL));
  CHECK(test_process_alive(pid));
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_TREE));
  CHECK(test_process_gone(pid, GONE));
  covey_process_close(p);
}
