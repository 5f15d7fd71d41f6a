/* Channels of flow_storm.c. */
#include "flow_storm.h"

static uint32_t find_talk(flow *s)
{
  uv_mutex_lock(&s->lock);
  uint32_t n = s->talk_count < TALKS ? s->talk_count++ : TALKS;
  uv_mutex_unlock(&s->lock);
  if (n < TALKS) s->talks[n].side[0].left = s->talks[n].side[1].left = -1;
  return n;
}

/* A channel as one of its two threads sees it. */
typedef struct here {
  worker *w;
  covey_channel *channel;
  talk *talk; /* NULL: not told yet */
  int me;
  bool turned;   /* somebody runs the callbacks of its loop */
  uv_sem_t over; /* the callback was told of the end */
  int end;
} here;

/* The first message tells the side that has accepted which channel it is. */
static void hear(here *h, const covey_message *m)
{
  words head;
  flow *s = h->w->s;
  if (!flow_is_whole(m->data, m->size, &head)) return;
  if (!h->talk && head.whose < TALKS) h->talk = &s->talks[head.whose];
  if (h->talk != &s->talks[head.whose] || head.side != (uint32_t)!h->me || head.number >= STEPS) {
    TEST_FAIL("a message of another channel: %u.%u, %u", (unsigned)head.whose, (unsigned)head.side,
              (unsigned)head.number);
    return;
  }
  side *theirs = &h->talk->side[!h->me];
  if ((int)head.number < theirs->next)
    TEST_FAIL("channel %u.%u: %u behind %d", (unsigned)head.whose, (unsigned)head.side, (unsigned)head.number,
              theirs->next - 1);
  theirs->next = (int)head.number + 1;
  theirs->heard[head.number]++;
  test_add(&s->heard, 1);
}

static void heard_end(here *h, int code)
{
  site_expected(code, "end of a channel");
  if (h->talk && code == COVEY_ECLOSED) h->talk->side[!h->me].to_the_end = true;
}

static void on_next(covey_message *m, int code, void *arg)
{
  here *h = arg;
  if (m) {
    hear(h, m);
    return;
  }
  h->end = code;
  uv_sem_post(&h->over);
}

static void say(here *h)
{
  worker *w = h->w;
  side *mine = &h->talk->side[h->me];
  if (mine->count == STEPS) return;
  uint32_t whose = (uint32_t)(h->talk - w->s->talks);
  int number = mine->count++;
  size_t size = flow_fill(w, whose, (uint32_t)h->me, (uint32_t)number);
  int64_t timeout = flow_wait(w, 30), began = test_now();
  covey_send_options o = {.timeout = timeout, .cancel = flow_pick(w, 6) ? NULL : w->cancel};
  if (!timeout) o.flags = COVEY_SEND_TRY;
  covey_buffer b[2] = {{w->data, 7}, {w->data + 7, size - 7}};
  int r = flow_pick(w, 2) ? covey_channel_message_send(h->channel, &o, b, 2)
                          : covey_channel_send(h->channel, w->data, size, timeout);
  int reached = covey_last_failure()->reached;
  site_in_time(began, timeout, "send over a channel");
  site_expected(r, "send over a channel");
  mine->fate[number] = r == 0 ? SENT : reached == COVEY_FAR_NOTHING ? NOTHING : MAYBE;
}

/* False: no more will come. */
static bool listen_once(here *h)
{
  worker *w = h->w;
  covey_message m;
  int64_t timeout = flow_wait(w, 10), began = test_now();
  covey_receive_options o = {.timeout = timeout, .cancel = flow_pick(w, 6) ? NULL : w->cancel};
  if (!timeout) o.flags = COVEY_RECEIVE_TRY;
  int r = flow_pick(w, 2) ? covey_channel_message_receive(h->channel, &o, &m)
                          : covey_channel_receive(h->channel, timeout, &m);
  site_in_time(began, timeout, "receive from a channel");
  if (r == 0) {
    hear(h, &m);
    covey_message_free(&m);
  }
  if (r == 0 || r == COVEY_ETIMEDOUT || r == COVEY_ECANCELED) return true;
  heard_end(h, r);
  return false;
}

/* Listens until the other side has said all. */
static void listen_all(here *h, bool calls_back)
{
  int64_t until = test_now() + SLACK;
  while (calls_back ? uv_sem_trywait(&h->over) != 0 : listen_once(h)) {
    if (test_now() > until) {
      TEST_FAIL("the other side of a channel does not come to its end");
      return;
    }
    if (calls_back) test_pause(1);
  }
  if (calls_back) heard_end(h, h->end);
}

static void finish(here *h)
{
  worker *w = h->w;
  bool patient = flow_pick(w, 4) != 0;
  int64_t timeout = patient ? 2 * SLACK : flow_pick(w, 3), began = test_now();
  int r = covey_channel_close(h->channel, timeout);
  site_in_time(began, timeout, "close of a channel");
  site_expected(r, "close of a channel");
  if (h->talk) {
    h->talk->side[h->me].left = r;
    h->talk->side[h->me].patient = patient && test_now() - began < timeout;
  }
}

static void converse(here *h)
{
  worker *w = h->w;
  bool more = true, calls_back;
  uint32_t steps = flow_pick(w, 2 * STEPS);
  for (int i = 0; more && !h->talk && i < 10; i++) more = listen_once(h);
  calls_back = more && h->talk && flow_pick(w, 4) == 0;
  uv_sem_init(&h->over, 0);
  if (calls_back) CHECK_OK(covey_channel_on_message(h->channel, on_next, h));
  for (uint32_t i = 0; h->talk && i < steps && flow_goes_on(w); i++) {
    if (!calls_back && more && flow_pick(w, 2)) more = listen_once(h);
    if (flow_pick(w, 2)) say(h);
  }
  int r = h->talk && flow_pick(w, 2) ? covey_channel_end(h->channel) : COVEY_EAGAIN;
  site_expected(r, "end");
  if (more && r == 0 && flow_pick(w, 2) && (h->turned || !calls_back)) listen_all(h, calls_back);
  finish(h);
  uv_sem_destroy(&h->over);
}

void flow_open(worker *w)
{
  flow *s = w->s;
  site *a = flow_site(w), *b = flow_site(w);
  uint32_t number = find_talk(s);
  if (number == TALKS) {
    test_pause(5);
    return;
  }
  here h = {.w = w, .talk = &s->talks[number], .me = 0, .turned = a - s->sites.at >= 2};
  int64_t timeout = 1 + flow_pick(w, 60), began = test_now();
  covey_channel_options o = {.name = b->name, .endpoint = "flow", .timeout = timeout};
  if (flow_pick(w, 3) == 0) o.window = 4096 + flow_pick(w, 8192);
  if (flow_pick(w, 4) == 0) o.flags = COVEY_CHANNEL_TRY;
  if (flow_pick(w, 6) == 0) o.cancel = w->cancel;
  if (!site_enter(a)) return;
  uint32_t lives[2] = {site_life(a), site_life(b)};
  int r = covey_channel_open(a->node, &o, &h.channel);
  site_leave(a);
  site_in_time(began, timeout, "open of a channel");
  site_expected(r, "open of a channel");
  if (r < 0) return;
  converse(&h);
  h.talk->disturbed[0] = site_life(a) != lives[0] || site_life(b) != lives[1];
}

void flow_accept(worker *w)
{
  site *at = flow_site(w);
  here h = {.w = w, .me = 1, .turned = at - w->s->sites.at >= 2};
  int64_t timeout = flow_wait(w, 30), began = test_now();
  if (!site_enter(at)) return;
  uint32_t life = site_life(at);
  int r = covey_channel_accept(at->node, "flow", timeout, &h.channel);
  site_leave(at);
  site_in_time(began, timeout, "accept");
  site_expected(r, "accept");
  if (r < 0) return;
  test_add(&w->s->accepted, 1);
  converse(&h);
  if (h.talk) h.talk->disturbed[1] = site_life(at) != life;
}

/* ---- after a round ---- */

static void judge(const flow *s, uint32_t number, int who)
{
  const talk *t = &s->talks[number];
  const side *a = &t->side[who];
  int sent = 0, maybe = 0, heard = 0, lost = 0;
  for (int i = 0; i < a->count; i++) {
    if (a->heard[i] && a->fate[i] == NOTHING)
      TEST_FAIL("channel %u.%d: %d came, and was told not to have gone", (unsigned)number, who, i);
    sent += a->fate[i] == SENT;
    maybe += a->fate[i] == MAYBE;
    heard += a->heard[i] > 0;
    lost += a->fate[i] == SENT && !a->heard[i];
    if (a->fate[i] == SENT && !a->heard[i] && i < a->next)
      TEST_FAIL("channel %u.%d: %d was passed over", (unsigned)number, who, i);
  }
  if (t->disturbed[0] || t->disturbed[1]) return;
  if (a->to_the_end && lost)
    TEST_FAIL("channel %u.%d: %d were sent, %d heard before the end", (unsigned)number, who, sent, heard);
  if (a->left < 0) return;
  if (a->left < lost || a->left > sent + maybe)
    TEST_FAIL("channel %u.%d: %d sent, %d perhaps, %d heard, %d told", (unsigned)number, who, sent, maybe,
              heard, a->left);
  if (a->patient && (a->left > sent + maybe - heard))
    TEST_FAIL("channel %u.%d: %d sent, %d perhaps, %d heard; %d told by a close that had time",
              (unsigned)number, who, sent, maybe, heard, a->left);
}

void flow_judge_talks(const flow *s)
{
  for (uint32_t i = 0; i < s->talk_count; i++) {
    judge(s, i, 0);
    judge(s, i, 1);
  }
}
