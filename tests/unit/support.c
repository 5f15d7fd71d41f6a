#include "support/test.h"

/* The helper, run by the support's own means: what every other test builds on. */

static test_ended helper(const char *a, const char *b, const char *c)
{
  const char *argv[] = {test_helper(), a, b, c, NULL};
  return test_run(argv, 30000);
}

TEST(helper, exit_codes)
{
  CHECK_INT(helper("nothing", NULL, NULL).code, 0);
  CHECK_INT(helper("exit", "7", NULL).code, 7);
  CHECK_INT(helper("exit-code-big", NULL, NULL).code, test_is_windows() ? 0x12345678 : 0x78);
  CHECK_INT(helper("no-such-behaviour", NULL, NULL).code, 25);
}

TEST(helper, faults)
{
  test_ended e = helper("crash", NULL, NULL);
  CHECK_INT(test_is_windows() ? e.code : e.signal, test_is_windows() ? 0xC0000005 : 11);
  e = helper("abort", NULL, NULL);
  CHECK_INT(test_is_windows() ? e.code : e.signal, test_is_windows() ? 3 : 6);
  e = helper("signal", "15", NULL);
  CHECK_INT(test_is_windows() ? e.code : e.signal, test_is_windows() ? 24 : 15);
}

TEST(helper, arguments_are_told_apart)
{
  CHECK_STR(helper("args", "a b", "").output, "[3]a b\n[0]\n");
  CHECK_STR(helper("args", "\"q\"\\", "\\\\\"").output, "[4]\"q\"\\\n[3]\\\\\"\n");
  CHECK_STR(helper("args-hex", "\xc3\xa4\xf0\x9f\x90\xa6", NULL).output, "[6]c3a4f09f90a6\n");
}

TEST(helper, streams)
{
  test_ended e = helper("out", "100000", NULL);
  CHECK_UINT(e.size, 100000);
  CHECK(test_is_pattern(e.output, e.size, 0));
  CHECK_UINT(helper("both", "5000", "3000").size, 8000);
  CHECK_STR(helper("lines", "2", NULL).output, "line 0\nline 1\n");
  CHECK_STR(helper("count", NULL, NULL).output, "0 pattern\n");
  CHECK_INT(helper("read", "1", NULL).code, 21);
  CHECK_STR(helper("isatty", NULL, NULL).output, "0 0 0\n");
}

TEST(helper, nothing_outlives_its_run)
{
  test_ended e = helper("leave", NULL, NULL);
  int64_t pid = strtoll(e.output, NULL, 10);
  CHECK_INT(e.code, 0);
  CHECK(pid > 0);
  CHECK(test_process_gone(pid, 10000));
}

TEST(helper, a_hanging_program_is_killed_at_the_deadline)
{
  const char *argv[] = {test_helper(), "tree", "1", "2", NULL};
  int64_t start = test_now();
  test_ended e = test_run(argv, 1500);
  char *at = e.output;
  CHECK(e.timed_out);
  CHECK(test_now() - start < 20000);
  for (int i = 0; i < 3; i++) {
    int64_t pid = strtoll(at, &at, 10);
    CHECK(pid > 0);
    CHECK(test_process_gone(pid, 10000));
  }
}
