/* The connection for a child: its two ends, who sends over it, tokens. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/process.h"
#include "os/stream.h"
#include "os/tree.h"
#include "support/scene.h"

static bool told(void *path)
{
  return test_file_exists(path);
}

/* Both ends in this process. On POSIX the end for the child is already open under the number that the token names. */
TEST(pair, bytes_and_sender)
{
  scene s;
  scene_io ours, theirs;
  cvos_handle a, b, child;
  char token[CVOS_TOKEN_MAX];
  scene_no_handles_lost();
  scene_begin(&s);
  REQUIRE_OK(cvos_stream_pair(&a, &child, token));
  CHECK_UINT(strnlen(token, sizeof token), strlen(token));
  CHECK((child == CVOS_NONE) == test_is_windows());
  scene_watch(&s, &ours, a);
  REQUIRE_OK(cvos_stream_inherit(token, &b));
  if (!test_is_windows()) CHECK(b == child);
  scene_watch(&s, &theirs, b);
  scene_say(&theirs, "child");
  SCENE_RUN_UNTIL(&s, ours.size == 5);
  CHECK_INT(ours.sender, cvos_stream_tells_sender() ? test_pid() : -1);
  scene_expect_us(cvos_io_handle(ours.io));
  scene_expect_us(cvos_io_handle(theirs.io));
  cvos_stream_quiet(cvos_io_handle(ours.io));
  ours.size = 0;
  scene_say(&theirs, "again");
  scene_say(&ours, "parent");
  SCENE_RUN_UNTIL(&s, ours.size == 5 && theirs.size == 6);
  CHECK_INT(ours.sender, -1);
  scene_leave(&s, &theirs);
  SCENE_RUN_UNTIL(&s, ours.over);
  scene_leave(&s, &ours);
  scene_finish(&s);
}

/* Spawns the helper with the end, and lets it (or its child) say hello. Returns the pid that spoke by its own word. */
static int64_t hear(const char *behaviour, scene_io *ours, scene *s, cvos_process *ret_child)
{
  cvos_handle a, child;
  char token[CVOS_TOKEN_MAX];
  cvos_tree *tree;
  covey_failure failure;
  const char *file = test_format("%s/told", test_temp_dir());
  const char *argv[] = {test_helper(), behaviour, "COVEY_TEST_TOKEN", file, NULL};
  REQUIRE_OK(cvos_stream_pair(&a, &child, token));
  test_set_env("COVEY_TEST_TOKEN", token);
  cvos_pass pass = {.handle = child, .target = test_is_windows() ? 0 : (int)(intptr_t)child};
  cvos_spawn_request request = {
      .file = test_helper(), .argv = argv, .stdio = {CVOS_NONE, CVOS_NONE, CVOS_NONE}};
  request.command_line = test_format("\"%s\" %s COVEY_TEST_TOKEN \"%s\"", test_helper(), behaviour, file);
  request.pass = &pass;
  request.pass_count = child != CVOS_NONE;
  REQUIRE_OK(cvos_spawn(&request, ret_child, &tree, &failure));
  cvos_handle_close(child);
  scene_watch(s, ours, a);
  SCENE_RUN_UNTIL(s, ours->size == 5);
  CHECK_MEM(ours->data, "hello", 5);
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, SCENE_PATIENCE));
  const char *result = test_read_file(file, NULL);
  CHECK(strncmp(result, "COVEY_OK ", 9) == 0);
  CHECK_OK(cvos_tree_kill(tree));
  SCENE_RUN_UNTIL(s, ours->over);
  CHECK_OK(cvos_process_wait(ret_child, SCENE_PATIENCE));
  CHECK_OK(cvos_process_reap(ret_child, tree, NULL));
  cvos_tree_release(tree);
  return strtoll(result + 9, NULL, 10);
}

/* The child is known by the kernel's word: with its bytes (Linux), or because it opened the pipe (Windows). */
TEST(pair, a_child)
{
  scene s;
  scene_io ours;
  cvos_process child;
  scene_no_handles_lost();
  scene_begin(&s);
  int64_t pid = hear("inherit", &ours, &s, &child);
  CHECK_INT(pid, child.pid);
  if (cvos_stream_tells_sender()) CHECK_INT(ours.sender, pid);
  if (test_is_windows()) CHECK_INT(ours.peer, pid);
  scene_leave(&s, &ours);
  cvos_process_close(&child);
  scene_finish(&s);
}

TEST(pair, a_grandchild_is_told_apart)
{
  scene s;
  scene_io ours;
  cvos_process child;
  scene_begin(&s);
  int64_t pid = hear("hand-down", &ours, &s, &child);
  CHECK(pid != child.pid);
  if (cvos_stream_tells_sender()) CHECK_INT(ours.sender, pid);
  if (test_is_windows()) CHECK_INT(ours.peer, pid);
  scene_leave(&s, &ours);
  cvos_process_close(&child);
  CHECK(test_process_gone(pid, SCENE_PATIENCE));
  scene_finish(&s);
}

TEST(pair, tokens_that_are_refused)
{
  cvos_handle a, child, b, c;
  char token[CVOS_TOKEN_MAX];
  const char *bad[] = {"",
                       "3",
                       "3:",
                       "3:1",
                       "3:1:",
                       "3:1:2:",
                       "-3:1:2",
                       "+3:1:2",
                       " 3:1:2",
                       "3:1:2 ",
                       "2:1:2",
                       "0:0:0",
                       "3:x:1",
                       "99999999999:1:1",
                       "3:1:99999999999999999999999",
                       "ABCDEF00112233445566778899aabbcc",
                       "00112233445566778899aabbccddeef",
                       "00112233445566778899aabbccddeeff0",
                       "..\\..\\x",
                       "/dev/null"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (cvos_stream_inherit(bad[i], &b) != COVEY_EINVAL) TEST_FAIL("%s is taken", bad[i]);
  }
  REQUIRE_OK(cvos_stream_pair(&a, &child, token));
  size_t last = strlen(token) - 1;
  char kept = token[last];
  token[last] = kept == '0' ? '1' : '0';
  CHECK_ERR(cvos_stream_inherit(token, &b), COVEY_ENOTFOUND); /* well formed, but another's */
  token[last] = kept;
  REQUIRE_OK(cvos_stream_inherit(token, &b));
  if (test_is_windows()) CHECK_ERR(cvos_stream_inherit(token, &c), COVEY_ENOTFOUND); /* for one only */
  cvos_handle_close(b);
  cvos_handle_close(a);
  CHECK_ERR(cvos_stream_inherit(token, &c), COVEY_ENOTFOUND); /* gone */
}

TEST(pair, every_failure_leaves_nothing)
{
  scene_no_handles_lost();
  for (int64_t n = 1;; n++) {
    cvos_handle a, b;
    char token[CVOS_TOKEN_MAX];
    cvy_fault_after(CVOS_FAULT_NONE, n, 5);
    int r = cvos_stream_pair(&a, &b, token);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r == 0) {
      cvos_handle_close(a);
      cvos_handle_close(b);
    }
    if (over) {
      CHECK_INT(r, 0);
      break;
    }
    CHECK(r < 0);
  }
}
