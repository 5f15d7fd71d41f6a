/* Descriptors and handles in messages. */
#include "support/test.h"

#include <covey/channel.h>
#include <covey/process.h>

#include "core/fault.h"

#include "support/ends.h"

#include <errno.h>

#if !defined(ETOOMANYREFS)
#define ETOOMANYREFS 109 /* Windows has none, and asks for none */
#endif

enum { PATIENCE = 30000 };

typedef struct pair {
  covey_node *left, *right;
  char *name; /* of right */
} pair;

static pair pair_open(const covey_group_options *options)
{
  pair p = {.name = test_format("right-%" PRId64, test_pid())};
  covey_node_options right = {.name = p.name}, left = {.name = test_format("left-%" PRId64, test_pid())};
  REQUIRE_OK(covey_node_open(&right, &p.right));
  REQUIRE_OK(covey_node_open(&left, &p.left));
  REQUIRE_OK(covey_group_open(p.right, "h", options));
  return p;
}

static void pair_close(pair *p)
{
  CHECK(covey_node_close(p->left, PATIENCE) >= 0);
  CHECK(covey_node_close(p->right, PATIENCE) >= 0);
}

static const covey_group_options taking = {.handles = 1};

static int give_with(const pair *p, const covey_native *handles, uint32_t count, size_t size, int64_t timeout)
{
  covey_send_options o = {.name = p->name, .group = "h", .timeout = timeout};
  o.handles = handles;
  o.handle_count = count;
  char *data = calloc(1, size + 1);
  int r = covey_message_send(p->left, &o, &(covey_buffer){data, size}, 1, NULL);
  free(data);
  return r;
}

static void give(const pair *p, const covey_native *handles, uint32_t count, size_t size)
{
  CHECK_OK(give_with(p, handles, count, size, PATIENCE));
}

static covey_message next(const pair *p)
{
  covey_message m = {0};
  REQUIRE_OK(covey_receive(p->right, "h", PATIENCE, &m));
  return m;
}

/* A pipe whose reading end tells whether anybody holds the other one, `to`. */
typedef struct witness {
  end e;
  cvos_handle to;
} witness;

static void witness_open(witness *w)
{
  cvos_handle ours;
  REQUIRE_OK(cvos_pipe_for_child(CVOS_FROM_CHILD, &ours, &w->to));
  end_open(&w->e, ends_loop(), ours);
  cvos_io_read(w->e.io, true);
}

static bool is_held(witness *w)
{
  return !ends_wait(w->e.loop, end_has_ended, &w->e, 5);
}

static bool is_let_go(witness *w)
{
  return ends_wait(w->e.loop, end_has_ended, &w->e, PATIENCE);
}

static void witness_close(witness *w)
{
  covey_loop *loop = w->e.loop;
  end_close(&w->e);
  cvy_loop_private_close(loop);
}

TEST(handles, travel_and_work)
{
  pair p = pair_open(&taking);
  witness w;
  cvos_handle kept;
  witness_open(&w);
  give(&p, &w.to, 1, 3);
  covey_message m = next(&p);
  CHECK_UINT(m.size, 3);
  REQUIRE(m.handle_count == 1);
  CHECK_WRONG(covey_message_take(NULL, 0, &kept));
  CHECK_WRONG(covey_message_take(&m, 1, &kept));
  CHECK_WRONG(covey_message_take(&m, 0, NULL));
  REQUIRE_OK(covey_message_take(&m, 0, &kept));
  CHECK_ERR(covey_message_take(&m, 0, &kept), COVEY_ENOTFOUND);
  covey_message_free(&m);
  cvos_handle_close(w.to);
  pair_close(&p);
  CHECK(is_held(&w)); /* it is ours, whatever the sender closes */
  cvos_handle_close(kept);
  CHECK(is_let_go(&w));
  witness_close(&w);
}

/* Windows: the copy can do what handle_rights say, or what ours can. Elsewhere they mean nothing. */
TEST(handles, with_rights)
{
  enum { SYNCHRONIZE_AND_LOOK = 0x100080 }; /* SYNCHRONIZE | FILE_READ_ATTRIBUTES */
  pair p = pair_open(&taking);
  witness w;
  cvos_handle got;
  witness_open(&w);
  for (uint32_t few = 0; few < 2; few++) {
    covey_send_options o = {.name = p.name, .group = "h", .handles = &w.to, .handle_count = 1};
    if (few) o.handle_rights = SYNCHRONIZE_AND_LOOK;
    REQUIRE_OK(covey_message_send(p.left, &o, NULL, 0, NULL));
    covey_message m = next(&p);
    REQUIRE_OK(covey_message_take(&m, 0, &got));
    covey_message_free(&m);
    int64_t rights = test_handle_rights(got), ours = test_handle_rights(w.to);
    CHECK_INT(rights, few && test_is_windows() ? SYNCHRONIZE_AND_LOOK : ours);
    CHECK(ours != SYNCHRONIZE_AND_LOOK && ours != 0);
    if (few) cvos_handle_close(w.to);
    CHECK(is_held(&w));
    cvos_handle_close(got);
  }
  CHECK(is_let_go(&w));
  witness_close(&w);
  pair_close(&p);
}

/* Sends size bytes and count handles to a "handle-limit", and gives its answer. */
static const char *ask(int64_t pid, const char *word, const covey_native *handles, uint32_t count)
{
  covey_message m = {0};
  covey_send_options o = {.pid = pid, .group = "h", .timeout = PATIENCE, .level = COVEY_LEVEL_CONSUMED};
  o.handles = handles;
  o.handle_count = count;
  REQUIRE_OK(covey_message_send(NULL, &o, &(covey_buffer){word, strlen(word)}, 1, NULL));
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  const char *text = test_format("%s", (const char *)m.data);
  covey_message_free(&m);
  return text;
}

/* The receiver has no descriptor left, or too few: the message comes, and says which handles did not; everything else goes on. Linux gives those for
 * which there is room, macOS none. */
TEST(handles, receiver_without_descriptors)
{
  cvos_handle five[5], null;
  if (test_is_windows()) TEST_SKIP("Windows has no limit of handles that a test could set");
  REQUIRE_OK(cvos_null_open(&null));
  for (int i = 0; i < 5; i++) five[i] = null;
  for (int spare = 0; spare < 4; spare += 3) {
    const char *came = spare && cvos_stream_tells_sender() ? "tttll" : "lllll";
    int64_t pid = test_start(TEST_HELPER("handle-limit", "h", test_format("%d", spare)));
    const char *open = ask(pid, "limit", NULL, 0);
    CHECK(strncmp(open, " ", 1) == 0 && atoi(open) > 3);
    for (int i = 0; i < 3; i++) {
      CHECK_STR(ask(pid, "few", five, 5), test_format("%s%s", came, open));
      CHECK_STR(ask(pid, "none", NULL, 0), open); /* it lives, and keeps nothing */
    }
    CHECK_STR(ask(pid, "free", five, 5), test_format("%s%s", came, open));
    CHECK_STR(ask(pid, "all", five, 5), test_format("ttttt%s", open));
    CHECK_OK(covey_send(NULL, pid, "h", NULL, 0, PATIENCE));
    CHECK(test_process_ended(pid, PATIENCE));
  }
  cvos_handle_close(null);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(handles, of_large_messages_and_many)
{
  pair p = pair_open(&taking);
  witness w;
  cvos_handle all[COVEY_HANDLES_MAX], got;
  witness_open(&w);
  for (int i = 0; i < COVEY_HANDLES_MAX; i++) all[i] = w.to;
  for (int i = 0; i < 5; i++) { /* mixed with messages that bring none, and a large one */
    uint32_t count = COVEY_HANDLES_MAX - (uint32_t)i;
    give(&p, NULL, 0, 10);
    give(&p, all, count, i == 3 ? 200000 : 0);
    covey_message m = next(&p);
    CHECK_UINT(m.handle_count, 0);
    CHECK_WRONG(covey_message_take(&m, 0, &got));
    covey_message_free(&m);
    m = next(&p);
    REQUIRE(m.handle_count == count);
    REQUIRE_OK(covey_message_take(&m, 41, &got));
    cvos_handle_close(got);
    covey_message_free(&m); /* and the rest with it */
  }
  cvos_handle_close(w.to);
  CHECK(is_let_go(&w));
  witness_close(&w);
  pair_close(&p);
}

TEST(handles, untaken_unread_and_unsent_ones_are_closed)
{
  pair p = pair_open(&(covey_group_options){.handles = 1, .max_count = 3});
  witness w;
  witness_open(&w);
  for (int i = 0; i < 3; i++) give(&p, &w.to, 1, 1);
  CHECK_ERR(give_with(&p, &w.to, 1, 1, 20), COVEY_ETIMEDOUT); /* no room */
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  covey_message m = next(&p);
  CHECK_UINT(m.handle_count, 1);
  covey_message_free(&m);
  cvos_handle_close(w.to);
  CHECK(is_held(&w));
  pair_close(&p); /* two wait unread */
  CHECK(is_let_go(&w));
  witness_close(&w);
}

TEST(handles, groups_that_take_none)
{
  pair p = pair_open(NULL);
  witness w;
  witness_open(&w);
  CHECK_ERR(give_with(&p, &w.to, 1, 1, PATIENCE), COVEY_ENOTSUP);
  REQUIRE_OK(covey_group_close(p.right, "h"));
  REQUIRE_OK(covey_group_open(p.right, "h", &taking));
  cvos_handle two[] = {w.to, CVOS_NONE};
  int r;
  int64_t until = test_now() + PATIENCE; /* the close has to come over first */
  while ((r = give_with(&p, two, 2, 1, PATIENCE)) == COVEY_ENOTSUP && test_now() < until) test_pause(1);
  CHECK_ERR(r, COVEY_EINVAL);
  CHECK_INT(covey_last_failure()->index, 1);
  covey_message m;
  CHECK_ERR(covey_receive(p.right, "h", 0, &m), COVEY_ETIMEDOUT);
  cvos_handle_close(w.to);
  CHECK(is_let_go(&w)); /* the one before it was copied, and closed again */
  witness_close(&w);
  pair_close(&p);
}

TEST_LIMIT(handles, ten_thousand_messages, 300)
{
  enum { MANY = 10000 };
  pair p = pair_open(&taking);
  cvos_handle null, got;
  int many = test_is_wine() ? MANY / 10 : MANY;
  REQUIRE_OK(cvos_null_open(&null));
  for (int i = 0; i < many; i++) {
    cvos_handle both[] = {null, null};
    if (i == 10) test_no_handles_lost();
    give(&p, both, 2, (size_t)i % 50);
    covey_message m = next(&p);
    REQUIRE(m.handle_count == 2);
    if (i % 3 == 0) {
      REQUIRE_OK(covey_message_take(&m, 1, &got));
      cvos_handle_close(got);
    }
    covey_message_free(&m);
  }
  cvos_handle_close(null);
  pair_close(&p);
}

TEST(handles, between_processes)
{
  witness w;
  covey_message m;
  witness_open(&w);
  int64_t pid = test_start(TEST_HELPER("handle-keep", "h"));
  covey_send_options o = {.pid = pid, .group = "h", .timeout = PATIENCE, .handles = &w.to, .handle_count = 1};
  REQUIRE_OK(covey_message_send(NULL, &o, NULL, 0, NULL));
  cvos_handle_close(w.to);
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  CHECK_STR(m.data, "have");
  covey_message_free(&m);
  CHECK(is_held(&w));
  CHECK_OK(covey_send(NULL, pid, "h", NULL, 0, PATIENCE));
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK(is_let_go(&w));
  witness_close(&w);
  covey_node_close(NULL, PATIENCE);
}

TEST(handles, to_ourselves)
{
  covey_message m;
  witness w;
  cvos_handle got;
  witness_open(&w);
  REQUIRE_OK(covey_group_open(NULL, "h", &taking));
  covey_send_options o = {.pid = test_pid(), .group = "h", .handles = &w.to, .handle_count = 1};
  REQUIRE_OK(covey_message_send(NULL, &o, NULL, 0, NULL));
  REQUIRE_OK(covey_receive(NULL, "h", PATIENCE, &m));
  REQUIRE(m.handle_count == 1);
  REQUIRE_OK(covey_message_take(&m, 0, &got));
  covey_message_free(&m);
  cvos_handle_close(w.to);
  CHECK(is_held(&w));
  cvos_handle_close(got);
  CHECK(is_let_go(&w));
  witness_close(&w);
  covey_node_close(NULL, PATIENCE);
}

/* The system refuses the handles of one write: their message fails, or goes when it takes them again; whatever else goes over the connection is not touched. */
TEST(handles, refused_by_the_system)
{
  static const struct {
    int system, code;
    int64_t timeout; /* -1: COVEY_SEND_TRY */
  } ways[] = {{EMFILE, 0, PATIENCE},
              {ETOOMANYREFS, 0, PATIENCE},
              {ETOOMANYREFS, COVEY_ELIMIT, -1},
              {EINVAL, COVEY_EINVAL, PATIENCE}};
  if (test_is_windows()) TEST_SKIP("a receiver takes handles there, no write brings them");
  pair p = pair_open(&(covey_group_options){.handles = 1, .max_count = 3});
  covey_peer *peer;
  witness w;
  witness_open(&w);
  REQUIRE_OK(covey_peer_open(p.left, &(covey_peer_options){.name = p.name}, &peer));
  for (int i = 0; i < 80; i++) {
    int way = i % 4, large = i % 3 == 0;
    covey_send_options o = {.name = p.name, .group = "h", .handles = &w.to, .handle_count = 1};
    o.timeout = ways[way].timeout < 0 ? 0 : ways[way].timeout;
    o.flags = ways[way].timeout < 0 ? COVEY_SEND_TRY : 0;
    char *data = calloc(1, 200000);
    cvy_fault_after(CVOS_FAULT_SEND, 1, ways[way].system);
    int r = covey_message_send(p.left, &o, &(covey_buffer){data, large ? 200000 : 3}, 1, NULL);
    int64_t seen = cvy_fault_seen();
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    free(data);
    REQUIRE(seen > 0);
    CHECK_INT(r, ways[way].code);
    if (r < 0) {
      CHECK_INT(covey_last_failure()->code, r);
      CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_WRITE);
      CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
      give(&p, NULL, 0, 5); /* its place in the group is free again */
    }
    covey_message m = next(&p);
    CHECK_UINT(m.size, r < 0 ? 5 : large ? 200000 : 3);
    CHECK_UINT(m.handle_count, r < 0 ? 0 : 1);
    covey_message_free(&m);
  }
  CHECK_ERR(covey_peer_wait(peer, 0, NULL), COVEY_ETIMEDOUT); /* the same connection */
  covey_peer_close(peer);
  cvos_handle_close(w.to);
  CHECK(is_let_go(&w));
  witness_close(&w);
  pair_close(&p);
}

/* The same by the system itself, which counts what a user without rights has on its way. */
TEST(handles, too_many_on_their_way)
{
  if (test_is_windows()) TEST_SKIP("Windows has no such limit");
  if (!test_helper_is_open()) TEST_SKIP("the tests lie in a folder that is closed to other users");
  test_ended e = test_run(TEST_HELPER("as", "64321", "handle-flood"), PATIENCE);
  if (e.code == 24) TEST_SKIP("takes root, and a system that counts descriptors on their way");
  if (e.code != 0 || e.timed_out) TEST_FAIL("code %d: %s", (int)e.code, e.output);
}
