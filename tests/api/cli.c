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
  CODE(2, "dance");
  CODE(2, "run");
  CODE(2, "run", "--timeout", "soon", "x");
  CODE(2, "run", "--nonsense", "x");
  CODE(2, "send");
  CODE(2, "receive", "--count", "0");
  CODE(2, "quote");
  CODE(2, "quote", "klingon", "x");
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
  CODE(127, "run", "covey-no-such-program");
  CODE(125, "run", "--cwd", "covey-no-such-folder", test_helper(), "nothing");
  TOOL(&r, NULL, "run", "--timeout", "300", "--grace", "100", test_helper(), "ignore");
  CHECK_UINT(r.exit.code, 124);
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
  CODE(1, "quote", "cmd", "x", "a\nb");
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
  CODE(1, "send", "--timeout", "200", "covey-nobody-has-this-name", "x");

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
