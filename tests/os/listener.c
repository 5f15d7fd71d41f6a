/* Addresses: who can have one, who finds it, what a dead owner leaves, and which folders are not trusted. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/lock.h"
#include "os/stream.h"

#include <uv.h>

#define PATIENCE 20000 /* a deadline that is only met in failure */

static uv_fs_t fs;

static const char *in_temp(const char *name)
{
  return test_format("%s/%s", test_temp_dir(), name);
}

/* A folder of our own, as the caller of a node names it. */
static const char *folder(const char *name)
{
  const char *path = in_temp(name);
  REQUIRE(uv_fs_mkdir(NULL, &fs, path, 0700, NULL) == 0);
  return path;
}

static cvos_address at(const char *directory, const char *name)
{
  return (cvos_address){.directory = directory, .app = "test", .name = name};
}

/* Opens; COVEY_EAGAIN is another's opening or cleaning, and passes. */
static int open_at(const cvos_address *a, cvos_listener **ret)
{
  int64_t end = test_now() + PATIENCE;
  int r;
  while ((r = cvos_listener_open(a, ret)) == COVEY_EAGAIN && test_now() < end) test_pause(1);
  return r;
}

static int dial_at(const cvos_address *a)
{
  cvos_handle stream;
  int r = cvos_stream_dial(a, &stream);
  if (r == 0) cvos_handle_close(stream);
  return r;
}

static int entries(const char *path)
{
  int n = uv_fs_scandir(NULL, &fs, path, 0, NULL);
  uv_fs_req_cleanup(&fs);
  return n;
}

/* ---- one owner ---- */

TEST(listener, found_while_it_lives)
{
  cvos_listener *l, *other;
  const char *dir = folder("d");
  cvos_address a = at(dir, "one"), b = at(dir, "two");
  test_no_handles_lost();
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(dial_at(&a));
  CHECK_ERR(dial_at(&b), COVEY_ENOPEER);
  CHECK_ERR(open_at(&a, &other), COVEY_EEXIST);
  REQUIRE_OK(cvos_listener_open(&b, &other));
  CHECK_OK(dial_at(&b));
  CHECK_OK(cvos_listener_check(l));
  cvos_listener_close(l);
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  CHECK_OK(cvos_listener_check(other));
  cvos_listener_close(other);
  CHECK_INT(entries(dir), 0);
  cvos_listener_close(NULL);
}

TEST(listener, names_are_kept_apart)
{
  cvos_listener *l[5];
  const char *dir = folder("d"), *other = folder("e");
  cvos_address a[] = {at(dir, "abc"),
                      at(dir, "Abc"),
                      at(dir, "a.bc"),
                      at(other, "abc"),
                      {.directory = dir, .app = "testing", .name = "abc"}};
  for (int i = 0; i < 5; i++) REQUIRE_OK(cvos_listener_open(&a[i], &l[i]));
  for (int i = 0; i < 5; i++) {
    CHECK_OK(dial_at(&a[i]));
    cvos_listener_close(l[i]);
    CHECK_ERR(dial_at(&a[i]), COVEY_ENOPEER);
  }
}

/* A name that is a pid is kept apart from other pid namespaces, and only such a name. */
TEST(listener, pid_namespaces)
{
  cvos_listener *l, *other;
  char text[300];
  const char *dir = folder("d");
  cvos_address a = at(dir, "4711"), b = a;
  a.by_pid = true;
  cvos_address_text(&a, text, sizeof text);
  bool apart = strstr(text, "/ns-") != NULL;
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(dial_at(&a));
  if (apart) {
    CHECK_ERR(dial_at(&b), COVEY_ENOPEER);
    REQUIRE_OK(cvos_listener_open(&b, &other));
    cvos_listener_close(other);
  } else {
    CHECK_OK(dial_at(&b));
  }
  cvos_listener_close(l);
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
}

TEST(listener, names_that_are_refused)
{
  cvos_listener *l;
  char longest[CVOS_NAME_MAX + 2];
  memset(longest, 'n', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  const char *bad[] = {NULL, "", ".", "..", ".a", "a/b", "a\\b", "a~b", "a+b", "../x", longest};
  const char *dir = folder("d");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cvos_address a = {.directory = dir, .app = "test", .name = bad[i]},
                 b = {.directory = dir, .app = bad[i], .name = "x"};
    CHECK_ERR(cvos_listener_open(&a, &l), COVEY_EINVAL);
    CHECK_ERR(cvos_listener_open(&b, &l), COVEY_EINVAL);
    CHECK_ERR(dial_at(&a), COVEY_EINVAL);
    CHECK_ERR(dial_at(&b), COVEY_EINVAL);
  }
  CHECK_INT(entries(dir), 0);
}

TEST(listener, text_of_an_address)
{
  char text[300], small[8];
  cvos_address a = at(test_temp_dir(), "one");
  cvos_address_text(&a, text, sizeof text);
  CHECK(strstr(text, "test~one") != NULL);
  if (!test_is_windows()) CHECK_STR(text, test_format("%s/test~one.s", test_temp_dir()));
  cvos_address_text(&a, small, sizeof small);
  CHECK_UINT(strlen(small), sizeof small - 1);
  a.name = NULL;
  cvos_address_text(&a, text, sizeof text);
  CHECK_STR(text, "test.");
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
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, PATIENCE));
  return test_read_file(file, NULL);
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_gone(pid, PATIENCE));
  test_process_reap(pid);
}

TEST(listener, a_dead_owner_leaves_the_name_free)
{
  cvos_listener *l;
  const char *dir = folder("d");
  cvos_address a = at(dir, "one");
  int64_t pid = start("listen", &a, in_temp("told"));
  CHECK_STR(result(in_temp("told")), "COVEY_OK");
  CHECK_OK(dial_at(&a));
  CHECK_ERR(open_at(&a, &l), COVEY_EEXIST);
  end(pid);
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  CHECK_INT(entries(dir), 0); /* whoever meets a dead one cleans */
  pid = start("listen", &a, in_temp("again"));
  CHECK_STR(result(in_temp("again")), "COVEY_OK");
  end(pid);
  REQUIRE_OK(cvos_listener_open(&a, &l)); /* so does the next owner */
  CHECK_OK(dial_at(&a));
  cvos_listener_close(l);
  CHECK_INT(entries(dir), 0);
}

/* Starters race for a name whose owner was killed: one wins, and nobody takes the winner's socket away. */
TEST_LIMIT(listener, race_after_a_kill, 600)
{
  enum { STARTERS = 4 };
  const char *dir = folder("d");
  cvos_address a = at(dir, "one");
  int rounds = (test_is_windows() ? 3 : 10) * (test_is_long() ? 20 : 1);
  for (int round = 0; round < rounds; round++) {
    int64_t pid[STARTERS];
    int won = 0;
    for (int i = 0; i < STARTERS; i++)
      pid[i] = start("listen", &a, in_temp(test_format("told%d-%d", round, i)));
    for (int i = 0; i < STARTERS; i++) {
      const char *got = result(in_temp(test_format("told%d-%d", round, i)));
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
    int r = dial_at(&a);
    /* Windows: the losers have looked who is there, and nobody accepts. */
    if (won) CHECK(r == 0 || (test_is_windows() && r == COVEY_EAGAIN));
    for (int i = 0; i < STARTERS; i++) end(pid[i]);
  }
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  CHECK_INT(entries(dir), 0);
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
    r = dial_at(&c->address);
    CHECK(r == 0 || r == COVEY_EAGAIN || r == COVEY_ENOPEER);
    if (r == 0) test_add(&c->found, 1);
  }
}

TEST(listener, one_owner_at_a_time)
{
  contest c = {.address = at(folder("d"), "one")};
  test_thread *threads[4];
  for (int round = 0; round < 2; round++) { /* what the system opens once and keeps, it opens in the first */
    if (round == 1) test_no_handles_lost();
    for (int i = 0; i < 4; i++) threads[i] = test_thread_start(own_in_turns, &c);
    for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  }
  CHECK(test_add(&c.turns, 0) > 0);
  CHECK_ERR(dial_at(&c.address), COVEY_ENOPEER);
  CHECK_INT(entries(c.address.directory), 0);
}

/* A process that listens, forks, and dies: its child, which never heard of us, does not keep the name. */
TEST(listener, a_fork_does_not_keep_the_name)
{
  cvos_listener *l;
  const char *dir = folder("d"), *file = in_temp("forked");
  cvos_address a = at(dir, "one");
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
      test_pause(PATIENCE);
      test_system_exit(0);
    }
    if (!test_wait_until(told, (void *)(uintptr_t)file, PATIENCE)) test_system_exit(2);
    test_system_exit(dial_at(&a) == 0 ? 0 : 3);
  }
  CHECK_INT(test_fork_join(owner, PATIENCE), 0);
  int64_t child = strtoll(test_read_file(file, NULL), NULL, 10);
  CHECK(test_process_alive(child));
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  REQUIRE_OK(cvos_listener_open(&a, &l));
  test_process_kill(child);
  cvos_listener_close(l);
  CHECK(test_process_gone(child, PATIENCE));
}

/* With nobody who accepts, dialling says "not now" at last, and never that nobody is there. */
TEST(listener, full)
{
  enum { MANY = 6000 };
  static cvos_handle streams[MANY];
  cvos_listener *l;
  cvos_address a = at(folder("d"), "one");
  int n = 0, r = 0;
  test_no_handles_lost();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  while (n < MANY && (r = cvos_stream_dial(&a, &streams[n])) == 0) n++;
  CHECK_ERR(r, COVEY_EAGAIN);
  CHECK(n >= (test_is_windows() ? 2 : 16));
  CHECK_ERR(dial_at(&a), COVEY_EAGAIN);
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
  cvos_address a = at(folder("d"), "one");
  cvos_address_text(&a, name, sizeof name);
  REQUIRE(uv_loop_init(&uv) == 0);
  REQUIRE(uv_pipe_init(&uv, &squatter, 0) == 0);
  REQUIRE(uv_pipe_bind(&squatter, name) == 0);
  REQUIRE(uv_listen((uv_stream_t *)&squatter, 8, no_client) == 0);
  CHECK_OK(dial_at(&a));
  int r = open_at(&a, &l);
  if (test_is_windows()) {
    CHECK_INT(r, COVEY_EEXIST);
  } else {
    REQUIRE_OK(r);
    CHECK_OK(dial_at(&a));
    cvos_listener_close(l);
  }
  uv_close((uv_handle_t *)&squatter, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
  REQUIRE_OK(open_at(&a, &l));
  CHECK_OK(dial_at(&a));
  cvos_listener_close(l);
}

/* ---- files that are not as they were left (POSIX) ---- */

TEST(listener, leftovers)
{
  cvos_listener *l;
  cvos_handle lock;
  const char *dir = folder("d");
  cvos_address a = at(dir, "one");
  if (test_is_windows()) TEST_SKIP("a pipe leaves nothing behind");
  const char *lock_file = test_format("%s/test~one.lock", dir),
             *socket_file = test_format("%s/test~one.s", dir);

  /* A lock file of a dead process, no socket. */
  test_write_file(lock_file, "123\n", 4);
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  CHECK_INT(entries(dir), 0);

  /* Somebody is starting: the lock is held, no socket yet. */
  REQUIRE_OK(cvos_lock_try(lock_file, 0, &lock));
  CHECK_ERR(dial_at(&a), COVEY_EAGAIN);
  CHECK_ERR(open_at(&a, &l), COVEY_EEXIST);
  cvos_lock_release(lock, lock_file);

  /* Files in the place of the socket, and of one that was never published. */
  test_write_file(socket_file, "x", 1);
  test_write_file(test_format("%s/~.s", dir), "x", 1);
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  test_write_file(socket_file, "x", 1);
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(dial_at(&a));
  cvos_listener_close(l);
  CHECK_INT(entries(dir), 0);
}

/* A cleaner of temporary files has been there. */
TEST(listener, files_that_were_taken_away)
{
  cvos_listener *l, *other;
  const char *dir = folder("d");
  cvos_address a = at(dir, "one");
  if (test_is_windows()) TEST_SKIP("a pipe has no file");
  const char *lock_file = test_format("%s/test~one.lock", dir),
             *socket_file = test_format("%s/test~one.s", dir);

  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE(uv_fs_unlink(NULL, &fs, socket_file, NULL) == 0);
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  CHECK_ERR(dial_at(&a), COVEY_EAGAIN); /* it lives */
  cvos_listener_close(l);
  CHECK_INT(entries(dir), 0);

  /* Without its lock file it has lost the name; the next owner's files are not its own to remove. */
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE(uv_fs_unlink(NULL, &fs, lock_file, NULL) == 0);
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  CHECK_OK(dial_at(&a));
  REQUIRE_OK(cvos_listener_open(&a, &other));
  cvos_listener_close(l);
  CHECK_OK(cvos_listener_check(other));
  CHECK_OK(dial_at(&a));
  cvos_listener_close(other);
  CHECK_INT(entries(dir), 0);

  /* The folder itself. */
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE(uv_fs_rename(NULL, &fs, dir, in_temp("away"), NULL) == 0);
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  (void)folder("d");
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
  cvos_listener_close(l);
  CHECK_INT(entries(in_temp("away")), 0);
}

/* ---- folders that are not trusted (POSIX) ---- */

static void expect_refused(const cvos_address *a, int open_code, int dial_code)
{
  cvos_listener *l;
  CHECK_ERR(cvos_listener_open(a, &l), open_code);
  CHECK_ERR(dial_at(a), dial_code);
}

TEST(listener, hostile_directories)
{
  cvos_listener *l;
  cvos_address a = at(NULL, "one");
  if (test_is_windows()) TEST_SKIP("a pipe has no folder");
  test_no_handles_lost();

  a.directory = in_temp("missing");
  expect_refused(&a, COVEY_ENOTFOUND, COVEY_ENOPEER);
  a.directory = "relative";
  expect_refused(&a, COVEY_EINVAL, COVEY_EINVAL);
  a.directory = folder("open");
  static const int open_modes[] = {0777, 0770, 0701, 0740, 01777};
  for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
    REQUIRE(uv_fs_chmod(NULL, &fs, a.directory, open_modes[i], NULL) == 0);
    expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  }
  a.directory = in_temp("file");
  test_write_file(a.directory, "", 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  a.directory = in_temp("link");
  REQUIRE(uv_fs_symlink(NULL, &fs, folder("good"), a.directory, 0, NULL) == 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  a.directory = in_temp("link/"); /* the slash makes the system follow it */
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  a.directory = in_temp("good/");
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(dial_at(&a));
  cvos_listener_close(l);
  a.directory = folder("anothers");
  if (uv_fs_chown(NULL, &fs, a.directory, 123, 123, NULL) == 0)
    expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
}

/* The same for the folder that is found: below $XDG_RUNTIME_DIR. */
TEST(listener, hostile_runtime_directory)
{
  cvos_listener *l;
  cvos_address a = at(NULL, "one");
  char text[300];
  if (test_is_windows()) TEST_SKIP("a pipe has no folder");
  const char *runtime = folder("run"), *own = in_temp("run/covey");
  test_set_env("XDG_RUNTIME_DIR", runtime);
  cvos_address_text(&a, text, sizeof text);
  CHECK_STR(text, test_format("%s/test~one.s", own));

  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(dial_at(&a));
  REQUIRE(uv_fs_stat(NULL, &fs, own, NULL) == 0);
  CHECK_UINT(fs.statbuf.st_mode & 0777, 0700);
  cvos_listener_close(l);

  REQUIRE(uv_fs_chmod(NULL, &fs, own, 0777, NULL) == 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  REQUIRE(uv_fs_rmdir(NULL, &fs, own, NULL) == 0);
  REQUIRE(uv_fs_symlink(NULL, &fs, folder("elsewhere"), own, 0, NULL) == 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  REQUIRE(uv_fs_unlink(NULL, &fs, own, NULL) == 0);
  test_write_file(own, "", 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  REQUIRE(uv_fs_unlink(NULL, &fs, own, NULL) == 0);
  REQUIRE(uv_fs_mkdir(NULL, &fs, own, 0700, NULL) == 0);
  if (uv_fs_chown(NULL, &fs, own, 123, 123, NULL) == 0) expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);

  /* A runtime directory that others may write to is none. */
  REQUIRE(uv_fs_chmod(NULL, &fs, runtime, 0777, NULL) == 0);
  a.name = "never-opened";
  CHECK_ERR(dial_at(&a), COVEY_ENOPEER);
}

/* Every path up to the system's limit works, the next one is refused as too long, none is cut. */
TEST(listener, path_length)
{
  if (test_is_windows()) TEST_SKIP("a pipe's name is never that long");
  size_t longest = 0;
  const char *dir = folder("a-folder-whose-name-takes-some-of-the-room");
  size_t fixed = strlen(test_format("%s/test~.s", dir));
  for (size_t n = 1; n <= CVOS_NAME_MAX; n++) {
    char name[CVOS_NAME_MAX + 1];
    cvos_listener *l;
    memset(name, 'n', n);
    name[n] = '\0';
    cvos_address a = at(dir, name);
    int r = cvos_listener_open(&a, &l);
    if (r == 0) {
      CHECK(longest == 0 || longest == fixed + n - 1);
      longest = fixed + n;
      CHECK_OK(dial_at(&a));
      cvos_listener_close(l);
    } else {
      CHECK_INT(r, COVEY_ETOOBIG);
      CHECK_ERR(dial_at(&a), COVEY_ETOOBIG);
    }
  }
  CHECK(longest == 107 || longest == 103);
  CHECK_INT(entries(dir), 0);
}

TEST(listener, every_failure_leaves_nothing)
{
  const char *dir = folder("d");
  cvos_address a = at(dir, "one");
  test_no_handles_lost();
  for (int64_t n = 1;; n++) {
    cvos_listener *l;
    cvy_fault_after(CVOS_FAULT_NONE, n, 5); /* EIO, ERROR_ACCESS_DENIED */
    int r = cvos_listener_open(&a, &l);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r == 0) cvos_listener_close(l);
    if (over) {
      CHECK_INT(r, 0);
      break;
    }
    CHECK(r < 0);
    CHECK_ERR(dial_at(&a), COVEY_ENOPEER); /* removes a lock file that was made and could not be locked */
    if (entries(dir) > 0) TEST_FAIL("call %d leaves a file", (int)n);
  }
}

TEST(dial, every_failure_leaves_nothing)
{
  cvos_listener *l;
  cvos_address a = at(folder("d"), "one");
  test_no_handles_lost();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  for (int64_t n = 1;; n++) {
    cvy_fault_after(CVOS_FAULT_NONE, n, 5);
    int r = dial_at(&a);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (over) break;
    CHECK(r < 0);
  }
  CHECK_OK(cvos_listener_check(l));
  cvos_listener_close(l);
}
