/* A peer that sends any bytes, before and after its introduction: nothing breaks, nothing that was lent stays behind, and once its connection has
 * ended nothing of it is delivered any more. The first byte chooses: bit 0: it has introduced itself; the rest: how the stream is cut. */
#include "fuzz.h"

#include <covey/channel.h>

#include "msg/call.h"
#include "msg/group.h"
#include "msg/lane.h"
#include "msg/topic.h"

static covey_loop *loop;
static covey_node *node;
static covey_topic *topic;

static int64_t swallow(covey_peer *peer, const cvos_piece *pieces, size_t count, int *ret_system)
{
  int64_t n = 0;
  (void)peer;
  *ret_system = 0;
  for (size_t i = 0; i < count; i++) n += (int64_t)pieces[i].size;
  return n;
}

static bool pending(const covey_peer *peer)
{
  (void)peer;
  return false;
}

static void nothing(covey_peer *peer)
{
  (void)peer;
}

static void closed(void *arg)
{
  cvy_peer_closed(arg);
}

static void end(covey_peer *peer, bool now)
{
  (void)now;
  peer->close_task = (cvy_task){.run = closed, .arg = peer};
  cvy_loop_post(peer->node->loop, &peer->close_task);
}

static const cvy_transport sink = {swallow, pending, nothing, nothing, end};

static void begin(void)
{
  covey_loop_options lo = {.flags = COVEY_LOOP_NO_THREAD};
  covey_node_options no = {
      .app = "fuzz", .flags = COVEY_NODE_NO_LISTEN, .max_memory = 4 << 20, .max_message = 1 << 20};
  FUZZ_REQUIRE(covey_loop_open(&lo, &loop) == 0);
  no.loop = loop;
  FUZZ_REQUIRE(covey_node_open(&no, &node) == 0);
  covey_group_options priorities = {.priorities = 1}, old = {.full = COVEY_FULL_DROP_OLD, .max_count = 3},
                      few = {.max_count = 2};
  FUZZ_REQUIRE(covey_group_open(node, "priorities", &priorities) == 0);
  FUZZ_REQUIRE(covey_group_open(node, "old", &old) == 0);
  FUZZ_REQUIRE(covey_group_open(node, "few", &few) == 0);
  covey_request q;
  FUZZ_REQUIRE(covey_call_receive(node, "function", 0, &q) == COVEY_ETIMEDOUT);
  FUZZ_REQUIRE(covey_endpoint_open(node, "end", NULL) == 0);
  covey_topic_options keep = {.keep_last = 1, .slow = COVEY_SLOW_DROP_OLD, .max_subscribers = 3};
  FUZZ_REQUIRE(covey_topic_open(node, "ours", &keep, &topic) == 0);
}

/* ---- subscriptions to a topic of its ---- */

static covey_subscription subscriptions[2];

static void subscribe(covey_peer *peer)
{
  for (int i = 0; i < 2; i++) {
    covey_group_options room = {.max_count = (uint32_t)i};
    FUZZ_REQUIRE(cvy_subscription_open(peer, "theirs", &room, &subscriptions[i]) == 0);
  }
}

static void listen_to(covey_subscription *s, bool over)
{
  covey_message m;
  if (!s->group) return;
  uint64_t before = s->next;
  while (covey_topic_next(s, 0, &m) == 0) {
    FUZZ_REQUIRE(((const char *)m.data)[m.size] == 0 && s->next == before + m.lost + 1);
    before = s->next;
    covey_message_free(&m);
  }
  if (!over) return;
  FUZZ_REQUIRE(s->over < 0);
  cvy_loop_lock(loop);
  cvy_subscription_close(s);
  s->group = NULL;
  cvy_loop_unlock(loop);
}

/* ---- calls that wait for its answers, and requests of its own ---- */

static cvy_call calls[3];

static void call(covey_peer *peer)
{
  for (int i = 0; i < 3; i++) {
    cvy_parcel parcel = {.call = &calls[i], .id = ++peer->tx.next_id};
    calls[i] =
        (cvy_call){.node = node, .reply_max = (uint64_t)1 << (8 * i), .room = 1000, .deadline = CVY_NEVER};
    node->replies += calls[i].room;
    cvy_call_named(peer, &parcel);
  }
}

static void calls_are_over(void)
{
  for (int i = 0; i < 3; i++) {
    cvy_call *c = &calls[i];
    if (!c->peer) continue;
    FUZZ_REQUIRE(c->over && !c->listed && (c->code == 0) == (c->item != NULL) && c->code <= 0);
    FUZZ_REQUIRE(!c->item || c->item->size <= c->reply_max + CVY_PREFIX);
    if (c->item) cvy_peer_unref(c->item->owner);
    cvy_item_free(c->item);
    cvy_peer_unref(c->peer);
    *c = (cvy_call){0};
  }
}

static bool serve(uint8_t how)
{
  covey_request q;
  if (covey_call_receive(node, "function", 0, &q) < 0) return false;
  FUZZ_REQUIRE(((const char *)q.data)[q.size] == 0);
  if (how & 1) covey_call_reply(&q, 0, q.data, q.size < q.reply_max ? q.size : q.reply_max);
  FUZZ_REQUIRE(covey_request_wanted(&q) >= 0);
  covey_request_free(&q);
  return true;
}

/* ---- channels, opened by it and by us ---- */

static covey_channel *channels[4];

static void use(covey_channel **c, covey_peer *peer, uint8_t how)
{
  covey_channel_options o = {.peer = peer, .endpoint = "e", .flags = COVEY_CHANNEL_TRY};
  covey_message m;
  if (!*c && (how & 1) && covey_channel_open(node, &o, c) < 0) *c = NULL;
  if (!*c && !(how & 1) && covey_channel_accept(node, "end", 0, c) < 0) *c = NULL;
  if (!*c) return;
  switch (how >> 1 & 3) {
  case 0:
    if (covey_channel_receive(*c, 0, &m) == 0) covey_message_free(&m);
    break;
  case 1: covey_channel_send(*c, "0123456789", 10, 0); break;
  case 2: covey_channel_end(*c); break;
  default: covey_channel_close(*c, 0); *c = NULL;
  }
}

static void channels_are_over(void)
{
  covey_message m;
  for (int i = 0; i < 4; i++) {
    if (!channels[i]) continue;
    while (covey_channel_receive(channels[i], 0, &m) == 0) covey_message_free(&m);
    int code = covey_last_failure()->code;
    FUZZ_REQUIRE(code == COVEY_EPEERDIED || code == COVEY_ECLOSED || code == COVEY_ENOTFOUND);
    FUZZ_REQUIRE(covey_channel_send(channels[i], "x", 1, 0) < 0);
    FUZZ_REQUIRE(covey_channel_close(channels[i], COVEY_FOREVER) >= 0);
    channels[i] = NULL;
  }
}

static void introduce(covey_peer *peer)
{
  uint8_t frame[CVY_HEADER + 96 + 255];
  cvy_hello hello = {
      .version_least = CVY_VERSION, .version_most = CVY_VERSION, .max_message = 1000, .pid = 1};
  size_t size = cvy_hello_encode(&hello, frame + CVY_HEADER);
  cvy_header h = {.kind = CVY_FRAME_HELLO, .size = (uint32_t)size};
  cvy_header_encode(&h, frame);
  cvy_peer_bytes(peer, frame, CVY_HEADER + size);
  FUZZ_REQUIRE(peer->state == CVY_PEER_OPEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  covey_message m;
  if (!node) begin();
  if (size < 1) return 0;
  uint64_t before = node->lent;
  uint32_t groups = node->group_count;
  cvy_loop_lock(loop);
  covey_peer *peer = cvy_peer_new(node, CVY_PEER_HELLO, &sink);
  FUZZ_REQUIRE(peer != NULL);
  peer->identity.pid = 4711;
  peer->identity.flags = COVEY_ID_SAME_USER;
  cvy_loop_unlock(loop);
  if (data[0] & 1) {
    introduce(peer);
    cvy_loop_lock(loop);
    call(peer);
    subscribe(peer);
    cvy_loop_unlock(loop);
  }
  size_t step = (size_t)(data[0] >> 1) + 1;
  for (size_t at = 1; at < size; at += step) {
    cvy_peer_bytes(peer, data + at, size - at < step ? size - at : step);
    FUZZ_REQUIRE(node->lent <= node->max_memory / 2);
    FUZZ_REQUIRE(node->granted <= node->max_memory / 2 + 1);
    if ((data[at] & 7) == 4) FUZZ_REQUIRE(covey_publish(topic, data, size, 0) >= 0);
    if ((data[at] & 7) == 6) listen_to(&subscriptions[data[at] >> 7], false);
    if ((data[at] & 7) == 1) serve(data[at] >> 3);
    if ((data[at] & 6) == 2) use(&channels[data[at] >> 6], peer, data[at] >> 3);
    if ((data[at] & 7) == 0 && covey_receive(node, COVEY_ANY_GROUP, 0, &m) == 0) covey_message_free(&m);
  }
  cvy_peer_over(peer, 0);
  FUZZ_REQUIRE(peer->state == CVY_PEER_DEAD);
  calls_are_over();
  for (int i = 0; i < 2; i++) listen_to(&subscriptions[i], true);
  FUZZ_REQUIRE(covey_topic_wait(topic, 0, 0) == 0);
  channels_are_over();
  FUZZ_REQUIRE(node->replies == 0);
  uint64_t items = node->items;
  cvy_peer_bytes(peer, data, size);
  FUZZ_REQUIRE(node->items == items);
  while (covey_receive(node, COVEY_ANY_GROUP, 0, &m) == 0) covey_message_free(&m);
  FUZZ_REQUIRE(!serve(0)); /* what a dead caller wanted is not handed out */
  FUZZ_REQUIRE(node->answers == 0);
  FUZZ_REQUIRE(node->group_count == groups);
  FUZZ_REQUIRE(node->lent == before && node->granted == 0 && node->items == 0);
  cvy_peer_unref(peer);
  FUZZ_REQUIRE(covey_loop_dispatch(loop) >= 0);
  return 0;
}
