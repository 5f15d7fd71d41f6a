#include "support/test.h"

#include <covey/message.h>
#include <covey/self.h>

enum { PATIENCE = 30000 };

static int64_t start(const char *a, const char *b, const char *c, const char *d, const char *e)
{
  const char *me = test_format("%" PRId64, test_pid());
  const char *argv[] = {test_helper(), a, b && strcmp(b, "ME") == 0 ? me : b, c, d, e, NULL};
  return test_start(argv);
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

/* Receives from group and wants exactly this text from pid. */
static void expect(const char *group, int64_t pid, const char *text)
{
  covey_message m = {0};
  REQUIRE_OK(covey_receive(NULL, group, PATIENCE, &m));
  CHECK_STR(m.data, text);
  CHECK_UINT(m.size, strlen(text));
  CHECK_INT(m.from.pid, pid);
  covey_message_free(&m);
}

TEST(message, to_ourselves)
{
  covey_message m;
  covey_identity us;
  REQUIRE_OK(covey_node_identity(NULL, &us));
  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "hello", 5, 0));
  REQUIRE_OK(covey_receive(NULL, NULL, 0, &m));
  CHECK_STR(m.data, "hello");
  CHECK_STR(m.group, "default");
  CHECK_INT(m.from.pid, test_pid());
  CHECK_MEM(m.from.instance, us.instance, sizeof us.instance);
  CHECK_UINT(m.lost, 0);
  CHECK_INT(m.kind, COVEY_KIND_DATA);
  covey_message_free(&m);
  CHECK(m.data == NULL);
  covey_message_free(&m);
  covey_message_free(NULL);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(message, to_another_process_and_back)
{
  int64_t pid = start("node-echo", NULL, NULL, NULL, NULL);
  REQUIRE_OK(covey_send(NULL, pid, NULL, "there", 5, PATIENCE));
  expect("back", pid, "there");
  REQUIRE_OK(covey_send(NULL, pid, NULL, "quit", 4, PATIENCE));
  expect("back", pid, "quit");
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(message, of_every_size_arrives_whole)
{
  static const size_t sizes[] = {0,     1,     15,     16,     17,     4095,    32767,   32768,
                                 32769, 65536, 131000, 262080, 262144, 1000000, 4194304, 16777216};
  int64_t pid = start("node-echo", NULL, NULL, NULL, NULL);
  uint8_t *data = malloc(16777216);
  test_make_pattern(data, 16777216, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    covey_message m = {0};
    REQUIRE_OK(covey_send(NULL, pid, NULL, data, sizes[i], PATIENCE));
    REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
    CHECK_UINT(m.size, sizes[i]);
    CHECK(test_is_pattern(m.data, m.size, 0));
    CHECK_UINT((uintptr_t)m.data % 16, 0);
    CHECK_INT(((const char *)m.data)[m.size], 0);
    covey_message_free(&m);
  }
  CHECK_ERR(covey_send(NULL, pid, NULL, data, 16777217, PATIENCE), COVEY_ETOOBIG);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  free(data);
  end(pid);
}

TEST(message, in_pieces_and_in_order)
{
  int64_t pid = start("node-count", "ME", "jobs", "1000", "1000");
  uint8_t data[1000];
  covey_send_options to = {.pid = pid, .group = "jobs", .timeout = PATIENCE};
  uint64_t last = 0;
  expect("back", pid, "ready");
  for (int i = 0; i < 1000; i++) {
    uint64_t id = 0;
    test_make_pattern(data, sizeof data, (uint64_t)i);
    const covey_buffer pieces[] = {{data, 1}, {NULL, 0}, {data + 1, 499}, {data + 500, 0}, {data + 500, 500}};
    REQUIRE_OK(covey_message_send(NULL, &to, pieces, 5, &id));
    CHECK(id > last);
    last = id;
  }
  expect("back", pid, "1000");
  CHECK(test_process_ended(pid, PATIENCE));
}

TEST(message, large_in_many_small_pieces)
{
  enum { PIECES = 5000, PIECE = 37 };
  int64_t pid = start("node-count", "ME", "jobs", "2", "185000");
  uint8_t *data = malloc(PIECES * PIECE);
  covey_buffer *pieces = malloc(PIECES * sizeof *pieces);
  covey_send_options to = {.pid = pid, .group = "jobs", .timeout = PATIENCE};
  expect("back", pid, "ready");
  for (uint64_t n = 0; n < 2; n++) {
    test_make_pattern(data, PIECES * PIECE, n);
    for (size_t i = 0; i < PIECES; i++) pieces[i] = (covey_buffer){data + i * PIECE, PIECE};
    REQUIRE_OK(covey_message_send(NULL, &to, pieces, PIECES, NULL));
  }
  expect("back", pid, "2");
  free(pieces);
  free(data);
  CHECK(test_process_ended(pid, PATIENCE));
}

TEST(message, start_order_does_not_matter)
{
  /* The helper opens its node, and its group, only after we have begun to send. */
  int64_t pid = start("node-count", "ME", "later", "1", "3");
  uint8_t data[3];
  test_make_pattern(data, 3, 0);
  REQUIRE_OK(covey_send(NULL, pid, "later", data, 3, PATIENCE));
  expect("back", pid, "ready");
  expect("back", pid, "1");
  CHECK(test_process_ended(pid, PATIENCE));
}

static void open_later(void *arg)
{
  test_pause(100);
  CHECK_OK(covey_group_open(NULL, arg, NULL));
}

TEST(message, a_group_opened_later_wakes_its_sender)
{
  covey_message m;
  REQUIRE_ERR(covey_send(NULL, test_pid(), "later", "x", 1, 0), COVEY_ENOGROUP);
  test_thread *thread = test_thread_start(open_later, "later");
  REQUIRE_OK(covey_send(NULL, test_pid(), "later", "x", 1, PATIENCE));
  test_thread_join(thread);
  REQUIRE_OK(covey_receive(NULL, "later", 0, &m));
  covey_message_free(&m);
}

TEST(message, errors_of_the_three_stages)
{
  char block[1000] = {0};
  int64_t pid = start("node-sink", "ME", NULL, NULL, NULL), before;
  expect("back", pid, "ready");
  CHECK_ERR(covey_send(NULL, 0x7ffffff0, NULL, "x", 1, PATIENCE),
            COVEY_ENOPEER); /* no such process: at once */
  before = test_now();
  CHECK_ERR(covey_send(NULL, covey_self_parent(), NULL, "x", 1, 200), COVEY_ENOPEER); /* it has no node */
  CHECK(test_now() - before >= 190);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_DIAL);
  CHECK_ERR(covey_send(NULL, pid, "nowhere", "x", 1, 200), COVEY_ENOGROUP);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_GROUP);
  CHECK_ERR(covey_send(NULL, pid, "nowhere", "x", 1, 0), COVEY_ENOGROUP);
  int r, sent = 0;
  while ((r = covey_send(NULL, pid, NULL, block, sizeof block, 2000)) == 0) sent++;
  CHECK_INT(r, COVEY_ETIMEDOUT);
  CHECK_INT(sent, 262144 / 1064);
  CHECK_ERR(covey_send(NULL, pid, NULL, block, sizeof block, 0), COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  before = test_now();
  CHECK_ERR(covey_send(NULL, pid, NULL, block, sizeof block, 200), COVEY_ETIMEDOUT);
  CHECK(test_now() - before >= 190);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ROOM);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK(strstr(covey_last_failure()->what, "default") != NULL);
  end(pid);
  CHECK_ERR(covey_send(NULL, pid, NULL, "x", 1, PATIENCE), COVEY_ENOPEER);
}

TEST(message, one_full_group_stops_no_other)
{
  static const char *const names[] = {"g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8", "g9"};
  char block[4096] = {0};
  covey_message m;
  int64_t pid = start("node-echo", "*", NULL, NULL, NULL);
  (void)names;
  REQUIRE_OK(covey_send(NULL, pid, NULL, "x", 1, PATIENCE));
  expect("back", pid, "x");
  /* our own node: "full" is never read, the others are */
  REQUIRE_OK(covey_group_open(NULL, "full", NULL));
  while (covey_send(NULL, test_pid(), "full", block, sizeof block, 0) == 0) continue;
  for (int i = 0; i < 9; i++) REQUIRE_OK(covey_group_open(NULL, names[i], NULL));
  for (int round = 0; round < 200; round++) {
    for (int i = 0; i < 9; i++) {
      REQUIRE_OK(covey_send(NULL, test_pid(), names[i], block, sizeof block, PATIENCE));
      REQUIRE_OK(covey_receive(NULL, names[i], 0, &m));
      covey_message_free(&m);
    }
  }
  CHECK_ERR(covey_send(NULL, test_pid(), "full", block, sizeof block, 0), COVEY_EAGAIN);
  end(pid);
}

TEST(message, nothing_is_lost_when_the_sender_ends_at_once)
{
  for (int round = 0; round < 5; round++) {
    uint8_t wanted[3000];
    int64_t pid = start("node-send", "ME", "-", "50", "3000");
    for (uint64_t i = 0; i < 50; i++) {
      covey_message m;
      REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
      test_make_pattern(wanted, sizeof wanted, i);
      CHECK_UINT(m.size, sizeof wanted);
      CHECK_MEM(m.data, wanted, sizeof wanted);
      CHECK_INT(m.from.pid, pid);
      covey_message_free(&m);
    }
    CHECK(test_process_ended(pid, PATIENCE));
  }
}

TEST(message, a_dead_receiver_ends_the_wait)
{
  char *block = calloc(1, 4000000);
  int64_t pid = start("node-sink", "ME", NULL, NULL, NULL);
  covey_send_options to = {.pid = pid, .timeout = PATIENCE, .level = COVEY_LEVEL_CONSUMED};
  covey_message m;
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  covey_send_options peer = {.reply_to = &m, .timeout = 200, .level = COVEY_LEVEL_CONSUMED};
  CHECK_ERR(covey_message_send(NULL, &peer, &(covey_buffer){"x", 1}, 1, NULL), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_SENT);
  while (covey_send(NULL, pid, NULL, block, 4000, 1000) == 0) continue; /* the window is used up */
  test_process_kill(pid);
  CHECK_ERR(covey_send(NULL, pid, NULL, block, 4000, PATIENCE), COVEY_ENOPEER);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_ERR(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_ENOPEER);
  peer.level = COVEY_LEVEL_SENT;
  peer.timeout = PATIENCE;
  CHECK_ERR(covey_message_send(NULL, &peer, &(covey_buffer){"x", 1}, 1, NULL), COVEY_EPEERDIED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  covey_message_free(&m);
  free(block);
}

TEST(message, consumed_is_told)
{
  int64_t pid = start("node-echo", NULL, NULL, NULL, NULL);
  covey_send_options to = {.pid = pid, .timeout = PATIENCE, .level = COVEY_LEVEL_CONSUMED};
  for (int i = 0; i < 20; i++) {
    REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL));
    expect("back", pid, "x");
  }
  end(pid);
}

struct waiting {
  covey_cancel *cancel;
  const char *group;
  int64_t pid;
  int result;
};

static void wait_to_receive(void *arg)
{
  struct waiting *w = arg;
  covey_message m;
  covey_receive_options options = {.group = w->group, .cancel = w->cancel};
  w->result = covey_message_receive(NULL, &options, &m);
}

static void wait_to_send(void *arg)
{
  struct waiting *w = arg;
  covey_send_options to = {.pid = w->pid, .group = w->group, .cancel = w->cancel};
  w->result = covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL);
}

TEST(message, cancel_ends_every_wait)
{
  covey_cancel *cancel;
  REQUIRE_OK(covey_cancel_new(&cancel));
  struct waiting waits[] = {{cancel, NULL, 0, 1},
                            {cancel, COVEY_ANY_GROUP, 0, 1},
                            {cancel, "never", test_pid(), 1},
                            {cancel, NULL, covey_self_parent(), 1}};
  test_thread *threads[4];
  for (int i = 0; i < 4; i++)
    threads[i] = test_thread_start(i < 2 ? wait_to_receive : wait_to_send, &waits[i]);
  test_pause(100);
  covey_cancel_fire(cancel);
  for (int i = 0; i < 4; i++) {
    test_thread_join(threads[i]);
    CHECK_INT(waits[i].result, COVEY_ECANCELED);
  }
  covey_cancel_free(cancel);
}

static void receive_some(void *arg)
{
  test_counter *counter = arg;
  covey_message m;
  for (;;) {
    REQUIRE_OK(covey_receive(NULL, "work", PATIENCE, &m));
    bool last = m.size == 0;
    covey_message_free(&m);
    if (last) return;
    test_add(counter, 1);
  }
}

static void send_some(void *arg)
{
  (void)arg;
  for (int i = 0; i < 500; i++) REQUIRE_OK(covey_send(NULL, test_pid(), "work", &i, sizeof i, PATIENCE));
}

TEST(message, many_threads_send_and_receive)
{
  test_counter counter = {0};
  test_thread *receivers[4], *senders[4];
  REQUIRE_OK(covey_group_open(NULL, "work", NULL));
  for (int i = 0; i < 4; i++) receivers[i] = test_thread_start(receive_some, &counter);
  for (int i = 0; i < 4; i++) senders[i] = test_thread_start(send_some, NULL);
  for (int i = 0; i < 4; i++) test_thread_join(senders[i]);
  for (int i = 0; i < 4; i++) REQUIRE_OK(covey_send(NULL, test_pid(), "work", NULL, 0, PATIENCE));
  for (int i = 0; i < 4; i++) test_thread_join(receivers[i]);
  CHECK_INT(test_add(&counter, 0), 2000);
}

TEST(message, outlives_its_node)
{
  covey_message m;
  REQUIRE_OK(covey_send(NULL, test_pid(), "default", "stays", 5, 0));
  REQUIRE_OK(covey_receive(NULL, NULL, 0, &m));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
  CHECK_STR(m.data, "stays");
  CHECK_STR(m.group, "default");
  CHECK_INT(m.from.pid, test_pid());
  covey_message_free(&m);
}

static void send_large(void *arg)
{
  int64_t pid = *(const int64_t *)arg;
  char *data = calloc(1, 8000000);
  REQUIRE_OK(covey_send(NULL, pid, "large", data, 8000000, PATIENCE));
  free(data);
}

TEST(message, small_ones_slip_between_the_pieces_of_a_large_one)
{
  /* "large" is not read at first: its message waits for nothing but the loop; "small" must flow meanwhile. */
  int64_t pid = start("node-echo", "small", NULL, NULL, NULL);
  test_thread *threads[3];
  int64_t us = test_pid();
  covey_message m;
  REQUIRE_OK(covey_group_open(NULL, "large", NULL));
  for (int i = 0; i < 3; i++) threads[i] = test_thread_start(send_large, &us);
  for (int i = 0; i < 50; i++) {
    REQUIRE_OK(covey_send(NULL, pid, "small", "x", 1, PATIENCE));
    expect("back", pid, "x");
  }
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_receive(NULL, "large", PATIENCE, &m));
    CHECK_UINT(m.size, 8000000);
    covey_message_free(&m);
  }
  for (int i = 0; i < 3; i++) test_thread_join(threads[i]);
  end(pid);
}

TEST(message, a_deadline_in_the_middle_says_that_it_may_still_arrive)
{
  /* The receiver takes a large message only after a grant; a stopped one (its node never polled) takes what the kernel buffers. */
  covey_node_options options = {.name = test_format("mid-%" PRId64, test_pid())};
  covey_loop *loop;
  covey_loop_options lo = {.flags = COVEY_LOOP_NO_THREAD};
  covey_node *node;
  char *data = calloc(1, 4000000);
  REQUIRE_OK(covey_loop_open(&lo, &loop));
  options.loop = loop;
  REQUIRE_OK(covey_node_open(&options, &node));
  covey_send_options to = {.name = options.name, .timeout = 200};
  /* nobody turns its loop: no handshake */
  CHECK_ERR(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  for (int i = 0; i < 50; i++) REQUIRE_OK(covey_loop_dispatch(loop));
  to.flags = COVEY_SEND_TRY;
  for (int i = 0; i < 200 && covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL) < 0; i++) {
    test_pause(1);
    REQUIRE_OK(covey_loop_dispatch(loop));
  }
  to.flags = 0;
  CHECK_ERR(covey_message_send(NULL, &to, &(covey_buffer){data, 4000000}, 1, NULL), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_MAYBE);
  /* the rest follows by itself once the receiver reads */
  covey_message m = {0};
  size_t sizes[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    REQUIRE_OK(covey_receive(node, NULL, PATIENCE, &m));
    sizes[i] = m.size;
    covey_message_free(&m);
  }
  CHECK_UINT(sizes[0], 1);
  CHECK_UINT(sizes[1], 4000000);
  CHECK_OK(covey_node_close(node, PATIENCE));
  covey_loop_close(loop);
  free(data);
}
