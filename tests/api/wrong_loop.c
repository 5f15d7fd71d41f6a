/* Every function of covey/loop.h, called as nobody should. */
#include "support/test.h"

#include <covey/loop.h>
#include <uv.h>

static void refused(covey_loop_options options)
{
  covey_loop *loop;

  test_fill(&loop, sizeof loop);
  CHECK_WRONG(covey_loop_open(&options, &loop));
  CHECK(test_is_filled(&loop, sizeof loop));
}

TEST(wrong_loop, open)
{
  CHECK_WRONG(covey_loop_open(NULL, NULL));
  for (int i = 1; i < 32; i++) refused((covey_loop_options){.flags = 1u << i});
  refused((covey_loop_options){.reserved0 = 1});
  for (int i = 0; i < 4; i++) {
    covey_loop_options options = {0};
    options.reserved[i] = 1;
    refused(options);
  }
}

TEST(wrong_loop, attach)
{
  covey_loop *loop;
  covey_native handle;
  uv_loop_t uv;

  test_fill(&loop, sizeof loop);
  test_fill(&handle, sizeof handle);
  CHECK_WRONG(covey_loop_attach(NULL, uv_version(), &loop));
  REQUIRE(uv_loop_init(&uv) == 0);
  CHECK_WRONG(covey_loop_attach(&uv, uv_version(), NULL));
  CHECK_ERR(covey_loop_attach(&uv, uv_version() + 256, &loop), COVEY_EVERSION);
  CHECK_ERR(covey_loop_attach(&uv, 0, &loop), COVEY_EVERSION);
  CHECK_INT(covey_last_failure()->code, COVEY_EVERSION);
  CHECK(test_is_filled(&loop, sizeof loop));
  REQUIRE_OK(covey_loop_attach(&uv, uv_version(), &loop));
  CHECK_ERR(covey_loop_handle(loop, &handle), COVEY_ENOTSUP);
  CHECK_ERR(covey_loop_dispatch(loop), COVEY_ENOTSUP);
  CHECK_ERR(covey_loop_wait(loop, 0, NULL), COVEY_ENOTSUP);
  CHECK(test_is_filled(&handle, sizeof handle));
  covey_loop_close(loop);
  CHECK_INT(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&uv), 0);
}

TEST(wrong_loop, handle_and_dispatch)
{
  CHECK_WRONG(covey_loop_wait(NULL, -2, NULL));
  CHECK_WRONG(covey_loop_handle(NULL, NULL));
  CHECK_OK(covey_loop_dispatch(NULL)); /* the default loop, made at this need */
}

TEST(wrong_loop, close)
{
  covey_loop_close(NULL);
  CHECK_OK(covey_loop_dispatch(NULL)); /* which closes nothing */
}
