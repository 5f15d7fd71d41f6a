#include "test.h"

#include <covey/process.h>

void test_no_child_handles_lost(void)
{
  for (int i = 0; i < 3; i++) {
    covey_process_options options = {.argv = TEST_HELPER(i == 1 ? "hang" : "nothing"),
                                     .out.kind = COVEY_STDIO_PIPE};
    covey_process *p = NULL;

    REQUIRE_OK(covey_spawn(&options, &p));
    if (i != 1) REQUIRE_OK(covey_process_wait(p, TEST_SOON, NULL));
    covey_process_close(p);
    if (test_is_windows()) test_pause(100); /* a pool there grows by itself */
  }
  test_no_handles_lost();
}
