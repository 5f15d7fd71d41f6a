#include "os/signal.h"
#include "child.h"

TEST(signal, numbers_go_there_and_back)
{
  CHECK_INT(cvos_signal_to_system(0), 0);
  CHECK_INT(cvos_signal_to_system(-1), 0);
  CHECK_INT(cvos_signal_to_system(21), 0);
  CHECK_INT(cvos_signal_to_system(CVOS_SIGNAL_RAW), 0);
  if (test_is_windows()) {
    for (int i = 1; i <= CVOS_SIGNAL_TSTP; i++) CHECK_INT(cvos_signal_to_system(i), 0);
    return;
  }
  for (int i = CVOS_SIGNAL_HUP; i <= CVOS_SIGNAL_TSTP; i++) {
    CHECK(cvos_signal_to_system(i) > 0);
    CHECK_INT(cvos_signal_from_system(cvos_signal_to_system(i)), i);
  }
  CHECK_INT(cvos_signal_to_system(CVOS_SIGNAL_TERM), 15);
  CHECK_INT(cvos_signal_to_system(CVOS_SIGNAL_RAW + 15), 15);
  CHECK_INT(cvos_signal_from_system(15), CVOS_SIGNAL_TERM);
  CHECK_INT(cvos_signal_from_system(40), CVOS_SIGNAL_RAW + 40);
}

TEST(signal, kills)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("ignore"));
  child_says(&c, "ready");
  CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_KILL));
  CHECK_OK(cvos_process_wait(&c.process, 20000));
  CHECK_ERR(cvos_signal_send(&c.process, CVOS_SIGNAL_KILL), COVEY_ENOTFOUND);
  child_finish(&c);
  if (test_is_windows())
    CHECK_UINT(c.status.code, 137);
  else
    CHECK_INT(c.status.signal, CVOS_SIGNAL_KILL);
  CHECK_ERR(cvos_signal_send(&c.process, CVOS_SIGNAL_KILL), COVEY_ENOTFOUND);
}

/* Between the kill and the end nobody is told that he may not: it was killed, or has ended. */
TEST(signal, kills_who_is_ending)
{
  static const int then[] = {CVOS_SIGNAL_KILL, CVOS_SIGNAL_STOP, CVOS_SIGNAL_CONT};
  for (int i = 0; i < 6; i++) {
    child c;
    child_start(&c, NULL, TEST_WORDS("hang"));
    child_says(&c, "ready");
    CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_KILL));
    for (int r = 0, n = 0; r == 0 && n < 1000; n++) {
      r = cvos_signal_send(&c.process, then[i % 3]);
      if (r < 0) CHECK_ERR(r, COVEY_ENOTFOUND);
    }
    child_finish(&c);
  }
}

TEST(signal, ends_by_the_one_that_was_sent)
{
  if (test_is_windows()) TEST_SKIP("no signals");
  static const int sent[] = {CVOS_SIGNAL_TERM, CVOS_SIGNAL_HUP, CVOS_SIGNAL_USR1, CVOS_SIGNAL_RAW + 12,
                             CVOS_SIGNAL_INT};
  static const int seen[] = {CVOS_SIGNAL_TERM, CVOS_SIGNAL_HUP, CVOS_SIGNAL_USR1, CVOS_SIGNAL_USR2,
                             CVOS_SIGNAL_INT};
  for (int i = 0; i < 5; i++) {
    child c;
    child_start(&c, NULL, TEST_WORDS("hang"));
    child_says(&c, "ready");
    CHECK_OK(cvos_signal_send(&c.process, sent[i]));
    child_finish(&c);
    CHECK_INT(c.status.how, CVOS_END_SIGNALLED);
    CHECK_INT(c.status.signal, seen[i]);
  }
}

TEST(signal, stops_and_continues)
{
  child c;
  cvos_status status;
  child_start(&c, NULL, TEST_WORDS("sleep", "300"));
  CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_STOP));
  CHECK_ERR(cvos_process_wait(&c.process, 1000), COVEY_ETIMEDOUT);
  CHECK_ERR(cvos_process_note(&c.process, &status), COVEY_EAGAIN);
  CHECK_OK(cvos_signal_send(&c.process, CVOS_SIGNAL_CONT));
  child_finish(&c);
  CHECK_INT(c.status.how, CVOS_END_EXITED);
}

TEST(signal, refuses_what_is_none)
{
  child c;
  child_start(&c, NULL, TEST_WORDS("hang"));
  CHECK_ERR(cvos_signal_send(&c.process, 0), COVEY_EINVAL);
  CHECK_ERR(cvos_signal_send(&c.process, -3), COVEY_EINVAL);
  if (test_is_windows())
    CHECK_ERR(cvos_signal_send(&c.process, CVOS_SIGNAL_USR1), COVEY_ENOTSUP);
  else
    CHECK_ERR(cvos_signal_send(&c.process, 999), COVEY_EINVAL);
  CHECK_OK(cvos_tree_kill(c.tree));
  child_finish(&c);
}

/* Whatever our own dispositions, mask and reaping are, a child starts with none of it, and its end is noticed. */
TEST(signal, children_start_clean)
{
  if (test_is_windows()) TEST_SKIP("no signals");
  child c;
  child_start(&c, NULL, TEST_WORDS("hostile-signals"));
  child_finish(&c);
  const char *out = test_read_file(c.output, NULL);
  REQUIRE(out != NULL);
  CHECK_INT(c.status.how, CVOS_END_EXITED);
  CHECK_UINT(c.status.code, 0);
  CHECK(strstr(out, "blocked:\nignored:\n") != NULL);
  CHECK(strstr(out, "how ") != NULL);
  if (test_failures()) test_log("%s", out);
}
