/* A system that takes and gives bytes in small parts: whatever the cuts, messages arrive whole, once and in order. */
#include "support/test.h"

#include <covey/message.h>

#include "msg/peer.h"

enum { PATIENCE = 60000, GROUPS = 3, EACH = 60, LARGEST = 90000 };

static uint32_t most; /* bytes in one write */

static uint32_t next_random(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Takes a part of what it is given: every time another one, down to one byte. */
static int64_t short_write(covey_peer *peer, const cvos_piece *pieces, size_t count, int *ret_system)
{
  static test_counter calls;
  uint32_t state = (uint32_t)test_add(&calls, 1) * 2654435761u;
  uint64_t left = next_random(&state) % most + 1;
  cvos_piece some[CVY_CONTROL_MAX];
  size_t n = 0;
  if (next_random(&state) % 8 == 0) {
    *ret_system = 0;
    return 0;
  }
  for (; n < count && left; n++) {
    some[n] = pieces[n];
    if (some[n].size > left) some[n].size = (size_t)left;
    left -= some[n].size;
  }
  return cvy_transport_stream.write(peer, some, n, ret_system);
}

static bool pending(const covey_peer *peer)
{
  return cvy_transport_stream.pending(peer);
}
static void want_room(covey_peer *peer)
{
  cvy_transport_stream.want_room(peer);
}
static void watch(covey_peer *peer)
{
  cvy_transport_stream.watch(peer);
}
static void end(covey_peer *peer, bool now)
{
  cvy_transport_stream.close(peer, now);
}

static const cvy_transport parts = {short_write, pending, want_room, watch, end};

static void make_short(covey_node *node)
{
  cvy_loop_lock(node->loop);
  for (covey_peer *p = node->peers; p; p = p->next) {
    if (p->transport == &cvy_transport_stream) p->transport = &parts;
  }
  cvy_loop_unlock(node->loop);
}

struct sender {
  covey_node *node;
  const char *to, *group;
  uint32_t state;
};

static size_t size_of(uint32_t *state, int i)
{
  uint32_t r = next_random(state);
  return i % 5 == 0 ? r % LARGEST : r % 300;
}

static void send_all(void *arg)
{
  struct sender *s = arg;
  uint8_t *data = malloc(LARGEST);
  covey_send_options to = {.name = s->to, .group = s->group, .timeout = PATIENCE};
  for (int i = 0; i < EACH; i++) {
    size_t size = size_of(&s->state, i), cut = size / 3;
    test_make_pattern(data, size, (uint64_t)i);
    covey_buffer pieces[] = {{data, cut}, {data + cut, 0}, {data + cut, size - cut}};
    REQUIRE_OK(covey_message_send(s->node, &to, pieces, 3, NULL));
  }
  free(data);
}

static void receive_all(covey_node *node, const char *group, uint32_t state)
{
  for (int i = 0; i < EACH; i++) {
    covey_message m = {0};
    REQUIRE_OK(covey_receive(node, group, PATIENCE, &m));
    CHECK_UINT(m.size, size_of(&state, i));
    CHECK(test_is_pattern(m.data, m.size, (uint64_t)i));
    covey_message_free(&m);
  }
}

static void exchange(uint32_t bytes, size_t window)
{
  static const char *const groups[GROUPS] = {"one", "two", "three"};
  covey_node_options oa = {.name = test_format("sa-%" PRId64, test_pid())};
  covey_node_options ob = {.name = test_format("sb-%" PRId64, test_pid()), .window = window};
  covey_node *a, *b;
  covey_message m;
  struct sender senders[GROUPS];
  test_thread *threads[GROUPS];
  most = bytes;
  REQUIRE_OK(covey_node_open(&oa, &a));
  REQUIRE_OK(covey_node_open(&ob, &b));
  covey_send_options to = {.name = ob.name, .timeout = PATIENCE};
  for (int i = 0; i < GROUPS; i++) REQUIRE_OK(covey_group_open(b, groups[i], NULL));
  REQUIRE_OK(covey_message_send(a, &to, NULL, 0, NULL));
  REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
  covey_message_free(&m);
  make_short(a);
  make_short(b);
  for (int i = 0; i < GROUPS; i++) {
    senders[i] = (struct sender){a, ob.name, groups[i], (uint32_t)i + 7};
    threads[i] = test_thread_start(send_all, &senders[i]);
  }
  for (int i = 0; i < GROUPS; i++) receive_all(b, groups[i], (uint32_t)i + 7);
  for (int i = 0; i < GROUPS; i++) test_thread_join(threads[i]);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
}

TEST_LIMIT(node_short, parts_of_kilobytes, 180)
{
  exchange(20000, 0);
}

TEST_LIMIT(node_short, parts_of_some_bytes, 180)
{
  exchange(400, 0);
}

TEST_LIMIT(node_short, a_narrow_window_too, 180)
{
  exchange(3000, 4096);
}

TEST_LIMIT(node_short, deadlines_in_the_middle, 180)
{
  /* Sends that are given up half-way leave their rest: every message that may have arrived has arrived whole. */
  covey_node_options oa = {.name = test_format("sa-%" PRId64, test_pid())};
  covey_node_options ob = {.name = test_format("sb-%" PRId64, test_pid())};
  covey_node *a, *b;
  covey_message m;
  uint8_t *data = malloc(LARGEST);
  int sent = 0, came = 0, maybe = 0;
  most = 300;
  REQUIRE_OK(covey_node_open(&oa, &a));
  REQUIRE_OK(covey_node_open(&ob, &b));
  covey_send_options to = {.name = ob.name, .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(a, &to, NULL, 0, NULL));
  REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
  covey_message_free(&m);
  make_short(a);
  test_make_pattern(data, LARGEST, 0);
  for (int i = 0; i < 60; i++) {
    to.timeout = 1 + i % 3;
    to.flags = i % 4 == 0 ? COVEY_SEND_TRY : 0;
    int r = covey_message_send(a, &to, &(covey_buffer){data, (size_t)(i * 37 % LARGEST)}, 1, NULL);
    if (r == 0)
      sent++;
    else if (covey_last_failure()->reached != COVEY_FAR_NOTHING)
      maybe++;
    else
      CHECK(r == COVEY_ETIMEDOUT || r == COVEY_EAGAIN);
  }
  to.timeout = PATIENCE;
  to.flags = 0;
  REQUIRE_OK(covey_message_send(a, &to, &(covey_buffer){"end", 3}, 1, NULL));
  for (;;) {
    REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
    bool end_came = m.size == 3 && memcmp(m.data, "end", 3) == 0;
    if (!end_came) {
      CHECK(test_is_pattern(m.data, m.size, 0));
      came++;
    }
    covey_message_free(&m);
    if (end_came) break;
  }
  test_log("%d sent, %d given up half-way", sent, maybe);
  CHECK_INT(came, sent + maybe);
  free(data);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
}
