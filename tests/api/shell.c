/* Shell commands and the search for programs. */
#include "support/test.h"

#include <covey/shell.h>

static covey_result exec(const char *command, const covey_process_options *options)
{
  covey_result r = {0};

  REQUIRE_OK(covey_shell_exec(command, options, &r));
  return r;
}

/* Output without its line ends, which differ. */
static const char *line_of(covey_result *r)
{
  while (r->out_size && (r->out[r->out_size - 1] == '\n' || r->out[r->out_size - 1] == '\r' ||
                         r->out[r->out_size - 1] == ' '))
    r->out[--r->out_size] = '\0';
  return r->out;
}

TEST(shell, exec)
{
  test_no_child_handles_lost();
  covey_result r = exec("echo hello", NULL);
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_STR(line_of(&r), "hello");
  CHECK_STR(r.err, "");
  covey_result_free(&r);
  r = exec("exit 3", NULL);
  CHECK_UINT(r.exit.code, 3);
  covey_result_free(&r);
}

TEST(shell, posix_text)
{
  covey_result r;

  if (test_is_windows()) TEST_SKIP("sh");
  r = exec("echo out; echo err >&2; exit 2", NULL);
  CHECK_STR(r.out, "out\n");
  CHECK_STR(r.err, "err\n");
  CHECK_UINT(r.exit.code, 2);
  covey_result_free(&r);
  r = exec("printf '%s|' \"$0\" \"a b\" '$x'; echo ${BASH_VERSION:+bash}", NULL);
  CHECK_STR(r.out, "sh|a b|$x|\n"); /* never bash by accident */
  covey_result_free(&r);
  r = exec("-no-such-command; echo still", &(covey_process_options){.err.kind = COVEY_STDIO_NULL});
  CHECK_STR(r.out, "still\n"); /* not taken for an option of the shell */
  covey_result_free(&r);
  r = exec(
      "cat; echo $COVEY_X; pwd",
      &(covey_process_options){
          .input = "in\n", .input_size = 3, .env = (const char *const[]){"COVEY_X=1", NULL}, .cwd = "/"});
  CHECK_STR(r.out, "in\n1\n/\n");
  covey_result_free(&r);
  r = exec("cat", NULL); /* nothing to read, and no terminal to hang on */
  CHECK(COVEY_EXIT_OK(&r.exit));
  covey_result_free(&r);
}

TEST(shell, windows_text)
{
  covey_result r;

  if (!test_is_windows()) TEST_SKIP("cmd.exe");
  r = exec("echo %COVEY_X%", &(covey_process_options){.env = (const char *const[]){"COVEY_X=yes", NULL}});
  CHECK_STR(line_of(&r), "yes");
  covey_result_free(&r);
  CHECK_ERR(covey_shell_exec("echo a\necho b", NULL, &r), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 6);
}

TEST(shell, of_the_callers_choice)
{
  const char *script = test_format("%s/shell.bat", test_temp_dir());
  const covey_failure *f = covey_last_failure();
  covey_result r;

  test_write_file(script, "@exit /b 0", 10);
  CHECK_ERR(covey_shell_exec("x", &(covey_process_options){.file = "no-such-shell"}, &r), COVEY_ENOTFOUND);
  CHECK_INT(f->stage, COVEY_STAGE_LOOKUP);
  CHECK_STR(f->what, "no-such-shell");
  if (test_is_windows()) {
    r = exec("echo %COVEY_X%",
             &(covey_process_options){.file = "cmd.exe", .env = (const char *const[]){"COVEY_X=a b", NULL}});
    CHECK_STR(line_of(&r), "a b");
    covey_result_free(&r);
    CHECK_ERR(
        covey_shell_exec("x", &(covey_process_options){.file = script, .flags = COVEY_PROCESS_BATCH}, &r),
        COVEY_EUNQUOTABLE);
    return;
  }
  if (!test_file_exists("/bin/bash")) TEST_SKIP("no bash");
  r = exec("echo $0 ${BASH_VERSION:+bash}", &(covey_process_options){.file = "/bin/bash"});
  CHECK_STR(r.out, "/bin/bash bash\n");
  covey_result_free(&r);
  r = exec("shopt -q login_shell || echo $0 $-",
           &(covey_process_options){.file = "bash", .shell = COVEY_SHELL_BASH});
  CHECK(strncmp(r.out, "bash ", 5) == 0);
  covey_result_free(&r);
}

TEST(shell, options_apply)
{
  covey_result r = exec(test_is_windows() ? "echo x 1>&2" : "echo x >&2",
                        &(covey_process_options){.err.kind = COVEY_STDIO_MERGE});

  CHECK_STR(line_of(&r), "x");
  covey_result_free(&r);
}

TEST(shell, timeout)
{
  char *command = test_format("\"%s\" hang", test_helper());
  covey_result r = exec(command, &(covey_process_options){.timeout = 1500, .grace = 50});

  CHECK_INT(r.exit.why, COVEY_WHY_TIMEOUT);
  covey_result_free(&r);
}

TEST(shell, run_and_start)
{
  covey_exit e;
  covey_process *p = NULL;

  CHECK_OK(covey_shell_run("exit 5", NULL, &e));
  CHECK_UINT(e.code, 5);
  CHECK_OK(covey_shell_run("exit 0", NULL, NULL));
  REQUIRE_OK(covey_shell("exit 6", NULL, &p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_UINT(e.code, 6);
  covey_process_close(p);
}

TEST(shell, which)
{
  char *folder = test_format("%s", test_helper()), *slash = folder, *path = NULL, *again = NULL, *list;

  for (char *p = folder; *p; p++)
    if (*p == '/' || *p == '\\') slash = p;
  *slash = '\0';
  list = test_format("relative%s%s", test_is_windows() ? ";" : ":", folder);
  REQUIRE_OK(covey_which("covey_test_helper", list, &path));
  CHECK(strstr(path, "covey_test_helper") != NULL);
  REQUIRE_OK(covey_which(path, "", &again)); /* with a folder: not searched for */
  CHECK_STR(again, path);
  covey_free(again);
  covey_free(path);
  path = NULL;
  CHECK_ERR(covey_which("covey_test_helper", "relative", &path), COVEY_ENOTFOUND);
  CHECK_ERR(covey_which("covey-has-no-such-program", NULL, &path), COVEY_ENOTFOUND);
  CHECK_ERR(covey_which("", NULL, &path), COVEY_EINVAL);
  CHECK_ERR(covey_which(NULL, NULL, &path), COVEY_EINVAL);
  CHECK_ERR(covey_which("x", NULL, NULL), COVEY_EINVAL);
  CHECK(path == NULL);
  REQUIRE_OK(covey_which(test_is_windows() ? "cmd" : "sh", NULL, &path));
  covey_free(path);
}

TEST(shell, which_takes_no_file_that_cannot_run)
{
  char *one = test_format("%s/covey_which_test", test_temp_dir()), *path = NULL;

  if (test_is_windows()) TEST_SKIP("every file can be run there");
  test_write_file(one, "x", 1);
  CHECK_ERR(covey_which("covey_which_test", test_temp_dir(), &path), COVEY_EACCES);
  CHECK(path == NULL);
}

TEST(shell, which_goes_by_folder_first)
{
  char *a, *b, *list, *path = NULL;

  if (!test_is_windows()) TEST_SKIP("PATHEXT is of Windows");
  a = test_format("%s/covey_which_test.bat", test_temp_dir());
  b = test_format("%s/covey_which_test.vbs", test_temp_dir());
  test_write_file(b, "x", 1); /* no program that the system can start, whatever PATHEXT says */
  CHECK_ERR(covey_which("covey_which_test", test_temp_dir(), &path), COVEY_ENOTFOUND);
  test_write_file(a, "@exit\r\n", 7);
  list = test_format("\"%s\"", test_temp_dir()); /* quotes round a folder */
  REQUIRE_OK(covey_which("covey_which_test", list, &path));
  CHECK(strstr(path, ".BAT") != NULL || strstr(path, ".bat") != NULL);
  covey_free(path);
}

TEST(shell, batch_file)
{
  char *script = test_format("%s/args.bat", test_temp_dir());
  covey_result r;
  static const char text[] = "@echo [%~1]\r\n@exit /b 5\r\n";

  if (!test_is_windows()) TEST_SKIP("batch files are of Windows");
  test_write_file(script, text, sizeof text - 1);
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = (const char *const[]){script, "a b", NULL},
                                                .flags = COVEY_PROCESS_BATCH,
                                                .out.kind = COVEY_STDIO_CAPTURE},
                       &r));
  CHECK_STR(line_of(&r), "[a b]");
  covey_result_free(&r);
}
