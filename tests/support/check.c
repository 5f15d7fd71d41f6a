#include "check.h"
#include "state.h"
#include "system.h"

test_state test_running = {.handles = -1};
CVOS_THREAD_LOCAL jmp_buf *test_landing;
CVOS_THREAD_LOCAL bool test_main_thread;

static uv_mutex_t lock;
static uv_once_t once = UV_ONCE_INIT;

static void make_lock(void)
{
  if (uv_mutex_init(&lock) != 0) abort();
}

void test_enter(void)
{
  uv_once(&once, make_lock);
  uv_mutex_lock(&lock);
}

void test_leave(void)
{
  uv_mutex_unlock(&lock);
}

void test_say(const char *kind, const char *file, int line, const char *text)
{
  const char *suite = test_running.test ? test_running.test->suite : "runner";
  const char *name = test_running.test ? test_running.test->name : "-";
  if (file && line)
    fprintf(stderr, "# %s/%s: %s:%d: %s: %s\n", suite, name, file, line, kind, text);
  else
    fprintf(stderr, "# %s/%s: %s\n", suite, name, text);
  fflush(stderr);
}

bool test_forked(void)
{
  return test_running.pid && test_pid() != test_running.pid;
}

static bool fail_text(const char *file, int line, bool ends, const char *text)
{
  if (test_forked()) {
    test_say("failure in a forked child", file, line, text);
    test_system_exit(TEST_FORKED);
  }
  test_enter();
  test_running.failures++;
  test_say("failure", file, line, text);
  test_leave();
  if (!ends) return false;
  if (test_landing) longjmp(*test_landing, 1);
  test_say("failure", file, line, "REQUIRE in a thread that is not the test's: the process ends");
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
  if (!test_main_thread || !test_landing) {
    test_fail(__FILE__, __LINE__, true, "TEST_SKIP outside the test's own thread (%s)", reason);
    return;
  }
  test_running.skipped = true;
  test_running.reason = reason;
  longjmp(*test_landing, 2);
}

const char *test_skip_reason(void)
{
  return test_running.reason ? test_running.reason : "";
}

void test_log(const char *format, ...)
{
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  test_enter();
  test_say("note", NULL, 0, text);
  test_leave();
}

int test_failures(void)
{
  int n;
  test_enter();
  n = test_running.failures;
  test_leave();
  return n;
}

/* ---- what lives as long as the test ---- */

static char *keep(size_t size)
{
  test_kept *k = malloc(sizeof *k + size + 1);
  if (!k) abort();
  k->data[size] = '\0';
  test_enter();
  k->next = test_running.kept;
  test_running.kept = k;
  test_leave();
  return k->data;
}

void test_free_kept(void)
{
  while (test_running.kept) {
    test_kept *k = test_running.kept;
    test_running.kept = k->next;
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
  test_enter();
  test_running.directories++;
  test_leave();
  if (!test_running.dir) test_running.dir = test_format("%s/%" PRId64, base, test_pid());
  bool made = test_running.directories > 1 || test_system_make_dir(test_running.dir);
  /* wine gives numbers again at once: one that ended may not have let go of its folder yet */
  for (int i = 1; !made && i < 100; i++) {
    test_running.dir = test_format("%s/%" PRId64 "-%d", base, test_pid(), i);
    made = test_system_make_dir(test_running.dir);
  }
  if (!made) test_fail(__FILE__, __LINE__, true, "cannot make the directory %s", test_running.dir);
  return test_running.dir;
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

bool test_helper_is_open(void)
{
  const char *file = test_helper();
  char path[1024];
  size_t size = strlen(file);
  if (size >= sizeof path) return false;
  for (size_t i = 1; i <= size; i++) {
    uv_fs_t fs;
    if (file[i] != '/' && file[i] != '\0') continue;
    memcpy(path, file, i);
    path[i] = '\0';
    if (uv_fs_stat(NULL, &fs, path, NULL) != 0 || !(fs.statbuf.st_mode & 1)) return false;
  }
  return true;
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

bool test_is_slow(void)
{
  return test_scale() >= 5;
}

bool test_process_gone(int64_t pid, int64_t ms)
{
  return test_wait_until(is_dead, &pid, ms);
}

int64_t test_add(test_counter *counter, int64_t n)
{
  int64_t value;
  test_enter();
  value = counter->value += n;
  test_leave();
  return value;
}

uint32_t test_random(uint32_t below)
{
  static uint32_t state = 2463534242u;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state % below;
}
