/* The tool, as a user of a shell sees it. */
#include "tool.h"

#include "support/test.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>

enum { PATIENCE = 30000 };

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
