/* The stand-in runner: each test in a process of its own, started by running this program again with --run suite/name. */
#include "check.h"
#include "system.h"

#include <uv.h>

static test_case *first;

void test_register(test_case *test)
{
  test_case **at = &first;
  while (*at) {
    int order = strcmp((*at)->suite, test->suite);
    if (order > 0 || (order == 0 && strcmp((*at)->name, test->name) > 0)) break;
    at = &(*at)->next;
  }
  test->next = *at;
  *at = test;
}

/* * stands for any characters, ? for one. */
static bool matches(const char *glob, const char *text)
{
  const char *star = NULL, *back = NULL;
  while (*text) {
    if (*glob == '*') {
      star = glob++;
      back = text;
    } else if (*glob == '?' || *glob == *text) {
      glob++;
      text++;
    } else if (star) {
      glob = star + 1;
      text = ++back;
    } else {
      return false;
    }
  }
  while (*glob == '*') glob++;
  return *glob == '\0';
}

static void full_name(const test_case *test, char *text, size_t capacity)
{
  snprintf(text, capacity, "%s/%s", test->suite, test->name);
}

/* One run: the tests are dealt out to the workers under lock. */
static struct {
  uv_mutex_t lock;
  test_case *next;
  const char *filter;
  const char *program;
  const char *mark;
  const char *dir;
  double scale;
  size_t number, passed, failed, skipped;
} run;

/* One of the globs of the filter, which have commas between them. */
static bool wanted(const char *filter, const char *name)
{
  char glob[256];
  for (const char *at = filter;; at++) {
    size_t size = strcspn(at, ",");
    snprintf(glob, sizeof glob, "%.*s", (int)size, at);
    if (matches(glob, name)) return true;
    at += size;
    if (!*at) return false;
  }
}

static test_case *take(size_t *ret_number)
{
  test_case *test;
  char name[256];
  uv_mutex_lock(&run.lock);
  for (test = run.next; test; test = test->next) {
    full_name(test, name, sizeof name);
    if (!run.filter || wanted(run.filter, name)) break;
  }
  run.next = test ? test->next : NULL;
  if (test) *ret_number = ++run.number;
  uv_mutex_unlock(&run.lock);
  return test;
}

/* Shows a file as comment lines of TAP. */
static void show(const char *path)
{
  FILE *f = test_system_open(path, "rb");
  char line[1024];
  bool fresh = true;
  while (f && fgets(line, sizeof line, f)) {
    printf("%s%s", fresh && line[0] != '#' ? "#   " : "", line);
    fresh = strchr(line, '\n') != NULL;
  }
  if (!fresh) printf("\n");
  if (f) fclose(f);
}

static void why(const test_ended *e, const test_case *test, char *text, size_t capacity)
{
  if (e->timed_out)
    snprintf(text, capacity, "did not end within %.0f s, nor at its own watch's hand: killed with its tree",
             test->limit * run.scale);
  else if (e->signal)
    snprintf(text, capacity, "ended by signal %d", e->signal);
  else if (e->code == 0)
    snprintf(text, capacity, "left by exit(0) before its end");
  else if (e->code > 255 || e->code < 0)
    snprintf(text, capacity, "crashed with 0x%08" PRIx64, (uint64_t)e->code & 0xffffffffu);
  else
    snprintf(text, capacity, "exit code %" PRId64, e->code);
}

/* The reason is the last comment line of a skipped test's output. */
static void reason(const char *path, char *text, size_t capacity)
{
  FILE *f = test_system_open(path, "rb");
  char line[512];
  snprintf(text, capacity, "no reason given");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, "# SKIP ", 7) == 0) {
      line[strcspn(line, "\r\n")] = '\0';
      snprintf(text, capacity, "%s", line + 7);
    }
  if (f) fclose(f);
}

/* taken: seconds; those of a long test are shown. */
static void report(size_t number, const test_case *test, const test_ended *e, bool started, double taken,
                   int left, const char *names, const char *output)
{
  char name[256], text[512], time[32] = "";
  full_name(test, name, sizeof name);
  if (taken >= 1) snprintf(time, sizeof time, " # %.0f s", taken);
  uv_mutex_lock(&run.lock);
  if (started && !e->timed_out && e->code == TEST_PASSED && left == 0) {
    run.passed++;
    printf("ok %zu - %s%s\n", number, name, time);
  } else if (started && !e->timed_out && e->code == TEST_SKIPPED && left == 0) {
    run.skipped++;
    reason(output, text, sizeof text);
    printf("ok %zu - %s # SKIP %s\n", number, name, text);
  } else {
    run.failed++;
    printf("not ok %zu - %s%s\n", number, name, time);
    if (!started) {
      printf("# %s: could not be started\n", name);
    } else {
      show(output);
      if (left) printf("# %s: left %d processes behind, killed: %s\n", name, left, names);
      if (e->timed_out || (e->code != TEST_FAILED && e->code != TEST_PASSED && e->code != TEST_LATE)) {
        why(e, test, text, sizeof text);
        printf("# %s: %s\n", name, text);
      }
    }
  }
  fflush(stdout);
  uv_mutex_unlock(&run.lock);
}

/* Wine 8 ends one process in some thousands with STATUS_DLL_INIT_FAILED before its main: nothing of the test has run. */
static bool never_began(const test_ended *e)
{
  return test_is_wine() && !e->timed_out && (uint32_t)e->code == 0xc0000142u;
}

static void worker(void *unused)
{
  size_t number = 0;
  test_case *test;
  (void)unused;
  while ((test = take(&number))) {
    char name[256], output[1024], mark[128], names[1024];
    const char *argv[] = {run.program, "--run", name, NULL};
    test_ended e = {.code = -1};
    bool started, late;
    int left;
    full_name(test, name, sizeof name);
    snprintf(output, sizeof output, "%s/%zu.out", run.dir, number);
    snprintf(mark, sizeof mark, "%s.%zu", run.mark, number);
    uint64_t began = uv_hrtime();
    int tries = 3;
    do {
      started = test_system_run(argv, output, mark, (int64_t)(test->limit * run.scale * 1000.0) + 5000, &e);
    } while (started && never_began(&e) && --tries);
    double taken = (double)(uv_hrtime() - began) / 1e9;
    late = e.timed_out || e.code == TEST_LATE;
    left = test_system_sweep(mark, late ? 0 : 3000, names, sizeof names);
    report(number, test, &e, started, taken, late ? 0 : left, names, output);
    test_system_remove(output);
  }
}

static int run_one(const char *name)
{
  for (test_case *test = first; test; test = test->next) {
    char full[256];
    int r;
    full_name(test, full, sizeof full);
    if (strcmp(full, name) != 0) continue;
    r = test_frame(test);
    if (r == TEST_SKIPPED) fprintf(stderr, "# SKIP %s\n", test_skip_reason());
    fflush(stderr);
    return r;
  }
  fprintf(stderr, "# no test is called %s\n", name);
  return TEST_FAILED;
}

static int list(const char *filter)
{
  for (test_case *test = first; test; test = test->next) {
    char name[256];
    full_name(test, name, sizeof name);
    if (!filter || wanted(filter, name)) printf("%s\n", name);
  }
  return first ? 0 : 1;
}

static int run_all(const char *filter, int jobs)
{
  uv_thread_t threads[16];
  char mark[64], program[1024];
  int started = 0, forced;
  if (!test_system_program(program, sizeof program) || !test_run_begin(mark, sizeof mark)) return 1;
  if (uv_mutex_init(&run.lock) != 0) return 1;
  run.next = first;
  run.filter = filter;
  run.program = program;
  run.mark = mark;
  run.dir = getenv("COVEY_TEST_TEMP");
  run.scale = test_scale();
  printf("TAP version 13\n");
  fflush(stdout);
  while (started < jobs && started < 16 && uv_thread_create(&threads[started], worker, NULL) == 0) started++;
  if (started == 0) worker(NULL);
  while (started > 0) uv_thread_join(&threads[--started]);
  uv_mutex_destroy(&run.lock);
  forced = test_run_end(mark);
  printf("1..%zu\n", run.number);
  return test_closing(run.passed, run.failed + (forced ? 1 : 0), run.skipped);
}

static int processors(void)
{
  uv_cpu_info_t *info;
  int count = 1;
  if (uv_cpu_info(&info, &count) == 0) uv_free_cpu_info(info, count);
  return count < 1 ? 1 : count > 8 ? 8 : count;
}

int main(int argc, char **argv)
{
  const char *filter = NULL;
  bool only_list = false;
  int jobs = 0;
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    if (strcmp(a, "--run") == 0 && i + 1 < argc) return run_one(argv[i + 1]);
    if (strcmp(a, "--filter") == 0 && i + 1 < argc)
      filter = argv[++i];
    else if (strncmp(a, "--filter=", 9) == 0)
      filter = a + 9;
    else if (strcmp(a, "--list") == 0)
      only_list = true;
    else if (strncmp(a, "-j", 2) == 0)
      jobs = atoi(a[2] || i + 1 == argc ? a + 2 : argv[++i]);
    else {
      fprintf(stderr, "usage: %s [--list] [--filter GLOB[,GLOB...]] [-jN] [--run SUITE/NAME]\n", argv[0]);
      return 2;
    }
  }
  if (only_list) return list(filter);
  return run_all(filter, jobs > 0 ? jobs : processors());
}
