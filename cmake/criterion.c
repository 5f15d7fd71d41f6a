/* Tried by coveyTests.cmake: whether a program may have a main of its own over the Criterion that was found. */
#include <criterion/criterion.h>

Test(criterion, works)
{
  cr_assert(1);
}

int main(int argc, char **argv)
{
  struct criterion_test_set *tests = criterion_initialize();
  int result = 1;
  if (criterion_handle_args(argc, argv, 1)) result = !criterion_run_all_tests(tests);
  criterion_finalize(tests);
  return result;
}
