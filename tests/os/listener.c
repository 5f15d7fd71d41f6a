/* Addresses: who can have one, who finds it, what a dead owner leaves. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/lock.h"
#include "os/stream.h"
#include "support/address.h"

#include <uv.h>

/* ---- one owner ---- */

TEST(listener, found_while_it_lives)
{
  cvos_listener *l, *other;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "one"), b = address_at(dir, "two");
  test_no_handles_lost();
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(address_dial(&a));
  CHECK_ERR(address_dial(&b), COVEY_ENOPEER);
  CHECK_ERR(address_open(&a, &other), COVEY_EEXIST);
  REQUIRE_OK(cvos_listener_open(&b, &other));
  CHECK_OK(address_dial(&b));
  CHECK_OK(cvos_listener_check(l));
  cvos_listener_close(l);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  CHECK_OK(cvos_listener_check(other));
  cvos_listener_close(other);
  CHECK_INT(address_entries(dir), 0);
  cvos_listener_close(NULL);
}

TEST(listener, names_are_kept_apart)
{
  cvos_listener *l[5];
  const char *dir = address_folder("d"), *other = address_folder("e");
  cvos_address a[] = {address_at(dir, "abc"),
                      address_at(dir, "Abc"),
                      address_at(dir, "a.bc"),
                      address_at(other, "abc"),
                      {.directory = dir, .app = "testing", .name = "abc"}};
  for (int i = 0; i < 5; i++) REQUIRE_OK(cvos_listener_open(&a[i], &l[i]));
  for (int i = 0; i < 5; i++) {
    CHECK_OK(address_dial(&a[i]));
    cvos_listener_close(l[i]);
    CHECK_ERR(address_dial(&a[i]), COVEY_ENOPEER);
  }
}

/* A name that is a pid is kept apart from other pid namespaces, and only such a name. */
TEST(listener, pid_namespaces)
{
  cvos_listener *l, *other;
  char text[300];
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "4711"), b = a;
  a.by_pid = true;
  cvos_address_text(&a, text, sizeof text);
  bool apart = strstr(text, "/ns-") != NULL;
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(address_dial(&a));
  if (apart) {
    CHECK_ERR(address_dial(&b), COVEY_ENOPEER);
    REQUIRE_OK(cvos_listener_open(&b, &other));
    cvos_listener_close(other);
  } else {
    CHECK_OK(address_dial(&b));
  }
  cvos_listener_close(l);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
}

TEST(listener, names_that_are_refused)
{
  cvos_listener *l;
  char longest[CVOS_NAME_MAX + 2];
  memset(longest, 'n', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  const char *bad[] = {NULL, "", ".", "..", ".a", "a/b", "a\\b", "a~b", "a+b", "../x", longest};
  const char *dir = address_folder("d");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cvos_address a = {.directory = dir, .app = "test", .name = bad[i]},
                 b = {.directory = dir, .app = bad[i], .name = "x"};
    CHECK_ERR(cvos_listener_open(&a, &l), COVEY_EINVAL);
    CHECK_ERR(cvos_listener_open(&b, &l), COVEY_EINVAL);
    CHECK_ERR(address_dial(&a), COVEY_EINVAL);
    CHECK_ERR(address_dial(&b), COVEY_EINVAL);
  }
  CHECK_INT(address_entries(dir), 0);
}

TEST(listener, text_of_an_address)
{
  char text[300], small[8];
  cvos_address a = address_at(test_temp_dir(), "one");
  cvos_address_text(&a, text, sizeof text);
  CHECK(strstr(text, "test~one") != NULL);
  if (!test_is_windows()) CHECK_STR(text, test_format("%s/test~one.s", test_temp_dir()));
  cvos_address_text(&a, small, sizeof small);
  CHECK_UINT(strlen(small), sizeof small - 1);
  a.name = NULL;
  cvos_address_text(&a, text, sizeof text);
  CHECK_STR(text, "test.");
}

/* Windows keeps a pipe, and with it its name, as long as one end of a connection is open. */
TEST(listener, closed_while_a_client_lives_on)
{
  cvos_listener *l;
  cvos_handle client;
  cvos_address a = address_at(address_folder("d"), "one");
  test_no_handles_lost();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE_OK(cvos_stream_dial(&a, &client));
  cvos_listener_close(l);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  int r = cvos_listener_open(&a, &l);
  CHECK(r == 0 || (test_is_windows() && r == COVEY_EAGAIN));
  if (r == 0) cvos_listener_close(l);
  cvos_handle_close(client);
  REQUIRE_OK(address_open(&a, &l));
  CHECK_OK(address_dial(&a));
  cvos_listener_close(l);
}

/* The same by a fault, for wine forgets such a name: the system refuses it, and nobody is there. */
TEST(listener, a_name_that_is_refused_for_a_while)
{
  cvos_listener *l;
  cvos_address a = address_at(address_folder("d"), "one");
  if (!test_is_windows()) TEST_SKIP("a name without an owner is free there");
  cvy_fault_after(CVOS_FAULT_PIPE, 1, 5 /* ERROR_ACCESS_DENIED */);
  int r = cvos_listener_open(&a, &l);
  CHECK_INT(r, COVEY_EAGAIN);
  cvy_fault_after(CVOS_FAULT_PIPE, 1, 5);
  r = address_open(&a, &l);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  REQUIRE_OK(r);
  cvos_listener_close(l);
}

/* ---- another process ---- */

static bool told(void *path)
{
  return test_file_exists(path);
}

static int64_t start(const char *what, const cvos_address *a, const char *file)
{
  const char *argv[] = {test_helper(), what, a->directory, a->app, a->name, file, NULL};
  int64_t pid = test_start(argv);
  REQUIRE(pid > 0);
  return pid;
}

static const char *result(const char *file)
{
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, ADDRESS_PATIENCE));
  return test_read_file(file, NULL);
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_gone(pid, ADDRESS_PATIENCE));
  test_process_reap(pid);
}

TEST(listener, a_dead_owner_leaves_the_name_free)
{
  cvos_listener *l;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "one");
  int64_t pid = start("listen", &a, address_in_temp("told"));
  CHECK_STR(result(address_in_temp("told")), "COVEY_OK");
  CHECK_OK(address_dial(&a));
  CHECK_ERR(address_open(&a, &l), COVEY_EEXIST);
  end(pid);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  CHECK_INT(address_entries(dir), 0); /* whoever meets a dead one cleans */
  pid = start("listen", &a, address_in_temp("again"));
  CHECK_STR(result(address_in_temp("again")), "COVEY_OK");
  end(pid);
  REQUIRE_OK(cvos_listener_open(&a, &l)); /* so does the next owner */
  CHECK_OK(address_dial(&a));
  cvos_listener_close(l);
  CHECK_INT(address_entries(dir), 0);
}

/* Starters race for a name whose owner was killed: one wins, and nobody takes the winner's socket away. */
TEST_LIMIT(listener, race_after_a_kill, 600)
{
  enum { STARTERS = 4 };
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "one");
  int rounds = (test_is_windows() ? 3 : 10) * (test_is_long() ? 100 : 1);
  for (int round = 0; round < rounds; round++) {
    int64_t pid[STARTERS];
    int won = 0;
    for (int i = 0; i < STARTERS; i++)
      pid[i] = start("listen", &a, address_in_temp(test_format("told%d-%d", round, i)));
    for (int i = 0; i < STARTERS; i++) {
      const char *got = result(address_in_temp(test_format("told%d-%d", round, i)));
      if (strcmp(got, "COVEY_OK") == 0)
        won++;
      else
        CHECK_STR(got, "COVEY_EEXIST");
    }
    /* Wine ignores FIRST_PIPE_INSTANCE: two that meet there both step back. */
    if (test_is_wine())
      CHECK(won <= 1);
    else
      CHECK_INT(won, 1);
    int r = address_dial(&a);
    /* Windows: the losers have looked who is there, and nobody accepts. */
    if (won) CHECK(r == 0 || (test_is_windows() && r == COVEY_EAGAIN));
    for (int i = 0; i < STARTERS; i++) end(pid[i]);
  }
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  CHECK_INT(address_entries(dir), 0);
}

typedef struct contest {
  cvos_address address;
  test_counter owners, turns, found;
} contest;

static void own_in_turns(void *arg)
{
  contest *c = arg;
  for (int i = 0; i < 100; i++) {
    cvos_listener *l;
    int r = cvos_listener_open(&c->address, &l);
    if (r == 0) {
      CHECK_INT(test_add(&c->owners, 1), 1);
      CHECK_OK(cvos_listener_check(l));
      test_add(&c->turns, 1);
      test_add(&c->owners, -1);
      cvos_listener_close(l);
    } else {
      CHECK(r == COVEY_EEXIST || r == COVEY_EAGAIN);
    }
    r = address_dial(&c->address);
    CHECK(r == 0 || r == COVEY_EAGAIN || r == COVEY_ENOPEER);
    if (r == 0) test_add(&c->found, 1);
  }
}

TEST(listener, one_owner_at_a_time)
{
  contest c = {.address = address_at(address_folder("d"), "one")};
  test_thread *threads[4];
  for (int round = 0; round < 2; round++) { /* what the system opens once and keeps, it opens in the first */
    if (round == 1) test_no_handles_lost();
    for (int i = 0; i < 4; i++) threads[i] = test_thread_start(own_in_turns, &c);
    for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  }
  CHECK(test_add(&c.turns, 0) > 0);
  CHECK_ERR(address_dial(&c.address), COVEY_ENOPEER);
  CHECK_INT(address_entries(c.address.directory), 0);
}

/* A process that listens, forks, and dies: its child, which never heard of us, does not keep the name. */
TEST(listener, a_fork_does_not_keep_the_name)
{
  cvos_listener *l;
  const char *dir = address_folder("d"), *file = address_in_temp("forked");
  cvos_address a = address_at(dir, "one");
  if (test_is_windows()) TEST_SKIP("no fork there");
  int64_t owner = test_fork();
  REQUIRE(owner >= 0);
  if (owner == 0) {
    if (cvos_listener_open(&a, &l) != 0) test_system_exit(1);
    int64_t child = test_fork();
    if (child == 0) {
      cvos_listener_close(l); /* not ours: takes nothing away */
      const char *text = test_format("%lld", (long long)test_pid());
      test_write_file(file, text, strlen(text));
      test_pause(ADDRESS_PATIENCE);
      test_system_exit(0);
    }
    if (!test_wait_until(told, (void *)(uintptr_t)file, ADDRESS_PATIENCE)) test_system_exit(2);
    test_system_exit(address_dial(&a) == 0 ? 0 : 3);
  }
  CHECK_INT(test_fork_join(owner, ADDRESS_PATIENCE), 0);
  int64_t child = strtoll(test_read_file(file, NULL), NULL, 10);
  CHECK(test_process_alive(child));
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  REQUIRE_OK(cvos_listener_open(&a, &l));
  test_process_kill(child);
  cvos_listener_close(l);
  CHECK(test_process_gone(child, ADDRESS_PATIENCE));
}

/* With nobody who accepts, dialling says "not now" at last, and never that nobody is there. */
TEST(listener, full)
{
  enum { MANY = 6000 };
  static cvos_handle streams[MANY];
  cvos_listener *l;
  cvos_address a = address_at(address_folder("d"), "one");
  int n = 0, r = 0;
  test_no_handles_lost();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  while (n < MANY && (r = cvos_stream_dial(&a, &streams[n])) == 0) n++;
  CHECK_ERR(r, COVEY_EAGAIN);
  CHECK(n >= (test_is_windows() ? 2 : 16));
  CHECK_ERR(address_dial(&a), COVEY_EAGAIN);
  for (int i = 0; i < n; i++) cvos_handle_close(streams[i]);
  cvos_listener_close(l);
}

static void no_client(uv_stream_t *server, int status)
{
  (void)server;
  (void)status;
}

/* Somebody serves our name before us, without our lock. A pipe cannot be taken from him (Windows); a socket file in a folder that is ours
 * alone can only be a leftover, and gives way (POSIX). */
TEST(listener, a_name_that_is_served_already)
{
  uv_loop_t uv;
  uv_pipe_t squatter;
  cvos_listener *l;
  char name[300];
  cvos_address a = address_at(address_folder("d"), "one");
  cvos_address_text(&a, name, sizeof name);
  REQUIRE(uv_loop_init(&uv) == 0);
  REQUIRE(uv_pipe_init(&uv, &squatter, 0) == 0);
  REQUIRE(uv_pipe_bind(&squatter, name) == 0);
  REQUIRE(uv_listen((uv_stream_t *)&squatter, 8, no_client) == 0);
  CHECK_OK(address_dial(&a));
  int r = address_open(&a, &l);
  if (test_is_windows()) {
    CHECK_INT(r, COVEY_EEXIST);
  } else {
    REQUIRE_OK(r);
    CHECK_OK(address_dial(&a));
    cvos_listener_close(l);
  }
  uv_close((uv_handle_t *)&squatter, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
  REQUIRE_OK(address_open(&a, &l));
  CHECK_OK(address_dial(&a));
  cvos_listener_close(l);
}
