/* The programs of README.md do what is said there. */
#include "support/test.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/shell.h>

TEST(readme, processes)
{
  covey_process_options options = {.argv = TEST_WORDS(test_program_beside("covey_readme_processes")),
                                   .cwd = test_temp_dir(),
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE,
                                   .timeout = TEST_SOON};
  covey_result r;
  char *git = NULL;
  bool there = covey_which("git", NULL, &git) == 0;

  covey_free(git);
  REQUIRE_OK(covey_run(&options, &r));
  CHECK_UINT(r.exit.code, there ? 0 : 1);
  if (!there) CHECK(strstr(r.err, "git: not found") != NULL);
  covey_result_free(&r);
  options.env = TEST_WORDS("PATH="); /* nothing is found there */
  options.flags = 0;
  REQUIRE_OK(covey_run(&options, &r));
  CHECK_UINT(r.exit.code, 1);
  CHECK(strstr(r.err, "git: not found") != NULL);
  covey_result_free(&r);
}

/* Reads from the child until it has said so many lines. */
static const char *lines(covey_process *p, int count)
{
  static char text[500];
  size_t size = 0;

  while (count > 0 && size < sizeof text - 1) {
    REQUIRE(covey_process_read(p, COVEY_STDOUT, TEST_SOON, text + size, 1) == 1);
    if (text[size] == '\n') count--;
    if (text[size] != '\r') size++;
  }
  text[size] = '\0';
  return text;
}

/* Starts a program that prints its number first. */
static covey_process *serve(const char *program, char **ret_pid)
{
  covey_process *p;
  REQUIRE_OK(
      covey_spawn(&(covey_process_options){.argv = TEST_WORDS(program), .out.kind = COVEY_STDIO_PIPE}, &p));
  *ret_pid = test_format("%" PRId64, covey_process_pid(p));
  CHECK_STR(lines(p, 1), test_format("%s\n", *ret_pid));
  return p;
}

/* Runs it with a number and a text. */
static covey_result talk(const char *program, const char *pid, const char *text, uint32_t code)
{
  covey_result r;
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_WORDS(program, pid, text),
                                                .out.kind = COVEY_STDIO_CAPTURE,
                                                .err.kind = COVEY_STDIO_CAPTURE,
                                                .timeout = TEST_SOON},
                       &r));
  CHECK_UINT(r.exit.code, code);
  return r;
}

static void talk_to_nobody(const char *program)
{
  covey_result r = talk(program, "2147483632", "x", 1);
  CHECK(strstr(r.err, "no such process") != NULL);
  covey_result_free(&r);
}

TEST(readme, messages)
{
  const char *program = test_program_beside("covey_readme_messages");
  char *pid;
  covey_process *receiver = serve(program, &pid);
  covey_result r = talk(program, pid, "hello there", 0);

  covey_result_free(&r);
  CHECK(strstr(lines(receiver, 1), " says hello there\n") != NULL);
  covey_process_close(receiver);
  talk_to_nobody(program);
}

TEST(readme, calls)
{
  const char *program = test_program_beside("covey_readme_calls");
  char *pid;
  covey_process *server = serve(program, &pid);
  covey_result r = talk(program, pid, "hello there", 0);

  CHECK(strstr(r.out, "HELLO THERE") == r.out);
  covey_result_free(&r);
  covey_process_close(server);
  talk_to_nobody(program);
}

TEST(readme, shutdown)
{
  covey_process *p;
  covey_exit end;

  REQUIRE_OK(covey_node_spawn(
      NULL,
      &(covey_process_options){.argv = TEST_WORDS(test_program_beside("covey_readme_shutdown")),
                               .out.kind = COVEY_STDIO_PIPE},
      &p));
  REQUIRE_OK(covey_send(NULL, covey_process_pid(p), NULL, "x", 1,
                        TEST_SOON)); /* it is connected, and so it can be asked */
  REQUIRE_OK(covey_process_stop(p, TEST_SOON, &end));
  CHECK_INT(end.why, COVEY_WHY_STOP);
  CHECK_UINT(end.code, 0);
  CHECK_STR(lines(p, 1), "saved\n");
  covey_process_close(p);
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
}
