/* Peers that lie, stall, flood and never read: each costs its own connection, and nothing else. */
#include "core/intake.h"
#include "impostor.h"

enum { PATIENCE = 30000 };

/* ---- before it has introduced itself ---- */

TEST(garbage, first_bytes)
{
  scene s = scene_open();
  uint8_t out[400], body[96 + 255];
  size_t size = impostor_hello_body(body, CVY_VERSION);
  for (int i = 0; i < 8; i++) {
    impostor *p = impostor_open(s.name, true);
    memset(out, 0xff, sizeof out);
    size_t n = 200;
    if (i == 1) memset(out, 0, sizeof out); /* doorbells first */
    if (i == 2)
      memset(body, 0, 4), n = impostor_bytes(out, CVY_FRAME_HELLO, 0, 0, 0, body, size); /* no magic */
    if (i == 3) n = impostor_bytes(out, CVY_FRAME_DATA, 0, 1, 1, "x", 1);
    if (i == 4) n = impostor_bytes(out, CVY_FRAME_WELCOME, 0, 0, 0, body, size);
    if (i == 5) memcpy(out, "\x20\0\1\0\xff\xff\xff\xff", 8); /* announces 4 GiB */
    if (i == 6) n = impostor_bytes(out, CVY_FRAME_BYE, 0, 0, 0, body, 16);
    if (i == 7) memcpy(out, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36);
    impostor_write(p, out, n);
    CHECK(impostor_ended(p, PATIENCE));
    impostor_close(p);
    scene_works(&s);
  }
  scene_close(&s);
}

TEST(garbage, other_versions)
{
  scene s = scene_open();
  cvy_deny deny;
  impostor *p = impostor_open(s.name, true);
  CHECK_INT(impostor_hello(p, 9), CVY_FRAME_DENY);
  REQUIRE(p->size >= CVY_HEADER + 16);
  CHECK_OK(cvy_deny_decode(p->got + CVY_HEADER, 16, &deny));
  CHECK_UINT(deny.reason, CVY_DENY_VERSION);
  CHECK_UINT(deny.version_most, CVY_VERSION);
  CHECK(impostor_ended(p, PATIENCE));
  impostor_close(p);
  scene_works(&s);
  scene_close(&s);
}

TEST(garbage, who_does_not_introduce_itself_is_put_out)
{
  scene s = scene_open();
  uint8_t out[400], body[96 + 255];
  size_t size = impostor_bytes(out, CVY_FRAME_HELLO, 0, 0, 0, body, impostor_hello_body(body, CVY_VERSION));
  impostor *silent = impostor_open(s.name, true), *half = impostor_open(s.name, true),
           *slow = impostor_open(s.name, true);
  int64_t before = test_now();
  CHECK(size > 60);
  impostor_write(half, out, 60);
  for (int i = 0; i < 4 && !impostor_ended(slow, 1000); i++) impostor_write(slow, out + i, 1);
  CHECK(impostor_ended(silent, PATIENCE));
  CHECK(impostor_ended(half, PATIENCE));
  CHECK(impostor_ended(slow, PATIENCE));
  CHECK(test_now() - before >= CVY_HANDSHAKE_MS - 1500);
  CHECK(test_now() - before < 3 * CVY_HANDSHAKE_MS);
  impostor_close(silent);
  impostor_close(half);
  impostor_close(slow);
  scene_works(&s);
  scene_close(&s);
}

TEST(garbage, of_many_strangers_the_oldest_loses)
{
  enum { CROWD = CVY_HANDSHAKES + 6 };
  scene s = scene_open();
  impostor *crowd[CROWD];
  for (int i = 0; i < CROWD; i++) crowd[i] = impostor_open(s.name, true);
  CHECK(impostor_ended(crowd[0], PATIENCE));
  CHECK(impostor_ended(crowd[5], PATIENCE));
  scene_works(&s);
  for (int i = 0; i < CROWD; i++) impostor_close(crowd[i]);
  scene_close(&s);
}

/* ---- afterwards ---- */

static void put64(uint8_t *out, uint64_t v)
{
  for (int i = 0; i < 8; i++) out[i] = (uint8_t)(v >> (8 * i));
}

static size_t first_frag(uint8_t *out, uint64_t total, uint32_t lent, size_t bytes)
{
  cvy_frag f = {.total = total, .kind = CVY_FRAME_DATA, .lent = lent};
  cvy_frag_encode(&f, out);
  memset(out + CVY_PREFIX, 'x', bytes);
  return CVY_PREFIX + bytes;
}

/* The ways to break a rule; each ends with what must never be delivered: a message of the default group (number 1) that is right in itself. */
static bool misbehave(impostor *p, int way)
{
  static uint8_t body[70000];
  cvy_group_open open = {.window = 65536, .name_size = 1, .name = "g"};
  size_t size;
  memset(body, 'x', sizeof body);
  switch (way) {
  case 0: impostor_frame(p, CVY_FRAME_DATA, 0, 77, 1, "x", 1); break; /* a group that we have not */
  case 1: impostor_frame(p, CVY_FRAME_DATA, 0, 0, 1, "x", 1); break;
  case 2: impostor_frame(p, CVY_FRAME_HELLO, 0, 0, 0, body, impostor_hello_body(body, CVY_VERSION)); break;
  case 3: impostor_frame(p, 0x50, 0, 0, 0, NULL, 0); break; /* a kind that must be known */
  case 4: impostor_frame(p, CVY_FRAME_DATA, 0xc0, 1, 1, "x", 1); break;
  case 5: impostor_frame(p, CVY_FRAME_DATA, CVY_FLAG_MORE, 1, 1, "x", 1); break;
  case 6:
    impostor_frame(p, CVY_FRAME_FRAG, CVY_FLAG_MORE, 1, 1, body, first_frag(body, (uint64_t)1 << 40, 0, 10));
    break;
  case 7: impostor_frame(p, CVY_FRAME_FRAG, 0, 1, 1, body, first_frag(body, 5, 0, 10)); break;
  case 8:
    impostor_frame(p, CVY_FRAME_FRAG, CVY_FLAG_MORE, 1, 1, body, first_frag(body, 1000, 2000, 10));
    break;
  case 9: /* more than was lent: 256 KiB at most */
    for (uint64_t i = 1; i < 10; i++) impostor_frame(p, CVY_FRAME_DATA, 0, 1, i, body, 60000);
    break;
  case 10: /* more than before the grant, which does not come: nobody has so much */
    impostor_frame(p, CVY_FRAME_FRAG, CVY_FLAG_MORE, 1, 1, body, first_frag(body, 199000, 1064, 30000));
    break;
  case 11:
    put64(body, (uint64_t)1 << 62), memset(body + 8, 0, 8),
        impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 5, 0, body + 100,
                       cvy_group_open_encode(&open, body + 100)),
        impostor_frame(p, CVY_FRAME_CREDIT, 0, 5, 0, body, 16);
    break;
  case 12: impostor_frame(p, CVY_FRAME_GROUP_CLOSE, 0, 9, 0, NULL, 0); break;
  case 13: impostor_frame(p, CVY_FRAME_ACK, 0, 1, UINT64_MAX, NULL, 0); break;
  case 14:
    impostor_frame(p, CVY_FRAME_STOP, 0, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    break; /* we are not its child */
  case 15:
    memset(body, 0, 16), body[0] = 1, impostor_frame(p, CVY_FRAME_BYE, 0, 0, 0, body, 16);
    break; /* it has not sent one */
  case 16: memset(body, 0, 16), impostor_frame(p, CVY_FRAME_BYE_ACK, 0, 0, 0, body, 16); break;
  case 17: impostor_frame(p, CVY_FRAME_GAP, 0, 50, 0, "\1\0\0\0\0\0\0\0", 8); break;
  case 18: impostor_frame(p, CVY_FRAME_REQ, 0, 1, 1, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16); break;
  case 19: /* the same group twice */
    size = cvy_group_open_encode(&open, body);
    impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 5, 0, body, size);
    impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 6, 0, body, size);
    break;
  case 20:
    open.window = 5;
    impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 5, 0, body, cvy_group_open_encode(&open, body));
    break;
  case 21: memset(body, 0xff, 300), impostor_write(p, body, 300); break;
  case 22: /* 4 GiB, in one frame */
    cvy_header_encode(&(cvy_header){CVY_FRAME_DATA, 0, 1, UINT32_MAX, 1}, body),
        impostor_write(p, body, CVY_HEADER);
    break;
  case 23: /* the same in pieces */
    impostor_frame(p, CVY_FRAME_FRAG, CVY_FLAG_MORE, 1, 1, body, first_frag(body, UINT32_MAX, 1064, 10));
    break;
  default: return false;
  }
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1000, "never", 5);
  return true;
}

TEST_LIMIT(garbage, after_the_handshake, 180)
{
  scene s = scene_open();
  covey_message m;
  bool more = true;
  for (int way = 0; more; way++) {
    impostor *p = impostor_open(s.name, true);
    CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
    more = misbehave(p, way);
    if (more && !impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    impostor_close(p);
    while (covey_receive(s.node, NULL, 0, &m) == 0) { /* what came before the mistake */
      if (strcmp(m.data, "never") == 0) TEST_FAIL("way %d: delivered behind a mistake", way);
      covey_message_free(&m);
    }
    scene_works(&s);
  }
  scene_close(&s);
}

TEST(garbage, unknown_kinds_that_may_be_ignored)
{
  scene s = scene_open();
  covey_message m;
  uint8_t doorbells[1000] = {0};
  impostor *p = impostor_open(s.name, true);
  CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
  impostor_frame(p, 0x90, 0, 3, 9, "whatever", 8);
  impostor_write(p, doorbells, sizeof doorbells);
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "heard", 5);
  REQUIRE_OK(covey_receive(s.node, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "heard");
  CHECK_INT(m.from.pid, test_pid()); /* not what it says of itself */
  covey_message_free(&m);
  impostor_close(p);
  scene_works(&s);
  scene_close(&s);
}

TEST(garbage, who_stops_in_the_middle_of_a_frame)
{
  scene s = scene_open();
  for (size_t cut = 1; cut < 60; cut += 7) {
    uint8_t out[100];
    impostor *p = impostor_open(s.name, true);
    CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
    memset(out, 'x', sizeof out);
    cvy_header h = {CVY_FRAME_DATA, 0, 1, 80, 1};
    cvy_header_encode(&h, out);
    impostor_write(p, out, cut);
    scene_works(&s);
    impostor_close(p);
    scene_works(&s);
  }
  scene_close(&s);
}

TEST(garbage, who_sends_byte_by_byte)
{
  scene s = scene_open();
  covey_message m;
  uint8_t out[CVY_HEADER + 8];
  impostor *p = impostor_open(s.name, true);
  CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
  size_t size = impostor_bytes(out, CVY_FRAME_DATA, 0, 1, 1, "patience", 8);
  for (size_t i = 0; i < size; i++) {
    CHECK_ERR(covey_receive(s.node, NULL, 0, &m), COVEY_ETIMEDOUT);
    impostor_write(p, out + i, 1);
    if (i + 1 < size) scene_works(&s); /* in the time between two bytes others come and go */
    if (i % 8 == 7) test_pause(1000);
  }
  REQUIRE_OK(covey_receive(s.node, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "patience");
  covey_message_free(&m);
  CHECK(!impostor_ended(p, 0)); /* slow is no mistake */
  impostor_close(p);
  scene_close(&s);
}

TEST(garbage, who_never_reads)
{
  scene s = scene_open();
  char *block = calloc(1, 30000);
  cvy_group_open open = {.window = 100 << 20, .name_size = 1, .name = "g"};
  uint8_t body[12 + 255];
  covey_message m;
  impostor *p = impostor_mute(&s);
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 1, 0, body, cvy_group_open_encode(&open, body));
  impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0);
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "talk to me", 10);
  REQUIRE_OK(covey_receive(s.node, NULL, PATIENCE, &m));
  covey_send_options to = {.reply_to = &m, .group = "g", .timeout = 300};
  int r = 0;
  for (int i = 0; i < 1000 && r == 0; i++)
    r = covey_message_send(s.node, &to, &(covey_buffer){block, 30000}, 1, NULL);
  CHECK_INT(r, COVEY_ETIMEDOUT);
  CHECK(covey_last_failure()->reached != COVEY_FAR_SENT);
  for (int i = 0; i < 50; i++) scene_works(&s);
  covey_message_free(&m);
  impostor_close(p);
  free(block);
  scene_close(&s);
}

TEST(garbage, who_begs_for_more_memory_than_there_is)
{
  scene s = scene_open();
  static uint8_t body[40000];
  covey_message m;
  impostor *greedy[6];
  for (int i = 0; i < 6; i++) {
    greedy[i] = impostor_open(s.name, true);
    CHECK_INT(impostor_hello(greedy[i], CVY_VERSION), CVY_FRAME_WELCOME);
    impostor_frame(greedy[i], CVY_FRAME_FRAG, CVY_FLAG_MORE, 1, 1, body, first_frag(body, 199000, 1064, 900));
  }
  scene_works(&s);
  cvy_loop_lock(s.node->loop);
  CHECK(s.node->lent + s.node->granted <= 1 << 20);
  cvy_loop_unlock(s.node->loop);
  for (int i = 0; i < 6; i++) impostor_close(greedy[i]);
  /* and it is there for others again */
  covey_send_options to = {.name = s.name, .timeout = PATIENCE};
  uint8_t *large = calloc(1, 200000);
  REQUIRE_OK(covey_message_send(s.friend, &to, &(covey_buffer){large, 200000}, 1, NULL));
  REQUIRE_OK(covey_receive(s.node, NULL, PATIENCE, &m));
  CHECK_UINT(m.size, 200000);
  covey_message_free(&m);
  free(large);
  scene_close(&s);
}

TEST(garbage, a_name_that_is_only_claimed)
{
  scene s = scene_open();
  const char *name = test_format("true-%" PRId64, test_pid());
  covey_message m;
  uint8_t body[96 + 255];
  cvy_hello h = {.version_least = CVY_VERSION, .version_most = CVY_VERSION, .max_message = 1000, .pid = 1};
  h.name_size = (uint8_t)strlen(name);
  memcpy(h.name, name, h.name_size);
  memset(h.instance, 0, sizeof h.instance); /* would win every glare */
  impostor *p = impostor_open(s.name, true);
  impostor_frame(p, CVY_FRAME_HELLO, 0, 0, 0, body, cvy_hello_encode(&h, body));
  impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0);
  covey_send_options to = {.name = name, .timeout = 300};
  CHECK_ERR(covey_message_send(s.node, &to, &(covey_buffer){"for the true one", 16}, 1, NULL), COVEY_ENOPEER);
  const char *argv[] = {test_helper(), "node-echo", "-", to.name, NULL};
  int64_t pid = test_start(argv);
  to.timeout = PATIENCE;
  REQUIRE_OK(covey_message_send(s.node, &to, &(covey_buffer){"for the true one", 16}, 1, NULL));
  REQUIRE_OK(covey_receive(s.node, "back", PATIENCE, &m));
  CHECK_INT(m.from.pid, pid);
  covey_message_free(&m);
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
  impostor_close(p);
  scene_close(&s);
}

static void announce(impostor *p, uint16_t number)
{
  uint8_t body[12 + 255];
  cvy_group_open open = {.window = 4096, .name_size = 2, .name = {'g', (char)('a' + number)}};
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, number, 0, body, cvy_group_open_encode(&open, body));
}

static void say_handed_out(void *arg)
{
  impostor *p = arg;
  test_pause(100);
  for (uint16_t i = 1; i <= CVY_ASSEMBLIES + 1; i++)
    for (uint64_t id = 1; id < 20; id++) impostor_frame(p, CVY_FRAME_ACK, 0, i, id, NULL, 0);
}

/* Who says that messages were handed out before they have gone takes nothing from those who send them. */
TEST(garbage, receipts_of_what_was_not_sent)
{
  static char data[50000];
  scene s = scene_open();
  covey_message m;
  impostor *p = impostor_open(s.name, true);
  CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
  for (uint16_t i = 1; i <= CVY_ASSEMBLIES + 1; i++) announce(p, i);
  impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0);
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "send", 4);
  REQUIRE_OK(covey_receive(s.node, NULL, PATIENCE, &m));
  test_thread *t = NULL;
  for (char i = 1; i <= CVY_ASSEMBLIES + 1; i++) { /* the last one does not begin */
    const char group[] = {'g', (char)('a' + i), 0};
    covey_send_options o = {.reply_to = &m, .group = group, .timeout = i <= CVY_ASSEMBLIES ? 10 : 500};
    if (i > CVY_ASSEMBLIES) t = test_thread_start(say_handed_out, p);
    CHECK_ERR(covey_message_send(s.node, &o, &(covey_buffer){data, sizeof data}, 1, NULL), COVEY_ETIMEDOUT);
    CHECK_INT(covey_last_failure()->reached, i <= CVY_ASSEMBLIES ? COVEY_FAR_MAYBE : COVEY_FAR_NOTHING);
  }
  test_thread_join(t);
  covey_message_free(&m);
  impostor_close(p);
  scene_works(&s);
  scene_close(&s);
}
