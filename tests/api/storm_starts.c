/* Storms of what the other one has not: starts that nobody waits for, rows of programs, children on terminals, adopted ones, and all that while memory or
 * the system fails. Each start is told at most once, nothing hangs and nothing is left. */
#include "storm.h"

#include <covey/find.h>

#include "core/atomics.h"
#include "core/fault.h"
#include "core/mem.h"

enum { WORKERS = 4, STARTS = 8, KEPT = 12 };

struct worker;

typedef struct job {
  struct worker *worker;
  storm_dice dice; /* of its callback */
  covey_starting *starting;
  bool closed;
  uint32_t told, ended; /* atomic: calls of on_started, of on_end */
  uint32_t wanted;      /* atomic: on_end was asked for */
} job;

typedef struct worker {
  struct burst *burst;
  storm_dice dice;
  job jobs[STARTS];
  int started;
  uv_mutex_t lock; /* kept: callbacks put in too */
  covey_process *kept[KEPT];
  int count;
} worker;

typedef struct burst {
  uint32_t seed;
  storm_place place;
  covey_cancel *cancel;
  char name[48]; /* the first word of its children's command lines */
  worker workers[WORKERS];
  int calls;
} burst;

static void wrong(const burst *b, const char *call, int r)
{
  TEST_FAIL("storm of seed %lu: %s: %s, %s", (unsigned long)b->seed, call, covey_errname(r),
            covey_last_failure()->what);
}

/* ---- failing ---- */

/* What fails next on this thread; whether something may. Kills are never made to fail: somebody would be left. */
static bool begin_failing(storm_dice *d)
{
  uint32_t way = storm_roll(d, 6);

  if (way == 0) cvy_mem_fail_after(1 + storm_roll(d, 40));
  return way == 0;
}

static bool begin_failing_calls(storm_dice *d)
{
  if (begin_failing(d)) return true;
  if (storm_roll(d, 6)) return false;
  cvy_fault_after(CVOS_FAULT_NONE, 1 + storm_roll(d, 40), test_is_windows() ? 1450 : 24);
  return true;
}

/* By the failing of another thread: who has the token opens our watches, too. */
static bool fails_with_another(int r)
{
  return r == COVEY_ENOMEM || r == COVEY_ELIMIT;
}

static void end_failing(void)
{
  cvy_mem_fail_after(0);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
}

/* ---- children ---- */

typedef struct words {
  char text[8][16];
  const char *argv[12];
} words;

static const char *const *make_words(const burst *b, words *w, storm_dice *d, bool hangs)
{
  int n = 0, count = 2;

  w->argv[0] = b->name;
  w->argv[1] = "act";
  if (storm_roll(d, 6) == 0) (void)snprintf(w->text[n++], 16, "t0");
  if (storm_roll(d, 2)) (void)snprintf(w->text[n++], 16, "w%u", (unsigned)storm_roll(d, 15));
  if (storm_roll(d, 2)) (void)snprintf(w->text[n++], 16, "o%u", (unsigned)storm_roll(d, 100000));
  if (storm_roll(d, 2)) (void)snprintf(w->text[n++], 16, "e%u", (unsigned)storm_roll(d, 3000));
  if (hangs)
    (void)snprintf(w->text[n++], 16, "h");
  else
    (void)snprintf(w->text[n++], 16, "x%u", (unsigned)storm_roll(d, 200));
  for (int i = 0; i < n; i++) w->argv[count++] = w->text[i];
  w->argv[count] = NULL;
  return w->argv;
}

static int show(int stream, const void *data, size_t size, void *user)
{
  (void)stream;
  (void)data;
  (void)user;
  return size % 97 == 0;
}

static covey_process_options make_options(worker *w, words *text, storm_dice *d)
{
  static const int kinds[] = {COVEY_STDIO_NULL, COVEY_STDIO_PIPE, COVEY_STDIO_CAPTURE, COVEY_STDIO_LINES};
  burst *b = w->burst;
  covey_process_options o = {.argv = make_words(b, text, d, storm_roll(d, 3) == 0),
                             .file = test_helper(),
                             .loop = b->place.loop,
                             .grace = 1 + storm_roll(d, 50)};

  o.out.kind = kinds[storm_roll(d, 4)];
  o.err.kind = storm_roll(d, 2) ? COVEY_STDIO_NULL : COVEY_STDIO_MERGE;
  if (storm_roll(d, 3) == 0 && o.out.kind != COVEY_STDIO_LINES && o.out.kind != COVEY_STDIO_NULL)
    o.on_output = show;
  if (storm_roll(d, 4) == 0) o.timeout = 1 + storm_roll(d, 100);
  if (storm_roll(d, 4) == 0) o.cancel = b->cancel;
  if (storm_roll(d, 8) == 0) o.file = "/no/such/program";
  if (storm_roll(d, 6) == 0) o.scope = COVEY_SCOPE_SHARED;
  if (storm_roll(d, 4) == 0) {
    o.input = "some words";
    o.input_size = 10;
  }
  return o;
}

/* ---- processes that were started ---- */

/* p: moved. */
static void keep(worker *w, covey_process *p)
{
  covey_process *surplus = NULL;

  uv_mutex_lock(&w->lock);
  if (w->count == KEPT)
    surplus = p;
  else
    w->kept[w->count++] = p;
  uv_mutex_unlock(&w->lock);
  covey_process_close(surplus);
}

static covey_process *take(worker *w)
{
  covey_process *p = NULL;

  uv_mutex_lock(&w->lock);
  if (w->count) p = w->kept[--w->count];
  uv_mutex_unlock(&w->lock);
  return p;
}

static void adopt(worker *w, covey_process *p, storm_dice *d)
{
  covey_process *q = NULL;
  covey_exit e;
  int r;

  (void)begin_failing(d);
  r = covey_process_adopt(covey_process_pid(p), 0, w->burst->place.loop, &q);
  end_failing();
  if (r < 0) return;
  r = covey_process_wait(q, storm_roll(d, 5), &e);
  if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_EDEADLK) wrong(w->burst, "wait of an adopted one", r);
  if (storm_roll(d, 3) == 0 && (r = covey_process_kill(q)) < 0) wrong(w->burst, "kill of an adopted one", r);
  if (storm_roll(d, 2))
    covey_process_close(q);
  else
    keep(w, q);
}

static void use(worker *w, covey_process *p, storm_dice *d, bool inside)
{
  char data[5000];
  int64_t timeout = storm_roll(d, 2) ? storm_roll(d, 6) : 0;

  switch (storm_roll(d, 8)) {
  case 0: (void)covey_process_wait(p, timeout, NULL); break;
  case 1: (void)covey_process_read(p, COVEY_STDOUT, timeout, data, sizeof data); break;
  case 2: (void)covey_process_write(p, "words\n", 6, timeout); break;
  case 3: (void)covey_process_resize(p, 1 + (int)storm_roll(d, 90), 1 + (int)storm_roll(d, 90)); break;
  case 4: (void)covey_process_close_input(p); break;
  case 5: (void)covey_process_stop_start(p, storm_roll(d, 20)); break;
  case 6:
    if (!inside) (void)covey_process_stop(p, storm_roll(d, 20), NULL);
    break;
  default: adopt(w, p, d);
  }
}

/* ---- starts ---- */

static void on_end(covey_process *p, const covey_exit *exit, void *user)
{
  job *j = user;

  (void)p;
  (void)exit;
  if (cvy_add_u32(&j->ended, 1)) wrong(j->worker->burst, "an end was told twice", 0);
}

static void on_started(void *user, covey_process *p, const covey_failure *failure)
{
  job *j = user;
  worker *w = j->worker;

  if (cvy_add_u32(&j->told, 1)) wrong(w->burst, "a start was told twice", 0);
  if (!p != (failure != NULL)) wrong(w->burst, "a start without process or failure", 0);
  if (!p) return;
  switch (storm_roll(&j->dice, 5)) {
  case 0: covey_process_close(p); return;
  case 1:
    if (covey_process_on_end(p, on_end, j) == 0) cvy_store_seq_u32(&j->wanted, 1);
    break;
  case 2: use(w, p, &j->dice, true); break;
  default: break;
  }
  keep(w, p);
}

static void start(worker *w, storm_dice *d)
{
  job *j = &w->jobs[w->started];
  words text;
  covey_process_options o = make_options(w, &text, d);
  bool handle = storm_roll(d, 3) != 0, failing;
  int r;

  if (w->started == STARTS) return;
  j->worker = w;
  j->dice = storm_seeded(w->burst->seed, 1000 + storm_roll(d, 1000));
  failing = begin_failing_calls(d);
  r = covey_spawn_start(&o, on_started, j, handle ? &j->starting : NULL);
  end_failing();
  if (r < 0) {
    if (!failing && !fails_with_another(r)) wrong(w->burst, "spawn_start", r);
    return;
  }
  w->started++;
}

static void close_start(job *j)
{
  if (!j->starting) return;
  j->closed = true;
  covey_starting_close(j->starting);
  j->starting = NULL;
}

/* ---- rows ---- */

static void run_row(worker *w, storm_dice *d)
{
  burst *b = w->burst;
  covey_process_options c[4] = {{0}};
  covey_pipeline_options o = {0};
  covey_pipeline_result result;
  int count = 1 + (int)storm_roll(d, 4), r;
  const char *size = test_format("o%u", (unsigned)storm_roll(d, 300000));
  bool disturbed = storm_roll(d, 2) == 0;

  for (int i = 0; i < count; i++) c[i].file = test_helper();
  const char *const cat[] = {b->name, "cat", NULL}, *const counts[] = {b->name, "count", NULL};
  const char *const first[] = {b->name, "act", size, NULL};
  for (int i = 0; i < count; i++) c[i].argv = i == 0 ? first : i + 1 < count ? cat : counts;
  c[count - 1].out.kind = COVEY_STDIO_CAPTURE;
  c[count - 1].drain = test_is_wine() ? 3000 : 0;
  c[count - 1].drain_max = test_is_wine() ? 20000 : 0;
  if (disturbed && storm_roll(d, 2)) o.timeout = 1 + storm_roll(d, 30);
  if (disturbed && storm_roll(d, 2)) o.cancel = b->cancel;
  if (disturbed && storm_roll(d, 4) == 0) c[count - 1].file = "/no/such/program";
  if (disturbed) (void)begin_failing_calls(d);
  r = covey_pipeline(c, (size_t)count, &o, &result);
  end_failing();
  if (r < 0) {
    if (!disturbed) wrong(b, "pipeline", r);
    return;
  }
  if (!disturbed) {
    if (result.failed >= 0) wrong(b, "a command of a row", (int)result.failed);
    if (count > 1) CHECK_STR(result.results[count - 1].out, test_format("%s pattern\n", size + 1));
  }
  covey_pipeline_result_free(&result);
}

/* ---- calls ---- */

static void spawn(worker *w, storm_dice *d)
{
  words text;
  covey_process_options o = make_options(w, &text, d);
  covey_process *p = NULL;
  bool failing, missing = strcmp(o.file, test_helper()) != 0;
  int r;

  if ((covey_caps() & COVEY_CAP_PTY) && storm_roll(d, 2)) {
    o.flags |= COVEY_PROCESS_PTY;
    o.scope = COVEY_SCOPE_TREE;
    o.err.kind = COVEY_STDIO_DEFAULT;
    o.input = NULL;
    o.input_size = 0;
    if (o.out.kind == COVEY_STDIO_NULL) o.out.kind = COVEY_STDIO_PIPE;
  } else if (!o.input) {
    o.in.kind = COVEY_STDIO_PIPE;
  }
  failing = begin_failing_calls(d);
  r = covey_spawn(&o, &p);
  end_failing();
  if (r == 0)
    keep(w, p);
  else if (!failing && !missing && !fails_with_another(r))
    wrong(w->burst, "spawn", r);
}

static void run(worker *w, storm_dice *d)
{
  words text;
  covey_process_options o = make_options(w, &text, d);
  covey_result result;

  o.loop = NULL;
  if (o.out.kind == COVEY_STDIO_LINES || o.out.kind == COVEY_STDIO_PIPE) o.out.kind = COVEY_STDIO_CAPTURE;
  if (!o.timeout) o.timeout = 200;
  (void)begin_failing(d);
  if (covey_run(&o, &result) == 0) covey_result_free(&result);
  end_failing();
}

static void call(worker *w, storm_dice *d)
{
  covey_process *p;

  switch (storm_roll(d, 14)) {
  case 0:
    if (!test_has_thread_checker()) run_row(w, d); /* it takes the numbers of closed loops for those loops */
    break;
  case 1:
    if (!test_has_thread_checker()) run(w, d);
    break;
  case 2:
  case 3: spawn(w, d); break;
  case 4:
  case 5: start(w, d); break;
  case 6:
    if (w->started) close_start(&w->jobs[storm_roll(d, (uint32_t)w->started)]);
    break;
  case 7: covey_cancel_fire(w->burst->cancel); break;
  case 8: covey_cancel_reset(w->burst->cancel); break;
  case 9: storm_place_turn(&w->burst->place); break;
  case 10:
    p = take(w);
    (void)begin_failing(d);
    covey_process_close(p);
    end_failing();
    break;
  default:
    if (!(p = take(w))) break;
    use(w, p, d, false);
    keep(w, p);
  }
}

static void work(void *arg)
{
  worker *w = arg;

  for (int i = 0; i < w->burst->calls; i++) call(w, &w->dice);
}

/* ---- one storm ---- */

static bool all_told(burst *b)
{
  for (int i = 0; i < WORKERS; i++)
    for (int n = 0; n < b->workers[i].started; n++)
      if (!b->workers[i].jobs[n].closed && !cvy_load_seq_u32(&b->workers[i].jobs[n].told)) return false;
  return true;
}

static void let_go(burst *b)
{
  covey_process *p;

  for (int i = 0; i < WORKERS; i++) {
    for (int n = 0; n < b->workers[i].started; n++) close_start(&b->workers[i].jobs[n]);
    while ((p = take(&b->workers[i]))) covey_process_close(p);
  }
}

static bool nobody_runs(void *arg)
{
  covey_find_options o = {.command = ((burst *)arg)->name, .flags = COVEY_FIND_LITERAL | COVEY_FIND_NOT_SELF};
  covey_find_result r;
  bool none;

  if (test_has_thread_checker()) return true; /* it opens files, whose numbers that does not follow */
  if (covey_find(&o, &r) < 0) return false;
  none = r.count == 0;
  covey_find_free(&r);
  return none;
}

static void rage(uint32_t seed)
{
  static burst b;
  storm_dice d = storm_seeded(seed, 0);
  test_thread *threads[WORKERS];
  int count = 1 + (int)storm_roll(&d, WORKERS);
  bool early;

  memset(&b, 0, sizeof b);
  b.seed = seed;
  b.calls = 10 + (int)storm_roll(&d, test_is_windows() ? 20 : 60);
  (void)snprintf(b.name, sizeof b.name, "storm-%lld-%lu", (long long)test_pid(), (unsigned long)seed);
  REQUIRE_OK(covey_cancel_new(&b.cancel));
  if (!test_has_thread_checker()) storm_place_open(&b.place, &d);
  early = b.place.loop && storm_roll(&d, 3) == 0;
  for (int i = 0; i < WORKERS; i++) {
    b.workers[i].burst = &b;
    b.workers[i].dice = storm_seeded(seed, (uint32_t)i + 1);
    REQUIRE(uv_mutex_init(&b.workers[i].lock) == 0);
  }
  for (int i = 0; i < count; i++) threads[i] = test_thread_start(work, &b.workers[i]);
  for (int i = 0; i < count; i++) test_thread_join(threads[i]);
  covey_cancel_reset(b.cancel);
  if (early) storm_place_close(&b.place);
  for (int64_t end = test_now() + TEST_SOON; !early && !all_told(&b) && test_now() < end;)
    storm_place_turn(&b.place);
  if (!early && !all_told(&b)) wrong(&b, "a start was never told", 0);
  let_go(&b);
  if (!early) storm_place_close(&b.place);
  storm_place_join(&b.place);
  if (!test_wait_until(nobody_runs, &b, TEST_SOON)) wrong(&b, "somebody is left", 0);
  for (int i = 0; i < WORKERS; i++) uv_mutex_destroy(&b.workers[i].lock);
  covey_cancel_free(b.cancel);
}

TEST_LIMIT(process_storm, of_starts_and_rows, 300)
{
  const char *seed = getenv("COVEY_STORM_SEED"), *rounds = getenv("COVEY_STORM_ROUNDS");
  uint32_t first = seed ? (uint32_t)strtoul(seed, NULL, 10) : 1;
  int most = rounds ? atoi(rounds) : test_is_long() ? 400 : test_is_windows() ? 4 : 12;

  if (test_is_windows()) storm_make_threads();
  rage(1); /* what the system keeps */
  test_no_child_handles_lost();
  for (int i = 0; i < most && test_failures() == 0; i++) {
    if (rounds) test_log("seed %lu", (unsigned long)first + (unsigned long)i);
    rage(first + (uint32_t)i);
  }
}
