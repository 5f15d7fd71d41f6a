/* Callbacks of channels and subscriptions that are taken away, replaced, closed by themselves and by others; threads. */
#include "support/test.h"

#include "stream_callback.h"

static seen other[2]; /* a channel's, a subscription's */

static void take_away(seen *s)
{
  CHECK_OK(s->channel ? covey_channel_on_message(s->channel, NULL, NULL)
                      : covey_topic_on_message(s->subscription, NULL, NULL));
}

static void replace(seen *s)
{
  seen *heir = &other[!s->channel];
  *heir = (seen){.last = s->last};
  CHECK_OK(s->channel ? covey_channel_on_message(s->channel, on_number, heir)
                      : covey_topic_on_message(s->subscription, on_number, heir));
}

static void close_it(seen *s)
{
  if (s->channel) CHECK(covey_channel_close(s->channel, 0) >= 0);
  covey_unsubscribe(s->subscription);
}

/* A channel and a subscription whose callbacks call leave at the third of eight messages. */
static void leaves(turning kind, void (*leave)(seen *s), nodes *n, seen *c, seen *t)
{
  covey_channel *there;
  covey_topic *topic;
  *c = (seen){.last = -1, .stop_at = 3, .leave = leave};
  *t = *c;
  nodes_open(n, kind);
  nodes_channel(n, &c->channel, &there);
  REQUIRE_OK(covey_channel_on_message(c->channel, on_number, c));
  send_numbers(there, 0, 8);
  nodes_until(n, &c->count, 3);
  if (leave == replace) nodes_until(n, &other[0].count, 5);
  nodes_topic(n, &t->subscription, &topic);
  REQUIRE_OK(covey_topic_on_message(t->subscription, on_number, t));
  publish_numbers(topic, 0, 8);
  nodes_until(n, &t->count, 3);
  if (leave == replace) nodes_until(n, &other[1].count, 5);
  nodes_idle(n);
  CHECK_INT(c->count + t->count, 6);
  covey_channel_close(there, 0);
  covey_topic_close(topic);
}

TEST(stream_callback_leave, takes_itself_away)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen c, t;
    covey_message m;
    leaves((turning)kind, take_away, &n, &c, &t);
    for (int i = 3; i < 8; i++) { /* the rest waits for a receive, and so does the end */
      REQUIRE_OK(covey_channel_receive(c.channel, 0, &m));
      CHECK_INT(*(const int *)m.data, i);
      covey_message_free(&m);
      REQUIRE_OK(covey_topic_next(t.subscription, 0, &m));
      CHECK_INT(*(const int *)m.data, i);
      covey_message_free(&m);
    }
    nodes_idle(&n);
    CHECK_INT(c.ends + t.ends, 0);
    int r;
    while ((r = covey_channel_receive(c.channel, 0, &m)) == COVEY_ETIMEDOUT) nodes_turn(&n, 5);
    CHECK_ERR(r, COVEY_ECLOSED);
    while ((r = covey_topic_next(t.subscription, 0, &m)) == COVEY_ETIMEDOUT) nodes_turn(&n, 5);
    CHECK_ERR(r, COVEY_ECLOSED);
    covey_channel_close(c.channel, 0);
    covey_unsubscribe(t.subscription);
    nodes_close(&n);
  }
}

TEST(stream_callback_leave, replaces_itself)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen c, t;
    leaves((turning)kind, replace, &n, &c, &t);
    for (int i = 0; i < 2; i++) {
      nodes_until(&n, &other[i].ends, 1);
      CHECK_INT(other[i].end, COVEY_ECLOSED);
    }
    CHECK_INT(c.ends + t.ends, 0);
    covey_channel_close(c.channel, 0);
    covey_unsubscribe(t.subscription);
    nodes_close(&n);
  }
}

TEST(stream_callback_leave, closes_what_it_is_called_for)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen c, t;
    leaves((turning)kind, close_it, &n, &c, &t);
    nodes_idle(&n);
    CHECK_INT(c.ends + t.ends, 0);
    nodes_close(&n);
  }
}

static void close_at_end(covey_message *m, int code, void *arg)
{
  seen *s = arg;
  on_number(m, code, s);
  if (!m) close_it(s);
}

TEST(stream_callback_leave, closes_at_the_end)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen c = {.last = -1}, t = {.last = -1};
    covey_channel *there;
    covey_topic *topic;
    nodes_open(&n, (turning)kind);
    nodes_channel(&n, &c.channel, &there);
    nodes_topic(&n, &t.subscription, &topic);
    REQUIRE_OK(covey_channel_on_message(c.channel, close_at_end, &c));
    REQUIRE_OK(covey_topic_on_message(t.subscription, close_at_end, &t));
    send_numbers(there, 0, 20);
    publish_numbers(topic, 0, 20);
    covey_channel_close(there, 0);
    covey_topic_close(topic);
    nodes_until(&n, &c.ends, 1);
    nodes_until(&n, &t.ends, 1);
    CHECK_INT(c.count + t.count, 40);
    nodes_close(&n);
  }
}

/* ---- moved messages ---- */

static covey_message kept;

static void keep(covey_message *m, int code, void *arg)
{
  seen *s = arg;
  CHECK_INT(code, 0);
  kept = *m;
  *m = (covey_message){0};
  s->count++;
}

TEST(stream_callback_leave, message_is_moved)
{
  nodes n;
  seen s = {0};
  covey_channel *here, *there;
  int seven = 7;
  nodes_open(&n, OWN_LOOP);
  nodes_channel(&n, &here, &there);
  REQUIRE_OK(covey_channel_on_message(here, keep, &s));
  REQUIRE_OK(covey_channel_send(there, &seven, sizeof seven, PATIENCE));
  nodes_until(&n, &s.count, 1);
  covey_channel_close(here, 0);
  covey_channel_close(there, 0);
  nodes_close(&n);
  CHECK_INT(*(const int *)kept.data, 7); /* it lives on */
  CHECK_STR(kept.group, "e");
  covey_message_free(&kept);
}

/* ---- threads ---- */

typedef struct waiting {
  covey_channel *channel;
  covey_subscription *subscription;
  covey_node *node;
  test_counter begun;
  int result;
} waiting;

static void wait_for_message(void *arg)
{
  waiting *w = arg;
  covey_message m;
  test_add(&w->begun, 1);
  if (w->channel)
    w->result = covey_channel_receive(w->channel, PATIENCE, &m);
  else if (w->subscription)
    w->result = covey_topic_next(w->subscription, PATIENCE, &m);
  else
    w->result = covey_receive(w->node, "g", PATIENCE, &m);
}

static bool has_begun(void *arg)
{
  return test_add(&((waiting *)arg)->begun, 0) > 0;
}

static void never(covey_message *m, void *arg)
{
  TEST_FAIL("called with %p, %p", (void *)m, arg);
}

/* Receives that wait already have lost their messages to the callback: they are told so, now. */
TEST(stream_callback_leave, receives_that_wait)
{
  nodes n;
  seen s = {.last = -1};
  waiting w[3] = {{.result = 1}, {.result = 1}, {.result = 1}};
  test_thread *threads[3];
  covey_channel *there;
  covey_topic *topic;
  nodes_open(&n, DEFAULT_LOOP);
  nodes_channel(&n, &w[0].channel, &there);
  nodes_topic(&n, &w[1].subscription, &topic);
  w[2].node = n.here;
  int64_t start = test_now();
  for (int i = 0; i < 3; i++) {
    threads[i] = test_thread_start(wait_for_message, &w[i]);
    CHECK(test_wait_until(has_begun, &w[i], PATIENCE));
  }
  test_pause(30); /* so that they wait, mostly; else they find the callback */
  REQUIRE_OK(covey_channel_on_message(w[0].channel, on_number, &s));
  REQUIRE_OK(covey_topic_on_message(w[1].subscription, on_number, &s));
  REQUIRE_OK(covey_group_on_message(n.here, "g", never, NULL));
  for (int i = 0; i < 3; i++) {
    test_thread_join(threads[i]);
    CHECK_INT(w[i].result, COVEY_EEXIST);
  }
  CHECK(test_now() - start < PATIENCE / 2);
  covey_channel_close(w[0].channel, 0);
  covey_unsubscribe(w[1].subscription);
  covey_channel_close(there, 0);
  covey_topic_close(topic);
  nodes_close(&n);
}

static void block(covey_message *m, int code, void *arg)
{
  seen *s = arg;
  (void)m;
  CHECK_INT(code, 0);
  test_add(&s->inside, 1);
  while (!test_add(&s->go_on, 0)) test_pause(1);
  test_pause(20);
  test_add(&s->inside, -1);
}

struct dispatcher {
  nodes *n;
  test_counter *done;
};

static void dispatch_until_done(void *arg)
{
  struct dispatcher *d = arg;
  while (!test_add(d->done, 0)) nodes_turn(d->n, 5);
}

static bool is_inside(void *arg)
{
  return test_add(&((seen *)arg)->inside, 0) > 0;
}

/* how: 0 the callback is taken away, 1 its channel or subscription is closed. */
static void waits_for_it(bool topic, bool closing)
{
  nodes n;
  seen s = {0};
  covey_channel *here = NULL, *there = NULL;
  covey_subscription *prices = NULL;
  covey_topic *t = NULL;
  test_counter done = {0};
  nodes_open(&n, OWN_LOOP);
  if (topic) {
    nodes_topic(&n, &prices, &t);
    REQUIRE_OK(covey_topic_on_message(prices, block, &s));
    publish_numbers(t, 0, 1);
  } else {
    nodes_channel(&n, &here, &there);
    REQUIRE_OK(covey_channel_on_message(here, block, &s));
    send_numbers(there, 0, 1);
  }
  struct dispatcher d = {&n, &done};
  test_thread *thread = test_thread_start(dispatch_until_done, &d);
  CHECK(test_wait_until(is_inside, &s, PATIENCE));
  test_add(&s.go_on, 1);
  if (!closing)
    CHECK_OK(topic ? covey_topic_on_message(prices, NULL, NULL) : covey_channel_on_message(here, NULL, NULL));
  if (!closing) CHECK_INT(test_add(&s.inside, 0), 0);
  covey_unsubscribe(prices);
  if (here) CHECK(covey_channel_close(here, 0) >= 0);
  CHECK_INT(test_add(&s.inside, 0), 0);
  test_add(&done, 1);
  test_thread_join(thread);
  covey_channel_close(there, 0);
  covey_topic_close(t);
  nodes_close(&n);
}

TEST(stream_callback_leave, none_runs_any_more)
{
  for (int i = 0; i < 4; i++) waits_for_it(i & 1, i & 2);
}

static void one_at_a_time(covey_message *m, int code, void *arg)
{
  seen *s = arg;
  CHECK_INT(test_add(&s->inside, 1), 1);
  on_number(m, code, s);
  CHECK_INT(test_add(&s->inside, -1), 0);
  if (!m) test_add(&s->go_on, 1);
}

static bool both_ended(void *arg)
{
  seen *s = arg;
  return test_add(&s[0].go_on, 0) && test_add(&s[1].go_on, 0);
}

/* However many threads dispatch, a stream stays one. */
TEST_LIMIT(stream_callback_leave, many_threads_dispatch, 120)
{
  enum { THREADS = 4, MANY = 3000 };
  nodes n;
  seen s[2] = {{.last = -1}, {.last = -1}};
  covey_channel *here, *there;
  covey_subscription *prices;
  covey_topic *topic;
  test_counter done = {0};
  test_thread *threads[THREADS];
  nodes_open(&n, OWN_LOOP);
  nodes_channel(&n, &here, &there);
  nodes_topic(&n, &prices, &topic);
  REQUIRE_OK(covey_channel_on_message(here, one_at_a_time, &s[0]));
  REQUIRE_OK(covey_topic_on_message(prices, one_at_a_time, &s[1]));
  struct dispatcher d = {&n, &done};
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(dispatch_until_done, &d);
  int many = test_is_wine() ? MANY / 10 : MANY;
  for (int i = 0; i < many; i++) {
    send_numbers(there, i, 1);
    if (i < 300) publish_numbers(topic, i, 1);
  }
  covey_channel_end(there);
  covey_topic_close(topic);
  CHECK(test_wait_until(both_ended, s, 2 * PATIENCE));
  test_add(&done, 1);
  for (int i = 0; i < THREADS; i++) test_thread_join(threads[i]);
  CHECK_INT(s[0].count, many);
  CHECK_INT(s[1].count, 300);
  CHECK_INT(s[0].ends + s[1].ends, 2);
  covey_channel_close(here, 0);
  covey_channel_close(there, 0);
  covey_unsubscribe(prices);
  nodes_close(&n);
}
