/* Messages and requests whose sends do not wait: covey_node_on_room tells when to go on. On every kind of loop. */
#include "support/test.h"

#include "room_sender.h"

#include <covey/call.h>

#include <string.h>

/* ---- room ---- */

TEST(room_message, is_told_once)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 2);
    place *p = s.places;
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    for (int i = 0; i < 4; i++) CHECK_OK(sender_try(&s, p, NULL));
    sender_read(&s, p, p->sent);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0); /* nobody was turned away */
    sender_fill(&s, p);
    for (int i = 0; i < 5; i++) CHECK_INT(sender_try(&s, p, NULL), COVEY_EAGAIN);
    CHECK_OK(sender_try(&s, &s.places[1], NULL)); /* another group has room */
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    sender_read(&s, p, p->sent);
    nodes_until(&s.n, &s.calls, 1);
    nodes_idle(&s.n);
    CHECK_INT(p->calls, 1);
    CHECK_INT(p->code, 0);
    CHECK_OK(sender_try(&s, p, NULL));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

/* Nothing but the callback says when to go on: many groups of one peer, and a callback that is turned away again and again. */
static void to_the_end(turning kind, int groups, size_t size, int count, bool by_peer)
{
  sender s;
  sender_open(&s, kind, groups);
  s.until = count;
  s.by_peer = by_peer;
  for (int i = 0; i < groups; i++) sender_read(&s, &s.places[i], 1);
  s.size = size;
  REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
  for (int i = 0; i < groups; i++) sender_fill(&s, &s.places[i]);
  for (int more = 1; more;) {
    more = 0;
    for (int i = 0; i < groups; i++) {
      place *p = &s.places[i];
      if (p->read < p->sent) sender_read(&s, p, p->read + 1);
      more += p->read < count;
    }
    nodes_turn(&s.n, 1);
  }
  for (int i = 0; i < groups; i++) {
    CHECK(s.places[i].calls > 1);
    CHECK_INT(s.places[i].sent, count);
    CHECK_INT(s.places[i].code, 0);
  }
  sender_close(&s);
}

TEST_LIMIT(room_message, drives_sends_to_their_end, 180)
{
  for (int kind = 0; kind < TURNINGS; kind++) to_the_end((turning)kind, 1, BYTES, MORE, kind & 1);
}

TEST_LIMIT(room_message, of_many_groups, 180)
{
  for (int kind = 0; kind < TURNINGS; kind++) to_the_end((turning)kind, GROUPS, BYTES, 40, kind & 1);
}

/* By grants: fewer at a time than there are groups. */
TEST_LIMIT(room_message, of_large_messages, 180)
{
  for (int kind = 0; kind < TURNINGS; kind++) to_the_end((turning)kind, 20, 100000, 12, false);
}

/* What the system does not take: the receiver lends more than a connection holds, and is not turned. */
TEST(room_message, in_the_system)
{
  sender s = {.size = 60000, .count = 1, .places = {{.name = "g0"}}};
  covey_loop *still;
  nodes_open(&s.n, OWN_LOOP);
  covey_node_close(s.n.there, 0);
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &still));
  covey_node_options o = {.name = s.n.there_name, .loop = still, .window = 8 << 20};
  REQUIRE_OK(covey_node_open(&o, &s.n.there));
  REQUIRE_OK(covey_group_open(s.n.there, "g0", NULL));
  REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
  int64_t limit = test_now() + PATIENCE;
  while (sender_try(&s, s.places, NULL) != 0) {
    covey_loop_dispatch(still);
    nodes_turn(&s.n, 5);
    REQUIRE(test_now() < limit);
  }
  sender_fill(&s, s.places);
  CHECK(s.places[0].sent < 100);
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 0);
  while (s.calls == 0) {
    covey_loop_dispatch(still);
    nodes_turn(&s.n, 5);
    REQUIRE(test_now() < limit);
  }
  CHECK_OK(sender_try(&s, s.places, NULL));
  covey_node_close(s.n.here, 0);
  s.n.here = NULL;
  covey_node_close(s.n.there, 0);
  s.n.there = NULL;
  covey_loop_close(still);
  sender_close(&s);
}

/* ---- every way to send ---- */

TEST(room_message, of_a_batch)
{
  sender s;
  covey_buffer many[20];
  sender_open(&s, OWN_LOOP, 1);
  for (int i = 0; i < 20; i++) many[i] = (covey_buffer){sender_data, BYTES};
  covey_send_options o = {.name = s.n.there_name, .group = "g0", .flags = COVEY_SEND_TRY};
  REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
  int went = covey_send_many(s.n.here, &o, many, 20);
  CHECK(went > 0 && went < 20);
  CHECK_INT(covey_last_failure()->code, COVEY_EAGAIN);
  for (int i = 0; i < went + 1; i++) {
    covey_message m;
    REQUIRE_OK(covey_receive(s.n.there, "g0", PATIENCE, &m));
    covey_message_free(&m);
  }
  nodes_until(&s.n, &s.calls, 1);
  went = covey_send_many(s.n.here, &o, many, 20);
  CHECK(went > 0 && went < 20);
  CHECK_INT(covey_send_many(s.n.here, &o, many, 20), COVEY_EAGAIN);
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 1);
  sender_close(&s);
}

/* A group that drops what finds no room says so to who wants a receipt. */
TEST(room_message, of_what_was_dropped)
{
  sender s;
  covey_message m;
  sender_open(&s, DEFAULT_LOOP, 1);
  REQUIRE_OK(
      covey_group_open(s.n.there, "d", &(covey_group_options){.max_count = 1, .full = COVEY_FULL_DROP_NEW}));
  covey_send_options o = {.name = s.n.there_name, .group = "d", .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(s.n.here, &o, NULL, 0, NULL));
  o.flags = COVEY_SEND_TRY;
  o.level = COVEY_LEVEL_CONSUMED;
  CHECK_ERR(covey_message_send(s.n.here, &o, NULL, 0, NULL), COVEY_EAGAIN);
  strcpy(s.places[0].name, "d");
  REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 0);
  REQUIRE_OK(covey_receive(s.n.there, "d", PATIENCE, &m));
  covey_message_free(&m);
  nodes_until(&s.n, &s.calls, 1);
  sender_close(&s);
}

static void to_ourselves(const covey_room *room, void *arg)
{
  CHECK_INT(room->to.pid, test_pid());
  CHECK_STR(room->group, "default");
  CHECK_INT(room->code, 0);
  ++*(int *)arg;
}

/* By pid, to our own default node. */
TEST(room_message, of_ourselves)
{
  covey_message m;
  int sent = 0, calls = 0, r;
  REQUIRE_OK(covey_node_on_room(NULL, to_ourselves, &calls));
  while ((r = covey_send(NULL, test_pid(), NULL, sender_data, BYTES, 0)) == 0) sent++;
  CHECK_INT(r, COVEY_EAGAIN);
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(calls, 0);
  for (; sent; sent--) {
    REQUIRE_OK(covey_receive(NULL, NULL, 0, &m));
    covey_message_free(&m);
  }
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(calls, 1);
  CHECK_OK(covey_send(NULL, test_pid(), NULL, sender_data, BYTES, 0));
  covey_node_close(NULL, 0);
}

static void of_a_function(const covey_room *room, void *arg)
{
  CHECK_INT(room->kind, COVEY_GROUP_FUNCTION);
  CHECK_STR(room->group, "f");
  CHECK_INT(room->code, 0);
  ++*(int *)arg;
}

TEST(room_message, of_requests)
{
  enum { MOST = 600 };
  nodes n;
  static covey_pending *pending[MOST];
  int count = 0, answered = 0, calls = 0, r;
  covey_request q;
  nodes_open(&n, DEFAULT_LOOP);
  CHECK_ERR(covey_call_receive(n.there, "f", 0, &q), COVEY_ETIMEDOUT); /* it is there */
  covey_call_options o = {.name = n.there_name, .function = "f", .timeout = PATIENCE, .reply_max = 16};
  REQUIRE_OK(covey_node_on_room(n.here, of_a_function, &calls));
  REQUIRE_OK(covey_call_start(n.here, &o, NULL, 0, &pending[count++]));
  o.flags = COVEY_CALL_TRY;
  while ((r = covey_call_start(n.here, &o, &(covey_buffer){sender_data, BYTES}, 1, &pending[count])) == 0)
    REQUIRE(++count < MOST);
  CHECK_INT(r, COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ROOM);
  for (; answered < count; answered++) {
    REQUIRE_OK(covey_call_receive(n.there, "f", PATIENCE, &q));
    REQUIRE_OK(covey_call_reply(&q, 0, NULL, 0));
    covey_request_free(&q);
  }
  nodes_until(&n, &calls, 1);
  REQUIRE_OK(covey_call_start(n.here, &o, &(covey_buffer){sender_data, BYTES}, 1, &pending[count]));
  count++;
  nodes_idle(&n);
  CHECK_INT(calls, 1);
  for (int i = 0; i < count; i++) covey_call_close(pending[i]);
  nodes_close(&n);
}

/* ---- before and behind ---- */

TEST(room_message, comes_before_the_callback)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 3);
    for (int i = 0; i < 2; i++) sender_fill(&s, &s.places[i]);
    sender_read(&s, &s.places[0], s.places[0].sent);
    nodes_idle(&s.n); /* the room is here */
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    CHECK_INT(s.calls, 0);
    nodes_until(&s.n, &s.calls, 1);
    nodes_idle(&s.n);
    CHECK_INT(s.places[0].calls, 1);
    sender_read(&s, &s.places[1], s.places[1].sent);
    nodes_until(&s.n, &s.calls, 2);
    nodes_idle(&s.n);
    CHECK_INT(s.places[1].calls, 1);
    sender_close(&s);
  }
}

TEST(room_message, taken_away_and_set_again)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 1);
    REQUIRE_OK(covey_node_on_room(s.n.here, NULL, NULL)); /* nothing to take away */
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    sender_fill(&s, s.places);
    REQUIRE_OK(covey_node_on_room(s.n.here, NULL, NULL));
    sender_read(&s, s.places, s.places[0].sent);
    nodes_idle(&s.n);
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s)); /* it is due now */
    REQUIRE_OK(covey_node_on_room(s.n.here, NULL, NULL));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    nodes_until(&s.n, &s.calls, 1);
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

static void on_second(const covey_room *room, void *arg)
{
  (void)room;
  ++*(int *)arg;
}

/* Also when it was due for the first one, and when that was an end. */
TEST(room_message, second_takes_the_place_of_the_first)
{
  sender s;
  int second = 0;
  sender_open(&s, DEFAULT_LOOP, 3);
  REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
  for (int i = 0; i < 3; i++) sender_fill(&s, &s.places[i]);
  for (covey_message m; s.places[0].read < s.places[0].sent; s.places[0].read++) {
    REQUIRE_OK(covey_receive(s.n.there, "g0", PATIENCE, &m));
    covey_message_free(&m);
  }
  while (sender_try(&s, &s.places[0], NULL) < 0) test_pause(1); /* it is due */
  REQUIRE_OK(covey_group_close(s.n.there, "g1"));
  while (sender_try(&s, &s.places[1], NULL) != COVEY_ENOGROUP) test_pause(1); /* and this */
  REQUIRE_OK(covey_node_on_room(s.n.here, on_second, &second));
  nodes_until(&s.n, &second, 2);
  sender_read(&s, &s.places[2], s.places[2].sent);
  nodes_until(&s.n, &second, 3);
  nodes_idle(&s.n);
  CHECK_INT(second, 3);
  CHECK_INT(s.calls, 0);
  sender_close(&s);
}
