#include "support/test.h"

/* The runners themselves: tests/inner holds tests that must fail, and here it is seen that they do, over both runners. */

static test_ended run_inner(const char *program, const char *name)
{
  const char *argv[] = {test_program_beside(program), "--filter", name, NULL};
  test_set_env("COVEY_TEST_SCALE", NULL); /* the limits of those tests are theirs */
  return test_run(argv, 60000);
}

static void expect(const char *program, const char *name, const char *closing, const char *text)
{
  test_ended e = run_inner(program, name);
  bool passes = strstr(closing, " 0 failed") != NULL;
  if (e.code != (passes ? 0 : 1) || e.timed_out || !strstr(e.output, closing) ||
      (text && !strstr(e.output, text)))
    TEST_FAIL("%s over %s: exit code %" PRId64 ", \"%s\" and \"%s\" wanted in:\n%s", name, program, e.code,
              closing, text ? text : "", e.output);
}

/* Programs of tests/inner: over the stand-in always, over Criterion where it is built. */
static void over_both(const char *name, const char *closing, const char *text)
{
  expect("covey_test_inner_standin", name, closing, text);
  if (test_file_exists(test_program_beside("covey_test_inner")))
    expect("covey_test_inner", name, closing, text);
}

static const char failed[] = "0 passed, 1 failed, 0 skipped";

TEST_LIMIT(runner, good_tests_pass, 120)
{
  over_both("good/passes", "1 passed, 0 failed, 0 skipped", NULL);
  over_both("good/skips", "0 passed, 0 failed, 1 skipped", NULL);
  over_both("good/*", "1 passed, 0 failed, 1 skipped", NULL);
}

TEST_LIMIT(runner, nothing_run_is_a_failure, 120)
{
  over_both("none/*", failed, "no test was run");
}

TEST_LIMIT(runner, checks_go_on_and_requires_end, 120)
{
  over_both("bad/check", failed, "1 + 1 == 3 is false");
  over_both("bad/check", failed, "went on");
  over_both("bad/require", failed, "1 + 1 == 3 is false");
  CHECK(!strstr(run_inner("covey_test_inner_standin", "bad/require").output, "went on"));
}

TEST_LIMIT(runner, failures_say_what_was_there, 120)
{
  const char *output = run_inner("covey_test_inner_standin", "bad/texts").output;
  CHECK(strstr(output, "2 is 2, -3 is -3"));
  CHECK(strstr(output, "17 is 17 (0x11)"));
  CHECK(strstr(output, "is \"left\", \"right\" is \"right\""));
  CHECK(strstr(output, "NULL is \"(NULL)\""));
  CHECK(strstr(output, "differ from byte 1 of 4 on"));
  CHECK(strstr(output, "gave COVEY_EPROTO (-20), not COVEY_ESTALE"));
  CHECK(strstr(output, "gave COVEY_EUNSAFE (-18); no failure recorded"));
  CHECK(strstr(output, "number 42"));
  over_both("bad/texts", failed, "number 42");
}

TEST_LIMIT(runner, threads_may_fail, 120)
{
  over_both("bad/thread", failed, "all joined");
  over_both("bad/thread", failed, "second is false");
  CHECK(!strstr(run_inner("covey_test_inner_standin", "bad/thread").output, "went on"));
}

TEST_LIMIT(runner, a_failed_test_cannot_skip, 120)
{
  over_both("bad/skip_after_failure", failed, "failed is false");
}

TEST_LIMIT(runner, ending_early_is_a_failure, 120)
{
  over_both("bad/exit_zero", failed, "exit() was called inside the test");
  expect("covey_test_inner_standin", "bad/exit_at_once", failed, "left by exit(0)");
  if (test_file_exists(test_program_beside("covey_test_inner")))
    CHECK_INT(run_inner("covey_test_inner", "bad/exit_at_once").code, 1);
  over_both("bad/aborts", failed, NULL);
  over_both("bad/crashes", failed, NULL);
}

TEST_LIMIT(runner, a_hanging_test_is_killed, 120)
{
  int64_t start = test_now();
  over_both("bad/hangs", failed, "did not end within 2 s");
  CHECK(test_now() - start < 50000);
}

TEST_LIMIT(runner, a_forked_child_never_reaches_the_runner, 120)
{
  if (test_is_windows()) TEST_SKIP("no fork here");
  over_both("bad/forked_check", failed, "failure in a forked child");
  over_both("bad/forked_return", failed, "a forked child ran on past the end of the test");
}

TEST_LIMIT(runner, what_is_left_behind_is_a_failure, 120)
{
  if (test_handle_count() < 0) TEST_SKIP("handles cannot be counted here");
  over_both("bad/loses_handle", failed, "handles open at its end");
}

TEST_LIMIT(runner, left_processes_are_a_failure, 120)
{
  test_ended e = run_inner("covey_test_inner_standin", "bad/leaves_child");
  if (e.code == 0) TEST_SKIP("processes cannot be swept here");
  over_both("bad/leaves_child", "1 failed, 0 skipped", "covey_test_helper");
}

TEST_LIMIT(runner, processes_that_fled_are_a_failure, 120)
{
  if (test_is_windows()) TEST_SKIP("the job holds them");
  if (run_inner("covey_test_inner_standin", "bad/leaves_process").code == 0)
    TEST_SKIP("processes cannot be swept here");
  over_both("bad/leaves_process", "1 failed, 0 skipped", "covey_test_helper");
}

TEST_LIMIT(runner, leaked_memory_is_a_failure, 120)
{
  if (!test_has_leak_checker()) TEST_SKIP("built without a leak checker");
  over_both("bad/leaks", failed, NULL);
}

TEST_LIMIT(runner, lists_its_tests, 120)
{
  const char *argv[] = {test_program_beside("covey_test_inner_standin"), "--list", "--filter", "good/*",
                        NULL};
  test_ended e = test_run(argv, 30000);
  CHECK_INT(e.code, 0);
  CHECK(strstr(e.output, "good/passes"));
  CHECK(strstr(e.output, "good/skips"));
  CHECK(!strstr(e.output, "bad/"));
}
