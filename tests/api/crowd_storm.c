/* Everything on one loop that one thread turns, by callbacks alone: nodes, groups, channels, topics, calls, processes, managers and signals, which open and
 * close each other in their callbacks, while other threads talk to them at full speed. The loop is lent, or dispatched, often or rarely. What was closed is
 * never called again; nobody who waits waits longer than he said; nothing is left.
 * COVEY_SEED=n plays one round again (the order of threads is the system's); COVEY_ROUNDS=n plays so many. */
#include "crowd_storm.h"
#include "signal_words.h"
#include "storm.h"

#include "core/atomics.h"
#include "support/model.h"

uint32_t crowd_pick(uint64_t *seed, uint32_t below)
{
  return model_random(seed) % below;
}

/* ---- things ---- */

thing *crowd_new(crowd *c, int kind)
{
  thing *t = NULL;
  for (int i = 0; i < THINGS && !t; i++)
    if (!c->things[i]) t = c->things[i] = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->crowd = c;
  t->kind = kind;
  t->older = c->all; /* until the end of the round: who is called late finds it */
  c->all = t;
  return t;
}

void crowd_drop(thing *t)
{
  crowd *c = t->crowd;
  t->open = false;
  for (int i = 0; i < THINGS; i++)
    if (c->things[i] == t) c->things[i] = NULL;
}

bool crowd_called(thing *t)
{
  t->crowd->callbacks++;
  if (!t->open)
    TEST_FAIL("seed %" PRIu64 ": a thing of kind %d was called after its close", t->crowd->seed, t->kind);
  return t->open;
}

/* ---- the thread of the loop ---- */

static void on_tick(uv_timer_t *timer)
{
  crowd *c = timer->data;
  crowd_act(c);
  crowd_act(c);
  if (cvy_load_seq_u32(&c->over)) uv_close((uv_handle_t *)timer, NULL); /* the last act */
}

static void turn_lent(crowd *c)
{
  REQUIRE(uv_timer_init(&c->uv, &c->tick) == 0);
  c->tick.data = c;
  uv_timer_start(&c->tick, on_tick, 1, 1);
  while (!uv_is_closing((uv_handle_t *)&c->tick)) uv_run(&c->uv, UV_RUN_ONCE);
}

static void turn_dispatched(crowd *c)
{
  covey_native handle;
  if (c->way == WAY_HANDLE) REQUIRE_OK(covey_loop_handle(c->loop, &handle));
  while (!cvy_load_seq_u32(&c->over)) {
    if (c->way == WAY_HANDLE)
      (void)test_handle_ready(handle, 2);
    else
      test_pause(c->way == WAY_RARE ? 200 : 1);
    CHECK_OK(covey_loop_dispatch(c->loop));
    for (int i = c->way == WAY_RARE ? 20 : 2; i > 0; i--) crowd_act(c);
  }
}

static void own(void *arg)
{
  crowd *c = arg;
  if (c->way == WAY_LENT) {
    REQUIRE(uv_loop_init(&c->uv) == 0);
    REQUIRE_OK(covey_loop_attach(&c->uv, uv_version(), &c->loop));
  } else {
    REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &c->loop));
  }
  for (int i = 0; i < NODES; i++) crowd_open_node(c, i);
  for (int i = 0; i < 2 * THINGS; i++) crowd_act(c);
  cvy_store_seq_u32(&c->ready, 1);
  if (c->way == WAY_LENT)
    turn_lent(c);
  else
    turn_dispatched(c);
  /* the loop is closed first, last, or in between */
  bool closed = false;
  for (int i = 0; i < THINGS; i++) {
    if (!closed && crowd_pick(&c->dice, 40) == 0) {
      closed = true;
      covey_loop_close(c->loop);
    }
    if (c->things[i]) crowd_close(c->things[i]);
  }
  for (int i = 0; i < NODES; i++) crowd_close_node(c, i);
  if (!closed) covey_loop_close(c->loop);
  if (c->way != WAY_LENT) return;
  CHECK_INT(uv_run(&c->uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&c->uv), 0);
}

/* ---- a round ---- */

static bool is_ready(void *arg)
{
  return cvy_load_seq_u32(&((crowd *)arg)->ready) != 0;
}

static void play(uint64_t seed)
{
  static crowd c;
  talker talkers[TALKERS];
  memset(&c, 0, sizeof c);
  c.seed = c.dice = seed;
  (void)model_random(&c.dice);
  c.way = (int)(seed % WAYS);
  (void)snprintf(c.topic, sizeof c.topic, "topic");
  for (int i = 0; i < NODES; i++) {
    REQUIRE(uv_mutex_init(&c.sites[i].lock) == 0);
    (void)snprintf(c.sites[i].name, sizeof c.sites[i].name, "c%d-%" PRId64 "-%" PRIu64, i, test_pid(), seed);
  }
  (void)snprintf(c.them, sizeof c.them, "them-%" PRId64 "-%" PRIu64, test_pid(), seed);
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = c.them, .window = 65536}, &c.others));
  covey_signals *signals = NULL; /* while there is one the signal ends nobody */
  if (!test_is_windows())
    REQUIRE_OK(covey_signals_open(&(covey_signals_options){SIGNAL_SET(COVEY_SIGNAL_USR1)}, &signals));
  c.owner = test_thread_start(own, &c);
  REQUIRE(test_wait_until(is_ready, &c, TEST_SOON));
  for (int i = 0; i < TALKERS; i++) {
    talkers[i] = (talker){.crowd = &c, .number = i, .dice = seed * 31 + (uint64_t)i + 1};
    talkers[i].thread = test_thread_start(crowd_talk, &talkers[i]);
  }
  int64_t until = test_now() + (c.way == WAY_RARE ? 2000 : ROUND_MS);
  while (test_now() < until && !test_failures()) test_pause(20);
  cvy_store_seq_u32(&c.stop, 1);
  for (int i = 0; i < TALKERS; i++) test_thread_join(talkers[i].thread);
  cvy_store_seq_u32(&c.over, 1);
  test_thread_join(c.owner);
  CHECK(covey_node_close(c.others, SLACK) >= 0);
  covey_signals_close(signals);
  test_log("seed %" PRIu64 ", way %d: %d callbacks, %d acts, %d nodes; %u words sent, %u calls, %u channels",
           seed, c.way, c.callbacks, c.acts, c.lives, (unsigned)cvy_load_seq_u32(&c.sent),
           (unsigned)cvy_load_seq_u32(&c.called), (unsigned)cvy_load_seq_u32(&c.opened));
  for (thing *t = c.all, *older; t; t = older) {
    older = t->older;
    free(t);
  }
  for (int i = 0; i < NODES; i++) uv_mutex_destroy(&c.sites[i].lock);
}

TEST_LIMIT(crowd_storm, anything, 300)
{
  if (test_is_windows()) storm_make_threads();
  play(1); /* what the system keeps */
  test_no_child_handles_lost();
  sites_rounds(play, 1);
}
