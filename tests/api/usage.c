/* What processes and trees use while they run, suspending them, and waiting for one or all of several. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>

#include "os/process.h"

static covey_process *start(const char *const *argv, uint32_t flags)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(
      &(covey_process_options){
          .argv = argv, .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE, .flags = flags},
      &p));
  return p;
}

/* A number on a line of its own. */
static int64_t read_number(covey_process *p)
{
  char text[24] = "";

  for (size_t n = 0; n + 1 < sizeof text; n++) {
    REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, text + n, 1) == 1);
    if (text[n] == '\n') break;
  }
  return strtoll(text, NULL, 10);
}

/* ---- usage ---- */

typedef struct watched {
  covey_process *process;
  int target;
  covey_usage usage;
} watched;

static bool has_used_time(void *arg)
{
  watched *w = arg;

  return covey_process_usage(w->process, w->target, &w->usage) == 0 &&
         w->usage.user_time + w->usage.system_time >= 100000;
}

TEST(usage, of_one_that_runs_and_ends)
{
  test_no_child_handles_lost();
  covey_process *p = start(TEST_HELPER("burn", "600"), 0);
  watched w = {.process = p, .target = COVEY_TARGET_LEADER};
  covey_exit e;

  CHECK(test_wait_until(has_used_time, &w, TEST_SOON));
  CHECK(w.usage.memory > 0 || w.usage.processes == 0);
  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_OK(covey_process_usage(p, COVEY_TARGET_LEADER, &w.usage));
  CHECK_INT(w.usage.user_time, e.user_time);
  CHECK_INT(w.usage.system_time, e.system_time);
  CHECK_INT(w.usage.peak_memory, e.peak_memory);
  CHECK_INT(w.usage.memory, 0);
  CHECK_INT(w.usage.processes, 0);
  covey_process_close(p);
}

TEST(usage, peak_of_one_that_runs)
{
  covey_process *p = start(TEST_HELPER("hang"), 0);
  covey_usage u;
  char byte;

  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &byte, 1) == 1);
  CHECK_OK(covey_process_usage(p, COVEY_TARGET_LEADER, &u));
  CHECK_INT(u.processes, 1);
  CHECK(u.memory > 0);
  CHECK(u.peak_memory == -1 || u.peak_memory >= u.memory / 2);
  covey_process_close(p);
}

static bool has_seven(void *arg)
{
  watched *w = arg;

  return covey_process_usage(w->process, COVEY_TARGET_TREE, &w->usage) == 0 && w->usage.processes == 7;
}

TEST(usage, of_a_tree)
{
  if (test_is_wine()) TEST_SKIP("wine does not tell the members of a job");
  test_no_child_handles_lost();
  covey_process *p = start(TEST_HELPER("tree", "2", "2"), 0);
  watched w = {.process = p};
  covey_usage one;

  CHECK(test_wait_until(has_seven, &w, TEST_SOON));
  CHECK_OK(covey_process_usage(p, COVEY_TARGET_LEADER, &one));
  CHECK(w.usage.memory > one.memory);
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
}

/* The time of those that have ended counts where the kernel keeps it; for the first tree and for one that comes behind another. */
TEST(usage, of_those_that_have_ended)
{
  if (test_is_windows() ? test_is_wine() : !(covey_caps() & COVEY_CAP_TREE_KERNEL))
    TEST_SKIP("nobody here counts for a tree");
  for (int round = 0; round < 3; round++) {
    covey_process *p = NULL;
    REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("burn", "300")}, &p));
    watched w = {.process = p, .target = COVEY_TARGET_TREE};
    CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
    CHECK(has_used_time(&w));
    CHECK(w.usage.user_time + w.usage.system_time < 3000000); /* not that of the trees before */
    CHECK_INT(w.usage.processes, 0);
    covey_process_close(p);
    p = start(TEST_HELPER("hang"), 0);
    w.process = p;
    CHECK(!has_used_time(&w));
    covey_process_close(p);
  }
}

TEST(usage, of_who_is_not_ours)
{
  covey_process *p = start(TEST_HELPER("hang"), 0), *other;
  covey_usage u;
  char byte;

  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &byte, 1) == 1);
  REQUIRE_OK(covey_process_adopt(covey_process_pid(p), 0, NULL, &other));
  CHECK_OK(covey_process_usage(other, COVEY_TARGET_LEADER, &u));
  CHECK_INT(u.processes, 1);
  CHECK_ERR(covey_process_usage(other, COVEY_TARGET_TREE, &u), COVEY_ENOTSUP);
  covey_process_close(other);
  covey_process_close(p);
}

/* ---- suspending ---- */

static int64_t time_of(int64_t pid)
{
  covey_process *p;
  covey_usage u = {0};

  REQUIRE_OK(covey_process_adopt(pid, 0, NULL, &p));
  REQUIRE_OK(covey_process_usage(p, COVEY_TARGET_LEADER, &u));
  covey_process_close(p);
  return u.user_time + u.system_time;
}

/* One that has left group and session stands still with the others, and goes on with them. */
static void escapee_stands_still(void)
{
  covey_process *p = start(TEST_HELPER("setsid-burn"), 0);
  int64_t escapee = read_number(p), before, after;

  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_TREE));
  before = time_of(escapee);
  test_pause(300); /* what stands still uses no time, however long */
  after = time_of(escapee);
  CHECK_INT(after, before);
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_TREE));
  for (int64_t end = test_now() + TEST_SOON; after == before && test_now() < end; test_pause(10))
    after = time_of(escapee);
  CHECK(after > before);
  /* suspended again it can be killed */
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_TREE));
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
  CHECK(test_process_gone(escapee, TEST_SOON));
}

TEST(suspend, whoever_left_the_group_too)
{
  if (test_is_windows()) TEST_SKIP("nobody leaves a job; wine does not tell its members");
  test_no_child_handles_lost();
  escapee_stands_still();
  /* the other ways have no control group, but a sweep */
  REQUIRE_OK(cvos_process_force_path(CVOS_PATH_FORK));
  escapee_stands_still();
  REQUIRE_OK(cvos_process_force_path(CVOS_PATH_BEST));
}

typedef struct still {
  covey_process *process;
  int target;
  int64_t suspended;
} still;

static bool stands_still(void *arg)
{
  still *s = arg;
  covey_usage u = {0};

  REQUIRE_OK(covey_process_usage(s->process, s->target, &u));
  return u.suspended == s->suspended;
}

static void suspended(covey_process *p, int target, int64_t count)
{
  still s = {p, target, test_is_windows() ? -1 : count};

  CHECK(test_wait_until(stands_still, &s, TEST_SOON));
}

/* Who waits for one that is suspended can learn of it. */
TEST(suspend, is_told)
{
  covey_process *p = start(TEST_HELPER("hang"), 0);
  char byte;

  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &byte, 1) == 1);
  suspended(p, COVEY_TARGET_LEADER, 0);
  for (int target = COVEY_TARGET_LEADER; target <= COVEY_TARGET_TREE; target++) {
    if (test_is_wine() && target == COVEY_TARGET_TREE) break; /* it does not tell the members of a job */
    CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_STOP, target));
    suspended(p, COVEY_TARGET_LEADER, 1);
    if (!test_is_wine()) suspended(p, COVEY_TARGET_TREE, 1);
    CHECK_ERR(covey_process_wait(p, 30, NULL), COVEY_ETIMEDOUT);
    CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, target));
    suspended(p, COVEY_TARGET_LEADER, 0);
  }
  covey_process_close(p);
  if (test_is_windows()) return;
  p = start(TEST_WORDS("/bin/sh", "-c", "kill -STOP $$"), 0); /* by itself */
  suspended(p, COVEY_TARGET_TREE, 1);
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
}

/* Asking wakes whom it suspended: nobody follows a request in his sleep. */
TEST(suspend, a_stop_wakes_it)
{
  if (test_is_wine()) TEST_SKIP("wine does not tell the members of a job, and has no CTRL_BREAK");
  covey_process *p = start(TEST_HELPER("stop"), 0);
  covey_exit e = {0};
  char byte;

  REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, &byte, 1) == 1);
  CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_TREE));
  if (test_is_windows()) CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_TREE));
  CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
  CHECK_UINT(e.code, 7);
  covey_process_close(p);
}

/* ---- waiting for several ---- */

TEST(several, any)
{
  covey_process *p[3];
  size_t index = 9;

  test_no_child_handles_lost();
  for (int i = 0; i < 3; i++) p[i] = start(TEST_HELPER("cat"), 0);
  CHECK_ERR(covey_process_wait_any(p, 3, 0, &index), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_process_wait_any(p, 3, 30, &index), COVEY_ETIMEDOUT);
  CHECK_UINT(index, 9);
  CHECK_OK(covey_process_close_input(p[1]));
  CHECK_OK(covey_process_wait_any(p, 3, TEST_SOON, &index));
  CHECK_UINT(index, 1);
  CHECK_OK(covey_process_close_input(p[0]));
  CHECK_OK(covey_process_wait(p[0], TEST_SOON, NULL));
  CHECK_OK(covey_process_wait_any(p, 3, TEST_SOON, &index));
  CHECK(index < 2); /* of the same millisecond either may be the first */
  for (int i = 0; i < 3; i++) covey_process_cancel(p[i]);
  CHECK_ERR(covey_process_wait_any(p + 2, 1, COVEY_FOREVER, &index), COVEY_ECANCELED);
  for (int i = 0; i < 3; i++) covey_process_close(p[i]);
}

TEST(several, all)
{
  covey_process *p[3];
  covey_loop *loop;

  REQUIRE_OK(covey_loop_open(NULL, &loop));
  test_no_child_handles_lost();
  for (int i = 0; i < 3; i++)
    REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("cat"),
                                                    .in.kind = COVEY_STDIO_PIPE,
                                                    .out.kind = COVEY_STDIO_NULL,
                                                    .loop = i == 2 ? loop : NULL},
                           &p[i]));
  size_t index;
  CHECK_ERR(covey_process_wait_any(p, 3, 0, &index), COVEY_ENOTSUP); /* on two loops */
  CHECK_OK(covey_process_close_input(p[0]));
  CHECK_ERR(covey_process_wait_all(p, 3, 100), COVEY_ETIMEDOUT);
  CHECK_OK(covey_process_close_input(p[1]));
  CHECK_OK(covey_process_close_input(p[2]));
  CHECK_OK(covey_process_wait_all(p, 3, TEST_SOON));
  CHECK_OK(covey_process_wait_all(p, 3, 0));
  for (int i = 0; i < 3; i++) covey_process_close(p[i]);
  covey_loop_close(loop);
}
