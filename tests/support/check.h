/* tests/support/check.h: the frame in which both runners run a test. Test files do not include it. */
#ifndef COVEY_TESTS_CHECK_H
#define COVEY_TESTS_CHECK_H

#include "test.h"

/* Exit codes of a test's process under the stand-in. 0 is none of them: a test that leaves by exit(0) has not passed. */
enum {
  TEST_PASSED = 42,
  TEST_FAILED = 1,
  TEST_SKIPPED = 77,
  TEST_LEFT = 97,
  TEST_LATE = 98,
  TEST_FORKED = 99
};

/* Runs the body and what follows it (clean-up, checks for what was left). Returns TEST_PASSED, TEST_FAILED or TEST_SKIPPED. */
int test_frame(const test_case *test);

/* What deadlines are multiplied with: COVEY_TEST_SCALE, else 1. */
double test_scale(void);

/* Why the last test was skipped. */
const char *test_skip_reason(void);

/* The run's directory for temporary files: made by the runner, told to its tests by COVEY_TEST_TEMP, removed at the end. */
bool test_run_begin(char *mark, size_t capacity);

/* How many tests of this run came to their end with this outcome (TEST_...), as they say themselves. Before test_run_end. */
size_t test_ends_noted(int outcome);

/* Removes it and sweeps the run's processes; returns the number of things that had to be forced, each written to stdout. */
int test_run_end(const char *mark);

/* The closing line of every test program. Returns the exit code: failed or nothing run at all is 1. */
int test_closing(size_t passed, size_t failed, size_t skipped);

#endif
