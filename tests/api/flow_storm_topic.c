/* Topics of flow_storm.c. */
#include "flow_storm.h"

static covey_topic *open_topic(worker *w, site *at, edition *e)
{
  covey_topic *t = NULL;
  covey_topic_options o = {.slow = e->slow, .keep_last = (int32_t)flow_pick(w, 2)};
  char name[8];
  if (flow_pick(w, 2)) o.max_bytes = 4096 + flow_pick(w, 60000);
  if (flow_pick(w, 8) == 0) o.max_subscribers = 1;
  snprintf(name, sizeof name, "t%u", (unsigned)flow_pick(w, TOPICS));
  if (!site_enter(at)) return NULL;
  int r = covey_topic_open(at->node, name, &o, &t);
  site_leave(at);
  if (r != COVEY_EEXIST) site_expected(r, "open of a topic");
  return r < 0 ? NULL : t;
}

void flow_publish(worker *w)
{
  flow *s = w->s;
  site *at = flow_site(w);
  uv_mutex_lock(&s->lock);
  uint32_t whose = s->edition_count < EDITIONS ? s->edition_count++ : EDITIONS;
  uv_mutex_unlock(&s->lock);
  if (whose == EDITIONS) return;
  edition *e = &s->editions[whose];
  e->slow = (int)flow_pick(w, 4);
  covey_topic *t = open_topic(w, at, e);
  if (!t) return;
  if (flow_pick(w, 2)) site_expected(covey_topic_wait(t, 1, flow_pick(w, 30)), "wait for a subscriber");
  for (uint32_t i = flow_pick(w, 300); i && flow_goes_on(w); i--) {
    size_t size = flow_fill(w, whose, 0, (uint32_t)e->count);
    int64_t timeout = 1 + flow_pick(w, 5), began = test_now();
    covey_publish_options o = {.timeout = timeout, .cancel = flow_pick(w, 6) ? NULL : w->cancel};
    covey_buffer b = {w->data, size};
    int r = flow_pick(w, 2) ? covey_publish(t, w->data, size, timeout) : covey_topic_publish(t, &o, &b, 1);
    bool counts = r >= 0 || covey_last_failure()->reached != COVEY_FAR_NOTHING;
    site_in_time(began, timeout, "publish");
    site_expected(r, "publish");
    e->count += counts;
    if (r == COVEY_ECLOSED) break;
    if (flow_pick(w, 10) == 0) test_pause(flow_pick(w, 3));
  }
  covey_topic_close(t);
}

/* What one subscription has told by now. */
typedef struct ear {
  reading is;
  int64_t next; /* number */
  bool began;
} ear;

static void hear(flow *s, ear *e, const covey_message *m)
{
  words head;
  if (!flow_is_whole(m->data, m->size, &head)) return;
  if (!e->began) {
    e->is.edition = head.whose;
    e->is.first = e->next = (int64_t)head.number - (int64_t)m->lost;
    e->began = true;
  }
  if (head.whose != e->is.edition)
    TEST_FAIL("topic %u: a message of %u", (unsigned)e->is.edition, (unsigned)head.whose);
  else if ((int64_t)head.number != e->next + (int64_t)m->lost)
    TEST_FAIL("topic %u: %u behind %" PRId64 ", %" PRIu64 " told as lost", (unsigned)head.whose,
              (unsigned)head.number, e->next - 1, m->lost);
  if (e->is.got && m->kind != COVEY_KIND_PUBLISHED) TEST_FAIL("kind %d", (int)m->kind);
  e->next = (int64_t)head.number + 1;
  e->is.got++;
  test_add(&s->read, 1);
}

static void read_on(worker *w, covey_subscription *sub, ear *e)
{
  int r = 0;
  for (uint32_t i = flow_pick(w, 400); r == 0 && i && flow_goes_on(w); i--) {
    covey_message m;
    int64_t timeout = flow_wait(w, 10), began = test_now();
    covey_receive_options o = {.timeout = 1 + timeout, .cancel = flow_pick(w, 6) ? NULL : w->cancel};
    r = flow_pick(w, 2) ? covey_topic_receive(sub, &o, &m) : covey_topic_next(sub, timeout, &m);
    site_in_time(began, timeout, "next of a topic");
    site_expected(r, "next of a topic");
    if (r == 0) {
      hear(w->s, e, &m);
      covey_message_free(&m);
    }
    if (r == COVEY_ETIMEDOUT || r == COVEY_ECANCELED) r = 0;
  }
  e->is.end = r;
}

void flow_listen(worker *w)
{
  flow *s = w->s;
  site *a = flow_site(w), *b = flow_site(w);
  covey_subscription *sub;
  ear e = {.began = false};
  char name[8];
  int64_t timeout = 1 + flow_pick(w, 40), began = test_now();
  covey_subscribe_options o = {.name = b->name, .topic = name, .timeout = timeout};
  snprintf(name, sizeof name, "t%u", (unsigned)flow_pick(w, TOPICS));
  if (flow_pick(w, 4) == 0) o.flags = COVEY_SUBSCRIBE_TRY;
  if (flow_pick(w, 6) == 0) o.cancel = w->cancel;
  if (flow_pick(w, 2)) o.max_bytes = 4096 + flow_pick(w, 10000);
  if (flow_pick(w, 4) == 0) o.max_count = 1 + flow_pick(w, 5);
  if (!site_enter(a)) return;
  uint32_t life = site_life(a);
  int r = covey_topic_subscribe(a->node, &o, &sub);
  site_leave(a);
  site_in_time(began, timeout, "subscribe");
  site_expected(r, "subscribe");
  if (r < 0) return;
  read_on(w, sub, &e);
  e.is.lost = (int64_t)covey_subscription_lost(sub);
  covey_unsubscribe(sub);
  if (!e.began || site_life(a) != life) return;
  uv_mutex_lock(&s->lock);
  if (s->reading_count < EDITIONS) s->readings[s->reading_count++] = e.is;
  uv_mutex_unlock(&s->lock);
}

void flow_judge_topics(const flow *s)
{
  for (uint32_t i = 0; i < s->reading_count; i++) {
    const reading *r = &s->readings[i];
    const edition *e = &s->editions[r->edition];
    int64_t told = r->first + r->got + r->lost;
    if (told > e->count || (r->end == COVEY_ECLOSED && told != e->count))
      TEST_FAIL("topic %u (%d): %" PRId64 " published; offered from %" PRId64 " on: %" PRId64
                " read, %" PRId64 " lost, ended by %s",
                (unsigned)r->edition, e->slow, e->count, r->first, r->got, r->lost, covey_errname(r->end));
  }
}
