/* Messages under conditions that no program chooses: bytes one at a time, processes killed anywhere, signals at every call, forks. */
#include "support/test.h"
#include "core/fault.h"
#include "msg/node.h"
#include "msg/peer.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/node.h>
#include <covey/self.h>

enum { ENOUGH = 60000 };

static int64_t start(const char *a, const char *b, const char *c, const char *d, const char *e)
{
  const char *argv[] = {test_helper(), a, b, c, d, e, NULL};
  int64_t pid = test_start(argv);
  REQUIRE(pid > 0);
  return pid;
}

/* How often, natively and on Windows (wine starts a process in 50 ms); ci/test --long does it twenty times as often. */
static int rounds(int native, int windows)
{
  return (test_is_windows() ? windows : native) * (test_is_long() ? 20 : 1);
}

static const char *own_pid(void)
{
  return test_format("%" PRId64, test_pid());
}

/* ---- whatever the system takes or gives at once ---- */

static void exchange(const size_t *sizes, size_t count)
{
  static unsigned char data[200000];
  covey_node *a, *b;
  covey_node_options left = {.name = test_format("a-%s", own_pid())},
                     right = {.name = test_format("b-%s", own_pid())};
  REQUIRE_OK(covey_node_open(&left, &a));
  REQUIRE_OK(covey_node_open(&right, &b));
  for (size_t i = 0; i < count; i++) {
    covey_message m;
    covey_send_options there = {.name = right.name, .timeout = ENOUGH},
                       back = {.reply_to = &m, .timeout = ENOUGH};
    covey_buffer piece = {data, sizes[i]};
    REQUIRE(sizes[i] <= sizeof data);
    test_make_pattern(data, sizes[i], i);
    REQUIRE_OK(covey_message_send(a, &there, &piece, 1, NULL));
    REQUIRE_OK(covey_receive(b, NULL, ENOUGH, &m));
    CHECK_UINT(m.size, sizes[i]);
    CHECK(m.size == sizes[i] && test_is_pattern(m.data, m.size, i));
    REQUIRE_OK(covey_message_send(b, &back, &(covey_buffer){m.data, m.size}, 1, NULL));
    covey_message_free(&m);
    REQUIRE_OK(covey_receive(a, NULL, ENOUGH, &m));
    CHECK(m.size == sizes[i] && test_is_pattern(m.data, m.size, i));
    covey_message_free(&m);
  }
  CHECK_INT(covey_node_close(a, ENOUGH), 0);
  CHECK_INT(covey_node_close(b, ENOUGH), 0);
}

TEST_LIMIT(storm, one_byte_at_a_time, 120)
{
  static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 100, 1000};
  cvy_fault_limit(1);
  exchange(sizes, sizeof sizes / sizeof *sizes);
}

TEST_LIMIT(storm, odd_pieces, 120)
{
  static const size_t sizes[] = {0, 1, 4095, 65535, 65536, 65537, 131072, 200000};
  static const size_t limits[] = {13, 511, 4097, 65535};
  for (size_t i = test_is_windows() ? 1 : 0; i < 4; i++) {
    cvy_fault_limit(limits[i]);
    exchange(sizes, sizeof sizes / sizeof *sizes);
  }
}

/* ---- killed anywhere ---- */

/* Of what a sender was killed over, all that arrives is whole and in order, and a new one is not held up by it. */
static void kill_senders(int count, const char *size)
{
  size_t bytes = (size_t)strtoull(size, NULL, 10);
  int64_t arrived = 0;
  REQUIRE_OK(covey_group_open(NULL, "storm", NULL));
  for (int round = 0; round < count; round++) {
    int64_t pid = start("node-send", own_pid(), "storm", "1000000", size);
    int64_t expected = 0, enough = test_random(60);
    bool killed = false;
    for (;;) {
      covey_message m;
      int r = covey_receive(NULL, "storm", killed ? 0 : ENOUGH, &m);
      if (killed && r == COVEY_ETIMEDOUT) break;
      REQUIRE_OK(r);
      if (m.from.pid == pid) {
        CHECK_UINT(m.size, bytes);
        if (!test_is_pattern(m.data, m.size, (uint64_t)expected))
          TEST_FAIL("message %d is wrong", (int)expected);
        expected++;
        arrived++;
      }
      covey_message_free(&m);
      if (!killed && expected >= enough) {
        test_process_kill(pid);
        CHECK(test_process_ended(pid, ENOUGH));
        killed = true;
      }
    }
  }
  CHECK(arrived > 0);
  CHECK_INT(covey_node_close(NULL, ENOUGH), 0);
}

TEST_LIMIT(storm, killed_senders_of_small_messages, 600)
{
  kill_senders(rounds(60, 6), "300");
}
TEST_LIMIT(storm, killed_senders_of_large_messages, 600)
{
  kill_senders(rounds(40, 6), "150000");
}

static void kill_later(void *arg)
{
  int64_t pid = *(int64_t *)arg;
  test_pause(test_random(15));
  test_process_kill(pid);
}

/* Whoever sends to a process that is killed is told so long before its deadline; the signal of a broken pipe is never raised. */
TEST_LIMIT(storm, killed_receivers, 600)
{
  static unsigned char data[100000];
  int count = rounds(60, 6);
  for (int round = 0; round < count; round++) {
    int64_t pid = start("node-echo", NULL, NULL, NULL, NULL);
    size_t size = round % 2 ? 50 : sizeof data;
    REQUIRE_OK(covey_send(NULL, pid, NULL, data, 1, ENOUGH));
    test_thread *killer = test_thread_start(kill_later, &pid);
    int r;
    while ((r = covey_send(NULL, pid, NULL, data, size, ENOUGH)) == 0) {
      covey_message m;
      while (covey_receive(NULL, "back", 0, &m) == 0) covey_message_free(&m);
    }
    if (r != COVEY_EPEERDIED && r != COVEY_ENOPEER && r != COVEY_EPEERCHANGED) CHECK_ERR(r, COVEY_EPEERDIED);
    test_thread_join(killer);
    CHECK(test_process_ended(pid, ENOUGH));
  }
  CHECK(covey_node_close(NULL, ENOUGH) >= 0);
}

/* So is one whose bytes the system has taken and not got rid of yet: a write that pends on Windows. Here all of them do, for ever. */

static bool pends(const covey_peer *peer)
{
  (void)peer;
  return true;
}

/* The only peer of the default node; locked until cvy_node_leave. */
static covey_peer *only_peer(covey_node **ret_node)
{
  REQUIRE_OK(cvy_node_enter(NULL, ret_node));
  REQUIRE((*ret_node)->peers && !(*ret_node)->peers->next);
  return (*ret_node)->peers;
}

typedef struct sending {
  int64_t pid;
  uint64_t taken; /* before it */
} sending;

static bool is_taken(void *arg)
{
  covey_node *node;
  bool taken = only_peer(&node)->tx.taken > ((sending *)arg)->taken;
  cvy_node_leave(node);
  return taken;
}

static void kill_in_the_middle(void *arg)
{
  CHECK(test_wait_until(is_taken, arg, ENOUGH));
  test_process_kill(((sending *)arg)->pid);
}

TEST(storm, killed_receiver_of_what_pends)
{
  static cvy_transport transport;
  sending s = {start("node-echo", NULL, NULL, NULL, NULL), 0};
  covey_node *node;
  REQUIRE_OK(covey_send(NULL, s.pid, NULL, "x", 1, ENOUGH));
  covey_peer *peer = only_peer(&node);
  transport = *peer->transport;
  transport.pending = pends;
  peer->transport = &transport;
  s.taken = peer->tx.taken;
  cvy_node_leave(node);
  test_thread *killer = test_thread_start(kill_in_the_middle, &s);
  CHECK_ERR(covey_send(NULL, s.pid, NULL, "y", 1, ENOUGH), COVEY_EPEERDIED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_MAYBE);
  test_thread_join(killer);
  CHECK(test_process_ended(s.pid, ENOUGH));
  CHECK(covey_node_close(NULL, ENOUGH) >= 0);
}

/* Who dies between the taking of the bytes and the account of it got them before: they are not sent again, nor is the sender told that nothing went. */

static int64_t victim;

static bool is_dead(void *arg)
{
  const covey_peer *peer = arg;
  cvy_loop_lock(peer->loop);
  bool dead = peer->state == CVY_PEER_DEAD;
  cvy_loop_unlock(peer->loop);
  return dead;
}

static int64_t write_and_kill(covey_peer *peer, const cvos_piece *pieces, size_t count, int *ret_system)
{
  int64_t taken = cvy_transport_stream.write(peer, pieces, count, ret_system);
  test_process_kill(victim);
  CHECK(test_wait_until(is_dead, peer, ENOUGH));
  return taken;
}

TEST(storm, killed_receiver_of_what_was_just_taken)
{
  static cvy_transport transport;
  transport = cvy_transport_stream;
  transport.write = write_and_kill;
  for (int level = COVEY_LEVEL_SENT; level <= COVEY_LEVEL_CONSUMED; level++) {
    covey_node *node;
    victim = start("node-echo", NULL, NULL, NULL, NULL);
    REQUIRE_OK(covey_send(NULL, victim, NULL, "x", 1, ENOUGH));
    only_peer(&node)->transport = &transport;
    cvy_node_leave(node);
    covey_send_options to = {.pid = victim, .timeout = ENOUGH, .level = level};
    int r = covey_message_send(NULL, &to, &(covey_buffer){"y", 1}, 1, NULL);
    CHECK_INT(r, level == COVEY_LEVEL_SENT ? COVEY_OK : COVEY_EPEERDIED);
    if (r < 0) CHECK_INT(covey_last_failure()->reached, COVEY_FAR_SENT);
    CHECK(test_process_ended(victim, ENOUGH));
  }
  CHECK(covey_node_close(NULL, ENOUGH) >= 0);
}

/* ---- signals, forks ---- */

static void echo_rounds(int64_t pid, int count)
{
  for (int i = 0; i < count; i++) {
    covey_message m;
    const char *text = test_format("%d", i);
    REQUIRE_OK(covey_send(NULL, pid, NULL, text, strlen(text), ENOUGH));
    REQUIRE_OK(covey_receive(NULL, "back", ENOUGH, &m));
    CHECK_STR(m.data, text);
    covey_message_free(&m);
  }
}

static void quit(int64_t pid)
{
  covey_message m;
  REQUIRE_OK(covey_send(NULL, pid, NULL, "quit", 4, ENOUGH));
  REQUIRE_OK(covey_receive(NULL, "back", ENOUGH, &m));
  covey_message_free(&m);
  CHECK(test_process_ended(pid, ENOUGH));
}

TEST_LIMIT(storm, interrupted_at_every_call, 120)
{
  if (test_is_windows()) TEST_SKIP("no signals there");
  test_interrupt(true);
  int64_t pid = start("node-echo", NULL, NULL, NULL, NULL);
  echo_rounds(pid, 3000);
  static const size_t sizes[] = {100000, 200000, 1, 70000};
  exchange(sizes, 4);
  CHECK_ERR(covey_receive(NULL, "nothing", 100, &(covey_message){0}), COVEY_ETIMEDOUT);
  quit(pid);
  CHECK_INT(covey_node_close(NULL, ENOUGH), 0);
  test_interrupt(false);
}

typedef struct traffic {
  int64_t pid;
  test_counter over;
} traffic;

static void talk(void *arg)
{
  traffic *t = arg;
  echo_rounds(t->pid, 2000);
  test_add(&t->over, 1);
}

/* The program forks while messages come and go: its children cannot use the node, and harm nobody. */
TEST_LIMIT(storm, forks_with_traffic, 120)
{
  traffic t = {0};
  int forks = 0;
  if (test_is_windows()) TEST_SKIP("no fork there");
  t.pid = start("node-echo", NULL, NULL, NULL, NULL);
  echo_rounds(t.pid, 1);
  test_thread *talker = test_thread_start(talk, &t);
  while (test_add(&t.over, 0) == 0 && forks < 200) {
    int64_t child = test_fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      covey_message m;
      int bad = covey_send(NULL, t.pid, NULL, "x", 1, 0) != COVEY_ESTALE;
      if (covey_receive(NULL, "back", 0, &m) != COVEY_ESTALE) bad |= 2;
      test_system_exit(bad);
    }
    CHECK_INT(test_fork_join(child, ENOUGH), 0);
    forks++;
  }
  test_thread_join(talker);
  CHECK(forks > 5);
  quit(t.pid);
  CHECK_INT(covey_node_close(NULL, ENOUGH), 0);
}

/* ---- many ---- */

/* Peers that are only there cost neither order nor much time. */
TEST_LIMIT(storm, idle_peers_beside_a_busy_one, 120)
{
  enum { MOST = 100 };
  covey_node *nodes[MOST];
  int many = test_is_windows() ? 20 : MOST;
  covey_node *hub;
  covey_node_options options = {.name = test_format("hub-%s", own_pid())};
  REQUIRE_OK(covey_node_open(&options, &hub));
  for (int i = 0; i < many; i++) {
    covey_message m;
    covey_node_options o = {.name = test_format("idle-%s-%d", own_pid(), i)};
    covey_send_options to = {.name = options.name, .timeout = ENOUGH};
    REQUIRE_OK(covey_node_open(&o, &nodes[i]));
    REQUIRE_OK(covey_message_send(nodes[i], &to, &(covey_buffer){&i, sizeof i}, 1, NULL));
    REQUIRE_OK(covey_receive(hub, NULL, ENOUGH, &m));
    CHECK(m.size == sizeof i && memcmp(m.data, &i, sizeof i) == 0);
    covey_message_free(&m);
  }
  static const size_t sizes[] = {1, 100, 1000, 10, 100000};
  for (int round = 0; round < 10; round++) exchange(sizes, 5);
  for (int i = 0; i < many; i++) CHECK_INT(covey_node_close(nodes[i], ENOUGH), 0);
  CHECK_INT(covey_node_close(hub, ENOUGH), 0);
}

/* Milliseconds of count messages there and back between two processes, which have one CPU together, or all; negative: nothing here binds them. */
static int64_t echoes(bool one_cpu, int count)
{
  const uint64_t first = 1;
  const covey_launch one = {.affinity = &first, .affinity_count = 1};
  covey_process *echo;
  covey_result r;
  covey_process_options options = {
      .argv = TEST_HELPER("node-echo"), .out.kind = COVEY_STDIO_PIPE, .launch = one_cpu ? &one : NULL};
  int code = covey_spawn(&options, &echo);
  if (code == COVEY_ENOTSUP || code == COVEY_EINVAL) return -1;
  REQUIRE_OK(code);
  options.argv =
      TEST_HELPER("node-ping", test_format("%" PRId64, covey_process_pid(echo)), test_format("%d", count));
  options.out.kind = COVEY_STDIO_CAPTURE;
  REQUIRE_OK(covey_run(&options, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  int64_t ms = strtoll(r.out, NULL, 10);
  covey_result_free(&r);
  covey_process_close(echo);
  return ms;
}

/* A look before sleeping must not keep the other one from its answer where both have one CPU: then each message would take a time slice. */
TEST_LIMIT(storm, on_one_cpu, 300)
{
  int count = test_is_windows() ? 100 : 2000;
  int64_t free = echoes(false, count), bound = echoes(true, count);
  if (bound < 0) TEST_SKIP("processes are not bound to a CPU here");
  test_log("%d echoes: %" PRId64 " ms, on one CPU %" PRId64 " ms", count, free, bound);
  CHECK(bound < 2000 + 8 * free);
}
