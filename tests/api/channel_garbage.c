/* Openers and acceptors of channels that lie: each costs its own connection, and nothing else. */
#include "impostor.h"

#include <covey/channel.h>

#include "os/handle.h"
#include "os/watch.h"

enum { PATIENCE = 30000, ENDPOINT = 2, SIDE = 3 /* numbers of the node's endpoint, and of its first side */ };

static impostor *guest(const scene *s)
{
  impostor *p = impostor_open(s->name, true);
  CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
  return p;
}

static void announce(impostor *p, uint16_t number, uint64_t id, int flags)
{
  uint8_t body[12 + 255];
  cvy_group_open open = {
      .window = 65536, .max_count = 2, .flags = (uint16_t)flags, .name_size = 1, .name = "e"};
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, number, id, body, cvy_group_open_encode(&open, body));
}

/* What a stranger does before anybody accepts it. False: there is no such way. */
static bool misbehave(impostor *p, int way)
{
  switch (way) {
  case 0: announce(p, 1, 1, CVY_GROUP_CHANNEL); break;  /* not an endpoint */
  case 1: announce(p, 1, 99, CVY_GROUP_CHANNEL); break; /* nothing */
  case 2: announce(p, 1, 0, CVY_GROUP_CHANNEL); break;
  case 3: announce(p, 1, ENDPOINT + 65536, CVY_GROUP_CHANNEL); break;
  case 4: announce(p, 1, ENDPOINT, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER); break; /* nobody has asked */
  case 5: announce(p, 1, ENDPOINT, CVY_GROUP_CHANNEL | CVY_GROUP_DROP_NEW); break;
  case 6: announce(p, 1, ENDPOINT, CVY_GROUP_CHANNEL | CVY_GROUP_FUNCTION); break;
  case 7: announce(p, 1, ENDPOINT, 0); break; /* a group has no other side */
  case 8: announce(p, 1, ENDPOINT, CVY_GROUP_ENDPOINT | CVY_GROUP_ANSWER); break;
  case 9: impostor_frame(p, CVY_FRAME_NEXT, 0, ENDPOINT, 1, "x", 1); break;
  case 10: impostor_frame(p, CVY_FRAME_END, 0, ENDPOINT, 1, NULL, 0); break;
  case 11: impostor_frame(p, CVY_FRAME_NEXT, 0, 1, 1, "x", 1); break; /* to a group */
  case 12: impostor_frame(p, CVY_FRAME_END, 0, 1, 1, NULL, 0); break;
  case 13: impostor_frame(p, CVY_FRAME_END, 0, 1, 1, "x", 1); break;
  case 14:
    for (uint16_t i = 1; i < 5; i++) announce(p, i, ENDPOINT, CVY_GROUP_CHANNEL); /* too many */
    break;
  default: return false;
  }
  return true;
}

TEST_LIMIT(channel_garbage, strangers, 120)
{
  scene s = scene_open();
  covey_group_options few = {.max_count = 3};
  REQUIRE_OK(covey_endpoint_open(s.node, "e", &few));
  bool more = true;
  for (int way = 0; more; way++) {
    impostor *p = guest(&s);
    more = misbehave(p, way);
    if (more && !impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    impostor_close(p);
    scene_works(&s);
  }
  covey_channel *c;
  CHECK_ERR(covey_channel_accept(s.node, "e", 0, &c), COVEY_ETIMEDOUT);
  scene_close(&s);
}

/* What one does whose channel was accepted. The node's side has the number SIDE. */
static bool betray(impostor *p, int way)
{
  static uint8_t block[60000];
  switch (way) {
  case 0:
    impostor_frame(p, CVY_FRAME_END, 0, SIDE, 1, NULL, 0);
    impostor_frame(p, CVY_FRAME_NEXT, 0, SIDE, 2, "x", 1);
    break;
  case 1:
    impostor_frame(p, CVY_FRAME_NEXT, 0, SIDE, 1, "read", 5);
    impostor_frame(p, CVY_FRAME_END, 0, SIDE, 2, NULL, 0);
    impostor_frame(p, CVY_FRAME_END, 0, SIDE, 3, NULL, 0);
    break;
  case 2: /* more than was lent */
    for (uint64_t i = 1; i < 3; i++) impostor_frame(p, CVY_FRAME_NEXT, 0, SIDE, i, block, sizeof block);
    break;
  case 3: impostor_frame(p, CVY_FRAME_DATA, 0, SIDE, 1, "x", 1); break;
  case 4: announce(p, 2, SIDE, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER); break; /* to who has not asked */
  case 5: announce(p, 1, 0, 0); break;
  case 6: impostor_frame(p, CVY_FRAME_NEXT, CVY_FLAG_WANT_ACK | 3, SIDE, 1, "x", 1); break; /* a priority */
  default: return false;
  }
  return true;
}

TEST_LIMIT(channel_garbage, traitors, 120)
{
  scene s = scene_open();
  REQUIRE_OK(covey_endpoint_open(s.node, "e", NULL));
  bool more = true;
  for (int way = 0; more; way++) {
    covey_channel *c;
    covey_message m;
    impostor *p = guest(&s);
    announce(p, 1, ENDPOINT, CVY_GROUP_CHANNEL);
    REQUIRE_OK(covey_channel_accept(s.node, "e", PATIENCE, &c));
    more = betray(p, way);
    if (more && way > 0 && !impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    if (!more) covey_channel_end(c);
    impostor_close(p);
    int r;
    while ((r = covey_channel_receive(c, PATIENCE, &m)) == 0) covey_message_free(&m);
    CHECK(r == COVEY_EPEERDIED || (r == COVEY_ECLOSED && way < 2));
    covey_channel_close(c, PATIENCE);
    scene_works(&s);
  }
  scene_close(&s);
}

/* We open a channel to the impostor, which answers more than once, or with nonsense. */
static void lie(const scene *s, int way)
{
  covey_message m;
  covey_channel *c;
  impostor *p = guest(s);
  announce(p, 1, 0, CVY_GROUP_ENDPOINT);
  impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0);
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "open one", 8);
  REQUIRE_OK(covey_receive(s->node, NULL, PATIENCE, &m));
  covey_channel_options o = {
      .reply_to = &m, .endpoint = "e", .timeout = PATIENCE, .flags = COVEY_CHANNEL_TRY};
  REQUIRE_OK(covey_channel_open(s->node, &o, &c));
  covey_message_free(&m);
  CHECK_ERR(covey_channel_send(c, "x", 1, 0), COVEY_EAGAIN);
  if (way == 0) { /* twice */
    announce(p, 2, SIDE, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER);
    announce(p, 3, SIDE, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER);
  } else if (way == 1) { /* that of another */
    announce(p, 2, ENDPOINT, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER);
  } else if (way == 2) { /* takes back what it never had, and tells that more was read than was sent */
    uint8_t body[16];
    cvy_credit credit = {.bytes = 5, .count = 1000000};
    announce(p, 2, SIDE, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER);
    CHECK_OK(covey_channel_send(c, "x", 1, PATIENCE));
    impostor_frame(p, CVY_FRAME_CREDIT, 0, 2, 0, body, cvy_credit_encode(&credit, body));
    impostor_frame(p, CVY_FRAME_GROUP_CLOSE, 0, 2, 0, NULL, 0);
    impostor_frame(p, CVY_FRAME_GROUP_CLOSE, 0, 2, 0, NULL, 0);
  } else { /* says no */
    impostor_frame(p, CVY_FRAME_END, 0, SIDE, 2, NULL, 0);
    CHECK_ERR(covey_channel_receive(c, PATIENCE, &m), COVEY_ENOTFOUND);
  }
  CHECK(impostor_ended(p, way < 3 ? PATIENCE : 0) == (way < 3));
  CHECK_INT(covey_channel_close(c, PATIENCE), 0);
  impostor_close(p);
  scene_works(s);
}

TEST(channel_garbage, acceptors)
{
  scene s = scene_open();
  REQUIRE_OK(covey_endpoint_open(s.node, "e", NULL));
  for (int way = 0; way < 4; way++) lie(&s, way);
  scene_close(&s);
}

/* ---- handles that nobody has asked for ---- */

static void list_of(impostor *p, uint16_t group, uint32_t count, uint32_t told)
{
  uint8_t body[CVY_CONTROL_MAX] = {0};
  cvy_handle_list list = {.count = count};
  size_t size = cvy_handle_list_encode(&list, body);
  body[0] = (uint8_t)told;
  impostor_frame(p, CVY_FRAME_HANDLE, 0, group, 1, body, size);
}

TEST(channel_garbage, handles)
{
  scene s = scene_open();
  REQUIRE_OK(covey_group_open(s.node, "h", &(covey_group_options){.handles = 1})); /* number 2 */
  for (int way = 0; way < 6; way++) {
    impostor *p = guest(&s);
    switch (way) {
    case 0: list_of(p, 1, 1, 1); break; /* to a group that takes none */
    case 1: list_of(p, 77, 1, 1); break;
    case 2: list_of(p, 2, 3, 2); break;
    case 3: impostor_frame(p, CVY_FRAME_DATA, CVY_FLAG_HANDLES, 2, 1, "x", 1); break; /* none came */
    case 4: impostor_frame(p, CVY_FRAME_HANDLE_ACK, 0, 0, 1, NULL, 0); break;
    default: impostor_frame(p, CVY_FRAME_DATA, CVY_FLAG_HANDLES, 1, 1, "x", 1); break;
    }
    if (!impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    impostor_close(p);
    scene_works(&s);
  }
  scene_close(&s);
}

/* Descriptors beside bytes, as POSIX carries them. */
TEST(channel_garbage, descriptors_beside_bytes)
{
  if (CVOS_WINDOWS) TEST_SKIP("handles travel in another way here");
  scene s = scene_open();
  REQUIRE_OK(covey_group_open(s.node, "h", &(covey_group_options){.handles = 1}));
  for (int way = 0; way < 3; way++) {
    cvos_handle many[100], null;
    impostor *p = guest(&s);
    test_no_handles_lost();
    REQUIRE_OK(cvos_null_open(&null));
    for (int i = 0; i < 100; i++) many[i] = null;
    uint8_t out[CVY_HEADER + CVY_CONTROL_MAX], body[CVY_CONTROL_MAX];
    cvy_handle_list list = {.count = 2};
    size_t size = impostor_bytes(out, CVY_FRAME_PING, 0, 0, 7, NULL, 0); /* no HANDLE frame */
    if (way) size = impostor_bytes(out, CVY_FRAME_HANDLE, 0, 2, 1, body, cvy_handle_list_encode(&list, body));
    int system;
    cvos_piece piece = {out, size};
    /* unasked; fewer than the list says; more than any message brings */
    CHECK(cvos_io_write(p->io, &piece, 1, many, way == 2 ? 100 : 1, &system) > 0);
    if (!impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    cvos_handle_close(null);
    impostor_close(p);
    scene_works(&s);
  }
  scene_close(&s);
}
