#include "os/process.h"
#include "child.h"
#include "core/fault.h"
#include "os/caps.h"
#include "os/handle.h"
#include "os/path.h"
#include "os/signal.h"
#include "os/tree.h"

/* ---- starting and ending ---- */

TEST(process, exits_with_its_code)
{
  child c;
  test_no_handles_lost();
  child_start(&c, NULL, TEST_WORDS("exit", "42"));
  CHECK(c.process.pid > 0);
  CHECK(c.process.start != 0);
  CHECK(c.process.child);
  child_finish(&c);
  CHECK_INT(c.status.how, CVOS_END_EXITED);
  CHECK_UINT(c.status.code, 42);
  CHECK_INT(c.status.signal, 0);
  CHECK(c.process.reaped);
}

TEST(process, keeps_all_bits_of_a_code)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("exit-code-big"));
  child_finish(&c);
  CHECK_INT(c.status.how, CVOS_END_EXITED);
  CHECK_UINT(c.status.code, test_is_windows() ? 0x12345678 : 0x78);
}

TEST(process, tells_a_crash)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("crash"));
  child_finish(&c);
  if (test_is_windows()) {
    CHECK_INT(c.status.how, CVOS_END_EXITED);
    CHECK_UINT(c.status.code, 0xC0000005);
  } else {
    CHECK_INT(c.status.how, CVOS_END_SIGNALLED);
    CHECK_INT(c.status.signal, CVOS_SIGNAL_SEGV);
    CHECK_UINT(c.status.code, 0);
  }
}

TEST(process, notes_without_reaping)
{
  child c;
  cvos_status status;
  child_start(&c, NULL, TEST_WORDS("hang"));
  child_says(&c, "ready");
  CHECK_ERR(cvos_process_note(&c.process, &status), COVEY_EAGAIN);
  CHECK_ERR(cvos_process_reap(&c.process, c.tree, &status), COVEY_EAGAIN);
  CHECK_ERR(cvos_process_wait(&c.process, 0), COVEY_ETIMEDOUT);
  int64_t before = test_now();
  CHECK_ERR(cvos_process_wait(&c.process, 100), COVEY_ETIMEDOUT);
  CHECK(test_now() - before >= 99);
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK_OK(cvos_process_wait(&c.process, 30000));
  for (int i = 0; i < 3; i++) CHECK_OK(cvos_process_note(&c.process, &status));
  child_finish(&c);
}

/* A dead child is the debugger's first, which may keep it. */
TEST(process, ends_for_its_parent_behind_its_tracer)
{
  child c, tracer;
  cvos_process held;
  cvos_status status;
  child_start(&c, NULL, TEST_WORDS("hang"));
  child_says(&c, "ready");
  child_start(&tracer, NULL, TEST_WORDS("trace", test_format("%" PRId64, c.process.pid)));
  bool here = strncmp(child_says(&tracer, "\n"), "traced", 6) == 0;
  REQUIRE_OK(cvos_process_open(c.process.pid, c.process.start, &held));
  CHECK_OK(cvos_tree_kill(c.tree));
  if (here) {
    CHECK_ERR(cvos_process_wait(&c.process, 300), COVEY_ETIMEDOUT);
    CHECK_ERR(cvos_process_reap(&c.process, c.tree, &status), COVEY_EAGAIN);
    for (int i = 0; i < 3; i++, test_pause(30)) CHECK_ERR(cvos_process_note(&held, &status), COVEY_EAGAIN);
    CHECK_OK(cvos_tree_kill(tracer.tree));
  }
  child_finish(&tracer);
  CHECK_OK(cvos_process_wait(&c.process, 30000));
  if (here) CHECK_OK(cvos_process_note(&held, &status));
  if (here) CHECK_INT(status.how, CVOS_END_SIGNALLED);
  cvos_process_close(&held);
  child_finish(&c);
  if (!here) TEST_SKIP("nothing is traced here");
  CHECK_INT(c.status.how, CVOS_END_SIGNALLED);
}

TEST(process, measures_cpu_time)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("burn", "300"));
  child_finish(&c);
  if (test_is_wine()) TEST_SKIP("wine does not tell the CPU time of a process that has ended");
  CHECK(c.status.user_us >= 200000);
  CHECK(c.status.user_us < 30000000);
  CHECK(c.status.system_us >= 0);
}

TEST(process, measures_peak_memory)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("use-memory", "268435456"));
  child_finish(&c);
  if (test_is_wine() && c.status.peak_bytes <= 0)
    TEST_SKIP("wine does not tell the memory of a process that has ended");
  CHECK(c.status.peak_bytes >= 256 * 1024 * 1024);
  CHECK(c.status.peak_bytes < INT64_C(8) * 1024 * 1024 * 1024);
}

TEST(process, passes_arguments_and_streams)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("args", "a b", "", "\"q\\", "*"));
  child_finish(&c);
  const char *out = test_read_file(c.output, NULL);
  REQUIRE(out != NULL);
  CHECK(strstr(out, "[3]a b") != NULL);
  CHECK(strstr(out, "[0]") != NULL);
  CHECK(strstr(out, "[3]\"q\\") != NULL);
  CHECK(strstr(out, "[1]*") != NULL);
}

TEST(process, starts_in_its_directory)
{
  child c;
  cvos_spawn_request base = {.cwd = test_temp_dir()};
  child_start(&c, &base, TEST_WORDS("cwd"));
  child_finish(&c);
  const char *out = test_read_file(c.output, NULL);
  const char *folder = test_temp_dir() + strlen(test_temp_dir());
  while (folder > test_temp_dir() && folder[-1] != '/' && folder[-1] != '\\') folder--;
  REQUIRE(out && *folder);
  CHECK(strstr(out, folder) != NULL);
}

/* ---- what fails, and where ---- */

/* The guard's descriptors stay until the program ends: a test that counts has it started before. */
static void warm_guard(void)
{
  child c;
  child_start(&c, &(cvos_spawn_request){.flags = CVOS_SPAWN_TIED}, TEST_WORDS("nothing"));
  child_finish(&c);
}

static void refuse(const cvos_spawn_request *q, int code, int stage, const char *what)
{
  cvos_process process = {.pid = -7};
  cvos_tree *tree = (cvos_tree *)(uintptr_t)1;
  covey_failure failure;
  memset(&failure, 0, sizeof failure);
  CHECK_ERR(cvos_spawn(q, &process, &tree, &failure), code);
  CHECK_INT(failure.code, code);
  CHECK_INT(failure.stage, stage);
  if (what) CHECK_STR(failure.what, what);
  CHECK_INT(process.pid, -7);
  CHECK(tree == (cvos_tree *)(uintptr_t)1);
}

static void request_quiet(cvos_spawn_request *q, const char *const *arguments)
{
  child_request(q, arguments);
  REQUIRE_OK(cvos_null_open(&q->stdio[0]));
  q->stdio[1] = q->stdio[2] = q->stdio[0];
}

static void free_quiet(cvos_spawn_request *q)
{
  cvos_handle_close(q->stdio[0]);
  child_free_request(q);
}

TEST(process, says_that_the_program_is_missing)
{
  cvos_spawn_request q;
  warm_guard();
  test_no_handles_lost();
  request_quiet(&q, TEST_WORDS("nothing"));
  q.file = test_format("%s%cnobody.exe", test_temp_dir(), cvos_path_separator());
  refuse(&q, COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP, q.file);
  q.flags = CVOS_SPAWN_TIED;
  refuse(&q, COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP, q.file);
  free_quiet(&q);
}

TEST(process, says_that_the_directory_is_missing)
{
  cvos_spawn_request q;
  request_quiet(&q, TEST_WORDS("nothing"));
  q.cwd = test_format("%s%cnowhere", test_temp_dir(), cvos_path_separator());
  refuse(&q, COVEY_ENOTFOUND, COVEY_STAGE_CWD, q.cwd);
  q.cwd = test_helper();
  refuse(&q, COVEY_ENOTFOUND, COVEY_STAGE_CWD, q.cwd);
  free_quiet(&q);
}

TEST(process, says_that_a_file_is_no_program)
{
  cvos_spawn_request q;
  request_quiet(&q, TEST_WORDS("nothing"));
  char *file = test_format("%s%ctext.exe", test_temp_dir(), cvos_path_separator());
  test_write_file(file, "this is no program\n", 19);
  q.file = file;
  if (test_is_windows()) {
    refuse(&q, COVEY_EINVAL, COVEY_STAGE_EXEC, file);
  } else {
    refuse(&q, COVEY_EACCES, COVEY_STAGE_EXEC, file);
    const char *const chmod[] = {"/bin/chmod", "755", file, NULL};
    CHECK_INT(test_run(chmod, 10000).code, 0);
    refuse(&q, COVEY_EINVAL, COVEY_STAGE_EXEC, file);
  }
  q.file = test_temp_dir();
  refuse(&q, COVEY_EACCES, COVEY_STAGE_EXEC, q.file);
  free_quiet(&q);
}

/* Each system number by which a rule, a guard or a broken alias keeps a program from starting. */
TEST(process, says_that_a_program_is_forbidden)
{
  static const int windows[] = {5, 225, 226, 740, 1260, 1920, 4551}, posix[] = {13, 1};
  cvos_spawn_request q;
  if (test_is_windows()) test_no_handles_lost();
  request_quiet(&q, TEST_WORDS("nothing"));
  for (size_t i = 0; i < (test_is_windows() ? sizeof windows : sizeof posix) / sizeof(int); i++) {
    cvy_fault_after(test_is_windows() ? CVOS_FAULT_CREATE_PROCESS : CVOS_FAULT_EXEC, 1,
                    test_is_windows() ? windows[i] : posix[i]);
    refuse(&q, COVEY_EACCES, COVEY_STAGE_EXEC, q.file);
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  }
  free_quiet(&q);
}

TEST(process, says_that_the_interpreter_is_missing)
{
  if (test_is_windows()) TEST_SKIP("Windows knows no interpreter in the first line of a file");
  cvos_spawn_request q;
  request_quiet(&q, TEST_WORDS("nothing"));
  char *file = test_format("%s/script", test_temp_dir());
  const char *text = "#! /no/such/shell -x\nexit 0\n";
  test_write_file(file, text, strlen(text));
  const char *const chmod[] = {"/bin/chmod", "755", file, NULL};
  CHECK_INT(test_run(chmod, 10000).code, 0);
  q.file = file;
  refuse(&q, COVEY_ENOTFOUND, COVEY_STAGE_INTERPRETER, "/no/such/shell");
  text = "#!/dev/null\n";
  test_write_file(file, text, strlen(text));
  refuse(&q, COVEY_EACCES, COVEY_STAGE_INTERPRETER, "/dev/null");
  free_quiet(&q);
}

TEST(process, refuses_what_is_too_long)
{
  cvos_spawn_request q;
  char *huge = malloc((size_t)4 << 20);
  REQUIRE(huge != NULL);
  memset(huge, 'x', ((size_t)4 << 20) - 1);
  huge[((size_t)4 << 20) - 1] = '\0';
  request_quiet(&q, TEST_WORDS("nothing"));
  const char *argv[] = {test_helper(), "a", huge, NULL};
  const char *line = q.command_line;
  const char *const *own_argv = q.argv;
  q.argv = argv;
  q.command_line = huge;
  covey_failure failure;
  cvos_process process;
  cvos_tree *tree;
  CHECK_ERR(cvos_spawn(&q, &process, &tree, &failure), COVEY_ETOOBIG);
  CHECK_INT(failure.stage, COVEY_STAGE_ARGUMENTS);
  if (!test_is_windows()) CHECK_INT(failure.index, 2);
  if (test_is_windows()) {
    q.command_line = line;
    huge[300] = '\0';
    memcpy(huge, "C:\\", 3);
    q.file = huge;
    CHECK_ERR(cvos_spawn(&q, &process, &tree, &failure), COVEY_ETOOBIG);
    q.file = test_helper();
    q.cwd = huge;
    CHECK_ERR(cvos_spawn(&q, &process, &tree, &failure), COVEY_ETOOBIG);
    CHECK_INT(failure.stage, COVEY_STAGE_ARGUMENTS);
  }
  q.argv = own_argv;
  q.command_line = line;
  free_quiet(&q);
  free(huge);
}

TEST(process, refuses_a_stream_that_is_not_open)
{
  cvos_spawn_request q;
  cvos_handle closed = (cvos_handle)(intptr_t)0x7FFFF0;
  request_quiet(&q, TEST_WORDS("nothing"));
  covey_failure failure;
  cvos_process process;
  cvos_tree *tree;
  q.stdio[1] = closed;
  CHECK(cvos_spawn(&q, &process, &tree, &failure) < 0);
  CHECK_INT(failure.stage, COVEY_STAGE_STDIO);
  CHECK_INT(failure.index, 1);
  q.stdio[1] = q.stdio[0];
  q.pass = &(cvos_pass){closed, 5};
  q.pass_count = 1;
  CHECK(cvos_spawn(&q, &process, &tree, &failure) < 0);
  CHECK_INT(failure.stage, COVEY_STAGE_STDIO);
  CHECK_INT(failure.index, 3);
  free_quiet(&q);
}

/* ---- identity ---- */

TEST(process, knows_itself)
{
  covey_identity me, again;
  int64_t parent = -1;
  REQUIRE_OK(cvos_identity(0, &me, &parent));
  CHECK_INT(me.pid, test_pid());
  CHECK(me.start != 0);
  CHECK(parent > 0);
  CHECK(me.flags & COVEY_ID_SAME_USER);
  if (test_is_windows())
    CHECK(strncmp(me.sid, "S-1-", 4) == 0);
  else
    CHECK(me.uid >= 0);
  REQUIRE_OK(cvos_identity(test_pid(), &again, NULL));
  CHECK_UINT(again.start, me.start);
  CHECK_STR(again.sid, me.sid);
  CHECK_INT(again.uid, me.uid);
}

TEST(process, knows_its_child)
{
  child c;
  covey_identity id;
  int64_t parent = 0;
  child_start(&c, NULL, TEST_WORDS("hang"));
  child_says(&c, "ready");
  REQUIRE_OK(cvos_identity(c.process.pid, &id, &parent));
  CHECK_UINT(id.start, c.process.start);
  CHECK_INT(parent, test_pid());
  CHECK(id.flags & COVEY_ID_SAME_USER);
  CHECK_OK(cvos_tree_kill(c.tree));
  REQUIRE_OK(cvos_process_wait(&c.process, 30000));
  CHECK_ERR(cvos_identity(c.process.pid, &id, NULL), COVEY_ENOTFOUND);
  child_finish(&c);
}

static void keep_thread(void *arg)
{
  (void)arg;
  while (test_add(arg, 0) == 0) test_pause(1);
}

/* The number of a thread has an entry of its own on Linux, and is no process. */
TEST(process, a_thread_is_no_process)
{
  test_counter done = {0};
  covey_identity id;
  cvos_process held;
  test_thread *thread = test_thread_start(keep_thread, &done);
  /* what has an identity can be opened: the number of the thread, which is one of the next, has none */
  for (int64_t pid = test_pid() + 1; pid < test_pid() + 64; pid++) {
    covey_identity again;
    if (cvos_identity(pid, &id, NULL) < 0) continue;
    int r = cvos_process_open(pid, id.start, &held);
    if (r == 0)
      cvos_process_close(&held);
    else if (r != COVEY_EACCES)
      CHECK(cvos_identity(pid, &again, NULL) < 0 || again.start != id.start);
  }
  test_add(&done, 1);
  test_thread_join(thread);
}

/* The stamp is the child's own, also where it is read from the clock: every one of many is compared with what the system says. */
TEST(process, stamps_are_the_systems)
{
  for (int i = 0; i < (test_is_wine() ? 3 : 50); i++) {
    child c;
    covey_identity id;
    child_start(&c, NULL, TEST_WORDS("hang"));
    REQUIRE_OK(cvos_identity(c.process.pid, &id, NULL));
    CHECK_UINT(id.start, c.process.start);
    CHECK_OK(cvos_tree_kill(c.tree));
    child_finish(&c);
  }
}

TEST(process, start_time_is_now)
{
  child c;
  covey_identity me;
  REQUIRE_OK(cvos_identity(0, &me, NULL));
  child_start(&c, NULL, TEST_WORDS("nothing"));
  int64_t mine = cvos_start_time(me.start), its = cvos_start_time(c.process.start);
  CHECK(its >= mine - 20);
  CHECK(its - mine < 60000);
  CHECK(mine > INT64_C(1577836800000)); /* 2020 */
  CHECK_INT(cvos_start_time(0), -1);
  child_finish(&c);
}

TEST(process, opens_a_process_by_its_stamp)
{
  child c;
  cvos_process held;
  cvos_status status;
  test_no_handles_lost();
  child_start(&c, NULL, TEST_WORDS("hang"));
  child_says(&c, "ready");
  CHECK_ERR(cvos_process_open(c.process.pid, c.process.start + 1, &held), COVEY_EPEERCHANGED);
  REQUIRE_OK(cvos_process_open(c.process.pid, c.process.start, &held));
  CHECK_UINT(held.start, c.process.start);
  CHECK(!held.child);
  CHECK_ERR(cvos_process_note(&held, &status), COVEY_EAGAIN);
  CHECK_ERR(cvos_process_wait(&held, 0), COVEY_ETIMEDOUT);
  CHECK_OK(cvos_signal_send(&held, CVOS_SIGNAL_KILL));
  CHECK_OK(cvos_process_wait(&held, 30000));
  CHECK_OK(cvos_process_note(&held, &status));
  CHECK_ERR(cvos_signal_send(&held, CVOS_SIGNAL_KILL), COVEY_ENOTFOUND);
  if (test_is_windows()) CHECK_UINT(status.code, 137);
  cvos_process_close(&held);
  child_finish(&c);
  if (!test_is_wine()) CHECK_ERR(cvos_process_open(c.process.pid, c.process.start, &held), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_process_open(0, 0, &held), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_process_open(-5, 0, &held), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_process_open(INT64_C(1) << 40, 0, &held), COVEY_ENOTFOUND);
}

TEST(process, copies_the_environment)
{
  char **list;
  size_t count = 0;
  bool found = false;
  test_set_env("COVEY_TEST_SEAM", "green=x");
  REQUIRE_OK(cvos_environment(&list, &count));
  for (size_t i = 0; i < count; i++) {
    REQUIRE(list[i] != NULL);
    CHECK(strchr(list[i] + 1, '=') != NULL);
    found = found || strcmp(list[i], "COVEY_TEST_SEAM=green=x") == 0;
  }
  CHECK(found);
  CHECK(list[count] == NULL);
  covey_free(list);
  test_set_env("COVEY_TEST_SEAM", NULL);
}

TEST(process, tells_what_the_system_can)
{
  uint32_t caps = cvos_caps();
  CHECK(caps & COVEY_CAP_TIED_LIFE);
  CHECK(!test_is_windows() || (caps & COVEY_CAP_TREE_KERNEL));
  CHECK_UINT(cvos_caps(), caps);
}
