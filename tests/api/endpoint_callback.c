/* Channels that go to a callback as they are opened: on every kind of loop. */
#include "support/test.h"

#include "stream_callback.h"

enum { MOST = 256 };

/* What a callback has got. */
typedef struct arrivals {
  int count, refused, code;
  covey_channel *channels[MOST];
  covey_node *node;
  void (*leave)(struct arrivals *a);
  seen seen; /* of the last one */
} arrivals;

static void on_channel(covey_channel *channel, int code, void *arg)
{
  arrivals *a = arg;
  if (channel) {
    CHECK_INT(code, 0);
    REQUIRE(a->count < MOST);
    a->channels[a->count++] = channel;
    a->seen = (seen){.last = -1};
    CHECK_OK(covey_channel_on_message(channel, on_number, &a->seen));
  } else {
    CHECK_INT(covey_last_failure()->code, code);
    a->refused++;
    a->code = code;
  }
  if (a->leave) a->leave(a);
}

static void arrivals_close(arrivals *a)
{
  for (int i = 0; i < a->count; i++) covey_channel_close(a->channels[i], 0);
}

/* Opens a channel to here without waiting: on a loop that the test turns nobody else would accept it. */
static covey_channel *open_to(nodes *n, const char *endpoint)
{
  covey_channel_options o = {.name = n->here_name, .endpoint = endpoint, .flags = COVEY_CHANNEL_TRY};
  covey_channel *c = NULL;
  int64_t limit = test_now() + PATIENCE;
  int r;
  while ((r = covey_channel_open(n->there, &o, &c)) == COVEY_EAGAIN || r == COVEY_ENOTFOUND) {
    nodes_turn(n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r);
  return c;
}

static void arrive(turning kind)
{
  nodes n;
  arrivals a = {0};
  covey_channel *there[4], *none = NULL;
  nodes_open(&n, kind);
  REQUIRE_OK(covey_endpoint_open(n.here, "e", NULL));
  for (int i = 0; i < 2; i++) there[i] = open_to(&n, "e");
  nodes_idle(&n); /* they wait already, and come first */
  REQUIRE_OK(covey_endpoint_on_channel(n.here, "e", on_channel, &a));
  CHECK_INT(a.count, 0); /* not inside another call */
  nodes_until(&n, &a.count, 2);
  CHECK_ERR(covey_channel_accept(n.here, "e", 0, &none), COVEY_EEXIST);
  CHECK(none == NULL);
  for (int i = 2; i < 4; i++) {
    there[i] = open_to(&n, "e");
    nodes_until(&n, &a.count, i + 1);
  }
  send_numbers(there[3], 0, 20); /* it is the last that came, and tells by a callback of its own */
  nodes_until(&n, &a.seen.count, 20);
  CHECK_OK(covey_channel_end(there[3]));
  nodes_until(&n, &a.seen.ends, 1);
  CHECK_INT(a.refused, 0);
  arrivals_close(&a);
  for (int i = 0; i < 4; i++) covey_channel_close(there[i], 0);
  nodes_close(&n);
}

TEST(endpoint_callback, on_the_default_loop)
{
  arrive(DEFAULT_LOOP);
}

TEST(endpoint_callback, on_a_loop_of_its_own)
{
  arrive(OWN_LOOP);
}

TEST(endpoint_callback, on_a_loop_that_the_program_runs)
{
  arrive(LENT_LOOP);
}

static void take_away(arrivals *a)
{
  CHECK_OK(covey_endpoint_on_channel(a->node, "e", NULL, NULL));
  a->leave = NULL;
}

TEST(endpoint_callback, takes_itself_away)
{
  nodes n;
  arrivals a = {.leave = take_away};
  covey_channel *there[2], *here = NULL;
  int r;
  nodes_open(&n, OWN_LOOP);
  a.node = n.here;
  REQUIRE_OK(covey_endpoint_on_channel(n.here, "e", on_channel, &a)); /* makes the endpoint */
  there[0] = open_to(&n, "e");
  nodes_until(&n, &a.count, 1);
  there[1] = open_to(&n, "e");
  int64_t limit = test_now() + PATIENCE;
  while ((r = covey_channel_accept(n.here, "e", 0, &here)) == COVEY_ETIMEDOUT) {
    nodes_turn(&n, 5);
    REQUIRE(test_now() < limit);
  }
  REQUIRE_OK(r); /* it is an accept's again */
  CHECK_INT(a.count, 1);
  covey_channel_close(here, 0);
  arrivals_close(&a);
  for (int i = 0; i < 2; i++) covey_channel_close(there[i], 0);
  nodes_close(&n);
}

static void close_endpoint(arrivals *a)
{
  CHECK_OK(covey_endpoint_close(a->node, "e"));
  a->leave = NULL;
}

/* What waits is refused, the channel that has come goes on. */
TEST(endpoint_callback, closes_its_endpoint)
{
  nodes n;
  arrivals a = {.leave = close_endpoint};
  covey_channel *there[2];
  covey_message m;
  nodes_open(&n, OWN_LOOP);
  a.node = n.here;
  REQUIRE_OK(covey_endpoint_open(n.here, "e", NULL));
  for (int i = 0; i < 2; i++) there[i] = open_to(&n, "e");
  nodes_idle(&n);
  REQUIRE_OK(covey_endpoint_on_channel(n.here, "e", on_channel, &a));
  nodes_until(&n, &a.count, 1);
  CHECK_ERR(covey_channel_receive(there[1], PATIENCE, &m), COVEY_ENOTFOUND);
  send_numbers(there[0], 0, 3);
  nodes_until(&n, &a.seen.count, 3);
  arrivals_close(&a);
  for (int i = 0; i < 2; i++) covey_channel_close(there[i], 0);
  nodes_close(&n);
}

/* With all windows lent there is none for one more: both sides are told. When one is free again there is. */
TEST(endpoint_callback, without_room)
{
  enum { MEMORY = 1 << 20 };
  nodes n = {.kind = OWN_LOOP, .here_name = test_format("here-%" PRId64, test_pid())};
  arrivals a = {0};
  covey_channel *there[MOST], *last;
  covey_message m;
  int opened = 0;
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &n.loop));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = n.here_name, .loop = n.loop, .max_memory = MEMORY},
                             &n.here));
  REQUIRE_OK(
      covey_node_open(&(covey_node_options){.name = test_format("there-%" PRId64, test_pid())}, &n.there));
  REQUIRE_OK(covey_endpoint_on_channel(n.here, "e", on_channel, &a));
  while (!a.refused) {
    int64_t limit = test_now() + PATIENCE;
    REQUIRE(opened < MOST);
    there[opened++] = open_to(&n, "e");
    while (a.count + a.refused < opened) {
      nodes_turn(&n, 100);
      REQUIRE(test_now() < limit);
    }
  }
  CHECK_INT(a.code, COVEY_EQUOTA);
  REQUIRE(a.count > 0);
  last = there[--opened];
  CHECK_ERR(covey_channel_receive(last, PATIENCE, &m), COVEY_ENOTFOUND);
  covey_channel_close(last, 0);
  covey_channel_close(a.channels[0], 0);
  covey_channel_close(there[0], 0);
  nodes_idle(&n);
  a.channels[0] = NULL;
  int before = a.count;
  there[0] = open_to(&n, "e");
  nodes_until(&n, &a.count, before + 1);
  arrivals_close(&a);
  for (int i = 0; i < opened; i++) covey_channel_close(there[i], 0);
  nodes_close(&n);
}

/* ---- who waits already ---- */

typedef struct waiting {
  covey_node *node;
  test_counter begun;
  int result;
} waiting;

static void wait_there(void *arg)
{
  waiting *w = arg;
  covey_channel *c;
  test_add(&w->begun, 1);
  w->result = covey_channel_accept(w->node, "e", PATIENCE, &c);
}

static bool has_begun(void *arg)
{
  return test_add(&((waiting *)arg)->begun, 0) > 0;
}

/* An accept that waits has lost what it waits for: it is told so, now. */
TEST(endpoint_callback, an_accept_that_waits_is_told)
{
  nodes n;
  arrivals a = {0};
  waiting w = {.result = 1};
  int64_t start = test_now();
  nodes_open(&n, DEFAULT_LOOP);
  w.node = n.here;
  test_thread *thread = test_thread_start(wait_there, &w);
  CHECK(test_wait_until(has_begun, &w, PATIENCE));
  test_pause(30); /* so that it waits, mostly; else it finds the callback */
  REQUIRE_OK(covey_endpoint_on_channel(n.here, "e", on_channel, &a));
  test_thread_join(thread);
  CHECK_INT(w.result, COVEY_EEXIST);
  CHECK(test_now() - start < PATIENCE / 2);
  nodes_close(&n);
}
