/* Publish and subscribe: what arrives, late joiners, gaps, who comes and goes. */
#include "support/test.h"

#include <covey/topic.h>

enum { PATIENCE = 30000 };

static covey_node *node(const char *name)
{
  covey_node *n = NULL;
  REQUIRE_OK(
      covey_node_open(&(covey_node_options){.name = test_format("%s-%" PRId64, name, test_pid())}, &n));
  return n;
}

static covey_topic *open_topic(const covey_topic_options *o)
{
  covey_topic *t = NULL;
  REQUIRE_OK(covey_topic_open(NULL, "t", o, &t));
  return t;
}

/* Of the default node's topic "t". */
static covey_subscription *subscribe(covey_node *to, uint32_t max_count)
{
  covey_subscription *s = NULL;
  covey_subscribe_options o = {.pid = test_pid(), .topic = "t", .timeout = PATIENCE, .max_count = max_count};
  REQUIRE_OK(covey_topic_subscribe(to, &o, &s));
  return s;
}

static int publish(covey_topic *t, int number)
{
  char text[16];
  return covey_publish(t, text, (size_t)snprintf(text, sizeof text, "%d", number), 0);
}

/* The next message's number; lost must be what is missing behind the one before. */
static int take(covey_subscription *s, int before, int64_t timeout)
{
  covey_message m = {0};
  int r = covey_topic_next(s, timeout, &m);
  if (r < 0) return r;
  int n = atoi(m.data);
  if (n <= before || m.lost != (uint64_t)(n - before - 1))
    TEST_FAIL("%d behind %d, lost %" PRIu64, n, before, m.lost);
  CHECK_UINT(m.size, strlen(m.data));
  CHECK_STR(m.group, "t");
  CHECK_INT(m.from.pid, test_pid());
  covey_message_free(&m);
  return n;
}

static void expect(covey_subscription *s, int number)
{
  CHECK_INT(take(s, number - 1, PATIENCE), number);
}

TEST(topic, reaches_everybody)
{
  static const size_t sizes[] = {0, 1, 4000, 65519, 65520, 65521, 262144, 1000000, 4000000};
  covey_node *a = node("a"), *b = node("b");
  covey_topic *t = open_topic(&(covey_topic_options){.slow = COVEY_SLOW_BLOCK});
  uint8_t *data = malloc(16777216);
  CHECK_INT(covey_publish(t, "x", 1, 0), 0); /* to nobody */
  covey_subscription *s[] = {subscribe(NULL, 0), subscribe(a, 0), subscribe(b, 0), subscribe(b, 0)};
  CHECK_INT(covey_topic_wait(t, 4, PATIENCE), 4);
  CHECK_ERR(covey_topic_wait(t, 5, 0), COVEY_ETIMEDOUT);
  test_make_pattern(data, 16777216, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const covey_buffer pieces[] = {
        {data, sizes[i] / 3}, {NULL, 0}, {data + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
    CHECK_INT(covey_topic_publish(t, &(covey_publish_options){.timeout = PATIENCE}, pieces, 3), 4);
    for (int k = 0; k < 4; k++) {
      covey_message m = {0};
      REQUIRE_OK(covey_topic_next(s[k], PATIENCE, &m));
      CHECK_UINT(m.size, sizes[i]);
      CHECK_UINT(m.lost, 0);
      CHECK_INT(m.kind, COVEY_KIND_PUBLISHED);
      CHECK_UINT((uintptr_t)m.data % 16, 0);
      CHECK(test_is_pattern(m.data, m.size, 0));
      CHECK_INT(((const char *)m.data)[m.size], 0);
      covey_message_free(&m);
    }
  }
  CHECK_ERR(covey_publish(t, data, 16777217, 0), COVEY_ETOOBIG);
  for (int k = 0; k < 4; k++) {
    CHECK_ERR(take(s[k], 0, 0), COVEY_ETIMEDOUT);
    CHECK_UINT(covey_subscription_lost(s[k]), 0);
    covey_unsubscribe(s[k]);
  }
  covey_topic_close(t);
  free(data);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

static void late_subscriber(void *arg)
{
  covey_subscription **s = arg;
  CHECK_OK(covey_subscribe(NULL, test_pid(), "later", PATIENCE, s));
}

TEST(topic, start_order_does_not_matter)
{
  covey_subscription *s = NULL, *by_name = NULL;
  covey_topic *t;
  CHECK_ERR(covey_subscribe(NULL, test_pid(), "later", 50, &s), COVEY_ENOTFOUND);
  CHECK(strstr(covey_last_failure()->what, "topic later") != NULL);
  CHECK_ERR(covey_subscribe(NULL, INT64_MAX, "later", PATIENCE, &s), COVEY_ENOPEER);
  test_thread *thread = test_thread_start(late_subscriber, &s);
  test_pause(20); /* it may or may not wait already */
  REQUIRE_OK(covey_topic_open(NULL, "later", NULL, &t));
  test_thread_join(thread);
  CHECK_INT(covey_publish(t, "1", 1, 0), 1);
  covey_message m = {0};
  REQUIRE_OK(covey_topic_next(s, PATIENCE, &m));
  covey_subscribe_options o = {.reply_to = &m, .topic = "later", .timeout = PATIENCE};
  REQUIRE_OK(covey_topic_subscribe(NULL, &o, &by_name));
  covey_unsubscribe(s);
  CHECK_STR(m.data, "1"); /* and it outlives its subscription */
  covey_message_free(&m);
  covey_topic *second;
  CHECK_ERR(covey_topic_open(NULL, "later", NULL, &second), COVEY_EEXIST);
  covey_topic_close(t);
  CHECK_ERR(covey_topic_next(by_name, PATIENCE, &m), COVEY_ECLOSED);
  CHECK_ERR(covey_topic_next(by_name, 0, &m), COVEY_ECLOSED);
  REQUIRE_OK(covey_topic_open(NULL, "later", NULL, &second)); /* another topic: nobody is in it */
  CHECK_INT(covey_topic_wait(second, 0, 0), 0);
  covey_unsubscribe(by_name);
  covey_topic_close(second);
}

TEST(topic, late_joiners)
{
  covey_node *a = node("a");
  covey_topic *t = open_topic(&(covey_topic_options){.keep_last = 1}), *plain;
  covey_subscription *s = subscribe(a, 1), *u;
  covey_message m;
  CHECK_ERR(covey_topic_next(s, 0, &m), COVEY_ETIMEDOUT); /* nothing was kept yet */
  for (int i = 1; i <= 5; i++) {
    publish(t, i);
    if (i == 1) expect(s, 1);
  }
  u = subscribe(a, 1);
  REQUIRE_OK(covey_topic_next(u, PATIENCE, &m));
  CHECK_STR(m.data, "5");
  CHECK_INT(m.kind, COVEY_KIND_KEPT);
  CHECK_UINT(m.lost, 0);
  covey_message_free(&m);
  covey_unsubscribe(s);
  s = subscribe(NULL, 0);
  REQUIRE_OK(covey_topic_next(s, PATIENCE, &m));
  CHECK_INT(m.kind, COVEY_KIND_KEPT);
  covey_message_free(&m);
  CHECK_OK(publish(t, 6) < 0);
  expect(s, 6);
  REQUIRE_OK(covey_topic_open(NULL, "plain", NULL, &plain));
  covey_publish(plain, "x", 1, 0);
  covey_unsubscribe(s);
  REQUIRE_OK(covey_subscribe(NULL, test_pid(), "plain", PATIENCE, &s));
  CHECK_ERR(covey_topic_next(s, 0, &m), COVEY_ETIMEDOUT);
  covey_unsubscribe(s);
  covey_unsubscribe(u);
  covey_topic_close(plain);
  covey_topic_close(t);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
}

/* A subscriber with room for three and one that reads at once: gaps are exact, the other misses nothing. The first one ends by that code; returns the
 * number of its last message. */
static int slow_and_fast(int32_t slow, int count, int end)
{
  covey_node *a = node("a"), *b = node("b");
  covey_topic *t = open_topic(&(covey_topic_options){.slow = slow});
  covey_subscription *sluggish = subscribe(a, 3), *fast = subscribe(b, 0);
  int r, got = 0, last = 0, late = 0;
  for (int i = 1; i <= count; i++) {
    r = publish(t, i);
    late += r == COVEY_ETIMEDOUT;
    CHECK(r > 0 || (r == COVEY_ETIMEDOUT && slow == COVEY_SLOW_BLOCK));
    expect(fast, i);
  }
  CHECK((late > 0) == (slow == COVEY_SLOW_BLOCK));
  CHECK_INT(covey_topic_wait(t, 0, 0), slow == COVEY_SLOW_END ? 1 : 2);
  covey_topic_close(t);
  while ((r = take(sluggish, last, PATIENCE)) > 0) {
    last = r;
    got++;
  }
  CHECK_ERR(take(fast, 0, PATIENCE), COVEY_ECLOSED);
  CHECK_UINT(covey_subscription_lost(fast), 0);
  if (slow == COVEY_SLOW_END)
    CHECK_UINT(covey_subscription_lost(sluggish), 1); /* the one that it had no room for */
  else
    CHECK_UINT(covey_subscription_lost(sluggish), (uint64_t)(count - got));
  CHECK(got >= 1 && got <= (slow == COVEY_SLOW_DROP_OLD ? count - 1 : 7));
  covey_unsubscribe(sluggish);
  covey_unsubscribe(fast);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
  CHECK_ERR(r, end);
  return last;
}

TEST(topic, slow_drops_new_ones)
{
  CHECK(slow_and_fast(COVEY_SLOW_DROP_NEW, 50, COVEY_ECLOSED) <= 7);
}

TEST(topic, slow_drops_old_ones)
{
  CHECK_INT(slow_and_fast(COVEY_SLOW_DROP_OLD, 50, COVEY_ECLOSED), 50);
}

TEST(topic, slow_blocks_within_the_deadline)
{
  CHECK(slow_and_fast(COVEY_SLOW_BLOCK, 50, COVEY_ECLOSED) <= 7);
}

TEST(topic, slow_ends)
{
  CHECK(slow_and_fast(COVEY_SLOW_END, 50, COVEY_EQUOTA) <= 7);
}

struct reader {
  covey_subscription *s;
  int count;
};

static void read_all(void *arg)
{
  struct reader *r = arg;
  for (int last = 0, n; (n = take(r->s, last, PATIENCE)) > 0; last = n) r->count++;
}

TEST(topic, block_loses_nothing)
{
  enum { COUNT = 500 };
  covey_node *a = node("a"), *b = node("b");
  covey_topic *t = open_topic(&(covey_topic_options){.slow = COVEY_SLOW_BLOCK});
  struct reader readers[] = {{subscribe(a, 2), 0}, {subscribe(b, 5), 0}};
  test_thread *threads[] = {test_thread_start(read_all, &readers[0]),
                            test_thread_start(read_all, &readers[1])};
  for (int i = 1; i <= COUNT; i++) {
    char text[16];
    CHECK_INT(covey_publish(t, text, (size_t)snprintf(text, sizeof text, "%d", i), PATIENCE), 2);
  }
  covey_topic_close(t);
  for (int i = 0; i < 2; i++) {
    test_thread_join(threads[i]);
    CHECK_INT(readers[i].count, COUNT);
    CHECK_UINT(covey_subscription_lost(readers[i].s), 0);
    covey_unsubscribe(readers[i].s);
  }
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

/* Only one node takes so long a message. */
TEST(topic, too_long_for_one)
{
  static char data[100000];
  covey_node_options o = {.name = test_format("small-%" PRId64, test_pid()), .max_message = 1000};
  covey_node *a = node("a"), *small;
  covey_message m;
  REQUIRE_OK(covey_node_open(&o, &small));
  covey_topic *t = open_topic(&(covey_topic_options){.slow = COVEY_SLOW_BLOCK});
  covey_subscription *s = subscribe(a, 0), *u = subscribe(small, 0);
  CHECK_INT(covey_publish(t, data, sizeof data, PATIENCE), 1);
  CHECK_INT(covey_publish(t, data, 1000, PATIENCE), 2);
  REQUIRE_OK(covey_topic_next(u, PATIENCE, &m));
  CHECK_UINT(m.size, 1000);
  CHECK_UINT(m.lost, 1);
  covey_message_free(&m);
  REQUIRE_OK(covey_topic_next(s, PATIENCE, &m));
  CHECK_UINT(m.size, sizeof data);
  covey_message_free(&m);
  covey_unsubscribe(s);
  covey_unsubscribe(u);
  covey_topic_close(t);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(small, PATIENCE), 0);
}

TEST(topic, unsubscribed_in_the_middle)
{
  covey_node *a = node("a"), *b = node("b");
  covey_topic *t = open_topic(NULL);
  covey_subscription *s = subscribe(a, 0), *u = subscribe(b, 0);
  for (int i = 1; i <= 20; i++) CHECK_INT(publish(t, i), 2);
  for (int i = 1; i <= 10; i++) expect(s, i);
  covey_unsubscribe(s);
  for (int64_t until = test_now() + PATIENCE; covey_topic_wait(t, 0, 0) > 1 && test_now() < until;)
    test_pause(1);
  CHECK_INT(publish(t, 21), 1);
  for (int i = 1; i <= 21; i++) expect(u, i);
  s = subscribe(a, 0);
  CHECK_INT(publish(t, 30000), 2);
  covey_message m = {0};
  REQUIRE_OK(covey_topic_next(s, PATIENCE, &m)); /* from here on */
  CHECK_STR(m.data, "30000");
  CHECK_UINT(m.lost, 0);
  covey_message_free(&m);
  covey_unsubscribe(s);
  covey_unsubscribe(u);
  covey_topic_close(t);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
}

static void hundred(void)
{
  enum { NODES = 20, EACH = 5, COUNT = 20 };
  covey_node *nodes[NODES];
  covey_subscription *s[NODES * EACH], *more;
  covey_subscribe_options one = {.pid = test_pid(), .topic = "t", .timeout = PATIENCE};
  covey_topic *t = open_topic(&(covey_topic_options){.max_subscribers = NODES * EACH});
  for (int i = 0; i < NODES; i++) {
    nodes[i] = node(test_format("n%d", i));
    for (int k = 0; k < EACH; k++) s[i * EACH + k] = subscribe(nodes[i], 0);
  }
  CHECK_ERR(covey_topic_subscribe(nodes[0], &one, &more), COVEY_EQUOTA);
  for (int i = 1; i <= COUNT; i++) CHECK_INT(publish(t, i), NODES * EACH);
  covey_topic_close(t);
  for (int i = 0; i < NODES * EACH; i++) {
    for (int k = 1; k <= COUNT; k++) expect(s[i], k);
    CHECK_ERR(take(s[i], COUNT, PATIENCE), COVEY_ECLOSED);
    covey_unsubscribe(s[i]);
  }
  for (int i = 0; i < NODES; i++) CHECK_INT(covey_node_close(nodes[i], PATIENCE), 0);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST_LIMIT(topic, a_hundred_subscribers, 180)
{
  hundred();
  test_no_handles_lost(); /* the default loop stays, and what the system makes once */
  hundred();
}
