#include "model_storm.h"

#include "support/model.h"

const char *const storm_names[GROUPS] = {"block", "narrow", "new", "old", "called"};
const covey_group_options storm_kinds[GROUPS] = {{0},
                                                 {.max_count = 4, .max_bytes = 8192, .priorities = 1},
                                                 {.max_bytes = 16384, .full = COVEY_FULL_DROP_NEW},
                                                 {.max_bytes = 16384, .full = COVEY_FULL_DROP_OLD},
                                                 {0}};

uint32_t storm_pick(worker *w, uint32_t below)
{
  return model_random(&w->seed) % below;
}

/* ---- what arrives ---- */

void storm_judge(storm *s, slot *at, const covey_message *m, bool in_order)
{
  head h;
  if (m->size < sizeof h) {
    TEST_FAIL("%zu bytes in %s", m->size, m->group);
    return;
  }
  memcpy(&h, m->data, sizeof h);
  bool known = h.magic == MAGIC && h.index < LEDGER;
  bool whole = known && test_is_pattern((const char *)m->data + sizeof h, m->size - sizeof h, h.index);
  uv_mutex_lock(&s->lock);
  entry *e = known && h.index < s->used ? &s->ledger[h.index] : NULL;
  if (!e || !whole || e->size != m->size || &s->slots[e->to] != at ||
      strcmp(storm_names[e->group], m->group) != 0) {
    uv_mutex_unlock(&s->lock);
    TEST_FAIL("not what was sent: %u, %zu bytes in %s", (unsigned)h.index, m->size, m->group);
    return;
  }
  at->lost[e->group] += (int64_t)m->lost;
  bool again = e->received++ != 0;
  uint32_t *last = &at->last[e->thread][e->from_life][e->group][e->priority];
  uint32_t before = *last;
  if (in_order) *last = h.index + 1;
  int fate = e->fate, group = e->group;
  uv_mutex_unlock(&s->lock);
  if (again) TEST_FAIL("%u came twice", (unsigned)h.index);
  if (fate == NOTHING) TEST_FAIL("%u came, and was told not to have gone", (unsigned)h.index);
  if (in_order && before > h.index)
    TEST_FAIL("%u behind %u in %s", (unsigned)h.index, before - 1, storm_names[group]);
}

void storm_on_called(covey_message *m, void *arg)
{
  slot *at = arg;
  storm *s = (storm *)((char *)(at - (at->site->name[1] - '0')) - offsetof(storm, slots));
  storm_judge(s, at, m, false);
}

/* ---- messages ---- */

uint32_t storm_note(worker *w, const slot *from, const slot *to, int group, int priority,
                    const covey_buffer *b, size_t count)
{
  storm *s = w->s;
  uv_mutex_lock(&s->lock);
  uint32_t first = s->used + count <= LEDGER ? s->used : LEDGER;
  for (uint32_t i = 0; first < LEDGER && i < count; i++) {
    entry *e = &s->ledger[s->used++];
    *e = (entry){.group = (uint8_t)group, .thread = (uint8_t)w->number, .priority = (uint8_t)priority};
    e->to = (uint8_t)(to - s->slots);
    e->from_life = from->life;
    e->to_life = to->life;
    e->size = (uint32_t)b[i].size;
  }
  uv_mutex_unlock(&s->lock);
  return first;
}

void storm_set_fate(storm *s, uint32_t index, enum fate fate, bool consumed)
{
  uv_mutex_lock(&s->lock);
  s->ledger[index].fate = (uint8_t)fate;
  s->ledger[index].consumed = consumed;
  if (fate == NOTHING && s->ledger[index].received)
    TEST_FAIL("%u went, and was told not to", (unsigned)index);
  uv_mutex_unlock(&s->lock);
  test_add(&s->fates[fate], 1);
}

static void send_some(worker *w, slot *from, slot *to)
{
  static const int64_t timeouts[] = {0, 0, 1, 5, 40};
  covey_buffer b[MANY];
  storm *s = w->s;
  size_t count = storm_pick(w, 4) == 0 ? 1 + storm_pick(w, MANY) : 1;
  int group = (int)storm_pick(w, GROUPS), priority = (int)storm_pick(w, PRIORITIES), r;
  int64_t timeout = timeouts[storm_pick(w, 5)], began = test_now();
  uint32_t most = storm_pick(w, 10) == 0 ? s->largest : storm_pick(w, 3) == 0 ? 6000 : 200;
  covey_send_options o = {
      .name = to->site->name, .group = storm_names[group], .priority = priority, .timeout = timeout};
  if (!timeout) o.flags = COVEY_SEND_TRY;
  if (storm_pick(w, 8) == 0) o.cancel = w->cancel;
  if (storm_pick(w, 6) == 0 && group != OLD && group != NEW) o.level = COVEY_LEVEL_CONSUMED;
  for (size_t i = 0; i < count; i++)
    b[i] = (covey_buffer){w->data + i * LARGEST, sizeof(head) + storm_pick(w, most)};
  uint32_t first = storm_note(w, from, to, group, priority, b, count);
  if (first == LEDGER) return;
  for (size_t i = 0; i < count; i++) {
    head h = {MAGIC, first + (uint32_t)i};
    char *at = w->data + i * LARGEST;
    memcpy(at, &h, sizeof h);
    test_make_pattern(at + sizeof h, b[i].size - sizeof h, h.index);
  }
  if (count == 1)
    r = covey_message_send(from->site->node, &o, b, 1, NULL);
  else
    r = covey_send_many(from->site->node, &o, b, count);
  site_in_time(began, timeout, "send");
  site_expected(r, "send");
  size_t went = r < 0 ? 0 : count == 1 ? 1 : (size_t)r;
  int reached = covey_last_failure()->reached;
  for (size_t i = 0; i < count; i++) {
    bool maybe = i >= went && reached != COVEY_FAR_NOTHING;
    storm_set_fate(s, first + (uint32_t)i, i < went ? SENT : maybe ? MAYBE : NOTHING, i < went && o.level);
  }
}

static void receive_some(worker *w, slot *at)
{
  covey_message m[MANY];
  storm *s = w->s;
  int group = (int)storm_pick(w, CALLED), r; /* the last one has a callback */
  int64_t timeout = storm_pick(w, 3) ? 0 : storm_pick(w, 30), began = test_now();
  covey_receive_options o = {.group = storm_names[group], .timeout = timeout};
  if (!timeout) o.flags = COVEY_RECEIVE_TRY;
  if (storm_pick(w, 8) == 0) o.cancel = w->cancel;
  bool any = storm_pick(w, 5) == 0;
  if (any) o.group = COVEY_ANY_GROUP;
  for (int g = 0; g < CALLED; g++)
    if (any || g == group) uv_mutex_lock(&at->rx[g]);
  int way = (int)storm_pick(w, 3);
  if (any || group == NEW || group == OLD)
    way = 1 + way % 2; /* covey_receive_into tells neither group nor gap */
  if (way == 0) {
    covey_message one = {.group = storm_names[group]};
    r = covey_receive_into(at->site->node, &o, w->data, LARGEST + 100, NULL);
    one.data = w->data;
    one.size = (size_t)r;
    if (r >= 0) storm_judge(s, at, &one, true);
  } else {
    r = covey_receive_many(at->site->node, &o, m, way == 1 ? 1 : MANY);
    for (int i = 0; i < r; i++) {
      storm_judge(s, at, &m[i], true);
      covey_message_free(&m[i]);
    }
  }
  for (int g = 0; g < CALLED; g++)
    if (any || g == group) uv_mutex_unlock(&at->rx[g]);
  site_in_time(began, timeout + 30 * THREADS, "receive");
  site_expected(r, "receive");
}

/* ---- calls ---- */

/* Echoes; forgets one in eight. */
void storm_on_request(covey_request *q, void *arg)
{
  (void)arg;
  if (q->size && ((const unsigned char *)q->data)[0] % 8 == 0) return;
  site_expected(covey_call_reply(q, (int32_t)q->size, q->data, q->size), "reply");
}

static void check_reply(int r, covey_reply *reply, const covey_buffer *b)
{
  site_expected(r, "call");
  if (r < 0) return;
  if (reply->status != (int32_t)b->size || reply->size != b->size ||
      memcmp(reply->data, b->data, b->size) != 0)
    TEST_FAIL("a reply to another request");
  covey_reply_free(reply);
}

static void on_done(covey_pending *p, void *arg)
{
  (void)p;
  test_add(arg, 1);
}

static void call_one(worker *w, slot *from, slot *to)
{
  covey_reply reply = {0};
  covey_buffer b = {w->data, 1 + storm_pick(w, storm_pick(w, 9) ? 100 : 20000)};
  int64_t timeout = 1 + storm_pick(w, 60), began = test_now();
  covey_call_options o = {
      .name = to->site->name, .function = storm_pick(w, 2) ? "echo" : "work", .timeout = timeout};
  test_make_pattern(w->data, b.size, storm_pick(w, 250));
  if (storm_pick(w, 8) == 0) o.cancel = w->cancel;
  if (storm_pick(w, 2)) {
    check_reply(covey_call_run(from->site->node, &o, &b, 1, &reply), &reply, &b);
    site_in_time(began, timeout, "call");
    return;
  }
  covey_pending **p = &w->pending[storm_pick(w, 4)];
  covey_call_close(*p);
  *p = NULL;
  if (storm_pick(w, 2)) {
    o.on_done = on_done;
    o.arg = &w->s->done;
  }
  int r = covey_call_start(from->site->node, &o, &b, 1, p);
  site_in_time(began, timeout, "start");
  site_expected(r, "start");
  if (r < 0) *p = NULL;
  if (r == 0) test_add(&w->s->calls, 1);
}

static void look_after_calls(worker *w)
{
  covey_reply reply = {0};
  covey_pending **p = &w->pending[storm_pick(w, 4)];
  int64_t timeout = storm_pick(w, 20), began = test_now();
  if (!*p) return;
  if (storm_pick(w, 4) == 0) covey_call_cancel(*p);
  int r = covey_call_wait(*p, timeout, &reply);
  site_in_time(began, timeout, "wait");
  if (r == 0) covey_reply_free(&reply);
  if (r != COVEY_EINVAL) site_expected(r, "wait"); /* EINVAL: it was told before */
}

/* Serves one of "work", perhaps by a call of our own, perhaps not at all. */
static void serve_one(worker *w, slot *at, slot *other)
{
  covey_request q;
  int64_t timeout = storm_pick(w, 3) ? 0 : storm_pick(w, 20), began = test_now();
  int r = covey_call_receive(at->site->node, "work", timeout, &q);
  site_in_time(began, timeout, "serve");
  site_expected(r, "serve");
  if (r < 0) return;
  if (storm_pick(w, 3) == 0 && site_enter(other->site)) { /* its request's bytes are ours to send on */
    covey_reply reply = {0};
    covey_buffer b = {q.data, q.size};
    covey_call_options o = {.name = at->site->name, .function = "echo", .timeout = 1 + storm_pick(w, 20)};
    check_reply(covey_call_run(other->site->node, &o, &b, 1, &reply), &reply, &b);
    site_leave(other->site);
  }
  if (storm_pick(w, 6)) site_expected(covey_call_reply(&q, (int32_t)q.size, q.data, q.size), "reply");
  covey_request_free(&q);
}

void storm_act(worker *w, slot *a, slot *b, uint32_t what)
{
  if (what < 380)
    send_some(w, a, b);
  else if (what < 800)
    receive_some(w, a);
  else if (what < 880)
    call_one(w, a, b);
  else if (what < 930)
    serve_one(w, a, b);
  else
    look_after_calls(w);
}
