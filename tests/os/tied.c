/* The tied life: children die with us, however we end. */
#include "child.h"
#include "os/path.h"
#include "os/tree.h"

enum { GONE = 20000, MANY = 2048 };

/* The numbers that a parent of the helper writes, up to its 0. */
static int read_pids(child *c, int64_t *pids)
{
  for (int i = 0; i < MANY; i++) {
    pids[i] = child_number(c, i);
    if (pids[i] == 0) return i;
  }
  return MANY;
}

static void all_gone(const int64_t *pids, int count)
{
  for (int i = 0; i < count; i++) CHECK(test_process_gone(pids[i], GONE));
}

static void end_of_parent(const char *const *arguments, int expected)
{
  static int64_t pids[MANY];
  child c;
  child_start(&c, NULL, arguments);
  int count = read_pids(&c, pids);
  CHECK_INT(count, expected);
  /* the parent alone: not its tree */
  test_process_kill(c.process.pid);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  all_gone(pids, count);
  child_finish(&c);
}

TEST(tied, dies_with_a_killed_parent)
{
  end_of_parent(TEST_WORDS("tied", "3"), 3);
}
TEST(tied, dies_with_a_parent_that_exits)
{
  end_of_parent(TEST_WORDS("tied", "2", "exit"), 2);
}
TEST(tied, dies_with_a_parent_that_crashes)
{
  end_of_parent(TEST_WORDS("tied", "2", "crash"), 2);
}
TEST_LIMIT(tied, dies_by_the_hundred, 120)
{
  if (test_is_wine())
    end_of_parent(TEST_WORDS("tied", "10"), 10);
  else
    end_of_parent(TEST_WORDS("tied", "700"), 700);
}

/* Ten thousand, where there is much time: the guard that has seen them come and go still does its work. */
TEST_LIMIT(tied, many_through_one_guard, 240)
{
  int count = test_is_wine() ? 10 : test_is_long() ? 10000 : 1000;
  end_of_parent(TEST_WORDS("through", test_format("%d", count)), 1 + count / 500);
}

static bool nobody_left(void *tree)
{
  return cvos_tree_members(tree, NULL, 0) == 0;
}

/* The parent is killed while it starts them, at many moments: nobody is left, told of or not. All are of one session (one job). */
TEST_LIMIT(tied, leaves_nobody_at_any_moment, 180)
{
  bool wine = test_is_wine();
  for (int moment = 0; moment < (wine ? 3 : 25); moment++) {
    child c;
    child_start(&c, &(cvos_spawn_request){.scope = CVOS_SCOPE_SESSION}, TEST_WORDS("tied", "700"));
    (void)child_number(&c, wine ? moment : moment * 3);
    test_process_kill(c.process.pid);
    REQUIRE_OK(cvos_process_wait(&c.process, GONE));
    CHECK(test_wait_until(nobody_left, c.tree, GONE));
    child_finish(&c);
  }
}

TEST(tied, lives_on_when_it_is_not)
{
  int64_t pids[MANY];
  child c;
  child_start(&c, NULL, TEST_WORDS("untied"));
  CHECK_INT(read_pids(&c, pids), 1);
  test_process_kill(c.process.pid);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  CHECK(!test_process_gone(pids[0], 300));
  test_process_kill(pids[0]);
  child_finish(&c);
}

/* Somebody who has all that the parent had open keeps nobody alive. */
TEST(tied, dies_although_a_fork_lives)
{
  int64_t pids[MANY];
  child c;
  child_start(&c, NULL, TEST_WORDS("tied-and-fork"));
  CHECK_INT(read_pids(&c, pids), 2);
  test_process_kill(c.process.pid);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  CHECK(test_process_gone(pids[0], GONE));
  CHECK(test_process_alive(pids[1]));
  test_process_kill(pids[1]);
  child_finish(&c);
}

TEST(tied, survives_the_end_of_its_guard)
{
  if (test_is_windows()) TEST_SKIP("jobs need no guard");
  end_of_parent(TEST_WORDS("guard", "kill"), 2);
}

/* The parent's stdout is a file, and it has more open: nothing of it is with the guard. */
TEST(tied, keeps_nothing_open_in_the_guard)
{
  if (test_is_windows()) TEST_SKIP("jobs need no guard");
  end_of_parent(TEST_WORDS("guard", "files"), 2);
}

TEST(tied, replaces_a_guard_that_is_stuck)
{
  if (test_is_windows()) TEST_SKIP("jobs need no guard");
  end_of_parent(TEST_WORDS("guard", "stop"), 2);
}

TEST(tied, has_a_guard_that_no_signal_ends)
{
  if (test_is_windows()) TEST_SKIP("jobs need no guard");
  end_of_parent(TEST_WORDS("guard", "signals"), 2);
}

/* The parent closes all that it has open but its streams, as daemons do: what is the guard's too. */
TEST(tied, guards_again_after_all_was_closed)
{
  if (test_is_windows()) TEST_SKIP("jobs need no guard");
  end_of_parent(TEST_WORDS("guard", "close"), 2);
}

TEST_LIMIT(tied, is_guarded_by_any_shell, 120)
{
  if (test_is_windows()) TEST_SKIP("jobs need no guard");
  static const char *const shells[] = {"/bin/dash", "/bin/bash", "/bin/ksh", "/bin/zsh", "/bin/busybox"};
  for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
    if (cvos_path_program(shells[i]) < 0) continue;
    end_of_parent(TEST_WORDS("guard", "none", shells[i]), 2);
    end_of_parent(TEST_WORDS("guard", "kill", shells[i]), 2);
    end_of_parent(TEST_WORDS("guard", "signals", shells[i]), 2);
  }
}
