/* Every function of covey/self.h, called as nobody should. */
#include "support/test.h"

#include <covey/self.h>

TEST(wrong_self, arguments)
{
  char *argv[] = {"program", NULL}, **words;
  size_t count;

  test_fill(&words, sizeof words);
  test_fill(&count, sizeof count);
  CHECK_WRONG(covey_self_arguments(1, NULL, &words, &count));
  CHECK_WRONG(covey_self_arguments(-1, argv, &words, &count));
  CHECK_WRONG(covey_self_arguments(1, argv, NULL, &count));
  CHECK(test_is_filled(&words, sizeof words) && test_is_filled(&count, sizeof count));
  REQUIRE_OK(covey_self_arguments(1, argv, &words, NULL)); /* nobody has to count */
  covey_free(words);
}

TEST(wrong_self, path)
{
  CHECK_WRONG(covey_self_path(NULL));
}

TEST(wrong_self, wait_stop)
{
  CHECK_WRONG(covey_self_wait_stop(-2));
  CHECK_WRONG(covey_self_wait_stop(INT64_MIN));
}

TEST(wrong_self, what_cannot_fail)
{
  CHECK_INT(covey_self_pid(), test_pid());
  CHECK(covey_self_parent() > 0);
  CHECK_INT(covey_self_is_child(), 0);
  CHECK(covey_self_start_time() > 0);
  CHECK(covey_self_uptime() >= 0);
}
