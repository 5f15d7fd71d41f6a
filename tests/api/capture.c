/* What is kept of an output that is more than capture_max. */
#include "support/test.h"

#include <covey/process.h>

static covey_result run(covey_process_options options)
{
  covey_result result = {0};

  if (options.out.kind == COVEY_STDIO_DEFAULT) options.out.kind = COVEY_STDIO_CAPTURE;
  if (test_is_wine()) { /* the console host that wine gives each child holds its streams a little longer */
    options.drain = 3000;
    options.drain_max = 20000;
  }
  REQUIRE_OK(covey_run(&options, &result));
  return result;
}

TEST(capture, head)
{
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("both", "50000", "10"),
                                               .err.kind = COVEY_STDIO_CAPTURE,
                                               .capture_max = 1001,
                                               .flags = COVEY_PROCESS_KEEP_HEAD});

  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.flags & (COVEY_RESULT_OUT_CUT | COVEY_RESULT_ERR_CUT), COVEY_RESULT_OUT_CUT);
  CHECK_UINT(r.out_size, 1001);
  CHECK_UINT(r.out_dropped, 50000 - 1001);
  CHECK_UINT(r.out_gap, 1001);
  CHECK(test_is_pattern(r.out, 1001, 0));
  CHECK_UINT(r.err_size, 10);
  CHECK_UINT(r.err_dropped, 0);
  CHECK_UINT(r.err_gap, 0);
  covey_result_free(&r);
}

static void expect_ends(const covey_result *r, size_t limit, uint64_t total)
{
  size_t head = limit - limit / 2;

  CHECK(COVEY_EXIT_OK(&r->exit));
  CHECK_INT(r->failure.code, 0);
  CHECK_UINT(r->flags & COVEY_RESULT_OUT_CUT, COVEY_RESULT_OUT_CUT);
  REQUIRE(r->out_size == limit);
  CHECK_UINT(r->out_dropped, total - limit);
  CHECK_UINT(r->out_gap, head);
  CHECK(test_is_pattern(r->out, head, 0));
  CHECK(test_is_pattern(r->out + head, limit - head, total - (limit - head)));
  CHECK_INT(r->out[limit], 0);
}

TEST(capture, head_and_tail)
{
  static const size_t limits[] = {1, 2, 1001, 65536, 300000};

  test_no_child_handles_lost();
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    covey_result r = run((covey_process_options){
        .argv = TEST_HELPER("out", "1000000"), .capture_max = limits[i], .flags = COVEY_PROCESS_KEEP_ENDS});

    expect_ends(&r, limits[i], 1000000);
    covey_result_free(&r);
  }
}

/* As much as the limit is nothing too much; one byte more is. */
TEST(capture, head_and_tail_at_the_limit)
{
  covey_process_options o = {
      .argv = TEST_HELPER("out", "70000"), .capture_max = 70000, .flags = COVEY_PROCESS_KEEP_ENDS};
  covey_result r = run(o);

  CHECK_UINT(r.out_size, 70000);
  CHECK_UINT(r.flags & COVEY_RESULT_OUT_CUT, 0);
  CHECK_UINT(r.out_dropped, 0);
  CHECK_UINT(r.out_gap, 0);
  CHECK(test_is_pattern(r.out, r.out_size, 0));
  covey_result_free(&r);
  o.capture_max = 69999;
  r = run(o);
  expect_ends(&r, 69999, 70000);
  covey_result_free(&r);
}

static covey_process *spawn_ends(const char *size)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("out", size),
                                                  .out.kind = COVEY_STDIO_CAPTURE,
                                                  .capture_max = 2001,
                                                  .flags = COVEY_PROCESS_KEEP_ENDS},
                         &p));
  return p;
}

/* A reader gets the head while the child runs, the tail behind its end, and then the code that says that there is a gap. */
TEST(capture, ends_are_read)
{
  static char data[3000];
  covey_process *p = spawn_ends("100000");
  covey_exit e;
  size_t size = 0;
  int n;

  while (size < 1001) {
    n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data + size, sizeof data - size);
    REQUIRE(n > 0);
    size += (size_t)n;
  }
  CHECK_UINT(size, 1001); /* no read reaches over the gap */
  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data + size, 77)) > 0) size += (size_t)n;
  CHECK_ERR(n, COVEY_ETOOBIG);
  CHECK_UINT(size, 2001);
  CHECK(test_is_pattern(data, 1001, 0));
  CHECK(test_is_pattern(data + 1001, 1000, 99000));
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_SELF);
  covey_process_close(p);
}

/* Nothing was dropped: a capture of both ends reads like any other. */
TEST(capture, ends_that_are_all)
{
  static char data[3000];
  covey_process *p = spawn_ends("2000");
  size_t size = 0;
  int n;

  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data + size, sizeof data - size)) > 0)
    size += (size_t)n;
  CHECK_INT(n, 0);
  CHECK_UINT(size, 2000);
  CHECK(test_is_pattern(data, 2000, 0));
  covey_process_close(p);
}
