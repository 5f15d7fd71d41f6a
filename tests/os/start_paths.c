/* Each way to start a process, and what is handed on. */
#include "child.h"
#include "core/fault.h"
#include "core/mem.h"
#include "os/caps.h"
#include "os/handle.h"
#include "os/path.h"
#include "os/signal.h"

/* Runs body once with each way that this system has. */
static void with_each_way(void (*body)(void))
{
  int ways = 0;
  for (int way = CVOS_PATH_CLONE3; way <= CVOS_PATH_SPAWN; way++) {
    if (cvos_process_force_path(way) < 0) continue;
    ways++;
    int before = test_failures();
    body();
    if (test_failures() != before) test_log("the way was %d", way);
  }
  REQUIRE_OK(cvos_process_force_path(CVOS_PATH_BEST));
  if (!ways) body();
}

/* macOS: one call starts a child, and what else a way does is the kernel's. */
static bool is_one_call(void)
{
  bool spawns = cvos_process_force_path(CVOS_PATH_SPAWN) == 0;
  REQUIRE_OK(cvos_process_force_path(CVOS_PATH_BEST));
  return spawns;
}

static void good_and_bad(void)
{
  child c;
  covey_identity id;
  child_start(&c, &(cvos_spawn_request){.flags = CVOS_SPAWN_TIED, .cwd = test_temp_dir()},
              TEST_WORDS("exit", "9"));
  CHECK(c.process.start != 0);
  child_finish(&c);
  CHECK_UINT(c.status.code, 9);
  child_start(&c, NULL, TEST_WORDS("hang"));
  REQUIRE_OK(cvos_identity(c.process.pid, &id, NULL));
  CHECK_UINT(id.start, c.process.start);
  CHECK_OK(cvos_tree_kill(c.tree));
  child_finish(&c);
  for (int flags = 0; flags <= CVOS_SPAWN_TIED; flags++) {
    cvos_spawn_request q;
    covey_failure failure;
    cvos_process process;
    cvos_tree *tree;
    child_request(&q, TEST_WORDS("nothing"));
    q.flags = (uint32_t)flags;
    q.cwd = test_helper();
    CHECK_ERR(cvos_spawn(&q, &process, &tree, &failure), COVEY_ENOTFOUND);
    CHECK_INT(failure.stage, COVEY_STAGE_CWD);
    q.cwd = NULL;
    q.file = test_format("%s%cnone.exe", test_temp_dir(), cvos_path_separator());
    CHECK_ERR(cvos_spawn(&q, &process, &tree, &failure), COVEY_ENOTFOUND);
    CHECK_INT(failure.stage, COVEY_STAGE_LOOKUP);
    child_free_request(&q);
  }
}

TEST(start_paths, all_work_alike)
{
  good_and_bad();
  test_no_handles_lost();
  with_each_way(good_and_bad);
}

static void permute(void)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("permute", test_temp_dir()));
  child_finish(&c);
  CHECK_UINT(c.status.code, 0);
  if (c.status.code) test_log("%s", test_read_file(c.output, NULL));
}

TEST_LIMIT(start_paths, descriptors_in_every_order, 120)
{
  if (test_is_windows()) TEST_SKIP("handles have no numbers to be handed on under");
  permute();
}

TEST(start_paths, under_any_limit_on_descriptors)
{
  if (test_is_windows()) TEST_SKIP("no such limit");
  child c;
  child_start(&c, NULL, TEST_WORDS("exhaust"));
  child_finish(&c);
  CHECK_UINT(c.status.code, 0);
  test_log("%s", test_read_file(c.output, NULL));
}

/* What is open here and was not named is not open there. */
static void closed_but_named(void)
{
  child c;
  cvos_handle open[40];
  for (int i = 0; i < 40; i++) REQUIRE_OK(cvos_null_open(&open[i]));
  char number[24];
  snprintf(number, sizeof number, "%" PRIdPTR, (intptr_t)open[7]);
  child_start(&c, &(cvos_spawn_request){.flags = CVOS_SPAWN_TIED}, TEST_WORDS("handles", number));
  child_finish(&c);
  CHECK_STR(test_read_file(c.output, NULL), test_format("%s closed\n", number));
  cvos_pass pass = {open[7], 9};
  const char *there = test_is_windows() ? number : "9";
  child_start(&c, &(cvos_spawn_request){.pass = &pass, .pass_count = 1}, TEST_WORDS("handles", there));
  child_finish(&c);
  CHECK_STR(test_read_file(c.output, NULL), test_format("%s open\n", there));
  if (!test_is_windows()) {
    child_start(&c, &(cvos_spawn_request){.pass = &pass, .pass_count = 1, .flags = CVOS_SPAWN_TIED},
                TEST_WORDS("handles"));
    child_finish(&c);
    CHECK_STR(test_read_file(c.output, NULL), "9\n");
  }
  /* the one that was passed is not left inheritable */
  child_start(&c, NULL, TEST_WORDS("handles", number));
  child_finish(&c);
  CHECK_STR(test_read_file(c.output, NULL), test_format("%s closed\n", number));
  for (int i = 0; i < 40; i++) cvos_handle_close(open[i]);
}

TEST(start_paths, nothing_leaks_into_a_child)
{
  with_each_way(closed_but_named);
}

/* An older kernel has no call that closes them all: the list of what is open is read. */
TEST(start_paths, nothing_leaks_without_close_range)
{
  if (test_is_windows()) TEST_SKIP("handles are listed, not closed");
  child c;
  cvos_handle open[200];
  for (int i = 0; i < 200; i++) REQUIRE_OK(cvos_null_open(&open[i]));
  child_start(&c, NULL, TEST_WORDS("nothing")); /* has the probing done */
  child_finish(&c);
  cvy_fault_after(CVOS_FAULT_PLACE, 1, 38); /* ENOSYS of Linux; elsewhere only a number */
  child_start(&c, NULL, TEST_WORDS("handles"));
  int64_t seen = cvy_fault_seen();
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  /* a copy of us counts for itself */
  CHECK(seen >= 1 || !(cvos_caps() & COVEY_CAP_SPAWN_FLAT) || is_one_call());
  child_finish(&c);
  CHECK_STR(test_read_file(c.output, NULL), "");
  for (int i = 0; i < 200; i++) cvos_handle_close(open[i]);
}

/* A program that is being written is tried for a moment, then refused; once it is closed it starts. */
TEST(start_paths, a_file_being_written_is_refused)
{
  if (test_is_windows()) TEST_SKIP("files that are open for sharing can be started");
  size_t size = 0;
  char *bytes = test_read_file(test_helper(), &size);
  char *copy = test_format("%s/program", test_temp_dir());
  test_write_file(copy, bytes, size);
  const char *const chmod[] = {"/bin/chmod", "755", copy, NULL};
  REQUIRE(test_run(chmod, 10000).code == 0);
  cvos_handle writer;
  cvos_spawn_request q;
  covey_failure failure;
  cvos_process process;
  cvos_tree *tree;
  REQUIRE_OK(cvos_file_open(copy, CVOS_FILE_APPEND, &writer));
  child_request(&q, TEST_WORDS("nothing"));
  q.file = copy;
  int r = cvos_spawn(&q, &process, &tree, &failure);
  cvos_handle_close(writer);
  if (r < 0) {
    CHECK_INT(r, COVEY_EACCES);
    CHECK_INT(failure.stage, COVEY_STAGE_EXEC);
    r = cvos_spawn(&q, &process, &tree, &failure);
  } else {
    test_log("this kernel starts a file that is being written");
  }
  REQUIRE_OK(r);
  REQUIRE_OK(cvos_process_wait(&process, 20000));
  REQUIRE_OK(cvos_process_reap(&process, tree, NULL));
  cvos_tree_release(tree);
  cvos_process_close(&process);
  child_free_request(&q);
}

/* Without a handle (an old kernel) the pid has to do. */
TEST(start_paths, works_without_a_handle)
{
  if (test_is_windows()) TEST_SKIP("a process is its handle");
  child c;
  cvos_status status;
  child_start(&c, NULL, TEST_WORDS("hang"));
  cvos_process_close(&c.process);
  CHECK(c.process.handle == CVOS_NONE);
  CHECK_ERR(cvos_process_note(&c.process, &status), COVEY_EAGAIN);
  CHECK_ERR(cvos_process_wait(&c.process, 60), COVEY_ETIMEDOUT);
  CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_TERM));
  child_finish(&c);
  CHECK_INT(c.status.signal, CVOS_SIGNAL_TERM);
}

/* ---- many at once ---- */

enum { THREADS = 8, EACH = 12 };

/* Each starts children that read until their pipe ends, while the others' children are alive: the end comes to each, so nobody has
 * another's end of a pipe. */
static void start_readers(void *arg)
{
  bool wine = *(bool *)arg;
  cvos_handle ours[EACH], theirs;
  child c[EACH];
  int count = wine ? 2 : EACH;
  memset(c, 0, sizeof c);
  for (int i = 0; i < count; i++) {
    cvos_spawn_request q;
    covey_failure failure;
    REQUIRE_OK(cvos_pipe_for_child(CVOS_TO_CHILD, &ours[i], &theirs));
    child_request(&q, TEST_WORDS("read", "1"));
    q.stdio[0] = theirs;
    q.flags = i & 1 ? CVOS_SPAWN_TIED : 0;
    REQUIRE_OK(cvos_spawn(&q, &c[i].process, &c[i].tree, &failure));
    child_free_request(&q);
    cvos_handle_close(theirs);
  }
  for (int i = count - 1; i >= 0; i--) {
    CHECK_ERR(cvos_process_wait(&c[i].process, 0), COVEY_ETIMEDOUT);
    cvos_handle_close(ours[i]);
    child_finish(&c[i]);
    CHECK_UINT(c[i].status.code, 21);
  }
}

TEST(start_paths, many_at_once_hold_nothing_of_each_other)
{
  bool wine = test_is_wine();
  test_thread *threads[THREADS];
  good_and_bad();
  if (!wine) test_no_handles_lost(); /* a lock of wine's gets an event when threads first meet at it */
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(start_readers, &wine);
  for (int i = 0; i < THREADS; i++) test_thread_join(threads[i]);
}

/* ---- every system call and every allocation fails once ---- */

enum { FAULT_CALL, FAULT_MEMORY };

/* One start with the n-th call (or allocation) failing; whether it worked. *ret_met tells whether it came to the n-th. */
static bool start_with_fault(uint32_t flags, int kind, int64_t n, bool *ret_met)
{
  cvos_spawn_request q;
  covey_failure failure;
  cvos_process process;
  cvos_tree *tree;
  cvos_status status;
  memset(&failure, 0, sizeof failure);
  child_request(&q, TEST_WORDS("nothing"));
  q.flags = flags;
  q.cwd = test_temp_dir();
  REQUIRE_OK(cvos_null_open(&q.stdio[0]));
  q.stdio[1] = q.stdio[2] = q.stdio[0];
  cvos_pass pass = {q.stdio[0], 12};
  q.pass = &pass;
  q.pass_count = 1;
  /* too many open files: EMFILE, ERROR_TOO_MANY_OPEN_FILES */
  if (kind == FAULT_CALL)
    cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 4 : 24);
  else
    cvy_mem_fail_after(n);
  int r = cvos_spawn(&q, &process, &tree, &failure);
  *ret_met = kind == FAULT_CALL ? cvy_fault_seen() >= n : r < 0;
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  cvy_mem_fail_after(0);
  cvos_handle_close(q.stdio[0]);
  child_free_request(&q);
  if (r < 0) {
    CHECK_INT(failure.code, r);
    CHECK(failure.stage != COVEY_STAGE_NONE);
    return false;
  }
  REQUIRE_OK(cvos_process_wait(&process, 20000));
  REQUIRE_OK(cvos_process_reap(&process, tree, &status));
  CHECK_UINT(status.code, 0);
  cvos_tree_release(tree);
  cvos_process_close(&process);
  return true;
}

static bool one_call;

static void walk(int kind)
{
  for (uint32_t flags = 0; flags <= CVOS_SPAWN_TIED; flags++) {
    int failed = 0;
    bool met = true;
    for (int64_t n = 1; met && n < 100; n++) {
      if (!start_with_fault(flags, kind, n, &met)) failed++;
    }
    CHECK(!met);
    CHECK(failed > (kind == FAULT_CALL && !one_call ? 3 : 0));
  }
}

static void walk_calls(void)
{
  walk(FAULT_CALL);
}
static void walk_memory(void)
{
  walk(FAULT_MEMORY);
}

TEST_LIMIT(start_paths, any_call_may_fail, 120)
{
  good_and_bad();
  one_call = is_one_call();
  test_no_handles_lost();
  with_each_way(walk_calls);
}

TEST(start_paths, any_allocation_may_fail)
{
  good_and_bad();
  test_no_handles_lost();
  walk_memory();
}

/* ---- a system that lacks something (COVEY_LACKS) ---- */

/* What is said to be lacking is, and nothing else: so a run with another way is one. */
TEST(start_paths, are_those_of_a_system_that_lacks)
{
  bool clone = cvy_fault_lacks("pidfd") || cvy_fault_lacks("clone");
  bool least[] = {clone || cvy_fault_lacks("clone3"), clone, cvy_fault_lacks("vfork")};
  if (test_is_windows() || !getenv("COVEY_LACKS")) TEST_SKIP("it lacks nothing: ci/steps/paths");
  for (int way = CVOS_PATH_CLONE3; way < CVOS_PATH_FORK; way++) {
    if (least[way - CVOS_PATH_CLONE3]) CHECK_ERR(cvos_process_force_path(way), COVEY_ENOTSUP);
  }
  REQUIRE_OK(cvos_process_force_path(CVOS_PATH_BEST));
  uint32_t caps = cvos_caps();
  if (cvy_fault_lacks("pidfd")) CHECK(!(caps & COVEY_CAP_PIDFD));
  if (cvy_fault_lacks("cgroup") || least[0]) CHECK(!(caps & COVEY_CAP_TREE_KERNEL));
  if (cvy_fault_lacks("sh")) CHECK(!(caps & COVEY_CAP_TIED_LIFE));
  if (least[0] && least[1] && least[2]) CHECK(!(caps & COVEY_CAP_SPAWN_FLAT));
  /* lists of children are looked into for each member; without them all processes are, once a round until nothing is new */
  child c;
  int64_t pids[8];
  child_start(&c, NULL, TEST_WORDS("tree", "3", "1"));
  (void)child_number(&c, 3);
  cvy_fault_after(CVOS_FAULT_PROCESS_LIST, 0, 0);
  CHECK_INT(cvos_tree_members(c.tree, pids, 8), 4);
  int64_t lists = cvy_fault_seen();
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  if (cvy_fault_lacks("children"))
    CHECK_INT(lists, 2);
  else
    CHECK(lists > 4);
  CHECK_OK(cvos_tree_kill(c.tree));
  child_finish(&c);
}
