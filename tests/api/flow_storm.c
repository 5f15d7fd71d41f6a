/* Random traffic of channels, topics, calls and handles between nodes on every kind of loop, judged by a model: each message of a channel comes in order and is
 * counted by the close of its sender; each gap of a topic is told exactly; each call has one outcome, and is served at most once; nothing is left.
 * COVEY_SEED=n plays one round again (the order of threads is the system's); COVEY_ROUNDS=n plays so many. */
#include "flow_storm.h"

#include "core/fault.h"
#include "support/model.h"

uint32_t flow_pick(worker *w, uint32_t below)
{
  return model_random(&w->seed) % below;
}

int64_t flow_wait(worker *w, uint32_t below)
{
  return flow_pick(w, 4) ? 0 : flow_pick(w, below);
}

site *flow_site(worker *w)
{
  return &w->s->sites.at[flow_pick(w, SITES)];
}

bool flow_goes_on(const worker *w)
{
  return !test_add(&w->s->stop, 0) && !test_failures();
}

size_t flow_fill(worker *w, uint32_t whose, uint32_t part, uint32_t number)
{
  words head = {MAGIC, whose, part, number};
  size_t size = flow_pick(w, flow_pick(w, 12) ? flow_pick(w, 4) ? 200 : 8000 : w->s->largest);
  memcpy(w->data, &head, sizeof head);
  test_make_pattern(w->data + sizeof head, size, number);
  return sizeof head + size;
}

bool flow_is_whole(const void *data, size_t size, words *ret)
{
  if (size >= sizeof *ret) memcpy(ret, data, sizeof *ret);
  bool whole = size >= sizeof *ret && ret->magic == MAGIC &&
               test_is_pattern((const char *)data + sizeof *ret, size - sizeof *ret, ret->number);
  if (!whole) TEST_FAIL("%zu bytes that nobody has sent", size);
  return whole;
}

/* ---- lives ---- */

static void open_site(site *at)
{
  covey_node_options o = {.window = 65536, .max_memory = 4 << 20};
  site_open(at, &o);
  REQUIRE_OK(covey_group_open(at->node, "handles", &(covey_group_options){.handles = 1, .max_count = 4}));
  site_let_in(at);
}

static void close_one(worker *w)
{
  int r;
  site *at = flow_site(w);
  if (site_close(at, flow_pick(w, 3) ? SLACK : flow_pick(w, 30), &r)) open_site(at);
}

static void work(void *arg)
{
  static void (*const all[])(worker *) = {flow_open, flow_accept, flow_publish, flow_listen,
                                          flow_call, flow_serve,  flow_give,    flow_take};
  static const int usual[WORKERS] = {0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 7};
  worker *w = arg;
  int number = usual[w->seed % WORKERS];
  while (flow_goes_on(w)) {
    uint32_t what = flow_pick(w, 1000);
    if (what < 60) covey_cancel_fire(w->cancel);
    if (what < 300) covey_cancel_reset(w->cancel);
    if (w->s->closes && what > 998) close_one(w);
    all[what % 4 ? number : (int)flow_pick(w, 8)](w);
  }
}

/* ---- a round ---- */

static flow *begin(uint64_t seed)
{
  flow *s = calloc(1, sizeof *s);
  uint64_t r = seed;
  s->closes = model_random(&r) % 2;
  s->largest =
      model_random(&r) % 2 && cvy_fault_limited(SIZE_MAX) == SIZE_MAX ? LARGEST - sizeof(words) : 20000;
  s->talks = calloc(TALKS, sizeof *s->talks);
  s->editions = calloc(EDITIONS, sizeof *s->editions);
  s->readings = calloc(EDITIONS, sizeof *s->readings);
  s->served = calloc(CALLS, 1);
  uv_mutex_init(&s->lock);
  sites_begin(&s->sites, 'f');
  for (int i = 0; i < SITES; i++) open_site(&s->sites.at[i]);
  return s;
}

static void end(flow *s)
{
  covey_statistics all;
  for (int i = 0; i < SITES; i++) {
    int r;
    CHECK_OK(covey_node_statistics(s->sites.at[i].node, &all));
    CHECK_UINT(all.broken, 0);
    CHECK(all.memory <= 4 << 20);
    CHECK(site_close(&s->sites.at[i], SLACK, &r));
  }
  sites_end(&s->sites);
  if (!test_failures()) {
    flow_judge_talks(s);
    flow_judge_topics(s);
  }
  uv_mutex_destroy(&s->lock);
  free(s->talks);
  free(s->editions);
  free(s->readings);
  free(s->served);
  free(s);
}

static void play(uint64_t seed)
{
  static worker workers[WORKERS];
  flow *s = begin(seed);
  for (int i = 0; i < WORKERS; i++) {
    worker *w = &workers[i];
    *w = (worker){
        .s = s, .seed = (seed * 1000003 + 1) * WORKERS + (uint64_t)i, .data = calloc(1, LARGEST + 64)};
    REQUIRE_OK(covey_cancel_new(&w->cancel));
  }
  for (int i = 0; i < WORKERS; i++) workers[i].thread = test_thread_start(work, &workers[i]);
  int64_t until = test_now() + ROUND_MS;
  while (test_now() < until && !test_failures()) test_pause(20);
  test_add(&s->stop, 1);
  for (int i = 0; i < WORKERS; i++) {
    test_thread_join(workers[i].thread);
    covey_cancel_free(workers[i].cancel);
    free(workers[i].data);
  }
  test_log("seed %" PRIu64 "%s: %u channels (%" PRId64 " accepted), %" PRId64 " messages; %u topics, %" PRId64
           " read; %u calls, %" PRId64 " answered; %" PRId64 " handles",
           seed, s->closes ? ", closes" : "", (unsigned)s->talk_count, test_add(&s->accepted, 0),
           test_add(&s->heard, 0), (unsigned)s->edition_count, test_add(&s->read, 0), (unsigned)s->call_count,
           test_add(&s->calls, 0), test_add(&s->handles, 0));
  end(s);
}

TEST_LIMIT(flow_storm, anything, 300)
{
  sites_rounds(play, 1);
}

TEST_LIMIT(flow_storm, anything_in_small_pieces, 300)
{
  cvy_fault_limit(61);
  sites_rounds(play, 1001);
}

TEST_LIMIT(flow_storm, anything_under_signals, 300)
{
  test_interrupt(true);
  sites_rounds(play, 2001);
  test_interrupt(false);
}
