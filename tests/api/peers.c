/* Peers: opening, describing, listing, waiting for their end, watching them come and go; numbers; addresses; covey nodes. */
#include "support/test.h"

#include <covey/message.h>
#include <covey/process.h>

enum { PATIENCE = 30000 };

static int64_t start(const char *a, const char *b, const char *c)
{
  return test_start(TEST_WORDS(test_helper(), a, b, c));
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

static covey_peer *peer_of(covey_node *node, int64_t pid, const char *name)
{
  covey_peer *peer = NULL;
  REQUIRE_OK(
      covey_peer_open(node, &(covey_peer_options){.pid = pid, .name = name, .timeout = PATIENCE}, &peer));
  return peer;
}

/* Another node of this process, met by its name. */
static covey_node *another(const char *name)
{
  covey_node *node;
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = name}, &node));
  return node;
}

static const char *name_of(const char *what)
{
  return test_format("%s-%" PRId64, what, test_pid());
}

TEST(peers, open_and_describe)
{
  int64_t pid = start("node-echo", "-", NULL);
  covey_peer *peer = peer_of(NULL, pid, NULL);
  covey_peer_description d;
  covey_message m;
  REQUIRE_OK(covey_peer_describe(peer, &d));
  CHECK_INT(d.identity.pid, pid);
  CHECK(d.identity.flags & COVEY_ID_SAME_USER);
  CHECK_STR(d.name, "");
  CHECK_UINT(d.flags, COVEY_PEER_DIALLED);
  CHECK_INT(d.ended, 0);
  CHECK_UINT(d.max_message, 16 * 1048576);
  CHECK_UINT(d.statistics.sent, 0);
  CHECK(d.statistics.bytes_out > 16 && d.statistics.bytes_in > 16); /* the handshake */
  CHECK(d.statistics.credit >= 262144);
  covey_send_options to = {.peer = peer, .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){"hello", 5}, 1, NULL));
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  CHECK(m.peer == peer);
  REQUIRE_OK(covey_peer_describe(peer, &d));
  CHECK_UINT(d.statistics.sent, 1);
  CHECK_UINT(d.statistics.received, 1);
  CHECK_UINT(d.statistics.waiting, 0);
  covey_message_free(&m);
  end(pid);
  CHECK_OK(covey_peer_wait(peer, PATIENCE, NULL));
  CHECK_OK(covey_peer_wait(peer, 0, NULL));
  REQUIRE_OK(covey_peer_describe(peer, &d));
  CHECK_INT(d.ended, COVEY_EPEERDIED);
  CHECK_INT(d.identity.pid, pid);
  CHECK_UINT(d.statistics.sent, 1);
  CHECK_ERR(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_EPEERDIED);
  CHECK_ERR(covey_peer_groups(peer, PATIENCE, NULL, NULL, 0), COVEY_EPEERDIED);
  covey_peer_close(peer);
  covey_peer_close(NULL);
}

TEST(peers, a_handle_outlives_its_node)
{
  covey_node *b = another(name_of("b"));
  covey_peer *peer = peer_of(NULL, 0, name_of("b"));
  covey_peer_description d;
  CHECK_ERR(covey_peer_wait(peer, 0, NULL), COVEY_ETIMEDOUT);
  CHECK_OK(covey_node_close(b, PATIENCE));
  CHECK_OK(covey_peer_wait(peer, PATIENCE, NULL));
  REQUIRE_OK(covey_peer_describe(peer, &d));
  CHECK_INT(d.ended, COVEY_ENOPEER); /* it said good-bye */
  CHECK_STR(d.name, name_of("b"));
  CHECK_OK(covey_node_close(NULL, PATIENCE));
  CHECK_OK(covey_peer_describe(peer, &d));
  CHECK_OK(covey_peer_wait(peer, 0, NULL));
  covey_peer_close(peer);
}

static void wait_for_end(void *arg)
{
  CHECK_ERR(covey_peer_wait(((void **)arg)[0], COVEY_FOREVER, ((void **)arg)[1]), COVEY_ECANCELED);
}

TEST(peers, waits_end_by_a_cancel_and_a_deadline)
{
  covey_node *b = another(name_of("b"));
  covey_peer *peer = peer_of(NULL, 0, name_of("b"));
  covey_cancel *cancel;
  REQUIRE_OK(covey_cancel_new(&cancel));
  void *both[] = {peer, cancel};
  test_thread *thread = test_thread_start(wait_for_end, both);
  CHECK_ERR(covey_peer_wait(peer, 60, NULL), COVEY_ETIMEDOUT);
  covey_cancel_fire(cancel);
  test_thread_join(thread);
  covey_peer *nobody = peer;
  covey_peer_options options = {.name = "nobody-is-called-so", .cancel = cancel};
  CHECK_ERR(covey_peer_open(NULL, &options, &nobody), COVEY_ECANCELED);
  options.flags = COVEY_PEER_TRY;
  options.cancel = NULL;
  CHECK_ERR(covey_peer_open(NULL, &options, &nobody), COVEY_ENOPEER);
  CHECK(nobody == peer);
  covey_cancel_free(cancel);
  covey_peer_close(peer);
  CHECK_OK(covey_node_close(b, PATIENCE));
}

TEST(peers, groups_and_what_waits_in_them)
{
  covey_node *b = another(name_of("b"));
  covey_group_options few = {.max_bytes = 5000, .full = COVEY_FULL_DROP_NEW};
  covey_peer_group g[8];
  covey_send_options to = {.name = name_of("b"), .timeout = PATIENCE};
  covey_message m;
  int seen = 0;
  REQUIRE_OK(covey_group_open(b, "jobs", &few));
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){"abc", 3}, 1, NULL));
  covey_peer *peer = peer_of(NULL, 0, name_of("b"));
  REQUIRE(covey_peer_groups(peer, PATIENCE, NULL, g, 8) == 2);
  for (int i = 0; i < 2; i++) {
    bool jobs = strcmp(g[i].name, "jobs") == 0;
    seen |= jobs ? 1 : strcmp(g[i].name, "default") == 0 ? 2 : 4;
    CHECK_UINT(g[i].waiting, jobs ? 0 : 3);
    CHECK_UINT(g[i].waiting_bytes, jobs ? 0 : 3 * 67);
    CHECK_UINT(g[i].window, jobs ? 5000 : 262144);
    CHECK_UINT(g[i].credit, jobs ? 5000 : 262144 - 3 * 67);
    CHECK_INT(g[i].full, jobs ? COVEY_FULL_DROP_NEW : COVEY_FULL_BLOCK);
    CHECK_INT(g[i].kind, COVEY_GROUP_MESSAGES);
  }
  CHECK_INT(seen, 3);
  CHECK(covey_peer_groups(peer, PATIENCE, NULL, NULL, 0) == 2); /* only how many */
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
    covey_message_free(&m);
  }
  REQUIRE(covey_peer_groups(peer, PATIENCE, NULL, g, 1) == 2);
  CHECK_UINT(g[0].waiting + g[0].waiting_bytes, 0);
  covey_peer_close(peer);
  CHECK_OK(covey_node_close(b, PATIENCE));
}

TEST(peers, of_a_node_are_listed_and_counted)
{
  covey_node *b = another(name_of("b")), *c = another(name_of("c"));
  covey_send_options to = {.name = name_of("b"), .timeout = PATIENCE};
  covey_peer_description d[4];
  covey_statistics s;
  char block[1000] = {0};
  covey_message m;
  CHECK(covey_node_peers(NULL, NULL, 0) == 0);
  for (int i = 0; i < 5; i++)
    REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){block, 1000}, 1, NULL));
  covey_peer_close(peer_of(NULL, 0, name_of("c")));
  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "x", 1, 0));
  REQUIRE(covey_node_peers(NULL, d, 4) == 3);
  CHECK_UINT(d[0].flags, COVEY_PEER_SELF); /* the newest first */
  CHECK_UINT(d[0].statistics.waiting, 65);
  CHECK_STR(d[1].name, name_of("c"));
  CHECK_STR(d[2].name, name_of("b"));
  CHECK_UINT(d[2].statistics.sent, 5);
  CHECK_UINT(d[2].statistics.unread, 5);
  CHECK(covey_node_peers(NULL, d, 1) == 3);
  REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
  covey_message_free(&m);
  for (int i = 0; i < 4; i++) {
    REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
    covey_message_free(&m);
  }
  REQUIRE_OK(covey_node_statistics(b, &s));
  CHECK_UINT(s.received, 5);
  CHECK_UINT(s.peers, 1);
  CHECK_UINT(s.waiting, 0);
  CHECK_UINT(s.broken, 0);
  CHECK(s.bytes_in >= 5 * 1016);
  CHECK(s.memory >= 262144);
  CHECK_OK(covey_node_close(b, PATIENCE));
  CHECK_OK(covey_node_close(c, PATIENCE));
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
  covey_message_free(&m);
  for (int i = 0; covey_node_peers(NULL, NULL, 0) > 1 && i < PATIENCE / 10; i++) test_pause(10);
  REQUIRE_OK(covey_node_statistics(NULL, &s)); /* who has gone still counts */
  CHECK_UINT(s.sent, 6);
  CHECK_UINT(s.received, 1);
  CHECK_UINT(s.peers, 1);
  CHECK(s.bytes_out >= 5 * 1016);
}

TEST(peers, drops_are_counted_on_both_sides)
{
  covey_node *b = another(name_of("b"));
  covey_group_options one = {.max_count = 1, .full = COVEY_FULL_DROP_OLD};
  covey_statistics s;
  REQUIRE_OK(covey_group_open(b, "old", &one));
  one.full = COVEY_FULL_DROP_NEW;
  REQUIRE_OK(covey_group_open(b, "new", &one));
  covey_send_options to = {.name = name_of("b"), .group = "old", .timeout = PATIENCE};
  for (int i = 0; i < 4; i++) REQUIRE_OK(covey_message_send(NULL, &to, NULL, 0, NULL));
  to.group = "new";
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_message_send(NULL, &to, NULL, 0, NULL));
  REQUIRE_OK(covey_node_statistics(NULL, &s));
  CHECK_UINT(s.dropped, 2);
  for (int i = 0; i < PATIENCE / 10; i++) {
    REQUIRE_OK(covey_node_statistics(b, &s));
    if (s.received == 5) break;
    test_pause(10);
  }
  CHECK_UINT(s.received, 5);
  CHECK_UINT(s.dropped, 3);
  CHECK_OK(covey_node_close(b, PATIENCE));
}

/* The next event or message; its kind. */
static int next(const char *group, int64_t pid, covey_peer **ret_peer)
{
  covey_message m;
  REQUIRE_OK(covey_receive(NULL, group, PATIENCE, &m));
  int kind = m.kind;
  CHECK_INT(m.from.pid, pid);
  CHECK(m.peer != NULL && m.data != NULL && *(const char *)m.data == (m.size ? 'q' : 0));
  if (ret_peer) *ret_peer = m.peer;
  covey_message_free(&m);
  return kind;
}

TEST(peers, who_comes_and_goes_is_told_in_order)
{
  covey_message m;
  covey_peer *up, *down;
  REQUIRE_OK(covey_group_open(NULL, "back", NULL));
  REQUIRE_OK(covey_node_watch(NULL, "events", 1));
  for (int round = 0; round < 3; round++) {
    int64_t pid = start("node-echo", NULL, NULL);
    REQUIRE_OK(covey_send(NULL, pid, NULL, "quit", 4, PATIENCE));
    CHECK_INT(next(COVEY_ANY_GROUP, pid, &up), COVEY_KIND_PEER_UP); /* before its first message */
    CHECK_INT(next(COVEY_ANY_GROUP, pid, NULL), COVEY_KIND_DATA);
    CHECK_INT(next(COVEY_ANY_GROUP, pid, &down), COVEY_KIND_PEER_DOWN);
    CHECK(up == down);
    CHECK(test_process_ended(pid, PATIENCE));
  }
  int64_t pid = start("node-sink", test_format("%" PRId64, test_pid()), NULL);
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  covey_message_free(&m);
  CHECK_INT(next("events", pid, NULL), COVEY_KIND_PEER_UP);
  end(pid);
  CHECK_INT(next("events", pid, NULL), COVEY_KIND_PEER_DOWN); /* killed */
  CHECK_ERR(covey_receive(NULL, "events", 0, &m), COVEY_ETIMEDOUT);
}

TEST(peers, who_is_there_already_is_told_at_once)
{
  covey_node *b = another(name_of("b"));
  covey_message m;
  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "x", 1, 0)); /* ourselves: not told */
  covey_peer_close(peer_of(NULL, 0, name_of("b")));
  REQUIRE_OK(covey_node_watch(NULL, "events", 1));
  REQUIRE_OK(covey_node_watch(NULL, "events", 1)); /* again: nothing new */
  CHECK_INT(next("events", test_pid(), NULL), COVEY_KIND_PEER_UP);
  CHECK_ERR(covey_receive(NULL, "events", 0, &m), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_node_watch(NULL, NULL, 0));
  CHECK_OK(covey_node_close(b, PATIENCE));
  CHECK_ERR(covey_receive(NULL, "events", 100, &m), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_node_watch(NULL, "events", 1));
  CHECK_OK(covey_group_close(NULL, "events")); /* ends it */
  covey_node *c = another(name_of("c"));
  covey_peer_close(peer_of(NULL, 0, name_of("c")));
  CHECK_OK(covey_node_close(c, PATIENCE));
  CHECK_ERR(covey_receive(NULL, "events", 100, &m), COVEY_ETIMEDOUT);
}

/* Events use no room of anybody, in a group that drops too, and what nobody receives does not grow without end. */
TEST(peers, events_in_a_group_that_drops)
{
  covey_group_options two = {.max_count = 2, .full = COVEY_FULL_DROP_OLD};
  covey_message m;
  REQUIRE_OK(covey_group_open(NULL, "events", &two));
  REQUIRE_OK(covey_node_watch(NULL, "events", 1));
  for (int i = 0; i < 5; i++) {
    covey_node *b = another(name_of("b"));
    covey_peer_close(peer_of(NULL, 0, name_of("b")));
    CHECK_OK(covey_node_close(b, PATIENCE));
  }
  for (int i = 0; covey_node_peers(NULL, NULL, 0) > 0 && i < PATIENCE / 10; i++) test_pause(10);
  REQUIRE_OK(covey_send(NULL, test_pid(), "events", "last", 4, PATIENCE));
  REQUIRE_OK(covey_receive(NULL, "events", PATIENCE, &m));
  CHECK_UINT(m.lost, 9);
  CHECK_INT(m.kind, COVEY_KIND_PEER_DOWN);
  covey_message_free(&m);
  REQUIRE_OK(covey_receive(NULL, "events", PATIENCE, &m));
  CHECK_STR(m.data, "last");
  covey_message_free(&m);
}

/* ---- addresses, and the tool ---- */

static bool is_listed(const covey_node_entry *e, int count, int64_t pid, const char *name)
{
  for (int i = 0; i < count; i++) {
    if (e[i].pid == pid && strcmp(e[i].name, name) == 0) return true;
  }
  return false;
}

TEST(peers, addresses_are_listed)
{
  static covey_node_entry e[500];
  covey_node *a, *b;
  const char *app = name_of("App");
  int count = covey_node_list(app, NULL, e, 500);
  if (count == COVEY_ENOTSUP && test_is_windows()) TEST_SKIP("this system has no list of pipes");
  CHECK_INT(count, 0);
  REQUIRE_OK(covey_node_open(&(covey_node_options){.app = app}, &a));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.app = app, .name = "Some.Name"}, &b));
  count = covey_node_list(app, NULL, e, 500);
  CHECK_INT(count, 2);
  CHECK(is_listed(e, count, test_pid(), ""));
  CHECK(is_listed(e, count, 0, "Some.Name"));
  CHECK(covey_node_list(app, NULL, NULL, 0) == 2);
  CHECK_OK(covey_node_close(a, PATIENCE));
  CHECK_OK(covey_node_close(b, PATIENCE));
  CHECK(covey_node_list(app, NULL, NULL, 0) == 0);
  test_no_handles_lost();
}

static covey_result tool(uint32_t code, const char *const *words)
{
  const char *argv[12] = {test_program_beside("covey"), "nodes"};
  covey_result r;
  for (size_t i = 0; words[i]; i++) argv[2 + i] = words[i];
  covey_process_options options = {.argv = argv,
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE,
                                   .timeout = 2 * PATIENCE};
  REQUIRE_OK(covey_run(&options, &r));
  if (r.exit.code != code) TEST_FAIL("code %u, \"%s\" \"%s\"", (unsigned)r.exit.code, r.out, r.err);
  return r;
}

TEST(peers, covey_nodes)
{
  const char *app = name_of("tool");
  covey_node *a, *b;
  covey_result r = tool(2, TEST_WORDS("--what"));
  covey_result_free(&r);
  r = tool(2, TEST_WORDS("word"));
  covey_result_free(&r);
  int count = covey_node_list(app, NULL, NULL, 0);
  if (count == COVEY_ENOTSUP && test_is_windows()) TEST_SKIP("this system has no list of pipes");
  r = tool(1, TEST_WORDS("--app", app));
  CHECK(strstr(r.err, "there is none") != NULL);
  covey_result_free(&r);
  REQUIRE_OK(covey_node_open(&(covey_node_options){.app = app}, &a));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.app = app, .name = "named"}, &b));
  REQUIRE_OK(covey_group_open(b, "jobs", NULL));
  REQUIRE_OK(covey_message_send(a,
                                &(covey_send_options){.name = "named", .group = "jobs", .timeout = PATIENCE},
                                &(covey_buffer){"12345", 5}, 1, NULL));
  covey_message m;
  REQUIRE_OK(
      covey_message_send(a, &(covey_send_options){.name = "named", .timeout = PATIENCE}, NULL, 0, NULL));
  REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m)); /* so the other one waits there by now */
  covey_message_free(&m);
  r = tool(0, TEST_WORDS("--app", app));
  CHECK(strstr(r.out, "  named  ") != NULL);
  CHECK(strstr(r.out, "group jobs: 1 waiting, 69 bytes\n") != NULL);
  CHECK(strstr(r.out, test_format("%7" PRId64 "  -  ", test_pid())) != NULL);
  covey_result_free(&r);
  r = tool(0, TEST_WORDS("--app", app, "--json", "--timeout=20000"));
  CHECK(strstr(r.out, test_format("{\"pid\": %" PRId64 ", \"start\": ", test_pid())) != NULL);
  CHECK(strstr(r.out, "\"name\": \"named\", ") != NULL);
  CHECK(strstr(r.out, "\"same_user\": true, \"pinned\": true") != NULL);
  CHECK(strstr(r.out, "{\"name\": \"jobs\", \"kind\": \"group\", \"window\": 262144, \"waiting\": 1, "
                      "\"waiting_bytes\": 69}") != NULL);
  covey_result_free(&r);
  CHECK_OK(covey_node_close(a, PATIENCE));
  CHECK_OK(covey_node_close(b, PATIENCE));
}

/* What crashes have left is neither told nor waited for. */
TEST(peers, covey_nodes_among_the_dead)
{
  if (test_is_windows()) TEST_SKIP("a pipe leaves nothing behind");
  const char *dir = test_temp_dir();
  covey_node *a;
  for (int i = 0; i < 20; i++) {
    test_write_file(test_format("%s/covey~n-dead%d.s", dir, i), "", 0);
    test_write_file(test_format("%s/covey~n-dead%d.lock", dir, i), "1\n", 2);
  }
  test_write_file(test_format("%s/covey~%" PRId64 ".s", dir, test_pid()), "", 0); /* its number is ours now */
  int64_t before = test_now();
  covey_result r = tool(1, TEST_WORDS("--directory", dir, "--timeout=20000"));
  CHECK(strstr(r.err, "there is none") != NULL);
  CHECK(test_now() - before < 15000);
  covey_result_free(&r);
  CHECK_INT(covey_node_list(NULL, dir, NULL, 0), 0); /* looking for them has removed them */
  for (int i = 0; i < 3; i++) test_write_file(test_format("%s/covey~n-dead%d.lock", dir, i), "1\n", 2);
  REQUIRE_OK(covey_node_open(&(covey_node_options){.directory = dir, .name = "alive"}, &a));
  r = tool(0, TEST_WORDS("--directory", dir, "--timeout=20000"));
  CHECK(strstr(r.out, "  alive  ") != NULL);
  covey_result_free(&r);
  CHECK_OK(covey_node_close(a, PATIENCE));
}
