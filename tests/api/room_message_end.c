/* covey_node_on_room: how it ends, and what may be done in the callback and beside it. */
#include "support/test.h"

#include "core/mem.h"
#include "room_sender.h"

/* ---- ends ---- */

TEST(room_message, group_is_closed)
{
  for (int kind = 0; kind < TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)kind, 2);
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    for (int i = 0; i < 2; i++) sender_fill(&s, &s.places[i]);
    REQUIRE_OK(covey_group_close(s.n.there, "g0"));
    nodes_until(&s.n, &s.calls, 1);
    CHECK_INT(s.places[0].code, COVEY_ENOGROUP);
    CHECK_INT(sender_try(&s, &s.places[0], NULL), COVEY_ENOGROUP);
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
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    for (int i = 0; i < 2; i++) sender_fill(&s, &s.places[i]);
    covey_node_close(s.n.there, 0);
    s.n.there = NULL;
    nodes_until(&s.n, &s.calls, 2);
    for (int i = 0; i < 2; i++) CHECK_INT(s.places[i].code, COVEY_EPEERDIED);
    CHECK_INT(sender_try(&s, &s.places[0], NULL), COVEY_ENOPEER);
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
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    sender_fill(&s, p);
    for (covey_message m; p->read < p->sent; p->read++) {
      REQUIRE_OK(covey_receive(s.n.there, "g0", PATIENCE, &m));
      covey_message_free(&m);
    }
    while (sender_try(&s, p, NULL) < 0) test_pause(1);
    if (how == 0) REQUIRE_OK(covey_group_close(s.n.there, "g0"));
    if (how > 0) covey_node_close(s.n.there, 0);
    if (how > 0) s.n.there = NULL;
    while (sender_try(&s, p, NULL) != (how ? COVEY_ENOPEER : COVEY_ENOGROUP)) test_pause(1);
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
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
    for (int i = 0; i < 2; i++) sender_fill(&s, &s.places[i]);
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
    while ((r = covey_send(ours, victim, NULL, sender_data, BYTES, 0)) == 0 || r == COVEY_ETIMEDOUT ||
           covey_last_failure()->stage != COVEY_STAGE_ROOM) {
      REQUIRE(test_now() < limit);
      if (r == COVEY_ETIMEDOUT || r == COVEY_EAGAIN) nodes_turn(&n, 5);
    }
    CHECK_INT(r, COVEY_EAGAIN);
    while ((r = covey_send(ours, victim, NULL, sender_data, BYTES, 0)) != COVEY_EAGAIN || told_of_victim)
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
  sender_fill(s, sender_place(s, room->group));
  CHECK_OK(covey_node_on_room(s->n.here, NULL, NULL));
}

TEST(room_message, callback_ends_it_all)
{
  for (int kind = 0; kind < 2 * TURNINGS; kind++) {
    sender s;
    sender_open(&s, (turning)(kind / 2), 3);
    s.leave = kind & 1 ? close_node : take_away;
    for (int i = 0; i < 3; i++) sender_fill(&s, &s.places[i]);
    for (int i = 0; i < 3; i++) sender_read(&s, &s.places[i], s.places[i].sent);
    nodes_idle(&s.n);
    REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s)); /* all three are due */
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
  sender_fill(&s, s.places);
  sender_read(&s, s.places, s.places[0].sent);
  REQUIRE_OK(covey_node_on_room(s.n.here, block, &d));
  test_thread *thread = test_thread_start(crowd_dispatch, &d);
  CHECK(test_wait_until(crowd_is_inside, &d, PATIENCE));
  test_add(&d.go_on, 1);
  CHECK_OK(covey_node_on_room(s.n.here, sender_told, &s));
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
  place *p = sender_place(s, room->group);
  CHECK_INT(test_add(&d->inside, 1), 1);
  test_add(&d->calls, 1);
  while (p->sent < s->until && sender_try(s, p, NULL) == 0) continue;
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
  sender_fill(&s, s.places);
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
  CHECK_ERR(covey_node_on_room(s.n.here, sender_told, &s), COVEY_ENOMEM);
  cvy_mem_fail_after(0);
  REQUIRE_OK(covey_node_on_room(s.n.here, sender_told, &s));
  sender_fill(&s, s.places);
  sender_read(&s, s.places, s.places[0].sent);
  nodes_until(&s.n, &s.calls, 1);
  sender_close(&s);
}
