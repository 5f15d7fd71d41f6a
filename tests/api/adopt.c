/* Processes that are not ours: what is known of their ends. */
#include "support/test.h"

#include <covey/process.h>

static covey_process *adopt(int64_t pid)
{
  covey_process *p = NULL;
  REQUIRE_OK(covey_process_adopt(pid, 0, NULL, &p));
  return p;
}

/* A child of this program that it has started by other means tells its exit code, and stays the program's to reap. */
TEST(adopt, our_own_by_other_means)
{
  static const char *const ways[] = {"sleep", "hang"};
  test_no_child_handles_lost();
  for (int killed = 0; killed < 2; killed++) {
    int64_t pid = test_start(TEST_HELPER(ways[killed], "1500"));
    covey_process *p = adopt(pid);
    covey_exit e;
    if (killed) CHECK_OK(covey_process_kill(p));
    REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
    CHECK_INT(e.how, killed ? COVEY_HOW_SIGNALLED : COVEY_HOW_EXITED);
    CHECK_INT(e.why, killed ? COVEY_WHY_KILL : COVEY_WHY_SELF);
    CHECK_UINT(e.code, killed ? 137 : 0);
    CHECK(test_process_ended(pid, TEST_SOON));
    covey_process_close(p);
  }
}

/* It has no tree that would be ours to speak to. */
TEST(adopt, means_the_process_alone)
{
  covey_usage u;
  int64_t pid = test_start(TEST_HELPER("hang"));
  covey_process *p = adopt(pid);
  CHECK_ERR(covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_TREE), COVEY_ENOTSUP);
  CHECK_INT(covey_last_failure()->system, 0);
  CHECK_ERR(covey_process_usage(p, COVEY_TARGET_TREE, &u), COVEY_ENOTSUP);
  CHECK_INT(covey_last_failure()->system, 0);
  CHECK(test_process_alive(pid));
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK(test_process_ended(pid, TEST_SOON));
  covey_process_close(p);
}
