/* Channels: order, half close, windows, sizes, many of them, several threads. */
#include "support/test.h"

#include "channel_words.h"

enum { PATIENCE = 30000 };

/* Two nodes of this process, and a channel between them. */
typedef struct pair {
  covey_node *left, *right;
  char *name; /* of right */
  covey_channel *l, *r;
} pair;

static void open_between(pair *p, const char *endpoint, size_t window, covey_channel **l, covey_channel **r)
{
  covey_channel_options o = {.name = p->name,
                             .endpoint = endpoint,
                             .window = window,
                             .timeout = PATIENCE,
                             .flags = COVEY_CHANNEL_TRY};
  int64_t until = test_now() + PATIENCE;
  int code;
  while ((code = covey_channel_open(p->left, &o, l)) == COVEY_EAGAIN && test_now() < until) test_pause(1);
  REQUIRE_OK(code);
  REQUIRE_OK(covey_channel_accept(p->right, endpoint, PATIENCE, r));
}

static pair pair_open(size_t window)
{
  pair p = {.name = test_format("right-%" PRId64, test_pid())};
  covey_node_options right = {.name = p.name}, left = {.name = test_format("left-%" PRId64, test_pid())};
  covey_group_options own = {.max_bytes = window};
  REQUIRE_OK(covey_node_open(&right, &p.right));
  REQUIRE_OK(covey_node_open(&left, &p.left));
  REQUIRE_OK(covey_endpoint_open(p.right, "e", &own));
  open_between(&p, "e", window, &p.l, &p.r);
  return p;
}

static void pair_close(pair *p)
{
  covey_channel_close(p->l, 0);
  covey_channel_close(p->r, PATIENCE);
  CHECK_INT(covey_node_close(p->left, PATIENCE), 0);
  CHECK_INT(covey_node_close(p->right, PATIENCE), 0);
}

void channel_send_text(covey_channel *c, const char *text)
{
  CHECK_OK(covey_channel_send(c, text, strlen(text), PATIENCE));
}

void channel_expect(covey_channel *c, const char *text)
{
  covey_message m = {0};
  REQUIRE_OK(covey_channel_receive(c, PATIENCE, &m));
  CHECK_STR(m.data, text);
  CHECK_STR(m.group, "e");
  covey_message_free(&m);
}

TEST(channel, both_ways_and_half_close)
{
  pair p = pair_open(0);
  covey_message m;
  covey_identity who, we;
  test_fill(&m, sizeof m);
  channel_send_text(p.l, "one");
  channel_send_text(p.l, "");
  CHECK_OK(covey_channel_end(p.l));
  CHECK_OK(covey_channel_end(p.l));
  CHECK_ERR(covey_channel_send(p.l, "x", 1, PATIENCE), COVEY_ECLOSED);
  channel_expect(p.r, "one");
  channel_expect(p.r, "");
  CHECK_ERR(covey_channel_receive(p.r, PATIENCE, &m), COVEY_ECLOSED);
  CHECK(strstr(covey_last_failure()->what, "sends no more") != NULL);
  CHECK_ERR(covey_channel_receive(p.r, PATIENCE, &m), COVEY_ECLOSED);
  CHECK_ERR(covey_channel_receive(p.l, 0, &m), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&m, sizeof m));
  channel_send_text(p.r, "the other way is open");
  channel_expect(p.l, "the other way is open");
  REQUIRE_OK(covey_channel_identity(p.l, &who));
  REQUIRE_OK(covey_node_identity(p.right, &we));
  CHECK_MEM(who.instance, we.instance, sizeof we.instance);
  channel_send_text(p.r, "last");
  CHECK_OK(covey_channel_end(p.r));
  channel_expect(p.l, "last");
  CHECK_ERR(covey_channel_receive(p.l, PATIENCE, &m), COVEY_ECLOSED);
  CHECK_INT(covey_channel_close(p.l, PATIENCE), 0);
  CHECK_INT(covey_channel_close(p.r, PATIENCE), 0);
  p.l = p.r = NULL;
  pair_close(&p);
}

struct stream {
  covey_channel *c;
  int from, to;
  size_t size;
};

static void send_numbers(void *arg)
{
  struct stream *s = arg;
  uint8_t *data = calloc(1, s->size);
  for (int i = s->from; i < s->to; i++) {
    memcpy(data, &i, sizeof i);
    CHECK_OK(covey_channel_send(s->c, data, s->size, PATIENCE));
  }
  free(data);
}

static void receive_numbers(covey_channel *c, int from, int to)
{
  covey_message m;
  for (int i = from, got; i < to; i++) {
    REQUIRE_OK(covey_channel_receive(c, PATIENCE, &m));
    memcpy(&got, m.data, sizeof got);
    if (got != i) TEST_FAIL("number %d in the place of %d", got, i);
    covey_message_free(&m);
  }
}

TEST(channel, both_directions_keep_their_order)
{
  pair p = pair_open(4096);
  struct stream there = {p.l, 0, 3000, 100}, back = {p.r, 0, 3000, 300};
  test_thread *a = test_thread_start(send_numbers, &there), *b = test_thread_start(send_numbers, &back);
  receive_numbers(p.r, 0, 3000);
  receive_numbers(p.l, 0, 3000);
  test_thread_join(a);
  test_thread_join(b);
  pair_close(&p);
}

TEST(channel, a_full_one_stops_nobody_else)
{
  pair p = pair_open(8192);
  covey_channel *l, *r;
  covey_message m;
  char block[1000] = {0};
  int n = 0, code;
  open_between(&p, "e", 0, &l, &r);
  while ((code = covey_channel_send(p.l, block, sizeof block, 0)) == 0 && n < 100) n++;
  CHECK_INT(code, COVEY_EAGAIN);
  CHECK_INT(n, 8192 / 1064);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_ERR(covey_channel_send(p.l, block, sizeof block, 20), COVEY_ETIMEDOUT);
  for (int i = 0; i < 200; i++) { /* another channel, the other direction, a group */
    channel_send_text(l, "flows");
    channel_expect(r, "flows");
    channel_send_text(p.r, "back");
    channel_expect(p.l, "back");
  }
  covey_send_options to = {.name = p.name, .timeout = PATIENCE};
  CHECK_OK(covey_message_send(p.left, &to, &(covey_buffer){"x", 1}, 1, NULL));
  REQUIRE_OK(
      covey_receive(p.right, COVEY_ANY_GROUP, PATIENCE, &m)); /* what is in channels is not in groups */
  CHECK_STR(m.data, "x");
  covey_message_free(&m);
  CHECK_ERR(covey_receive(p.right, COVEY_ANY_GROUP, 0, &m), COVEY_ETIMEDOUT);
  for (int i = 0; i < n; i++) {
    REQUIRE_OK(covey_channel_receive(p.r, PATIENCE, &m));
    covey_message_free(&m);
  }
  CHECK_OK(covey_channel_send(p.l, block, sizeof block, PATIENCE));
  covey_channel_close(l, 0);
  covey_channel_close(r, 0);
  pair_close(&p);
}

TEST_LIMIT(channel, of_every_size_arrives_whole, 120)
{
  static const size_t sizes[] = {0, 1, 15, 16, 4095, 65535, 65536, 65537, 131072, 1000000, 4194304};
  int64_t pid = test_start(TEST_HELPER("channel-echo", "e", "1"));
  uint8_t *data = malloc(4194304);
  covey_channel *c;
  covey_message m;
  covey_channel_options o = {.pid = pid, .endpoint = "e", .timeout = PATIENCE, .window = 4096};
  test_make_pattern(data, 4194304, 0);
  REQUIRE_OK(covey_channel_open(NULL, &o, &c));
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    covey_buffer parts[] = {{data, sizes[i] / 3}, {NULL, 0}, {data + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
    REQUIRE_OK(covey_channel_message_send(c, NULL, parts, 3));
    REQUIRE_OK(covey_channel_message_receive(c, NULL, &m));
    CHECK_UINT(m.size, sizes[i]);
    CHECK_INT(m.from.pid, pid);
    CHECK(test_is_pattern(m.data, m.size, 0));
    CHECK_INT(((const char *)m.data)[m.size], 0);
    covey_message_free(&m);
  }
  free(data);
  CHECK_OK(covey_channel_end(c));
  CHECK_ERR(covey_channel_receive(c, PATIENCE, &m), COVEY_ECLOSED);
  CHECK_INT(covey_channel_close(c, PATIENCE), 0);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(channel, two_hundred_on_one_connection)
{
  enum { MANY = 200 };
  pair p = pair_open(0);
  covey_channel *l[MANY], *r[MANY];
  for (int i = 0; i < MANY; i++) open_between(&p, "e", 0, &l[i], &r[i]);
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < MANY; i++) channel_send_text(l[i], test_format("%d-%d", i, round));
    for (int i = MANY; i-- > 0;) channel_send_text(r[i], test_format("%d-%d", round, i));
  }
  for (int round = 0; round < 5; round++) {
    for (int i = MANY; i-- > 0;) channel_expect(r[i], test_format("%d-%d", i, round));
    for (int i = 0; i < MANY; i++) channel_expect(l[i], test_format("%d-%d", round, i));
  }
  for (int i = 0; i < MANY; i++) CHECK(covey_channel_close(i % 2 ? l[i] : r[i], 0) <= 5);
  for (int i = 0; i < MANY; i++) CHECK_INT(covey_channel_close(i % 2 ? r[i] : l[i], PATIENCE), 0);
  for (int i = 0; i < 300; i++) { /* numbers are used again */
    covey_channel *a, *b;
    open_between(&p, "e", 0, &a, &b);
    channel_send_text(a, "again");
    channel_expect(b, "again");
    covey_channel_close(a, 0);
    covey_channel_close(b, 0);
  }
  pair_close(&p);
}

struct crowd {
  covey_channel *c;
  test_counter sum, count, ended;
};

static void send_crowd(void *arg)
{
  struct crowd *w = arg;
  for (int i = 1; i <= 500; i++) CHECK_OK(covey_channel_send(w->c, &i, sizeof i, PATIENCE));
}

static void receive_crowd(void *arg)
{
  struct crowd *w = arg;
  covey_message m;
  int r, i;
  while ((r = covey_channel_receive(w->c, PATIENCE, &m)) == 0) {
    memcpy(&i, m.data, sizeof i);
    test_add(&w->sum, i);
    test_add(&w->count, 1);
    covey_message_free(&m);
  }
  CHECK_ERR(r, COVEY_ECLOSED);
  test_add(&w->ended, 1);
}

TEST(channel, several_threads_on_one)
{
  pair p = pair_open(4096);
  struct crowd there = {.c = p.r}, from = {.c = p.l};
  test_thread *senders[4], *receivers[4];
  for (int i = 0; i < 4; i++) {
    receivers[i] = test_thread_start(receive_crowd, &there);
    senders[i] = test_thread_start(send_crowd, &from);
  }
  for (int i = 0; i < 4; i++) test_thread_join(senders[i]);
  CHECK_OK(covey_channel_end(p.l));
  for (int i = 0; i < 4; i++) test_thread_join(receivers[i]);
  CHECK_INT(test_add(&there.count, 0), 2000);
  CHECK_INT(test_add(&there.sum, 0), 4 * 500 * 501 / 2);
  CHECK_INT(test_add(&there.ended, 0), 4);
  pair_close(&p);
}

TEST(channel, to_ourselves)
{
  covey_channel *l, *r;
  covey_message m;
  covey_channel_options o = {.pid = test_pid(), .endpoint = "e", .flags = COVEY_CHANNEL_TRY};
  CHECK_ERR(covey_channel_open(NULL, &o, &l), COVEY_ENOTFOUND);
  CHECK_ERR(covey_channel_accept(NULL, "e", 0, &r), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_channel_open(NULL, &o, &l));
  CHECK_ERR(covey_channel_send(l, "x", 1, 0), COVEY_EAGAIN);
  CHECK_ERR(covey_channel_end(l), COVEY_EAGAIN);
  CHECK_ERR(covey_channel_receive(l, 0, &m), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_channel_accept(NULL, "e", 0, &r));
  channel_send_text(l, "a");
  channel_send_text(r, "b");
  channel_expect(r, "a");
  channel_expect(l, "b");
  struct stream big = {l, 0, 3, 300000};
  test_thread *t = test_thread_start(send_numbers, &big);
  receive_numbers(r, 0, 3);
  test_thread_join(t);
  channel_send_text(l, "unread");
  CHECK_INT(covey_channel_close(l, 0), 1);
  channel_expect(r, "unread");
  CHECK_ERR(covey_channel_receive(r, 0, &m), COVEY_ECLOSED);
  CHECK_ERR(covey_channel_send(r, "x", 1, 0), COVEY_ECLOSED);
  CHECK_INT(covey_channel_close(r, 0), 0);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}
