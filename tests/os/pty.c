/* Pseudo-terminals, without a child. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/pty.h"

typedef struct terminal {
  cvos_pty *pty;
  cvos_handle in, out, theirs;
} terminal;

static int open_one(terminal *t, int rows, int columns, bool echo)
{
  return cvos_pty_open(rows, columns, echo, &t->pty, &t->in, &t->out, &t->theirs);
}

static void close_one(terminal *t)
{
  cvos_handle_close(t->theirs);
  cvos_handle_close(t->in);
  cvos_handle_close(t->out);
  cvos_pty_close(t->pty);
}

static void need_terminals(void)
{
  if (!cvos_pty_possible()) TEST_SKIP("this system has no pseudo-terminals");
}

TEST(os_pty, open_and_close)
{
  terminal t;

  need_terminals();
  REQUIRE_OK(open_one(&t, 24, 80, false)); /* what the system keeps from the first one on */
  close_one(&t);
  test_no_handles_lost();
  for (int i = 0; i < 5; i++) {
    REQUIRE_OK(open_one(&t, 1 + i * 50, 500 - i * 100, i & 1));
    CHECK(test_is_windows() ? t.theirs == CVOS_NONE : cvos_handle_is_terminal(t.theirs));
    close_one(&t);
  }
  if (!test_is_windows()) { /* there it would be a buffer of gigabytes */
    REQUIRE_OK(open_one(&t, CVOS_PTY_SIZE_MOST, CVOS_PTY_SIZE_MOST, true));
    close_one(&t);
  }
  cvos_pty_close(NULL);
}

TEST(os_pty, resize)
{
  terminal t;
  int r;

  need_terminals();
  REQUIRE_OK(open_one(&t, 24, 80, false));
  r = cvos_pty_resize(t.pty, 30, 90);
  close_one(&t);
  if (r == COVEY_ENOTSUP && test_is_wine()) TEST_SKIP("wine has no ResizePseudoConsole");
  CHECK_OK(r);
}

TEST(os_pty, end_of_input)
{
  char text[CVOS_PTY_ENDS_MOST];
  terminal t;

  need_terminals();
  REQUIRE_OK(open_one(&t, 24, 80, false));
  if (test_is_windows()) {
    REQUIRE(cvos_pty_end(t.pty, false, text) == 2);
    CHECK_MEM(text, "\x1a\r", 2);
    REQUIRE(cvos_pty_end(t.pty, true, text) == 3);
    CHECK_MEM(text, "\r\x1a\r", 3);
  } else {
    REQUIRE(cvos_pty_end(t.pty, false, text) == 1);
    CHECK_MEM(text, "\x04", 1);
    REQUIRE(cvos_pty_end(t.pty, true, text) == 2);
    CHECK_MEM(text, "\x04\x04", 2);
  }
  close_one(&t);
}

TEST(os_pty, each_call_that_fails)
{
  int failed = 0;
  terminal t;

  need_terminals();
  REQUIRE_OK(open_one(&t, 24, 80, false));
  close_one(&t);
  test_no_handles_lost();
  for (int64_t n = 1; n < 40; n++) {
    int64_t seen;
    int r;

    cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 24); /* no resources, no descriptors */
    r = open_one(&t, 24, 80, false);
    seen = cvy_fault_seen();
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r < 0)
      failed++;
    else
      close_one(&t);
    if (seen < n) break;
  }
  CHECK(failed >= 4);
}
