/* What may befall a connection, row by row: the failure, and the test that shows what comes of it. Suites without a file's name are in the file of that name
 * (node_place.c has suite place, node_garbage.c garbage, node_storm.c storm; os/ stands before those of the seam).
 *
 *   sender killed before its message is out, at every step     node_step/senders_that_die, node_kill, storm/killed_senders_of_...
 *   sender exits right after SENT                              message/nothing_is_lost_when_the_sender_ends_at_once
 *   receiver killed                                            node_step/receivers_that_die, message/a_dead_receiver_ends_the_wait, node_kill/receivers
 *   receiver stopped                                           failures/a_stopped_receiver, message/one_full_group_stops_no_other
 *   peer sends nonsense; an error is for good                  garbage/first_bytes, after_the_handshake, node_short; fuzzers frame, peer
 *   peer never reads                                           garbage/who_never_reads, call_garbage/who_never_reads_answers
 *   peer floods                                                failures/floods_of_requests_for_nothing, failures/memory_stays_within_its_bound
 *   peer begs for memory                                       garbage/who_begs_for_more_memory_than_there_is
 *   peer is slow, or stops in the middle                       garbage/who_sends_byte_by_byte, who_stops_in_the_middle_of_a_frame, who_does_not_introduce_itself_...
 *   memory full                                                node_faults/memory_of_...
 *   socket file removed by a cleaner, stolen by another        place/a_cleaner_that_removes_the_socket_..., node_address/..., os: listener/files_that_were_taken_away
 *   directory of others, replaced, opened later                place/directories_that_are_not_ours_alone, a_directory_that_was_opened_..., os: listener/hostile_...
 *   name or number squatted                                    place/a_number_that_is_anothers_name, garbage/a_name_that_is_only_claimed, os: listener/a_name_that_is_served_already
 *   pid reused                                                 place/a_number_that_came_again
 *   fork without exec                                          node/is_stale_after_fork, a_fork_that_holds_the_connection_is_not_the_peer, storm/forks_with_traffic
 *   exec                                                       failures/who_becomes_another_program_is_gone
 *   crash in the middle of a close                             node_step (steps BYE, BYE_GOT, ENDED)
 *   second node in one process                                 node/one_without_a_name, names_are_exclusive
 *   no descriptor left                                         failures/no_descriptor_left
 *   another pid namespace                                      os: listener/pid_namespaces
 *   other byte order, 32 bits                                  unit: frame
 *   suspended machine, changed clock                           the clocks are libuv's monotonic ones; not tried here */
#include "impostor.h"

#include <covey/find.h>
#include <covey/process.h>

enum { PATIENCE = 30000 };

static const char *own_pid(void)
{
  return test_format("%" PRId64, test_pid());
}

static void expect(const char *group, int64_t pid, const char *text)
{
  covey_message m = {0};
  REQUIRE_OK(covey_receive(NULL, group, PATIENCE, &m));
  CHECK_STR(m.data, text);
  CHECK_INT(m.from.pid, pid);
  covey_message_free(&m);
}

TEST(failures, a_stopped_receiver)
{
  enum { SIZE = 1000 };
  static uint8_t block[SIZE];
  covey_process *p, *other;
  covey_process_options options = {.argv = TEST_HELPER("node-count", own_pid(), "jobs", "400", "1000")};
  REQUIRE_OK(covey_spawn(&options, &p));
  int64_t pid = covey_process_pid(p);
  expect("back", pid, "ready");
  int r = covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_LEADER);
  if (r == COVEY_ENOTSUP) {
    covey_process_close(p);
    TEST_SKIP("this system stops no process");
  }
  REQUIRE_OK(r);
  options.argv = TEST_HELPER("node-echo");
  REQUIRE_OK(covey_spawn(&options, &other));
  uint64_t sent = 0;
  for (r = 0; r == 0; sent += r == 0) {
    test_make_pattern(block, SIZE, sent);
    r = covey_send(NULL, pid, "jobs", block, SIZE, 300);
    REQUIRE(sent < 400);
  }
  CHECK_INT(r, COVEY_ETIMEDOUT);
  if (test_is_windows() && covey_last_failure()->reached == COVEY_FAR_MAYBE)
    sent++; /* a pending write has it */
  else
    CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  int64_t before = test_now();
  CHECK_ERR(covey_send(NULL, pid, "jobs", block, SIZE, 200), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK(test_now() - before >= 190);
  for (int i = 0; i < 50; i++) { /* nobody else is held up */
    REQUIRE_OK(covey_send(NULL, covey_process_pid(other), NULL, "x", 1, PATIENCE));
    expect("back", covey_process_pid(other), "x");
  }
  covey_statistics s;
  REQUIRE_OK(covey_node_statistics(NULL, &s));
  CHECK_UINT(s.unsent, 0); /* nothing of what failed is kept */
  REQUIRE_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER));
  for (; sent < 400; sent++) {
    test_make_pattern(block, SIZE, sent);
    REQUIRE_OK(covey_send(NULL, pid, "jobs", block, SIZE, PATIENCE));
  }
  expect("back", pid, "400"); /* whole, in order, none twice */
  covey_process_close(p);
  covey_process_close(other);
}

TEST(failures, who_becomes_another_program_is_gone)
{
  covey_message m;
  if (test_is_windows()) TEST_SKIP("no process becomes another program here");
  int64_t pid = test_start(TEST_HELPER("step-exec", own_pid()));
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
  CHECK_INT(m.from.pid, pid);
  CHECK_OK(covey_peer_wait(m.peer, PATIENCE, NULL)); /* nothing of the connection goes over to it */
  CHECK(!test_process_ended(pid, 0));
  CHECK_ERR(covey_send(NULL, pid, NULL, "x", 1, 200), COVEY_ENOPEER);
  covey_message_free(&m);
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

TEST(failures, no_descriptor_left)
{
  covey_process *p;
  covey_process_options options = {.argv = TEST_HELPER("step-limit", own_pid()),
                                   .in.kind = COVEY_STDIO_PIPE,
                                   .out.kind = COVEY_STDIO_PIPE};
  char text[4] = "";
  if (test_is_windows()) TEST_SKIP("handles have no limit here");
  REQUIRE_OK(covey_group_open(NULL, "back", NULL));
  REQUIRE_OK(covey_spawn(&options, &p));
  int64_t pid = covey_process_pid(p);
  REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, text, 1) == 1);
  CHECK_STR(text, "L"); /* it could not dial, and was told so */
  int r = covey_send(NULL, pid, NULL, "early", 5, 300);
  CHECK(r == COVEY_ETIMEDOUT || r == COVEY_ENOPEER); /* it cannot accept either; nothing breaks */
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_OK(covey_process_close_input(p)); /* now it may */
  REQUIRE_OK(covey_send(NULL, pid, NULL, "later", 5, PATIENCE));
  expect("back", pid, "later");
  REQUIRE_OK(covey_process_wait(p, PATIENCE, NULL));
  covey_process_close(p);
}

/* Frames that ask for an answer each, from one who reads none of them. */
static void flood(int kind, bool ends)
{
  static uint8_t out[16 * 4096];
  scene s = scene_open();
  impostor *p = impostor_mute(&s);
  bool taken = true;
  for (int i = 0; i < 4096; i++) impostor_bytes(out + 16 * i, kind, 0, 0, kind == CVY_FRAME_LOOK, NULL, 0);
  if (kind == CVY_FRAME_DOORBELL) memset(out, 0, sizeof out);
  for (int i = 0; i < 64 && taken; i++) taken = impostor_write(p, out, sizeof out);
  CHECK_INT(taken, !ends);
  scene_works(&s);
  covey_statistics n;
  REQUIRE_OK(covey_node_statistics(s.node, &n));
  CHECK_UINT(n.broken, ends);
  impostor_close(p);
  scene_close(&s);
}

TEST_LIMIT(failures, floods_of_requests_for_nothing, 120)
{
  flood(CVY_FRAME_PING, true);
  flood(CVY_FRAME_LOOK, true);
  flood(CVY_FRAME_DOORBELL, false);
}

/* Bytes of our own memory; 0: not known. */
static int64_t memory(void)
{
  covey_find_options options = {.pid = test_pid(), .fields = COVEY_FIELD_MEMORY};
  covey_find_result found;
  REQUIRE_OK(covey_find(&options, &found));
  int64_t bytes = found.count == 1 && found.items[0].memory > 0 ? found.items[0].memory : 0;
  covey_find_free(&found);
  return bytes;
}

TEST_LIMIT(failures, memory_stays_within_its_bound, 120)
{
  enum { SENDERS = 8, GROUPS = 4, MOST = 8 << 20, LARGE = 500000 };
  static const size_t sizes[] = {0, 100, 30000, LARGE};
  covey_node_options options = {
      .name = test_format("flooded-%s", own_pid()), .max_memory = MOST, .max_message = LARGE};
  covey_node *flooded, *senders[SENDERS];
  covey_statistics s;
  char *data = calloc(1, LARGE);
  uint64_t tried = 0, sent = 0, got = 0;
  REQUIRE_OK(covey_node_open(&options, &flooded));
  for (int g = 0; g < GROUPS; g++) REQUIRE_OK(covey_group_open(flooded, test_format("g%d", g), NULL));
  for (int i = 0; i < SENDERS; i++) {
    covey_node_options o = {.name = test_format("sender-%d-%s", i, own_pid())};
    REQUIRE_OK(covey_node_open(&o, &senders[i]));
    covey_send_options hello = {.name = options.name, .timeout = PATIENCE};
    REQUIRE_OK(covey_message_send(senders[i], &hello, NULL, 0, NULL));
    sent++;
  }
  int64_t before = memory();
  for (int round = 0; round < 300; round++) {
    for (int i = 0; i < SENDERS; i++) {
      size_t size = sizes[(round + i) % 4];
      covey_send_options to = {
          .name = options.name, .group = test_format("g%d", round % GROUPS), .timeout = 2};
      tried += size;
      if (covey_message_send(senders[i], &to, &(covey_buffer){data, size}, 1, NULL) == 0) sent++;
    }
    REQUIRE_OK(covey_node_statistics(flooded, &s));
    CHECK(s.memory <= MOST);
    CHECK(s.waiting <= MOST);
  }
  int64_t grown = memory() - before;
  CHECK(tried > 4 * (uint64_t)MOST); /* or it was no flood */
  if (grown > 6 * (int64_t)MOST)
    TEST_FAIL("memory has grown by %" PRId64, grown); /* sanitizers have some too */
  covey_receive_options from = {.group = COVEY_ANY_GROUP, .timeout = 1000};
  covey_message m[64];
  for (int n; (n = covey_receive_many(flooded, &from, m, 64)) > 0; got += (uint64_t)n) {
    for (int i = 0; i < n; i++) covey_message_free(&m[i]);
  }
  CHECK(got >= sent); /* what was begun before its deadline is sent to its end */
  REQUIRE_OK(covey_node_statistics(flooded, &s));
  CHECK_UINT(s.waiting, 0);
  for (int i = 0; i < SENDERS; i++) CHECK_INT(covey_node_close(senders[i], PATIENCE), 0);
  CHECK_INT(covey_node_close(flooded, PATIENCE), 0);
  free(data);
}
