/* Every function of covey/base.h and covey/error.h, called as nobody should: an error that names the mistake, or nothing happens. */
#include "support/test.h"

TEST(wrong_base, cancel_objects)
{
  CHECK_WRONG(covey_cancel_new(NULL));
  covey_cancel_fire(NULL);
  covey_cancel_reset(NULL);
  covey_cancel_free(NULL);
}

TEST(wrong_base, nothing_to_free)
{
  covey_free(NULL);
}

TEST(wrong_base, what_cannot_fail)
{
  CHECK_INT(covey_version(), COVEY_VERSION_MAJOR * 10000 + COVEY_VERSION_MINOR * 100 + COVEY_VERSION_PATCH);
  CHECK_UINT(covey_caps(), covey_caps());
}

TEST(wrong_error, codes_that_are_none)
{
  static const int none[] = {INT_MIN, -1000, -30};

  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    CHECK_STR(covey_strerror(none[i]), "unknown error");
    CHECK_STR(covey_errname(none[i]), "COVEY_E?");
  }
  CHECK_STR(covey_errname(INT_MAX), "COVEY_OK"); /* a count */
  CHECK_STR(covey_strerror(0), covey_strerror(INT_MAX));
}

static void never_failed(void *arg)
{
  const covey_failure *f = covey_last_failure();

  (void)arg;
  REQUIRE(f != NULL);
  CHECK_INT(f->code, 0);
  CHECK_STR(f->what, "");
  CHECK_INT(f->offset, -1);
  CHECK_INT(f->index, -1);
}

TEST(wrong_error, the_failure_of_a_thread_that_has_none)
{
  test_thread_join(test_thread_start(never_failed, NULL));
}
