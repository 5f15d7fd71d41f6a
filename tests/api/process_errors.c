/* What cannot be started: code, stage, and what it was about. */
#include "support/test.h"

#include <covey/process.h>

#include "core/fault.h"
#include "core/mem.h"

/* The failure of starting options, which must have this code and stage. */
static const covey_failure *refused(const covey_process_options *options, int code, int stage)
{
  covey_process *p = NULL;
  int r = covey_spawn(options, &p);

  CHECK_ERR(r, code);
  CHECK(p == NULL);
  if (r >= 0) covey_process_close(p);
  CHECK_INT(covey_last_failure()->code, code);
  CHECK_INT(covey_last_failure()->stage, stage);
  return covey_last_failure();
}

TEST(process_errors, lookup)
{
  const covey_failure *f;
  char *folder = test_format("%s/folder.exe/inside", test_temp_dir());
  char *file = test_format("%s/plain.exe", test_temp_dir());

  test_no_child_handles_lost();
  f = refused(&(covey_process_options){.argv = TEST_WORDS("covey-has-no-such-program")}, COVEY_ENOTFOUND,
              COVEY_STAGE_LOOKUP);
  CHECK_STR(f->what, "covey-has-no-such-program");
  f = refused(&(covey_process_options){.argv = TEST_WORDS("/no/such/program")}, COVEY_ENOTFOUND,
              COVEY_STAGE_LOOKUP);
  f = refused(&(covey_process_options){.argv = TEST_WORDS(folder)}, COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP);
  f = refused(&(covey_process_options){.argv = TEST_WORDS(test_temp_dir())}, COVEY_EACCES,
              COVEY_STAGE_LOOKUP);
  test_write_file(file, "data", 4);
  if (!test_is_windows()) {
    f = refused(&(covey_process_options){.argv = TEST_WORDS(file)}, COVEY_EACCES, COVEY_STAGE_LOOKUP);
    CHECK_STR(f->what, file);
  }
}

/* Whatever else is wrong with a start: a missing program is told first, and nothing was created on the way. */
TEST(process_errors, the_program_comes_first)
{
  char *missing = test_format("%s/missing", test_temp_dir()), *out = test_format("%s/out", test_temp_dir());
  covey_process *p = NULL;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_WORDS(test_helper(), "nothing")}, &p));
  covey_process_close(p);
  refused(&(covey_process_options){.argv = TEST_WORDS(missing), .cwd = missing}, COVEY_ENOTFOUND,
          COVEY_STAGE_LOOKUP);
  refused(&(covey_process_options){.argv = TEST_WORDS(missing),
                                   .out.kind = COVEY_STDIO_FILE_NEW,
                                   .out.path = out},
          COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP);
  CHECK(!test_file_exists(out));
}

TEST(process_errors, never_in_the_current_directory)
{
  /* argv[0] without a folder is searched for in PATH only, and empty and relative folders there do not count */
  const char *name = "covey_test_helper";
  const char *paths[] = {"PATH=", "PATH=.", test_is_windows() ? "PATH=;;.;" : "PATH=::.:"};

  for (int i = 0; i < 3; i++)
    refused(&(covey_process_options){.argv = TEST_WORDS(name, "nothing"), .env = TEST_WORDS(paths[i])},
            COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP);
}

/* What lies in the directory that we are in is found neither as a program nor as the shell: the tool is started there, and looks. */
TEST(process_errors, planted_in_the_current_directory)
{
  const char *const names[] = {test_is_windows() ? "planted.exe" : "planted", "cmd.exe", "sh", "sh.exe"};
  const char *tool = test_program_beside("covey"), *folder = test_temp_dir();
  size_t size;
  char *program = test_read_file(test_helper(), &size);
  covey_result r;

  REQUIRE(program != NULL);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *copy = test_format("%s/%s", folder, names[i]);
    test_write_file(copy, program, size);
    if (!test_is_windows()) REQUIRE(test_run(TEST_WORDS("/bin/chmod", "755", copy), TEST_SOON).code == 0);
  }
  REQUIRE_OK(covey_run(
      &(covey_process_options){.argv = TEST_WORDS(tool, "run", "planted", "nothing"), .cwd = folder}, &r));
  CHECK_UINT(r.exit.code, 127);
  covey_result_free(&r);
  REQUIRE_OK(
      covey_run(&(covey_process_options){.argv = TEST_WORDS(tool, "run", "--shell", "echo not planted"),
                                         .cwd = folder,
                                         .out.kind = COVEY_STDIO_CAPTURE},
                &r));
  CHECK(strncmp(r.out, "not planted", 11) == 0);
  covey_result_free(&r);
}

TEST(process_errors, directory)
{
  const covey_failure *f;
  char *missing = test_format("%s/missing", test_temp_dir()), *file = test_format("%s/file", test_temp_dir());

  test_no_child_handles_lost();
  f = refused(&(covey_process_options){.argv = TEST_HELPER("nothing"), .cwd = missing}, COVEY_ENOTFOUND,
              COVEY_STAGE_CWD);
  CHECK_STR(f->what, missing);
  test_write_file(file, "x", 1);
  f = refused(&(covey_process_options){.argv = TEST_HELPER("nothing"), .cwd = file}, COVEY_ENOTFOUND,
              COVEY_STAGE_CWD);
  CHECK_STR(f->what, file);
}

/* A file that may be run and is no program. */
TEST(process_errors, format)
{
  static const char garbage[] = "\x01\x02\x03 this is no program";
  char *file = test_format("%s/garbage.exe", test_temp_dir());
  const covey_failure *f;

  test_no_child_handles_lost();
  test_write_file(file, garbage, sizeof garbage);
  if (!test_is_windows()) test_run(TEST_WORDS("/bin/chmod", "755", file), 10000);
  f = refused(&(covey_process_options){.argv = TEST_WORDS(file)}, COVEY_EINVAL, COVEY_STAGE_EXEC);
  CHECK(strstr(f->what, "garbage.exe") != NULL);
}

TEST(process_errors, interpreter)
{
  const covey_failure *f;
  char *script = test_format("%s/script", test_temp_dir());
  static const char text[] = "#!/no/such/interpreter -x\n";

  if (test_is_windows()) TEST_SKIP("scripts with #! are of POSIX");
  test_no_child_handles_lost();
  test_write_file(script, text, sizeof text - 1);
  test_run(TEST_WORDS("/bin/chmod", "755", script), 10000);
  f = refused(&(covey_process_options){.argv = TEST_WORDS(script)}, COVEY_ENOTFOUND, COVEY_STAGE_INTERPRETER);
  CHECK_STR(f->what, "/no/such/interpreter");
}

TEST(process_errors, files)
{
  const covey_failure *f;
  char *missing = test_format("%s/missing", test_temp_dir()),
       *there = test_format("%s/there", test_temp_dir());

  test_no_child_handles_lost();
  test_write_file(there, "kept", 4);
  f = refused(&(covey_process_options){.argv = TEST_HELPER("cat"), .in = {COVEY_STDIO_FILE, .path = missing}},
              COVEY_ENOTFOUND, COVEY_STAGE_STDIO);
  CHECK_INT(f->index, 0);
  CHECK_STR(f->what, missing);
  f = refused(
      &(covey_process_options){.argv = TEST_HELPER("nothing"), .out = {COVEY_STDIO_FILE_NEW, .path = there}},
      COVEY_EEXIST, COVEY_STAGE_STDIO);
  CHECK_INT(f->index, 1);
  /* a program that is not there empties no file */
  refused(&(covey_process_options){.argv = TEST_WORDS("/no/such"), .out = {COVEY_STDIO_FILE, .path = there}},
          COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP);
  CHECK_STR(test_read_file(there, NULL), "kept");
}

TEST(process_errors, environment)
{
  CHECK_INT(refused(&(covey_process_options){.argv = TEST_HELPER("nothing"), .env = TEST_WORDS("A=1", "=x")},
                    COVEY_EINVAL, COVEY_STAGE_ENVIRONMENT)
                ->index,
            1);
  CHECK_INT(refused(&(covey_process_options){.argv = TEST_HELPER("nothing"), .env = TEST_WORDS("")},
                    COVEY_EINVAL, COVEY_STAGE_ENVIRONMENT)
                ->index,
            0);
}

TEST(process_errors, encoding)
{
  const char *bad = "ab\xff";
  covey_failure f;

  if (!test_is_windows()) {
    /* any bytes but NUL are fine there, and arrive */
    covey_result r = {0};

    REQUIRE_OK(covey_run(
        &(covey_process_options){.argv = TEST_HELPER("args-hex", bad), .out.kind = COVEY_STDIO_CAPTURE}, &r));
    CHECK_STR(r.out, "[3]6162ff\n");
    covey_result_free(&r);
    return;
  }
  f = *refused(&(covey_process_options){.argv = TEST_HELPER("args", bad)}, COVEY_EENCODING,
               COVEY_STAGE_ARGUMENTS);
  CHECK_INT(f.index, 2);
  CHECK_INT(f.offset, 2);
  f = *refused(&(covey_process_options){.argv = TEST_HELPER("args"), .env = TEST_WORDS("A=1", "B=\xff")},
               COVEY_EENCODING, COVEY_STAGE_ENVIRONMENT);
  CHECK_INT(f.index, 1);
  refused(&(covey_process_options){.argv = TEST_HELPER("args"), .cwd = bad}, COVEY_EENCODING,
          COVEY_STAGE_CWD);
  refused(&(covey_process_options){.argv = TEST_WORDS(bad)}, COVEY_EENCODING, COVEY_STAGE_LOOKUP);
  f = *refused(&(covey_process_options){.argv = TEST_HELPER("args"), .out = {COVEY_STDIO_FILE, .path = bad}},
               COVEY_EENCODING, COVEY_STAGE_STDIO);
  CHECK_INT(f.index, 1);
  refused(&(covey_process_options){.command = bad}, COVEY_EENCODING, COVEY_STAGE_ARGUMENTS);
}

/* ---- more than the system takes: found by halving, so that what is just allowed is started, and one more is refused ---- */

/* A text of size times x behind head. Freed by the caller. */
static char *stretched(const char *head, size_t size)
{
  size_t start = strlen(head);
  char *text = malloc(start + size + 1);

  REQUIRE(text != NULL);
  memcpy(text, head, start);
  memset(text + start, 'x', size);
  text[start + size] = '\0';
  return text;
}

static bool started(const covey_process_options *options)
{
  covey_process *p = NULL;
  covey_exit e = {0};
  int r = covey_spawn(options, &p);

  if (r < 0) {
    CHECK_ERR(r, COVEY_ETOOBIG);
    CHECK(covey_last_failure()->what[0] != '\0');
    CHECK(p == NULL);
    return false;
  }
  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK(COVEY_EXIT_OK(&e));
  covey_process_close(p);
  return true;
}

/* One argument of this many bytes. */
static bool takes_argument(size_t size)
{
  char *text = stretched("", size);
  bool taken = started(&(covey_process_options){.argv = TEST_HELPER("nothing", text)});

  free(text);
  return taken;
}

/* One variable with this many bytes in all. */
static bool takes_variable(size_t size)
{
  char *text = stretched("COVEY_LONG_ONE=", size - 15);
  bool taken = started(&(covey_process_options){.argv = TEST_HELPER("nothing"), .env = TEST_WORDS(text)});

  free(text);
  return taken;
}

/* This many arguments of 10,000 bytes. */
static bool takes_arguments(size_t count)
{
  char *text = stretched("", 10000);
  const char **argv = calloc(count + 3, sizeof *argv);
  bool taken;

  REQUIRE(argv != NULL);
  argv[0] = test_helper();
  argv[1] = "nothing";
  for (size_t i = 0; i < count; i++) argv[i + 2] = text;
  taken = started(&(covey_process_options){.argv = argv});
  free(argv);
  free(text);
  return taken;
}

/* The most that is taken, of which least is and most is not. */
static size_t edge(bool (*takes)(size_t), size_t least, size_t most)
{
  REQUIRE(takes(least));
  REQUIRE(!takes(most));
  while (most - least > 1) {
    size_t middle = least + (most - least) / 2;

    if (takes(middle))
      least = middle;
    else
      most = middle;
  }
  return least;
}

TEST_LIMIT(process_errors, an_argument_too_long, 120)
{
  size_t most;

  test_no_child_handles_lost();
  most = edge(takes_argument, 1, (size_t)8 << 20);
  test_log("the longest argument: %u", (unsigned)most);
  if (test_is_windows()) CHECK(most < 32767 && most > 32767 - strlen(test_helper()) - 20);
  CHECK(!takes_argument(most + 1));
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ARGUMENTS);
  if (!test_is_windows() && most < 1000000)
    CHECK_INT(covey_last_failure()->index, 2); /* this one alone is too long */
}

TEST_LIMIT(process_errors, arguments_too_many, 120)
{
  size_t most;

  test_no_child_handles_lost();
  most = edge(takes_arguments, 1, 20000);
  test_log("arguments of 10,000 bytes: %u", (unsigned)most);
  CHECK(test_is_windows() ? most == 3 : most > 3);
  CHECK(!takes_arguments(most + 1));
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ARGUMENTS);
  CHECK_INT(covey_last_failure()->index, -1); /* none of them alone */
}

TEST_LIMIT(process_errors, a_variable_too_long, 120)
{
  size_t enormous = (size_t)64 << 20;

  test_no_child_handles_lost();
  if (test_is_windows() && takes_variable(enormous)) return; /* no limit is known there */
  test_log("the longest variable: %u", (unsigned)edge(takes_variable, 100, enormous));
  CHECK(!takes_variable(enormous));
  CHECK(strncmp(covey_last_failure()->what, "COVEY_LONG_ONE", 14) == 0);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ENVIRONMENT);
}

TEST(process_errors, raw_command_line)
{
  covey_process_options o = {.argv = TEST_HELPER("exit", "x"), .flags = COVEY_PROCESS_RAW_COMMAND_LINE};

  if (test_is_windows())
    refused(&o, COVEY_EINVAL, COVEY_STAGE_ARGUMENTS); /* the tail is one text */
  else
    refused(&o, COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS);
}

TEST(process_errors, batch_files_are_refused)
{
  char *script = test_format("%s/script.bat", test_temp_dir());

  if (!test_is_windows()) TEST_SKIP("batch files are of Windows");
  test_write_file(script, "@exit /b 5\r\n", 12);
  refused(&(covey_process_options){.argv = TEST_WORDS(script, "a")}, COVEY_EUNQUOTABLE,
          COVEY_STAGE_ARGUMENTS);
  refused(&(covey_process_options){.argv = TEST_WORDS(script, "a\nb"), .flags = COVEY_PROCESS_BATCH},
          COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS);
}

/* Every system call of a start made to fail, one after the other: an error, and nothing is left. */
TEST_LIMIT(process_errors, fault_walk, 300)
{
  covey_process_options o = {.argv = TEST_HELPER("exit", "0"),
                             .in.kind = COVEY_STDIO_PIPE,
                             .out.kind = COVEY_STDIO_PIPE,
                             .err.kind = COVEY_STDIO_CAPTURE};

  test_no_child_handles_lost();
  CHECK(test_walk_spawn(&o) > 3);
}

/* The same for every system call of a whole run, and for every allocation of it. */
static void walk_run(bool allocations)
{
  covey_process_options o = {.argv = TEST_HELPER("both", "3000", "2000"),
                             .input = "some input",
                             .input_size = 10,
                             .env = TEST_WORDS("A=1"),
                             .cwd = test_temp_dir(),
                             .out.kind = COVEY_STDIO_CAPTURE,
                             .err.kind = COVEY_STDIO_CAPTURE};
  int failed = 0;

  test_no_child_handles_lost();
  for (int64_t n = 1; n < 400; n++) {
    covey_result result;
    int64_t seen = 0;
    int r;

    if (allocations)
      cvy_mem_fail_after(n);
    else
      cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 12);
    r = covey_run(&o, &result);
    seen = allocations ? 0 : cvy_fault_seen();
    cvy_mem_fail_after(0);
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r < 0) {
      failed++;
      CHECK_INT(covey_last_failure()->code, r);
      if (allocations) CHECK_ERR(r, COVEY_ENOMEM);
    } else {
      bool whole = result.out_size == 3000 && result.err_size == 2000;
      bool known = result.exit.how == COVEY_HOW_EXITED && result.exit.code == 0;

      if (!whole && !result.failure.code && !result.flags)
        TEST_FAIL("step %d: %d and %d bytes, cut in silence", (int)n, (int)result.out_size,
                  (int)result.err_size);
      if (!known && !result.failure.code &&
          result.exit.how != COVEY_HOW_LOST) /* a stream given up is SIGPIPE for the child */
        TEST_FAIL("step %d: how %d, why %d, code %u", (int)n, result.exit.how, result.exit.why,
                  (unsigned)result.exit.code);
      covey_result_free(&result);
      if (allocations && whole && n > 60) break;
    }
    if (!allocations && seen < n) break;
  }
  CHECK(failed > 3);
}

TEST_LIMIT(process_errors, fault_walk_over_a_run, 300)
{
  walk_run(false);
}

TEST_LIMIT(process_errors, allocation_walk_over_a_run, 300)
{
  walk_run(true);
}

/* The kill itself fails: five seconds later the call says so, and the process is ended in the background as soon as that works. */
TEST_LIMIT(process_errors, stuck, 240)
{
  bool stuck = false;

  if (!test_is_windows()) test_no_child_handles_lost(); /* a long wait makes the pool there grow, once */
  for (int64_t n = 1; n < 12 && !stuck; n++) {
    covey_process_options o = {
        .argv = TEST_HELPER("ignore"),
        .out.kind = COVEY_STDIO_NULL,
        .timeout = 400,
        .grace = 50,
        .flags = COVEY_PROCESS_LEAVE_TREE}; /* without a control group there is no second way to kill */
    covey_result result;
    int r;

    cvy_fault_after(CVOS_FAULT_SIGNAL, n, test_is_windows() ? 5 : 1); /* not allowed */
    r = covey_run(&o, &result);
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    stuck = r == COVEY_ESTUCK;
    if (r == 0) {
      CHECK_INT(result.exit.why, COVEY_WHY_TIMEOUT);
      covey_result_free(&result);
    }
  }
  CHECK(stuck);
}
