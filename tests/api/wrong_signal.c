/* Every function of covey/signal.h, called as nobody should. */
#include "support/test.h"

#include <covey/signal.h>

static void refused(covey_signals_options options)
{
  covey_signals *s;

  test_fill(&s, sizeof s);
  CHECK_WRONG(covey_signals_open(&options, &s));
  CHECK(test_is_filled(&s, sizeof s));
}

TEST(wrong_signal, options)
{
  static const int good[] = {COVEY_SIGNAL_INT};

  CHECK_WRONG(covey_signals_open(NULL, NULL));
  refused((covey_signals_options){.count = 1});
  refused((covey_signals_options){.signals = good, .count = SIZE_MAX});
  for (int i = 2; i < 32; i++)
    refused((covey_signals_options){.signals = good, .count = 1, .flags = 1u << i});
  refused((covey_signals_options){.signals = good, .count = 1, .reserved0 = 1});
  for (int i = 0; i < 8; i++) {
    covey_signals_options options = {.signals = good, .count = 1};
    options.reserved[i] = 1;
    refused(options);
  }
}

/* Signals that there are not, that nobody can handle, that mean a broken program, or that are another's. */
TEST(wrong_signal, signals)
{
  static const int bad[] = {INT_MIN,
                            -1,
                            0,
                            31,
                            36,
                            999,
                            INT_MAX,
                            COVEY_SIGNAL_KILL,
                            COVEY_SIGNAL_STOP,
                            COVEY_SIGNAL_ILL,
                            COVEY_SIGNAL_FPE,
                            COVEY_SIGNAL_SEGV,
                            COVEY_SIGNAL_BUS,
                            COVEY_SIGNAL_TRAP,
                            COVEY_SIGNAL_ABRT,
                            COVEY_SIGNAL_CHLD};

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    covey_signals_options options = {.signals = &bad[i], .count = 1};
    covey_signals *s;
    int r;

    test_fill(&s, sizeof s);
    r = covey_signals_open(&options, &s);
    if (r != COVEY_EINVAL && !(test_is_windows() && r == COVEY_ENOTSUP))
      TEST_FAIL("signal %d: %s", bad[i], covey_errname(r));
    CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ARGUMENTS);
    CHECK(covey_last_failure()->what[0] != '\0');
    CHECK(test_is_filled(&s, sizeof s));
    if (r == 0) covey_signals_close(s);
  }
}

TEST(wrong_signal, next_and_close)
{
  covey_signal_event event;
  covey_signals *s;

  test_fill(&event, sizeof event);
  CHECK_WRONG(covey_signals_next(NULL, 0, &event));
  covey_signals_close(NULL);
  REQUIRE_OK(covey_signals_open(NULL, &s));
  CHECK_WRONG(covey_signals_next(s, -2, &event));
  CHECK_ERR(covey_signals_next(s, 0, &event), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&event, sizeof event));
  covey_signals_close(s);
}

TEST(wrong_signal, shutdown_wait)
{
  covey_signal_event event;

  test_fill(&event, sizeof event);
  CHECK_WRONG(covey_shutdown_wait(-2, &event));
  CHECK_WRONG(covey_shutdown_wait(INT64_MIN, NULL));
  CHECK_ERR(covey_shutdown_wait(0, &event), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&event, sizeof event));
}
