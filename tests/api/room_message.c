/* Messages and requests whose sends do not wait: covey_node_on_room tells when to go on. On every kind of loop. */
#include "support/test.h"

#include "core/mem.h"
#include "stream_callback.h"

#include <covey/call.h>

#include <string.h>

enum { BYTES = 1000, WINDOW = 8192 /* of a group: 7 messages */, GROUPS = 40, MORE = 300 };

static char data[200000];

/* What has been sent to a group, and told of it. */
typedef struct place {
  char name[16];
  int sent, read;
  int calls, code; /* code: the last one */
} place;

typedef struct sender {
  nodes n;
  place places[GROUPS];
  int count;    /* of places */
  int until;    /* goes on by itself up to so many to each */
  int calls;    /* of all */
  size_t size;  /* of a message */
  bool by_peer; /* goes on by room->peer */
  bool sending, within;
  void (*leave)(struct sender *s, const covey_room *room);
} sender;

static int send_to(sender *s, place *p, covey_peer *peer)
{
  covey_send_options o = {
      .name = peer ? NULL : s->n.there_name, .peer = peer, .group = p->name, .flags = COVEY_SEND_TRY};
  memcpy(data, &p->sent, sizeof p->sent);
  s->sending = true;
  int r = covey_message_send(s->n.here, &o, &(covey_buffer){data, s->size}, 1, NULL);
  s->sending = false;
  if (r == COVEY_ETIMEDOUT && covey_last_failure()->reached == COVEY_FAR_MAYBE)
    r = 0; /* the library has the rest */
  if (r == 0) p->sent++;
  return r;
}

/* Until there is no room. */
static void fill(sender *s, place *p)
{
  int r;
  while ((r = send_to(s, p, NULL)) == 0) continue;
  CHECK_INT(r, COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ROOM);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
}

static place *place_of(sender *s, const char *name)
{
  for (int i = 0; i < s->count; i++)
    if (strcmp(s->places[i].name, name) == 0) return &s->places[i];
  TEST_FAIL("told of %s", name);
  return &s->places[0];
}

static void on_room(const covey_room *room, void *arg)
{
  sender *s = arg;
  place *p = place_of(s, room->group);
  covey_peer_description d;
  if (s->sending) s->within = true;
  CHECK_INT(room->to.pid, test_pid());
  CHECK_INT(room->kind, COVEY_GROUP_MESSAGES);
  CHECK_UINT(room->reserved[0] | room->reserved[3], 0);
  CHECK_OK(covey_peer_describe(room->peer, &d));
  CHECK_STR(d.name, s->n.there_name);
  p->calls++;
  p->code = room->code;
  s->calls++;
  if (s->leave)
    s->leave(s, room);
  else
    while (p->sent < s->until && send_to(s, p, s->by_peer ? room->peer : NULL) == 0) continue;
}

/* The first messages: the connection is there, and each group. */
static void sender_open(sender *s, turning kind, int count)
{
  *s = (sender){.size = BYTES, .count = count};
  nodes_open(&s->n, kind);
  int64_t limit = test_now() + PATIENCE;
  for (int i = 0; i < count; i++) {
    place *p = &s->places[i];
    snprintf(p->name, sizeof p->name, "g%d", i);
    REQUIRE_OK(covey_group_open(s->n.there, p->name, &(covey_group_options){.max_bytes = WINDOW}));
    for (int r; (r = send_to(s, p, NULL)) != 0;) {
      CHECK(r == COVEY_EAGAIN || r == COVEY_ENOGROUP);
      CHECK(r != COVEY_EAGAIN || covey_last_failure()->stage != COVEY_STAGE_ROOM);
      nodes_turn(&s->n, 5);
      REQUIRE(test_now() < limit);
    }
  }
}

static void sender_close(sender *s)
{
  CHECK(!s->within);
  nodes_close(&s->n);
}

/* The other side reads on, up to message number count. */
static void read_to(sender *s, place *p, int count)
{
  for (; p->read < count; p->read++) CHECK_INT(nodes_number(&s->n, NULL, p->name, s->size), p->read);
}

/* ---- room ---- */

TEST(room_message, is_told_once)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 2);
    place *p = s.places;
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    for (int i = 0; i < 4; i++) CHECK_OK(send_to(&s, p, NULL));
    read_to(&s, p, p->sent);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0); /* nobody was turned away */
    fill(&s, p);
    for (int i = 0; i < 5; i++) CHECK_INT(send_to(&s, p, NULL), COVEY_EAGAIN);
    CHECK_OK(send_to(&s, &s.places[1], NULL)); /* another group has room */
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    read_to(&s, p, p->sent);
    nodes_until(&s.n, &s.calls, 1);
    nodes_idle(&s.n);
    CHECK_INT(p->calls, 1);
    CHECK_INT(p->code, 0);
    CHECK_OK(send_to(&s, p, NULL));
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
  for (int i = 0; i < groups; i++) read_to(&s, &s.places[i], 1);
  s.size = size;
  REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
  for (int i = 0; i < groups; i++) fill(&s, &s.places[i]);
  for (int more = 1; more;) {
    more = 0;
    for (int i = 0; i < groups; i++) {
      place *p = &s.places[i];
      if (p->read < p->sent) read_to(&s, p, p->read + 1);
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
  REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
  int64_t limit = test_now() + PATIENCE;
  while (send_to(&s, s.places, NULL) != 0) {
    covey_loop_dispatch(still);
    nodes_turn(&s.n, 5);
    REQUIRE(test_now() < limit);
  }
  fill(&s, s.places);
  CHECK(s.places[0].sent < 100);
  nodes_idle(&s.n);
  CHECK_INT(s.calls, 0);
  while (s.calls == 0) {
    covey_loop_dispatch(still);
    nodes_turn(&s.n, 5);
    REQUIRE(test_now() < limit);
  }
  CHECK_OK(send_to(&s, s.places, NULL));
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
  for (int i = 0; i < 20; i++) many[i] = (covey_buffer){data, BYTES};
  covey_send_options o = {.name = s.n.there_name, .group = "g0", .flags = COVEY_SEND_TRY};
  REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
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
  REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
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
  while ((r = covey_send(NULL, test_pid(), NULL, data, BYTES, 0)) == 0) sent++;
  CHECK_INT(r, COVEY_EAGAIN);
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(calls, 0);
  for (; sent; sent--) {
    REQUIRE_OK(covey_receive(NULL, NULL, 0, &m));
    covey_message_free(&m);
  }
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(calls, 1);
  CHECK_OK(covey_send(NULL, test_pid(), NULL, data, BYTES, 0));
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
  while ((r = covey_call_start(n.here, &o, &(covey_buffer){data, BYTES}, 1, &pending[count])) == 0)
    REQUIRE(++count < MOST);
  CHECK_INT(r, COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ROOM);
  for (; answered < count; answered++) {
    REQUIRE_OK(covey_call_receive(n.there, "f", PATIENCE, &q));
    REQUIRE_OK(covey_call_reply(&q, 0, NULL, 0));
    covey_request_free(&q);
  }
  nodes_until(&n, &calls, 1);
  REQUIRE_OK(covey_call_start(n.here, &o, &(covey_buffer){data, BYTES}, 1, &pending[count]));
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
    for (int i = 0; i < 2; i++) fill(&s, &s.places[i]);
    read_to(&s, &s.places[0], s.places[0].sent);
    nodes_idle(&s.n); /* the room is here */
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    CHECK_INT(s.calls, 0);
    nodes_until(&s.n, &s.calls, 1);
    nodes_idle(&s.n);
    CHECK_INT(s.places[0].calls, 1);
    read_to(&s, &s.places[1], s.places[1].sent);
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
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    fill(&s, s.places);
    REQUIRE_OK(covey_node_on_room(s.n.here, NULL, NULL));
    read_to(&s, s.places, s.places[0].sent);
    nodes_idle(&s.n);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s)); /* it is due now */
    REQUIRE_OK(covey_node_on_room(s.n.here, NULL, NULL));
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    nodes_until(&s.n, &s.calls, 1);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
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
  REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
  for (int i = 0; i < 3; i++) fill(&s, &s.places[i]);
  for (covey_message m; s.places[0].read < s.places[0].sent; s.places[0].read++) {
    REQUIRE_OK(covey_receive(s.n.there, "g0", PATIENCE, &m));
    covey_message_free(&m);
  }
  while (send_to(&s, &s.places[0], NULL) < 0) test_pause(1); /* it is due */
  REQUIRE_OK(covey_group_close(s.n.there, "g1"));
  while (send_to(&s, &s.places[1], NULL) != COVEY_ENOGROUP) test_pause(1); /* and this */
  REQUIRE_OK(covey_node_on_room(s.n.here, on_second, &second));
  nodes_until(&s.n, &second, 2);
  read_to(&s, &s.places[2], s.places[2].sent);
  nodes_until(&s.n, &second, 3);
  nodes_idle(&s.n);
  CHECK_INT(second, 3);
  CHECK_INT(s.calls, 0);
  sender_close(&s);
}

/* ---- ends ---- */

TEST(room_message, group_is_closed)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 2);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    for (int i = 0; i < 2; i++) fill(&s, &s.places[i]);
    REQUIRE_OK(covey_group_close(s.n.there, "g0"));
    nodes_until(&s.n, &s.calls, 1);
    CHECK_INT(s.places[0].code, COVEY_ENOGROUP);
    CHECK_INT(send_to(&s, &s.places[0], NULL), COVEY_ENOGROUP);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

/* Each group is told of once. */
TEST(room_message, node_of_the_peer_is_closed)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 3);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    for (int i = 0; i < 2; i++) fill(&s, &s.places[i]);
    covey_node_close(s.n.there, 0);
    s.n.there = NULL;
    nodes_until(&s.n, &s.calls, 2);
    for (int i = 0; i < 2; i++) CHECK_INT(s.places[i].code, COVEY_EPEERDIED);
    CHECK_INT(send_to(&s, &s.places[0], NULL), COVEY_ENOPEER);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 2);
    sender_close(&s);
  }
}

/* Room is due, and then the group goes, or the peer, or our node, before anybody dispatches. */
TEST(room_message, goes_while_it_is_due)
{
  for (int how = 0; how < 3; how++) {
    sender s;
    sender_open(&s, DEFAULT_LOOP, 1);
    place *p = s.places;
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    fill(&s, p);
    for (covey_message m; p->read < p->sent; p->read++) {
      REQUIRE_OK(covey_receive(s.n.there, "g0", PATIENCE, &m));
      covey_message_free(&m);
    }
    while (send_to(&s, p, NULL) < 0) test_pause(1);
    if (how == 0) REQUIRE_OK(covey_group_close(s.n.there, "g0"));
    if (how > 0) covey_node_close(s.n.there, 0);
    if (how > 0) s.n.there = NULL;
    while (send_to(&s, p, NULL) != (how ? COVEY_ENOPEER : COVEY_ENOGROUP)) test_pause(1);
    if (how < 2) {
      nodes_until(&s.n, &s.calls, 1);
      CHECK_INT(p->code, how ? COVEY_EPEERDIED : COVEY_ENOGROUP);
    } else {
      covey_node_close(s.n.here, 0);
      s.n.here = NULL;
    }
    for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
    CHECK_INT(s.calls, how < 2);
    sender_close(&s);
  }
}

TEST(room_message, our_node_closes)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 2);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
    for (int i = 0; i < 2; i++) fill(&s, &s.places[i]);
    covey_node_close(s.n.here, 0);
    s.n.here = NULL;
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 0);
    sender_close(&s);
  }
}

static int64_t victim;
static int told_of_victim;

static void on_victim(const covey_room *room, void *arg)
{
  (void)arg;
  CHECK_INT(room->to.pid, victim);
  CHECK_STR(room->group, "default");
  CHECK_INT(room->code, COVEY_EPEERDIED);
  told_of_victim++;
}

TEST_LIMIT(room_message, the_other_process_dies, 120)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    nodes n;
    covey_node *ours; /* the helper finds a process by its unnamed node */
    covey_message m;
    int r;
    nodes_open(&n, (turning)kind);
    REQUIRE_OK(covey_node_open(&(covey_node_options){.loop = n.loop}, &ours));
    REQUIRE_OK(covey_node_on_room(ours, on_victim, NULL));
    REQUIRE_OK(covey_group_open(ours, "back", NULL));
    victim = test_start(TEST_HELPER("node-sink", test_format("%" PRId64, test_pid())));
    told_of_victim = 0;
    int64_t limit = test_now() + PATIENCE;
    while ((r = covey_receive(ours, "back", 0, &m)) == COVEY_ETIMEDOUT) {
      nodes_turn(&n, 5);
      REQUIRE(test_now() < limit);
    }
    REQUIRE_OK(r);
    covey_message_free(&m);
    while ((r = covey_send(ours, victim, NULL, data, BYTES, 0)) == 0 || r == COVEY_ETIMEDOUT ||
           covey_last_failure()->stage != COVEY_STAGE_ROOM) {
      REQUIRE(test_now() < limit);
      if (r == COVEY_ETIMEDOUT || r == COVEY_EAGAIN) nodes_turn(&n, 5);
    }
    CHECK_INT(r, COVEY_EAGAIN);
    while ((r = covey_send(ours, victim, NULL, data, BYTES, 0)) != COVEY_EAGAIN || told_of_victim)
      REQUIRE(test_now() < limit);
    test_process_kill(victim);
    CHECK(test_process_ended(victim, PATIENCE));
    nodes_until(&n, &told_of_victim, 1);
    nodes_idle(&n);
    CHECK_INT(told_of_victim, 1);
    covey_node_close(ours, 0);
    nodes_close(&n);
  }
}

/* ---- from inside the callback ---- */

static void close_node(sender *s, const covey_room *room)
{
  (void)room;
  covey_node_close(s->n.here, 0);
  s->n.here = NULL;
}

static void take_away(sender *s, const covey_room *room)
{
  fill(s, place_of(s, room->group));
  CHECK_OK(covey_node_on_room(s->n.here, NULL, NULL));
}

TEST(room_message, callback_ends_it_all)
{
  for (int kind = 0; kind < 2 * TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)(kind / 2), 3);
    s.leave = kind & 1 ? close_node : take_away;
    for (int i = 0; i < 3; i++) fill(&s, &s.places[i]);
    for (int i = 0; i < 3; i++) read_to(&s, &s.places[i], s.places[i].sent);
    nodes_idle(&s.n);
    REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s)); /* all three are due */
    nodes_until(&s.n, &s.calls, 1);
    nodes_idle(&s.n);
    CHECK_INT(s.calls, 1);
    sender_close(&s);
  }
}

/* ---- threads ---- */

static void block(const covey_room *room, void *arg)
{
  (void)room;
  crowd_block(arg);
}

TEST(room_message, none_runs_any_more)
{
  sender s;
  sender_open(&s, OWN_LOOP, 1);
  crowd d = {.n = &s.n, .of = &s};
  fill(&s, s.places);
  read_to(&s, s.places, s.places[0].sent);
  REQUIRE_OK(covey_node_on_room(s.n.here, block, &d));
  test_thread *thread = test_thread_start(crowd_dispatch, &d);
  CHECK(test_wait_until(crowd_is_inside, &d, PATIENCE));
  test_add(&d.go_on, 1);
  CHECK_OK(covey_node_on_room(s.n.here, on_room, &s));
  CHECK_INT(test_add(&d.inside, 0), 0);
  test_add(&d.done, 1);
  test_thread_join(thread);
  CHECK_INT(s.calls, 0);
  sender_close(&s);
}

static void one_at_a_time(const covey_room *room, void *arg)
{
  crowd *d = arg;
  sender *s = d->of;
  place *p = place_of(s, room->group);
  CHECK_INT(test_add(&d->inside, 1), 1);
  test_add(&d->calls, 1);
  while (p->sent < s->until && send_to(s, p, NULL) == 0) continue;
  CHECK_INT(test_add(&d->inside, -1), 0);
}

/* Whoever waits for room in a call, while others wait for it on their loop, and many dispatch: everything goes. */
static void sends_and_waits(void *arg)
{
  const sender *s = ((crowd *)arg)->of;
  covey_send_options o = {.name = s->n.there_name, .group = "g0", .timeout = PATIENCE};
  for (int i = 0; i < MORE; i++)
    CHECK_OK(covey_message_send(s->n.here, &o, &(covey_buffer){"waits", 5}, 1, NULL));
}

TEST_LIMIT(room_message, many_threads, 180)
{
  enum { THREADS = 2 };
  sender s;
  test_thread *threads[2 * THREADS];
  sender_open(&s, OWN_LOOP, 1);
  crowd d = {.n = &s.n, .of = &s};
  int waiters = 0;
  s.until = MORE;
  fill(&s, s.places);
  REQUIRE_OK(covey_node_on_room(s.n.here, one_at_a_time, &d));
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(crowd_dispatch, &d);
  for (int i = THREADS; i < 2 * THREADS; i++) threads[i] = test_thread_start(sends_and_waits, &d);
  while (waiters < THREADS * MORE || s.places[0].read < MORE) {
    covey_message m;
    int number;
    REQUIRE_OK(covey_receive(s.n.there, "g0", PATIENCE, &m));
    if (m.size == 5) {
      waiters++;
    } else {
      memcpy(&number, m.data, sizeof number);
      CHECK_INT(number, s.places[0].read++);
    }
    covey_message_free(&m);
  }
  test_add(&d.done, 1);
  for (int i = 0; i < 2 * THREADS; i++) test_thread_join(threads[i]);
  CHECK_INT(s.places[0].sent, MORE);
  sender_close(&s);
}

/* ---- memory ---- */

TEST(room_message, out_of_memory)
{
  sender s;
  sender_open(&s, OWN_LOOP, 1);
  cvy_mem_fail_after(1);
  CHECK_ERR(covey_node_on_room(s.n.here, on_room, &s), COVEY_ENOMEM);
  cvy_mem_fail_after(0);
  REQUIRE_OK(covey_node_on_room(s.n.here, on_room, &s));
  fill(&s, s.places);
  read_to(&s, s.places, s.places[0].sent);
  nodes_until(&s.n, &s.calls, 1);
  sender_close(&s);
}
