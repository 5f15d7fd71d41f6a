/* Storms of calls on one manager by several threads and by its own callbacks, while members end by themselves, and all at once: each end is told exactly once, or
 * its member was removed; nobody who waits is forgotten; nothing is left.
 * COVEY_SEED=n plays one round again; COVEY_ROUNDS=n plays so many. */
#include "signal_words.h"
#include "sites.h"
#include "storm.h"

#include "core/atomics.h"
#include "support/model.h"

enum { WORKERS = 6, MOST = 24 /* members at a time */ };

typedef struct mob {
  uint64_t seed;
  storm_place place;
  covey_manager *manager;
  int calls;                                /* of each thread */
  bool told;                                /* by on_end */
  uint32_t spawned, ended, removed, waited; /* atomic */
  char name[48];                            /* the first word of its children's command lines */
} mob;

typedef struct worker {
  mob *mob;
  uint64_t dice;
  test_thread *thread;
} worker;

static uint32_t pick(uint64_t *dice, uint32_t below)
{
  return (uint32_t)(model_random(dice) % below);
}

static void wrong(const mob *m, const char *call, int r)
{
  TEST_FAIL("seed %" PRIu64 ": %s: %s, %s", m->seed, call, covey_errname(r), covey_last_failure()->what);
}

static void on_end(const covey_member *member, void *user)
{
  mob *m = user;
  covey_process *p;
  int64_t pids[4];
  int r = covey_manager_pids(m->manager, pids, 4);
  cvy_add_u32(&m->ended, 1);
  if (member->ended != 1) wrong(m, "an end that is none", 0);
  if (r < 0) wrong(m, "pids in the callback", r);
  if (r > 0 && covey_manager_get(m->manager, pids[0], &p) == 0) covey_process_close(p);
  if (member->pid % 3 == 0) (void)covey_manager_wait_any(m->manager, 0, NULL);
  if (member->pid % 7 == 0)
    (void)covey_manager_signal_all(m->manager, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER, NULL, 0);
  if (member->pid % 11 == 0) (void)covey_manager_wait_all(m->manager, 5, NULL, 0);
}

static void spawn(worker *w)
{
  mob *m = w->mob;
  const char *argv[] = {m->name, "act", NULL, NULL, NULL};
  covey_process *p = NULL;
  int n = 2;
  if (covey_manager_count(m->manager) >= MOST) return;
  if (pick(&w->dice, 2)) argv[n++] = "w10";
  argv[n] = pick(&w->dice, 3) ? "x3" : "h";
  covey_process_options o = {.argv = argv, .file = test_helper(), .out.kind = COVEY_STDIO_NULL};
  int r = covey_manager_spawn(m->manager, &o, pick(&w->dice, 3) ? NULL : &p);
  if (r < 0) wrong(m, "spawn", r);
  if (r == 0) cvy_add_u32(&m->spawned, 1);
  covey_process_close(p);
}

static void take_out(worker *w)
{
  mob *m = w->mob;
  int64_t pids[MOST + WORKERS];
  int n = covey_manager_pids(m->manager, pids, MOST + WORKERS);
  if (n <= 0) return;
  if (n > MOST + WORKERS) n = MOST + WORKERS;
  int r = covey_manager_remove(m->manager, pids[pick(&w->dice, (uint32_t)n)]);
  if (r == 0) cvy_add_u32(&m->removed, 1);
  if (r < 0 && r != COVEY_ENOTFOUND) wrong(m, "remove", r);
}

static void wait_one(worker *w, int64_t timeout)
{
  mob *m = w->mob;
  covey_member member;
  int r = covey_manager_wait_any(m->manager, timeout, &member);
  if (r == 0) cvy_add_u32(&m->waited, 1);
  if (r == 0 && (member.ended != 1 || member.pid <= 0)) wrong(m, "an end of nobody", 0);
  if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_ENOTFOUND && r != COVEY_EDEADLK) wrong(m, "wait_any", r);
}

static void sweep(worker *w)
{
  mob *m = w->mob;
  covey_member members[MOST + WORKERS];
  size_t n = pick(&w->dice, 2) ? MOST + WORKERS : 0;
  int r;
  switch (pick(&w->dice, 10)) {
  case 0: r = covey_manager_stop_all(m->manager, pick(&w->dice, 20), members, n); break;
  case 1: r = covey_manager_kill_all(m->manager, members, n); break;
  case 2:
  case 3: r = covey_manager_signal_all(m->manager, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER, members, n); break;
  default: r = covey_manager_wait_all(m->manager, pick(&w->dice, 30), members, n);
  }
  if (r < 0) wrong(m, "sweep", r);
}

static void forward(worker *w)
{
  mob *m = w->mob;
  covey_signals_options o = {SIGNAL_SET(COVEY_SIGNAL_USR2)};
  int r;
  if (test_is_windows()) return;
  r = covey_manager_forward(m->manager, pick(&w->dice, 2) ? &o : NULL);
  if (r < 0) wrong(m, "forward", r);
  (void)raise(SIGUSR2);
}

static void work(void *arg)
{
  worker *w = arg;
  for (int i = 0; i < w->mob->calls && !test_failures(); i++) {
    int64_t began = test_now();
    switch (pick(&w->dice, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: spawn(w); break;
    case 4: take_out(w); break;
    case 5:
    case 6: wait_one(w, 0); break;
    case 7: wait_one(w, pick(&w->dice, 60)); break;
    case 8: sweep(w); break;
    case 9: forward(w); break;
    case 10: (void)covey_manager_send_all(w->mob->manager, "g", "x", 1, 0, NULL, 0); break;
    default: storm_place_turn(&w->mob->place);
    }
    site_in_time(began, 6000, "a call on the manager");
  }
}

static bool nobody_left(void *arg)
{
  mob *m = arg;
  return covey_manager_count(m->manager) == 0;
}

static void play(uint64_t seed)
{
  static mob m;
  worker workers[WORKERS];
  storm_dice d = storm_seeded((uint32_t)seed, 0);
  covey_signals *signals = NULL; /* while there is one the signal ends nobody */
  memset(&m, 0, sizeof m);
  m.seed = seed;
  m.told = seed % 2;
  m.calls = test_is_windows() ? 25 : 120;
  (void)snprintf(m.name, sizeof m.name, "mob-%lld-%lu", (long long)test_pid(), (unsigned long)seed);
  if (!test_is_windows())
    REQUIRE_OK(covey_signals_open(
        &(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR2), .flags = COVEY_SIGNALS_REPEAT}, &signals));
  if (!test_has_thread_checker())
    storm_place_open(&m.place, &d); /* it takes the numbers of closed loops for those loops */
  covey_manager_options o = {
      .loop = m.place.loop, .flags = COVEY_MANAGER_PLAIN, .on_end = m.told ? on_end : NULL, .user = &m};
  REQUIRE_OK(covey_manager_new(&o, &m.manager));
  for (int i = 0; i < WORKERS; i++) {
    workers[i] = (worker){.mob = &m, .dice = seed * 7919 + (uint64_t)i + 1};
    workers[i].thread = test_thread_start(work, &workers[i]);
  }
  for (int i = 0; i < WORKERS; i++) test_thread_join(workers[i].thread);
  bool freed = seed % 3 == 0;
  if (!freed) {
    CHECK_INT(covey_manager_kill_all(m.manager, NULL, 0), 0);
    while (covey_manager_wait_any(m.manager, 0, NULL) == 0) cvy_add_u32(&m.waited, 1);
    for (int64_t end = test_now() + TEST_SOON; !nobody_left(&m) && test_now() < end;)
      storm_place_turn(&m.place);
    CHECK_INT(covey_manager_count(m.manager), 0);
    if (m.told)
      CHECK_UINT(cvy_load_seq_u32(&m.ended) + cvy_load_seq_u32(&m.removed), cvy_load_seq_u32(&m.spawned));
  }
  covey_manager_free(m.manager); /* members and all, where it is in the middle */
  storm_place_close(&m.place);
  storm_place_join(&m.place);
  CHECK_INT(covey_node_close(NULL, SLACK), 0);
  covey_signals_close(signals);
  test_log("seed %" PRIu64 ": %u spawned, %u told, %u waited for, %u removed", seed, (unsigned)m.spawned,
           (unsigned)m.ended, (unsigned)m.waited, (unsigned)m.removed);
}

TEST_LIMIT(manager_storm, anything, 300)
{
  if (test_is_windows()) storm_make_threads();
  play(1); /* what the system keeps */
  test_no_child_handles_lost();
  sites_rounds(play, 1);
}
