/* Storms: several children at once, and random calls for them from several threads, on loops of every kind. What was written arrives once and in
 * order, an end is told once and to everybody alike, nothing hangs and nothing is left. COVEY_STORM_SEED replays one, COVEY_STORM_ROUNDS says
 * how many there are. */
#include "storm.h"

#include <covey/find.h>

#include "core/atomics.h"

/* ---- callbacks ---- */

static void on_end(covey_process *p, const covey_exit *exit, void *user)
{
  storm_child *c = user;

  (void)p;
  uv_mutex_lock(&c->lock);
  c->end_calls++;
  uv_mutex_unlock(&c->lock);
  storm_note_exit(c, exit);
  if (storm_roll(&c->dice, 2) == 0) storm_call_inside(c);
}

static storm_child *child_of(storm *s, int64_t pid)
{
  for (int64_t end = test_now() + TEST_SOON; test_now() < end;
       test_pause(1)) /* it may be told before it is noted */
    for (int i = 0; i < STORM_CHILDREN; i++)
      if (cvy_load_acquire_u64(&s->children[i].pid) == (uint64_t)pid) return &s->children[i];
  TEST_FAIL("storm of seed %lu: an end of nobody", (unsigned long)s->seed);
  return &s->children[0];
}

static void member_ended(const covey_member *member, void *user)
{
  storm_child *c = child_of(user, member->pid);

  if (!member->ended || member->result) storm_wrong(c, "the manager's on_end without an end");
  uv_mutex_lock(&c->lock);
  c->member_calls++;
  uv_mutex_unlock(&c->lock);
  storm_note_exit(c, &member->exit);
}

/* ---- calls ---- */

static void note_stop(storm_child *c)
{
  cvy_store_seq_u32(&c->stopped, 1);
}

static void check_code(storm_child *c, const char *call, int r, int first, int second)
{
  if (r < 0 && r != first && r != second && !(r == COVEY_ECANCELED && storm_may_cancel(c)))
    storm_wrong(c, "%s: %s", call, covey_errname(r));
}

static void wait_one(storm_child *c, int64_t timeout, bool inside)
{
  covey_exit e;
  int r = covey_process_wait(c->process, timeout, &e);

  if (r == 0) storm_note_exit(c, &e);
  check_code(c, "wait", r, COVEY_ETIMEDOUT, inside ? COVEY_EDEADLK : 0);
}

static void wait_several(storm *s, int64_t timeout, bool all, bool inside)
{
  covey_process *list[STORM_CHILDREN];
  size_t index = STORM_CHILDREN;
  covey_exit e;
  int r;

  for (int i = 0; i < s->count; i++) list[i] = s->children[i].process;
  if (all) {
    r = covey_process_wait_all(list, (size_t)s->count, timeout);
    if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_ECANCELED && !(inside && r == COVEY_EDEADLK))
      storm_wrong(&s->children[0], "wait_all: %s", covey_errname(r));
    return;
  }
  r = covey_process_wait_any(list, (size_t)s->count, timeout, &index);
  if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_ECANCELED && !(inside && r == COVEY_EDEADLK))
    storm_wrong(&s->children[0], "wait_any: %s", covey_errname(r));
  if (r < 0) return;
  if (index >= (size_t)s->count) {
    storm_wrong(&s->children[0], "wait_any gave no index");
  } else if (covey_process_wait(list[index], inside ? 0 : 1000, &e) == 0) {
    storm_note_exit(&s->children[index], &e);
  } else if (!inside && !storm_may_cancel(&s->children[index])) {
    storm_wrong(&s->children[index], "wait_any told one that has not ended");
  }
}

static void stop_one(storm_child *c, storm_dice *d, bool inside)
{
  int64_t grace = storm_roll(d, 3) ? storm_roll(d, 30) : 0;
  covey_exit e;
  int r;

  note_stop(c);
  switch (storm_roll(d, inside ? 2 : 3)) { /* two callbacks that wait for each other's child wait for ever */
  case 0: check_code(c, "kill", covey_process_kill(c->process), 0, 0); break;
  case 1: check_code(c, "stop_start", covey_process_stop_start(c->process, grace), 0, 0); break;
  default:
    r = covey_process_stop(c->process, grace, &e);
    if (r == 0) storm_note_exit(c, &e);
    check_code(c, "stop", r, 0, 0);
  }
}

static void suspend_one(storm_child *c, bool on)
{
  int r;

  if (test_has_leak_checker()) return; /* it stops its threads itself as it ends, and is confused */
  if (c->disturbed && on) return;      /* its own deadlines would have to go on with it */
  if (on) cvy_store_seq_u32(&c->suspended, 1);
  r = covey_process_signal(c->process, on ? COVEY_SIGNAL_STOP : COVEY_SIGNAL_CONT, COVEY_TARGET_TREE);
  check_code(c, "signal", r, COVEY_ENOTFOUND, cvy_load_seq_u32(&c->detached) ? COVEY_ENOTSUP : 0);
}

static void cancel_one(storm_child *c, storm_dice *d)
{
  if (c->cancel && storm_roll(d, 2)) {
    covey_cancel_fire(c->cancel);
  } else if (storm_roll(d, 8) == 0) {
    cvy_store_seq_u32(&c->cancelled, 1);
    covey_process_cancel(c->process);
  }
}

static void detach_one(storm_child *c)
{
  if (c->family || c->storm->manager) return;
  cvy_store_seq_u32(&c->detached, 1);
  check_code(c, "detach", covey_process_detach(c->process), 0, 0);
}

static void remove_one(storm_child *c)
{
  if (!c->storm->manager) return;
  cvy_store_seq_u32(&c->removed, 1);
  check_code(c, "remove", covey_manager_remove(c->storm->manager, (int64_t)c->pid), COVEY_ENOTFOUND, 0);
}

static void set_on_end(storm_child *c)
{
  bool first;

  uv_mutex_lock(&c->lock);
  first = !c->has_on_end;
  c->has_on_end = true;
  uv_mutex_unlock(&c->lock);
  if (first && covey_process_on_end(c->process, on_end, c) < 0) storm_wrong(c, "on_end");
}

static void ask_manager(storm *s, storm_dice *d, bool inside)
{
  covey_member all[STORM_CHILDREN], one;
  int64_t timeout = storm_roll(d, 10);
  covey_process *p;
  int r;

  if (!s->manager) return;
  switch (storm_roll(d, 4)) {
  case 0:
    r = covey_manager_wait_any(s->manager, timeout, &one);
    if (r == 0) {
      storm_child *c = child_of(s, one.pid);

      if (!one.ended) storm_wrong(c, "wait_any told no end");
      if (one.ended) storm_note_exit(c, &one.exit);
      uv_mutex_lock(&c->lock);
      c->member_told++;
      uv_mutex_unlock(&c->lock);
    } else if (r != COVEY_ETIMEDOUT && r != COVEY_ENOTFOUND && r != COVEY_ECANCELED &&
               !(inside && r == COVEY_EDEADLK)) {
      storm_wrong(&s->children[0], "manager wait_any: %s", covey_errname(r));
    }
    break;
  case 1:
    r = covey_manager_wait_all(s->manager, timeout, all, STORM_CHILDREN);
    if (r < 0) storm_wrong(&s->children[0], "manager wait_all: %s", covey_errname(r));
    for (int i = 0; i < STORM_CHILDREN; i++)
      if (all[i].ended) storm_note_exit(child_of(s, all[i].pid), &all[i].exit);
    break;
  case 2:
    r = covey_manager_get(s->manager, (int64_t)s->children[storm_roll(d, (uint32_t)s->count)].pid, &p);
    if (r == 0) covey_process_close(p);
    break;
  default:
    r = covey_manager_signal_all(s->manager, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER, all, STORM_CHILDREN);
    if (r < 0) storm_wrong(&s->children[0], "signal_all");
  }
}

void storm_call(storm *s, storm_dice *d, bool inside)
{
  storm_child *c = &s->children[storm_roll(d, (uint32_t)s->count)];
  int64_t timeout = storm_roll(d, 2) ? storm_roll(d, 12) : 0;
  covey_usage usage;
  covey_identity who;

  switch (storm_roll(d, 26)) {
  case 0: stop_one(c, d, inside); break;
  case 1: suspend_one(c, true); break;
  case 2:
  case 3: suspend_one(c, false); break;
  case 4: set_on_end(c); break;
  case 5: wait_several(s, timeout, false, inside); break;
  case 6: wait_several(s, timeout, true, inside); break;
  case 7: ask_manager(s, d, inside); break;
  case 8: cancel_one(c, d); break;
  case 9:
    if (c->cancel) covey_cancel_reset(c->cancel);
    break;
  case 10:
    if (test_has_thread_checker()) break; /* it opens files, whose numbers that does not follow */
    check_code(c, "usage", covey_process_usage(c->process, (int)storm_roll(d, 2), &usage), COVEY_ENOTSUP, 0);
    break;
  case 11: check_code(c, "identity", covey_process_identity(c->process, &who), 0, 0); break;
  case 12:
    if (storm_roll(d, 4) == 0) storm_close_input(c);
    break;
  case 13:
  case 14:
    if (!s->place.lent) CHECK_OK(covey_loop_dispatch(s->place.loop));
    break;
  case 15:
  case 16: wait_one(c, timeout, inside); break;
  case 17:
  case 18: storm_write(c, timeout, 1 + storm_roll(d, 70000)); break;
  case 19: storm_read_line(c, timeout); break;
  case 20:
    if (storm_roll(d, 8) == 0) detach_one(c);
    break;
  case 21:
    if (storm_roll(d, 8) == 0) remove_one(c);
    break;
  default: storm_read(c, 1 + (int)storm_roll(d, 2), timeout, 1 + storm_roll(d, 70000));
  }
}

void storm_call_inside(storm_child *c)
{
  if (uv_rwlock_tryrdlock(&c->storm->open)) return;
  storm_call(c->storm, &c->dice, true);
  uv_rwlock_rdunlock(&c->storm->open);
}

/* ---- threads ---- */

typedef struct caller {
  storm *storm;
  uint32_t number;
} caller;

static void call_often(void *arg)
{
  caller *c = arg;
  storm_dice d = storm_seeded(c->storm->seed, c->number);

  for (int i = 0; i < c->storm->calls; i++) storm_call(c->storm, &d, false);
}

/* ---- one storm ---- */

/* Callbacks that have not run by now run here: nobody waits for them. */
static void dispatch_rest(storm *s)
{
  for (int64_t end = test_now() + 5000; test_now() < end;) {
    bool missing = false;

    for (int i = 0; i < s->count; i++) {
      storm_child *c = &s->children[i];

      uv_mutex_lock(&c->lock);
      missing = missing ||
                (!c->abandoned && ((c->has_on_end && !c->end_calls) ||
                                   (s->manager_calls && !c->member_calls && !cvy_load_seq_u32(&c->removed))));
      uv_mutex_unlock(&c->lock);
    }
    if (!missing) return;
    storm_place_turn(&s->place);
  }
}

static void finish(storm *s, storm_dice *d)
{
  covey_member member;
  bool abandoned = false;

  uv_rwlock_wrlock(&s->open);
  for (int i = 0; i < s->count; i++) {
    storm_child *c = &s->children[i];

    c->abandoned = storm_roll(d, 8) == 0;
    abandoned = abandoned || c->abandoned;
    if (c->abandoned && cvy_load_seq_u32(&c->detached)) (void)covey_process_kill(c->process);
    if (c->abandoned)
      covey_process_close(c->process);
    else
      storm_child_finish(s, c, d);
  }
  dispatch_rest(s);
  while (s->manager && covey_manager_wait_any(s->manager, 0, &member) == 0) {
    storm_child *c = child_of(s, member.pid);

    if (s->manager_calls && !c->abandoned) storm_wrong(c, "told by nobody before");
    storm_note_exit(c, &member.exit);
    c->member_told++;
  }
  if (s->manager && !abandoned) CHECK_INT(covey_manager_count(s->manager), 0);
  covey_manager_free(s->manager);
  for (int i = 0; i < s->count; i++) {
    if (s->children[i].abandoned)
      covey_cancel_free(s->children[i].cancel);
    else
      storm_child_check(s, &s->children[i]);
  }
  for (int i = 0; i < s->count; i++)
    if (!test_process_gone((int64_t)s->children[i].pid, TEST_SOON))
      TEST_FAIL("storm of seed %lu: child %d is still there", (unsigned long)s->seed, i);
}

static void rage(uint32_t seed)
{
  static storm s;
  storm_dice d = storm_seeded(seed, 0);
  test_thread *threads[4];
  caller callers[4];
  int count = 1 + (int)storm_roll(&d, 4);

  memset(&s, 0, sizeof s);
  s.seed = seed;
  REQUIRE(uv_rwlock_init(&s.open) == 0);
  s.calls = 10 + (int)storm_roll(&d, 120);
  storm_place_open(&s.place, &d);
  if (storm_roll(&d, 2)) {
    s.manager_calls = storm_roll(&d, 2) == 0;
    REQUIRE_OK(covey_manager_new(&(covey_manager_options){.loop = s.place.loop,
                                                          .flags = COVEY_MANAGER_PLAIN,
                                                          .on_end = s.manager_calls ? member_ended : NULL,
                                                          .user = &s},
                                 &s.manager));
  }
  uv_rwlock_wrlock(&s.open); /* an owner may be in a callback already */
  for (int n = 1 + (int)storm_roll(&d, STORM_CHILDREN); s.count < n; s.count++)
    storm_child_start(&s, s.count, &d);
  uv_rwlock_wrunlock(&s.open);
  for (int i = 0; i < count; i++) {
    callers[i] = (caller){&s, (uint32_t)i + 1};
    threads[i] = test_thread_start(call_often, &callers[i]);
  }
  for (int i = 0; i < count; i++) test_thread_join(threads[i]);
  finish(&s, &d);
  storm_place_close(&s.place);
  storm_place_join(&s.place);
  uv_rwlock_wrunlock(&s.open);
  uv_rwlock_destroy(&s.open);
}

static bool nobody_sleeps(void *arg)
{
  covey_find_options o = {.command = test_format("sleep %lld", STORM_SLEEP + (long long)test_pid())};
  covey_find_result r;
  bool none;

  (void)arg;
  if (covey_find(&o, &r) < 0) return false;
  none = r.count == 0;
  covey_find_free(&r);
  return none;
}

TEST_LIMIT(process_storm, of_all_calls, 300)
{
  const char *seed = getenv("COVEY_STORM_SEED"), *rounds = getenv("COVEY_STORM_ROUNDS");
  uint32_t first = seed ? (uint32_t)strtoul(seed, NULL, 10) : 1;
  int most = rounds ? atoi(rounds) : test_is_long() ? 400 : test_is_windows() ? 6 : 30;

  if (test_is_windows()) {
    storm_make_threads();
    rage(1);
  }
  test_no_child_handles_lost();
  for (int i = 0; i < most && test_failures() == 0; i++) {
    if (rounds) test_log("seed %lu", (unsigned long)first + (unsigned long)i);
    rage(first + (uint32_t)i);
  }
  CHECK(test_wait_until(nobody_sleeps, NULL, TEST_SOON));
}
