/* Channels whose sends do not wait: covey_channel_on_room tells when to go on. On every kind of loop. */
#include "support/test.h"

#include "core/mem.h"
#include "stream_callback.h"

#include <string.h>

enum { BYTES = 1000, MORE = 2000 /* messages, of which a window holds 61 */ };

static char data[200000];

/* Who sends over a channel, and never waits: messages are numbers, the rest is filling. */
typedef struct sender {
  nodes n;
  covey_channel *here, *there;
  size_t size;
  int sent, read, until; /* until: goes on by itself up to so many */
  int calls, last;       /* last: of its sends */
  bool sending, within;
  void (*leave)(struct sender *s);
} sender;

static int send_one(sender *s)
{
  memcpy(data, &s->sent, sizeof s->sent);
  s->sending = true;
  int r = covey_channel_send(s->here, data, s->size, 0);
  s->sending = false;
  if (r == COVEY_ETIMEDOUT && covey_last_failure()->reached == COVEY_FAR_MAYBE)
    r = 0; /* the library has the rest */
  if (r == 0) s->sent++;
  return s->last = r;
}

/* Until there is no room. */
static void fill(sender *s)
{
  while (send_one(s) == 0) continue;
  CHECK_INT(s->last, COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
}

static void on_room(covey_channel *c, void *arg)
{
  sender *s = arg;
  CHECK(c == s->here);
  if (s->sending) s->within = true;
  s->calls++;
  if (s->leave)
    s->leave(s);
  else
    while (s->sent < s->until && send_one(s) == 0) continue;
}

static void sender_open(sender *s, turning kind)
{
  *s = (sender){.size = BYTES};
  nodes_open(&s->n, kind);
  nodes_channel(&s->n, &s->here, &s->there);
}

static void sender_close(sender *s)
{
  CHECK(!s->within);
  if (s->here) CHECK(covey_channel_close(s->here, 0) >= 0);
  if (s->there) CHECK(covey_channel_close(s->there, 0) >= 0);
  nodes_close(&s->n);
}

/* The other side reads on, up to message number count. */
static void read_to(sender *s, int count)
{
  for (; s->read < count; s->read++) CHECK_INT(nodes_number(&s->n, s->there, NULL, s->size), s->read);
}

/* ---- room ---- */

TEST(room_channel, is_told_once)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind);
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
    for (int i = 0; i < 20; i++) CHECK_OK(send_one(&s));
    read_to(&s, 20);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0); /* nobody was turned away */
    fill(&s);
    for (int i = 0; i < 5; i++) CHECK_INT(send_one(&s), COVEY_EAGAIN);
    CHECK_INT(covey_channel_message_send(s.here, &(covey_send_options){.flags = COVEY_SEND_TRY},
                                         &(covey_buffer){data, BYTES}, 1),
              COVEY_EAGAIN);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0); /* and there is none */
    read_to(&s, s.sent);
    nodes_until(&s.n, &s.calls, 1);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    CHECK_OK(send_one(&s));
    read_to(&s, s.sent);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

/* Nothing but the callback says when to go on. */
static void to_the_end(turning kind, size_t size, int count)
{
  sender s;
  sender_open(&s, kind);
  s.size = size;
  s.until = count;
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  while (s.sent < s.until && send_one(&s) == 0) continue;
  CHECK(s.sent < s.until);
  read_to(&s, count);
  CHECK(s.calls > 1);
  CHECK_INT(s.sent, count);
  CHECK_INT(covey_channel_end(s.here), 0);
  sender_close(&s);
}

TEST_LIMIT(room_channel, drives_sends_to_their_end, 120)
{
  for (int kind = 0; kind < TURNINGS; kind++) to_the_end((turning)kind, BYTES, MORE);
}

/* More than half a window, more than a window: by grants. */
TEST_LIMIT(room_channel, of_large_messages, 120)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    to_the_end((turning)kind, 40000, 30);
    to_the_end((turning)kind, sizeof data, 30);
  }
}

/* Of several that were turned away the one that needs least decides; the others are turned away again, and told again. */
TEST(room_channel, of_several_sizes)
{
  sender s;
  sender_open(&s, OWN_LOOP);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  fill(&s);
  CHECK_ERR(covey_channel_send(s.here, data, 32000, 0), COVEY_EAGAIN);
  CHECK_ERR(covey_channel_send(s.here, data, sizeof data, 0), COVEY_EAGAIN);
  int sent = s.sent;
  read_to(&s, sent / 2 + 2); /* half a window at a time is given back */
  nodes_until(&s.n, &s.calls, 1);
  fill(&s);
  CHECK(s.sent > sent);
  CHECK_ERR(covey_channel_send(s.here, data, 32000, 0), COVEY_EAGAIN);
  read_to(&s, s.sent);
  nodes_until(&s.n, &s.calls, 2);
  s.size = 32000;
  CHECK_OK(send_one(&s));
  read_to(&s, s.sent);
  sender_close(&s);
}

/* ---- before and behind ---- */

TEST(room_channel, comes_before_the_callback)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind);
    fill(&s);
    read_to(&s, s.sent);
    nodes_idle(&s.n); /* the room is here */
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
    CHECK_INT(s.calls, 0);
    nodes_until(&s.n, &s.calls, 1);
    CHECK_OK(send_one(&s));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

/* The dispatch comes late: room has come, went, and came again. */
TEST(room_channel, dispatch_comes_late)
{
  sender s;
  sender_open(&s, DEFAULT_LOOP);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  for (int i = 0; i < 3; i++) {
    fill(&s);
    for (covey_message m; s.read < s.sent; s.read++) {
      REQUIRE_OK(covey_channel_receive(s.there, PATIENCE, &m)); /* turns the loop, and runs no callback */
      covey_message_free(&m);
    }
  }
  CHECK_INT(s.calls, 0);
  nodes_until(&s.n, &s.calls, 1);
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 1);
  sender_close(&s);
}

/* The callback is taken away while room is due: the next one is told. */
TEST(room_channel, taken_away_and_set_again)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind);
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
    fill(&s);
    REQUIRE_OK(covey_channel_on_room(s.here, NULL, NULL));
    read_to(&s, s.sent);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s)); /* it is due now */
    REQUIRE_OK(covey_channel_on_room(s.here, NULL, NULL));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
    nodes_until(&s.n, &s.calls, 1);
    REQUIRE_OK(covey_channel_on_room(s.here, NULL, NULL));
    REQUIRE_OK(covey_channel_on_room(s.here, NULL, NULL));
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

static void on_second(covey_channel *c, void *arg)
{
  (void)c;
  ++*(int *)arg;
}

TEST(room_channel, second_takes_the_place_of_the_first)
{
  sender s;
  int second = 0;
  sender_open(&s, OWN_LOOP);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  fill(&s);
  REQUIRE_OK(covey_channel_on_room(s.here, on_second, &second));
  read_to(&s, s.sent);
  nodes_until(&s.n, &second, 1);
  CHECK_INT(s.calls, 0);
  sender_close(&s);
}

/* ---- ends ---- */

static void ended(sender *s, int code)
{
  nodes_until(&s->n, &s->calls, 1);
  CHECK_INT(send_one(s), code);
  nodes_idle(&s->n);
  CHECK_INT(s->calls, 1);
}

enum how { BY_THEIR_CLOSE, BY_THEIR_NODE, BY_OUR_END, BY_OUR_NODE, HOWS };

static void ends(turning kind, enum how how)
{
  sender s;
  static const int codes[HOWS] = {COVEY_ECLOSED, COVEY_EPEERDIED, COVEY_ECLOSED, COVEY_ECLOSED};
  sender_open(&s, kind);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  fill(&s);
  if (how == BY_THEIR_CLOSE) {
    CHECK(covey_channel_close(s.there, 0) >= 0);
    s.there = NULL;
  } else if (how == BY_THEIR_NODE) {
    covey_node_close(s.n.there, 0);
    s.n.there = NULL;
  } else if (how == BY_OUR_END) {
    CHECK_OK(covey_channel_end(s.here));
  } else {
    covey_node_close(s.n.here, 0);
    s.n.here = NULL;
  }
  CHECK_INT(s.calls, 0); /* not inside another call */
  ended(&s, codes[how]);
  sender_close(&s);
}

TEST_LIMIT(room_channel, its_end_is_told, 120)
{
  for (int kind = 0; kind < TURNINGS; kind++)
    for (int how = 0; how < HOWS; how++) ends((turning)kind, (enum how)how);
}

/* Without a word. */
TEST_LIMIT(room_channel, the_other_process_dies, 120)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s = {.size = BYTES};
    covey_node *ours; /* the helper finds a process by its unnamed node */
    int r;
    nodes_open(&s.n, (turning)kind);
    REQUIRE_OK(covey_node_open(&(covey_node_options){.loop = s.n.loop}, &ours));
    REQUIRE_OK(covey_endpoint_open(ours, "e", NULL));
    int64_t limit = test_now() + 2 * PATIENCE;
    int64_t victim =
        test_start(TEST_HELPER("channel-send", test_format("%" PRId64, test_pid()), "e", "1", "1", "hang"));
    while ((r = covey_channel_accept(ours, "e", 0, &s.here)) == COVEY_ETIMEDOUT) {
      nodes_turn(&s.n, 5);
      REQUIRE(test_now() < limit);
    }
    REQUIRE_OK(r);
    REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
    fill(&s);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    test_process_kill(victim);
    CHECK(test_process_ended(victim, PATIENCE));
    ended(&s, COVEY_EPEERDIED);
    covey_channel_close(s.here, 0);
    s.here = NULL;
    covey_node_close(ours, 0);
    sender_close(&s);
  }
}

/* Who was turned away before the end, and asks behind it. */
TEST(room_channel, comes_behind_the_end)
{
  sender s;
  sender_open(&s, OWN_LOOP);
  fill(&s);
  covey_node_close(s.n.there, 0);
  s.n.there = NULL;
  int64_t limit = test_now() + PATIENCE;
  while (send_one(&s) == COVEY_EAGAIN) {
    nodes_turn(&s.n, 5);
    REQUIRE(test_now() < limit);
  }
  CHECK_INT(s.last, COVEY_EPEERDIED);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  ended(&s, COVEY_EPEERDIED);
  sender_close(&s);
}

/* ---- the accept ---- */

static void waits_for_the_accept(turning kind, bool accepted)
{
  sender s = {.size = BYTES};
  covey_channel_options o = {.endpoint = "a", .flags = COVEY_CHANNEL_TRY};
  int r;
  nodes_open(&s.n, kind);
  o.name = s.n.there_name;
  REQUIRE_OK(covey_endpoint_open(s.n.there, "a", NULL));
  int64_t limit = test_now() + PATIENCE;
  while ((r = covey_channel_open(s.n.here, &o, &s.here)) == COVEY_EAGAIN || r == COVEY_ENOTFOUND) {
    nodes_turn(&s.n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
  CHECK_INT(send_one(&s), COVEY_EAGAIN);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 0);
  if (accepted) {
    while ((r = covey_channel_accept(s.n.there, "a", 0, &s.there)) == COVEY_ETIMEDOUT) {
      nodes_turn(&s.n, 5);
      REQUIRE(test_now() < limit);
    }
    REQUIRE_OK(r);
  } else {
    REQUIRE_OK(covey_endpoint_close(s.n.there, "a"));
  }
  ended(&s, accepted ? 0 : COVEY_ENOTFOUND);
  sender_close(&s);
}

TEST(room_channel, the_accept_is_told)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    waits_for_the_accept((turning)kind, true);
    waits_for_the_accept((turning)kind, false);
  }
}

/* ---- from inside the callback ---- */

static void close_it(sender *s)
{
  CHECK(covey_channel_close(s->here, 0) >= 0);
  s->here = NULL;
}

static void close_node(sender *s)
{
  covey_node_close(s->n.here, 0);
  s->n.here = NULL;
}

static void take_away(sender *s)
{
  fill(s);
  CHECK_OK(covey_channel_on_room(s->here, NULL, NULL));
}

static void close_all(sender *s)
{
  close_node(s);
  close_it(s);
}

static void leaves(turning kind, void (*leave)(sender *s))
{
  sender s;
  sender_open(&s, kind);
  REQUIRE_OK(covey_channel_on_room(s.here, on_room, &s));
  s.leave = leave;
  fill(&s);
  read_to(&s, s.sent);
  nodes_until(&s.n, &s.calls, 1);
  if (leave == take_away) read_to(&s, s.sent);
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 1);
  sender_close(&s);
}

TEST(room_channel, callback_ends_it_all)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    leaves((turning)kind, close_it);
    leaves((turning)kind, close_node);
    leaves((turning)kind, take_away);
    leaves((turning)kind, close_all);
  }
}

/* ---- threads ---- */

static void block(covey_channel *c, void *arg)
{
  (void)c;
  crowd_block(arg);
}

static void waits_for_it(bool closing)
{
  sender s;
  sender_open(&s, OWN_LOOP);
  crowd d = {.n = &s.n, .of = &s};
  REQUIRE_OK(covey_channel_on_room(s.here, block, &d));
  fill(&s);
  read_to(&s, s.sent - 20);
  test_thread *thread = test_thread_start(crowd_dispatch, &d);
  CHECK(test_wait_until(crowd_is_inside, &d, PATIENCE));
  test_add(&d.go_on, 1);
  if (closing) {
    CHECK(covey_channel_close(s.here, 0) >= 0);
    s.here = NULL;
  } else {
    CHECK_OK(covey_channel_on_room(s.here, NULL, NULL));
  }
  CHECK_INT(test_add(&d.inside, 0), 0);
  test_add(&d.done, 1);
  test_thread_join(thread);
  sender_close(&s);
}

TEST(room_channel, none_runs_any_more)
{
  waits_for_it(false);
  waits_for_it(true);
}

static void one_at_a_time(covey_channel *c, void *arg)
{
  crowd *d = arg;
  sender *s = d->of;
  (void)c;
  CHECK_INT(test_add(&d->inside, 1), 1);
  test_add(&d->calls, 1);
  while (s->sent < s->until && send_one(s) == 0) continue;
  CHECK_INT(test_add(&d->inside, -1), 0);
}

/* However many threads dispatch, the one who sends is one. */
TEST_LIMIT(room_channel, many_threads_dispatch, 120)
{
  enum { THREADS = 3 };
  sender s;
  test_thread *threads[THREADS];
  sender_open(&s, OWN_LOOP);
  crowd d = {.n = &s.n, .of = &s};
  s.until = test_is_wine() ? MORE / 4 : MORE;
  fill(&s);
  REQUIRE_OK(covey_channel_on_room(s.here, one_at_a_time, &d));
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(crowd_dispatch, &d);
  read_to(&s, s.until);
  test_add(&d.done, 1);
  for (int i = 0; i < THREADS; i++) test_thread_join(threads[i]);
  CHECK_INT(s.sent, s.until);
  CHECK(test_add(&d.calls, 0) > 0); /* one may do it all, where the reader is quick */
  sender_close(&s);
}

/* ---- memory ---- */

TEST(room_channel, out_of_memory)
{
  sender s;
  sender_open(&s, OWN_LOOP);
  cvy_mem_fail_after(1);
  CHECK_ERR(covey_channel_on_room(s.here, on_room, &s), COVEY_ENOMEM);
  cvy_mem_fail_after(0);
  CHECK_OK(covey_channel_on_room(s.here, NULL, NULL));
  CHECK_OK(covey_channel_on_room(s.here, on_room, &s));
  fill(&s);
  read_to(&s, s.sent);
  nodes_until(&s.n, &s.calls, 1);
  sender_close(&s);
}
