/* Ends of members that are told by a callback. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/manager.h>
#include <covey/process.h>

/* Dispatches until count callbacks have run. */
static void dispatch(covey_loop *loop, const int *count, int wanted)
{
  covey_native handle;
  int64_t end = test_now() + TEST_SOON;

  REQUIRE_OK(covey_loop_handle(loop, &handle));
  while (*count < wanted && test_now() < end)
    if (test_handle_ready(handle, 1000)) CHECK_OK(covey_loop_dispatch(loop));
  CHECK_INT(*count, wanted);
}

typedef struct ends {
  int count;
  int64_t sum; /* of the codes */
} ends;

static void member_ended(const covey_member *member, void *user)
{
  ends *e = user;

  CHECK_INT(member->ended, 1);
  CHECK_INT(member->result, 0);
  CHECK(member->pid > 0);
  e->count++;
  e->sum += member->exit.code;
}

static covey_manager *manager_on(covey_loop *loop, ends *e)
{
  covey_manager *m = NULL;

  REQUIRE_OK(covey_manager_new(
      &(covey_manager_options){
          .loop = loop, .flags = COVEY_MANAGER_PLAIN, .on_end = e ? member_ended : NULL, .user = e},
      &m));
  return m;
}

static void add(covey_manager *m, const char *what, const char *argument)
{
  REQUIRE_OK(covey_manager_spawn(
      m, &(covey_process_options){.argv = TEST_HELPER(what, argument), .out.kind = COVEY_STDIO_NULL}, NULL));
}

TEST(manager_end, is_told)
{
  covey_loop *loop;
  ends e = {0};

  test_no_child_handles_lost();
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  covey_manager *m = manager_on(loop, &e);
  add(m, "exit", "1");
  add(m, "exit", "2");
  add(m, "hang", NULL);
  dispatch(loop, &e.count, 2);
  CHECK_INT(e.sum, 3);
  CHECK_INT(covey_manager_count(m), 1); /* whose end was told is no member any more */
  CHECK_INT(covey_manager_stop_all(m, 0, NULL, 0), 0);
  CHECK_INT(e.count, 3);
  CHECK_INT(covey_manager_count(m), 0);
  covey_manager_free(m);
  covey_loop_close(loop);
}

TEST(manager_end, is_told_in_a_wait)
{
  ends e = {0};
  covey_member member;
  covey_manager *m = manager_on(NULL, &e);

  add(m, "exit", "1");
  REQUIRE_OK(covey_manager_wait_any(m, TEST_SOON, &member));
  CHECK_UINT(member.exit.code, 1);
  CHECK_INT(e.count, 1);
  CHECK_ERR(covey_manager_wait_any(m, 0, &member), COVEY_ENOTFOUND);
  add(m, "exit", "2");
  add(m, "exit", "3");
  CHECK_INT(covey_manager_wait_all(m, TEST_SOON, &member, 1), 0);
  CHECK_INT(e.count, 3);
  CHECK_INT(e.sum, 6);
  CHECK_INT(covey_manager_count(m), 0);
  covey_manager_free(m);
}

TEST(manager_end, of_one_that_has_left_is_not_told)
{
  covey_loop *loop;
  ends e = {0};
  int64_t pid;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  covey_manager *m = manager_on(loop, &e);
  add(m, "hang", NULL);
  REQUIRE(covey_manager_pids(m, &pid, 1) == 1);
  CHECK_OK(covey_manager_remove(m, pid));
  add(m, "hang", NULL);
  add(m, "exit", "0");
  covey_manager_free(m);
  CHECK_OK(covey_loop_dispatch(loop));
  CHECK(test_process_gone(pid, TEST_SOON));
  CHECK_OK(covey_loop_dispatch(loop));
  CHECK_INT(e.count, 0);
  covey_loop_close(loop);
}

typedef struct reaper {
  covey_manager *manager;
  test_counter told;
} reaper;

static void reap(void *arg)
{
  reaper *r = arg;
  int code;

  while ((code = covey_manager_wait_any(r->manager, TEST_SOON, NULL)) == 0) test_add(&r->told, 1);
  CHECK_ERR(code, COVEY_ENOTFOUND);
}

static void count_member(const covey_member *member, void *user)
{
  (void)member;
  test_add(user, 1);
}

/* Every end is told once by the callback and once by one of the threads. */
TEST_LIMIT(manager_end, is_told_once_to_several_threads, 120)
{
  enum { MANY = 30 };
  test_counter called = {0};
  reaper r = {0};
  test_thread *threads[4];

  REQUIRE_OK(covey_manager_new(
      &(covey_manager_options){.flags = COVEY_MANAGER_PLAIN, .on_end = count_member, .user = &called},
      &r.manager));
  for (int i = 0; i < MANY; i++) add(r.manager, "nothing", NULL);
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(reap, &r);
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&called, 0), MANY);
  CHECK_INT(test_add(&r.told, 0), MANY);
  covey_manager_free(r.manager);
}

static int take_all(int stream, const void *data, size_t size, void *user)
{
  size_t *total = user;

  (void)stream;
  (void)data;
  *total += size;
  return 0;
}

/* A member whose output goes to a callback is shown while the manager waits: it would never end else. */
TEST(manager_end, of_members_that_show_their_output)
{
  size_t total = 0;
  covey_member member;
  covey_process_options o = {.argv = TEST_HELPER("out", "2000000"),
                             .out.kind = COVEY_STDIO_PIPE,
                             .on_output = take_all,
                             .user = &total};
  covey_manager *m = manager_on(NULL, NULL);

  for (int i = 0; i < 2; i++) {
    REQUIRE_OK(covey_manager_spawn(m, &o, NULL));
    if (i == 0)
      CHECK_INT(covey_manager_wait_all(m, TEST_SOON, &member, 1), 0);
    else
      CHECK_OK(covey_manager_wait_any(m, TEST_SOON, &member));
    CHECK(COVEY_EXIT_OK(&member.exit));
    CHECK_UINT(total, (size_t)2000000 * (size_t)(i + 1));
  }
  covey_manager_free(m);
}

/* What a member has written waits to be shown when it has ended: nobody is told of the end before, and nothing is lost. how: by which call. */
static void shown_before_the_end(int how)
{
  size_t total = 0;
  ends e = {0};
  covey_member member = {0};
  covey_process *p, *same;
  covey_process_options o = {.argv = TEST_HELPER("out", "100000"),
                             .out.kind = COVEY_STDIO_PIPE,
                             .on_output = take_all,
                             .user = &total};
  covey_manager *m = manager_on(NULL, how == 2 ? &e : NULL);

  REQUIRE_OK(covey_manager_spawn(m, &o, &p));
  REQUIRE_OK(covey_process_adopt(covey_process_pid(p), 0, NULL, &same));
  REQUIRE_OK(covey_process_wait(same, TEST_SOON, NULL));
  covey_process_close(same);
  test_pause(100); /* so that the loop has mostly seen the end of the output, too */
  CHECK_UINT(total, 0);
  switch (how) {
  case 0: CHECK_OK(covey_manager_wait_any(m, TEST_SOON, &member)); break;
  case 1: CHECK_INT(covey_manager_wait_all(m, TEST_SOON, &member, 1), 0); break;
  default: dispatch(NULL, &e.count, 1);
  }
  CHECK_UINT(total, 100000);
  if (how < 2) CHECK_INT(member.ended, 1);
  covey_process_close(p);
  covey_manager_free(m);
}

TEST(manager_end, is_told_behind_the_output_by_wait_any)
{
  shown_before_the_end(0);
}

TEST(manager_end, is_told_behind_the_output_by_wait_all)
{
  shown_before_the_end(1);
}

TEST(manager_end, is_told_behind_the_output_in_a_dispatch)
{
  shown_before_the_end(2);
}
