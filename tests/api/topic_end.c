/* Publishers and subscribers that end, in every way; other processes. */
#include "support/test.h"

#include <covey/topic.h>

enum { PATIENCE = 30000 };

static int64_t start(const char *a, const char *b, const char *c, const char *d, const char *e, const char *f)
{
  const char *argv[] = {test_helper(), a, b, c, d, e, f, NULL};
  return test_start(argv);
}

static int64_t hearer(const char *count, const char *most)
{
  covey_message m;
  int64_t pid = start("topic-listen", test_format("%" PRId64, test_pid()), "t", count, most, NULL);
  REQUIRE_OK(covey_receive(NULL, "back", 2 * PATIENCE, &m));
  CHECK_INT(m.from.pid, pid);
  covey_message_free(&m);
  return pid;
}

static int publish(covey_topic *t, int64_t number, int64_t timeout)
{
  char text[24];
  return covey_publish(t, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number), timeout);
}

/* Takes up to most messages; the last one's number in *last; gaps must be told. */
static int take(covey_subscription *s, int64_t *last, int most)
{
  covey_message m;
  int r = 0;
  for (int i = 0; i < most && r == 0; i++) {
    r = covey_topic_next(s, PATIENCE, &m);
    if (r < 0) break;
    int64_t n = strtoll(m.data, NULL, 10);
    if (n != *last + 1 + (int64_t)m.lost) TEST_FAIL("%d behind %d", (int)n, (int)*last);
    *last = n;
    covey_message_free(&m);
  }
  return r;
}

TEST_LIMIT(topic_end, publisher_is_killed, 120)
{
  int rounds = test_is_windows() ? 4 : 20;
  for (int i = 0; i < rounds; i++) {
    int64_t pid = start("topic-publish", "t", "1", "100000000", i % 2 ? "32" : "100000", "2"), last = 0;
    covey_subscription *s;
    REQUIRE_OK(covey_subscribe(NULL, pid, "t", 2 * PATIENCE, &s));
    CHECK_OK(take(s, &last, 1 + 5 * i));
    test_process_kill(pid);
    CHECK_ERR(take(s, &last, INT_MAX), COVEY_EPEERDIED);
    CHECK_UINT(covey_subscription_lost(s), 0); /* it blocks */
    CHECK(test_process_ended(pid, PATIENCE));
    covey_unsubscribe(s);
  }
}

TEST(topic_end, publisher_ends_in_order)
{
  int64_t pid = start("topic-publish", "t", "1", "700", "5000", "2"), last = 0; /* more than fits anywhere */
  covey_subscription *s;
  REQUIRE_OK(covey_subscribe(NULL, pid, "t", 2 * PATIENCE, &s));
  CHECK_ERR(take(s, &last, INT_MAX), COVEY_ECLOSED);
  CHECK_INT(last, 700);
  CHECK_UINT(covey_subscription_lost(s), 0);
  covey_unsubscribe(s);
  CHECK(test_process_ended(pid, PATIENCE));
}

TEST_LIMIT(topic_end, subscriber_is_killed, 120)
{
  covey_topic *t, *blocking;
  REQUIRE_OK(covey_topic_open(NULL, "t", NULL, &t));
  int rounds = test_is_windows() ? 3 : 10;
  for (int i = 0; i < rounds; i++) {
    int64_t pid = hearer("1000000", "0");
    CHECK_INT(covey_topic_wait(t, 1, PATIENCE), 1);
    int n = 0;
    for (int64_t until = test_now() + PATIENCE; covey_topic_wait(t, 0, 0) > 0 && test_now() < until; n++) {
      if (n == i * 7) test_process_kill(pid);
      CHECK_OK(publish(t, n, 0) < 0);
    }
    CHECK_INT(publish(t, n, 0), 0);
    CHECK_INT(covey_topic_wait(t, 0, 0), 0);
    CHECK(test_process_ended(pid, PATIENCE));
  }
  covey_topic_close(t);
  REQUIRE_OK(covey_topic_open(NULL, "t", &(covey_topic_options){.slow = COVEY_SLOW_BLOCK}, &blocking));
  int64_t pid = hearer("0", "2"); /* takes nothing */
  int r = 1;
  for (int i = 0; i < 20 && r > 0; i++) r = publish(blocking, i, 100);
  CHECK_ERR(r, COVEY_ETIMEDOUT);
  test_process_kill(pid);
  while (r == COVEY_ETIMEDOUT) r = publish(blocking, 100, PATIENCE); /* its death lets the publisher go on */
  CHECK_INT(r, 0);
  covey_topic_close(blocking);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

/* What the other process says of itself: "GOT LOST LAST END". */
static void told(uint64_t *got, uint64_t *lost, int64_t *last, int *end)
{
  covey_message m;
  REQUIRE_OK(covey_receive(NULL, "back", 2 * PATIENCE, &m));
  char *at = (char *)m.data;
  *got = strtoull(at, &at, 10);
  *lost = strtoull(at, &at, 10);
  *last = strtoll(at, &at, 10);
  *end = (int)strtol(at, &at, 10);
  covey_message_free(&m);
}

/* One that does not read for a while, in a process of its own: got and lost are all that there were. */
TEST_LIMIT(topic_end, gaps_over_there, 120)
{
  for (int32_t slow = COVEY_SLOW_DROP_NEW; slow <= COVEY_SLOW_DROP_OLD; slow++) {
    uint64_t got, lost;
    int64_t last;
    int end;
    covey_topic *t;
    REQUIRE_OK(covey_topic_open(NULL, "t", &(covey_topic_options){.slow = slow, .max_bytes = 2000}, &t));
    int64_t pid = hearer("0", "8");
    for (int i = 1; i <= 1000; i++) CHECK_OK(publish(t, i, 0) < 0);
    covey_topic_close(t);
    REQUIRE_OK(covey_send(NULL, pid, NULL, "go", 2, PATIENCE));
    told(&got, &lost, &last, &end);
    CHECK_UINT(got + lost, 1000);
    CHECK(lost > 0);
    CHECK_INT(end, COVEY_ECLOSED);
    if (slow == COVEY_SLOW_DROP_OLD) CHECK_INT(last, 1000);
    CHECK(test_process_ended(pid, PATIENCE));
  }
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

struct publishing {
  covey_topic *topic;
  test_counter stop;
  int result;
};

static void publish_on(void *arg)
{
  struct publishing *p = arg;
  for (int64_t i = 1; p->result >= 0 && test_add(&p->stop, 0) == 0; i++)
    p->result = publish(p->topic, i, COVEY_FOREVER);
}

static covey_node *node(const char *name)
{
  covey_node *n = NULL;
  REQUIRE_OK(
      covey_node_open(&(covey_node_options){.name = test_format("%s-%" PRId64, name, test_pid())}, &n));
  return n;
}

/* Nodes of subscribers come and are closed while two threads publish; then the publisher's own is, while it waits for one that does not read. */
TEST_LIMIT(topic_end, closed_while_publishing, 120)
{
  covey_node *home = node("home");
  struct publishing p = {NULL, {0}, 0}, q;
  covey_subscription *s, *idle;
  covey_subscribe_options o = {
      .name = test_format("home-%" PRId64, test_pid()), .topic = "t", .timeout = PATIENCE, .max_count = 3};
  REQUIRE_OK(covey_topic_open(home, "t", &(covey_topic_options){.slow = COVEY_SLOW_BLOCK}, &p.topic));
  q = p;
  test_thread *a = test_thread_start(publish_on, &p), *b = test_thread_start(publish_on, &q);
  for (int i = 0; i < (test_is_windows() ? 5 : 20); i++) {
    covey_node *guest = node("guest");
    covey_message m;
    REQUIRE_OK(covey_topic_subscribe(guest, &o, &s));
    for (int k = 0; k < i; k++) {
      REQUIRE_OK(covey_topic_next(s, PATIENCE, &m));
      CHECK_UINT(m.lost, 0);
      covey_message_free(&m);
    }
    if (i % 2) covey_unsubscribe(s);
    CHECK_OK(covey_node_close(guest, PATIENCE));
    if (i % 2) continue;
    CHECK_ERR(covey_topic_next(s, PATIENCE, &m), COVEY_ECLOSED);
    covey_unsubscribe(s);
  }
  REQUIRE_OK(covey_topic_subscribe(NULL, &o, &idle));
  CHECK_OK(covey_node_close(home, PATIENCE));
  test_thread_join(a);
  test_thread_join(b);
  CHECK_INT(p.result, COVEY_ECLOSED);
  CHECK_INT(q.result, COVEY_ECLOSED);
  CHECK_ERR(covey_publish(p.topic, "x", 1, 0), COVEY_ECLOSED);
  CHECK_ERR(covey_topic_wait(p.topic, 0, 0), COVEY_ECLOSED);
  covey_topic_close(p.topic);
  int64_t got = 0;
  covey_message m;
  int r;
  while ((r = covey_topic_next(idle, PATIENCE, &m)) == 0) {
    CHECK_UINT(m.lost, 0);
    covey_message_free(&m);
    got++;
  }
  CHECK_ERR(r, COVEY_ECLOSED);
  CHECK(got <= 4);
  covey_unsubscribe(idle);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

static void fire(void *arg)
{
  covey_cancel_fire(arg);
}

TEST(topic_end, cancelled)
{
  covey_cancel *c;
  covey_subscription *s;
  covey_topic *t;
  covey_message m;
  REQUIRE_OK(covey_cancel_new(&c));
  covey_subscribe_options o = {.pid = test_pid(), .topic = "t", .cancel = c, .max_count = 1};
  test_thread *thread = test_thread_start(fire, c);
  CHECK_ERR(covey_topic_subscribe(NULL, &o, &s), COVEY_ECANCELED);
  test_thread_join(thread);
  covey_cancel_reset(c);
  REQUIRE_OK(covey_topic_open(NULL, "t", &(covey_topic_options){.slow = COVEY_SLOW_BLOCK}, &t));
  REQUIRE_OK(covey_topic_subscribe(NULL, &o, &s));
  thread = test_thread_start(fire, c);
  CHECK_ERR(covey_topic_receive(s, &(covey_receive_options){.cancel = c}, &m), COVEY_ECANCELED);
  test_thread_join(thread);
  CHECK_ERR(covey_topic_receive(s, &(covey_receive_options){.flags = COVEY_RECEIVE_TRY}, &m),
            COVEY_ETIMEDOUT);
  covey_publish_options with = {.cancel = c};
  int r = 0;
  for (int i = 0; i < 3 && r >= 0; i++) r = covey_topic_publish(t, &with, NULL, 0);
  CHECK_ERR(r, COVEY_ECANCELED);
  CHECK_OK(covey_topic_next(s, PATIENCE, &m));
  CHECK_UINT(m.size, 0);
  covey_message_free(&m);
  covey_topic_close(t);
  CHECK_ERR(covey_topic_next(s, PATIENCE, &m), COVEY_ECLOSED);
  CHECK_UINT(covey_subscription_lost(s), 1);
  covey_unsubscribe(s);
  covey_cancel_free(c);
}

/* A publisher with a topic on the default loop, and a subscriber on a loop of its own, which turns when we say so. */
typedef struct couple {
  covey_node *left, *right;
  covey_loop *loop;
  covey_topic *topic;
  covey_subscription *subscription;
  test_counter closed;
  const char *name; /* of left */
} couple;

static couple couple_open(int slow)
{
  couple c = {.name = test_format("t%" PRId64, test_pid())};
  covey_node_options left = {.name = c.name}, right = {.name = "listener"};
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &c.loop));
  right.loop = c.loop;
  right.name = test_format("l%" PRId64, test_pid());
  REQUIRE_OK(covey_node_open(&left, &c.left));
  REQUIRE_OK(covey_node_open(&right, &c.right));
  REQUIRE_OK(covey_topic_open(c.left, "t", &(covey_topic_options){.slow = slow}, &c.topic));
  covey_subscribe_options o = {.name = c.name, .topic = "t", .timeout = PATIENCE, .max_bytes = 4096};
  REQUIRE_OK(covey_topic_subscribe(c.right, &o, &c.subscription));
  return c;
}

/* unknown: messages to the publisher that nobody has received. */
static void couple_close(couple *c, int unknown)
{
  covey_statistics all;
  REQUIRE_OK(covey_node_statistics(c->right, &all));
  CHECK_UINT(all.broken, 0);
  covey_unsubscribe(c->subscription);
  CHECK_INT(covey_node_close(c->right, PATIENCE), unknown);
  covey_loop_close(c->loop);
}

static void close_left(void *arg)
{
  couple *c = arg;
  CHECK_INT(covey_node_close(c->left, PATIENCE), 0);
  test_add(&c->closed, 1);
}

static void turn_until_closed(couple *c, test_thread *closing)
{
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(c->loop, &handle));
  while (!test_add(&c->closed, 0)) {
    test_handle_ready(handle, 20);
    CHECK_OK(covey_loop_dispatch(c->loop));
  }
  test_thread_join(closing);
}

/* What had no room at last is counted too, whatever ends the topic: also where the word of the end has no room itself. */
static void missed_at_last(bool node_first)
{
  static char data[1000];
  couple c = couple_open(COVEY_SLOW_DROP_NEW);
  covey_message m;
  uint64_t got = 0, before = 0;
  int r = 0, count = 0;
  for (; count < 30; count++) CHECK_OK(covey_publish(c.topic, data, sizeof data, 0));
  for (; count < 90; count++) CHECK_OK(covey_publish(c.topic, NULL, 0, 0)); /* 80 bytes of room each */
  if (!node_first) covey_topic_close(c.topic);
  test_thread *closing = test_thread_start(close_left, &c);
  if (node_first) turn_until_closed(&c, closing);
  while ((r = covey_topic_next(c.subscription, PATIENCE, &m)) == 0) {
    got++;
    before = covey_subscription_lost(c.subscription);
    covey_message_free(&m);
  }
  CHECK_ERR(r, COVEY_ECLOSED);
  CHECK(got > 3);
  CHECK(got + before < (uint64_t)count);
  CHECK_UINT(got + covey_subscription_lost(c.subscription), (uint64_t)count);
  if (node_first)
    covey_topic_close(c.topic);
  else
    turn_until_closed(&c, closing);
  couple_close(&c, 0);
}

TEST(topic_end, missed_at_last_by_topic)
{
  missed_at_last(false);
}

TEST(topic_end, missed_at_last_by_node)
{
  missed_at_last(true);
}

/* A topic that ends behind its node's good-bye says nothing more. */
TEST(topic_end, topic_is_closed_behind_its_node)
{
  enum { SOME = 20 };
  couple c = couple_open(COVEY_SLOW_BLOCK);
  covey_native handle;
  covey_message m;
  REQUIRE_OK(covey_loop_handle(c.loop, &handle));
  while (test_handle_ready(handle, 200)) CHECK_OK(covey_loop_dispatch(c.loop));
  test_thread *closing = test_thread_start(close_left, &c);
  CHECK(test_handle_ready(handle, PATIENCE)); /* the good-bye is there */
  covey_topic_close(c.topic);
  for (int i = 0; i < SOME; i++) { /* what comes meanwhile makes it send what it has */
    covey_send_options o = {.name = c.name, .flags = COVEY_SEND_TRY};
    CHECK_OK(covey_message_send(c.right, &o, NULL, 0, NULL));
    test_pause(2);
  }
  CHECK_ERR(covey_topic_next(c.subscription, PATIENCE, &m), COVEY_ECLOSED);
  turn_until_closed(&c, closing);
  couple_close(&c, SOME);
}
