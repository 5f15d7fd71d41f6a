/* A child on a terminal of its own. */
#include "screen.h"

#include "core/fault.h"
#include "core/mem.h"
#include "os/process.h"

TEST(pty, child_sees_a_terminal)
{
  static screen s;

  screen_needed();
  test_no_child_handles_lost();
  covey_process *p = screen_spawn(TEST_HELPER("tty"), (covey_pty){0});
  screen_reads_to_end(p, &s);
  CHECK(strstr(s.text, "terminal 1 1 1") != NULL);
  CHECK(strstr(s.text, "size 24 80") != NULL);
  if (!test_is_windows()) CHECK(strstr(s.text, "echo 0") != NULL);
  CHECK(strstr(s.text, "own 1") != NULL);
  screen_ends_cleanly(p);
}

/* What is typed there interrupts it, also where we ignore the interrupts of our own terminal: a supervised program does so on Windows. */
TEST(pty, hears_interrupts_that_we_ignore)
{
  covey_result r;

  screen_needed();
  for (int how = 0; how < 3; how++) {
    static screen s;

    memset(&s, 0, sizeof s);
    test_ignore_interrupts(how > 0);
    covey_process *p = how < 2 ? screen_spawn(TEST_HELPER("tty"), (covey_pty){0}) : NULL;
    if (p) {
      screen_reads_to_end(p, &s);
      CHECK(strstr(s.text, "hears 1") != NULL);
      screen_ends_cleanly(p);
    } else { /* and ours stay ignored, as a child of our own terminal tells */
      REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("hears"),
                                                    .out.kind = COVEY_STDIO_CAPTURE,
                                                    .scope = COVEY_SCOPE_SHARED},
                           &r));
      CHECK_STR(r.out, test_is_windows() ? "0\n" : "1\n");
      covey_result_free(&r);
    }
  }
  test_ignore_interrupts(false);
}

/* Whichever way the system starts it. */
TEST(pty, every_way_to_start)
{
  screen_needed();
  test_no_child_handles_lost();
  for (int way = CVOS_PATH_CLONE3; way <= CVOS_PATH_SPAWN; way++) {
    static screen s;
    covey_process *p;

    if (cvos_process_force_path(way) < 0) continue;
    memset(&s, 0, sizeof s);
    p = screen_spawn(TEST_HELPER("tty"), (covey_pty){0});
    screen_reads_to_end(p, &s);
    CHECK(strstr(s.text, "terminal 1 1 1") != NULL);
    CHECK(strstr(s.text, "own 1") != NULL);
    screen_ends_cleanly(p);
  }
  CHECK_OK(cvos_process_force_path(CVOS_PATH_BEST));
}

/* Nothing of one terminal is open in the child on it, nor in another child. */
TEST(pty, nothing_of_it_is_inherited)
{
  covey_process_options o = {
      .argv = TEST_HELPER("handles"), .flags = COVEY_PROCESS_PTY, .timeout = TEST_SOON};
  covey_result r;
  static screen s;

  screen_needed();
  if (test_is_windows()) TEST_SKIP("handles have no small numbers that could be listed");
  covey_process *p = screen_spawn(TEST_HELPER("tty-hang"), (covey_pty){0});
  CHECK(screen_waits_for(p, &s, "ready"));
  REQUIRE_OK(covey_run(&o, &r));
  CHECK_STR(r.out, "");
  covey_result_free(&r);
  o = (covey_process_options){
      .argv = TEST_HELPER("handles"), .out.kind = COVEY_STDIO_CAPTURE, .timeout = TEST_SOON};
  REQUIRE_OK(covey_run(&o, &r));
  CHECK_STR(r.out, "");
  covey_result_free(&r);
  covey_process_close(p);
}

TEST(pty, none_to_resize)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("nothing")}, &p));
  CHECK_ERR(covey_process_resize(p, 24, 80), COVEY_EINVAL);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_PTY);
  covey_process_close(p);
}

TEST(pty, size_and_echo_as_asked)
{
  static screen s;

  screen_needed();
  covey_process *p =
      screen_spawn(TEST_HELPER("tty"), (covey_pty){.rows = 7, .columns = 133, .flags = COVEY_PTY_ECHO});
  screen_reads_to_end(p, &s);
  CHECK(strstr(s.text, "size 7 133") != NULL);
  CHECK(strstr(s.text, "echo 1") != NULL);
  screen_ends_cleanly(p);
}

TEST(pty, resize_is_told)
{
  static screen s;
  int r;

  screen_needed();
  test_no_child_handles_lost();
  covey_process *p = screen_spawn(TEST_HELPER("tty-watch"), (covey_pty){.rows = 10, .columns = 40});
  CHECK(screen_waits_for(p, &s, "size 10 40"));
  r = covey_process_resize(p, 20, 100);
  if (r == COVEY_ENOTSUP && test_is_wine()) {
    CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_PTY);
    covey_process_close(p);
    TEST_SKIP("wine has no ResizePseudoConsole");
  }
  CHECK_OK(r);
  CHECK(screen_waits_for(p, &s, "size 20 100"));
  CHECK_OK(covey_process_resize(p, 1, 1));
  if (!test_is_windows()) CHECK(screen_waits_for(p, &s, "size 1 1\n"));
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  screen_reads_to_end(p, &s);
  CHECK_ERR(covey_process_resize(p, 20, 100), COVEY_ECLOSED);
  covey_process_close(p);
}

TEST(pty, lines_there_and_back)
{
  static screen s;

  screen_needed();
  covey_process *p = screen_spawn(TEST_HELPER("tty-lines"), (covey_pty){0});
  CHECK(screen_waits_for(p, &s, "ready"));
  CHECK_INT(covey_process_write(p, "hello\r", 6, TEST_SOON), 6);
  CHECK(screen_waits_for(p, &s, "[5]hello"));
  CHECK_INT(covey_process_write(p, "again\r", 6, TEST_SOON), 6);
  CHECK(screen_waits_for(p, &s, "[5]again"));
  if (!test_is_windows()) { /* nothing was echoed */
    const char *first = strstr(s.text, "hello");
    CHECK(first && !strstr(first + 1, "hello"));
  }
  CHECK_OK(covey_process_close_input(p));
  CHECK_OK(covey_process_close_input(p));
  if (test_is_wine()) {
    covey_process_close(p);
    TEST_SKIP("wine's console does not take ctrl-Z for the end of its input");
  }
  CHECK(screen_waits_for(p, &s, "end"));
  CHECK_ERR(covey_process_write(p, "x", 1, TEST_SOON), COVEY_ECLOSED);
  screen_reads_to_end(p, &s);
  screen_ends_cleanly(p);
}

TEST(pty, input_ends_in_the_middle_of_a_line)
{
  covey_process_options o = {.argv = TEST_HELPER("tty-lines"),
                             .input = "one\rtwo",
                             .input_size = 7,
                             .flags = COVEY_PROCESS_PTY,
                             .timeout = TEST_SOON};
  covey_result r;

  screen_needed();
  if (test_is_wine()) TEST_SKIP("wine's console does not take ctrl-Z for the end of its input");
  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&o, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK(strstr(r.out, "[3]one") != NULL);
  CHECK(strstr(r.out, "[3]two") != NULL);
  CHECK(strstr(r.out, "end") != NULL);
  CHECK_UINT(r.err_size, 0);
  covey_result_free(&r);
}

TEST(pty, run_without_input_ends_it_at_once)
{
  covey_process_options o = {
      .argv = TEST_HELPER("tty-lines"), .flags = COVEY_PROCESS_PTY, .timeout = TEST_SOON};
  covey_result r;

  screen_needed();
  if (test_is_wine()) TEST_SKIP("wine's console does not take ctrl-Z for the end of its input");
  REQUIRE_OK(covey_run(&o, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK(strstr(r.out, "end") != NULL);
  covey_result_free(&r);
}

/* As much input as no terminal holds: it waits for room, and the end comes behind it. */
TEST(pty, a_long_input)
{
  size_t size = (size_t)300 << 10;
  char *input = malloc(size);
  covey_process_options o = {.argv = TEST_HELPER("tty-lines"),
                             .input = input,
                             .input_size = size,
                             .flags = COVEY_PROCESS_PTY,
                             .timeout = TEST_SOON};
  covey_result r;
  size_t lines = 0;

  screen_needed();
  if (test_is_wine()) TEST_SKIP("wine's console does not take ctrl-Z for the end of its input");
  for (size_t i = 0; i < size; i++) input[i] = i % 128 == 127 ? '\r' : 'x';
  REQUIRE_OK(covey_run(&o, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  for (const char *at = r.out; (at = strstr(at, "[127]")); at++) lines++;
  if (!test_is_windows()) CHECK_UINT(lines, size / 128);
  CHECK(strstr(r.out, "end") != NULL);
  covey_result_free(&r);
  free(input);
}

/* More than a megabyte, and the child ends behind its last write. */
TEST_LIMIT(pty, last_output_is_not_lost, 120)
{
  enum { LINES = 40000, LINE = 31 };
  covey_process_options o = {
      .argv = TEST_HELPER("tty-out", "40000"), .flags = COVEY_PROCESS_PTY, .timeout = 100000};
  covey_result r;

  screen_needed();
  if (test_is_wine()) o.argv = TEST_HELPER("tty-out", "200"); /* its console draws every line anew */
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_run(&o, &r));
    CHECK(COVEY_EXIT_OK(&r.exit));
    CHECK_UINT(r.flags, 0);
    if (!test_is_windows()) {
      char want[64];

      CHECK_UINT(r.out_size, LINES * LINE);
      for (size_t k = 0; k < LINES && r.out_size == LINES * LINE; k += 37) {
        (void)snprintf(want, sizeof want, "line %07u of a long output\r\n", (unsigned)k);
        CHECK_MEM(r.out + k * LINE, want, LINE);
      }
    } else {
      CHECK(strstr(r.out, test_is_wine() ? "line 0000199" : "line 0039999") != NULL);
    }
    covey_result_free(&r);
  }
}

/* However long the drain may last: the end of the output does not wait for it. */
TEST(pty, drain_without_an_end)
{
  covey_process_options o = {.argv = TEST_HELPER("tty"),
                             .flags = COVEY_PROCESS_PTY,
                             .drain = COVEY_FOREVER,
                             .drain_max = COVEY_FOREVER,
                             .timeout = TEST_SOON};
  covey_result r;

  screen_needed();
  REQUIRE_OK(covey_run(&o, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK(strstr(r.out, "own 1") != NULL);
  covey_result_free(&r);
}

TEST(pty, capture_is_bounded)
{
  covey_process_options o = {.argv = TEST_HELPER("tty-out", "40000"),
                             .flags = COVEY_PROCESS_PTY,
                             .out.kind = COVEY_STDIO_CAPTURE,
                             .capture_max = 1000,
                             .timeout = TEST_SOON,
                             .grace = 1};
  covey_result r;

  screen_needed();
  if (test_is_wine()) o.argv = TEST_HELPER("tty-out", "200");
  REQUIRE_OK(covey_run(&o, &r));
  CHECK_INT(r.failure.code, COVEY_ETOOBIG);
  CHECK_INT(r.failure.index, COVEY_STDOUT);
  CHECK_UINT(r.out_size, 1000);
  covey_result_free(&r);
}

TEST(pty, line_by_line)
{
  covey_process_options o = {
      .argv = TEST_HELPER("tty-out", "20"), .flags = COVEY_PROCESS_PTY, .out.kind = COVEY_STDIO_LINES};
  covey_line line;
  covey_process *p = NULL;
  int seen = 0;

  screen_needed();
  REQUIRE_OK(covey_spawn(&o, &p));
  while (covey_process_read_line(p, TEST_SOON, &line) > 0) {
    if (!test_is_windows()) {
      CHECK_INT(line.flags, COVEY_LINE_CRLF);
      CHECK_UINT(line.size, 29);
      CHECK_MEM(line.data, test_format("line %07d of a long output", seen), 29);
    }
    seen++;
  }
  CHECK(test_is_windows() ? seen > 0 : seen == 20);
  screen_ends_cleanly(p);
}

TEST(pty, silence_is_a_time_out)
{
  covey_process_options o = {
      .argv = TEST_HELPER("tty-hang"), .flags = COVEY_PROCESS_PTY, .idle = 500, .timeout = TEST_SOON};
  covey_result r;

  screen_needed();
  REQUIRE_OK(covey_run(&o, &r));
  CHECK_INT(r.exit.why, COVEY_WHY_IDLE);
  CHECK(test_is_windows() || r.exit.signal == COVEY_SIGNAL_TERM);
  covey_result_free(&r);
}

TEST(pty, stop_asks)
{
  static screen s;
  covey_exit e;

  screen_needed();
  covey_process *p = screen_spawn(TEST_HELPER("tty-hang"), (covey_pty){0});
  CHECK(screen_waits_for(p, &s, "ready"));
  CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_STOP);
  covey_process_close(p);
}

/* The close of the handle never hangs, and ends what runs there; read or not. */
TEST(pty, close_with_a_running_child)
{
  static screen s;
  int64_t pid;

  screen_needed();
  test_no_child_handles_lost();
  covey_process *p = screen_spawn(TEST_HELPER("tty-hang"), (covey_pty){0});
  pid = covey_process_pid(p);
  CHECK(screen_waits_for(p, &s, "ready"));
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
  p = screen_spawn(TEST_HELPER("flood"), (covey_pty){0});
  pid = covey_process_pid(p);
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
}

/* A flood that nobody reads: killed, waited for, and closed, none of which waits for a reader. */
TEST(pty, kill_of_one_that_nobody_reads)
{
  covey_exit e;

  screen_needed();
  for (int leader = 0; leader < (test_is_wine() ? 1 : 2); leader++) {
    covey_process *p = screen_spawn(TEST_HELPER("flood"), (covey_pty){0});
    int r = covey_process_wait(p, 300, NULL); /* wine's console takes it all, and the child ends some time */
    if (!test_is_wine()) CHECK_ERR(r, COVEY_ETIMEDOUT);
    CHECK_OK(leader ? covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_LEADER)
                    : covey_process_kill(p));
    CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
    covey_process_close(p);
  }
}

/* The same by the ladder, whose last step is a kill: the request alone may not end it. */
TEST(pty, stop_of_one_that_nobody_reads)
{
  covey_exit e;

  screen_needed();
  covey_process *p = NULL;
  REQUIRE_OK(covey_spawn(
      &(covey_process_options){.argv = TEST_HELPER("flood"), .flags = COVEY_PROCESS_PTY, .grace = 500}, &p));
  int r = covey_process_wait(p, 300, NULL);
  if (test_is_wine()) {
    covey_process_close(p);
    TEST_SKIP("wine's console takes it all");
  }
  CHECK_ERR(r, COVEY_ETIMEDOUT);
  CHECK_OK(covey_process_stop(p, 500, &e));
  CHECK_INT(e.why, COVEY_WHY_STOP);
  covey_process_close(p);
}

TEST(pty, grandchild_that_holds_it)
{
  covey_process_options o = {.argv = TEST_HELPER("tty-hold", "100000"),
                             .flags = COVEY_PROCESS_PTY,
                             .drain = 50,
                             .timeout = TEST_SOON};
  covey_result r;
  int64_t pid;

  screen_needed();
  if (test_is_windows()) TEST_SKIP("a console ends with its close, whoever is on it");
  REQUIRE_OK(covey_run(&o, &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  if (test_terminal_outlives_its_leader()) CHECK(r.exit.pipe_held);
  pid = strtoll(r.out, NULL, 10);
  CHECK(pid > 1);
  /* it left the session, but not the tree; where that is a group and links, none leads to it any more */
  if (!(covey_caps() & COVEY_CAP_TREE_KERNEL)) test_process_kill(pid);
  CHECK(test_process_gone(pid, TEST_SOON));
  covey_result_free(&r);
}

/* The terminal goes with us: a child that is left alone is told. */
TEST(pty, detached_child_is_hung_up)
{
  static screen s;
  int64_t pid;

  screen_needed();
  covey_process *p = screen_spawn(TEST_HELPER("tty-hang"), (covey_pty){0});
  pid = covey_process_pid(p);
  CHECK(screen_waits_for(p, &s, "ready"));
  CHECK_OK(covey_process_detach(p));
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
}

TEST_LIMIT(pty, twenty_at_once, 120)
{
  covey_process *p[20];
  int count = test_is_wine() ? 6 : 20;

  screen_needed();
  test_no_child_handles_lost();
  for (int i = 0; i < count; i++)
    p[i] = screen_spawn(TEST_HELPER("tty"), (covey_pty){.rows = (uint16_t)(10 + i), .columns = 60});
  for (int i = count; i-- > 0;) {
    static screen s;

    memset(&s, 0, sizeof s);
    screen_reads_to_end(p[i], &s);
    CHECK(strstr(s.text, test_format("size %d 60", 10 + i)) != NULL);
    screen_ends_cleanly(p[i]);
  }
}

/* ---- failures ---- */

TEST(pty, missing_program)
{
  covey_process_options o = {.argv = TEST_WORDS("covey-no-such-program"), .flags = COVEY_PROCESS_PTY};
  covey_process *p = NULL;

  screen_needed();
  test_no_child_handles_lost();
  CHECK_ERR(covey_spawn(&o, &p), COVEY_ENOTFOUND);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_LOOKUP);
  o.argv = TEST_HELPER("nothing");
  o.cwd = test_format("%s/not-there", test_temp_dir());
  CHECK_ERR(covey_spawn(&o, &p), COVEY_ENOTFOUND);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_CWD);
}

/* Every call that makes the terminal, or makes it the child's, says so. */
TEST(pty, stage_of_a_failure)
{
  covey_process_options o = {.argv = TEST_HELPER("nothing"), .flags = COVEY_PROCESS_PTY};
  covey_process *p = NULL;
  int failed = 0;

  screen_needed();
  test_no_child_handles_lost();
  for (int64_t n = 1; n < 20; n++) {
    int64_t seen;
    int r;

    cvy_fault_after(CVOS_FAULT_PTY, n, test_is_windows() ? 5 : 13);
    r = covey_spawn(&o, &p);
    seen = cvy_fault_seen();
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r < 0) {
      failed++;
      CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_PTY);
    } else { /* another way was there */
      covey_process_close(p);
    }
    if (seen < n) break;
  }
  CHECK(failed >= 2);
}

TEST_LIMIT(pty, fault_walk, 300)
{
  covey_process_options o = {.argv = TEST_HELPER("tty"), .flags = COVEY_PROCESS_PTY};

  screen_needed();
  test_no_child_handles_lost();
  CHECK(test_walk_spawn(&o) > 5);
}

TEST(pty, allocations_that_fail)
{
  covey_process_options o = {.argv = TEST_HELPER("tty"), .flags = COVEY_PROCESS_PTY};
  covey_process *p = NULL;

  screen_needed();
  test_no_child_handles_lost();
  for (int64_t n = 1; n < 60; n++) {
    int r;

    cvy_mem_fail_after(n);
    r = covey_spawn(&o, &p);
    cvy_mem_fail_after(0);
    if (r < 0) {
      CHECK_ERR(r, COVEY_ENOMEM);
    } else {
      CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
      covey_process_close(p);
      break;
    }
  }
}
