/* Processes that are not ours: what is known of their ends. */
#include "process_words.h"

#include "support/test.h"

#include <covey/loop.h>
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

/* Their parent does not reap them: whether it will is not waited for by whoever turns the loop. */
TEST(adopt, many_that_nobody_reaps)
{
  enum { MANY = 40 };
  covey_process *parent, *p[MANY];
  covey_loop *loop = NULL;
  int64_t longest = 0, end = test_now() + TEST_SOON;
  covey_exit e;

  if (test_is_windows()) TEST_SKIP("there is nothing to be reaped");
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  parent = process_spawn_piped(TEST_HELPER("tree", "1", "40"));
  (void)process_read_line(parent);
  for (int i = 0; i < MANY; i++) {
    int64_t pid = strtoll(process_read_line(parent), NULL, 10);

    REQUIRE_OK(covey_process_adopt(pid, 0, loop, &p[i]));
  }
  for (int i = 0; i < MANY; i++) CHECK_OK(covey_process_kill(p[i]));
  for (int i = 0; i < MANY; i++) CHECK(test_process_gone(covey_process_pid(p[i]), TEST_SOON));
  CHECK_OK(covey_process_stop_start(p[0], 5000)); /* too late to be the reason */
  CHECK_ERR(covey_process_signal(p[0], COVEY_SIGNAL_USR1, COVEY_TARGET_LEADER), COVEY_ENOTFOUND);
  for (int i = 0; i < MANY && test_now() < end;) {
    int64_t begin = test_now();

    CHECK_OK(covey_loop_dispatch(loop));
    if (test_now() - begin > longest) longest = test_now() - begin;
    while (i < MANY && covey_process_wait(p[i], 0, &e) == 0) {
      CHECK_INT(e.why, COVEY_WHY_KILL);
      covey_process_close(p[i++]);
      end = i == MANY ? 0 : end;
    }
    test_pause(1);
  }
  CHECK_INT(end, 0);
  CHECK(longest < 200);
  covey_process_close(parent);
  covey_loop_close(loop);
}
