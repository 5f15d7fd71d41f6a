#include "support/test.h"

#include <covey/manager.h>
#include <covey/message.h>

enum { PATIENCE = 30000 };

static covey_manager *manager_new(uint32_t flags)
{
  covey_manager *m = NULL;
  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.flags = flags}, &m));
  return m;
}

/* Starts the helper in the manager and gives its pid. */
static int64_t start(covey_manager *m, const char *behaviour, const char *argument)
{
  const char *const argv[] = {test_helper(), behaviour, argument, NULL};
  covey_process *p;
  covey_process_options options = {.argv = argv, .out.kind = COVEY_STDIO_NULL};
  REQUIRE_OK(covey_manager_spawn(m, &options, &p));
  int64_t pid = covey_process_pid(p);
  covey_process_close(p);
  return pid;
}

/* Starts a helper that says "ready" first, and waits for that. */
static int64_t start_ready(covey_manager *m, const char *behaviour)
{
  const char *const argv[] = {test_helper(), behaviour, NULL};
  char line[8] = "";
  size_t got = 0;
  covey_process *p;
  covey_process_options options = {.argv = argv, .out.kind = COVEY_STDIO_PIPE};
  REQUIRE_OK(covey_manager_spawn(m, &options, &p));
  while (got < 5) {
    int r = covey_process_read(p, COVEY_STDOUT, PATIENCE, line + got, 5 - got);
    REQUIRE(r > 0);
    got += (size_t)r;
  }
  CHECK_STR(line, "ready");
  int64_t pid = covey_process_pid(p);
  covey_process_close(p);
  return pid;
}

TEST(manager, counts_lists_finds_and_forgets)
{
  covey_manager *m = manager_new(COVEY_MANAGER_PLAIN);
  int64_t pids[4] = {0};
  CHECK_INT(covey_manager_count(m), 0);
  int64_t a = start(m, "hang", NULL), b = start(m, "hang", NULL);
  CHECK_INT(covey_manager_count(m), 2);
  CHECK_INT(covey_manager_pids(m, pids, 4), 2);
  CHECK_INT(pids[0], a);
  CHECK_INT(pids[1], b);
  CHECK_INT(pids[2], 0);
  CHECK_INT(covey_manager_pids(m, pids, 1), 2);
  covey_process *p = NULL;
  REQUIRE_OK(covey_manager_get(m, b, &p));
  CHECK_INT(covey_process_pid(p), b);
  CHECK_ERR(covey_manager_get(m, test_pid(), &p), COVEY_ENOTFOUND);
  CHECK_OK(covey_manager_remove(m, b));
  CHECK(test_process_alive(b)); /* we hold it */
  covey_process_close(p);
  CHECK(test_process_gone(b, PATIENCE));
  CHECK_ERR(covey_manager_remove(m, b), COVEY_ENOTFOUND);
  CHECK_INT(covey_manager_count(m), 1);
  covey_manager_free(m);
  CHECK(test_process_gone(a, PATIENCE)); /* the tree ends with its handle */
}

TEST(manager, wait_all_tells_each_end)
{
  covey_manager *m = manager_new(COVEY_MANAGER_PLAIN);
  int64_t a = start(m, "exit", "3"), b = start(m, "exit", "0"), c = start(m, "hang", NULL);
  covey_member members[4];
  memset(members, 0xff, sizeof members);
  CHECK_INT(covey_manager_wait_all(m, 3000, members, 4), 1); /* one did not end */
  CHECK_INT(members[0].pid, a);
  CHECK_INT(members[0].result, 0);
  CHECK_INT(members[0].ended, 1);
  CHECK_UINT(members[0].exit.code, 3);
  CHECK_INT(members[1].pid, b);
  CHECK_UINT(members[1].exit.code, 0);
  CHECK_INT(members[2].pid, c);
  CHECK_ERR(members[2].result, COVEY_ETIMEDOUT);
  CHECK_INT(members[2].ended, 0);
  CHECK_INT(members[3].pid, 0);
  CHECK_INT(covey_manager_count(m), 1); /* the ends that were told are forgotten */
  CHECK_INT(covey_manager_kill_all(m, members, 4), 0);
  CHECK_INT(members[0].pid, c);
  CHECK_INT(members[0].exit.why, COVEY_WHY_KILL);
  CHECK_INT(covey_manager_count(m), 0);
  CHECK_INT(covey_manager_wait_all(m, 0, members, 4), 0);
  covey_manager_free(m);
}

TEST(manager, an_untold_end_stays)
{
  covey_manager *m = manager_new(COVEY_MANAGER_PLAIN);
  start(m, "exit", "9");
  CHECK_INT(covey_manager_wait_all(m, PATIENCE, NULL, 0), 0);
  CHECK_INT(covey_manager_count(m), 1);
  covey_member member;
  CHECK_INT(covey_manager_wait_all(m, 0, &member, 1), 0);
  CHECK_UINT(member.exit.code, 9);
  CHECK_INT(covey_manager_count(m), 0);
  covey_manager_free(m);
}

TEST(manager, wait_any_tells_one_end_after_the_other)
{
  covey_manager *m = manager_new(COVEY_MANAGER_PLAIN);
  covey_member member;
  test_fill(&member, sizeof member);
  CHECK_ERR(covey_manager_wait_any(m, 0, &member), COVEY_ENOTFOUND);
  int64_t a = start_ready(m, "hang"), b = start(m, "exit", "3"), c = start_ready(m, "hang");
  CHECK(test_is_filled(&member, sizeof member));
  REQUIRE_OK(covey_manager_wait_any(m, PATIENCE, &member));
  CHECK_INT(member.pid, b);
  CHECK_INT(member.result, 0);
  CHECK_INT(member.ended, 1);
  CHECK_UINT(member.exit.code, 3);
  CHECK_INT(covey_manager_count(m), 2);
  test_fill(&member, sizeof member);
  CHECK_ERR(covey_manager_wait_any(m, 0, &member), COVEY_ETIMEDOUT);
  int64_t begin = test_now();
  CHECK_ERR(covey_manager_wait_any(m, 120, &member), COVEY_ETIMEDOUT);
  CHECK(test_now() - begin >= 120);
  CHECK(test_is_filled(&member, sizeof member));
  test_process_kill(c);
  REQUIRE_OK(covey_manager_wait_any(m, PATIENCE, &member));
  CHECK_INT(member.pid, c);
  CHECK_INT(member.exit.why, COVEY_WHY_SELF);
  test_process_kill(a);
  REQUIRE_OK(covey_manager_wait_any(m, COVEY_FOREVER, NULL));
  CHECK_INT(covey_manager_count(m), 0);
  CHECK_ERR(covey_manager_wait_any(m, COVEY_FOREVER, NULL), COVEY_ENOTFOUND);
  covey_manager_free(m);
}

typedef struct race {
  covey_manager *manager;
  test_counter told, codes;
} race;

static void take_ends(void *arg)
{
  race *r = arg;
  covey_member member;
  int code;
  while ((code = covey_manager_wait_any(r->manager, PATIENCE, &member)) == 0) {
    CHECK_INT(member.ended, 1);
    (void)test_add(&r->told, 1);
    (void)test_add(&r->codes, (int64_t)1 << member.exit.code % 8 * 8);
  }
  CHECK_ERR(code, COVEY_ENOTFOUND);
}

/* Several threads share the ends: each is told once, and all have done when nobody is left. */
TEST_LIMIT(manager, wait_any_by_several_threads, 120)
{
  enum { THREADS = 4 };
  const int count = test_is_wine() ? 24 : 160;
  race r = {.manager = manager_new(COVEY_MANAGER_PLAIN)};
  static const char *const codes[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
  test_thread *threads[THREADS];
  for (int i = 0; i < count; i++) (void)start(r.manager, "exit", codes[i % 8]);
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(take_ends, &r);
  for (int i = 0; i < THREADS; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&r.told, 0), count);
  CHECK_INT(test_add(&r.codes, 0), (int64_t)0x0101010101010101 * (count / 8));
  CHECK_INT(covey_manager_count(r.manager), 0);
  covey_manager_free(r.manager);
}

static void fire_soon(void *arg)
{
  test_pause(30);
  covey_cancel_fire(arg);
}

TEST(manager, wait_any_is_cancelled)
{
  covey_cancel *cancel;
  covey_manager *m;
  REQUIRE_OK(covey_cancel_new(&cancel));
  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN, .cancel = cancel}, &m));
  start_ready(m, "hang");
  test_thread *thread = test_thread_start(fire_soon, cancel);
  CHECK_ERR(covey_manager_wait_any(m, PATIENCE, NULL), COVEY_ECANCELED);
  test_thread_join(thread);
  CHECK_INT(covey_manager_count(m), 1);
  covey_cancel_reset(cancel);
  CHECK_INT(covey_manager_kill_all(m, NULL, 0), 0);
  CHECK_OK(covey_manager_wait_any(m, 0, NULL)); /* its end was told to nobody */
  covey_manager_free(m);
  covey_cancel_free(cancel);
}

/* One that is dead already, one that follows, one that ignores every request: each has its own result, and nobody waits for the others. */
TEST_LIMIT(manager, stop_all_gives_one_grace_to_all, 120)
{
  covey_manager *m = manager_new(0);
  int64_t gone = start(m, "exit", "5"), deaf = start_ready(m, "ignore"), deaf2 = start_ready(m, "ignore");
  int64_t polite = start_ready(m, "node-stop");
  covey_process *p;
  REQUIRE_OK(covey_manager_get(m, gone, &p));
  REQUIRE_OK(covey_process_wait(p, PATIENCE, NULL));
  covey_process_close(p);
  covey_member members[4];
  int64_t before = test_now();
  CHECK_INT(covey_manager_stop_all(m, 3000, members, 4), 0);
  int64_t took = test_now() - before;
  CHECK(took >= 2900 || test_is_windows()); /* where there is no way to ask, nobody waits for an answer */
  CHECK(took < 3000 + PATIENCE);            /* one grace, not one for each */
  CHECK_INT(members[0].pid, gone);
  CHECK_INT(members[0].exit.why, COVEY_WHY_SELF);
  CHECK_UINT(members[0].exit.code, 5);
  CHECK_INT(members[1].pid, deaf);
  CHECK_INT(members[1].exit.why, COVEY_WHY_KILL);
  CHECK_INT(members[2].pid, deaf2);
  CHECK_INT(members[2].exit.why, COVEY_WHY_KILL);
  CHECK_INT(members[3].pid, polite);
  CHECK_INT(members[3].exit.why, COVEY_WHY_STOP);
  CHECK_INT(members[3].exit.how, COVEY_HOW_EXITED);
  CHECK_INT(covey_manager_count(m), 0);
  covey_manager_free(m);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(manager, signal_all_goes_on_after_a_failure)
{
  covey_manager *m = manager_new(COVEY_MANAGER_PLAIN);
  int64_t gone = start(m, "exit", "0"), alive = start(m, "hang", NULL);
  covey_process *p;
  REQUIRE_OK(covey_manager_get(m, gone, &p));
  REQUIRE_OK(covey_process_wait(p, PATIENCE, NULL));
  covey_process_close(p);
  covey_member members[2];
  CHECK_INT(covey_manager_signal_all(m, COVEY_SIGNAL_KILL, COVEY_TARGET_LEADER, members, 2), 1);
  CHECK_INT(members[0].pid, gone);
  CHECK_ERR(members[0].result, COVEY_ENOTFOUND);
  CHECK_INT(members[0].ended, 1);
  CHECK_INT(members[1].pid, alive);
  CHECK_INT(members[1].result, 0);
  CHECK_INT(covey_manager_wait_all(m, PATIENCE, members, 2), 0);
  CHECK_INT(members[1].exit.how, COVEY_HOW_SIGNALLED);
  covey_manager_free(m);
}

TEST(manager, send_all_reaches_each_once)
{
  enum { CHILDREN = 3 };
  covey_manager *m = manager_new(0);
  int64_t pids[CHILDREN];
  for (int i = 0; i < CHILDREN; i++) pids[i] = start(m, "node-echo", "jobs");
  covey_member members[CHILDREN + 1];
  CHECK_INT(covey_manager_send_all(m, "jobs", "go", 2, PATIENCE, members, CHILDREN + 1), 0);
  CHECK_INT(members[CHILDREN].pid, 0);
  int answers[CHILDREN] = {0};
  for (int i = 0; i < CHILDREN; i++) {
    covey_message message;
    REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &message));
    CHECK_UINT(message.size, 2);
    for (int k = 0; k < CHILDREN; k++) answers[k] += pids[k] == message.from.pid;
    covey_message_free(&message);
  }
  for (int k = 0; k < CHILDREN; k++) CHECK_INT(answers[k], 1);
  CHECK_INT(covey_manager_kill_all(m, NULL, 0), 0);
  CHECK_INT(covey_manager_send_all(m, "jobs", "go", 2, 0, members, CHILDREN), CHILDREN);
  for (int k = 0; k < CHILDREN; k++) CHECK_ERR(members[k].result, COVEY_EPEERDIED);
  covey_manager_free(m);
  CHECK_OK(covey_node_close(NULL, PATIENCE) < 0 ? -1 : 0);
}

TEST(manager, adopts_a_process_once)
{
  covey_manager *m = manager_new(0);
  const char *argv[] = {test_helper(), "hang", NULL};
  int64_t pid = test_start(argv);
  REQUIRE_OK(covey_manager_add(m, pid, 0));
  CHECK_ERR(covey_manager_add(m, pid, 0), COVEY_EEXIST);
  CHECK_ERR(covey_manager_add(m, pid, 1), COVEY_ENOTFOUND); /* another start: another process */
  CHECK_ERR(covey_manager_add(m, test_pid(), 0), COVEY_EINVAL);
  CHECK_INT(covey_manager_count(m), 1);
  CHECK_INT(covey_manager_kill_all(m, NULL, 0), 0);
  CHECK(test_process_ended(pid, PATIENCE));
  covey_manager_free(m);
}

TEST(manager, cancel_ends_its_waits)
{
  covey_cancel *cancel;
  covey_manager *m;
  REQUIRE_OK(covey_cancel_new(&cancel));
  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN, .cancel = cancel}, &m));
  int64_t pid = start(m, "hang", NULL);
  covey_cancel_fire(cancel);
  covey_member member;
  CHECK_INT(covey_manager_wait_all(m, COVEY_FOREVER, &member, 1), 1);
  CHECK_ERR(member.result, COVEY_ECANCELED);
  covey_manager_free(m);
  covey_cancel_free(cancel);
  CHECK(test_process_gone(pid, PATIENCE));
}

TEST(manager, keeps_the_last_ended_only)
{
  enum { STARTED = 1030 };
  if (test_is_wine())
    TEST_SKIP("a thousand processes take minutes under wine; the same text runs on Windows and POSIX");
  covey_manager *m = manager_new(COVEY_MANAGER_PLAIN);
  for (int i = 0; i < STARTED; i++) start(m, "nothing", NULL);
  CHECK_INT(covey_manager_wait_all(m, PATIENCE, NULL, 0), 0);
  int64_t last = start(m, "nothing", NULL);
  CHECK(covey_manager_count(m) <= STARTED);
  covey_process *p;
  CHECK_OK(covey_manager_get(m, last, &p));
  covey_process_close(p);
  covey_manager_free(m);
}
