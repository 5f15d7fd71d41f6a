/* Streams of a child over sockets in place of pipes. */
#include "support/test.h"

#include <covey/process.h>

#include "core/fault.h"
#include "os/fault.h"

#define SOCKETS_HERE()                                                                                       \
  if (test_is_windows()) TEST_SKIP("a stream over sockets is of POSIX")

TEST(process_socket, not_on_windows)
{
  covey_process *p;
  covey_process_options o = {.argv = TEST_HELPER("nothing"),
                             .err = {.kind = COVEY_STDIO_CAPTURE, .flags = COVEY_STDIO_SOCKET}};

  if (!test_is_windows()) TEST_SKIP("it is here");
  CHECK_ERR(covey_spawn(&o, &p), COVEY_ENOTSUP);
  CHECK_STR(covey_last_failure()->what, "err SOCKET");
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ARGUMENTS);
}

TEST(process_socket, captured)
{
  covey_result r;

  SOCKETS_HERE();
  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "3000000", "2000000"),
                                                .out = {COVEY_STDIO_CAPTURE, .flags = COVEY_STDIO_SOCKET},
                                                .err = {COVEY_STDIO_CAPTURE, .flags = COVEY_STDIO_SOCKET}},
                       &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.out_size, 3000000);
  CHECK_UINT(r.err_size, 2000000);
  CHECK(test_is_pattern(r.out, r.out_size, 0));
  CHECK(test_is_pattern(r.err, r.err_size, 0));
  covey_result_free(&r);
}

static void feed(void *arg)
{
  static char data[2000000];

  test_make_pattern(data, sizeof data, 0);
  CHECK_INT(covey_process_write(arg, data, sizeof data, TEST_SOON), (int)sizeof data);
  CHECK_OK(covey_process_close_input(arg));
}

TEST(process_socket, both_ways)
{
  static char data[70000];
  covey_process *p;
  size_t total = 0;
  int n;

  SOCKETS_HERE();
  test_no_child_handles_lost();
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("cat"),
                                                  .in = {COVEY_STDIO_PIPE, .flags = COVEY_STDIO_SOCKET},
                                                  .out = {COVEY_STDIO_PIPE, .flags = COVEY_STDIO_SOCKET}},
                         &p));
  test_thread *t = test_thread_start(feed, p);
  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, sizeof data)) > 0) {
    CHECK(test_is_pattern(data, (size_t)n, total));
    total += (size_t)n;
  }
  CHECK_OK(n);
  CHECK_UINT(total, 2000000);
  test_thread_join(t);
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
}

/* No signal, and the code of a pipe whose reader is gone. */
TEST(process_socket, a_child_that_closes_its_input)
{
  char data[1000] = {0};
  int n = 0;
  covey_process *p;

  SOCKETS_HERE();
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("close-in"),
                                                  .in = {COVEY_STDIO_PIPE, .flags = COVEY_STDIO_SOCKET},
                                                  .out.kind = COVEY_STDIO_PIPE},
                         &p));
  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, sizeof data) > 0);
  for (int i = 0; i < 1000 && n >= 0; i++) n = covey_process_write(p, data, sizeof data, TEST_SOON);
  CHECK_ERR(n, COVEY_ECLOSED);
  covey_process_close(p);
}

/* A child may send descriptors along with its bytes: they are closed. */
TEST(process_socket, descriptors_that_come_along)
{
  covey_result r;

  SOCKETS_HERE();
  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("give-handles", "40"),
                                                .out = {COVEY_STDIO_CAPTURE, .flags = COVEY_STDIO_SOCKET}},
                       &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.out_size, 40);
  covey_result_free(&r);
}

/* A socket carries one way only: nobody is answered by what he writes to. */
TEST(process_socket, one_way)
{
  covey_result r;

  SOCKETS_HERE();
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("read-out"),
                                                .out = {COVEY_STDIO_CAPTURE, .flags = COVEY_STDIO_SOCKET}},
                       &r));
  CHECK_STR(r.out, "end\n");
  covey_result_free(&r);
}

TEST(process_socket, cannot_be_made)
{
  covey_process *p;

  SOCKETS_HERE();
  test_no_child_handles_lost();
  cvy_fault_after(CVOS_FAULT_SOCKETPAIR, 1, 24);
  CHECK_ERR(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"),
                                                 .err = {COVEY_STDIO_PIPE, .flags = COVEY_STDIO_SOCKET}},
                        &p),
            COVEY_ELIMIT);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_STDIO);
  CHECK_INT(covey_last_failure()->index, COVEY_STDERR);
}
