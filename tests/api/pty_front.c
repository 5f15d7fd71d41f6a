/* Our own terminal, which a child shares, or which the tool lends it: the program that has it is on one of ours. */
#include "screen.h"

static covey_process *sharing(const char *what, const char *behaviour)
{
  if (test_is_windows()) TEST_SKIP("a console has no foreground");
  return screen_spawn(TEST_HELPER("tty-share", what, behaviour), (covey_pty){0});
}

TEST(pty, foreground_is_given_and_comes_back)
{
  static screen s;
  covey_process *p = sharing("front", "tty-ask");

  CHECK(screen_waits_for(p, &s, "front 1"));
  CHECK_INT(covey_process_write(p, "a line\r", 7, TEST_SOON), 7);
  CHECK(screen_waits_for(p, &s, "got a line"));
  CHECK(screen_waits_for(p, &s, "ended 0 0 mine 1 echo 0"));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

/* Without it the child is stopped when it reads, and we are not. */
TEST(pty, background_reader_is_stopped)
{
  static screen s;
  covey_process *p = sharing("behind", "tty-ask");

  CHECK(screen_waits_for(p, &s, "front 0"));
  CHECK_INT(covey_process_write(p, "a line\r", 7, TEST_SOON), 7);
  CHECK(screen_waits_for(p, &s, "waits mine 1"));
  CHECK(screen_waits_for(p, &s, "ended 1 137 mine 1"));
  CHECK(strstr(s.text, "got") == NULL);
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

/* Ctrl-Z: the program has its terminal back; CONT gives it to the child again, which goes on reading. */
TEST(pty, suspended_child_gives_it_back)
{
  static screen s;
  covey_process *p = sharing("stop", "tty-ask");

  CHECK(screen_waits_for(p, &s, "front 1"));
  CHECK_INT(covey_process_write(p, "\x1a", 1, TEST_SOON), 1);
  CHECK(screen_waits_for(p, &s, "waits mine 1"));
  CHECK_INT(covey_process_write(p, "later\r", 6, TEST_SOON), 6);
  CHECK(screen_waits_for(p, &s, "got later"));
  CHECK(screen_waits_for(p, &s, "ended 0 0 mine 1"));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

/* What a shell does when it goes on with us goes on to the child. */
TEST(pty, continued_with_its_parent)
{
  static screen s;
  char data[512];
  int n = COVEY_ETIMEDOUT;
  covey_process *p = sharing("job", "tty-ask");

  CHECK(screen_waits_for(p, &s, "front 1"));
  CHECK_INT(covey_process_write(p, "\x1alater\r", 7, TEST_SOON), 7);
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 500, data, sizeof data), COVEY_ETIMEDOUT);
  for (int i = 0; i < 100 && n == COVEY_ETIMEDOUT; i++) {
    CHECK_OK(covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER));
    CHECK_INT(covey_process_write(p, "on\r", 3, TEST_SOON), 3);
    n = covey_process_read(p, COVEY_STDOUT, 300, data, sizeof data);
  }
  REQUIRE(n > 0);
  screen_show(&s, data, (size_t)n);
  CHECK(screen_waits_for(p, &s, "got "));
  CHECK(screen_waits_for(p, &s, "ended 0 0 mine 1"));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

/* The tool gives its terminal to the program that is to read from there. */
TEST(pty, tool_gives_its_foreground)
{
  static screen s;

  if (test_is_windows()) TEST_SKIP("a console has no foreground");
  covey_process *p =
      screen_spawn(TEST_WORDS(test_program_beside("covey"), "run", "--stdin", "--", test_helper(), "tty-ask"),
                   (covey_pty){0});
  CHECK(screen_waits_for(p, &s, "front 1"));
  CHECK_INT(covey_process_write(p, "a line\r", 7, TEST_SOON), 7);
  CHECK(screen_waits_for(p, &s, "got a line"));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

/* Ctrl-C ends the child alone. */
TEST(pty, interrupt_goes_to_the_foreground)
{
  static screen s;
  covey_process *p = sharing("front", "tty-ask");

  CHECK(screen_waits_for(p, &s, "front 1"));
  CHECK_INT(covey_process_write(p, "\x03", 1, TEST_SOON), 1);
  CHECK(screen_waits_for(p, &s, "ended 1 130 mine 1"));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

TEST(pty, settings_of_a_killed_child_are_undone)
{
  static screen s;
  covey_process *p = sharing("front", "tty-spoil");

  CHECK(screen_waits_for(p, &s, "ended 1 137 mine 1 echo 0"));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

TEST(pty, foreground_after_a_failed_start)
{
  static screen s;
  covey_process *p = sharing("missing", "");

  CHECK(screen_waits_for(p, &s, test_format("failed %d mine 1", COVEY_STAGE_CWD)));
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

/* Whoever has no terminal has none to give. */
TEST(pty, foreground_without_a_terminal)
{
  covey_process_options o = {
      .argv = TEST_HELPER("nothing"), .flags = COVEY_PROCESS_FOREGROUND, .timeout = TEST_SOON};
  covey_result r;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&o, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  covey_result_free(&r);
}

/* ---- a terminal of ours that the tool lends: covey run --pty --stdin ---- */

/* The tool on a terminal; where the system leaves its streams unset (wine), by a program that sets them. */
static covey_process *lent(const char *behaviour, covey_pty pty)
{
  const char *tool = test_program_beside("covey");
  if (test_is_wine())
    return screen_spawn(
        TEST_HELPER("tty-kept", "end", tool, "run", "--pty", "--stdin", "--", test_helper(), behaviour), pty);
  return screen_spawn(TEST_WORDS(tool, "run", "--pty", "--stdin", "--", test_helper(), behaviour), pty);
}

TEST(pty, tool_lends_its_terminal)
{
  static screen s;

  screen_needed();
  covey_process *p = lent("tty-ask", (covey_pty){0});
  CHECK(screen_waits_for(p, &s, "front"));
  CHECK_INT(covey_process_write(p, "begun-", 6, TEST_SOON), 6);
  CHECK(screen_waits_for(p, &s, "begun-")); /* as it is typed, not when the line is done */
  CHECK_INT(covey_process_write(p, "and-done\r", 9, TEST_SOON), 9);
  REQUIRE(screen_waits_for(p, &s, "got"));
  screen_reads_to_end(p, &s);
  CHECK(strstr(strstr(s.text, "got"), "begun-and-done") != NULL);
  screen_ends_cleanly(p);
}

TEST(pty, tool_passes_sizes_on)
{
  static screen s;

  screen_needed();
  if (test_is_wine()) TEST_SKIP("wine's consoles have one size");
  covey_process *p = lent("tty-watch", (covey_pty){.rows = 31, .columns = 91});
  CHECK(screen_waits_for(p, &s, "size 31 91"));
  CHECK_OK(covey_process_resize(p, 41, 121));
  CHECK(screen_waits_for(p, &s, "size 41 121"));
  covey_process_close(p);
}

/* What ends programs on a terminal is a key for the tool, and ends the program that it runs. */
TEST(pty, tool_takes_interrupts_as_keys)
{
  static screen s;
  covey_exit e;

  screen_needed();
  if (test_is_wine()) TEST_SKIP("wine's consoles make no CTRL_C of a key that a program types");
  covey_process *p = lent("tty-hang", (covey_pty){0});
  CHECK(screen_waits_for(p, &s, "ready"));
  CHECK_INT(covey_process_write(p, "\x03", 1, TEST_SOON), 1);
  screen_reads_to_end(p, &s);
  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.how, COVEY_HOW_EXITED);
  if (!test_is_windows()) CHECK_UINT(e.code, 130);
  covey_process_close(p);
}

/* However the tool ends, the terminal has the settings that it had. */
static void keeps(int signal, const char *behaviour, const char *ends)
{
  static screen s;
  const char *tool = test_program_beside("covey");

  memset(&s, 0, sizeof s);
  covey_process *p = screen_spawn(TEST_HELPER("tty-kept", signal ? test_format("%d", signal) : "end", tool,
                                              "run", "--pty", "--stdin", "--", test_helper(), behaviour),
                                  (covey_pty){.flags = COVEY_PTY_ECHO});
  CHECK(screen_waits_for(p, &s, "lent"));
  if (signal == COVEY_SIGNAL_STOP) CHECK(screen_waits_for(p, &s, "lent again"));
  if (!signal || signal == COVEY_SIGNAL_STOP) CHECK_INT(covey_process_write(p, "x\r", 2, TEST_SOON), 2);
  screen_reads_to_end(p, &s);
  if (!strstr(s.text, "kept 1") || !strstr(s.text, ends)) TEST_FAIL("signal %d: %s", signal, s.text);
  screen_ends_cleanly(p);
}

TEST(pty, tool_gives_its_terminal_back)
{
  screen_needed();
  keeps(0, "tty-ask", "how 0 code 0");
  if (test_is_windows()) return; /* nothing but an end of its own tells a Windows program to go */
  keeps(COVEY_SIGNAL_STOP, "tty-ask", "how 0 code 0");
  keeps(COVEY_SIGNAL_TERM, "tty-hang", "how 0 code 143");
  keeps(COVEY_SIGNAL_INT, "tty-hang", "how 0 code 130");
  keeps(COVEY_SIGNAL_HUP, "tty-hang", "how 0 code 129");
  keeps(COVEY_SIGNAL_USR1, "tty-hang", "how 1");
  keeps(COVEY_SIGNAL_ALRM, "tty-hang", "how 1");
}
