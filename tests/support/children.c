#include "test.h"

#include <covey/process.h>

#include "core/fault.h"

/* Asked by its windows, from this thread and from the loop's own: user32 keeps something for each thread. */
static void warm_windows(void)
{
  for (int i = 0; i < 2; i++) {
    covey_process_options options = {
        .argv = TEST_HELPER("ignore"), .out.kind = COVEY_STDIO_NULL, .timeout = i, .grace = 100};
    covey_process *p = NULL;

    REQUIRE_OK(covey_spawn(&options, &p));
    if (i == 0) REQUIRE_OK(covey_process_stop(p, 100, NULL));
    REQUIRE(test_process_gone(covey_process_pid(p), TEST_SOON));
    covey_process_close(p);
  }
}

static void one(const char *what)
{
  covey_process_options options = {.argv = TEST_HELPER(what), .out.kind = COVEY_STDIO_PIPE};
  bool ends = strcmp(what, "hang") != 0;
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(&options, &p));
  if (ends) REQUIRE_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
  if (test_is_windows()) test_pause(100); /* a pool there grows by itself */
}

void test_no_child_handles_lost(void)
{
  int before = -1;

  one("nothing");
  one("hang");
  one("nothing");
  if (test_is_windows()) warm_windows();
  /* a group of Linux whose member is not yet gone is not kept for the next child: once more then */
  for (int i = 0; !test_is_windows() && i < 8 && test_handle_count() != before; i++) {
    before = test_handle_count();
    one("nothing");
  }
  test_no_handles_lost();
}

int test_walk_spawn(const covey_process_options *options)
{
  int failed = 0;

  for (int64_t n = 1; n < 200; n++) {
    covey_process *p = NULL;
    int64_t seen;
    int r;

    cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 12); /* no resources, out of memory */
    r = covey_spawn(options, &p);
    seen = cvy_fault_seen();
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r < 0) {
      failed++;
      CHECK(p == NULL);
      CHECK_INT(covey_last_failure()->code, r);
    } else { /* the call that failed was one that can be done without */
      CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
      covey_process_close(p);
    }
    if (seen < n) break;
  }
  return failed;
}

covey_process *test_hanging(const covey_process_options *options)
{
  covey_process_options piped = *options;
  covey_process *p = NULL;
  char c = 0;
  piped.out.kind = COVEY_STDIO_PIPE;
  REQUIRE_OK(covey_spawn(&piped, &p));
  while (c != '\n') REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &c, 1) == 1);
  return p;
}
