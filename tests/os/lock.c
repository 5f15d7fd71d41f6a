/* Locks on whole files: who holds one, who does not get it, and when it is free again. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/lock.h"

#include <uv.h>

#define PATIENCE 20000 /* a deadline that is only met in failure */

static const char *in_temp(const char *name)
{
  return test_format("%s/%s", test_temp_dir(), name);
}

/* ---- another process ---- */

static bool told(void *path)
{
  return test_file_exists(path);
}

/* Starts a helper that wants the lock of path; *ret_result is the name of what it got. */
static int64_t other_process(const char *path, unsigned flags, const char **ret_result)
{
  static int number;
  const char *file = in_temp(test_format("told%d", number++));
  const char *argv[] = {test_helper(), "lock", path, file, test_format("%u", flags), NULL};
  int64_t pid = test_start(argv);
  REQUIRE(pid > 0);
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, PATIENCE));
  *ret_result = test_read_file(file, NULL);
  return pid;
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_gone(pid, PATIENCE));
  test_process_reap(pid);
}

/* ---- one process ---- */

TEST(lock, shuts_out)
{
  cvos_handle a, b;
  const char *path = in_temp("lock");
  test_no_handles_lost();
  REQUIRE_OK(cvos_lock_try(path, 0, &a));
  CHECK(test_file_exists(path));
  CHECK_ERR(cvos_lock_try(path, 0, &b), COVEY_EAGAIN);
  CHECK_ERR(cvos_lock_try(path, CVOS_LOCK_SHARED, &b), COVEY_EAGAIN);
  CHECK_ERR(cvos_lock_try(path, CVOS_LOCK_EXISTING | CVOS_LOCK_OURS, &b), COVEY_EAGAIN);
  cvos_lock_release(a, NULL);
  REQUIRE_OK(cvos_lock_try(path, CVOS_LOCK_OURS, &b));
  cvos_lock_release(b, NULL);
  CHECK(test_file_exists(path));
  cvos_lock_release(CVOS_NONE, NULL);
}

TEST(lock, shared_beside_shared)
{
  cvos_handle a, b, c;
  const char *path = in_temp("lock");
  REQUIRE_OK(cvos_lock_try(path, CVOS_LOCK_SHARED, &a));
  REQUIRE_OK(cvos_lock_try(path, CVOS_LOCK_SHARED, &b));
  CHECK_ERR(cvos_lock_try(path, 0, &c), COVEY_EAGAIN);
  cvos_lock_release(a, NULL);
  CHECK_ERR(cvos_lock_try(path, 0, &c), COVEY_EAGAIN);
  cvos_lock_release(b, NULL);
  REQUIRE_OK(cvos_lock_try(path, 0, &c));
  cvos_lock_release(c, NULL);
}

TEST(lock, existing_only)
{
  cvos_handle a;
  const char *path = in_temp("lock");
  CHECK_ERR(cvos_lock_try(path, CVOS_LOCK_EXISTING, &a), COVEY_ENOTFOUND);
  CHECK(!test_file_exists(path));
  CHECK_ERR(cvos_lock_try(in_temp("no/such/folder"), 0, &a), COVEY_ENOTFOUND);
}

TEST(lock, others_read_the_file)
{
  cvos_handle a;
  const char *path = in_temp("lock");
  size_t size;
  test_write_file(path, "content", 7);
  REQUIRE_OK(cvos_lock_try(path, 0, &a));
  CHECK_STR(test_read_file(path, &size), "content");
  cvos_lock_release(a, NULL);
  CHECK_STR(test_read_file(path, &size), "content");
}

TEST(lock, removed_while_held)
{
  cvos_handle a, b;
  const char *path = in_temp("lock");
  REQUIRE_OK(cvos_lock_try(path, 0, &a));
  cvos_lock_release(a, path);
  CHECK(!test_file_exists(path));
  REQUIRE_OK(cvos_lock_try(path, 0, &b));
  cvos_lock_release(b, in_temp("another"));
  CHECK(test_file_exists(path));
}

/* Whoever locks the file that has the name now owns it; the old file's holder must not remove the new one. */
TEST(lock, replaced_while_held)
{
  cvos_handle a, b, c;
  const char *path = in_temp("lock");
  uv_fs_t fs;
  if (test_is_windows()) TEST_SKIP("a file that is open keeps its name on older Windows");
  REQUIRE_OK(cvos_lock_try(path, 0, &a));
  REQUIRE(uv_fs_unlink(NULL, &fs, path, NULL) == 0);
  REQUIRE_OK(cvos_lock_try(path, 0, &b));
  cvos_lock_release(a, path);
  CHECK(test_file_exists(path));
  CHECK_ERR(cvos_lock_try(path, 0, &c), COVEY_EAGAIN);
  cvos_lock_release(b, path);
  CHECK(!test_file_exists(path));
}

/* Not where the temporary folder's path is too long for a socket. */
static void no_socket(const char *path)
{
  uv_loop_t loop;
  uv_pipe_t at;
  cvos_handle a;
  REQUIRE(uv_loop_init(&loop) == 0);
  REQUIRE(uv_pipe_init(&loop, &at, 0) == 0);
  if (uv_pipe_bind(&at, path) == 0) {
    CHECK_ERR(cvos_lock_try(path, 0, &a), COVEY_EUNSAFE);
    CHECK_ERR(cvos_lock_try(path, CVOS_LOCK_SHARED | CVOS_LOCK_EXISTING, &a), COVEY_EUNSAFE);
  }
  uv_close((uv_handle_t *)&at, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

TEST(lock, only_regular_files)
{
  cvos_handle a;
  uv_fs_t fs;
  const char *folder = in_temp("folder"), *link = in_temp("link"), *file = in_temp("file");
  REQUIRE(uv_fs_mkdir(NULL, &fs, folder, 0700, NULL) == 0);
  CHECK_ERR(cvos_lock_try(folder, 0, &a), COVEY_EUNSAFE);
  test_write_file(file, "", 0);
  if (!test_is_windows()) no_socket(in_temp("socket"));
  if (test_is_wine()) TEST_SKIP("wine shows its own links to nobody");
  if (uv_fs_symlink(NULL, &fs, file, link, 0, NULL) == 0) {
    CHECK_ERR(cvos_lock_try(link, 0, &a), COVEY_EUNSAFE);
    CHECK_ERR(cvos_lock_try(link, CVOS_LOCK_SHARED | CVOS_LOCK_EXISTING, &a), COVEY_EUNSAFE);
  } else {
    CHECK(test_is_windows()); /* links need a right there */
  }
}

TEST(lock, anothers_file)
{
  cvos_handle a;
  uv_fs_t fs;
  const char *path = in_temp("lock");
  test_write_file(path, "", 0);
  if (test_is_windows() || uv_fs_chown(NULL, &fs, path, 123, 123, NULL) != 0)
    TEST_SKIP("only root can give a file away");
  CHECK_ERR(cvos_lock_try(path, CVOS_LOCK_OURS, &a), COVEY_EUNSAFE);
  REQUIRE_OK(cvos_lock_try(path, 0, &a));
  cvos_lock_release(a, NULL);
}

/* ---- between processes ---- */

TEST(lock, another_process_holds_it_until_it_dies)
{
  cvos_handle a;
  const char *path = in_temp("lock"), *result;
  int64_t pid = other_process(path, 0, &result);
  CHECK_STR(result, "COVEY_OK");
  CHECK_ERR(cvos_lock_try(path, 0, &a), COVEY_EAGAIN);
  end(pid);
  REQUIRE_OK(cvos_lock_try(path, CVOS_LOCK_EXISTING, &a));
  int64_t second = other_process(path, 0, &result);
  CHECK_STR(result, "COVEY_EAGAIN");
  end(second);
  cvos_lock_release(a, NULL);
}

TEST(lock, shared_between_processes)
{
  cvos_handle a, b;
  const char *path = in_temp("lock"), *result;
  REQUIRE_OK(cvos_lock_try(path, CVOS_LOCK_SHARED, &a));
  int64_t pid = other_process(path, CVOS_LOCK_SHARED, &result);
  CHECK_STR(result, "COVEY_OK");
  cvos_lock_release(a, NULL);
  CHECK_ERR(cvos_lock_try(path, 0, &b), COVEY_EAGAIN);
  end(pid);
  REQUIRE_OK(cvos_lock_try(path, 0, &b));
  cvos_lock_release(b, NULL);
}

/* ---- between threads, while the file comes and goes ---- */

typedef struct contest {
  const char *path;
  test_counter inside, turns;
} contest;

static void contend(void *arg)
{
  contest *c = arg;
  for (int i = 0; i < 300; i++) {
    cvos_handle lock;
    int r = cvos_lock_try(c->path, 0, &lock);
    if (r < 0) {
      /* EACCES: Windows says so while a removed file is still open somewhere. */
      CHECK(r == COVEY_EAGAIN || (test_is_windows() && r == COVEY_EACCES));
      continue;
    }
    CHECK_INT(test_add(&c->inside, 1), 1);
    test_add(&c->turns, 1);
    test_add(&c->inside, -1);
    cvos_lock_release(lock, i % 2 ? c->path : NULL);
  }
}

TEST(lock, one_at_a_time)
{
  contest c = {.path = in_temp("lock")};
  test_thread *threads[4];
  for (int round = 0; round < 2; round++) { /* what the system opens once and keeps, it opens in the first */
    if (round == 1) test_no_handles_lost();
    for (int i = 0; i < 4; i++) threads[i] = test_thread_start(contend, &c);
    for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  }
  CHECK(test_add(&c.turns, 0) > 0);
}

TEST(lock, every_failure_leaves_nothing)
{
  const char *path = in_temp("lock");
  test_no_handles_lost();
  for (int64_t n = 1;; n++) {
    cvos_handle lock;
    cvy_fault_after(CVOS_FAULT_NONE, n, 5); /* EIO, ERROR_ACCESS_DENIED */
    int r = cvos_lock_try(path, 0, &lock);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r == 0) cvos_lock_release(lock, NULL);
    if (over) {
      CHECK_INT(r, 0);
      break;
    }
    CHECK(r < 0);
    REQUIRE_OK(cvos_lock_try(path, 0, &lock));
    cvos_lock_release(lock, path);
  }
}
