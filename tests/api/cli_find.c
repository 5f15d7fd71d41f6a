/* covey ps and covey kill: what they find, print and end. */
#include "tool.h"

#include "support/test.h"

#include <covey/self.h>

enum { PATIENCE = 30000 };

/* A child that hangs, with mark as its last word. */
static covey_process *hanging(const char *mark)
{
  const char *const argv[] = {test_helper(), "hang", mark, NULL};
  return test_hanging(&(covey_process_options){.argv = argv});
}

static void has_ended(covey_process *p)
{
  CHECK_OK(covey_process_wait(p, PATIENCE, NULL));
  covey_process_close(p);
}

TEST(cli, ps_lists_and_searches)
{
  const char *mark = test_format("mark-%" PRId64, test_pid()), *self = test_format("%" PRId64, test_pid());
  covey_process *p = hanging(mark);
  const char *pid = test_format("%" PRId64 " ", covey_process_pid(p));
  covey_result r;
  TOOL(&r, NULL, "ps");
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, "NAME") && strstr(r.out, pid) && !strstr(r.out, mark));
  covey_result_free(&r);
  TOOL(&r, NULL, "ps", mark, "--full");
  CHECK(strstr(r.out, pid) && strstr(r.out, mark));
  covey_result_free(&r);
  TOOL(&r, NULL, "ps", "--parent", self, "--ignore-case", "COVEY_TEST_HELPER");
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, pid) != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "ps", "--tree", self, "--literal", "--", mark);
  CHECK(strstr(r.out, pid) != NULL);
  covey_result_free(&r);
  CODE(1, "ps", "--pid", self, mark);
  CODE(1, "ps", "covey-nobody-has-this-name-(x|y)");
  CODE(1, "ps", "--user", "covey-nobody-has-this-name");
  CODE(1, "ps", "--tree", "2147483647");
  CODE(2, "ps", "--parent", "0");
  CODE(2, "ps", "--nonsense");
  CODE(2, "ps", "one", "two");
  CODE(2, "ps", "(");
  CODE(2, "ps", "--full=x");
  CODE(2, "ps", "--", "x", "--full");
  CHECK_OK(covey_process_kill(p));
  has_ended(p);
}

TEST(cli, ps_prints_nothing_that_steers_a_terminal)
{
  const char *mark =
      test_format("steer-%" PRId64 "\x1b[31m\n\"\xc2\x9b%s", test_pid(), test_is_windows() ? "" : "\xff");
  covey_process *p = hanging(mark);
  const char *pid = test_format("%" PRId64, covey_process_pid(p));
  covey_result r;
  TOOL(&r, NULL, "ps", "--full", "--pid", pid);
  CHECK(strstr(r.out, "\\x1b[31m\\n") && strstr(r.out, "\\xc2\\x9b") && !strchr(r.out, '\x1b'));
  CHECK(test_is_windows() || strstr(r.out, "\\xff"));
  covey_result_free(&r);
  TOOL(&r, NULL, "ps", "--json", "--full", "--pid", pid);
  CHECK(strncmp(r.out, test_format("{\"pid\": %s, \"parent\": %" PRId64 ", \"start\": ", pid, test_pid()),
                30) == 0);
  CHECK(strstr(r.out, "\\u001b[31m\\u000a\\\"") && !strchr(r.out, '\x1b') && strstr(r.out, "\"cwd\": \""));
  CHECK(test_is_windows() || strstr(r.out, "\\ufffd"));
  const char *end = strchr(r.out, '\n');
  CHECK(end && (size_t)(end + 1 - r.out) == r.out_size); /* one line */
  covey_result_free(&r);
  CHECK_OK(covey_process_kill(p));
  has_ended(p);
}

TEST(cli, kill_shows_asks_and_ends)
{
  const char *mark = test_format("kill-%" PRId64, test_pid());
  covey_process *p = hanging(mark), *q = hanging(mark);
  const char *pid = test_format("%" PRId64, covey_process_pid(p));
  covey_result r;
  TOOL(&r, NULL, "kill", "--dry-run", mark);
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, pid) && strstr(r.out, mark));
  covey_result_free(&r);
  TOOL(&r, "no\n", "kill", mark);
  CHECK_UINT(r.exit.code, 1);
  CHECK(strstr(r.out, mark) && strstr(r.err, "nothing was done"));
  covey_result_free(&r);
  CODE(1, "kill", mark); /* nobody answers */
  CHECK(test_process_alive(covey_process_pid(p)) && test_process_alive(covey_process_pid(q)));
  CODE(0, "kill", pid); /* a number is not asked about */
  has_ended(p);
  CHECK(test_process_alive(covey_process_pid(q)));
  TOOL(&r, "y\n", "kill", mark);
  CHECK_UINT(r.exit.code, 0);
  covey_result_free(&r);
  has_ended(q);
  CODE(1, "kill", "--yes", mark); /* nobody is left */
  CODE(1, "kill", "2147483646");
  CODE(2, "kill");
  CODE(2, "kill", "--yes=1", "1");
  CODE(2, "kill", "--dry-run", "(");
  CODE(2, "kill", "--signal", "WINK", "1");
  CODE(2, "kill", "--grace", "-1", "1");
}

/* Neither itself nor who started it, however it is called. */
TEST(cli, kill_spares_its_own)
{
  const char *self = test_format("%" PRId64, test_pid());
  covey_process *p = hanging("spare");
  CODE(1, "kill", "--yes", self);
  CODE(1, "kill", "--yes", "--tree", self);
  covey_result r;
  TOOL(&r, NULL, "kill", "--dry-run", "--grace", "1", ".");
  CHECK_UINT(r.exit.code, 0);
  const char *line = test_format("\n%7s ", self);
  CHECK(!strstr(r.out, line) && strncmp(r.out, line + 1, strlen(line + 1)) != 0);
  CHECK(strstr(r.out, test_format("%" PRId64 " ", covey_process_pid(p))) != NULL);
  covey_result_free(&r);
  CHECK(test_process_alive(covey_process_pid(p)));
  CHECK_OK(covey_process_kill(p));
  has_ended(p);
}

TEST(cli, kill_ends_trees_and_the_stubborn)
{
  const char *const tree[] = {test_helper(), "tree", "2", "1", NULL};
  covey_process *p;
  int64_t pids[3] = {0};
  char line[32];
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = tree, .out.kind = COVEY_STDIO_PIPE}, &p));
  for (size_t i = 0, n = 0; i < 3; n++) {
    REQUIRE(n < sizeof line && covey_process_read(p, COVEY_STDOUT, PATIENCE, line + n, 1) == 1);
    if (line[n] != '\n') continue;
    pids[i++] = strtoll(line, NULL, 10);
    n = SIZE_MAX;
  }
  CODE(0, "kill", "--tree", "--grace", "5000", test_format("%" PRId64, pids[0]));
  for (size_t i = 1; i < 3; i++) CHECK(test_process_gone(pids[i], PATIENCE));
  has_ended(p);

  const char *const ignore[] = {test_helper(), "ignore", NULL};
  covey_exit e;
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = ignore, .out.kind = COVEY_STDIO_PIPE}, &p));
  for (char c = 0; c != '\n';) REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, &c, 1) == 1);
  CODE(0, "kill", "--grace", "100", test_format("%" PRId64, covey_process_pid(p)));
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &e));
  CHECK_UINT(e.code, 137);
  covey_process_close(p);

  p = hanging("signal");
  CODE(0, "kill", "--signal", "SIGKILL", test_format("%" PRId64, covey_process_pid(p)));
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &e));
  CHECK_UINT(e.code, 137);
  covey_process_close(p);
}

/* As another user: what is kept from it is told field by field, and what it may not end it says. */

TEST(cli, tells_what_others_keep_to_themselves)
{
  static const char *const setpriv = "/usr/bin/setpriv";
  if (test_is_windows() || !test_file_exists(setpriv)) TEST_SKIP("no setpriv here");
  const char *const other[] = {
      setpriv, "--reuid=65534", "--clear-groups", test_program_beside("covey"), "--version", NULL};
  if (test_run(other, PATIENCE).code != 0) TEST_SKIP("not as root, or our folder is closed to others");
  covey_process *p = hanging("secret");
  const char *pid = test_format("%" PRId64, covey_process_pid(p));
  const char *const ps[] = {setpriv,  "--reuid=65534", "--clear-groups", other[3], "ps",
                            "--json", "--full",        "--pid",          pid,      NULL};
  test_ended e = test_run(ps, PATIENCE);
  CHECK_INT(e.code, 0);
  CHECK(strstr(e.output, "\"denied\": [\"exe\", \"cwd\"]") != NULL);
  CHECK(strstr(e.output, "secret") && strstr(e.output, "\"uid\": 0,"));
  const char *const kill[] = {setpriv, "--reuid=65534", "--clear-groups", other[3], "kill", pid, NULL};
  e = test_run(kill, PATIENCE);
  CHECK_INT(e.code, 1);
  CHECK(strstr(e.output, "permission denied") != NULL);
  CHECK(test_process_alive(covey_process_pid(p)));
  CHECK_OK(covey_process_kill(p));
  has_ended(p);
}
