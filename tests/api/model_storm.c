/* Random traffic between nodes, judged by a model: whatever several threads do to nodes on every kind of loop, each message has the fate that its sender was
 * told, in the order in which it was sent; each call has one outcome; gaps are told exactly; nobody waits beyond his deadline; nothing is left.
 * COVEY_SEED=n plays one round again (the order of threads is the system's); each round logs its own when it fails. */
#include "model_storm.h"

#include "core/fault.h"
#include "support/model.h"

/* ---- lives ---- */

static void slot_open(storm *s, slot *at)
{
  covey_node_options o = {.window = 65536, .max_memory = 4 << 20};
  site_open(at->site, &o);
  uv_mutex_lock(&s->lock);
  at->life = ++s->lives;
  uv_mutex_unlock(&s->lock);
  memset(at->last, 0, sizeof at->last);
  covey_node *node = at->site->node;
  for (int g = 0; g < GROUPS; g++) REQUIRE_OK(covey_group_open(node, storm_names[g], &storm_kinds[g]));
  REQUIRE_OK(covey_group_on_message(node, storm_names[CALLED], storm_on_called, at));
  REQUIRE_OK(covey_serve(node, "echo", storm_on_request, NULL));
  site_let_in(at->site);
}

static void close_and_open(worker *w, slot *at)
{
  storm *s = w->s;
  int r;
  uv_mutex_lock(&s->lock);
  bool last = s->lives + SITES >= LIVES;
  uv_mutex_unlock(&s->lock);
  if (last || !site_close(at->site, storm_pick(w, 3) ? 20000 : storm_pick(w, 30), &r)) return;
  uv_mutex_lock(&s->lock);
  if (r > 0) s->in_doubt[at->life] = r;
  uv_mutex_unlock(&s->lock);
  slot_open(s, at);
}

static void close_group(slot *at)
{
  site_expected(covey_group_close(at->site->node, storm_names[NARROW]), "close of a group");
  int r = covey_group_open(at->site->node, storm_names[NARROW], &storm_kinds[NARROW]);
  if (r != COVEY_EEXIST) site_expected(r, "open"); /* a receive was faster */
}

static void one_thing(worker *w)
{
  storm *s = w->s;
  slot *a = &s->slots[storm_pick(w, SITES)], *b = &s->slots[storm_pick(w, SITES)];
  uint32_t what = storm_pick(w, 1000);
  if (s->closes && what < 3) {
    close_and_open(w, a);
    return;
  }
  if (what < 10) covey_cancel_fire(s->workers[storm_pick(w, (uint32_t)s->threads)].cancel);
  if (what < 40) covey_cancel_reset(w->cancel);
  if (!site_enter(a->site)) return;
  if (s->closes && what < 8)
    close_group(a);
  else
    storm_act(w, a, b, what);
  site_leave(a->site);
}

static void work(void *arg)
{
  worker *w = arg;
  while (!test_add(&w->s->stop, 0) && !test_failures()) one_thing(w);
}

/* ---- a round ---- */

static storm *begin(uint64_t seed)
{
  storm *s = calloc(1, sizeof *s);
  uint64_t r = seed;
  uv_mutex_init(&s->lock);
  s->threads = 2 + (int)(model_random(&r) % (THREADS - 1));
  bool cut = cvy_fault_limited(SIZE_MAX) < SIZE_MAX;
  s->quiet = cut ? 400 : 200;
  s->closes = model_random(&r) % 3 != 0;
  s->largest = model_random(&r) % 2 && !cut ? LARGEST - (uint32_t)sizeof(head) : 30000;
  sites_begin(&s->sites, 'm');
  for (int i = 0; i < SITES; i++) {
    slot *at = &s->slots[i];
    at->site = &s->sites.at[i];
    for (int g = 0; g < GROUPS; g++) uv_mutex_init(&at->rx[g]);
    slot_open(s, at);
  }
  for (int i = 0; i < s->threads; i++) {
    worker *w = &s->workers[i];
    *w = (worker){
        .s = s, .number = i, .seed = seed * 1000003 + (uint64_t)i + 1, .data = calloc(MANY, LARGEST)};
    REQUIRE_OK(covey_cancel_new(&w->cancel));
  }
  return s;
}

/* What waits comes out; what has no callback waits for us. */
static void drain(storm *s, slot *at)
{
  covey_message m;
  for (int g = 0; g < GROUPS; g++)
    CHECK_OK(covey_group_on_message(at->site->node, storm_names[g], NULL, NULL));
  for (int64_t until = test_now() + SLACK;
       covey_receive(at->site->node, COVEY_ANY_GROUP, s->quiet, &m) == 0;) {
    storm_judge(s, at, &m, strcmp(m.group, storm_names[CALLED]) != 0);
    covey_message_free(&m);
    if (test_now() > until && test_failures()) return;
  }
}

static void finale(storm *s)
{
  for (int g = NEW; g <= OLD; g++) { /* tells the last gaps */
    for (int i = 0; i < SITES * SITES; i++) {
      slot *from = &s->slots[i / SITES], *to = &s->slots[i % SITES];
      head h = {.magic = MAGIC};
      covey_buffer b = {&h, sizeof h};
      covey_send_options o = {.name = to->site->name, .group = storm_names[g], .timeout = SLACK};
      h.index = storm_note(&s->workers[0], from, to, g, 0, &b, 1);
      if (h.index == LEDGER) return;
      CHECK_OK(covey_message_send(from->site->node, &o, &b, 1, NULL));
      storm_set_fate(s, h.index, SENT, false);
    }
    for (int i = 0; i < SITES; i++) drain(s, &s->slots[i]);
  }
}

static void check_all(storm *s)
{
  int64_t gaps[SITES][GROUPS] = {0};
  for (uint32_t i = 0; i < s->used; i++) {
    const entry *e = &s->ledger[i];
    const slot *to = &s->slots[e->to];
    bool drops = e->group == NEW || e->group == OLD;
    /* a message may meet a group that is closed just then, and its sender has not heard it */
    bool same = e->to_life == to->life && (e->group != NARROW || !s->closes);
    if (e->received && e->fate == NOTHING) TEST_FAIL("%u came, and was told not to have gone", (unsigned)i);
    if (e->consumed && !e->received) TEST_FAIL("%u was told to be consumed, and was not", (unsigned)i);
    if (drops && e->fate == MAYBE && !e->received) gaps[e->to][e->group] = INT64_MIN / 2;
    if (drops && e->fate == SENT) gaps[e->to][e->group] += !e->received;
    if (e->fate == SENT && !e->received && same && !drops && --s->in_doubt[e->from_life] < 0)
      TEST_FAIL("%u of life %u was sent to %s of life %u (%u bytes, level %d), and did not come", (unsigned)i,
                e->from_life, storm_names[e->group], e->to_life, (unsigned)e->size, e->consumed);
  }
  for (int i = 0; !s->closes && i < SITES; i++) {
    for (int g = NEW; g <= OLD; g++)
      if (gaps[i][g] >= 0 && gaps[i][g] != s->slots[i].lost[g])
        TEST_FAIL("%s of node %d: %" PRId64 " are missing, %" PRId64 " were told", storm_names[g], i,
                  gaps[i][g], s->slots[i].lost[g]);
  }
}

static void end(storm *s)
{
  covey_statistics all;
  for (int i = 0; i < s->threads; i++) {
    worker *w = &s->workers[i];
    for (int k = 0; k < 4; k++) covey_call_close(w->pending[k]);
    covey_cancel_free(w->cancel);
    free(w->data);
  }
  for (int i = 0; i < SITES; i++) {
    CHECK_OK(covey_node_statistics(s->slots[i].site->node, &all));
    CHECK_UINT(all.broken, 0);
    CHECK(all.memory <= 4 << 20);
    int r = 0;
    CHECK(site_close(s->slots[i].site, SLACK, &r));
    CHECK(s->closes ? r >= 0 : r == 0); /* what waited in others that were closed is in doubt */
    s->in_doubt[s->slots[i].life] = r;
  }
  if (!test_failures()) check_all(s);
  sites_end(&s->sites);
  free(s);
}

static void play(uint64_t seed)
{
  storm *s = begin(seed);
  for (int i = 0; i < s->threads; i++) s->workers[i].thread = test_thread_start(work, &s->workers[i]);
  int64_t until = test_now() + ROUND_MS;
  while (test_now() < until && !test_failures()) test_pause(20);
  test_add(&s->stop, 1);
  for (int i = 0; i < s->threads; i++) test_thread_join(s->workers[i].thread);
  for (int i = 0; i < SITES; i++) drain(s, &s->slots[i]);
  finale(s);
  test_log("seed %" PRIu64 ": %d threads%s, %u messages: %" PRId64 " sent, %" PRId64 " not, %" PRId64
           " perhaps; %u lives, %" PRId64 " of %" PRId64 " calls told",
           seed, s->threads, s->closes ? ", closes" : "", (unsigned)s->used, test_add(&s->fates[SENT], 0),
           test_add(&s->fates[NOTHING], 0), test_add(&s->fates[MAYBE], 0), (unsigned)s->lives,
           test_add(&s->done, 0), test_add(&s->calls, 0));
  CHECK(test_add(&s->done, 0) <= test_add(&s->calls, 0));
  end(s);
}

TEST_LIMIT(model_storm, anything, 300)
{
  sites_rounds(play, 1);
}

TEST_LIMIT(model_storm, anything_in_small_pieces, 300)
{
  cvy_fault_limit(61);
  sites_rounds(play, 1001);
}

TEST_LIMIT(model_storm, anything_under_signals, 300)
{
  test_interrupt(true);
  sites_rounds(play, 2001);
  test_interrupt(false);
}
