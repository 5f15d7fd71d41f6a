/* Callers and servers that lie: each costs its own connection, and nothing else. */
#include "impostor.h"

#include <covey/call.h>

enum { PATIENCE = 30000, FUNCTION = 2 /* number of the node's first function, behind "default" */ };

static void open_function(const scene *s)
{
  covey_request q;
  CHECK_ERR(covey_call_receive(s->node, "f", 0, &q), COVEY_ETIMEDOUT);
}

static impostor *guest(const scene *s)
{
  impostor *p = impostor_open(s->name, true);
  CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
  return p;
}

static void request(impostor *p, uint64_t id, uint32_t left, uint64_t room)
{
  uint8_t body[CVY_PREFIX];
  cvy_ask ask = {left, room};
  cvy_ask_encode(&ask, body);
  impostor_frame(p, CVY_FRAME_REQ, 0, FUNCTION, id, body, sizeof body);
}

static void nothing_waits(const scene *s)
{
  int64_t until = test_now() + PATIENCE;
  uint64_t answers = 1, replies = 1;
  while (test_now() < until && (answers || replies)) {
    cvy_loop_lock(s->node->loop);
    answers = s->node->answers;
    replies = s->node->replies;
    cvy_loop_unlock(s->node->loop);
    test_pause(1);
  }
  CHECK_UINT(answers, 0);
  CHECK_UINT(replies, 0);
}

/* ---- callers ---- */

static bool misbehave(impostor *p, int way)
{
  static uint8_t body[70000];
  memset(body, 0, sizeof body);
  switch (way) {
  case 0: body[5] = 1, impostor_frame(p, CVY_FRAME_REQ, 0, FUNCTION, 1, body, 16); break;
  case 1: impostor_frame(p, CVY_FRAME_DATA, 0, FUNCTION, 1, "x", 1); break;
  case 2: impostor_frame(p, CVY_FRAME_REQ, 0, FUNCTION, 1, body, 15); break; /* no prefix */
  case 3: request(p, 5, 0, 0), request(p, 5, 0, 0); break;                   /* the same number twice */
  case 4: impostor_frame(p, CVY_FRAME_REP, 0, 0, 77, body, 16); break;       /* nobody has asked */
  case 5: impostor_frame(p, CVY_FRAME_ERR, 0, 0, 77, body, 16); break;
  case 6: impostor_frame(p, CVY_FRAME_REP, 0, 1, 1, body, 16); break; /* an answer has no group */
  case 7: impostor_frame(p, CVY_FRAME_CANCEL, 0, 0, 0, NULL, 0); break;
  case 8:
    for (uint64_t i = 1; i < 10; i++) impostor_frame(p, CVY_FRAME_REQ, 0, FUNCTION, i, body, 60000);
    break; /* more than was lent */
  default: return false;
  }
  request(p, 1000, 1000, 1000);
  return true;
}

TEST_LIMIT(call_garbage, callers, 120)
{
  scene s = scene_open();
  bool more = true;
  open_function(&s);
  for (int way = 0; more; way++) {
    covey_request q;
    impostor *p = guest(&s);
    more = misbehave(p, way);
    if (more && !impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    impostor_close(p);
    int r = covey_call_receive(s.node, "f", 0, &q);
    if (r == 0) covey_request_free(&q);
    if (more) CHECK_INT(r, COVEY_ETIMEDOUT); /* what a dead caller wanted is not handed out */
    scene_works(&s);
  }
  nothing_waits(&s);
  scene_close(&s);
}

TEST(call_garbage, cancels_of_anything)
{
  scene s = scene_open();
  covey_request q;
  open_function(&s);
  impostor *p = guest(&s);
  uint8_t out[200], ask[CVY_PREFIX];
  cvy_ask_encode(&(cvy_ask){UINT32_MAX, UINT64_MAX}, ask);
  size_t size = impostor_bytes(out, CVY_FRAME_CANCEL, 0, 0, 99, NULL, 0); /* of what it has not asked */
  size += impostor_bytes(out + size, CVY_FRAME_REQ, 0, FUNCTION, 1, ask, sizeof ask);
  size += impostor_bytes(out + size, CVY_FRAME_CANCEL, 0, 0, 1, NULL, 0);
  size += impostor_bytes(out + size, CVY_FRAME_CANCEL, 0, 0, 1, NULL, 0);
  impostor_write(p, out, size); /* at once: it is never there to be handed out */
  request(p, 2, 0, 0);          /* no time, no room */
  request(p, 3, UINT32_MAX, UINT64_MAX);
  REQUIRE_OK(covey_call_receive(s.node, "f", PATIENCE, &q));
  CHECK_INT(covey_request_left(&q), COVEY_FOREVER);
  CHECK_UINT(q.reply_max, 1000000); /* it takes no longer message */
  CHECK_OK(covey_call_reply(&q, 0, NULL, 0));
  covey_request_free(&q);
  CHECK_ERR(covey_call_receive(s.node, "f", 0, &q), COVEY_ETIMEDOUT);
  CHECK(!impostor_ended(p, 0));
  impostor_close(p);
  nothing_waits(&s);
  scene_close(&s);
}

/* Asks and never reads the answers: they are kept up to max_memory, then it goes. */
TEST_LIMIT(call_garbage, who_never_reads_answers, 120)
{
  scene s = scene_open();
  covey_request q;
  char *block = calloc(1, 100000);
  open_function(&s);
  impostor *p = impostor_mute(&s);
  uint64_t most = 0;
  int answered = 0, r = 0;
  for (uint64_t id = 1; r == 0 && id < 1000; id++) {
    request(p, id, UINT32_MAX, 100000);
    if (covey_call_receive(s.node, "f", 5000, &q) < 0) break;
    r = covey_call_reply(&q, 0, block, 100000);
    covey_request_free(&q);
    answered += r == 0;
    cvy_loop_lock(s.node->loop);
    if (s.node->answers > most) most = s.node->answers;
    cvy_loop_unlock(s.node->loop);
    scene_works(&s);
  }
  CHECK(answered >= 9 && answered < 100);
  CHECK(most <= 1 << 20);
  CHECK(most > 500000);
  impostor_close(p);
  nothing_waits(&s);
  free(block);
  scene_close(&s);
}

/* ---- servers ---- */

/* A call of the impostor, which serves "f". */
static covey_pending *call_it(const scene *s, impostor *p, size_t reply_max)
{
  covey_message m;
  covey_pending *call = NULL;
  uint8_t body[12 + 255];
  cvy_group_open open = {.window = 65536, .flags = CVY_GROUP_FUNCTION, .name_size = 1, .name = "f"};
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 1, 0, body, cvy_group_open_encode(&open, body));
  impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0);
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "call me", 7);
  REQUIRE_OK(covey_receive(s->node, NULL, PATIENCE, &m));
  covey_call_options o = {.reply_to = &m, .function = "f", .timeout = PATIENCE, .reply_max = reply_max};
  REQUIRE_OK(covey_call_start(s->node, &o, NULL, 0, &call));
  covey_message_free(&m);
  return call;
}

static void answer(impostor *p, int kind, uint64_t id, int32_t status, size_t size)
{
  uint8_t *body = calloc(1, CVY_PREFIX + size + 1);
  cvy_prefix_encode((uint32_t)status, body);
  memset(body + CVY_PREFIX, 'y', size);
  impostor_frame(p, kind, 0, 0, id, body, CVY_PREFIX + size);
  free(body);
}

/* One answer of a liar; the call of number 1 ends with code, and the liar, if ends, with its connection. */
static void lie(const scene *s, int kind, int32_t status, size_t size, int code, bool ends)
{
  covey_reply reply;
  impostor *p = guest(s);
  covey_pending *call = call_it(s, p, 1000);
  answer(p, kind, 1, status, size);
  CHECK_ERR(covey_call_wait(call, PATIENCE, &reply), code);
  CHECK_INT(impostor_ended(p, ends ? PATIENCE : 0), ends);
  covey_call_close(call);
  impostor_close(p);
  scene_works(s);
}

TEST(call_garbage, servers)
{
  scene s = scene_open();
  lie(&s, CVY_FRAME_REP, 0, 1001, COVEY_EPEERDIED, true); /* more than it may */
  lie(&s, CVY_FRAME_ERR, COVEY_ENOTFOUND, 256, COVEY_EPEERDIED, true);
  lie(&s, CVY_FRAME_ERR, COVEY_ENOTFOUND, 255, COVEY_ENOTFOUND, false);
  lie(&s, CVY_FRAME_ERR, 0, 3, COVEY_EFAILED, false); /* an error that is none */
  lie(&s, CVY_FRAME_ERR, 12, 0, COVEY_EFAILED, false);
  lie(&s, CVY_FRAME_ERR, INT32_MIN, 3, COVEY_EFAILED, false);
  nothing_waits(&s);
  scene_close(&s);
}

TEST(call_garbage, servers_with_a_broken_answer)
{
  scene s = scene_open();
  uint8_t body[CVY_PREFIX] = {0};
  covey_reply reply;
  impostor *p = guest(&s);
  covey_pending *call = call_it(&s, p, 1000);
  body[9] = 1;
  impostor_frame(p, CVY_FRAME_REP, 0, 0, 1, body, sizeof body);
  CHECK_ERR(covey_call_wait(call, PATIENCE, &reply), COVEY_EPEERDIED);
  CHECK(impostor_ended(p, PATIENCE));
  covey_call_close(call);
  impostor_close(p);
  p = guest(&s); /* an answer in pieces that never ends */
  call = call_it(&s, p, 100000);
  uint8_t first[CVY_PREFIX + 100] = {0};
  cvy_frag f = {.total = 100016, .kind = CVY_FRAME_REP};
  cvy_frag_encode(&f, first);
  impostor_frame(p, CVY_FRAME_FRAG, CVY_FLAG_MORE, 0, 1, first, sizeof first);
  CHECK_ERR(covey_call_wait(call, 50, &reply), COVEY_EAGAIN);
  covey_call_close(call);
  CHECK(!impostor_ended(p, 0));
  impostor_close(p);
  p = guest(&s);
  call = call_it(&s, p, 100000);
  f.total = 100017;
  cvy_frag_encode(&f, first);
  impostor_frame(p, CVY_FRAME_FRAG, CVY_FLAG_MORE, 0, 1, first, sizeof first);
  CHECK_ERR(covey_call_wait(call, PATIENCE, &reply), COVEY_EPEERDIED);
  covey_call_close(call);
  impostor_close(p);
  scene_works(&s);
  nothing_waits(&s);
  scene_close(&s);
}

TEST(call_garbage, answers_that_come_twice_or_late)
{
  scene s = scene_open();
  covey_reply reply;
  impostor *p = guest(&s);
  covey_pending *call = call_it(&s, p, 1000);
  answer(p, CVY_FRAME_REP, 1, 7, 3);
  answer(p, CVY_FRAME_REP, 1, 8, 4);
  answer(p, CVY_FRAME_ERR, 1, COVEY_EFAILED, 4);
  answer(p, CVY_FRAME_REP, 1, 9, 60000); /* nobody would keep it */
  REQUIRE_OK(covey_call_wait(call, PATIENCE, &reply));
  CHECK_INT(reply.status, 7);
  CHECK_STR(reply.data, "yyy");
  covey_reply_free(&reply);
  covey_call_close(call);
  CHECK(!impostor_ended(p, 100));
  impostor_close(p);
  nothing_waits(&s);
  scene_close(&s);
}
