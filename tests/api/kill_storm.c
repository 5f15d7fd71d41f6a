/* Processes that are killed in the middle of what they say: channels, calls, topics and handles, several at a time on one node. What came is whole, in order and
 * counted; whoever waits is told; no handle, request or connection is left, and the node goes on.
 * COVEY_SEED=n plays one round again; COVEY_ROUNDS=n plays so many. */
#include "sites.h"
#include "storm.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/message.h>
#include <covey/process.h>
#include <covey/topic.h>

#include "core/atomics.h"
#include "os/handle.h"
#include "support/model.h"

enum { ACTORS = 4, LARGE = 60000, PATIENCE = 30000 };

/* One child after the other, and what it is talked to about. */
typedef struct actor {
  uint64_t seed, dice;
  int number;
  char name[24]; /* of its endpoint, function, topic and group */
  covey_process *child;
  int64_t pid;
  uint32_t over; /* atomic */
  test_thread *thread;
} actor;

static uint32_t pick(actor *a, uint32_t below)
{
  return (uint32_t)(model_random(&a->dice) % below);
}

static void wrong(const actor *a, const char *what, int r)
{
  TEST_FAIL("seed %" PRIu64 ": %s: %s: %s", a->seed, what, covey_errname(r), covey_last_failure()->what);
}

static bool is_death(int r)
{
  return r == COVEY_EPEERDIED || r == COVEY_ENOPEER || r == COVEY_EPEERCHANGED;
}

static void kill_soon(void *arg)
{
  actor *a = arg;
  uint64_t dice = a->seed * 977 + (uint64_t)a->number + 1;
  test_pause((int64_t)(model_random(&dice) % 60));
  CHECK_OK(covey_process_kill(a->child));
}

/* Starts the child, which is killed some time after now. */
static void start(actor *a, const char *const *argv)
{
  covey_process_options o = {.argv = argv, .out.kind = COVEY_STDIO_NULL, .err.kind = COVEY_STDIO_NULL};
  if (pick(a, 2))
    REQUIRE_OK(covey_spawn(&o, &a->child));
  else
    REQUIRE_OK(covey_node_spawn(NULL, &o, &a->child));
  a->pid = covey_process_pid(a->child);
}

static void finish(actor *a, test_thread *killer)
{
  test_thread_join(killer);
  covey_process_close(a->child);
}

/* Whether the first contact came about, which has answered r: from here on it is killed, if it is not already. */
static bool met(actor *a, test_thread **killer, int r, const char *what)
{
  bool early = *killer != NULL;
  if (r < 0 && !(early && is_death(r))) wrong(a, what, r);
  if (!early) *killer = test_thread_start(kill_soon, a);
  if (r < 0) finish(a, *killer);
  return r >= 0;
}

/* Sometimes it is killed from before the first contact on. */
static test_thread *perhaps_early(actor *a)
{
  return pick(a, 3) ? NULL : test_thread_start(kill_soon, a);
}

static const char *own_pid(void)
{
  return test_format("%" PRId64, test_pid());
}

/* ---- channels ---- */

static void its_echo_dies(actor *a)
{
  static unsigned char data[ACTORS][LARGE];
  covey_channel *c;
  covey_message m;
  start(a, TEST_HELPER("channel-echo", a->name, "1000"));
  covey_channel_options o = {.pid = a->pid, .endpoint = a->name, .timeout = PATIENCE};
  test_thread *killer = perhaps_early(a);
  int r = covey_channel_open(NULL, &o, &c);
  if (!met(a, &killer, r, "open")) return;
  int64_t sent = 0, heard = 0;
  size_t size = pick(a, 2) ? 100 : LARGE;
  for (; r == 0; sent++) {
    test_make_pattern(data[a->number], size, (uint64_t)sent);
    if ((r = covey_channel_send(c, data[a->number], size, PATIENCE)) < 0) break;
    while (sent - heard > 2 && (r = covey_channel_receive(c, PATIENCE, &m)) == 0) {
      if (m.size != size || !test_is_pattern(m.data, m.size, (uint64_t)heard))
        wrong(a, "an echo", (int)heard);
      heard++;
      covey_message_free(&m);
    }
  }
  if (!is_death(r)) wrong(a, "channel", r);
  while ((r = covey_channel_receive(c, PATIENCE, &m)) == 0) { /* what it had said before */
    if (!test_is_pattern(m.data, m.size, (uint64_t)heard)) wrong(a, "a last echo", (int)heard);
    heard++;
    covey_message_free(&m);
  }
  if (r != COVEY_EPEERDIED) wrong(a, "the end of a channel", r);
  r = covey_channel_close(c, PATIENCE);
  if (r < 0 || r > sent + 1) wrong(a, "close", r); /* what it read is told in steps */
  finish(a, killer);
}

static void its_sender_dies(actor *a)
{
  covey_channel *c;
  covey_message m;
  start(a, TEST_HELPER("channel-send", own_pid(), a->name, "1000000", pick(a, 2) ? "300" : "50000", "hang"));
  int r = covey_channel_accept(NULL, a->name, PATIENCE, &c);
  test_thread *killer = test_thread_start(kill_soon, a);
  if (r < 0) wrong(a, "accept", r);
  for (int64_t n = 0; r == 0; n++) {
    if ((r = covey_channel_receive(c, PATIENCE, &m)) < 0) break;
    if (!test_is_pattern(m.data, m.size, (uint64_t)n)) wrong(a, "a message", (int)n);
    covey_message_free(&m);
  }
  if (r != COVEY_EPEERDIED) wrong(a, "the end of its channel", r);
  CHECK_INT(covey_channel_close(c, PATIENCE), 0);
  finish(a, killer);
}

/* ---- calls ---- */

static void its_server_dies(actor *a)
{
  enum { MANY = 200 };
  covey_pending *calls[MANY];
  covey_reply reply;
  int begun = 0, r = 0;
  start(a, TEST_HELPER("call-serve", a->name));
  covey_call_options o = {.pid = a->pid, .function = a->name, .timeout = PATIENCE, .reply_max = 1000};
  test_thread *killer = perhaps_early(a);
  r = covey_call(NULL, a->pid, a->name, "pid", 4, PATIENCE, &reply);
  if (!met(a, &killer, r, "call")) return;
  covey_reply_free(&reply);
  while (r == 0 && !test_failures()) {
    for (begun = 0; begun < MANY && r == 0; begun += r == 0)
      r = covey_call_start(NULL, &o, &(covey_buffer){begun % 3 ? "x" : "size 900", begun % 3 ? 2 : 9}, 1,
                           &calls[begun]);
    if (r < 0 && !is_death(r)) wrong(a, "start of a call", r);
    for (int i = 0; i < begun; i++) {
      int e = covey_call_wait(calls[i], PATIENCE, &reply);
      if (e == 0) covey_reply_free(&reply);
      if (e < 0 && !is_death(e)) wrong(a, "outcome", e);
      if (e < 0) r = e;
      covey_call_close(calls[i]);
    }
  }
  finish(a, killer);
}

static void its_caller_dies(actor *a)
{
  enum { HELD = 5 };
  covey_request held[HELD] = {{0}}, q;
  int count = 0, r;
  start(a, TEST_HELPER("call-ask", own_pid(), a->name, "500"));
  test_thread *killer = NULL;
  for (; count < HELD; count++) {
    r = covey_call_receive(NULL, a->name, PATIENCE, &held[count]);
    if (r < 0) break;
    if (!killer) killer = test_thread_start(kill_soon, a);
  }
  if (count == 0) wrong(a, "receive of a call", r);
  if (!killer) killer = test_thread_start(kill_soon, a);
  test_thread_join(killer);
  for (int i = 0; i < count; i++) {
    int64_t end = test_now() + PATIENCE;
    while ((r = covey_request_wanted(&held[i])) == 1 && test_now() < end) test_pause(1);
    CHECK_INT(r, 0);
    r = covey_call_reply(&held[i], 0, "late", 4);
    if (r != COVEY_EPEERDIED && r != COVEY_ECANCELED) wrong(a, "a late answer", r);
    covey_request_free(&held[i]);
  }
  CHECK_ERR(covey_call_receive(NULL, a->name, 0, &q), COVEY_ETIMEDOUT); /* those that waited went with it */
  covey_process_close(a->child);
}

/* ---- topics ---- */

static void its_subscriber_dies(actor *a)
{
  covey_topic *t;
  char data[3000] = "";
  int r;
  REQUIRE_OK(covey_topic_open(NULL, a->name, &(covey_topic_options){.slow = COVEY_SLOW_BLOCK}, &t));
  start(a, TEST_HELPER("topic-listen", own_pid(), a->name, "-1", "0"));
  r = covey_topic_wait(t, 1, PATIENCE);
  test_thread *killer = test_thread_start(kill_soon, a);
  if (r < 0) wrong(a, "subscribers", r);
  for (int64_t n = 1; r > 0; n++) {
    (void)snprintf(data, sizeof data, "%" PRId64, n);
    r = covey_publish(t, data, pick(a, 2) ? 100 : sizeof data, PATIENCE);
  }
  if (r != 0) wrong(a, "publish", r);
  CHECK_INT(covey_topic_wait(t, 0, 0), 0);
  covey_topic_close(t);
  finish(a, killer);
}

static void its_publisher_dies(actor *a)
{
  covey_subscription *s;
  covey_message m;
  uint64_t last = 0;
  start(a, TEST_HELPER("topic-publish", a->name, "1", "100000000", pick(a, 2) ? "40" : "5000", "2"));
  test_thread *killer = perhaps_early(a);
  int r = covey_subscribe(NULL, a->pid, a->name, PATIENCE, &s);
  if (!met(a, &killer, r, "subscribe")) return;
  while (r == 0 && (r = covey_topic_next(s, PATIENCE, &m)) == 0) {
    uint64_t number = strtoull(m.data, NULL, 10);
    if (number != last + 1 + m.lost) wrong(a, "a gap", (int)m.lost);
    last = number;
    covey_message_free(&m);
  }
  if (r != COVEY_EPEERDIED) wrong(a, "the end of a topic", r);
  covey_unsubscribe(s);
  finish(a, killer);
}

/* ---- handles ---- */

static void its_keeper_dies(actor *a)
{
  covey_native some[3];
  char data[1] = "";
  for (int i = 0; i < 3; i++) REQUIRE_OK(cvos_null_open(&some[i]));
  start(a, TEST_HELPER("handle-count", a->name));
  covey_send_options to = {
      .pid = a->pid, .group = a->name, .timeout = PATIENCE, .handles = some, .handle_count = 3};
  test_thread *killer = perhaps_early(a);
  int r = covey_message_send(NULL, &to, NULL, 0, NULL);
  bool there = met(a, &killer, r, "first handles");
  while (r == 0) {
    to.level = pick(a, 4) ? COVEY_LEVEL_SENT : COVEY_LEVEL_CONSUMED;
    r = covey_message_send(NULL, &to, &(covey_buffer){data, 0}, 1, NULL);
  }
  if (!is_death(r)) wrong(a, "handles", r);
  if (there) finish(a, killer);
  for (int i = 0; i < 3; i++) cvos_handle_close(some[i]);
}

static void act(void *arg)
{
  static void (*const all[])(actor *) = {its_echo_dies,   its_sender_dies,     its_server_dies,
                                         its_caller_dies, its_subscriber_dies, its_publisher_dies,
                                         its_keeper_dies};
  actor *a = arg;
  for (int i = test_is_windows() ? 2 : 4; i > 0 && !test_failures(); i--) {
    a->seed++;
    all[pick(a, sizeof all / sizeof *all)](a);
  }
}

/* ---- a round ---- */

static bool nobody_is_left(void *arg)
{
  covey_statistics s;
  (void)arg;
  return covey_node_statistics(NULL, &s) == 0 && s.peers == 0 && s.waiting == 0;
}

static void play(uint64_t seed)
{
  static actor actors[ACTORS];
  covey_statistics s;
  covey_message m;
  for (int i = 0; i < ACTORS; i++) {
    actors[i] = (actor){.seed = seed * 100, .dice = seed * 7919 + (uint64_t)i + 1, .number = i};
    (void)snprintf(actors[i].name, sizeof actors[i].name, "part-%d", i);
    actors[i].thread = test_thread_start(act, &actors[i]);
  }
  for (int i = 0; i < ACTORS; i++) test_thread_join(actors[i].thread);
  while (covey_receive(NULL, "back", 0, &m) == 0) covey_message_free(&m);
  if (!test_wait_until(nobody_is_left, NULL, PATIENCE))
    TEST_FAIL("seed %" PRIu64 ": a dead process is still a peer", seed);
  CHECK_OK(covey_node_statistics(NULL, &s));
  CHECK_UINT(s.broken, 0);
  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "still here", 11, PATIENCE)); /* the node goes on */
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "still here");
  covey_message_free(&m);
  CHECK(covey_node_close(NULL, PATIENCE) >= 0);
}

TEST_LIMIT(kill_storm, anything, 300)
{
  if (test_is_windows()) storm_make_threads();
  play(1); /* what the system keeps */
  test_no_child_handles_lost();
  sites_rounds(play, 1);
}
