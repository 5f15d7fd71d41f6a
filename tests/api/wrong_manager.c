/* Every function of covey/manager.h, called as nobody should. */
#include "support/test.h"

#include <covey/manager.h>

static void refused(covey_manager_options options)
{
  covey_manager *m;

  test_fill(&m, sizeof m);
  CHECK_WRONG(covey_manager_new(&options, &m));
  CHECK(test_is_filled(&m, sizeof m));
}

TEST(wrong_manager, open_and_free)
{
  CHECK_WRONG(covey_manager_new(NULL, NULL));
  for (int i = 1; i < 32; i++) refused((covey_manager_options){.flags = 1u << i});
  refused((covey_manager_options){.reserved0 = 1});
  for (size_t i = 0; i < sizeof((covey_manager_options *)0)->reserved / sizeof(uint64_t); i++) {
    covey_manager_options options = {0};
    options.reserved[i] = 1;
    refused(options);
  }
  covey_manager_free(NULL);
}

TEST(wrong_manager, without_a_manager)
{
  covey_process_options options = {.argv = TEST_HELPER("nothing")};
  covey_process *p;
  covey_member member;
  int64_t pid;

  test_fill(&p, sizeof p);
  test_fill(&member, sizeof member);
  test_fill(&pid, sizeof pid);
  CHECK_WRONG(covey_manager_spawn(NULL, &options, &p));
  CHECK_WRONG(covey_manager_add(NULL, test_pid(), 0));
  CHECK_WRONG(covey_manager_get(NULL, 1, &p));
  CHECK_WRONG(covey_manager_remove(NULL, 1));
  CHECK_WRONG(covey_manager_count(NULL));
  CHECK_WRONG(covey_manager_pids(NULL, &pid, 1));
  CHECK_WRONG(covey_manager_wait_all(NULL, 0, &member, 1));
  CHECK_WRONG(covey_manager_wait_any(NULL, 0, &member));
  CHECK_WRONG(covey_manager_stop_all(NULL, 0, &member, 1));
  CHECK_WRONG(covey_manager_kill_all(NULL, &member, 1));
  CHECK_WRONG(covey_manager_signal_all(NULL, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER, &member, 1));
  CHECK_WRONG(covey_manager_send_all(NULL, NULL, "x", 1, 0, &member, 1));
  CHECK_WRONG(covey_manager_forward(NULL, NULL));
  CHECK(test_is_filled(&p, sizeof p) && test_is_filled(&member, sizeof member) &&
        test_is_filled(&pid, sizeof pid));
}

static void hear(const covey_signal_event *event, void *user)
{
  (void)event;
  (void)user;
}

/* An empty set and one with a member answer alike: the mistake is the call's, not a member's. */
static void calls(covey_manager *m)
{
  static const char too_long[] = "12345678901234567890123456789012345678901234567890123456789012345";
  int count = covey_manager_count(m);
  covey_process *p;
  covey_member member;
  int64_t pid;

  test_fill(&p, sizeof p);
  test_fill(&member, sizeof member);
  test_fill(&pid, sizeof pid);
  CHECK_WRONG(covey_manager_spawn(m, NULL, &p));
  CHECK_WRONG(covey_manager_spawn(m, &(covey_process_options){0}, &p));
  CHECK_WRONG(covey_manager_spawn(
      m, &(covey_process_options){.argv = TEST_HELPER("nothing"), .loop = (covey_loop *)&pid}, &p));
  CHECK_ERR(
      covey_manager_spawn(m, &(covey_process_options){.argv = TEST_WORDS("covey-has-no-such-program")}, &p),
      COVEY_ENOTFOUND);
  CHECK_WRONG(covey_manager_add(m, 0, 0));
  CHECK_WRONG(covey_manager_add(m, -1, 0));
  CHECK_WRONG(covey_manager_add(m, test_pid(), 0));
  CHECK_ERR(covey_manager_add(m, 0x7ffffff0, 0), COVEY_ENOTFOUND);
  CHECK_WRONG(covey_manager_get(m, 1, NULL));
  CHECK_ERR(covey_manager_get(m, 0, &p), COVEY_ENOTFOUND);
  CHECK_ERR(covey_manager_get(m, -1, &p), COVEY_ENOTFOUND);
  CHECK_ERR(covey_manager_remove(m, INT64_MIN), COVEY_ENOTFOUND);
  CHECK_WRONG(covey_manager_pids(m, NULL, 1));
  CHECK_WRONG(covey_manager_wait_all(m, -2, &member, 1));
  CHECK_WRONG(covey_manager_wait_any(m, -2, &member));
  CHECK_WRONG(covey_manager_wait_all(m, 0, NULL, 1));
  CHECK_WRONG(covey_manager_stop_all(m, -2, &member, 1));
  CHECK_WRONG(covey_manager_stop_all(m, 0, NULL, 1));
  CHECK_WRONG(covey_manager_kill_all(m, NULL, 1));
  CHECK_WRONG(covey_manager_signal_all(m, 0, COVEY_TARGET_LEADER, &member, 1));
  CHECK_WRONG(covey_manager_signal_all(m, -1, COVEY_TARGET_LEADER, &member, 1));
  CHECK_WRONG(covey_manager_signal_all(m, COVEY_SIGNAL_CONT, 2, &member, 1));
  CHECK_WRONG(covey_manager_signal_all(m, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER, NULL, 1));
  CHECK_WRONG(covey_manager_send_all(m, NULL, NULL, 1, 0, &member, 1));
  CHECK_WRONG(covey_manager_send_all(m, "", "x", 1, 0, &member, 1));
  CHECK_WRONG(covey_manager_send_all(m, too_long, "x", 1, 0, &member, 1));
  CHECK_WRONG(covey_manager_send_all(m, "*", "x", 1, 0, &member, 1));
  CHECK_WRONG(covey_manager_send_all(m, NULL, "x", 1, -2, &member, 1));
  CHECK_WRONG(covey_manager_send_all(m, NULL, "x", 1, 0, NULL, 1));
  CHECK_WRONG(covey_manager_forward(m, &(covey_signals_options){.loop = (covey_loop *)&pid}));
  CHECK_WRONG(covey_manager_forward(m, &(covey_signals_options){.forward = (covey_process *)&pid}));
  CHECK_WRONG(covey_manager_forward(m, &(covey_signals_options){.on_event = hear}));
  CHECK_WRONG(covey_manager_forward(m, &(covey_signals_options){.signals = &count, .count = SIZE_MAX}));
  CHECK_WRONG(covey_manager_forward(m, &(covey_signals_options){.flags = 1u << 31}));
  CHECK_OK(covey_manager_forward(m, NULL)); /* none were forwarded */
  CHECK(test_is_filled(&p, sizeof p) && test_is_filled(&member, sizeof member) &&
        test_is_filled(&pid, sizeof pid));
  CHECK_INT(covey_manager_count(m), count);
}

TEST(wrong_manager, every_call)
{
  covey_manager *m;
  covey_member member;

  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN}, &m));
  calls(m);
  REQUIRE_OK(covey_manager_spawn(
      m, &(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL}, NULL));
  calls(m);
  CHECK_INT(covey_manager_kill_all(m, &member, 1), 0); /* nothing was done to it before */
  CHECK_INT(member.exit.why, COVEY_WHY_KILL);
  covey_manager_free(m);
}
