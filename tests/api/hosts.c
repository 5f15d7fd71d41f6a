/* Programs under odd circumstances, each played by the helper: streams that were closed before the start, no descriptor left, users who
 * are not us. */
#include "support/test.h"

#include <covey/process.h>
#include <covey/message.h>

#include <uv.h>

enum { STRANGER = 64321 }; /* a user that no system has */

static char *inside(const char *name)
{
  return test_format("%s/%s", test_temp_dir(), name);
}

/* Runs a behaviour that tells what went wrong in the file report, or, where that is NULL, on its streams. */
static void play(const char *const *argv, const char *report, int64_t ms)
{
  test_ended e = test_run(argv, ms);
  const char *text = report ? test_read_file(report, NULL) : "";

  if (e.code != 0 || e.timed_out || !text || text[0])
    TEST_FAIL("%s %s ended with %d, signal %d%s: %s; report: %s", argv[1], argv[2], (int)e.code,
              (int)e.signal, e.timed_out ? ", too late" : "", e.output, text ? text : "none");
}

/* All seven ways in which 0, 1 and 2 can be closed, and none. */
TEST_LIMIT(hosts, streams_closed_at_the_start, 300)
{
  for (int mask = 0; mask < 8; mask++) {
    const char *number = test_format("%d", mask), *report = inside(number);

    play(TEST_HELPER("closed", number, "host-streams", report, number), report, 60000);
  }
}

/* No loop keeps a number that a closed stream had: libuv ends the program at the close of such a one. */
TEST_LIMIT(hosts, streams_change_hands, 120)
{
  const char *report = inside("report");

  if (test_has_thread_checker())
    TEST_SKIP("the thread sanitizer is not told when libuv closes, and takes the next owner of a number for "
              "a race");
  play(TEST_HELPER("closed", "7", "host-hands", report), report, 100000);
}

TEST_LIMIT(hosts, no_descriptor_left, 240)
{
  if (test_is_windows()) TEST_SKIP("no such limit");
  play(TEST_HELPER("host-poor", inside("report")), inside("report"), 120000);
}

TEST(hosts, a_peer_that_comes_while_no_descriptor_is_left)
{
  if (test_is_windows()) TEST_SKIP("no such limit");
  play(TEST_HELPER("host-full", inside("report")), inside("report"), 60000);
}

/* A process of another user: it cannot be spoken to, in either direction, and its kill is not ours to do. */
TEST(hosts, another_user)
{
  const char *user = test_format("%d", STRANGER), *us = test_format("%" PRId64, test_pid());
  covey_process *p;
  char ready;

  if (test_is_windows()) TEST_SKIP("takes a second user with a password there");
  if (test_run(TEST_HELPER("as", user, "nothing"), TEST_SOON).code != 0) TEST_SKIP("takes root");
  REQUIRE_OK(covey_spawn(
      &(covey_process_options){.argv = TEST_HELPER("as", user, "hang"), .out.kind = COVEY_STDIO_PIPE}, &p));
  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &ready, 1) == 1); /* it has changed */
  int64_t before = test_now();
  CHECK_ERR(covey_send(NULL, covey_process_pid(p), NULL, "x", 1, TEST_SOON), COVEY_EDENIED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_VERIFY);
  CHECK(test_now() - before < TEST_SOON / 2);
  CHECK_ERR(covey_send(NULL, covey_process_pid(p), NULL, "x", 1, 0), COVEY_EDENIED);
  covey_process_close(p);
  play(TEST_HELPER("as", user, "host-foreign", "-", us), NULL, 60000);
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
}

/* Directory, streams and program where we may not go. */
TEST(hosts, shut_out)
{
  const char *user = test_format("%d", STRANGER), *room = inside("room"), *there = inside("room/there");
  bool root;
  uv_fs_t fs;

  if (test_is_windows()) TEST_SKIP("wine lets everybody in");
  root = test_run(TEST_HELPER("as", user, "nothing"), TEST_SOON).code == 0;
  if (root && !test_helper_is_open()) TEST_SKIP("the tests lie in a folder that is closed to other users");
  REQUIRE(uv_fs_mkdir(NULL, &fs, room, 0700, NULL) == 0);
  test_write_file(there, "#!/bin/sh\n", 10);
  REQUIRE(uv_fs_chmod(NULL, &fs, there, 0755, NULL) == 0);
  REQUIRE(uv_fs_chmod(NULL, &fs, room, 0, NULL) == 0);
  if (root)
    play(TEST_HELPER("as", user, "host-shut-out", "-", room), NULL, 60000);
  else
    play(TEST_HELPER("host-shut-out", "-", room), NULL, 60000);
  REQUIRE(uv_fs_chmod(NULL, &fs, room, 0700, NULL) == 0);
}

/* The number of a process that we knew is another's by now: nothing that is meant for the first one reaches him. */
TEST_LIMIT(hosts, a_number_that_is_given_away_again, 120)
{
  if (test_is_windows()) TEST_SKIP("a handle keeps the number there");
  if (test_has_thread_checker()) TEST_SKIP("the thread sanitizer lets no child of fork start a thread");
  test_ended e = test_run(TEST_HELPER("recycle"), 60000);
  if (e.code == 24) TEST_SKIP("takes root, namespaces of pids, and /proc/sys/kernel/ns_last_pid");
  if (e.code != 0 || e.timed_out) TEST_FAIL("code %d: %s", (int)e.code, e.output);
}
