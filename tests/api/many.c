/* Many messages in one call: order, room, deadlines and ends in the middle; and receiving many, and into memory of one's own. */
#include "support/test.h"

#include <covey/message.h>
#include <covey/node.h>

#include "impostor.h"

enum { PATIENCE = 30000, MANY = 300 };

static int64_t start(const char *a, const char *b, const char *c, const char *d)
{
  const char *argv[] = {test_helper(), a, test_format("%" PRId64, test_pid()), b, c, d, NULL};
  return test_start(argv);
}

static void expect(const char *group, const char *text)
{
  covey_message m = {0};
  REQUIRE_OK(covey_receive(NULL, group, PATIENCE, &m));
  CHECK_STR(m.data, text);
  covey_message_free(&m);
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

/* Takes what is there in group; returns how many. */
static int take_all(const char *group)
{
  covey_receive_options look = {.group = group, .flags = COVEY_RECEIVE_TRY};
  covey_message m[7];
  int all = 0;
  for (int n; (n = covey_receive_many(NULL, &look, m, 7)) > 0; all += n) {
    for (int i = 0; i < n; i++) covey_message_free(&m[i]);
  }
  return all;
}

/* Another process gets count messages of size, and says how many were right, in their order. */
static void to_another(int32_t level, size_t size)
{
  int64_t pid = start("node-count", "jobs", "300", test_format("%zu", size));
  covey_send_options to = {.pid = pid, .group = "jobs", .timeout = PATIENCE, .level = level};
  uint8_t *data = malloc(MANY * size + 1);
  covey_buffer each[MANY];
  for (size_t i = 0; i < MANY; i++) {
    each[i] = (covey_buffer){data + i * size, size};
    test_make_pattern(data + i * size, size, i);
  }
  expect("back", "ready");
  CHECK_INT(covey_send_many(NULL, &to, each, MANY), MANY);
  expect("back", "300");
  CHECK(test_process_ended(pid, PATIENCE));
  free(data);
}

TEST(many, arrive_whole_and_in_order)
{
  to_another(COVEY_LEVEL_SENT, 64);
}

TEST(many, of_a_size_that_fills_every_buffer)
{
  to_another(COVEY_LEVEL_SENT, 20000);
}

TEST(many, larger_than_a_window)
{
  to_another(COVEY_LEVEL_SENT, 300000);
}

TEST(many, every_one_was_handed_out)
{
  to_another(COVEY_LEVEL_CONSUMED, 64);
}

TEST(many, are_received_together)
{
  uint8_t data[MANY] = {0};
  covey_buffer each[MANY];
  covey_message m[MANY];
  covey_send_options to = {.pid = test_pid(), .timeout = PATIENCE};
  uint64_t last = 0;
  for (size_t i = 0; i < MANY; i++) each[i] = (covey_buffer){data, i};
  REQUIRE(covey_send_many(NULL, &to, each, MANY) == MANY);
  REQUIRE_OK(covey_send(NULL, test_pid(), "default", "last", 4, 0));
  CHECK_INT(covey_receive_many(NULL, NULL, m, 1), 1);
  CHECK_UINT(m[0].size, 0);
  covey_message_free(&m[0]);
  CHECK_INT(covey_receive_many(NULL, &(covey_receive_options){.group = COVEY_ANY_GROUP}, m, MANY), MANY);
  for (size_t i = 0; i < MANY; i++) {
    CHECK_UINT(m[i].size, i + 1 < MANY ? i + 1 : 4);
    CHECK(m[i].id > last);
    CHECK_INT(m[i].from.pid, test_pid());
    last = m[i].id;
    covey_message_free(&m[i]);
  }
  CHECK_ERR(covey_receive_many(NULL, &(covey_receive_options){.flags = COVEY_RECEIVE_TRY}, m, MANY),
            COVEY_ETIMEDOUT);
}

TEST(many, none_at_all_is_nothing)
{
  CHECK_INT(covey_send_many(NULL, &(covey_send_options){.pid = test_pid()}, NULL, 0), 0);
  CHECK_INT(take_all(NULL), 0);
}

TEST(many, as_many_as_find_room_go_at_once)
{
  char block[4000] = {0};
  covey_buffer each[MANY];
  covey_send_options to = {.pid = test_pid(), .flags = COVEY_SEND_TRY};
  for (size_t i = 0; i < MANY; i++) each[i] = (covey_buffer){block, sizeof block};
  int went = covey_send_many(NULL, &to, each, MANY);
  CHECK_INT(went, 262144 / 4064);
  CHECK_INT(covey_last_failure()->code, COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ROOM);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_ERR(covey_send_many(NULL, &to, each, MANY), COVEY_EAGAIN);
  to.flags = 0;
  to.timeout = 100;
  CHECK_ERR(covey_send_many(NULL, &to, each, MANY), COVEY_ETIMEDOUT);
  CHECK_INT(take_all(NULL), went);
  CHECK_INT(covey_send_many(NULL, &to, each, 3), 3); /* and all room has come back */
  CHECK_INT(take_all(NULL), 3);
}

static void take_slowly(void *arg)
{
  for (int left = MANY; left > 0;) {
    covey_message m[5];
    int n = covey_receive_many(NULL, &(covey_receive_options){.group = arg, .timeout = PATIENCE}, m, 5);
    REQUIRE(n > 0);
    left -= n;
    for (int i = 0; i < n; i++) covey_message_free(&m[i]);
  }
}

TEST(many, wait_for_room)
{
  char block[4000] = {0};
  covey_buffer each[MANY];
  covey_send_options to = {.pid = test_pid(), .timeout = PATIENCE};
  for (size_t i = 0; i < MANY; i++) each[i] = (covey_buffer){block, sizeof block};
  test_thread *thread = test_thread_start(take_slowly, NULL);
  CHECK_INT(covey_send_many(NULL, &to, each, MANY), MANY);
  test_thread_join(thread);
}

TEST(many, a_deadline_in_the_middle_leaves_those_behind_it_unsent)
{
  covey_node_options options = {.name = test_format("many-%" PRId64, test_pid())};
  covey_loop *loop;
  covey_node *node;
  char *data = calloc(1, 4000000);
  covey_message m[4];
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  options.loop = loop;
  REQUIRE_OK(covey_node_open(&options, &node));
  covey_send_options to = {.name = options.name, .flags = COVEY_SEND_TRY};
  for (int i = 0; covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL) < 0; i++) {
    REQUIRE(i < 10000);
    test_pause(1);
    REQUIRE_OK(covey_loop_dispatch(loop));
  }
  /* nobody turns the receiver's loop: it takes what the system holds */
  const covey_buffer each[] = {{"x", 1}, {data, 4000000}, {"y", 1}, {"z", 1}};
  to.flags = 0;
  to.timeout = 200;
  int went = covey_send_many(NULL, &to, each, 4);
  CHECK(went == 1 ||
        (went == COVEY_ETIMEDOUT && test_is_windows())); /* one write, which is pending, took both */
  CHECK_INT(covey_last_failure()->code, COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_MAYBE);
  for (int i = 0; i < 3; i++) { /* the rest of the large one follows by itself, and nothing else */
    REQUIRE_OK(covey_receive(node, NULL, PATIENCE, &m[0]));
    CHECK_UINT(m[0].size, i < 2 ? 1 : 4000000);
    covey_message_free(&m[0]);
  }
  CHECK_ERR(covey_receive(node, NULL, 50, &m[0]), COVEY_ETIMEDOUT);
  CHECK_OK(covey_node_close(node, PATIENCE));
  covey_loop_close(loop);
  free(data);
}

struct sending {
  covey_send_options to;
  size_t size;
  int result;
  covey_failure failure;
};

static void send_many(void *arg)
{
  struct sending *s = arg;
  covey_buffer each[MANY];
  char *data = calloc(1, s->size);
  for (size_t i = 0; i < MANY; i++) each[i] = (covey_buffer){data, s->size};
  s->result = covey_send_many(NULL, &s->to, each, MANY);
  s->failure = *covey_last_failure();
  free(data);
}

/* As many messages of 4,000 bytes as a window takes. */
enum { WINDOWFUL = 262144 / 4064 };

static uint64_t sent_to(int64_t pid)
{
  covey_peer *peer;
  covey_peer_description d = {0};
  REQUIRE_OK(covey_peer_open(NULL, &(covey_peer_options){.pid = pid, .timeout = PATIENCE}, &peer));
  CHECK_OK(covey_peer_describe(peer, &d));
  covey_peer_close(peer);
  return d.statistics.sent;
}

/* Begins to send, and waits until a windowful has gone. */
static test_thread *send_a_windowful(struct sending *s)
{
  uint64_t before = sent_to(s->to.pid);
  int64_t limit = test_now() + PATIENCE;
  test_thread *thread = test_thread_start(send_many, s);
  while (sent_to(s->to.pid) < before + WINDOWFUL && test_now() < limit) test_pause(1);
  return thread;
}

TEST(many, a_receiver_that_dies_ends_the_rest)
{
  int64_t pid = start("node-sink", NULL, NULL, NULL);
  struct sending s = {.to = {.pid = pid, .timeout = PATIENCE}, .size = 4000};
  expect("back", "ready");
  test_thread *thread = send_a_windowful(&s);
  end(pid);
  test_thread_join(thread);
  CHECK_INT(s.result, WINDOWFUL);
  CHECK(s.failure.code == COVEY_ENOPEER || s.failure.code == COVEY_EPEERDIED);
  CHECK_INT(s.failure.reached, COVEY_FAR_NOTHING);
}

TEST(many, a_cancel_and_a_closed_group_end_the_rest)
{
  struct sending s = {.to = {.pid = test_pid(), .group = "g"}, .size = 4000};
  REQUIRE_OK(covey_cancel_new(&s.to.cancel));
  REQUIRE_OK(covey_group_open(NULL, "g", NULL));
  test_thread *thread = send_a_windowful(&s);
  covey_cancel_fire(s.to.cancel);
  test_thread_join(thread);
  CHECK_INT(s.result, WINDOWFUL);
  CHECK_INT(s.failure.code, COVEY_ECANCELED);
  covey_cancel_free(s.to.cancel);
  CHECK_INT(take_all("g"), s.result);
  s.to.cancel = NULL;
  s.to.timeout = 500;
  thread = send_a_windowful(&s);
  CHECK_OK(covey_group_close(NULL, "g"));
  test_thread_join(thread);
  CHECK_INT(s.result, WINDOWFUL);
  CHECK_INT(s.failure.code, COVEY_ENOGROUP);
}

TEST(many, what_a_group_drops_counts_as_gone)
{
  covey_send_options to = {.pid = test_pid(), .group = "d", .timeout = PATIENCE};
  covey_group_options options = {.max_count = 10, .full = COVEY_FULL_DROP_NEW};
  covey_buffer each[25];
  covey_message m;
  for (int i = 0; i < 25; i++) each[i] = (covey_buffer){"x", 1};
  REQUIRE_OK(covey_group_open(NULL, "d", &options));
  CHECK_INT(covey_send_many(NULL, &to, each, 25), 25);
  CHECK_INT(take_all("d"), 10);
  CHECK_INT(covey_send_many(NULL, &to, each, 1), 1);
  REQUIRE_OK(covey_receive(NULL, "d", PATIENCE, &m));
  CHECK_UINT(m.lost, 15);
  covey_message_free(&m);
  options.full = COVEY_FULL_DROP_OLD;
  REQUIRE_OK(covey_group_close(NULL, "d"));
  REQUIRE_OK(covey_group_open(NULL, "d", &options));
  to.level = COVEY_LEVEL_CONSUMED;
  CHECK_ERR(covey_send_many(NULL, &to, each, 25), COVEY_ENOTSUP);
  to.level = COVEY_LEVEL_SENT;
  CHECK_INT(covey_send_many(NULL, &to, each, 25), 25);
  CHECK_INT(take_all("d"), 10);
}

TEST(many, one_that_is_too_long_holds_all_back)
{
  char *data = calloc(1, 16777217);
  const covey_buffer each[] = {{"x", 1}, {data, 16777217}};
  CHECK_ERR(covey_send_many(NULL, &(covey_send_options){.pid = test_pid()}, each, 2), COVEY_ETOOBIG);
  CHECK_INT(take_all(NULL), 0);
  free(data);
}

static void send_numbers(void *arg)
{
  uint32_t number[100];
  covey_buffer each[50];
  covey_send_options to = {.pid = test_pid(), .group = "work", .timeout = PATIENCE};
  for (uint32_t i = 0; i < 500; i += 50) {
    for (uint32_t k = 0; k < 50; k++) {
      number[2 * k] = *(const uint32_t *)arg;
      number[2 * k + 1] = i + k;
      each[k] = (covey_buffer){&number[(size_t)2 * k], 8};
    }
    REQUIRE(covey_send_many(NULL, &to, each, 50) == 50);
  }
}

TEST(many, of_many_threads_keep_each_ones_order)
{
  uint32_t who[4] = {0, 1, 2, 3}, next[4] = {0};
  test_thread *threads[4];
  REQUIRE_OK(covey_group_open(NULL, "work", NULL));
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(send_numbers, &who[i]);
  for (int left = 4 * 500; left > 0; left--) {
    uint32_t number[2];
    covey_receive_options options = {.group = "work", .timeout = PATIENCE};
    REQUIRE(covey_receive_into(NULL, &options, number, sizeof number, NULL) == 8);
    REQUIRE(number[0] < 4);
    CHECK_UINT(number[1], next[number[0]]);
    next[number[0]]++;
  }
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
}

TEST(many, received_into_our_own_memory)
{
  char data[8] = "-------";
  covey_identity from, us;
  covey_receive_options look = {.flags = COVEY_RECEIVE_TRY};
  REQUIRE_OK(covey_node_identity(NULL, &us));
  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "longer", 6, 0));
  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "", 0, 0));
  test_fill(&from, sizeof from);
  CHECK_ERR(covey_receive_into(NULL, &look, data, 5, &from), COVEY_ETOOBIG);
  CHECK_INT(covey_last_failure()->offset, 6);
  CHECK(test_is_filled(&from, sizeof from));
  CHECK_STR(data, "-------");
  CHECK_ERR(covey_receive_into(NULL, &look, NULL, 0, NULL), COVEY_ETOOBIG); /* it is still there */
  CHECK_INT(covey_receive_into(NULL, &look, data, 6, &from), 6);
  CHECK_STR(data, "longer-");
  CHECK_MEM(&from, &us, sizeof us);
  CHECK_INT(covey_receive_into(NULL, &look, NULL, 0, NULL), 0); /* the empty one */
  CHECK_ERR(covey_receive_into(NULL, &look, data, sizeof data, NULL), COVEY_ETIMEDOUT);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

/* A group that drops what finds no room, and a first message that waits for the system: what is behind it was not sent, and is no gap either. */
TEST(many, nothing_is_dropped_behind_one_that_did_not_go)
{
  static char data[60000];
  uint8_t body[12 + 255];
  scene s = scene_open();
  covey_message m;
  covey_peer_description d;
  covey_buffer five[5];
  int r;
  impostor *p = impostor_open(s.name, false);
  cvy_group_open wide = {.window = 1 << 30, .name_size = 1, .name = "w"};
  cvy_group_open drops = {.window = 4096, .name_size = 1, .name = "d", .flags = CVY_GROUP_DROP_NEW};
  size_t size = impostor_hello_body(body, CVY_VERSION);
  impostor_frame(p, CVY_FRAME_HELLO, 0, 0, 0, body, size);
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 1, 0, body, cvy_group_open_encode(&wide, body));
  impostor_frame(p, CVY_FRAME_GROUP_OPEN, 0, 2, 0, body, cvy_group_open_encode(&drops, body));
  impostor_frame(p, CVY_FRAME_PONG, 0, 0, 0, NULL, 0);
  impostor_frame(p, CVY_FRAME_DATA, 0, 1, 1, "send", 4);
  REQUIRE_OK(covey_receive(s.node, NULL, TEST_SOON, &m));
  covey_send_options o = {.reply_to = &m, .group = "w", .timeout = 50};
  while ((r = covey_message_send(s.node, &o, &(covey_buffer){data, sizeof data}, 1, NULL)) == 0) continue;
  CHECK_INT(r, COVEY_ETIMEDOUT); /* the system is full */
  for (int i = 0; i < 5; i++) five[i] = (covey_buffer){data, 3000};
  o.group = "d";
  CHECK_ERR(covey_send_many(s.node, &o, five, 5), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_OK(covey_peer_describe(m.peer, &d));
  CHECK_UINT(d.statistics.dropped, 0);
  covey_message_free(&m);
  impostor_close(p);
  scene_works(&s);
  scene_close(&s);
}
