/* What a child is given before its first instruction: user, limits, priority, processors, windows; and how each of them fails. */
#include "support/test.h"

#include <covey/find.h>
#include <covey/launch.h>
#include <covey/process.h>

#include "core/fault.h"
#include "os/handle.h"
#include "os/process.h"

enum { SYSTEM_INVALID = 22 }; /* EINVAL */

/* The output of a child of options, which must end well; a view. */
static const char *output_of(covey_process_options options, const covey_launch *launch)
{
  covey_result r = {0};

  options.launch = launch;
  options.out.kind = COVEY_STDIO_CAPTURE;
  options.timeout = TEST_SOON;
  REQUIRE_OK(covey_run(&options, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  const char *text = test_format("%s", r.out);
  covey_result_free(&r);
  return text;
}

static const char *sh(const char *command, const covey_launch *launch)
{
  return output_of((covey_process_options){.command = command}, launch);
}

static const char *attributes(const covey_launch *launch)
{
  return output_of((covey_process_options){.argv = TEST_HELPER("attributes")}, launch);
}

/* The failure of starting with launch, which must have this code and stage. */
static const covey_failure *refused(const covey_launch *launch, int code, int stage)
{
  covey_process *p = NULL;

  CHECK_ERR(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"), .launch = launch}, &p),
            code);
  CHECK(p == NULL);
  if (p) covey_process_close(p);
  CHECK_INT(covey_last_failure()->stage, stage);
  return covey_last_failure();
}

/* Whether this system has a field at all; when not, that it says so. */
static bool here(const covey_launch *launch, const char *field)
{
  covey_process *p = NULL;
  int r = covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"), .launch = launch}, &p);

  if (r >= 0) {
    covey_process_close(p);
    return true;
  }
  if (r != COVEY_ENOTSUP) return true;
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ARGUMENTS);
  CHECK_STR(covey_last_failure()->what, field);
  return false;
}

static bool is_root(void)
{
  covey_identity self;

  return !test_is_windows() && cvos_identity(0, &self, NULL) == 0 && self.uid == 0;
}

TEST(launch, nothing_is_as_before)
{
  const covey_launch none = {0};

  test_no_child_handles_lost();
  CHECK_STR(attributes(&none), attributes(NULL));
}

/* ---- users ---- */

/* Real, effective and saved ids, and all groups, in the words of Linux. */
static const char *ids(const covey_launch *launch)
{
  return sh("while read -r name rest; do case $name in Uid:|Gid:|Groups:) echo \"$name\" $rest;; esac; done"
            " </proc/self/status",
            launch);
}

TEST(launch, another_user)
{
  static const char *const none[] = {NULL}, *const some[] = {"7", "root", "9", NULL};

  if (!here(&(covey_launch){.user = "0", .group = "0"}, "launch.user")) return;
  if (!is_root()) TEST_SKIP("only root may become another");
  test_no_child_handles_lost();
  CHECK_STR(ids(&(covey_launch){.user = "4711", .group = "4712"}),
            "Uid: 4711 4711 4711 4711\nGid: 4712 4712 4712 4712\nGroups:\n");
  CHECK_STR(ids(&(covey_launch){.user = "4711", .group = "4712", .groups = some}),
            "Uid: 4711 4711 4711 4711\nGid: 4712 4712 4712 4712\nGroups: 0 7 9\n");
  CHECK_STR(ids(&(covey_launch){.group = "4712", .groups = none}),
            "Uid: 0 0 0 0\nGid: 4712 4712 4712 4712\nGroups:\n");
  /* by name: its own group, and it is in that one too */
  const char *nobody = ids(&(covey_launch){.user = "nobody"});
  CHECK(strncmp(nobody, "Uid: 65534 65534 65534 65534\nGid: 65534 65534 65534 65534\nGroups: 65534", 70) ==
        0);
  CHECK_STR(ids(&(covey_launch){.user = "65534"}), nobody);
  if (covey_caps() & COVEY_CAP_TREE_KERNEL) /* it is in a group of its own like any other */
    CHECK(strstr(sh("cat /proc/self/cgroup", &(covey_launch){.user = "nobody"}), "/covey.") != NULL);
  /* a start of somebody else is tied and stopped like any other */
  covey_process *p;
  covey_exit e;
  REQUIRE_OK(covey_spawn(
      &(covey_process_options){.command = "sleep 600 & wait", .launch = &(covey_launch){.user = "nobody"}},
      &p));
  CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_STOP);
  covey_process_close(p);
}

TEST(launch, users_that_are_not_there)
{
  const covey_failure *f;
  static const char *const groups[] = {"0", "covey-no-such-group", NULL};

  if (!here(&(covey_launch){.user = "0", .group = "0"}, "launch.user")) return;
  test_no_child_handles_lost();
  f = refused(&(covey_launch){.user = "covey-no-such-user"}, COVEY_ENOTFOUND, COVEY_STAGE_USER);
  CHECK_STR(f->what, "covey-no-such-user");
  f = refused(&(covey_launch){.group = "covey-no-such-group"}, COVEY_ENOTFOUND, COVEY_STAGE_USER);
  CHECK_STR(f->what, "covey-no-such-group");
  f = refused(&(covey_launch){.groups = groups}, COVEY_ENOTFOUND, COVEY_STAGE_USER);
  CHECK_STR(f->what, "covey-no-such-group");
  CHECK_INT(f->index, 1);
  refused(&(covey_launch){.user = "4294967295", .group = "0"}, COVEY_ENOTFOUND, COVEY_STAGE_USER);
  refused(&(covey_launch){.user = "99999999999", .group = "0"}, COVEY_ENOTFOUND, COVEY_STAGE_USER);
  refused(&(covey_launch){.user = "12x", .group = "0"}, COVEY_ENOTFOUND, COVEY_STAGE_USER);
  f = refused(&(covey_launch){.user = "4711"}, COVEY_EINVAL, COVEY_STAGE_USER);
  CHECK_STR(f->what, "launch.user without launch.group");
}

/* The working directory is entered, and the program loaded, with the rights of that user. */
TEST(launch, rights_of_the_user_count)
{
  const covey_launch nobody = {.user = "nobody"};
  covey_process *p;

  if (!is_root() || !here(&nobody, "launch.user")) TEST_SKIP("only root may become another");
  char *closed = test_format("%s/closed", test_temp_dir());
  char *program = test_format("%s/program", test_temp_dir());
  REQUIRE(test_run(TEST_WORDS("/bin/mkdir", "-m", "700", closed), 10000).code == 0);
  test_write_file(program, "#!/bin/sh\n", 10);
  REQUIRE(test_run(TEST_WORDS("/bin/chmod", "700", program), 10000).code == 0);
  REQUIRE(test_run(TEST_WORDS("/bin/chmod", "755", test_temp_dir()), 10000).code == 0);
  CHECK_ERR(covey_spawn(&(covey_process_options){.command = ":", .cwd = closed, .launch = &nobody}, &p),
            COVEY_EACCES);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_CWD);
  CHECK_ERR(covey_spawn(&(covey_process_options){.argv = TEST_WORDS(program), .launch = &nobody}, &p),
            COVEY_EACCES);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_EXEC);
}

TEST(launch, without_rights)
{
  if (!is_root() || !here(&(covey_launch){.user = "0", .group = "0"}, "launch.user"))
    TEST_SKIP("only root may become another");
  if (!test_helper_is_open()) TEST_SKIP("the tests lie in a folder that is closed to other users");
  const char *const argv[] = {test_helper(), "as", "65534", "host-launch", "-", NULL};
  test_ended e = test_run(argv, TEST_SOON);
  CHECK_INT(e.code, 0);
  CHECK_STR(e.output, "");
}

/* ---- umask, limits ---- */

TEST(launch, umask)
{
  if (!here(&(covey_launch){.flags = COVEY_LAUNCH_UMASK}, "launch.umask")) return;
  test_no_child_handles_lost();
  CHECK_STR(sh("umask", &(covey_launch){.flags = COVEY_LAUNCH_UMASK, .umask = 027}), "0027\n");
  CHECK_STR(sh("umask", &(covey_launch){.flags = COVEY_LAUNCH_UMASK}), "0000\n");
}

TEST(launch, no_new_privileges)
{
  const covey_launch l = {.flags = COVEY_LAUNCH_NO_NEW_PRIVILEGES};

  if (!here(&l, "launch.flags NO_NEW_PRIVILEGES")) return;
  CHECK(strstr(sh("cat /proc/self/status", &l), "NoNewPrivs:\t1\n") != NULL);
  CHECK(strstr(sh("cat /proc/self/status", NULL), "NoNewPrivs:\t1\n") == NULL || !is_root());
}

TEST(launch, limits)
{
  const covey_limit limits[] = {
      {.kind = COVEY_LIMIT_FILES, .soft = 40, .hard = 50},
      {.kind = COVEY_LIMIT_CORE, .soft = 0, .hard = 0},
      {.kind = COVEY_LIMIT_CPU_TIME, .soft = 100, .hard = COVEY_LIMIT_OURS},
      {.kind = COVEY_LIMIT_FILE_SIZE, .soft = 512 * 10, .hard = 512 * 20},
      {.kind = COVEY_LIMIT_DATA, .soft = (uint64_t)1 << 30, .hard = (uint64_t)1 << 31},
      {.kind = COVEY_LIMIT_MEMORY, .soft = (uint64_t)1 << 30, .hard = COVEY_LIMIT_OURS},
      {.kind = COVEY_LIMIT_STACK, .soft = (uint64_t)1 << 20, .hard = (uint64_t)1 << 22},
  };
  const covey_launch l = {.limits = limits, .limit_count = sizeof limits / sizeof limits[0]};

  if (!here(&l, "launch.limits")) return;
  test_no_child_handles_lost();
  CHECK_STR(
      sh("ulimit -S -n; ulimit -H -n; ulimit -S -c; ulimit -H -c; ulimit -S -t; ulimit -S -f; ulimit -H -f;"
         "ulimit -S -d; ulimit -H -d; ulimit -S -v; ulimit -S -s; ulimit -H -s",
         &l),
      "40\n50\n0\n0\n100\n10\n20\n1048576\n2097152\n1048576\n1024\n4096\n");
  CHECK_STR(sh("ulimit -H -t; ulimit -H -v", &l), sh("ulimit -H -t; ulimit -H -v", NULL));
  /* they hold: a file that grows beyond */
  covey_result r;
  REQUIRE_OK(covey_run(
      &(covey_process_options){.argv = TEST_HELPER("out", "100000"),
                               .launch = &l,
                               .out = {COVEY_STDIO_FILE, .path = test_format("%s/out", test_temp_dir())}},
      &r));
  CHECK(!COVEY_EXIT_OK(&r.exit));
  covey_result_free(&r);
  /* what one is about is told by its index */
  const covey_limit more[] = {{.kind = COVEY_LIMIT_CORE, .soft = 0, .hard = 0},
                              {.kind = COVEY_LIMIT_FILES, .soft = 64, .hard = (uint64_t)1 << 40}};
  const covey_failure *f =
      refused(&(covey_launch){.limits = more, .limit_count = 2}, COVEY_EACCES, COVEY_STAGE_LIMITS);
  CHECK_STR(f->what, "launch.limits"); /* above fs.nr_open not even root may */
  CHECK_INT(f->index, 1);
}

/* Descriptors are placed first: a limit that is lower than their numbers does not stand in the way. */
TEST(launch, few_descriptors)
{
  const covey_limit few = {.kind = COVEY_LIMIT_FILES, .soft = 8, .hard = 8};
  const covey_launch l = {.limits = &few, .limit_count = 1};

  if (!here(&l, "launch.limits")) return;
  cvos_handle null;
  REQUIRE_OK(cvos_null_open(&null));
  covey_pass pass = {.native = null, .child = 30};
  CHECK_STR(output_of((covey_process_options){.command = "ulimit -n; echo x >&30",
                                              .shell = COVEY_SHELL_BASH,
                                              .err.kind = COVEY_STDIO_NULL,
                                              .pass = &pass,
                                              .pass_count = 1},
                      &l),
            "8\n");
  cvos_handle_close(null);
}

/* ---- priority, processors ---- */

TEST(launch, priority)
{
  static const int nice[] = {0, 19, 10, 0, -5, -10};
  int most = test_is_windows() || is_root() ? COVEY_PRIORITY_HIGHEST : COVEY_PRIORITY_LOW;

  test_no_child_handles_lost();
  for (int i = COVEY_PRIORITY_LOWEST; i <= most; i++) {
    if (i == COVEY_PRIORITY_NORMAL && !test_is_windows() && !is_root()) continue;
    CHECK_INT(strtol(attributes(&(covey_launch){.priority = i}), NULL, 10), nice[i]);
  }
}

TEST(launch, processors)
{
  const uint64_t first[] = {1, 0};
  const covey_launch one = {.affinity = first, .affinity_count = 2};
  int priority, count = 0;

  if (!here(&one, "launch.affinity")) return;
  test_no_child_handles_lost();
  CHECK(sscanf(attributes(&one), "%d %d", &priority, &count) == 2);
  CHECK_INT(count, 1);
  if (test_is_windows()) {
    const uint64_t far[] = {1, 1}; /* there is one group of 64 */
    const covey_failure *f =
        refused(&(covey_launch){.affinity = far, .affinity_count = 2}, COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS);
    CHECK_STR(f->what, "launch.affinity");
  } else {
    const uint64_t none[16] = {[15] = UINT64_C(1) << 63};
    const covey_failure *f =
        refused(&(covey_launch){.affinity = none, .affinity_count = 16}, COVEY_EINVAL, COVEY_STAGE_LIMITS);
    CHECK_STR(f->what, "launch.affinity");
  }
}

/* ---- limits of the tree ---- */

TEST(launch, processes_of_a_tree)
{
  const covey_launch one = {.tree_processes = 1}, many = {.tree_processes = 20};
  covey_result r;
  bool can = here(&many, "launch.tree_processes");

  CHECK_INT(can, (covey_caps() & COVEY_CAP_LIMIT_PROCESSES) != 0);
  if (!can) TEST_SKIP("nothing here limits the processes of a tree");
  test_no_child_handles_lost();
  for (int i = 0; i < 2; i++) {
    covey_process_options o = {
        .argv = TEST_HELPER("leave"), .launch = i ? &many : &one, .out.kind = COVEY_STDIO_NULL};
    REQUIRE_OK(covey_run(&o, &r));
    CHECK_INT(COVEY_EXIT_OK(&r.exit), i);
    covey_result_free(&r);
  }
}

static int many_of(const char *user)
{
  covey_find_result found;
  int count = covey_find(&(covey_find_options){.user = user}, &found);

  if (count >= 0) covey_find_free(&found);
  return count;
}

/* A program that starts itself without end is bounded by its limit, and goes with its handle, all of it. */
TEST_LIMIT(launch, one_that_forks_without_end, 120)
{
  const covey_limit limit = {.kind = COVEY_LIMIT_PROCESSES, .soft = 60, .hard = 60};
  const covey_launch alone = {.user = "64777", .group = "64777", .limits = &limit, .limit_count = 1};
  covey_process *p;
  int count = 0,
      many = test_has_thread_checker() ? 25 : 50; /* threads count, and it has one of its own in each */

  if (!is_root()) TEST_SKIP("takes a user whom nobody else is, or limits of a tree that are kept");
  if (covey_run(&(covey_process_options){.argv = TEST_HELPER("nothing"), .launch = &alone}, NULL) ==
      COVEY_EACCES)
    TEST_SKIP("the tests lie in a folder that is closed to other users");
  test_no_child_handles_lost();
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("multiply"), .launch = &alone}, &p));
  for (int64_t end = test_now() + TEST_SOON; count < many && test_now() < end; test_pause(5))
    count = many_of("64777");
  CHECK(count >= many && count <= 60);
  covey_process_close(p);
  for (int64_t end = test_now() + TEST_SOON; count && test_now() < end; test_pause(5))
    count = many_of("64777");
  CHECK_INT(count, 0);
}

TEST(launch, memory_of_a_tree)
{
  const covey_launch little = {.tree_memory = (uint64_t)32 << 20}, much = {.tree_memory = (uint64_t)1 << 30};
  covey_result r;
  bool can = here(&much, "launch.tree_memory");

  CHECK_INT(can, (covey_caps() & COVEY_CAP_LIMIT_MEMORY) != 0);
  if (!can) TEST_SKIP("nothing here limits the memory of a tree");
  test_no_child_handles_lost();
  for (int i = 0; i < 2; i++) {
    covey_process_options o = {
        .argv = TEST_HELPER("use-memory", "134217728"), .launch = i ? &much : &little, .timeout = TEST_SOON};
    REQUIRE_OK(covey_run(&o, &r));
    CHECK_INT(COVEY_EXIT_OK(&r.exit), i);
    covey_result_free(&r);
  }
}

TEST(launch, processor_time_of_a_tree)
{
  const covey_launch fifth = {.tree_cpu = 200};
  covey_result r;
  bool can = here(&fifth, "launch.tree_cpu");

  CHECK_INT(can, (covey_caps() & COVEY_CAP_LIMIT_CPU) != 0);
  if (!can) TEST_SKIP("nothing here limits the processor time of a tree");
  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("burn", "400"), .launch = &fifth}, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK(r.exit.ended - r.exit.started >= 1000); /* two seconds, but for the first period and rounding */
  covey_result_free(&r);
}

/* What is not tied has no group on Linux, and so no limits. */
TEST(launch, an_untied_tree_is_limited_or_refused)
{
  const covey_launch many = {.tree_processes = 20};
  covey_process *p = NULL;
  int r = covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"),
                                               .flags = COVEY_PROCESS_UNTIED,
                                               .launch = &many},
                      &p);

  if (test_is_windows() && (covey_caps() & COVEY_CAP_LIMIT_PROCESSES)) {
    CHECK_OK(r);
    covey_process_close(p);
  } else {
    CHECK_ERR(r, COVEY_ENOTSUP);
    CHECK_STR(covey_last_failure()->what, "launch.tree_processes");
  }
}

/* ---- windows ---- */

TEST(launch, windows)
{
  static const int shown[] = {0, 0, 0, 1, 8}; /* 1 + SW_HIDE, 1 + SW_SHOWMINNOACTIVE */

  test_no_child_handles_lost();
  for (int i = COVEY_WINDOW_DEFAULT; i <= COVEY_WINDOW_MINIMIZED; i++) {
    const char *said = attributes(&(covey_launch){.window = i});
    int priority, count, show = -1;
    CHECK(sscanf(said, "%d %d %d", &priority, &count, &show) == 3);
    CHECK_INT(show, test_is_windows() ? shown[i] : 0);
  }
}

/* ---- every stage fails by itself, and nothing is left ---- */

static void fails(int point, const covey_launch *launch, int stage, const char *field)
{
  for (int path = CVOS_PATH_BEST; path <= CVOS_PATH_FORK; path++) {
    /* a child that fails in our memory leaves its steps in the checker's records of this thread */
    if (test_has_thread_checker() && path != CVOS_PATH_FORK) continue;
    if (cvos_process_force_path(path) < 0) continue;
    cvy_fault_after(point, 1, test_is_windows() ? 5 : 1); /* ERROR_ACCESS_DENIED, EPERM */
    const covey_failure *f = refused(launch, COVEY_EACCES, stage);
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    CHECK_STR(f->what, field);
  }
  REQUIRE_OK(cvos_process_force_path(CVOS_PATH_BEST));
}

TEST(launch, stages)
{
  const covey_limit limit = {.kind = COVEY_LIMIT_CORE, .soft = 0, .hard = 0};
  static const char *const none[] = {NULL};
  const uint64_t all = UINT64_MAX;

  test_no_child_handles_lost();
  fails(CVOS_FAULT_PRIORITY, &(covey_launch){.priority = COVEY_PRIORITY_LOW}, COVEY_STAGE_LIMITS,
        "launch.priority");
  if (!here(&(covey_launch){.limits = &limit, .limit_count = 1}, "launch.limits")) return;
  fails(CVOS_FAULT_LIMITS, &(covey_launch){.limits = &limit, .limit_count = 1}, COVEY_STAGE_LIMITS,
        "launch.limits");
  fails(CVOS_FAULT_USER, &(covey_launch){.user = "0", .group = "0"}, COVEY_STAGE_USER, "launch.groups");
  fails(CVOS_FAULT_USER, &(covey_launch){.groups = none}, COVEY_STAGE_USER, "launch.groups");
  if (here(&(covey_launch){.affinity = &all, .affinity_count = 1}, "launch.affinity"))
    fails(CVOS_FAULT_AFFINITY, &(covey_launch){.affinity = &all, .affinity_count = 1}, COVEY_STAGE_LIMITS,
          "launch.affinity");
  if (here(&(covey_launch){.flags = COVEY_LAUNCH_SUBREAPER}, "launch.flags SUBREAPER"))
    fails(CVOS_FAULT_SESSION, &(covey_launch){.flags = COVEY_LAUNCH_SUBREAPER}, COVEY_STAGE_SCOPE,
          "launch.flags SUBREAPER");
  if (here(&(covey_launch){.flags = COVEY_LAUNCH_NO_NEW_PRIVILEGES}, "launch.flags NO_NEW_PRIVILEGES"))
    fails(CVOS_FAULT_USER, &(covey_launch){.flags = COVEY_LAUNCH_NO_NEW_PRIVILEGES}, COVEY_STAGE_USER,
          "launch.flags NO_NEW_PRIVILEGES");
}

/* Every call of a start with another user and all the rest fails once. */
TEST_LIMIT(launch, fault_walk, 120)
{
  const covey_limit limit = {.kind = COVEY_LIMIT_CORE, .soft = 0, .hard = 0};
  const covey_launch l = {.user = "0",
                          .group = "0",
                          .flags = COVEY_LAUNCH_UMASK,
                          .umask = 077,
                          .priority = COVEY_PRIORITY_LOW,
                          .limits = &limit,
                          .limit_count = 1};
  int failed = 0;

  if (!is_root() || !here(&l, "launch.user")) TEST_SKIP("only root may become another");
  test_no_child_handles_lost();
  for (int64_t n = 1, seen = 0; n < 400; n++) {
    covey_process *p = NULL;
    cvy_fault_after(CVOS_FAULT_NONE, n, SYSTEM_INVALID);
    int r = covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"), .launch = &l}, &p);
    seen = cvy_fault_seen();
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r < 0) {
      failed++;
      CHECK(covey_last_failure()->code == r && p == NULL);
      continue;
    }
    (void)covey_process_wait(p, TEST_SOON, NULL);
    covey_process_close(p);
    if (seen < n) break;
  }
  CHECK(failed > 3);
}
