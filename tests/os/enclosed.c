/* Trees that nobody leaves: a job, or a control group around them (Linux, where one is ours to divide). */
#include "child.h"
#include "core/fault.h"
#include "os/caps.h"
#include "os/handle.h"

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { GONE = 20000, MANY = 40 };

static const cvos_spawn_request enclosed = {.flags = CVOS_SPAWN_TIED | CVOS_SPAWN_ENCLOSED},
                                session = {.flags = CVOS_SPAWN_TIED | CVOS_SPAWN_ENCLOSED,
                                           .scope = CVOS_SCOPE_SESSION};

static void need_kernel(void)
{
  if (!(cvos_caps() & COVEY_CAP_TREE_KERNEL)) TEST_SKIP("no control group here that is ours to divide");
}

/* One that made a session of its own and whose parents have ended: no link leads to it. */
static void kills_who_escaped(const cvos_spawn_request *base, bool leader_ends, bool reap_first)
{
  need_kernel();
  child c;
  child_start(&c, base, leader_ends ? ARGS("daemon", "exit") : ARGS("daemon"));
  int64_t pid = child_number(&c, 0);
  if (leader_ends) REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  if (reap_first) REQUIRE_OK(cvos_process_reap(&c.process, c.tree, NULL));
  CHECK(test_process_alive(pid));
  CHECK_INT(cvos_tree_members(c.tree, NULL, 0), leader_ends ? 1 : 2);
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK(test_process_gone(pid, GONE));
  if (reap_first) {
    cvos_tree_release(c.tree);
    cvos_process_close(&c.process);
  } else {
    child_finish(&c);
  }
}

TEST(enclosed, kills_who_escaped)
{
  kills_who_escaped(&enclosed, false, false);
}
TEST(enclosed, kills_who_escaped_from_a_session)
{
  kills_who_escaped(&session, false, false);
}
TEST(enclosed, kills_who_outlived_the_leader)
{
  kills_who_escaped(&enclosed, true, false);
}
TEST(enclosed, kills_after_reaping)
{
  kills_who_escaped(&enclosed, true, true);
}

/* The next tree, which may get the same group, is not touched by the end of the one before. */
TEST(enclosed, ends_alone)
{
  need_kernel();
  child first, second;
  child_start(&first, &enclosed, ARGS("daemon"));
  child_start(&second, &enclosed, ARGS("daemon"));
  int64_t one = child_number(&first, 0), two = child_number(&second, 0);
  CHECK_OK(cvos_tree_kill(first.tree));
  CHECK(test_process_gone(one, GONE));
  child_finish(&first);
  CHECK(test_process_alive(two));
  child_start(&first, &enclosed, ARGS("daemon"));
  one = child_number(&first, 0);
  CHECK_OK(cvos_tree_kill(second.tree));
  CHECK(test_process_gone(two, GONE));
  child_finish(&second);
  CHECK(test_process_alive(one));
  CHECK_INT(cvos_tree_members(first.tree, NULL, 0), 2);
  CHECK_OK(cvos_tree_kill(first.tree));
  CHECK(test_process_gone(one, GONE));
  child_finish(&first);
}

/* Let go without a kill, members go on, and are in no later tree. */
TEST(enclosed, release_kills_nobody)
{
  need_kernel();
  child c;
  child_start(&c, &enclosed, ARGS("daemon", "exit"));
  int64_t pid = child_number(&c, 0);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  CHECK_OK(cvos_process_reap(&c.process, c.tree, NULL));
  cvos_tree_release(c.tree);
  cvos_process_close(&c.process);
  for (int i = 0; i < 3; i++) {
    child_start(&c, &enclosed, ARGS("hang"));
    child_says(&c, "ready");
    CHECK_INT(cvos_tree_members(c.tree, NULL, 0), 1);
    CHECK_OK(cvos_tree_kill(c.tree));
    child_finish(&c);
  }
  CHECK(test_process_alive(pid));
  test_process_kill(pid);
  CHECK(test_process_gone(pid, GONE));
}

/* More at once than there are folders kept open; no descriptor stays but that of the one kept for the next child. */
TEST_LIMIT(enclosed, by_the_dozen, 120)
{
  need_kernel();
  static child all[MANY];
  int count = test_is_wine() ? 6 : MANY;
  child_start(&all[0], &enclosed, ARGS("nothing"));
  child_finish(&all[0]);
  int64_t before = cvos_handle_count();
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < count; i++) child_start(&all[i], &enclosed, ARGS("daemon"));
    for (int i = 0; i < count; i++) {
      int64_t pid = child_number(&all[i], 0);
      CHECK_INT(cvos_tree_members(all[i].tree, NULL, 0), 2);
      CHECK_OK(cvos_tree_kill(all[i].tree));
      CHECK(test_process_gone(pid, GONE));
      child_finish(&all[i]);
    }
  }
  if (before >= 0) CHECK(cvos_handle_count() <= before + (test_is_windows() ? 4 : 1));
}

/* Where no group can be had for a child it starts without one, and where its group cannot be ended it ends as others do. */
static bool starts_and_ends(const cvos_spawn_request *q, int point, int64_t n)
{
  child c = {0};
  covey_failure failure;
  cvy_fault_after(point, n, 13);
  int r = cvos_spawn(q, &c.process, &c.tree, &failure);
  bool over = cvy_fault_seen() < n;
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  REQUIRE_OK(r);
  cvy_fault_after(point, n, 13);
  CHECK_OK(cvos_tree_kill(c.tree));
  over = cvy_fault_seen() < n && over;
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  child_finish(&c);
  return over;
}

TEST_LIMIT(enclosed, starts_all_the_same, 120)
{
  if (test_is_windows()) TEST_SKIP("a job is no matter of choice");
  cvos_spawn_request q;
  child_request(&q, ARGS("hang"));
  q.flags = enclosed.flags;
  for (int64_t n = 1; !starts_and_ends(&q, CVOS_FAULT_MAKE_DIRECTORY, n); n++) {
  }
  for (int64_t n = 1; !starts_and_ends(&q, CVOS_FAULT_OPEN, n); n++) {
  }
  child_free_request(&q);
}

/* Our end, however it comes, is theirs, and no folder stays. */
static void end_of_parent(const char *end)
{
  need_kernel();
  child c;
  int64_t pids[2];
  child_start(&c, NULL, ARGS("enclosed", end));
  for (int i = 0; i < 2; i++) pids[i] = child_number(&c, i);
  (void)child_number(&c, 2);
  test_process_kill(c.process.pid);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  for (int i = 0; i < 2; i++) CHECK(test_process_gone(pids[i], GONE));
  CHECK(test_groups_gone(c.process.pid, GONE));
  child_finish(&c);
}

TEST(enclosed, dies_with_a_killed_parent)
{
  end_of_parent("hang");
}
TEST(enclosed, dies_with_a_parent_that_exits)
{
  end_of_parent("exit");
}
TEST(enclosed, dies_with_a_parent_that_crashes)
{
  end_of_parent("crash");
}

/* A program with groups of its own ends in ours, together with its guard: what it left goes with our group, when a later start takes that away. */
TEST(enclosed, takes_the_groups_of_a_program_with_it)
{
  if (test_is_windows()) TEST_SKIP("a job needs no group");
  need_kernel();
  child c;
  child_start(&c, &enclosed, ARGS("enclosed", "hang"));
  for (int i = 0; i < 3; i++) (void)child_number(&c, i);
  int64_t pid = c.process.pid;
  CHECK(!test_groups_gone(pid, 0));
  CHECK_OK(cvos_tree_kill(c.tree));
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  child_finish(&c);
  bool gone = test_groups_gone(pid, 0);
  for (int i = 0; i < 100 && !gone; i++) {
    child others[2]; /* the first may get a group that is there already */
    for (int k = 0; k < 2; k++) child_start(&others[k], &enclosed, ARGS("nothing"));
    for (int k = 0; k < 2; k++) {
      REQUIRE_OK(cvos_process_wait(&others[k].process, GONE));
      child_finish(&others[k]);
    }
    gone = test_groups_gone(pid, 100);
  }
  CHECK(gone);
}
