#include "check.h"
#include "system.h"
#include "os/types.h"

#include <setjmp.h>
#include <uv.h>

/* A block that lives until the end of the test. */
typedef struct kept {
  struct kept *next;
  char data[];
} kept;

/* The one test of this process. lock guards what threads share: failures, kept, directory. */
static struct {
  const test_case *test;
  int64_t pid;
  int failures;
  bool in_body;
  bool finished;
  bool skipped;
  const char *reason;
  kept *kept;
  const char *dir;
  int handles; /* -1: not asked for */
  int directories;
} now = {.handles = -1};

static uv_mutex_t lock;
static uv_once_t once = UV_ONCE_INIT;

/* Where REQUIRE jumps to in this thread; NULL in a thread that is not ours. */
static CVOS_THREAD_LOCAL jmp_buf *landing;
static CVOS_THREAD_LOCAL bool main_thread;

static void make_lock(void)
{
  if (uv_mutex_init(&lock) != 0) abort();
}

static void enter(void)
{
  uv_once(&once, make_lock);
  uv_mutex_lock(&lock);
}

static void leave(void)
{
  uv_mutex_unlock(&lock);
}

static void say(const char *kind, const char *file, int line, const char *text)
{
  const char *suite = now.test ? now.test->suite : "runner";
  const char *name = now.test ? now.test->name : "-";
  if (file && line)
    fprintf(stderr, "# %s/%s: %s:%d: %s: %s\n", suite, name, file, line, kind, text);
  else
    fprintf(stderr, "# %s/%s: %s\n", suite, name, text);
  fflush(stderr);
}

/* Nobody may go on in a forked copy of the test: it shares the runner's connections. */
static bool forked(void)
{
  return now.pid && test_pid() != now.pid;
}

static bool fail_text(const char *file, int line, bool ends, const char *text)
{
  if (forked()) {
    say("failure in a forked child", file, line, text);
    test_system_exit(TEST_FORKED);
  }
  enter();
  now.failures++;
  say("failure", file, line, text);
  leave();
  if (!ends) return false;
  if (landing) longjmp(*landing, 1);
  say("failure", file, line, "REQUIRE in a thread that is not the test's: the process ends");
  test_system_exit(TEST_FAILED);
  return false;
}

bool test_fail(const char *file, int line, bool ends, const char *format, ...)
{
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return fail_text(file, line, ends, text);
}

bool test_int(const char *file, int line, const char *a, const char *b, int64_t left, int64_t right)
{
  if (left == right) return true;
  return test_fail(file, line, false, "%s is %" PRId64 ", %s is %" PRId64, a, left, b, right);
}

bool test_uint(const char *file, int line, const char *a, const char *b, uint64_t left, uint64_t right)
{
  if (left == right) return true;
  return test_fail(file, line, false, "%s is %" PRIu64 " (0x%" PRIx64 "), %s is %" PRIu64 " (0x%" PRIx64 ")",
                   a, left, left, b, right, right);
}

bool test_str(const char *file, int line, const char *a, const char *b, const char *left, const char *right)
{
  if (left && right && strcmp(left, right) == 0) return true;
  if (!left && !right) return true;
  return test_fail(file, line, false, "%s is \"%.120s\", %s is \"%.120s\"", a, left ? left : "(NULL)", b,
                   right ? right : "(NULL)");
}

/* The bytes of both sides around the first difference. */
static void hex_around(char *text, size_t capacity, const unsigned char *p, size_t from, size_t size)
{
  size_t n = 0;
  text[0] = '\0';
  for (size_t i = from; i < size && i < from + 16 && n + 4 < capacity; i++)
    n += (size_t)snprintf(text + n, capacity - n, "%02x ", p[i]);
}

bool test_mem(const char *file, int line, const char *a, const char *b, const void *left, const void *right,
              size_t size)
{
  const unsigned char *l = left, *r = right;
  char one[64], two[64];
  size_t i = 0, from;
  if (size == 0) return true;
  if (!l || !r) return test_fail(file, line, false, "%s or %s is NULL", a, b);
  while (i < size && l[i] == r[i]) i++;
  if (i == size) return true;
  from = i < 4 ? 0 : i - 4;
  hex_around(one, sizeof one, l, from, size);
  hex_around(two, sizeof two, r, from, size);
  return test_fail(file, line, false, "%s and %s differ from byte %zu of %zu on; from byte %zu: %sand %s", a,
                   b, i, size, from, one, two);
}

static void describe(char *text, size_t capacity)
{
  const covey_failure *f = covey_last_failure();
  if (f->code == 0)
    snprintf(text, capacity, "no failure recorded");
  else
    snprintf(text, capacity,
             "last failure %s, stage %d, system %d, index %" PRId64 ", offset %" PRId64 ": \"%s\"",
             covey_errname(f->code), f->stage, f->system, f->index, f->offset, f->what);
}

static const char *name_of(int64_t code)
{
  return covey_errname(code > 0 ? 0 : (int)code);
}

bool test_err(const char *file, int line, bool ends, const char *call, int64_t got, int wanted)
{
  char last[512];
  if (got == wanted) return true;
  describe(last, sizeof last);
  return test_fail(file, line, ends, "%s gave %s (%" PRId64 "), not %s; %s", call, name_of(got), got,
                   covey_errname(wanted), last);
}

bool test_ok(const char *file, int line, bool ends, const char *call, int64_t got)
{
  char last[512];
  if (got >= 0) return true;
  describe(last, sizeof last);
  return test_fail(file, line, ends, "%s gave %s (%" PRId64 "); %s", call, name_of(got), got, last);
}

bool test_wrong(const char *file, int line, const char *call, int64_t got)
{
  const covey_failure *f = covey_last_failure();
  if (!test_err(file, line, false, call, got, COVEY_EINVAL)) return false;
  if (f->code == COVEY_EINVAL && f->stage == COVEY_STAGE_ARGUMENTS && f->what[0]) return true;
  return test_fail(file, line, false, "%s: the last failure has code %d, stage %d, \"%s\"", call, f->code,
                   f->stage, f->what);
}

void test_fill(void *ret_data, size_t size)
{
  memset(ret_data, 0x5a, size);
}

bool test_is_filled(const void *data, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (((const unsigned char *)data)[i] != 0x5a) return false;
  return true;
}

void test_skip(const char *reason)
{
  if (!main_thread || !landing) {
    test_fail(__FILE__, __LINE__, true, "TEST_SKIP outside the test's own thread (%s)", reason);
    return;
  }
  now.skipped = true;
  now.reason = reason;
  longjmp(*landing, 2);
}

const char *test_skip_reason(void)
{
  return now.reason ? now.reason : "";
}

void test_log(const char *format, ...)
{
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  enter();
  say("note", NULL, 0, text);
  leave();
}

int test_failures(void)
{
  int n;
  enter();
  n = now.failures;
  leave();
  return n;
}

/* ---- what lives as long as the test ---- */

static char *keep(size_t size)
{
  kept *k = malloc(sizeof *k + size + 1);
  if (!k) abort();
  k->data[size] = '\0';
  enter();
  k->next = now.kept;
  now.kept = k;
  leave();
  return k->data;
}

static void free_kept(void)
{
  while (now.kept) {
    kept *k = now.kept;
    now.kept = k->next;
    free(k);
  }
}

char *test_format(const char *format, ...)
{
  va_list args, again;
  int n;
  char *text;
  va_start(args, format);
  va_copy(again, args);
  n = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (n < 0) abort();
  text = keep((size_t)n);
  vsnprintf(text, (size_t)n + 1, format, args);
  va_end(args);
  return text;
}

char *test_read_file(const char *path, size_t *ret_size)
{
  FILE *f = test_system_open(path, "rb");
  char *data;
  size_t size = 0, capacity = 4096, n;
  char *all;
  if (!f) return NULL;
  all = malloc(capacity);
  while (all && (n = fread(all + size, 1, capacity - size, f)) > 0) {
    size += n;
    if (size == capacity) {
      char *more = realloc(all, capacity *= 2);
      if (!more) free(all);
      all = more;
    }
  }
  fclose(f);
  if (!all) abort();
  data = keep(size);
  memcpy(data, all, size);
  free(all);
  if (ret_size) *ret_size = size;
  return data;
}

void test_write_file(const char *path, const void *data, size_t size)
{
  FILE *f = test_system_open(path, "wb");
  bool whole = f && fwrite(data, 1, size, f) == size;
  if (f && fclose(f) != 0) whole = false;
  if (!whole) test_fail(__FILE__, __LINE__, true, "cannot write %s", path);
}

bool test_file_exists(const char *path)
{
  FILE *f = test_system_open(path, "rb");
  if (f) fclose(f);
  return f != NULL;
}

const char *test_temp_dir(void)
{
  const char *base = getenv("COVEY_TEST_TEMP");
  char system_base[512];
  if (!base && test_system_temp(system_base, sizeof system_base)) base = system_base;
  if (!base) base = ".";
  enter();
  now.directories++;
  leave();
  if (!now.dir) now.dir = test_format("%s/%" PRId64, base, test_pid());
  if (now.directories == 1 && !test_system_make_dir(now.dir))
    test_fail(__FILE__, __LINE__, true, "cannot make the directory %s", now.dir);
  return now.dir;
}

const char *test_program(void)
{
  char path[1024];
  if (!test_system_program(path, sizeof path))
    test_fail(__FILE__, __LINE__, true, "cannot find this program's path");
  return test_format("%s", path);
}

const char *test_program_beside(const char *name)
{
  const char *self = test_program();
  const char *slash = strrchr(self, test_is_windows() ? '\\' : '/');
  return test_format("%.*s%s%s", slash ? (int)(slash - self + 1) : 0, self, name,
                     test_is_windows() ? ".exe" : "");
}

const char *test_helper(void)
{
  const char *given = getenv("COVEY_TEST_HELPER");
  return given && *given ? given : test_program_beside("covey_test_helper");
}

bool test_is_pattern(const void *data, size_t size, uint64_t from)
{
  const unsigned char *p = data;
  for (size_t i = 0; i < size; i++)
    if (p[i] != (from + i) % 251) return false;
  return true;
}

void test_make_pattern(void *ret_data, size_t size, uint64_t from)
{
  unsigned char *p = ret_data;
  for (size_t i = 0; i < size; i++) p[i] = (unsigned char)((from + i) % 251);
}

test_ended test_run(const char *const *argv, int64_t ms)
{
  test_ended ended = {.code = -1};
  static test_counter number;
  const char *path = test_format("%s/run-%" PRId64, test_temp_dir(), test_add(&number, 1));
  if (!test_system_run(argv, path, NULL, ms, &ended))
    test_fail(__FILE__, __LINE__, true, "cannot start %s", argv[0]);
  ended.output = test_read_file(path, &ended.size);
  if (!ended.output) test_fail(__FILE__, __LINE__, true, "cannot read the output of %s", argv[0]);
  return ended;
}

/* ---- time and threads ---- */

bool test_is_windows(void)
{
  return CVOS_WINDOWS;
}

int64_t test_now(void)
{
  return (int64_t)(uv_hrtime() / 1000000u);
}

bool test_wait_until(bool (*met)(void *arg), void *arg, int64_t ms)
{
  int64_t end = test_now() + ms, step = 1;
  while (!met(arg)) {
    if (test_now() >= end) return met(arg);
    test_pause(step);
    if (step < 20) step *= 2;
  }
  return true;
}

static bool is_dead(void *pid)
{
  return !test_process_alive(*(int64_t *)pid);
}

bool test_is_long(void)
{
  const char *value = getenv("COVEY_LONG");
  return value && *value;
}

bool test_process_gone(int64_t pid, int64_t ms)
{
  return test_wait_until(is_dead, &pid, ms);
}

struct test_thread {
  uv_thread_t thread;
  void (*function)(void *);
  void *arg;
};

static void thread_main(void *p)
{
  test_thread *t = p;
  jmp_buf here;
  if (setjmp(here) == 0) {
    landing = &here;
    t->function(t->arg);
  }
  landing = NULL;
}

test_thread *test_thread_start(void (*function)(void *), void *arg)
{
  test_thread *t = malloc(sizeof *t);
  if (!t) abort();
  t->function = function;
  t->arg = arg;
  if (uv_thread_create(&t->thread, thread_main, t) == 0) return t;
  free(t);
  test_fail(__FILE__, __LINE__, true, "cannot start a thread");
  return NULL;
}

void test_thread_join(test_thread *thread)
{
  if (!thread) return;
  uv_thread_join(&thread->thread);
  free(thread);
}

int64_t test_add(test_counter *counter, int64_t n)
{
  int64_t value;
  enter();
  value = counter->value += n;
  leave();
  return value;
}

/* ---- the frame ---- */

void test_no_handles_lost(void)
{
  now.handles = test_handle_count();
}

static bool handles_back(void *arg)
{
  (void)arg;
  return test_handle_count() <= now.handles;
}

static bool dir_gone(void *arg)
{
  (void)arg;
  return test_system_remove(now.dir);
}

/* What must hold after every test. A failed test is not blamed for what it left as well. */
static void look_behind(void)
{
  char text[1024];
  int n;
  if (now.handles >= 0 && now.failures == 0 && !test_wait_until(handles_back, NULL, 3000)) {
    test_system_list_handles(text, sizeof text);
    test_fail("", 0, false, "%d handles open at its end, %d before: %s", test_handle_count(), now.handles,
              text);
  }
  n = test_system_left(now.failures ? 0 : 3000, text, sizeof text);
  if (n > 0 && now.failures == 0)
    test_fail("", 0, false, "%d children were left, ended and not reaped or still running: %s", n, text);
  if (now.dir && !test_wait_until(dir_gone, NULL, 3000))
    test_fail("", 0, false, "cannot remove %s: something in it is still in use", now.dir);
  free_kept();
  now.dir = NULL;
  if (now.failures == 0 && test_system_leaks()) test_fail("", 0, false, "it leaks memory");
}

/* exit() in the middle of a body would look like success to a runner that looks at the exit code alone. */
static void at_exit(void)
{
  if (!now.in_body || forked()) return;
  say("failure", NULL, 0, "exit() was called inside the test");
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
    snprintf(text, sizeof text, "# %s/%s: did not end within %.0f s\n", now.test->suite, now.test->name,
             (double)watch.ms / 1000.0);
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
  now.test = test;
  now.pid = test_pid();
  main_thread = true;
  enter();
  leave();
  test_system_begin();
  test_now(); /* libuv's own first steps open handles on Windows: not in the middle of a count */
  watch_start((int64_t)(test->limit * test_scale() * 1000.0));
  atexit(at_exit);
  now.in_body = true;
  if (setjmp(here) == 0) {
    landing = &here;
    test->body();
  }
  landing = NULL;
  if (forked()) {
    say("failure", NULL, 0, "a forked child ran on past the end of the test");
    test_system_exit(TEST_FORKED);
  }
  look_behind();
  watch_stop();
  now.in_body = false;
  if (test_failures() > 0) return note_end(TEST_FAILED);
  return note_end(now.skipped ? TEST_SKIPPED : TEST_PASSED);
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

int test_run_end(const char *mark)
{
  char text[1024];
  const char *dir = getenv("COVEY_TEST_TEMP");
  int forced = 0, n = test_system_sweep(mark, 3000, text, sizeof text);
  if (n > 0) {
    printf("# %d processes were left behind and had to be killed: %s\n", n, text);
    forced += n;
  }
  if (dir && !test_system_remove(dir)) {
    printf("# cannot remove %s\n", dir);
    forced++;
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
