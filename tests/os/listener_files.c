/* Addresses whose files are not as they were left, folders that are not trusted, and what fails. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/lock.h"
#include "os/stream.h"
#include "support/address.h"

#include <uv.h>

static uv_fs_t fs;

/* ---- files that are not as they were left (POSIX) ---- */

TEST(listener, leftovers)
{
  cvos_listener *l;
  cvos_handle lock;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "one");
  if (test_is_windows()) TEST_SKIP("a pipe leaves nothing behind");
  const char *lock_file = test_format("%s/test~one.lock", dir),
             *socket_file = test_format("%s/test~one.s", dir);

  /* A lock file of a dead process, no socket. */
  test_write_file(lock_file, "123\n", 4);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  CHECK_INT(address_entries(dir), 0);

  /* Somebody is starting: the lock is held, no socket yet. */
  REQUIRE_OK(cvos_lock_try(lock_file, 0, &lock));
  CHECK_ERR(address_dial(&a), COVEY_EAGAIN);
  CHECK_ERR(address_open(&a, &l), COVEY_EEXIST);
  cvos_lock_release(lock, lock_file);

  /* Files in the place of the socket, and of one that was never published. */
  test_write_file(socket_file, "x", 1);
  test_write_file(test_format("%s/~.s", dir), "x", 1);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  test_write_file(socket_file, "x", 1);
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(address_dial(&a));
  cvos_listener_close(l);
  CHECK_INT(address_entries(dir), 0);
}

static const char *leave(const char *dir, const char *name)
{
  test_write_file(test_format("%s/%s.s", dir, name), "", 0);
  const char *lock = test_format("%s/%s.lock", dir, name);
  test_write_file(lock, "1\n", 2);
  return lock;
}

/* Whoever takes an address sweeps beside it. */
TEST(listener, leftovers_of_others)
{
  cvos_listener *l;
  cvos_handle lock;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "n-us");
  if (test_is_windows()) TEST_SKIP("a pipe leaves nothing behind");
  leave(dir, "test~2147483647"); /* no system has that many processes */
  leave(dir, "other~n-gone");
  leave(dir, test_format("test~%" PRId64,
                         test_pid())); /* ended, and its number is given again: whoever meets it removes it */
  leave(dir, "other~what");
  leave(dir, "n-what");
  leave(dir, "test~2147483647x");
  REQUIRE_OK(cvos_lock_try(leave(dir, "test~n-held"), 0, &lock));
  CHECK_INT(address_entries(dir), 14);
  REQUIRE_OK(address_open(&a, &l));
  CHECK_INT(address_entries(dir), 12); /* two went, ours has come */
  CHECK_OK(address_dial(&a));
  CHECK_INT(uv_fs_stat(NULL, &fs, test_format("%s/test~n-held.s", dir), NULL), 0);
  CHECK(uv_fs_stat(NULL, &fs, test_format("%s/other~n-gone.lock", dir), NULL) < 0);
  CHECK(uv_fs_stat(NULL, &fs, test_format("%s/test~2147483647.s", dir), NULL) < 0);
  cvos_listener_close(l);
  cvos_lock_release(lock, NULL);
  REQUIRE_OK(address_open(&a, &l));
  CHECK_INT(address_entries(dir), 10); /* and the one that is held no more */
  cvos_listener_close(l);

  /* Of very many each takes some away. */
  for (int i = 0; i < 30; i++) leave(dir, test_format("test~n-dead-%d", i));
  REQUIRE_OK(address_open(&a, &l));
  int left = address_entries(dir);
  CHECK(left > 10 && left <= 10 + 2 * 20);
  cvos_listener_close(l);
  REQUIRE_OK(address_open(&a, &l));
  CHECK_INT(address_entries(dir), 10);
  CHECK_OK(cvos_listener_check(l));
  cvos_listener_close(l);
}

static const char *folder(const char *dir, const char *name, int mode)
{
  const char *path = test_format("%s/%s", dir, name);
  REQUIRE(uv_fs_mkdir(NULL, &fs, path, mode, NULL) == 0);
  return path;
}

/* Folders of pid namespaces: those in which nobody lives go, with what is in them. */
TEST(listener, leftovers_of_namespaces)
{
  cvos_listener *l;
  cvos_handle lock;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "n-us");
  if (test_is_windows()) TEST_SKIP("Windows has no namespaces");
  folder(dir, "ns-1", 0700);
  const char *two = folder(dir, "ns-2", 0700), *three = folder(dir, "ns-3", 0700);
  leave(two, test_format("test~%" PRId64, test_pid())); /* a number that is somebody's here */
  leave(two, "other~2147483647");
  test_write_file(test_format("%s/~.s", two), "", 0);
  REQUIRE_OK(cvos_lock_try(leave(three, "test~17"), 0, &lock));
  leave(folder(dir, "ns-4", 0755), "test~17"); /* not ours alone */
  test_write_file(test_format("%s/what", folder(dir, "ns-5", 0700)), "", 0);
  leave(folder(dir, "ns-x", 0700), "test~17");
  const char *away = folder(dir, "away", 0700);
  leave(away, "test~17");
  REQUIRE(uv_fs_symlink(NULL, &fs, away, test_format("%s/ns-6", dir), 0, NULL) == 0);
  REQUIRE_OK(address_open(&a, &l));
  CHECK(address_entries(test_format("%s/ns-1", dir)) < 0);
  CHECK(address_entries(two) < 0);
  CHECK_INT(address_entries(three), 2);
  CHECK_INT(address_entries(test_format("%s/ns-4", dir)), 2);
  CHECK_INT(address_entries(test_format("%s/ns-5", dir)), 1);
  CHECK_INT(address_entries(test_format("%s/ns-x", dir)), 2);
  CHECK_INT(address_entries(away), 2);
  cvos_listener_close(l);
  cvos_lock_release(lock, NULL);
  for (int i = 0; i < 40; i++)
    leave(folder(dir, test_format("ns-7%d", i), 0700), "test~1"); /* of many, each opening takes some */
  for (int i = 0; i < 20; i++) {
    REQUIRE_OK(address_open(&a, &l));
    cvos_listener_close(l);
  }
  CHECK(address_entries(three) < 0);
  CHECK_INT(address_entries(dir), 5); /* ns-4, ns-5, ns-6, ns-x, away */
}

/* One who starts in a namespace and one who sweeps meet again and again: the first always gets his address. */
TEST_LIMIT(listener, starters_and_sweepers_of_a_namespace, 120)
{
  cvos_listener *l;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "n-us");
  if (test_is_windows()) TEST_SKIP("Windows has no namespaces");
  if (test_has_thread_checker()) TEST_SKIP("the thread sanitizer lets no child of fork start a thread");
  int64_t pid = test_start(
      TEST_HELPER("listen-apart", dir, test_is_long() ? "50000" : "2000", test_format("%s.told", dir)));
  while (test_process_alive(pid)) {
    REQUIRE_OK(address_open(&a, &l));
    cvos_listener_close(l);
  }
  CHECK(test_process_ended(pid, ADDRESS_PATIENCE));
  const char *told = test_read_file(test_format("%s.told", dir), NULL);
  if (!told) TEST_SKIP("takes root and namespaces");
  CHECK_STR(told, "all");
}

/* A cleaner of temporary files has been there. */
TEST(listener, files_that_were_taken_away)
{
  cvos_listener *l, *other;
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "one");
  if (test_is_windows()) TEST_SKIP("a pipe has no file");
  const char *lock_file = test_format("%s/test~one.lock", dir),
             *socket_file = test_format("%s/test~one.s", dir);

  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE(uv_fs_unlink(NULL, &fs, socket_file, NULL) == 0);
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  CHECK_ERR(address_dial(&a), COVEY_EAGAIN); /* it lives */
  cvos_listener_close(l);
  CHECK_INT(address_entries(dir), 0);

  /* Without its lock file it has lost the name; the next owner's files are not its own to remove. */
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE(uv_fs_unlink(NULL, &fs, lock_file, NULL) == 0);
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  CHECK_OK(address_dial(&a));
  REQUIRE_OK(cvos_listener_open(&a, &other));
  cvos_listener_close(l);
  CHECK_OK(cvos_listener_check(other));
  CHECK_OK(address_dial(&a));
  cvos_listener_close(other);
  CHECK_INT(address_entries(dir), 0);

  /* The folder itself. */
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE(uv_fs_rename(NULL, &fs, dir, address_in_temp("away"), NULL) == 0);
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  (void)address_folder("d");
  CHECK_ERR(cvos_listener_check(l), COVEY_ENOTFOUND);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  cvos_listener_close(l);
  CHECK_INT(address_entries(address_in_temp("away")), 0);
}

/* ---- folders that are not trusted (POSIX) ---- */

static void expect_refused(const cvos_address *a, int open_code, int dial_code)
{
  cvos_listener *l;
  CHECK_ERR(cvos_listener_open(a, &l), open_code);
  CHECK_ERR(address_dial(a), dial_code);
}

TEST(listener, hostile_directories)
{
  cvos_listener *l;
  cvos_address a = address_at(NULL, "one");
  if (test_is_windows()) TEST_SKIP("a pipe has no folder");
  test_no_handles_lost();

  a.directory = address_in_temp("missing");
  expect_refused(&a, COVEY_ENOTFOUND, COVEY_ENOPEER);
  a.directory = "relative";
  expect_refused(&a, COVEY_EINVAL, COVEY_EINVAL);
  a.directory = address_folder("open");
  static const int open_modes[] = {0777, 0770, 0701, 0740, 01777};
  for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
    REQUIRE(uv_fs_chmod(NULL, &fs, a.directory, open_modes[i], NULL) == 0);
    expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  }
  a.directory = address_in_temp("file");
  test_write_file(a.directory, "", 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  a.directory = address_in_temp("link");
  REQUIRE(uv_fs_symlink(NULL, &fs, address_folder("good"), a.directory, 0, NULL) == 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  a.directory = address_in_temp("link/"); /* the slash makes the system follow it */
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  a.directory = address_in_temp("good/");
  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(address_dial(&a));
  cvos_listener_close(l);
  a.directory = address_folder("anothers");
  if (uv_fs_chown(NULL, &fs, a.directory, 123, 123, NULL) == 0)
    expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
}

/* The same for the folder that is found: below $XDG_RUNTIME_DIR. */
TEST(listener, hostile_runtime_directory)
{
  cvos_listener *l;
  cvos_address a = address_at(NULL, "one");
  char text[300];
  if (test_is_windows()) TEST_SKIP("a pipe has no folder");
  const char *runtime = address_folder("run"), *own = address_in_temp("run/covey");
  test_set_env("XDG_RUNTIME_DIR", runtime);
  cvos_address_text(&a, text, sizeof text);
  CHECK_STR(text, test_format("%s/test~one.s", own));

  REQUIRE_OK(cvos_listener_open(&a, &l));
  CHECK_OK(address_dial(&a));
  REQUIRE(uv_fs_stat(NULL, &fs, own, NULL) == 0);
  CHECK_UINT(fs.statbuf.st_mode & 0777, 0700);
  cvos_listener_close(l);

  REQUIRE(uv_fs_chmod(NULL, &fs, own, 0777, NULL) == 0);
  expect_refused(&a, COVEY_EUNSAFE, COVEY_EUNSAFE);
  REQUIRE(uv_fs_rmdir(NULL, &fs, own, NULL) == 0);
  REQUIRE(uv_fs_symlink(NULL, &fs, address_folder("elsewhere"), own, 0, NULL) == 0);
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
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
}

/* Every path up to the system's limit works, the next one is refused as too long, none is cut. */
TEST(listener, path_length)
{
  if (test_is_windows()) TEST_SKIP("a pipe's name is never that long");
  size_t longest = 0;
  const char *dir = address_folder("a-folder-whose-name-takes-some-of-the-room");
  size_t fixed = strlen(test_format("%s/test~.s", dir));
  for (size_t n = 1; n <= CVOS_NAME_MAX; n++) {
    char name[CVOS_NAME_MAX + 1];
    cvos_listener *l;
    memset(name, 'n', n);
    name[n] = '\0';
    cvos_address a = address_at(dir, name);
    int r = cvos_listener_open(&a, &l);
    if (r == 0) {
      CHECK(longest == 0 || longest == fixed + n - 1);
      longest = fixed + n;
      CHECK_OK(address_dial(&a));
      cvos_listener_close(l);
    } else {
      CHECK_INT(r, COVEY_ETOOBIG);
      CHECK_ERR(address_dial(&a), COVEY_ETOOBIG);
    }
  }
  CHECK(longest == 107 || longest == 103);
  CHECK_INT(address_entries(dir), 0);
}

/* The first place is too long for a name that the last one takes (macOS: names of more than 40 bytes): nobody is there yet, and then somebody. */
TEST(listener, too_long_for_the_first_place)
{
  char name[61];
  cvos_listener *l;
  if (test_is_windows()) TEST_SKIP("a pipe has one place");
  snprintf(name, sizeof name, "%" PRId64 "-", test_pid());
  memset(name + strlen(name), 'n', sizeof name - strlen(name));
  name[sizeof name - 1] = '\0';
  cvos_address a = address_at(NULL, name);
  const char *run = address_folder("a-folder-whose-name-takes-some-of-the-room");
  test_set_env("XDG_RUNTIME_DIR", run);
  REQUIRE(uv_fs_mkdir(NULL, &fs, test_format("%s/covey", run), 0700, NULL) == 0);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  REQUIRE_OK(address_open(&a, &l));
  CHECK_OK(address_dial(&a));
  cvos_listener_close(l);
  CHECK_ERR(address_dial(&a), COVEY_ENOPEER);
  CHECK_INT(address_entries(test_format("%s/covey", run)), 0);
}

TEST(listener, every_failure_leaves_nothing)
{
  const char *dir = address_folder("d");
  cvos_address a = address_at(dir, "one");
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
    CHECK_ERR(address_dial(&a),
              COVEY_ENOPEER); /* removes a lock file that was made and could not be locked */
    if (address_entries(dir) > 0) TEST_FAIL("call %d leaves a file", (int)n);
  }
}

TEST(dial, every_failure_leaves_nothing)
{
  cvos_listener *l;
  cvos_address a = address_at(address_folder("d"), "one");
  test_no_handles_lost();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  for (int64_t n = 1;; n++) {
    cvy_fault_after(CVOS_FAULT_NONE, n, 5);
    int r = address_dial(&a);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (over) break;
    CHECK(r < 0);
  }
  CHECK_OK(cvos_listener_check(l));
  cvos_listener_close(l);
}
