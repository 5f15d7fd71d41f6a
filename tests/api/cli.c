/* The tool, as a user of a shell sees it. */
#include "support/test.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>

enum { PATIENCE = 30000, WORDS = 12 };

/* Runs "covey WORD..." with input (may be NULL) and captures both streams. */
static void tool(covey_result *ret, const char *input, const char *const *words)
{
  const char *argv[WORDS] = {test_program_beside("covey")};
  for (size_t i = 0; words[i]; i++) argv[i + 1] = words[i];
  covey_process_options options = {.argv = argv,
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE,
                                   .input = input,
                                   .input_size = input ? strlen(input) : 0,
                                   .timeout = PATIENCE};
  memset(ret, 0, sizeof *ret);
  REQUIRE_OK(covey_run(&options, ret));
  CHECK_INT(ret->exit.why, COVEY_WHY_SELF);
}

#define TOOL(ret, input, ...) tool((ret), (input), (const char *const[]){__VA_ARGS__, NULL})

static void code_of(uint32_t code, const char *const *words)
{
  covey_result r;
  tool(&r, NULL, words);
  CHECK_UINT(r.exit.code, code);
  if (code) CHECK(r.err_size > 0); /* it says why */
  covey_result_free(&r);
}

#define CODE(code, ...) code_of((code), (const char *const[]){__VA_ARGS__, NULL})

TEST(cli, helps_and_tells_its_version)
{
  covey_result r;
  TOOL(&r, NULL, "--version");
  CHECK_UINT(r.exit.code, 0);
  CHECK(strncmp(r.out, "covey ", 6) == 0);
  covey_result_free(&r);
  TOOL(&r, NULL, "--help");
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, "receive") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--help");
  CHECK(strstr(r.out, "--timeout") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "help", "run");
  CHECK(strstr(r.out, "--timeout") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "-h");
  CHECK_UINT(r.exit.code, 0);
  covey_result_free(&r);
}

/* What the library calls on Windows: it answers on every system. */
TEST(cli, asks_a_console)
{
  CODE(2, "--ask");
  CODE(2, "--ask", "x");
  CODE(2, "--ask", "1", "2");
  CODE(1, "--ask", "2147483647"); /* no process has it */
}

TEST(cli, run_returns_what_the_program_returns)
{
  covey_result r;
  CODE(0, "run", test_helper(), "nothing");
  TOOL(&r, NULL, "run", "--", test_helper(), "exit", "42");
  CHECK_UINT(r.exit.code, 42);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", test_helper(), "say", "one two");
  CHECK(strncmp(r.out, "one two", 7) == 0);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--env", "COVEY_CLI=yes", test_helper(), "env", "COVEY_CLI");
  CHECK(strstr(r.out, "yes") != NULL);
  covey_result_free(&r);
  TOOL(&r, "abc", "run", "--stdin", test_helper(), "cat");
  CHECK_STR(r.out, "abc");
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--cwd", "covey-no-such-folder", test_helper(), "nothing");
  CHECK_UINT(r.exit.code, 125);
  CHECK(strstr(r.err, "covey run: working directory covey-no-such-folder: not found") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--timeout", "300", "--grace", "100", test_helper(), "ignore");
  CHECK_UINT(r.exit.code, 124);
  CHECK(strstr(r.err, "stopped after 300 ms") != NULL);
  covey_result_free(&r);
}

/* How it ended and what it wrote, as an object. */
TEST(cli, run_tells_the_outcome)
{
  covey_result r;
  TOOL(&r, "a\"b\xff\n", "run", "--json", "--stdin", test_helper(), "cat");
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, "{\"how\": \"exited\", \"why\": \"self\", \"code\": 0, ") == r.out);
  CHECK(strstr(r.out,
               "\"out_size\": 5, \"out_dropped\": 0, \"out_gap\": 0, \"out\": \"a\\\"b\\ufffd\\u000a\"") !=
        NULL);
  CHECK(strstr(r.out, "\"err\": \"\"}") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--json", "--keep", "4", test_helper(), "say", "abcdef");
  CHECK(strstr(r.out, "\"out_size\": 4, \"out_dropped\": 3, \"out_gap\": 2, \"out\": \"abf\\u000a\"") !=
        NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--json", test_helper(), "exit", "5");
  CHECK_UINT(r.exit.code, 5);
  CHECK(strstr(r.out, "\"code\": 5, ") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--json", "--timeout", "300", "--grace", "50", test_helper(), "ignore");
  CHECK_UINT(r.exit.code, 124);
  CHECK(strstr(r.out, "\"why\": \"timeout\"") != NULL);
  covey_result_free(&r);
}

TEST(cli, run_stops_the_silent)
{
  covey_result r;
  TOOL(&r, NULL, "run", "--idle", "1000", "--grace", "50", test_helper(), "ignore");
  CHECK_UINT(r.exit.code, 124);
  CHECK_STR(r.out, "ready\n");
  CHECK(strstr(r.err, "wrote nothing for 1000 ms") != NULL);
  covey_result_free(&r);
  TOOL(&r, NULL, "run", "--idle", "20000", test_helper(), "both", "300000", "1000");
  CHECK_UINT(r.exit.code, 0);
  CHECK_UINT(r.out_size, 300000);
  CHECK(test_is_pattern(r.out, r.out_size, 0));
  CHECK_UINT(r.err_size, 1000);
  covey_result_free(&r);
}

static void run_signalled(const char *behaviour, int signal, uint32_t code)
{
  const char *argv[] = {test_program_beside("covey"), "run", test_helper(), behaviour, NULL};
  covey_process *p = NULL;
  covey_exit end;
  char text[8] = "";
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE}, &p));
  for (size_t n = 0; n < 6; n++) REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, text + n, 1) == 1);
  CHECK_STR(text, "ready\n");
  REQUIRE_OK(covey_process_signal(p, signal, COVEY_TARGET_LEADER));
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &end));
  CHECK_INT(end.how, COVEY_HOW_EXITED);
  CHECK_UINT(end.code, code);
  covey_process_close(p);
}

TEST(cli, run_sends_signals_on)
{
  if (test_is_windows()) TEST_SKIP("no signals; wine does not deliver CTRL_BREAK");
  run_signalled("stop", COVEY_SIGNAL_TERM, 7); /* the program's own answer */
  run_signalled("hang", COVEY_SIGNAL_TERM, 143);
  run_signalled("hang", COVEY_SIGNAL_INT, 130);
  run_signalled("hang", COVEY_SIGNAL_HUP, 129);
}

TEST(cli, quotes_and_splits)
{
  covey_result r;
  TOOL(&r, NULL, "quote", "sh", "a b", "it's");
  CHECK(strncmp(r.out, "'a b' 'it'\\''s'", 15) == 0);
  covey_result_free(&r);
  TOOL(&r, NULL, "quote", "sh", "--split", "'a b' c");
  CHECK(strncmp(r.out, "a b\n", 4) == 0 || strncmp(r.out, "a b\r\n", 5) == 0);
  covey_result_free(&r);
}

/* What the tool says of words that make no sense: the exit code, and a part of the one line on stderr. */
TEST_LIMIT(cli, wrong_words, 120)
{
  static const struct {
    uint32_t code;
    const char *said;
    const char *words[6];
  } cases[] = {
      {2, "usage: covey COMMAND", {NULL}},
      {2, "no command \"dance\"", {"dance"}},
      {2, "no command \"--nope\"", {"--nope"}},
      {2, "no command \"dance\"", {"help", "dance"}},
      {2, "PROGRAM is missing", {"run"}},
      {2, "PROGRAM is missing", {"run", "--"}},
      {2, "PROGRAM is empty", {"run", ""}},
      {2, "no option -x", {"run", "-x", "y"}},
      {2, "no option --nonsense", {"run", "--nonsense", "y"}},
      {2, "--quiet takes no value", {"run", "--quiet=3", "y"}},
      {2, "--timeout needs a value", {"run", "--timeout"}},
      {2, "--idle is not for --quiet", {"run", "--idle", "5", "--quiet", "y"}},
      {2, "--keep is for --json", {"run", "--keep", "5", "y"}},
      {2, "--json takes no value", {"run", "--json=x", "y"}},
      {2, "from 1 on, not \"soon\"", {"run", "--timeout", "soon", "y"}},
      {2, "from 1 on, not \"\"", {"run", "--timeout=", "y"}},
      {2, "from 1 on, not \"0\"", {"run", "--timeout", "0", "y"}},
      {2, "from 1 on, not \"-5\"", {"run", "--timeout=-5", "y"}},
      {2, "from 1 on, not \"1e3\"", {"run", "--grace", "1e3", "y"}},
      {2, "99999999999999999999 is too large", {"run", "--timeout", "99999999999999999999", "y"}},
      {2, "--env needs a value", {"run", "--env"}},
      {2, "no name in \"=\"", {"run", "--env", "=", "y"}},
      {2, "invalid argument: cwd", {"run", "--cwd", "", "y"}},
      {127, "program covey-no-such-program: not found", {"run", "covey-no-such-program"}},
      {127, "program -x: not found", {"run", "--", "-x"}},
      {2, "the one command line is missing", {"run", "--shell"}},
      {2, "the one command line is missing", {"run", "--shell", "a", "b"}},
      {2, "PID or NAME is missing", {"send"}},
      {2, "no option -5", {"send", "-5", "x"}},
      {2, "no process has the number 0", {"send", "0", "x"}},
      {2, "no process has the number 99999999999999999999", {"send", "99999999999999999999", "x"}},
      {2, "name has no character", {"send", "", "x"}},
      {2, "name \"a b\" (offset 1)", {"send", "a b", "x"}},
      {2, "no character", {"send", "--group", "", "1", "x"}},
      {2, "--consumed takes no value", {"send", "--consumed=no", "1", "x"}},
      {1, "process 2147483632: no such process", {"send", "2147483632", "x"}},
      {1, "node covey-nobody: it has no node", {"send", "--timeout", "200", "covey-nobody", "x"}},
      {2, "\"extra\" is no option", {"receive", "extra"}},
      {2, "from 1 on, not \"0\"", {"receive", "--count", "0"}},
      {2, "--name needs a value", {"receive", "--name"}},
      {2, "name \"a/b\" (offset 1)", {"receive", "--name", "a/b"}},
      {2, "no character", {"receive", "--group", ""}},
      {124, "no message for 100 ms", {"receive", "--timeout", "100"}},
      {2, "no process has the number 0", {"kill", "0"}},
      {2, "no process has the number 99999999999999999999", {"kill", "99999999999999999999"}},
      {2, "no option -9", {"kill", "-9", "2147483632"}},
      {2, "invalid argument: name", {"which", ""}},
      {2, "DIALECT is missing", {"quote"}},
      {2, "no dialect \"klingon\"", {"quote", "klingon", "x"}},
      {2, "a WORD is missing", {"quote", "sh"}},
      {2, "the one line to split is missing", {"quote", "sh", "--split"}},
      {2, "the one line to split is missing", {"quote", "sh", "--split", "a", "b"}},
      {1, "unmatched single quote (offset 2)", {"quote", "sh", "--split", "it's"}},
      {1, "splitting in this dialect", {"quote", "cmd", "--split", "x"}},
      {1, "(offset 1)", {"quote", "cmd", "x", "a\nb"}},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    covey_result r;
    tool(&r, NULL, cases[i].words);
    if (r.exit.code != cases[i].code || !strstr(r.err, cases[i].said) || r.out_size)
      TEST_FAIL("case %u: code %u, \"%s\", %u bytes of output", (unsigned)i, (unsigned)r.exit.code, r.err,
                (unsigned)r.out_size);
    covey_result_free(&r);
  }
}

/* Streams that are closed or full are told, once, with what the system says of them. */
TEST(cli, streams_that_do_not_work)
{
  static const struct {
    const char *command, *said;
    uint32_t code;
  } cases[] = {{"send 2147483632 <&-", "standard input: ", 1},
               {"send 2147483632 </", "standard input: ", 1},
               {"quote sh x >&-", "standard output: ", 1},
               {"quote sh x >/dev/full", "standard output: ", 1},
               {"--help >/dev/full", "standard output: ", 1},
               {"run true <&- >&- 2>&-", "", 0},
               {"run --stdin cat <&-", "", 0}};

  if (test_is_windows()) TEST_SKIP("a shell of POSIX closes them");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    covey_result r;
    const char *command = test_format("'%s' %s", test_program_beside("covey"), cases[i].command);
    if (strstr(command, "/dev/full") && !test_file_exists("/dev/full")) continue;
    REQUIRE_OK(covey_run(&(covey_process_options){.command = command,
                                                  .out.kind = COVEY_STDIO_CAPTURE,
                                                  .err.kind = COVEY_STDIO_CAPTURE,
                                                  .timeout = PATIENCE},
                         &r));
    const char *first = strstr(r.err, cases[i].said);
    if (r.exit.code != cases[i].code || !first || (cases[i].said[0] && strstr(first + 1, cases[i].said)))
      TEST_FAIL("%s: code %u, \"%s\"", cases[i].command, (unsigned)r.exit.code, r.err);
    covey_result_free(&r);
  }
}

/* Both ways: we receive what the tool sends, it prints what we send. */
TEST(cli, sends_and_receives)
{
  covey_result r;
  covey_message m;
  const char *self = test_format("%" PRId64, test_pid());
  REQUIRE_OK(covey_group_open(NULL, "cli", NULL));
  TOOL(&r, NULL, "send", "--group", "cli", self, "hello", "world");
  CHECK_UINT(r.exit.code, 0);
  covey_result_free(&r);
  REQUIRE_OK(covey_receive(NULL, "cli", PATIENCE, &m));
  CHECK_STR(m.data, "hello world");
  covey_message_free(&m);
  TOOL(&r, "from input\r\n", "send", self);
  CHECK_UINT(r.exit.code, 0);
  covey_result_free(&r);
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "from input\r\n"); /* bytes, not lines */
  covey_message_free(&m);

  const char *const argv[] = {
      test_program_beside("covey"), "receive", "--count", "2", "--from", "--timeout", "30000", NULL};
  covey_process *p;
  REQUIRE_OK(covey_spawn(
      &(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_CAPTURE, .err.kind = COVEY_STDIO_NULL},
      &p));
  CHECK_OK(covey_send(NULL, covey_process_pid(p), NULL, "one", 3, PATIENCE));
  CHECK_OK(covey_send(NULL, covey_process_pid(p), NULL, "two", 3, PATIENCE));
  covey_exit end;
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &end));
  CHECK_UINT(end.code, 0);
  char text[200] = "";
  int got = covey_process_read(p, COVEY_STDOUT, PATIENCE, text, sizeof text - 1);
  CHECK(got > 0);
  CHECK_STR(text, test_format("%s one\n%s two\n", self, self));
  covey_process_close(p);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

/* Any bytes, and none, arrive as they were. */
TEST(cli, bytes_are_bytes)
{
  static char data[70000];
  size_t sizes[] = {0, 1, sizeof data};
  covey_message m;

  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
  REQUIRE_OK(covey_node_open(NULL, &(covey_node *){NULL}));
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const char *self = test_format("%" PRId64, test_pid());
    covey_process_options options = {.argv = TEST_WORDS(test_program_beside("covey"), "send", self),
                                     .input = data,
                                     .input_size = sizes[i],
                                     .timeout = PATIENCE};
    covey_result r;
    REQUIRE_OK(covey_run(&options, &r));
    CHECK(COVEY_EXIT_OK(&r.exit));
    covey_result_free(&r);
    REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
    CHECK_UINT(m.size, sizes[i]);
    CHECK_MEM(m.data, data, sizes[i]);
    covey_message_free(&m);
  }
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

/* ---- finding processes ---- */

/* A child that hangs, with mark as its last word. */
static covey_process *hanging(const char *mark)
{
  const char *const argv[] = {test_helper(), "hang", mark, NULL};
  covey_process *p;
  char c = 0;
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE}, &p));
  while (c != '\n') REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, &c, 1) == 1);
  return p;
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

TEST(cli, which_prints_what_would_be_started)
{
  covey_result r;
  const char *name = test_is_windows() ? "cmd" : "sh";
  TOOL(&r, NULL, "which", name);
  CHECK_UINT(r.exit.code, 0);
  CHECK(strchr(r.out, test_is_windows() ? '\\' : '/') && strstr(r.out, name));
  covey_result_free(&r);
  TOOL(&r, NULL, "which", "covey-no-such-program", name);
  CHECK_UINT(r.exit.code, 1);
  CHECK(strstr(r.out, name) && strstr(r.err, "covey-no-such-program"));
  covey_result_free(&r);
  CODE(2, "which");
  CODE(2, "which", "--all", "sh");
}
