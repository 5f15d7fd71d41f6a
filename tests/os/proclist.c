#include "os/proclist.h"
#include "child.h"
#include "core/mem.h"
#include "os/error.h"
#include "core/fault.h"
#include "os/path.h"
#include "os/signal.h"

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { GONE = 20000, ALL = 6 };

/* The row of pid in one pass; false: it is not there. */
static bool pass_finds(int64_t pid, cvos_proc *ret)
{
  cvos_proclist *list;
  cvos_proc row;
  int r;
  bool found = false;
  REQUIRE_OK(cvos_proclist_open(&list));
  while ((r = cvos_proclist_next(list, &row)) > 0) {
    CHECK(row.pid > 0);
    CHECK(row.pid != row.parent);
    if (row.pid != pid) continue;
    CHECK(!found); /* once */
    found = true;
    *ret = row;
  }
  CHECK_OK(r);
  cvos_proclist_close(list);
  return found;
}

TEST(proclist, finds_us_by_our_identity)
{
  covey_identity self;
  int64_t parent;
  cvos_proc row;
  REQUIRE_OK(cvos_identity(0, &self, &parent));
  REQUIRE(pass_finds(self.pid, &row));
  CHECK_UINT(row.start, self.start);
  CHECK_INT(row.parent, parent);
  CHECK_UINT(row.flags, 0);
}

TEST(proclist, reads_everything_of_us)
{
  cvos_proclist *list;
  cvos_proc row;
  covey_identity self;
  char *path, *folder;
  REQUIRE_OK(cvos_identity(0, &self, NULL));
  REQUIRE_OK(cvos_proclist_open(&list));
  REQUIRE_OK(cvos_proclist_seek(list, self.pid, self.start, &row));
  for (int what = 0; what < ALL; what++) CHECK_OK(cvos_proclist_read(list, what, &row));
  for (int what = ALL; what-- > 0;) CHECK_OK(cvos_proclist_read(list, what, &row)); /* in any order, again */
  REQUIRE_OK(cvos_path_self(&path));
  REQUIRE_OK(cvos_path_current(&folder));
  CHECK_STR(row.exe, path);
  CHECK_STR(row.cwd, folder);
  const char *slash = strrchr(path, cvos_path_separator());
  REQUIRE(slash != NULL);
  CHECK_STR(row.name, slash + 1);
  CHECK_INT(row.uid, self.uid);
  CHECK_INT(row.gid, self.gid);
  CHECK_STR(row.sid, self.sid);
  CHECK(row.memory > 100000);
  CHECK(row.user_us >= 0 && row.system_us >= 0);
  if (test_is_windows()) {
    char *line;
    REQUIRE_OK(cvos_command_line(&line));
    CHECK_STR(row.command, line);
    CHECK(!row.args);
    cvy_free(line);
  } else {
    CHECK(!row.command && row.args && row.args_size > 0);
    CHECK_INT(row.args[row.args_size - 1], 0);
  }
  CHECK_ERR(cvos_proclist_read(list, 99, &row), COVEY_ENOTSUP);
  cvy_free(path);
  cvy_free(folder);
  cvos_proclist_close(list);
  cvos_proclist_close(NULL);
}

TEST(proclist, finds_a_child_and_its_parent)
{
  child c;
  cvos_proc row;
  child_start(&c, NULL, ARGS("hang"));
  (void)child_says(&c, "ready");
  REQUIRE(pass_finds(c.process.pid, &row));
  CHECK_UINT(row.start, c.process.start);
  CHECK_INT(row.parent, test_pid());
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK_OK(cvos_process_wait(&c.process, GONE));
  if (!test_is_windows()) { /* not reaped yet: a zombie, of which little is left */
    cvos_proclist *list;
    REQUIRE_OK(cvos_proclist_open(&list));
    REQUIRE_OK(cvos_proclist_seek(list, c.process.pid, c.process.start, &row));
    CHECK(row.flags & CVOS_PROC_ZOMBIE);
    CHECK_OK(cvos_proclist_read(list, CVOS_PROC_NAME, &row));
    CHECK_OK(cvos_proclist_read(list, CVOS_PROC_USER, &row));
    CHECK_ERR(cvos_proclist_read(list, CVOS_PROC_COMMAND, &row), COVEY_ENOTSUP);
    CHECK_ERR(cvos_proclist_read(list, CVOS_PROC_EXE, &row), COVEY_ENOTSUP);
    cvos_proclist_close(list);
  }
  child_finish(&c);
}

/* A process that ends after it was listed: what is read then is of nobody else. */
TEST(proclist, tells_that_a_process_has_gone)
{
  child c;
  cvos_proclist *list;
  cvos_proc row;
  child_start(&c, NULL, ARGS("hang"));
  (void)child_says(&c, "ready");
  int64_t pid = c.process.pid;
  uint64_t start = c.process.start;
  REQUIRE_OK(cvos_proclist_open(&list));
  CHECK_ERR(cvos_proclist_seek(list, pid, start + 1, &row), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_proclist_seek(list, 0, 0, &row), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_proclist_seek(list, -1, 0, &row), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_proclist_seek(list, INT64_MAX, 0, &row), COVEY_ENOTFOUND);
  REQUIRE_OK(cvos_proclist_seek(list, pid, start, &row));
  CHECK_OK(cvos_tree_kill(c.tree));
  CHECK_OK(cvos_process_wait(&c.process, GONE));
  child_finish(&c);
  /* Windows keeps the object of a process as long as anybody holds it */
  if (!test_is_windows()) {
    CHECK_ERR(cvos_proclist_read(list, CVOS_PROC_COMMAND, &row), COVEY_ENOTFOUND);
    CHECK_ERR(cvos_proclist_read(list, CVOS_PROC_EXE, &row), COVEY_ENOTFOUND);
    CHECK_ERR(cvos_proclist_read(list, CVOS_PROC_CWD, &row), COVEY_ENOTFOUND);
  }
  cvos_proclist_close(list);
  REQUIRE_OK(cvos_proclist_open(&list));
  CHECK_ERR(cvos_proclist_seek(list, pid, start, &row), COVEY_ENOTFOUND);
  cvos_proclist_close(list);
}

static void wait_here(void *arg)
{
  test_counter *end = arg;
  while (test_add(end, 0) == 0) test_pause(1);
}

/* A number that only a thread has is no process, though Linux has a folder for it. */
TEST(proclist, takes_no_thread_for_a_process)
{
  enum { BESIDE = 64 };
  test_counter end = {0};
  test_thread *thread = test_thread_start(wait_here, &end);
  cvos_proclist *list;
  cvos_proc row;
  covey_identity who;
  REQUIRE_OK(cvos_proclist_open(&list));
  for (int64_t pid = test_pid() + 1; pid < test_pid() + BESIDE; pid++) {
    if (cvos_proclist_seek(list, pid, 0, &row) < 0 || row.flags) continue;
    if (cvos_identity(pid, &who, NULL) < 0)
      CHECK(cvos_proclist_seek(list, pid, row.start, &row) < 0 || row.flags);
  }
  test_add(&end, 1);
  test_thread_join(thread);
  cvos_proclist_close(list);
}

TEST(proclist, knows_accounts)
{
  covey_identity self;
  int64_t uid = -2;
  char sid[CVOS_SID_SIZE] = "?", *name;
  REQUIRE_OK(cvos_identity(0, &self, NULL));
  int r = cvos_account_name(self.uid, self.sid, &name);
  if (r == COVEY_ENOTFOUND) TEST_SKIP("this user has no account");
  REQUIRE_OK(r);
  REQUIRE_OK(cvos_account_find(name, &uid, sid));
  CHECK_INT(uid, self.uid);
  CHECK_STR(sid, self.sid);
  cvy_free(name);
  const char *number = test_is_windows() ? self.sid : test_format("%" PRId64, self.uid);
  REQUIRE_OK(cvos_account_find(number, &uid, sid));
  CHECK_INT(uid, self.uid);
  CHECK_STR(sid, self.sid);
  uid = -2;
  CHECK_ERR(cvos_account_find("covey-nobody-has-this-name", &uid, sid), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_account_find("", &uid, sid), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_account_find("12x", &uid, sid), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_account_find("BA", &uid, sid),
            COVEY_ENOTFOUND); /* what Windows' texts of rights call its administrators */
  CHECK_ERR(cvos_account_find("-5", &uid, sid), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_account_find("99999999999999999999999", &uid, sid), COVEY_ENOTFOUND);
  CHECK_INT(uid, -2);
}

/* Every call fails once: nothing is left open, and what could be read is. */
TEST(proclist, fails_cleanly)
{
  cvos_proclist *list;
  cvos_proc row;
  if (pass_finds(test_pid(), &row)) test_no_handles_lost();
  for (int64_t n = 1;; n++) {
    cvy_fault_after(CVOS_FAULT_NONE, n, 24);
    int r = cvos_proclist_open(&list);
    if (r < 0) {
      CHECK(cvos_last_error() == 24 || test_is_windows()); /* there a status was translated */
    } else {
      r = cvos_proclist_seek(list, test_pid(), 0, &row);
      for (int what = 0; r == 0 && what < ALL; what++) r = cvos_proclist_read(list, what, &row);
      if (r == 0) (void)cvos_proclist_next(list, &row);
      cvos_proclist_close(list);
    }
    if (cvy_fault_seen() < n) break;
    CHECK(n < 1000);
  }
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  for (int64_t n = 1; n < 64; n++) {
    cvy_mem_fail_after(n);
    int r = cvos_proclist_open(&list);
    if (r == 0) {
      r = cvos_proclist_seek(list, test_pid(), 0, &row);
      for (int what = 0; r == 0 && what < ALL; what++) r = cvos_proclist_read(list, what, &row);
      cvos_proclist_close(list);
    }
    CHECK(r == 0 || r == COVEY_ENOMEM);
    cvy_mem_fail_after(0);
  }
}
