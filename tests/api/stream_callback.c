/* Messages of channels and subscriptions that go to a callback: on every kind of loop. */
#include "support/test.h"

#include "stream_callback.h"

/* ---- the scene ---- */

void nodes_open(nodes *n, turning kind)
{
  *n = (nodes){.kind = kind, .here_name = test_format("here-%" PRId64, test_pid())};
  n->there_name = test_format("there-%" PRId64, test_pid());
  if (kind == OWN_LOOP)
    REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &n->loop));
  if (kind == LENT_LOOP) {
    REQUIRE(uv_loop_init(&n->uv) == 0);
    REQUIRE_OK(covey_loop_attach(&n->uv, uv_version(), &n->loop));
  }
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = n->here_name, .loop = n->loop}, &n->here));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = n->there_name}, &n->there));
}

void nodes_close(nodes *n)
{
  if (n->there) covey_node_close(n->there, 0);
  if (n->here) covey_node_close(n->here, 0);
  covey_loop_close(n->loop);
  if (n->kind != LENT_LOOP) return;
  uv_run(&n->uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&n->uv), 0);
}

/* A turn begins with the timers that are due: behind them nothing else would end its poll. */
static void on_timer(uv_timer_t *timer)
{
  uv_stop(timer->loop);
}

static void on_timer_closed(uv_handle_t *timer)
{
  timer->data = timer;
}

void nodes_turn(nodes *n, int64_t ms)
{
  covey_native handle;
  REQUIRE_OK(covey_loop_dispatch(NULL)); /* perhaps it has no thread any more */
  if (n->kind != LENT_LOOP) {
    REQUIRE_OK(covey_loop_handle(n->loop, &handle));
    test_handle_ready(handle, ms);
    REQUIRE_OK(covey_loop_dispatch(n->loop));
    return;
  }
  uv_timer_t timer;
  uv_timer_init(&n->uv, &timer);
  uv_update_time(&n->uv);
  uv_timer_start(&timer, on_timer, (uint64_t)ms, 0);
  uv_run(&n->uv, UV_RUN_ONCE);
  timer.data = NULL;
  uv_close((uv_handle_t *)&timer, on_timer_closed);
  while (!timer.data) uv_run(&n->uv, UV_RUN_NOWAIT);
}

void nodes_until(nodes *n, const int *count, int wanted)
{
  int64_t limit = test_now() + PATIENCE;
  while (*count < wanted) {
    nodes_turn(n, 100);
    REQUIRE(test_now() < limit);
  }
  CHECK_INT(*count, wanted);
}

void nodes_idle(nodes *n)
{
  for (int i = 0; i < 4; i++) nodes_turn(n, 5);
}

void nodes_channel(nodes *n, covey_channel **here, covey_channel **there)
{
  covey_channel_options o = {.name = n->here_name, .endpoint = "e", .flags = COVEY_CHANNEL_TRY};
  int64_t limit = test_now() + PATIENCE;
  int r = covey_endpoint_open(n->here, "e", NULL);
  CHECK(r == 0 || r == COVEY_EEXIST);
  while ((r = covey_channel_open(n->there, &o, there)) == COVEY_EAGAIN || r == COVEY_ENOTFOUND) {
    nodes_turn(n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
  while ((r = covey_channel_accept(n->here, "e", 0, here)) == COVEY_ETIMEDOUT) {
    nodes_turn(n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
}

static void subscribe(nodes *n, const char *topic, covey_subscription **ret)
{
  covey_subscribe_options o = {.name = n->there_name, .topic = topic, .flags = COVEY_SUBSCRIBE_TRY};
  int64_t limit = test_now() + PATIENCE;
  int r;
  while ((r = covey_topic_subscribe(n->here, &o, ret)) == COVEY_EAGAIN) {
    nodes_turn(n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
}

void nodes_topic(nodes *n, covey_subscription **here, covey_topic **there)
{
  int64_t limit = test_now() + PATIENCE;
  REQUIRE_OK(covey_topic_open(n->there, "t", NULL, there));
  subscribe(n, "t", here);
  while (covey_topic_wait(*there, 1, 0) < 1) {
    nodes_turn(n, 5);
    REQUIRE(test_now() < limit);
  }
}

void send_numbers(covey_channel *c, int from, int count)
{
  for (int i = from; i < from + count; i++) REQUIRE_OK(covey_channel_send(c, &i, sizeof i, PATIENCE));
}

void publish_numbers(covey_topic *t, int from, int count)
{
  for (int i = from; i < from + count; i++) CHECK_INT(covey_publish(t, &i, sizeof i, 0), 1);
}

int nodes_number(nodes *n, covey_channel *channel, const char *group, size_t size)
{
  covey_message m;
  int64_t limit = test_now() + PATIENCE;
  int number = -1, r;
  while ((r = channel ? covey_channel_receive(channel, 0, &m) : covey_receive(n->there, group, 0, &m)) ==
         COVEY_ETIMEDOUT) {
    nodes_turn(n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
  CHECK_UINT(m.size, size);
  if (m.size >= sizeof number) memcpy(&number, m.data, sizeof number);
  covey_message_free(&m);
  return number;
}

void on_number(covey_message *m, int code, void *arg)
{
  seen *s = arg;
  int number = -1;
  CHECK_INT(s->ends, 0); /* nothing comes behind the end */
  if (!m) {
    CHECK_INT(covey_last_failure()->code, code);
    s->ends++;
    s->end = code;
  } else {
    CHECK_INT(code, 0);
    REQUIRE(m->size == sizeof number);
    memcpy(&number, m->data, sizeof number);
    CHECK_INT(number, s->last + 1);
    CHECK_UINT(m->lost, 0);
    s->last = number;
    s->count++;
    if (s->leave && s->count == s->stop_at) s->leave(s);
  }
}

void crowd_dispatch(void *arg)
{
  crowd *d = arg;
  while (!test_add(&d->done, 0)) nodes_turn(d->n, 5);
}

void crowd_block(crowd *d)
{
  test_add(&d->inside, 1);
  while (!test_add(&d->go_on, 0)) test_pause(1);
  test_pause(20);
  test_add(&d->inside, -1);
}

bool crowd_is_inside(void *arg)
{
  return test_add(&((crowd *)arg)->inside, 0) > 0;
}

/* ---- channels ---- */

static void channel_to_its_end(turning kind)
{
  nodes n;
  seen s = {.last = -1};
  covey_channel *here, *there;
  covey_message m;
  nodes_open(&n, kind);
  nodes_channel(&n, &here, &there);
  send_numbers(there, 0, 5); /* they wait already, and come first */
  REQUIRE_OK(covey_channel_on_message(here, on_number, &s));
  send_numbers(there, 5, 35); /* more than one round */
  CHECK_INT(s.count, 0);      /* not inside another call */
  nodes_until(&n, &s.count, 40);
  CHECK_ERR(covey_channel_receive(here, 0, &m), COVEY_EEXIST);
  CHECK_ERR(covey_channel_message_receive(here, NULL, &m), COVEY_EEXIST);
  nodes_idle(&n);
  CHECK_INT(s.ends, 0);
  CHECK_OK(covey_channel_send(here, "x", 1, 0)); /* the other way goes on */
  CHECK_OK(covey_channel_receive(there, PATIENCE, &m));
  covey_message_free(&m);
  send_numbers(there, 40, 3);
  REQUIRE_OK(covey_channel_end(there));
  nodes_until(&n, &s.ends, 1);
  CHECK_INT(s.count, 43);
  CHECK_INT(s.end, COVEY_ECLOSED);
  nodes_idle(&n);
  CHECK_INT(s.ends, 1);
  CHECK_OK(covey_channel_send(here, "y", 1, 0));
  CHECK_OK(covey_channel_receive(there, PATIENCE, &m));
  covey_message_free(&m);
  covey_channel_close(here, 0);
  covey_channel_close(there, 0);
  nodes_close(&n);
}

TEST(stream_callback, channel_on_the_default_loop)
{
  channel_to_its_end(DEFAULT_LOOP);
}

TEST(stream_callback, channel_on_a_loop_of_its_own)
{
  channel_to_its_end(OWN_LOOP);
}

TEST(stream_callback, channel_on_a_loop_that_the_program_runs)
{
  channel_to_its_end(LENT_LOOP);
}

/* ---- subscriptions ---- */

static void topic_to_its_end(turning kind)
{
  nodes n;
  seen s = {.last = -1};
  covey_subscription *here;
  covey_topic *there;
  covey_message m;
  nodes_open(&n, kind);
  nodes_topic(&n, &here, &there);
  publish_numbers(there, 0, 5);
  REQUIRE_OK(covey_topic_on_message(here, on_number, &s));
  publish_numbers(there, 5, 35);
  CHECK_INT(s.count, 0);
  nodes_until(&n, &s.count, 40);
  CHECK_ERR(covey_topic_next(here, 0, &m), COVEY_EEXIST);
  CHECK_ERR(covey_topic_receive(here, NULL, &m), COVEY_EEXIST);
  nodes_idle(&n);
  CHECK_INT(s.ends, 0);
  publish_numbers(there, 40, 3);
  covey_topic_close(there);
  nodes_until(&n, &s.ends, 1);
  CHECK_INT(s.count, 43);
  CHECK_INT(s.end, COVEY_ECLOSED);
  nodes_idle(&n);
  CHECK_INT(s.ends, 1);
  CHECK_UINT(covey_subscription_lost(here), 0);
  covey_unsubscribe(here);
  nodes_close(&n);
}

TEST(stream_callback, topic_on_the_default_loop)
{
  topic_to_its_end(DEFAULT_LOOP);
}

TEST(stream_callback, topic_on_a_loop_of_its_own)
{
  topic_to_its_end(OWN_LOOP);
}

TEST(stream_callback, topic_on_a_loop_that_the_program_runs)
{
  topic_to_its_end(LENT_LOOP);
}

/* Nobody waits for the topic: it is opened later, and heard from its first message on. */
TEST(stream_callback, topic_that_is_opened_later)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen s = {.last = -1};
    covey_subscription *here;
    covey_topic *there;
    nodes_open(&n, (turning)kind);
    subscribe(&n, "t", &here);
    REQUIRE_OK(covey_topic_on_message(here, on_number, &s));
    nodes_idle(&n);
    REQUIRE_OK(covey_topic_open(n.there, "t", NULL, &there));
    int64_t limit = test_now() + PATIENCE;
    while (covey_topic_wait(there, 1, 0) < 1) {
      nodes_turn(&n, 5);
      REQUIRE(test_now() < limit);
    }
    publish_numbers(there, 0, 3);
    nodes_until(&n, &s.count, 3);
    covey_topic_close(there);
    nodes_until(&n, &s.ends, 1);
    covey_unsubscribe(here);
    nodes_close(&n);
  }
}

/* ---- ends ---- */

/* What came before the callback, and the end that did, too. */
TEST(stream_callback, of_what_has_ended_already)
{
  nodes n;
  seen c = {.last = -1}, again = {.last = -1}, t = {.last = -1};
  covey_channel *here, *there;
  covey_subscription *prices;
  covey_topic *topic;
  covey_message m;
  nodes_open(&n, OWN_LOOP);
  nodes_channel(&n, &here, &there);
  nodes_topic(&n, &prices, &topic);
  send_numbers(there, 0, 3);
  publish_numbers(topic, 0, 3);
  covey_channel_close(there, 0);
  covey_topic_close(topic);
  CHECK_OK(covey_channel_receive(here, PATIENCE, &m)); /* turns the loop as well */
  CHECK_INT(*(const int *)m.data, 0);
  covey_message_free(&m);
  c.last = 0;
  CHECK_INT(covey_node_close(n.there, 500) < 0, 0); /* nobody turns the loop of here meanwhile */
  n.there = NULL;
  nodes_idle(&n);
  REQUIRE_OK(covey_channel_on_message(here, on_number, &c));
  REQUIRE_OK(covey_topic_on_message(prices, on_number, &t));
  nodes_until(&n, &c.ends, 1);
  nodes_until(&n, &t.ends, 1);
  CHECK_INT(c.count, 2);
  CHECK_INT(t.count, 3);
  CHECK_INT(t.end, COVEY_ECLOSED);
  CHECK_INT(c.end, COVEY_ECLOSED);
  REQUIRE_OK(covey_channel_on_message(here, on_number, &again)); /* whoever comes is told it too */
  nodes_until(&n, &again.ends, 1);
  nodes_idle(&n);
  CHECK_INT(c.ends + t.ends + again.ends, 3);
  REQUIRE_OK(covey_channel_on_message(here, NULL, NULL));
  CHECK_ERR(covey_channel_receive(here, 0, &m), COVEY_ECLOSED);
  covey_channel_close(here, 0);
  covey_unsubscribe(prices);
  nodes_close(&n);
}

TEST(stream_callback, our_node_closes)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen c = {.last = -1}, t = {.last = -1};
    covey_channel *here, *there;
    covey_subscription *prices;
    covey_topic *topic;
    nodes_open(&n, (turning)kind);
    nodes_channel(&n, &here, &there);
    nodes_topic(&n, &prices, &topic);
    REQUIRE_OK(covey_channel_on_message(here, on_number, &c));
    REQUIRE_OK(covey_topic_on_message(prices, on_number, &t));
    send_numbers(there, 0, 1);
    publish_numbers(topic, 0, 1);
    nodes_until(&n, &c.count, 1);
    nodes_until(&n, &t.count, 1);
    covey_node_close(n.here, 0);
    n.here = NULL;
    CHECK_INT(c.ends + t.ends, 0); /* not inside another call */
    nodes_until(&n, &c.ends, 1);
    nodes_until(&n, &t.ends, 1);
    CHECK_INT(c.end, COVEY_ECLOSED);
    CHECK_INT(t.end, COVEY_ECLOSED);
    nodes_idle(&n);
    covey_channel_close(here, 0);
    covey_unsubscribe(prices);
    covey_channel_close(there, 0);
    covey_topic_close(topic);
    nodes_close(&n);
  }
}

/* Nobody accepts it: that is an end as well. */
TEST(stream_callback, channel_that_is_refused)
{
  nodes n;
  seen s = {.last = -1};
  covey_channel *c;
  covey_channel_options o = {.name = NULL, .endpoint = "no", .flags = COVEY_CHANNEL_TRY};
  nodes_open(&n, OWN_LOOP);
  o.name = n.there_name;
  REQUIRE_OK(covey_endpoint_open(n.there, "no", NULL));
  int r;
  int64_t limit = test_now() + PATIENCE;
  while ((r = covey_channel_open(n.here, &o, &c)) == COVEY_EAGAIN || r == COVEY_ENOTFOUND) {
    nodes_turn(&n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
  REQUIRE_OK(covey_channel_on_message(c, on_number, &s));
  nodes_idle(&n);
  CHECK_INT(s.ends, 0);
  REQUIRE_OK(covey_endpoint_close(n.there, "no"));
  nodes_until(&n, &s.ends, 1);
  CHECK_INT(s.end, COVEY_ENOTFOUND);
  covey_channel_close(c, 0);
  nodes_close(&n);
}

static void count_any(covey_message *m, int code, void *arg)
{
  seen *s = arg;
  CHECK_INT(s->ends, 0);
  s->count += m != NULL;
  s->ends += !m;
  if (!m) s->end = code;
}

/* Whoever sends is killed: all that came is told, then the end, once. */
TEST_LIMIT(stream_callback, the_other_process_dies, 120)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    seen c = {0}, t = {0};
    covey_channel *channel;
    covey_subscription *s;
    int r;
    nodes_open(&n, (turning)kind);
    int64_t limit = test_now() + 2 * PATIENCE;
    int64_t publisher = test_start(TEST_HELPER("topic-publish", "t", "1", "100000000", "100", "2"));
    covey_subscribe_options o = {.pid = publisher, .topic = "t", .flags = COVEY_SUBSCRIBE_TRY};
    while ((r = covey_topic_subscribe(n.here, &o, &s)) == COVEY_EAGAIN || r == COVEY_ENOPEER) {
      nodes_turn(&n, 5);
      REQUIRE(test_now() < limit);
    }
    REQUIRE_OK(r);
    REQUIRE_OK(covey_topic_on_message(s, count_any, &t));
    while (t.count < 100) {
      nodes_turn(&n, 100);
      REQUIRE(test_now() < limit);
    }
    test_process_kill(publisher);
    CHECK(test_process_ended(publisher, PATIENCE));
    nodes_until(&n, &t.ends, 1);
    CHECK_INT(t.end, COVEY_EPEERDIED);
    covey_node *ours; /* the helper finds a process by its unnamed node */
    REQUIRE_OK(covey_node_open(&(covey_node_options){.loop = n.loop}, &ours));
    REQUIRE_OK(covey_endpoint_open(ours, "e", NULL));
    int64_t sender = test_start(
        TEST_HELPER("channel-send", test_format("%" PRId64, test_pid()), "e", "20", "3000", "die"));
    while ((r = covey_channel_accept(ours, "e", 0, &channel)) == COVEY_ETIMEDOUT) {
      nodes_turn(&n, 5);
      REQUIRE(test_now() < limit);
    }
    REQUIRE_OK(r);
    REQUIRE_OK(covey_channel_on_message(channel, count_any, &c));
    nodes_until(&n, &c.ends, 1);
    CHECK_INT(c.count, 20);
    CHECK_INT(c.end, COVEY_EPEERDIED);
    CHECK(test_process_ended(sender, PATIENCE));
    nodes_idle(&n);
    CHECK_INT(c.ends + t.ends, 2);
    covey_channel_close(channel, 0);
    covey_unsubscribe(s);
    covey_node_close(ours, 0);
    nodes_close(&n);
  }
}
