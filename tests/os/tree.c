#include "core/fault.h"
#include "os/tree.h"
#include "child.h"
#include "os/handle.h"
#include "os/signal.h"

enum { GONE = 20000 };

static const cvos_spawn_request shared = {.scope = CVOS_SCOPE_SHARED},
                                session = {.scope = CVOS_SCOPE_SESSION},
                                detached = {.scope = CVOS_SCOPE_DETACHED}, tied = {.flags = CVOS_SPAWN_TIED};

/* Seven processes. Under wine a chain: two that append to one file at the same moment overwrite each other there. */
static void kills_everybody(const cvos_spawn_request *base)
{
  child c;
  int64_t pids[7], members[16];
  child_start(&c, base, test_is_wine() ? TEST_WORDS("tree", "6", "1") : TEST_WORDS("tree", "2", "2"));
  for (int i = 0; i < 7; i++) pids[i] = child_number(&c, i);
  CHECK_INT(cvos_tree_members(c.tree, members, 16), 7);
  CHECK_INT(cvos_tree_members(c.tree, NULL, 0), 7);
  for (int i = 0; i < 7; i++) {
    bool found = false;
    for (int k = 0; k < 7; k++) found = found || members[k] == pids[i];
    CHECK(found);
  }
  CHECK_OK(cvos_tree_kill(c.tree));
  for (int i = 0; i < 7; i++) {
    if (pids[i] != c.process.pid) CHECK(test_process_gone(pids[i], GONE));
  }
  CHECK_OK(cvos_process_wait(&c.process, GONE));
  CHECK_OK(cvos_tree_kill(c.tree));
  child_finish(&c);
  if (test_is_windows()) {
    CHECK_INT(c.status.how, CVOS_END_EXITED);
    CHECK_UINT(c.status.code, 137);
  } else {
    CHECK_INT(c.status.how, CVOS_END_SIGNALLED);
    CHECK_INT(c.status.signal, CVOS_SIGNAL_KILL);
  }
}

TEST(tree, kills_everybody)
{
  kills_everybody(NULL);
}
TEST(tree, kills_everybody_of_a_session)
{
  kills_everybody(&session);
}
TEST(tree, kills_what_descends_from_a_shared_leader)
{
  kills_everybody(&shared);
}
TEST(tree, kills_everybody_tied)
{
  kills_everybody(&tied);
}

static void kills_who_left(const cvos_spawn_request *base)
{
  child c;
  child_start(&c, base, TEST_WORDS("setsid"));
  int64_t pid = child_number(&c, 0);
  CHECK(test_process_alive(pid));
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK(test_process_gone(pid, GONE));
  child_finish(&c);
}

TEST(tree, kills_who_made_a_session_of_its_own)
{
  kills_who_left(NULL);
}
TEST(tree, kills_who_made_a_session_under_a_shared_leader)
{
  kills_who_left(&shared);
}

/* Where nothing can be read about the members, the leader and its group end all the same. */
TEST(tree, kills_blindly)
{
  for (int scope = CVOS_SCOPE_TREE; scope <= CVOS_SCOPE_SESSION; scope++) {
    for (int64_t n = 1; n < 12; n++) {
      child c;
      child_start(&c, &(cvos_spawn_request){.scope = scope}, TEST_WORDS("hang"));
      cvy_fault_after(n & 1 ? CVOS_FAULT_IDENTITY : CVOS_FAULT_PROCESS_LIST, (n + 1) / 2, 24);
      (void)cvos_tree_kill(c.tree);
      cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
      CHECK_OK(cvos_process_wait(&c.process, GONE));
      child_finish(&c);
    }
  }
}

/* The members are known from a look before: so is the one whose leader has gone. */
TEST(tree, remembers_who_left)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("setsid"));
  int64_t pid = child_number(&c, 0);
  CHECK_INT(cvos_tree_members(c.tree, NULL, 0), 2);
  CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_KILL));
  CHECK_OK(cvos_process_wait(&c.process, GONE));
  CHECK(test_process_alive(pid));
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK(test_process_gone(pid, GONE));
  child_finish(&c);
}

TEST(tree, kills_what_a_leader_left_behind)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("leave"));
  int64_t pid = child_number(&c, 0);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  CHECK(test_process_alive(pid));
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK(test_process_gone(pid, GONE));
  child_finish(&c);
}

static void leaves(const cvos_spawn_request *base, bool reap_first)
{
  child c;
  child_start(&c, base, TEST_WORDS("leave"));
  int64_t pid = child_number(&c, 0);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  if (reap_first) CHECK_OK(cvos_process_reap(&c.process, c.tree, NULL));
  cvos_tree_release(c.tree);
  if (!reap_first) CHECK_OK(cvos_process_reap(&c.process, NULL, NULL));
  cvos_process_close(&c.process);
  CHECK(!test_process_gone(pid, 200));
  test_process_kill(pid);
}

TEST(tree, release_kills_nobody)
{
  leaves(NULL, false);
}
TEST(tree, release_unties)
{
  leaves(&tied, false);
}
TEST(tree, reaping_unties)
{
  leaves(&tied, true);
}
TEST(tree, releases_nothing)
{
  cvos_tree_release(NULL);
}

TEST(tree, finds_nobody_after_reaping)
{
  if (test_is_windows()) TEST_SKIP("a job is no number that could become another's");
  child c;
  child_start(&c, NULL, TEST_WORDS("leave"));
  int64_t pid = child_number(&c, 0);
  REQUIRE_OK(cvos_process_wait(&c.process, GONE));
  CHECK_OK(cvos_process_reap(&c.process, c.tree, NULL));
  CHECK_INT(cvos_tree_members(c.tree, NULL, 0), 0);
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK_ERR(cvos_tree_signal(c.tree, CVOS_SIGNAL_TERM), COVEY_ENOTFOUND);
  CHECK(test_process_alive(pid));
  test_process_kill(pid);
  cvos_tree_release(c.tree);
  cvos_process_close(&c.process);
}

/* The pid of a leader that somebody else reaped, given to the next: it is no member, however much later it was born. */
TEST(tree, takes_nobody_for_its_leader)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("another-leader"));
  child_finish(&c);
  CHECK_UINT(c.status.code, 0);
}

TEST(tree, asks)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("stop", "10"));
  child_says(&c, "ready");
  int ways = cvos_tree_ask(c.tree);
  if (test_is_windows()) {
    /* neither a window nor our console */
    CHECK(ways >= 0);
    CHECK_OK(cvos_tree_kill(c.tree));
    child_finish(&c);
    return;
  }
  CHECK_INT(ways, 1);
  child_finish(&c);
  CHECK_INT(c.status.how, CVOS_END_EXITED);
  CHECK_UINT(c.status.code, 7);
  CHECK(strstr(child_says(&c, "stopping"), "ready") != NULL);
}

/* Where nobody can hear, nobody is said to have been asked, and no grace is waited out. */
TEST(tree, knows_programs_without_a_console)
{
  if (!test_is_windows()) TEST_SKIP("consoles of Windows");
  child c;
  child_start(&c, NULL, TEST_WORDS("ask-graphical"));
  child_finish(&c);
  CHECK_UINT(c.status.code, 0);
}

/* A stopped process hears the request. */
TEST(tree, asks_the_stopped)
{
  if (test_is_windows()) TEST_SKIP("a stopped process of Windows answers nobody");
  child c;
  child_start(&c, NULL, TEST_WORDS("stop", "0"));
  child_says(&c, "ready");
  CHECK_OK(cvos_tree_signal(c.tree, CVOS_SIGNAL_STOP));
  CHECK_INT(cvos_tree_ask(c.tree), 1);
  child_finish(&c);
  CHECK_UINT(c.status.code, 7);
}

TEST(tree, detached_has_none)
{
  child c;
  child_start(&c, &detached, TEST_WORDS("hang"));
  CHECK(c.tree == NULL);
  child_says(&c, "ready");
  CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_KILL));
  child_finish(&c);
}

TEST(tree, scopes_are_what_they_say)
{
  if (test_is_windows()) TEST_SKIP("no process groups");
  child c;
  int64_t group, sid;
  child_start(&c, NULL, TEST_WORDS("group"));
  CHECK_INT(sscanf(child_says(&c, "\n"), "%" SCNd64 " %" SCNd64, &group, &sid), 2);
  CHECK_INT(group, c.process.pid);
  CHECK(sid != c.process.pid);
  child_finish(&c);
  child_start(&c, &session, TEST_WORDS("group"));
  CHECK_INT(sscanf(child_says(&c, "\n"), "%" SCNd64 " %" SCNd64, &group, &sid), 2);
  CHECK_INT(group, c.process.pid);
  CHECK_INT(sid, c.process.pid);
  child_finish(&c);
  child_start(&c, &shared, TEST_WORDS("group"));
  CHECK_INT(sscanf(child_says(&c, "\n"), "%" SCNd64 " %" SCNd64, &group, &sid), 2);
  CHECK(group != c.process.pid);
  child_finish(&c);
}

/* Wide and deep: 1 + 6 + 36 + 216 processes; the time is only told. */
TEST_LIMIT(tree, kills_a_wood, 120)
{
  child c;
  bool wine = test_is_wine();
  int count = wine ? 13 : 259;
  child_start(&c, NULL, wine ? TEST_WORDS("tree", "12", "1") : TEST_WORDS("tree", "3", "6"));
  (void)child_number(&c, count - 1);
  CHECK_INT(cvos_tree_members(c.tree, NULL, 0), count);
  int64_t before = test_now();
  CHECK_OK(cvos_tree_kill(c.tree));
  int64_t killed = test_now();
  const char *text = test_read_file(c.output, NULL);
  for (int i = 0; i < count && text; i++) {
    int64_t pid = strtoll(text, NULL, 10);
    if (pid != c.process.pid) CHECK(test_process_gone(pid, GONE));
    text = strchr(text, '\n');
    if (text) text++;
  }
  test_log("%d processes: kill returned after %" PRId64 " ms, gone after %" PRId64, count, killed - before,
           test_now() - before);
  child_finish(&c);
}
