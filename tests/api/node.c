#include "support/test.h"

#include <covey/loop.h>
#include <covey/message.h>
#include <covey/node.h>
#include <covey/self.h>

enum { PATIENCE = 30000 };

static const char *own_name(void)
{
  return test_format("n-%" PRId64, test_pid());
}

TEST(node, opens_and_closes_and_opens_again)
{
  covey_node *node;
  covey_identity who;
  for (int i = 0; i < 20; i++) {
    REQUIRE_OK(covey_node_open(NULL, &node));
    REQUIRE_OK(covey_node_identity(node, &who));
    CHECK_INT(who.pid, test_pid());
    CHECK(who.start != 0);
    CHECK(who.flags & COVEY_ID_SAME_USER);
    CHECK_INT(covey_node_close(node, PATIENCE), 0);
  }
  CHECK_INT(covey_node_close(NULL, 0), 0);
}

TEST(node, leaves_no_handle)
{
  covey_node *node;
  for (int i = 0; i < 6; i++) {
    const char *argv[] = {test_helper(), "node-echo", NULL};
    int64_t pid = test_start(argv);
    covey_message m;
    REQUIRE_OK(covey_node_open(NULL, &node));
    REQUIRE_OK(covey_send(node, test_pid(), NULL, "x", 1, PATIENCE));
    REQUIRE_OK(covey_send(node, pid, NULL, "quit", 4, PATIENCE));
    REQUIRE_OK(covey_receive(node, "back", PATIENCE, &m));
    covey_message_free(&m);
    CHECK_INT(covey_node_close(node, PATIENCE), 0);
    CHECK(test_process_ended(pid, PATIENCE));
    if (i == 0) test_no_handles_lost(); /* the default loop stays, and what the system makes once */
  }
}

TEST(node, one_without_a_name)
{
  covey_node *node = NULL, *second = NULL;
  covey_identity a, b;
  REQUIRE_OK(covey_node_open(NULL, &node));
  CHECK_ERR(covey_node_open(NULL, &second), COVEY_EEXIST);
  CHECK(second == NULL);
  REQUIRE_OK(covey_node_identity(node, &a));
  REQUIRE_OK(covey_node_identity(NULL, &b)); /* NULL is that node */
  CHECK_MEM(a.instance, b.instance, sizeof a.instance);
  covey_node_options other = {.app = "another"};
  REQUIRE_OK(covey_node_open(&other, &second)); /* another namespace */
  REQUIRE_OK(covey_node_identity(second, &b));
  CHECK(memcmp(a.instance, b.instance, sizeof a.instance) != 0);
  CHECK_INT(covey_node_close(second, PATIENCE), 0);
  CHECK_INT(covey_node_close(node, PATIENCE), 0);
}

/* Its peer lives on, in this process and with a loop of its own, and may notice the end late. */
TEST(node, a_name_again_while_its_peer_lives)
{
  covey_loop *loop;
  covey_node *node, *peer;
  covey_node_options options = {.name = own_name()};
  covey_send_options to = {.name = options.name, .timeout = PATIENCE};
  covey_buffer text = {"hello", 5};
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  REQUIRE_OK(
      covey_node_open(&(covey_node_options){.name = test_format("p%s", options.name), .loop = loop}, &peer));
  for (int i = 0; i < 10; i++) {
    covey_message m;
    REQUIRE_OK(covey_node_open(&options, &node));
    REQUIRE_OK(covey_message_send(peer, &to, &text, 1, NULL));
    REQUIRE_OK(covey_receive(node, NULL, PATIENCE, &m));
    covey_message_free(&m);
    CHECK(covey_node_close(node, i % 2 ? PATIENCE : 0) >= 0);
  }
  CHECK(covey_node_close(peer, PATIENCE) >= 0);
  covey_loop_close(loop);
}

TEST(node, names_are_exclusive)
{
  covey_node_options options = {.name = own_name()};
  covey_node *node, *second;
  const char *argv[] = {test_helper(), "node-open", options.name, NULL};
  REQUIRE_OK(covey_node_open(&options, &node));
  CHECK_ERR(covey_node_open(&options, &second), COVEY_EEXIST);
  CHECK(strstr(covey_last_failure()->what, test_format("node %s is", options.name)) != NULL);
  CHECK_INT(test_run(argv, PATIENCE).code, 100 - COVEY_EEXIST);
  CHECK_INT(covey_node_close(node, PATIENCE), 0);
  CHECK_INT(test_run(argv, PATIENCE).code, 0);
}

TEST(node, a_name_is_free_again_after_a_crash)
{
  const char *name = own_name();
  for (int i = 0; i < 10; i++) {
    covey_node_options options = {.name = name};
    covey_node *node;
    const char *argv[] = {test_helper(), "node-echo", "-", name, NULL};
    covey_send_options to = {.name = name, .timeout = PATIENCE};
    covey_message m;
    int64_t pid = test_start(argv);
    REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL));
    REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
    CHECK_INT(m.from.pid, pid);
    covey_message_free(&m);
    test_process_kill(pid);
    CHECK(test_process_ended(pid, PATIENCE));
    REQUIRE_OK(covey_node_open(&options, &node));
    CHECK_INT(covey_node_close(node, PATIENCE), 0);
  }
}

TEST(node, several_in_one_process_talk)
{
  covey_node *a, *b;
  covey_node_options oa = {.name = test_format("a-%" PRId64, test_pid())};
  covey_node_options ob = {.name = test_format("b-%" PRId64, test_pid())};
  covey_message m, answer;
  REQUIRE_OK(covey_node_open(&oa, &a));
  REQUIRE_OK(covey_node_open(&ob, &b));
  covey_send_options to = {.name = ob.name, .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(a, &to, &(covey_buffer){"question", 8}, 1, NULL));
  REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "question");
  covey_send_options back = {.reply_to = &m, .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(b, &back, &(covey_buffer){"answer", 6}, 1, NULL));
  REQUIRE_OK(covey_receive(a, NULL, PATIENCE, &answer));
  CHECK_STR(answer.data, "answer");
  CHECK_ERR(covey_message_send(a, &back, NULL, 0, NULL), COVEY_EINVAL); /* a peer of b */
  covey_message_free(&answer);
  covey_message_free(&m);
  CHECK_INT(covey_node_close(a, PATIENCE), 0);
  CHECK_INT(covey_node_close(b, PATIENCE), 0);
}

struct glare {
  covey_node *node;
  const char *to;
  int64_t failed;
};

enum { EACH = 10 };

static void dial(void *arg)
{
  struct glare *g = arg;
  covey_send_options to = {.name = g->to, .timeout = PATIENCE};
  for (int i = 0; i < EACH; i++) {
    if (covey_message_send(g->node, &to, &(covey_buffer){&i, sizeof i}, 1, NULL) < 0) g->failed++;
  }
}

/* All of them came, in order. */
static void expect_all(covey_node *node)
{
  for (int i = 0; i < EACH; i++) {
    covey_message m;
    REQUIRE_OK(covey_receive(node, NULL, PATIENCE, &m));
    CHECK_MEM(m.data, &i, sizeof i);
    covey_message_free(&m);
  }
}

TEST_LIMIT(node, both_dial_at_once, 900)
{
  int rounds = (test_is_windows() ? 30 : 300) * (test_is_long() ? 100 : 1);
  for (int i = 0; i < rounds; i++) {
    covey_node *a, *b;
    covey_node_options oa = {.name = test_format("ga-%" PRId64, test_pid())};
    covey_node_options ob = {.name = test_format("gb-%" PRId64, test_pid())};
    REQUIRE_OK(covey_node_open(&oa, &a));
    REQUIRE_OK(covey_node_open(&ob, &b));
    struct glare ga = {a, ob.name, 0}, gb = {b, oa.name, 0};
    test_thread *thread = test_thread_start(dial, &ga);
    dial(&gb);
    test_thread_join(thread);
    CHECK_INT(ga.failed + gb.failed, 0);
    expect_all(a);
    expect_all(b);
    CHECK_INT(covey_node_close(a, PATIENCE), 0);
    CHECK_INT(covey_node_close(b, PATIENCE), 0);
  }
}

TEST(node, without_an_address)
{
  covey_node_options options = {.flags = COVEY_NODE_NO_LISTEN};
  covey_node *node;
  const char *argv[] = {test_helper(), "node-echo", NULL};
  covey_message m;
  int64_t pid = test_start(argv);
  REQUIRE_OK(covey_node_open(&options, &node));
  REQUIRE_OK(covey_send(node, pid, NULL, "x", 1, PATIENCE));
  REQUIRE_OK(covey_receive(node, "back", PATIENCE, &m));
  covey_message_free(&m);
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_OK(covey_node_close(node, PATIENCE));
}

struct gate {
  covey_identity who;
  char name[64];
  test_counter asked;
  int answer;
};

static int judge(const covey_identity *who, const char *claimed_name, void *arg)
{
  struct gate *g = arg;
  g->who = *who;
  snprintf(g->name, sizeof g->name, "%s", claimed_name);
  test_add(&g->asked, 1);
  return g->answer;
}

TEST(node, accept_decides_before_the_first_message)
{
  struct gate gate = {.answer = 1};
  covey_node_options guarded = {
      .name = test_format("gate-%" PRId64, test_pid()), .accept = judge, .arg = &gate};
  covey_node_options guest = {.name = test_format("guest-%" PRId64, test_pid())};
  covey_node *a, *b;
  covey_message m;
  REQUIRE_OK(covey_node_open(&guarded, &a));
  REQUIRE_OK(covey_node_open(&guest, &b));
  covey_send_options to = {.name = guarded.name, .timeout = PATIENCE};
  CHECK_ERR(covey_message_send(b, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_EDENIED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_INT(test_add(&gate.asked, 0), 1);
  CHECK_INT(gate.who.pid, test_pid());
  CHECK(gate.who.flags & COVEY_ID_SAME_USER);
  CHECK_STR(gate.name, guest.name);
  CHECK_ERR(covey_receive(a, NULL, 0, &m), COVEY_ETIMEDOUT);
  gate.answer = 0;
  REQUIRE_OK(covey_message_send(b, &to, &(covey_buffer){"x", 1}, 1, NULL));
  REQUIRE_OK(covey_receive(a, NULL, PATIENCE, &m));
  covey_message_free(&m);
  CHECK_OK(covey_node_close(b, PATIENCE));
  CHECK_OK(covey_node_close(a, PATIENCE));
}

TEST(node, no_more_than_max_peers)
{
  covey_node_options small = {.name = test_format("small-%" PRId64, test_pid()), .max_peers = 2};
  covey_node *node, *guests[3];
  covey_send_options to = {.name = small.name, .timeout = PATIENCE};
  REQUIRE_OK(covey_node_open(&small, &node));
  for (int i = 0; i < 3; i++) {
    covey_node_options options = {.name = test_format("g%d-%" PRId64, i, test_pid())};
    REQUIRE_OK(covey_node_open(&options, &guests[i]));
    int r = covey_message_send(guests[i], &to, &(covey_buffer){"x", 1}, 1, NULL);
    CHECK_INT(r, i < 2 ? 0 : COVEY_EQUOTA);
  }
  CHECK_INT(covey_node_close(guests[0], PATIENCE), 0);
  REQUIRE_OK(covey_message_send(guests[2], &to, &(covey_buffer){"x", 1}, 1, NULL));
  CHECK_OK(covey_node_close(guests[1], PATIENCE));
  CHECK_OK(covey_node_close(guests[2], PATIENCE));
  CHECK_OK(covey_node_close(node, PATIENCE));
}

static test_counter woken;

static void receive_for_ever(void *arg)
{
  int *result = arg;
  covey_message m;
  *result = covey_receive(NULL, NULL, COVEY_FOREVER, &m);
  test_add(&woken, 1);
}

static void send_for_ever(void *arg)
{
  int *result = arg;
  *result = covey_send(NULL, test_pid(), "never", "x", 1, COVEY_FOREVER);
  test_add(&woken, 1);
}

TEST(node, close_wakes_those_who_wait)
{
  int results[2] = {1, 1};
  covey_identity who;
  REQUIRE_OK(covey_node_identity(NULL, &who));
  test_thread *a = test_thread_start(receive_for_ever, &results[0]);
  test_thread *b = test_thread_start(send_for_ever, &results[1]);
  /* who begins after a close opens the node anew, and is woken by the next one */
  for (int64_t until = test_now() + PATIENCE; test_add(&woken, 0) < 2 && test_now() < until;) {
    test_pause(50);
    CHECK_OK(covey_node_close(NULL, PATIENCE));
  }
  test_thread_join(a);
  test_thread_join(b);
  CHECK_INT(results[0], COVEY_ECLOSED);
  CHECK_INT(results[1], COVEY_ECLOSED);
}

TEST(node, close_counts_what_is_in_doubt)
{
  const char *argv[] = {test_helper(), "node-sink", test_format("%" PRId64, test_pid()), NULL};
  int64_t pid = test_start(argv);
  covey_message m;
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  covey_message_free(&m);
  for (int i = 0; i < 7; i++) REQUIRE_OK(covey_send(NULL, pid, NULL, "x", 1, PATIENCE));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0); /* its node has answered: it holds them */
  REQUIRE_OK(covey_send(NULL, pid, NULL, "x", 1, PATIENCE));
  REQUIRE_OK(covey_send(NULL, pid, NULL, "x", 1, PATIENCE));
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 2);
}

TEST(node, is_stale_after_fork)
{
  covey_node *node;
  covey_message m;
  if (test_is_windows()) TEST_SKIP("no fork");
  REQUIRE_OK(covey_node_open(NULL, &node));
  int64_t pid = test_fork();
  if (pid == 0) {
    bool stale = covey_receive(node, NULL, 0, &m) == COVEY_ESTALE &&
                 covey_receive(NULL, NULL, 0, &m) == COVEY_ESTALE &&
                 covey_send(node, 1, NULL, "x", 1, 0) == COVEY_ESTALE &&
                 covey_node_close(node, 0) == COVEY_ESTALE && covey_self_wait_stop(0) == COVEY_ESTALE &&
                 covey_group_open(NULL, "x", NULL) == COVEY_ESTALE;
    test_system_exit(stale ? 0 : 1);
  }
  CHECK(test_process_ended(pid, PATIENCE));
  REQUIRE_OK(covey_send(node, test_pid(), NULL, "x", 1, PATIENCE)); /* the parent is untouched */
  REQUIRE_OK(covey_receive(node, NULL, 0, &m));
  covey_message_free(&m);
  CHECK_OK(covey_node_close(node, PATIENCE));
}

TEST(node, a_fork_that_holds_the_connection_is_not_the_peer)
{
  const char *argv[] = {test_helper(), "node-fork", test_format("%" PRId64, test_pid()), NULL};
  covey_message m, number;
  if (test_is_windows()) TEST_SKIP("no fork");
  int64_t pid = test_start(argv);
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &number));
  int64_t holder = strtoll(number.data, NULL, 10);
  CHECK_INT(m.from.pid, pid);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK(test_process_alive(holder));
  covey_send_options to = {.reply_to = &m, .level = COVEY_LEVEL_CONSUMED, .timeout = PATIENCE};
  CHECK_ERR(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_EPEERDIED);
  CHECK(test_process_alive(holder)); /* the stream has not ended, the process has */
  test_process_kill(holder);
  CHECK(test_process_gone(holder, PATIENCE));
  covey_message_free(&m);
  covey_message_free(&number);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}
