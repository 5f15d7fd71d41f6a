/* Publishers and subscribers that lie: each costs its own connection, and nothing else. */
#include "impostor.h"

#include <covey/topic.h>

#include "msg/topic.h"

enum { PATIENCE = 30000, SUBSCRIPTION = 2 /* number of the node's first one, behind "default" */ };

static impostor *guest(const scene *s, bool reads)
{
  impostor *p = impostor_open(s->name, reads);
  CHECK_INT(impostor_hello(p, CVY_VERSION), CVY_FRAME_WELCOME);
  return p;
}

static void ask(impostor *p, uint16_t number, uint16_t flags, uint32_t window, const char *name)
{
  uint8_t body[12 + 255];
  cvy_group_open open = {.window = window, .flags = flags, .name_size = (uint8_t)strlen(name)};
  memcpy(open.name, name, strlen(name));
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, number, 0, body, cvy_group_open_encode(&open, body));
}

static void pub(impostor *p, uint64_t id, uint8_t what, uint64_t number, int32_t code, size_t size)
{
  static uint8_t body[70000];
  cvy_pub_encode(&(cvy_pub){.number = number, .code = code, .what = what}, body);
  impostor_frame(p, CVY_FRAME_PUB, 0, SUBSCRIPTION, id, body, size);
}

/* ---- subscribers ---- */

static bool subscribe_badly(impostor *p, int way)
{
  uint8_t credit[16];
  size_t size = cvy_credit_encode(&(cvy_credit){(uint64_t)1 << 41, 1}, credit);
  switch (way) {
  case 0: ask(p, 7, CVY_GROUP_TOPIC | CVY_GROUP_FUNCTION, 8192, "t"); break;
  case 1: ask(p, 7, CVY_GROUP_TOPIC | CVY_GROUP_DROP_OLD, 8192, "t"); break;
  case 2: ask(p, 7, 1 << 5, 8192, "t"); break;
  case 3: ask(p, 7, CVY_GROUP_TOPIC, 100, "t"); break;                                         /* too small */
  case 4: ask(p, 7, CVY_GROUP_TOPIC, 8192, "t"), ask(p, 7, CVY_GROUP_TOPIC, 8192, "u"); break; /* two names */
  case 5: ask(p, 7, CVY_GROUP_TOPIC, 8192, "t"), ask(p, 7, 0, 8192, "t"); break;               /* two kinds */
  case 6:
    ask(p, 7, CVY_GROUP_TOPIC, 8192, "t");
    impostor_frame(p, CVY_FRAME_CREDIT, 0, 7, 0, credit, size);
    break;
  case 7: /* closed twice */
    ask(p, 7, CVY_GROUP_TOPIC, 8192, "t");
    impostor_frame(p, CVY_FRAME_GROUP_CLOSE, 0, 7, 0, NULL, 0);
    impostor_frame(p, CVY_FRAME_GROUP_CLOSE, 0, 7, 0, NULL, 0);
    break;
  case 8: impostor_frame(p, CVY_FRAME_PUB, 0, 1, 1, credit, 16); break; /* to a group of messages */
  default: return false;
  }
  return true;
}

TEST_LIMIT(topic_garbage, subscribers, 120)
{
  scene s = scene_open();
  covey_topic *t;
  covey_subscription *good;
  covey_message m;
  bool more = true;
  int published = 0;
  REQUIRE_OK(covey_topic_open(s.node, "t", &(covey_topic_options){.keep_last = 1}, &t));
  covey_publish(t, "0", 1, 0);
  covey_subscribe_options o = {.name = s.name, .topic = "t", .timeout = PATIENCE};
  REQUIRE_OK(covey_topic_subscribe(s.friend, &o, &good));
  REQUIRE_OK(covey_topic_next(good, PATIENCE, &m));
  covey_message_free(&m);
  for (int way = 0; more; way++) {
    impostor *p = guest(&s, true);
    more = subscribe_badly(p, way);
    for (int i = 0; i < 3; i++, published++) CHECK(covey_publish(t, "x", 1, 0) >= 1);
    if (more && !impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    impostor_close(p);
    scene_works(&s);
  }
  for (; published; published--) {
    REQUIRE_OK(covey_topic_next(good, PATIENCE, &m));
    CHECK_UINT(m.lost, 0);
    covey_message_free(&m);
  }
  CHECK_INT(covey_topic_wait(t, 0, 0), 1);
  covey_unsubscribe(good);
  covey_topic_close(t);
  scene_close(&s);
}

/* Waits until what a subscriber with a common window has read is known to its publisher: one that publishes as fast as it can may be ahead of its own loop. */
static void await_credit(covey_node *node)
{
  bool all = false;
  for (int64_t until = test_now() + PATIENCE; !all && test_now() < until; test_pause(all ? 0 : 1)) {
    all = true;
    cvy_loop_lock(node->loop);
    for (covey_peer *p = node->peers; p; p = p->next) {
      for (cvy_map_node *n = NULL; (n = cvy_map_next(&p->outlets, n)) != NULL;) {
        const cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_number);
        if (o->topic && o->window < UINT32_MAX && o->credit < o->window / 2) all = false;
      }
    }
    cvy_loop_unlock(node->loop);
  }
  CHECK(all);
}

/* Subscribers that lend gigabytes and never read: what waits for them is bounded, and the others get everything. */
TEST_LIMIT(topic_garbage, who_never_reads, 180)
{
  enum { SIZE = 50000, COUNT = 200 };
  static char block[SIZE];
  scene s = scene_open(); /* max_memory: 1 MiB */
  covey_subscription *good;
  covey_message m;
  for (int32_t slow = COVEY_SLOW_DROP_NEW; slow <= COVEY_SLOW_END; slow++) {
    covey_topic *t;
    uint64_t most = 0, published = 1;
    REQUIRE_OK(covey_topic_open(s.node, "t", &(covey_topic_options){.slow = slow, .max_bytes = 400000}, &t));
    covey_subscribe_options o = {.name = s.name, .topic = "t", .timeout = PATIENCE};
    REQUIRE_OK(covey_topic_subscribe(s.friend, &o, &good));
    impostor *p = impostor_mute(&s);
    for (uint16_t i = 1; i <= 5; i++) ask(p, i, CVY_GROUP_TOPIC, UINT32_MAX, "t");
    CHECK_INT(covey_topic_wait(t, 6, PATIENCE), 6);
    for (int i = 0; i < COUNT; i++) {
      await_credit(s.node);
      int r = covey_publish(t, block, SIZE, 20);
      CHECK(r >= 1 || (slow == COVEY_SLOW_BLOCK && r == COVEY_ETIMEDOUT));
      cvy_loop_lock(s.node->loop);
      if (s.node->published > most) most = s.node->published;
      cvy_loop_unlock(s.node->loop);
      REQUIRE_OK(covey_topic_next(good, PATIENCE, &m));
      CHECK_UINT(m.lost, 0);
      covey_message_free(&m);
      if (slow == COVEY_SLOW_BLOCK && i == 40) break; /* each waits for its deadline */
    }
    CHECK(most <= (1 << 20));
    CHECK(most >= SIZE);
    covey_topic_close(t);
    impostor_close(p);
    CHECK_ERR(covey_topic_next(good, PATIENCE, &m), COVEY_ECLOSED);
    covey_unsubscribe(good);
    for (int64_t until = test_now() + PATIENCE; published && test_now() < until; test_pause(1)) {
      cvy_loop_lock(s.node->loop);
      published = s.node->published;
      cvy_loop_unlock(s.node->loop);
    }
    CHECK_UINT(published, 0);
  }
  scene_close(&s);
}

/* Kept messages that take all of max_memory are refused, and nobody suffers. */
TEST(topic_garbage, kept_ones_are_bounded)
{
  static char block[200000];
  scene s = scene_open();
  covey_topic *t[6];
  int r = 0;
  for (int i = 0; i < 6; i++) {
    REQUIRE_OK(
        covey_topic_open(s.node, test_format("t%d", i), &(covey_topic_options){.keep_last = 1}, &t[i]));
    r = covey_publish(t[i], block, sizeof block, 0);
    CHECK_INT(r, i < 5 ? 0 : COVEY_EQUOTA);
  }
  CHECK_INT(covey_publish(t[5], "x", 1, 0), 0);
  for (int i = 0; i < 6; i++) covey_topic_close(t[i]);
  CHECK_UINT(s.node->published, 0);
  scene_close(&s);
}

/* ---- publishers ---- */

struct subscribing {
  const scene *scene;
  covey_peer *peer;
  covey_subscription *s;
  int result;
};

static void subscribe(void *arg)
{
  struct subscribing *w = arg;
  covey_subscribe_options o = {.peer = w->peer, .topic = "t", .timeout = PATIENCE, .max_bytes = 8192};
  w->result = covey_topic_subscribe(w->scene->node, &o, &w->s);
}

/* What it was sent has our subscription in it. */
static bool was_asked(impostor *p)
{
  bool found = false;
  cvy_loop_lock(p->loop);
  for (size_t at = 0; at + CVY_HEADER <= p->size;) {
    cvy_header h;
    cvy_header_decode(p->got + at, &h);
    found = found || (h.kind == CVY_FRAME_GROUP_OPEN && h.group == SUBSCRIPTION);
    at += CVY_HEADER + h.size;
  }
  cvy_loop_unlock(p->loop);
  return found;
}

/* Returns false when there is no such way. *ret_good: messages that are all right and come first. */
static bool publish_badly(impostor *p, int way, int *ret_good)
{
  uint8_t odd[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CVY_PUB_DATA, 0, 0, 1};
  *ret_good = way >= 4;
  if (way >= 4) pub(p, 10, CVY_PUB_BEGIN, 5, 0, 16), pub(p, 11, CVY_PUB_DATA, 6, 0, 17);
  switch (way) {
  case 0: pub(p, 20, CVY_PUB_DATA, 1, 0, 20); break; /* before BEGIN */
  case 1: pub(p, 20, CVY_PUB_KEPT, 1, 0, 20); break;
  case 2: pub(p, 20, CVY_PUB_BEGIN, 0, 0, 16); break; /* from 0 on */
  case 3: pub(p, 20, CVY_PUB_BEGIN, 1, 0, 17); break; /* and more behind it */
  case 4: pub(p, 20, CVY_PUB_BEGIN, 9, 0, 16); break; /* twice */
  case 5: pub(p, 20, CVY_PUB_DATA, 6, 0, 20); break;  /* the same number again */
  case 6: pub(p, 20, CVY_PUB_DATA, 2, 0, 20); break;
  case 7: pub(p, 20, CVY_PUBS, 9, 0, 16); break;
  case 8: pub(p, 20, CVY_PUB_DATA, 9, -1, 20); break; /* a code where none is */
  case 9: pub(p, 20, CVY_PUB_END, 9, 0, 16); break;   /* and none where one is */
  case 10: pub(p, 20, CVY_PUB_END, 9, INT32_MIN, 16); break;
  case 11: pub(p, 20, CVY_PUB_END, 3, -1, 16); break; /* an end before its last message */
  case 12: pub(p, 20, CVY_PUB_END, 9, COVEY_ECLOSED, 16), pub(p, 21, CVY_PUB_DATA, 9, 0, 20); break;
  case 13: impostor_frame(p, CVY_FRAME_PUB, 0, SUBSCRIPTION, 20, odd, 16); break;
  case 14: impostor_frame(p, CVY_FRAME_PUB, 0, SUBSCRIPTION, 20, odd, 15); break;
  case 15: pub(p, 20, CVY_PUB_DATA, 9, 0, 9000); break; /* more than was lent */
  case 16: pub(p, 11, CVY_PUB_DATA, 9, 0, 20); break;   /* an id again */
  case 17: impostor_frame(p, CVY_FRAME_DATA, 0, SUBSCRIPTION, 20, "x", 1); break;
  case 18: impostor_frame(p, CVY_FRAME_PUB, CVY_FLAG_HANDLES, SUBSCRIPTION, 20, odd, 16); break;
  default: return false;
  }
  return true;
}

TEST_LIMIT(topic_garbage, publishers, 180)
{
  scene s = scene_open();
  bool more = true;
  for (int way = 0; more; way++) {
    struct subscribing w = {.scene = &s};
    covey_message hello, m;
    int good = 0;
    impostor *p = guest(&s, true);
    impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0); /* all its groups are told */
    impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "hello", 5);
    REQUIRE_OK(covey_receive(s.node, NULL, PATIENCE, &hello));
    w.peer = hello.peer;
    test_thread *thread = test_thread_start(subscribe, &w);
    int64_t until = test_now() + PATIENCE;
    while (!was_asked(p) && test_now() < until) test_pause(1);
    more = publish_badly(p, way, &good);
    if (more && !impostor_ended(p, PATIENCE)) TEST_FAIL("way %d goes unpunished", way);
    impostor_close(p);
    test_thread_join(thread);
    if (more) CHECK_INT(w.result, good ? 0 : COVEY_EPEERDIED);
    if (w.s && more) {
      CHECK_OK(covey_topic_next(w.s, PATIENCE, &m)); /* what came before is still handed out */
      CHECK_UINT(m.lost, 1);
      covey_message_free(&m);
      int r = covey_topic_next(w.s, PATIENCE, &m);
      CHECK(r == (way == 12 ? COVEY_ECLOSED : COVEY_EPEERDIED));
    }
    covey_unsubscribe(w.s);
    covey_message_free(&hello);
    scene_works(&s);
  }
  scene_close(&s);
}
