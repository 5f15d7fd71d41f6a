/* The main program of a test over Criterion, with guards where Criterion is silent: nothing run is a failure, so are its own errors
 * and processes left behind; the closing line is that of every test program. */
#include "check.h"
#include "system.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/options.h>

static size_t passed, failed;
static bool ran;

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
  passed += stats->tests_passed;
  failed += stats->tests_failed;
  if (stats->errors) {
    printf("# Criterion met %zu errors of its own\n", stats->errors);
    failed++;
  }
  ran = true;
}

void test_criterion(const test_case *test)
{
  int r;
  test_set_env("BXFI_MAP", NULL); /* a program of ours that the test starts is no worker of Criterion's */
  r = test_frame(test);
  if (r == TEST_SKIPPED) cr_skip_test("%s", test_skip_reason());
  if (r != TEST_PASSED) cr_assert(false, "%d failures, listed above", test_failures());
}

/* Exported: Criterion's workers find their way by its address. */
CR_API int main(int argc, char **argv);

int main(int argc, char **argv)
{
  struct criterion_test_set *tests = criterion_initialize();
  char mark[64];
  size_t skipped = 0;
  int r = 0;
  if (criterion_handle_args(argc, argv, true)) {
    if (!test_run_begin(mark, sizeof mark)) return 1;
    criterion_run_all_tests(tests);
    if (!ran) {
      printf("# Criterion did not report its end\n");
      failed++;
    }
    if (passed != test_ends_noted(TEST_PASSED)) {
      printf("# %zu tests passed for Criterion, %zu came to their end\n", passed,
             test_ends_noted(TEST_PASSED));
      failed++;
    }
    skipped = test_ends_noted(TEST_SKIPPED); /* Criterion counts among them what the filter left out */
    if (test_run_end(mark) > 0) failed++;
    r = test_closing(passed, failed, skipped);
  }
  criterion_finalize(tests);
  return r;
}
