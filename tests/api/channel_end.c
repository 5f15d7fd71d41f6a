/* Channels that nobody accepts, that are closed in the middle, whose processes die. */
#include "support/test.h"

#include "channel_words.h"

enum { PATIENCE = 30000 };

typedef struct pair {
  covey_node *left, *right;
  char *name; /* of right */
} pair;

static pair pair_open(void)
{
  pair p = {.name = test_format("right-%" PRId64, test_pid())};
  covey_node_options right = {.name = p.name}, left = {.name = test_format("left-%" PRId64, test_pid())};
  REQUIRE_OK(covey_node_open(&right, &p.right));
  REQUIRE_OK(covey_node_open(&left, &p.left));
  return p;
}

static void pair_close(pair *p)
{
  CHECK_INT(covey_node_close(p->left, PATIENCE), 0);
  CHECK_INT(covey_node_close(p->right, PATIENCE), 0);
}

static covey_channel_options to(const pair *p)
{
  return (covey_channel_options){.name = p->name, .endpoint = "e", .timeout = PATIENCE};
}

static covey_channel *begin(const pair *p)
{
  covey_channel *c = NULL;
  covey_channel_options o = to(p);
  o.flags = COVEY_CHANNEL_TRY;
  int64_t until = test_now() + PATIENCE;
  int r;
  while (((r = covey_channel_open(p->left, &o, &c)) == COVEY_EAGAIN || r == COVEY_ENOTFOUND) &&
         test_now() < until)
    test_pause(1);
  REQUIRE_OK(r);
  return c;
}

static void both(const pair *p, covey_channel **l, covey_channel **r)
{
  int code = covey_endpoint_open(p->right, "e", NULL);
  CHECK(code == 0 || code == COVEY_EEXIST);
  *l = begin(p);
  REQUIRE_OK(covey_channel_accept(p->right, "e", PATIENCE, r));
}

/* What left has done before this, right has seen. */
static void fence(const pair *p)
{
  covey_send_options o = {.name = p->name, .timeout = PATIENCE};
  covey_message m;
  CHECK_OK(covey_message_send(p->left, &o, &(covey_buffer){"x", 1}, 1, NULL));
  REQUIRE_OK(covey_receive(p->right, NULL, PATIENCE, &m));
  covey_message_free(&m);
}

static void over(covey_channel *c, int code)
{
  covey_message m;
  CHECK_ERR(covey_channel_receive(c, PATIENCE, &m), code);
  CHECK_ERR(covey_channel_receive(c, 0, &m), code);
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

/* ---- opening ---- */

struct opening {
  const pair *pair;
  covey_cancel *cancel;
  int64_t timeout;
  int result;
  covey_channel *channel;
};

static void open_it(void *arg)
{
  struct opening *w = arg;
  covey_channel_options o = to(w->pair);
  o.cancel = w->cancel;
  o.timeout = w->timeout;
  w->result = covey_channel_open(w->pair->left, &o, &w->channel);
}

TEST(channel_end, opening_waits_for_endpoint_and_accept)
{
  pair p = pair_open();
  struct opening w = {.pair = &p, .timeout = PATIENCE};
  covey_channel *c;
  covey_channel_options o = to(&p);
  fence(&p); /* connected */
  o.timeout = 50;
  CHECK_ERR(covey_channel_open(p.left, &o, &c), COVEY_ENOTFOUND);
  CHECK(strstr(covey_last_failure()->what, "endpoint e") != NULL);
  REQUIRE_OK(covey_endpoint_open(p.right, "e", NULL));
  CHECK_ERR(covey_endpoint_open(p.right, "e", NULL), COVEY_EEXIST);
  CHECK_ERR(covey_channel_open(p.left, &o, &c), COVEY_ETIMEDOUT);
  fence(&p);
  CHECK_ERR(covey_channel_accept(p.right, "e", 0, &c), COVEY_ETIMEDOUT); /* it was given up */
  test_thread *t = test_thread_start(open_it, &w);
  REQUIRE_OK(covey_channel_accept(p.right, "e", PATIENCE, &c));
  test_thread_join(t);
  REQUIRE_OK(w.result);
  channel_send_text(w.channel, "x");
  channel_expect(c, "x");
  covey_channel_close(w.channel, 0);
  covey_channel_close(c, 0);
  pair_close(&p);
}

TEST(channel_end, opening_is_cancelled)
{
  pair p = pair_open();
  struct opening w = {.pair = &p, .timeout = COVEY_FOREVER};
  covey_channel *c;
  REQUIRE_OK(covey_cancel_new(&w.cancel));
  REQUIRE_OK(covey_endpoint_open(p.right, "e", NULL));
  covey_channel *first = begin(&p);
  test_thread *t = test_thread_start(open_it, &w);
  covey_cancel_fire(w.cancel);
  test_thread_join(t);
  CHECK_INT(w.result, COVEY_ECANCELED);
  REQUIRE_OK(covey_channel_accept(p.right, "e", PATIENCE, &c));
  channel_send_text(first, "the other one");
  channel_expect(c, "the other one");
  covey_channel_close(first, 0);
  covey_receive_options o = {.group = "e", .cancel = w.cancel};
  covey_channel *none;
  CHECK_ERR(covey_endpoint_accept(p.right, &o, &none), COVEY_ECANCELED);
  covey_receive_options receive = {.cancel = w.cancel, .timeout = COVEY_FOREVER};
  covey_send_options send = {.cancel = w.cancel};
  covey_message m;
  int r = covey_channel_message_receive(c, &receive, &m);
  CHECK(r == COVEY_ECANCELED || r == COVEY_ECLOSED); /* the end may be there already */
  static char large[300000];
  r = covey_channel_message_send(c, &send, &(covey_buffer){large, sizeof large}, 1);
  CHECK(r == COVEY_ECANCELED || r == COVEY_ECLOSED);
  covey_channel_close(c, 0);
  covey_cancel_free(w.cancel);
  pair_close(&p);
}

TEST(channel_end, too_many_wait)
{
  pair p = pair_open();
  covey_group_options few = {.max_count = 3};
  covey_channel *l[4], *r[4];
  REQUIRE_OK(covey_endpoint_open(p.right, "e", &few));
  for (int i = 0; i < 3; i++) l[i] = begin(&p);
  covey_channel_options o = to(&p);
  o.flags = COVEY_CHANNEL_TRY;
  CHECK_ERR(covey_channel_open(p.left, &o, &l[3]), COVEY_EAGAIN);
  CHECK(strstr(covey_last_failure()->what, "too many") != NULL);
  o.flags = 0;
  o.timeout = 20;
  CHECK_ERR(covey_channel_open(p.left, &o, &l[3]), COVEY_ETIMEDOUT);
  covey_channel_close(l[1], 0); /* who gives up makes room */
  l[1] = begin(&p);
  fence(&p);
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_channel_accept(p.right, "e", PATIENCE, &r[i]));
  l[3] = begin(&p);
  REQUIRE_OK(covey_channel_accept(p.right, "e", PATIENCE, &r[3]));
  channel_send_text(l[3], "fourth");
  channel_expect(r[3], "fourth");
  for (int i = 0; i < 4; i++) covey_channel_close(l[i], 0);
  for (int i = 0; i < 4; i++) covey_channel_close(r[i], 0);
  pair_close(&p);
}

TEST(channel_end, a_refused_one_says_so)
{
  pair p = pair_open();
  covey_channel *l, *r;
  both(&p, &l, &r);
  covey_channel *c = begin(&p);
  fence(&p);
  CHECK_OK(covey_endpoint_close(p.right, "e"));
  CHECK_ERR(covey_endpoint_close(p.right, "e"), COVEY_ENOTFOUND);
  channel_send_text(l, "goes on");
  channel_expect(r, "goes on");
  over(c, COVEY_ENOTFOUND);
  CHECK_ERR(covey_channel_send(c, "x", 1, PATIENCE), COVEY_ENOTFOUND);
  CHECK_ERR(covey_channel_end(c), COVEY_ENOTFOUND);
  CHECK_INT(covey_channel_close(c, PATIENCE), 0);
  covey_channel_close(l, 0);
  covey_channel_close(r, 0);
  pair_close(&p);
}

/* ---- closing ---- */

TEST(channel_end, close_waits_until_all_was_read)
{
  pair p = pair_open();
  covey_channel *l, *r;
  both(&p, &l, &r);
  for (int i = 0; i < 10; i++) channel_send_text(l, "x");
  for (int i = 0; i < 4; i++) channel_expect(r, "x");
  CHECK_INT(covey_channel_close(l, 1000), 6);
  for (int i = 0; i < 6; i++) channel_expect(r, "x"); /* and nothing is lost by that */
  over(r, COVEY_ECLOSED);
  CHECK_ERR(covey_channel_send(r, "x", 1, PATIENCE), COVEY_ECLOSED);
  CHECK_INT(covey_channel_close(r, PATIENCE), 0);
  pair_close(&p);
}

struct closing {
  covey_channel *c;
  int64_t timeout; /* 0: PATIENCE */
  int result;
};

static void close_it(void *arg)
{
  struct closing *w = arg;
  w->result = covey_channel_close(w->c, w->timeout ? w->timeout : PATIENCE);
}

TEST(channel_end, close_tells_what_was_not_read)
{
  pair p = pair_open();
  covey_channel *l, *r;
  both(&p, &l, &r);
  for (int i = 0; i < 10; i++) channel_send_text(l, "x");
  struct closing w = {.c = l};
  test_thread *t = test_thread_start(close_it, &w);
  for (int i = 0; i < 4; i++) channel_expect(r, "x");
  CHECK_INT(covey_channel_close(r, 0), 0); /* reads no more */
  test_thread_join(t);
  CHECK_INT(w.result, 6);
  both(&p, &l, &r);
  for (int i = 0; i < 10; i++) channel_send_text(l, "x");
  w = (struct closing){.c = l};
  t = test_thread_start(close_it, &w);
  for (int i = 0; i < 10; i++) channel_expect(r, "x");
  over(r, COVEY_ECLOSED);
  test_thread_join(t);
  CHECK_INT(w.result, 0);
  covey_channel_close(r, 0);
  pair_close(&p);
}

/* Also to the message while the other side stays open. */
TEST(channel_end, close_tells_what_is_not_read_yet)
{
  pair p = pair_open();
  covey_channel *l, *r;
  for (int later = 0; later < 3; later++) { /* messages that are read meanwhile */
    both(&p, &l, &r);
    for (int i = 0; i < 10; i++) channel_send_text(l, "x");
    for (int i = 0; i < 4; i++) channel_expect(r, "x");
    struct closing w = {.c = l, .timeout = 1000};
    test_thread *t = test_thread_start(close_it, &w);
    for (int i = 0; i < later; i++) channel_expect(r, "x");
    test_thread_join(t);
    CHECK_INT(w.result, 6 - later);
    for (int i = later; i < 6; i++) channel_expect(r, "x");
    over(r, COVEY_ECLOSED);
    covey_channel_close(r, 0);
  }
  pair_close(&p);
}

static void send_until_refused(void *arg)
{
  struct closing *w = arg;
  static char block[100000];
  while ((w->result = covey_channel_send(w->c, block, sizeof block, PATIENCE)) == 0) continue;
}

TEST(channel_end, close_in_the_middle_of_a_stream)
{
  pair p = pair_open();
  covey_channel *l, *r;
  covey_message m;
  for (int i = 0; i < 20; i++) {
    both(&p, &l, &r);
    struct closing w = {.c = l};
    test_thread *t = test_thread_start(send_until_refused, &w);
    for (int k = 0; k < i % 5; k++) {
      REQUIRE_OK(covey_channel_receive(r, PATIENCE, &m));
      covey_message_free(&m);
    }
    CHECK_INT(covey_channel_close(r, PATIENCE), 0);
    test_thread_join(t);
    CHECK_INT(w.result, COVEY_ECLOSED);
    over(l, COVEY_ECLOSED);
    covey_channel_close(l, PATIENCE);
  }
  pair_close(&p);
}

TEST(channel_end, messages_outlive_channel_and_node)
{
  pair p = pair_open();
  covey_channel *l, *r;
  covey_message m;
  both(&p, &l, &r);
  channel_send_text(l, "stays");
  REQUIRE_OK(covey_channel_receive(r, PATIENCE, &m));
  covey_channel_close(l, 0);
  covey_channel_close(r, 0);
  pair_close(&p);
  CHECK_STR(m.data, "stays");
  CHECK_STR(m.group, "e");
  covey_message_free(&m);
}

TEST(channel_end, node_close)
{
  pair p = pair_open();
  covey_channel *l, *r;
  both(&p, &l, &r);
  channel_send_text(l, "read");
  channel_send_text(r, "unread");
  struct closing w = {.c = r};
  test_thread *t = test_thread_start(send_until_refused, &w);
  CHECK(covey_node_close(p.left, PATIENCE) == 0); /* with a channel that is open */
  test_thread_join(t);
  CHECK_INT(w.result, COVEY_EPEERDIED);
  channel_expect(r, "read");
  over(r, COVEY_EPEERDIED);
  over(l, COVEY_ECLOSED);
  CHECK_ERR(covey_channel_send(l, "x", 1, 0), COVEY_ECLOSED);
  CHECK_ERR(covey_channel_end(r), COVEY_EPEERDIED);
  covey_channel_close(l, PATIENCE);
  covey_channel_close(r, PATIENCE);
  covey_node_close(p.right, PATIENCE);
}

/* ---- deaths ---- */

TEST(channel_end, all_that_came_is_read_after_the_death)
{
  static const char *const ways[] = {"die", "close", "hang"};
  char *me = test_format("%" PRId64, test_pid());
  for (int way = 0; way < 3; way++) {
    covey_channel *c;
    covey_message m;
    REQUIRE_OK(covey_group_open(NULL, ways[way], NULL)); /* our node is there */
    int64_t pid = test_start(TEST_HELPER("channel-send", me, "e", "30", "1000", ways[way]));
    REQUIRE_OK(covey_channel_accept(NULL, "e", PATIENCE, &c));
    for (int i = 0; i < 30; i++) {
      if (i == 20 && way == 0) CHECK(test_process_ended(pid, PATIENCE));
      REQUIRE_OK(covey_channel_receive(c, PATIENCE, &m));
      CHECK_UINT(m.size, 1000);
      CHECK_INT(m.from.pid, pid);
      CHECK(test_is_pattern(m.data, m.size, (uint64_t)i));
      covey_message_free(&m);
    }
    if (way == 2) end(pid);
    over(c, way == 1 ? COVEY_ECLOSED : COVEY_EPEERDIED);
    if (way != 2) CHECK(test_process_ended(pid, PATIENCE));
    CHECK_INT(covey_channel_close(c, PATIENCE), 0);
  }
  covey_node_close(NULL, PATIENCE);
}

TEST(channel_end, the_readers_death_ends_the_sender)
{
  int64_t pid = test_start(TEST_HELPER("channel-echo", "e", "1"));
  covey_channel *c;
  covey_channel_options o = {.pid = pid, .endpoint = "e", .timeout = PATIENCE};
  REQUIRE_OK(covey_channel_open(NULL, &o, &c));
  struct closing w = {.c = c};
  test_thread *t = test_thread_start(send_until_refused, &w);
  covey_message m;
  REQUIRE_OK(covey_channel_receive(c, PATIENCE, &m));
  covey_message_free(&m);
  end(pid);
  test_thread_join(t);
  CHECK_INT(w.result, COVEY_EPEERDIED);
  int r;
  while ((r = covey_channel_receive(c, PATIENCE, &m)) == 0) covey_message_free(&m);
  CHECK_INT(r, COVEY_EPEERDIED);
  CHECK(covey_channel_close(c, PATIENCE) >= 0);
  covey_node_close(NULL, PATIENCE);
}

TEST(channel_end, a_death_before_the_accept)
{
  char *me = test_format("%" PRId64, test_pid());
  covey_channel *c;
  REQUIRE_OK(covey_endpoint_open(NULL, "e", NULL));
  int64_t pid = test_start(TEST_HELPER("channel-send", me, "e", "1", "1", "die"));
  end(pid); /* whether it had come so far or not */
  int r = covey_channel_accept(NULL, "e", 50, &c);
  if (r == 0) covey_channel_close(c, 0);
  pid = test_start(TEST_HELPER("channel-send", me, "e", "1", "1", "close"));
  REQUIRE_OK(covey_channel_accept(NULL, "e", PATIENCE, &c));
  channel_expect(c, (const char[]){0, 0});
  over(c, COVEY_ECLOSED);
  CHECK(test_process_ended(pid, PATIENCE));
  covey_channel_close(c, 0);
  covey_node_close(NULL, PATIENCE);
}

TEST(channel_end, nothing_is_left)
{
  pair p = pair_open();
  covey_channel *l, *r;
  both(&p, &l, &r);
  covey_channel_close(l, 0);
  covey_channel_close(r, 0);
  test_no_handles_lost();
  for (int i = 0; i < 100; i++) {
    both(&p, &l, &r);
    channel_send_text(l, "x");
    channel_send_text(r, "y");
    if (i % 3) channel_expect(r, "x");
    covey_channel_close(i % 2 ? l : r, 0);
    covey_channel_close(i % 2 ? r : l, 0);
  }
  covey_node_close(p.left, PATIENCE);
  covey_node_close(p.right, PATIENCE);
}
