#include "check.h"
#include "state.h"
#include "system.h"

/* Windows: what a thread opens at its first turn counts as there before, and the helper of a loop has its first one as late as 50 ms after the last
 * wait. */
void test_no_handles_lost(void)
{
  int count = test_handle_count(), before;
  if (test_is_windows()) {
    do {
      before = count;
      test_pause((int)(100 * test_scale()));
      count = test_handle_count();
    } while (count > before);
  }
  test_running.handles = count;
}

static bool handles_back(void *arg)
{
  (void)arg;
  return test_handle_count() <= test_running.handles;
}

static bool dir_gone(void *arg)
{
  (void)arg;
  return test_system_remove(test_running.dir);
}

/* What must hold after every test. A failed test is not blamed for what it left as well. */
static void look_behind(void)
{
  char text[1024];
  int n, settled = test_is_wine()
                       ? 9000
                       : 3000; /* wine: an idle thread of the system's pools keeps its handles 5 s */
  if (test_running.handles >= 0 && test_running.failures == 0 &&
      !test_wait_until(handles_back, NULL, settled)) {
    test_system_list_handles(text, sizeof text);
    test_fail("", 0, false, "%d handles open at its end, %d before: %s", test_handle_count(),
              test_running.handles, text);
  }
  n = test_system_left(test_running.failures ? 0 : 3000, text, sizeof text);
  if (n > 0 && test_running.failures == 0)
    test_fail("", 0, false, "%d children were left, ended and not reaped or still running: %s", n, text);
  if (test_running.dir && !test_wait_until(dir_gone, NULL, 3000))
    test_fail("", 0, false, "cannot remove %s: something in it is still in use", test_running.dir);
  test_free_kept();
  test_running.dir = NULL;
  if (test_running.failures == 0 && test_system_leaks()) test_fail("", 0, false, "it leaks memory");
}

/* exit() in the middle of a body would look like success to a runner that looks at the exit code alone. */
static void at_exit(void)
{
  if (!test_running.in_body || test_forked()) return;
  test_say("failure", NULL, 0, "exit() was called inside the test");
  test_system_exit(TEST_LEFT);
}

/* One byte a test that came to its end, in a file of the run: what left by _exit(0) is missing there, whatever the runner believes. */
static int note_end(int outcome)
{
  const char *dir = getenv("COVEY_TEST_TEMP");
  char path[700];
  FILE *f;
  if (!dir) return outcome;
  snprintf(path, sizeof path, "%s/ends", dir);
  f = test_system_open(path, "ab");
  if (f) {
    fputc(outcome, f);
    fclose(f);
  }
  return outcome;
}

size_t test_ends_noted(int outcome)
{
  const char *dir = getenv("COVEY_TEST_TEMP");
  char path[700];
  FILE *f;
  size_t count = 0;
  int c;
  snprintf(path, sizeof path, "%s/ends", dir ? dir : ".");
  f = test_system_open(path, "rb");
  while (f && (c = fgetc(f)) != EOF)
    if (c == outcome) count++;
  if (f) fclose(f);
  return count;
}

/* ---- the deadline ---- */

static struct {
  uv_thread_t thread;
  uv_mutex_t lock;
  uv_cond_t changed;
  bool ready, done;
  int64_t ms;
} watch;

double test_scale(void)
{
  const char *scale = getenv("COVEY_TEST_SCALE");
  return scale && atof(scale) > 0 ? atof(scale) : 1.0;
}

/* Nothing here may wait for a lock that the hanging test holds, not even that of a FILE. */
static void watch_main(void *unused)
{
  int64_t end = test_now() + watch.ms, left;
  char text[256];
  (void)unused;
  test_system_block_signals();
  uv_mutex_lock(&watch.lock);
  uv_cond_timedwait(&watch.changed, &watch.lock,
                    1000000u); /* the first wait opens handles (wine): before the test counts */
  watch.ready = true;
  uv_cond_signal(&watch.changed);
  while (!watch.done && (left = end - test_now()) > 0)
    uv_cond_timedwait(&watch.changed, &watch.lock, (uint64_t)left * 1000000u);
  if (!watch.done) {
    snprintf(text, sizeof text, "# %s/%s: did not end within %.0f s\n", test_running.test->suite,
             test_running.test->name, (double)watch.ms / 1000.0);
    test_system_exit_saying(TEST_LATE, text);
  }
  uv_mutex_unlock(&watch.lock);
}

static void watch_start(int64_t ms)
{
  watch.ms = ms;
  if (uv_mutex_init(&watch.lock) != 0 || uv_cond_init(&watch.changed) != 0 ||
      uv_thread_create(&watch.thread, watch_main, NULL) != 0)
    abort();
  uv_mutex_lock(&watch.lock);
  while (!watch.ready) uv_cond_wait(&watch.changed, &watch.lock);
  uv_mutex_unlock(&watch.lock);
}

static void watch_stop(void)
{
  uv_mutex_lock(&watch.lock);
  watch.done = true;
  uv_cond_signal(&watch.changed);
  uv_mutex_unlock(&watch.lock);
  uv_thread_join(&watch.thread);
}

int test_frame(const test_case *test)
{
  jmp_buf here;
  test_running.test = test;
  test_running.pid = test_pid();
  test_main_thread = true;
  test_enter();
  test_leave();
  test_system_begin();
  test_now(); /* libuv's own first steps open handles on Windows: not in the middle of a count */
  watch_start((int64_t)(test->limit * test_scale() * 1000.0));
  atexit(at_exit);
  test_running.in_body = true;
  if (setjmp(here) == 0) {
    test_landing = &here;
    test->body();
  }
  test_landing = NULL;
  if (test_forked()) {
    test_say("failure", NULL, 0, "a forked child ran on past the end of the test");
    test_system_exit(TEST_FORKED);
  }
  look_behind();
  watch_stop();
  test_running.in_body = false;
  if (test_failures() > 0) return note_end(TEST_FAILED);
  return note_end(test_running.skipped ? TEST_SKIPPED : TEST_PASSED);
}

/* ---- for both runners ---- */

bool test_run_begin(char *mark, size_t capacity)
{
  char base[512], dir[600];
  snprintf(mark, capacity, "%" PRId64 "-%" PRIu64, test_pid(), uv_hrtime() % 1000000u);
  if (!test_system_temp(base, sizeof base)) snprintf(base, sizeof base, ".");
  snprintf(dir, sizeof dir, "%s/covey-%s", base, mark);
  if (!test_system_make_dir(dir)) {
    printf("Bail out! cannot make %s\n", dir);
    return false;
  }
  test_set_env("COVEY_TEST_TEMP", dir);
  test_set_env("COVEY_TEST_MARK", mark);
  return true;
}

static void show_names(const char *dir)
{
  uv_fs_t request;
  uv_dirent_t entry;
  if (uv_fs_scandir(NULL, &request, dir, 0, NULL) >= 0) {
    while (uv_fs_scandir_next(&request, &entry) != UV_EOF) printf("#   %s\n", entry.name);
  }
  uv_fs_req_cleanup(&request);
}

static bool is_removed(void *dir)
{
  return test_system_remove(dir);
}

int test_run_end(const char *mark)
{
  char text[1024];
  char *dir = getenv("COVEY_TEST_TEMP");
  int forced = 0, n = test_system_sweep(mark, 3000, text, sizeof text);
  if (n > 0) {
    printf("# %d processes were left behind and had to be killed: %s\n", n, text);
    forced += n;
  }
  if (dir &&
      !test_wait_until(is_removed, dir, 5000)) { /* whoever was killed just now may still hold a file */
    printf("# cannot remove %s, where there is\n", dir);
    show_names(dir);
    /* Wine 8: a console's host that is killed as it starts waits for itself for ever, with what it inherited. Processes of ours are found by
     * their job and, by ci/lib, their environment. */
    if (!test_is_wine()) forced++;
  }
  return forced;
}

int test_closing(size_t passed, size_t failed, size_t skipped)
{
  if (passed + failed + skipped == 0) {
    printf("# no test was run: that is a failure\n");
    failed = 1;
  }
  fflush(stderr);
  printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
  fflush(stdout);
  return failed == 0 ? 0 : 1;
}
