#include "support/test.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>

#include "core/fault.h"
#include "msg/node.h"
#include "msg/peer.h"

enum { PATIENCE = 30000, HELPER_STOPPED = 7 };

static covey_process *spawn(const char *behaviour, const char *argument)
{
  const char *argv[] = {test_helper(), behaviour, argument, NULL};
  covey_process_options options = {.argv = argv, .out.kind = COVEY_STDIO_PIPE};
  covey_process *process = NULL;
  REQUIRE_OK(covey_node_spawn(NULL, &options, &process));
  return process;
}

static void close_all(covey_process *process)
{
  covey_process_close(process);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(self, numbers)
{
  CHECK_INT(covey_self_pid(), test_pid());
  CHECK(covey_self_parent() > 0);
  CHECK_INT(covey_self_is_child(), 0);
  int64_t up = covey_self_uptime(), start = covey_self_start_time();
  CHECK(up >= 0 && up < 120000);
  CHECK(start > INT64_C(1700000000000));
  test_pause(60);
  CHECK(covey_self_uptime() >= up + 50);
  CHECK_INT(covey_self_start_time(), start);
}

TEST(self, nobody_asks)
{
  int64_t before = test_now();
  CHECK_ERR(covey_self_wait_stop(0), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_self_wait_stop(200), COVEY_ETIMEDOUT);
  CHECK(test_now() - before >= 190);
  CHECK_ERR(covey_self_wait_stop(-3), COVEY_EINVAL);
}

TEST(self, a_child_knows_its_parent)
{
  covey_process *process = spawn("node-kin", NULL);
  covey_message m;
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
  CHECK_STR(m.data, test_format("child %" PRId64 " %" PRId64, covey_process_pid(process), test_pid()));
  CHECK_INT(m.from.pid, covey_process_pid(process));
  CHECK(m.from.flags & COVEY_ID_CHILD);
  CHECK(m.from.flags & COVEY_ID_SAME_USER);
  covey_identity who;
  REQUIRE_OK(covey_process_identity(process, &who));
  CHECK_UINT(m.from.start, who.start);
  covey_message_free(&m);
  covey_exit end;
  REQUIRE_OK(covey_process_wait(process, PATIENCE, &end));
  CHECK_UINT(end.code, 0);
  close_all(process);
}

TEST(self, parent_and_child_talk)
{
  covey_process *process = spawn("node-answer", NULL);
  int64_t pid = covey_process_pid(process);
  covey_message m;
  for (int i = 0; i < 100; i++) {
    REQUIRE_OK(covey_send(NULL, pid, NULL, &i, sizeof i, PATIENCE));
    REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
    CHECK_MEM(m.data, &i, sizeof i);
    CHECK_INT(m.from.pid, pid);
    covey_message_free(&m);
  }
  covey_process_kill(process);
  close_all(process);
}

static void stop_is_heard_by(const char *behaviour)
{
  covey_process *process = spawn(behaviour, NULL);
  char text[16] = {0};
  covey_exit end;
  REQUIRE(covey_process_read(process, COVEY_STDOUT, PATIENCE, text, sizeof text) > 0);
  REQUIRE_OK(covey_process_stop(process, PATIENCE, &end));
  CHECK_INT(end.how, COVEY_HOW_EXITED);
  CHECK_UINT(end.code, HELPER_STOPPED);
  CHECK_INT(end.why, COVEY_WHY_STOP);
  close_all(process);
}

TEST(self, a_stop_is_heard)
{
  stop_is_heard_by("node-stop");
}

/* The child has not connected yet when it is asked: it is told as soon as it has. */
TEST(self, a_stop_before_the_child_has_connected_is_heard)
{
  stop_is_heard_by("node-stop-later");
}

TEST(self, a_beat_is_stopped_between_two_beats)
{
  covey_process *process = spawn("node-beat", "20");
  covey_message m;
  covey_exit end;
  for (int i = 0; i < 5; i++) {
    REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
    CHECK_STR(m.data, test_format("%d", i));
    covey_message_free(&m);
  }
  REQUIRE_OK(covey_process_stop(process, PATIENCE, &end));
  CHECK_UINT(end.code, HELPER_STOPPED);
  close_all(process);
}

TEST(self, the_end_of_the_parents_node_is_heard)
{
  covey_process *process = spawn("node-stop", NULL);
  char text[16] = {0};
  covey_exit end;
  REQUIRE(covey_process_read(process, COVEY_STDOUT, PATIENCE, text, sizeof text) > 0);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
  REQUIRE_OK(covey_process_wait(process, PATIENCE, &end));
  CHECK_INT(end.how, COVEY_HOW_EXITED);
  CHECK_UINT(end.code, HELPER_STOPPED);
  covey_process_close(process);
}

TEST(self, a_grandchild_is_no_child)
{
  covey_process *process = spawn("node-middle", NULL);
  char text[16] = {0};
  REQUIRE(covey_process_read(process, COVEY_STDOUT, PATIENCE, text, sizeof text - 1) > 0);
  CHECK_STR(text, "stranger\n");
  covey_process_kill(process);
  close_all(process);
}

TEST(self, a_child_that_never_speaks)
{
  covey_process *process = spawn("hang", NULL);
  CHECK_ERR(covey_send(NULL, covey_process_pid(process), NULL, "x", 1, 200), COVEY_ENOPEER);
  CHECK_ERR(covey_send(NULL, covey_process_pid(process), NULL, "x", 1, 0), COVEY_ENOPEER);
  covey_process_kill(process);
  REQUIRE_OK(covey_process_wait(process, PATIENCE, NULL));
  close_all(process);
}

TEST(self, a_plain_child_is_no_child)
{
  const char *argv[] = {test_helper(), "node-claim", NULL};
  CHECK_INT(test_run(argv, PATIENCE).code, 0);
}

TEST(self, a_failed_start_leaves_nothing)
{
  covey_process_options options = {.argv = (const char *const[]){"/no/such/program", NULL}};
  covey_process *process = NULL;
  covey_identity us;
  REQUIRE_OK(covey_node_identity(NULL, &us));
  test_no_handles_lost();
  for (int i = 0; i < 10; i++) CHECK_ERR(covey_node_spawn(NULL, &options, &process), COVEY_ENOTFOUND);
  CHECK(process == NULL);
  CHECK_ERR(covey_node_spawn(NULL, NULL, &process), COVEY_EINVAL);
  CHECK_ERR(covey_node_spawn(NULL, &options, NULL), COVEY_EINVAL);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

/* An update has put another file in its place, or somebody has removed it. */
TEST(self, the_path_of_a_program_that_was_replaced)
{
  if (test_is_windows()) TEST_SKIP("a program that runs cannot be removed there");
  for (int replaced = 0; replaced < 2; replaced++) {
    const char *file = test_format("%s/program%d", test_temp_dir(), replaced);
    const char *const copy[] = {"/bin/cp", test_helper(), file, NULL}, *const away[] = {"/bin/rm", file,
                                                                                        NULL};
    covey_process *p = NULL;
    char text[512] = "";
    int size = 0, n;

    REQUIRE(test_run(copy, PATIENCE).code == 0);
    REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = (const char *const[]){file, "self-path", NULL},
                                                    .in.kind = COVEY_STDIO_PIPE,
                                                    .out.kind = COVEY_STDIO_PIPE},
                           &p));
    REQUIRE(test_run(away, PATIENCE).code == 0);
    if (replaced) test_write_file(file, "new", 3);
    CHECK_OK(covey_process_close_input(p));
    while (size < 500 &&
           (n = covey_process_read(p, COVEY_STDOUT, PATIENCE, text + size, 500 - (size_t)size)) > 0)
      size += n;
    CHECK(size > (int)strlen(file) && strcmp(text + size - strlen(file) - 1, test_format("%s\n", file)) == 0);
    covey_process_close(p);
  }
}

/* ---- a child that has ended before its connection is read ---- */

static void until_it_has_ended(int step)
{
  bool ended = false;
  if (step != CVY_STEP_STARTED) return;
  for (int64_t limit = test_now() + PATIENCE; !ended && test_now() < limit; test_pause(1)) {
    covey_node *node;
    REQUIRE_OK(cvy_node_enter(NULL, &node));
    ended = !node->peers || node->peers->exited;
    cvy_node_leave(node);
  }
  CHECK(ended);
}

/* It was started, and tells how it ended. */
TEST(self, a_child_that_ends_at_once_was_started)
{
  for (int i = 0; i < 5; i++) {
    covey_process *p = NULL;
    covey_exit how;
    cvy_fault_on_step(until_it_has_ended);
    CHECK_OK(covey_node_spawn(NULL, &(covey_process_options){.argv = TEST_HELPER("exit", "7")}, &p));
    cvy_fault_on_step(NULL);
    REQUIRE(p != NULL);
    CHECK_OK(covey_process_wait(p, PATIENCE, &how));
    CHECK_UINT(how.code, 7);
    covey_process_close(p);
    CHECK_OK(covey_node_close(NULL, PATIENCE));
  }
}
