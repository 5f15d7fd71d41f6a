#include "support/test.h"

/* Tests that must fail, each in its own way, run by tests/unit/support.c to see that the runners notice. */

static bool first, second, failed, in_the_child; /* false, all of them */

TEST(good, passes)
{
  test_no_handles_lost();
  CHECK(1 + 1 == 2);
  CHECK_INT(-1, -1);
  CHECK_UINT(UINT64_MAX, UINT64_MAX);
  CHECK_STR("a", "a");
  CHECK_MEM("abc", "abd", 2);
  CHECK_OK(3);
  CHECK_ERR(COVEY_EPROTO, COVEY_EPROTO);
  test_write_file(test_format("%s/file", test_temp_dir()), "x", 1);
}

TEST(good, skips)
{
  TEST_SKIP("for a reason");
}

TEST(bad, check)
{
  CHECK(1 + 1 == 3);
  test_log("went on");
}

TEST(bad, require)
{
  REQUIRE(1 + 1 == 3);
  test_log("went on");
}

TEST(bad, texts)
{
  CHECK_INT(2, -3);
  CHECK_UINT(2, 17);
  CHECK_STR("left", "right");
  CHECK_STR("left", NULL);
  CHECK_MEM("same", "some", 4);
  CHECK_ERR(COVEY_EPROTO, COVEY_ESTALE);
  CHECK_OK(COVEY_EUNSAFE);
  TEST_FAIL("number %d", 42);
}

static void fails(void *arg)
{
  (void)arg;
  CHECK(first);
  REQUIRE(second);
  test_log("went on");
}

TEST(bad, thread)
{
  test_thread *threads[4];
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(fails, NULL);
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  CHECK_INT(test_failures(), 8);
  test_log("all joined");
}

TEST(bad, skip_after_failure)
{
  CHECK(failed);
  TEST_SKIP("too late");
}

TEST(bad, exit_zero)
{
  exit(0);
}

TEST(bad, exit_at_once)
{
  test_system_exit(0);
}

TEST(bad, aborts)
{
  abort();
}

TEST(bad, crashes)
{
  static volatile uintptr_t address = 8; /* so that no compiler sees it */
  volatile int *nowhere = (volatile int *)address;
  *nowhere = 1;
}

TEST_LIMIT(bad, hangs, 2)
{
  test_pause(60000);
}

TEST(bad, forked_check)
{
  int64_t pid = test_fork();
  if (pid < 0) TEST_SKIP("no fork here");
  if (pid == 0) REQUIRE(in_the_child);
  test_process_gone(pid, 10000);
}

TEST(bad, forked_return)
{
  int64_t pid = test_fork();
  if (pid < 0) TEST_SKIP("no fork here");
  if (pid > 0) test_process_gone(pid, 10000);
}

TEST(bad, loses_handle)
{
  test_no_handles_lost();
  if (!fopen(test_program(), "rb")) TEST_SKIP("cannot open it");
}

TEST(bad, leaves_process)
{
  const char *argv[] = {test_helper(), "daemon", "exit", NULL};
  CHECK_INT(test_run(argv, 20000).code, 0);
}

TEST(bad, leaves_child)
{
  const char *argv[] = {test_helper(), "hang", NULL};
  CHECK(test_process_alive(test_start(argv)));
}

TEST(bad, leaks)
{
  void *volatile p = malloc(1000);
  if (!p) abort();
  p = NULL;
}
