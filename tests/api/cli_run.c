/* covey run: its options, each seen by the program that it starts, or refused. */
#include "tool.h"

#include "support/test.h"

#include <covey/launch.h>
#include <covey/process.h>

enum { PATIENCE = 30000, MOST = 24 };

/* Runs "covey run OPTION... HELPER WORD..."; both lists end with NULL. */
static covey_result run(const char *input, const char *const *options, const char *const *words)
{
  const char *argv[MOST] = {"run"};
  size_t n = 1;
  covey_result r;

  for (; *options; options++) argv[n++] = *options;
  for (; *words; words++) argv[n++] = *words;
  tool(&r, input, argv);
  return r;
}

/* The program ends with 0 and writes this; a system that cannot keep the option says so, and which field it is. */
static void expect(const char *out, const char *const *options, const char *const *words)
{
  covey_result r = run(NULL, options, words);

  if (r.exit.code || strcmp(r.out, out) != 0)
    TEST_FAIL("%s: code %u, \"%s\", \"%s\"", options[0], (unsigned)r.exit.code, r.out, r.err);
  covey_result_free(&r);
}

/* Not on this system: covey itself fails, and names the field. */
static void refused(const char *field, const char *const *options)
{
  covey_result r = run(NULL, options, TEST_HELPER("nothing"));

  if (r.exit.code != 125 || !strstr(r.err, "not supported") || !strstr(r.err, field))
    TEST_FAIL("%s: code %u, \"%s\"", options[0], (unsigned)r.exit.code, r.err);
  covey_result_free(&r);
}

TEST(cli_run, environment)
{
  expect("[3]yes\n", TEST_WORDS("--env", "COVEY_X=yes"), TEST_HELPER("env", "COVEY_X"));
  expect("unset\n", TEST_WORDS("--env", "COVEY_X=yes", "--unset", "COVEY_X"), TEST_HELPER("env", "COVEY_X"));
  test_set_env("COVEY_X", "ours");
  expect("[4]ours\n", TEST_WORDS("--"), TEST_HELPER("env", "COVEY_X"));
  expect("unset\n", TEST_WORDS("--unset=COVEY_X"), TEST_HELPER("env", "COVEY_X"));
  expect("unset\n", TEST_WORDS("--clear-env"), TEST_HELPER("env", "COVEY_X"));
  test_set_env("COVEY_X", NULL);
}

TEST(cli_run, streams_of_files)
{
  char *in = test_format("%s/in", test_temp_dir()), *out = test_format("%s/out", test_temp_dir());

  test_write_file(in, "from a file", 11);
  expect("from a file", TEST_WORDS("--in", in), TEST_HELPER("cat"));
  expect("", TEST_WORDS("--in", in, "--out", out), TEST_HELPER("cat"));
  expect("", TEST_WORDS("--in", in, "--out", out, "--append"), TEST_HELPER("cat"));
  CHECK_STR(test_read_file(out, NULL), "from a filefrom a file");
  expect("", TEST_WORDS("--err", out), TEST_HELPER("err", "3"));
  size_t size = 0;
  const char *text = test_read_file(out, &size);
  CHECK(size == 3 && test_is_pattern(text, size, 0));
  covey_result r = run(NULL, TEST_WORDS("--merge"), TEST_HELPER("both", "4000", "3000"));
  CHECK_UINT(r.exit.code, 0);
  CHECK_UINT(r.out_size, 7000);
  CHECK_UINT(r.err_size, 0);
  covey_result_free(&r);
  expect("", TEST_WORDS("--quiet"), TEST_HELPER("both", "4000", "3000"));
}

TEST(cli_run, names_and_shells)
{
  covey_result r;

  expect("[0]\n", TEST_WORDS("--name", "another"), TEST_HELPER("args", ""));
  if (!test_is_windows()) {
    expect("another\n", TEST_WORDS("--name=another"), TEST_WORDS("/bin/sh", "-c", "echo $0"));
    expect("a b\n", TEST_WORDS("--shell", "--with", "sh"), TEST_WORDS("echo a  b"));
    refused("RAW_COMMAND_LINE", TEST_WORDS("--raw"));
  }
  r = run(NULL, TEST_WORDS("--shell"), TEST_WORDS("echo one two"));
  CHECK_UINT(r.exit.code, 0);
  CHECK(strncmp(r.out, "one two", 7) == 0);
  covey_result_free(&r);
}

TEST(cli_run, on_a_terminal)
{
  if (!(covey_caps() & COVEY_CAP_PTY)) TEST_SKIP("this system has no pseudo-terminals");
  covey_result r = run(NULL, TEST_WORDS("--pty"), TEST_HELPER("tty"));
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, "size 24 80") != NULL);
  covey_result_free(&r);
  r = run(NULL, TEST_WORDS("--size", "30x100", "--json"), TEST_HELPER("tty"));
  CHECK_UINT(r.exit.code, 0);
  CHECK(strstr(r.out, "size 30 100") != NULL && r.out[0] == '{');
  covey_result_free(&r);
  r = run(NULL, TEST_WORDS("--pty", "--quiet"), TEST_HELPER("tty"));
  CHECK_UINT(r.exit.code, 0);
  CHECK_UINT(r.out_size, 0);
  covey_result_free(&r);
  if (test_is_windows()) return; /* wine's console does not take ctrl-Z for the end of its input */
  expect("24 80\r\n", TEST_WORDS("--pty", "--stdin"), TEST_WORDS("/bin/stty", "size"));
  expect("30 100\r\n", TEST_WORDS("--size=30x100"), TEST_WORDS("/bin/stty", "size"));
  r = run("typed\n", TEST_WORDS("--pty", "--stdin"), TEST_HELPER("cat"));
  CHECK_UINT(r.exit.code, 0);
  CHECK_STR(r.out, "typed\r\n");
  covey_result_free(&r);
}

static bool can(const char *what, const char *const *options)
{
  covey_result r = run(NULL, options, TEST_HELPER("nothing"));
  bool kept = r.exit.code == 0;

  if (!kept && (r.exit.code != 125 || !strstr(r.err, what)))
    TEST_FAIL("%s: code %u, \"%s\"", options[0], (unsigned)r.exit.code, r.err);
  covey_result_free(&r);
  return kept;
}

TEST(cli_run, what_the_child_is_given)
{
  covey_result r = run(NULL, TEST_WORDS("--priority", "low"), TEST_HELPER("attributes"));

  CHECK_UINT(r.exit.code, 0);
  CHECK(strncmp(r.out, "10 ", 3) == 0); /* as a nice value, on every system */
  covey_result_free(&r);
  if (can("launch.affinity", TEST_WORDS("--affinity", "0"))) {
    r = run(NULL, TEST_WORDS("--affinity=0"), TEST_HELPER("attributes"));
    const char *second = strchr(r.out, ' ');
    CHECK(second && strtol(second, NULL, 10) == 1);
    covey_result_free(&r);
  }
  if (can("launch.umask", TEST_WORDS("--umask", "027")))
    expect("0027\n", TEST_WORDS("--umask=27"), TEST_WORDS("/bin/sh", "-c", "umask"));
  if (can("launch.limits", TEST_WORDS("--limit", "core=0")))
    expect("100\n150\n", TEST_WORDS("--limit", "files=100:150", "--limit", "core=0:ours"),
           TEST_WORDS("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"));
  if (can("launch.", TEST_WORDS("--no-new-privileges")))
    expect("NoNewPrivs:\t1\n", TEST_WORDS("--no-new-privileges"),
           TEST_WORDS("/bin/grep", "NoNewPrivs", "/proc/self/status"));
  if (test_is_windows()) refused("launch.user", TEST_WORDS("--user", "root"));
  (void)can("launch.tree_memory", TEST_WORDS("--limit-memory", "1G"));
  (void)can("launch.tree_processes", TEST_WORDS("--limit-processes", "64"));
  (void)can("launch.flags", TEST_WORDS("--subreaper"));
  (void)can("launch.tree_cpu", TEST_WORDS("--limit-cpu", "1.5"));
  expect("", TEST_WORDS("--window", "hidden"), TEST_HELPER("nothing"));
  expect("", TEST_WORDS("--scope", "session", "--untied", "--leave-tree"), TEST_HELPER("nothing"));
}

TEST(cli_run, as_another)
{
  static const char script[] =
      "while read -r name rest; do case $name in Uid:|Gid:|Groups:) echo $name $rest;; esac; "
      "done </proc/self/status";
  covey_result r = run(NULL, TEST_WORDS("--user", "4711", "--group", "4712", "--groups", "9,7"),
                       TEST_WORDS("/bin/sh", "-c", script));

  if (r.exit.code == 0)
    CHECK_STR(r.out, "Uid: 4711 4711 4711 4711\nGid: 4712 4712 4712 4712\nGroups: 7 9\n");
  else
    CHECK(r.exit.code == 125 || (test_is_windows() && r.exit.code == 127));
  bool took = r.exit.code == 0;
  covey_result_free(&r);
  if (!took) TEST_SKIP("takes root, and a /proc");
}

/* Values that make no sense, and options that exclude each other. */
/* The steps of a ladder come one after the other: who does not hear the first hears the second, or none. */
TEST(cli_run, stops_by_steps)
{
  covey_result r = run(NULL, TEST_WORDS("--timeout", "300", "--ladder", "kill"), TEST_HELPER("stop"));

  CHECK_UINT(r.exit.code, 124);
  CHECK(strstr(r.out, "stopping") == NULL);
  covey_result_free(&r);
  if (test_is_windows()) return; /* there signals are what is asked by */
  r = run(NULL, TEST_WORDS("--timeout=300", "--json", "--ladder=HUP:100,SIGUSR1:20000,kill"),
          TEST_WORDS("/bin/sh", "-c", "trap '' HUP; while :; do sleep 0.1; done"));
  CHECK_UINT(r.exit.code, 124);
  CHECK(strstr(r.out, "signalled") && !strstr(r.out, "\"code\": 129") && !strstr(r.out, "\"code\": 137"));
  covey_result_free(&r);
}

TEST_LIMIT(cli_run, wrong_values, 120)
{
  static const struct {
    const char *said, *words[5];
  } cases[] = {
      {"--priority is one of lowest low", {"--priority", "best"}},
      {"--scope is one of tree", {"--scope", "detached"}},
      {"--window is one of", {"--window", ""}},
      {"--with is one of sh bash", {"--with", "tcsh"}},
      {"--with is for --shell", {"--with", "sh", "x"}},
      {"takes bytes", {"--limit-memory", "lots"}},
      {"takes bytes", {"--limit-memory", "1KK"}},
      {"takes bytes", {"--limit-memory", "99999999999T"}},
      {"from 1 on", {"--limit-processes", "0"}},
      {"takes no such number", {"--limit-processes", "99999999999", "x"}},
      {"takes processors", {"--limit-cpu", "0"}},
      {"takes processors", {"--limit-cpu", "nan"}},
      {"takes KIND=SOFT", {"--limit", "files"}},
      {"takes KIND=SOFT", {"--limit", "fish=3"}},
      {"takes KIND=SOFT", {"--limit", "files=3:"}},
      {"takes octal digits", {"--umask", "8"}},
      {"takes octal digits", {"--umask", "1000"}},
      {"takes numbers of processors", {"--affinity", "2-1"}},
      {"takes numbers of processors", {"--affinity", "1,"}},
      {"takes numbers of processors", {"--affinity", "5000"}},
      {"takes ROWSxCOLUMNS", {"--size", "80"}},
      {"takes ROWSxCOLUMNS", {"--size", "0x80"}},
      {"takes a name", {"--unset", "A=1"}},
      {"takes up to 8 steps", {"--ladder", "beg"}},
      {"takes up to 8 steps", {"--ladder", "ask:"}},
      {"takes up to 8 steps", {"--ladder", "ask:1s,kill"}},
      {"takes up to 8 steps", {"--ladder", ""}},
      {"takes up to 8 steps", {"--ladder", "1,1,1,1,1,1,1,1,1"}},
      {"invalid argument", {"--ladder", "kill,ask", "x"}},
      {"--grace is not for --ladder", {"--ladder=kill", "--grace=1", "x"}},
      {"--append is for", {"--append", "x"}},
      {"--merge is not for --err", {"--merge", "--err", "f", "x"}},
      {"--in is not for --stdin", {"--in", "f", "--stdin", "x"}},
      {"are not for --pty", {"--pty", "--out", "f", "x"}},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    covey_result r = run(NULL, cases[i].words, TEST_WORDS(NULL));
    if (r.exit.code != 2 || !strstr(r.err, cases[i].said) || r.out_size)
      TEST_FAIL("case %u: code %u, \"%s\"", (unsigned)i, (unsigned)r.exit.code, r.err);
    covey_result_free(&r);
  }
}

/* The help has a line for each option that is read: both come from one table. */
TEST(cli_run, helps)
{
  static const char *const commands[] = {"run",     "send",      "call", "receive", "nodes",
                                         "publish", "subscribe", "ps",   "kill"};

  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    covey_result r;
    const char *argv[] = {test_program_beside("covey"), commands[i], "--help", NULL};
    REQUIRE_OK(covey_run(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_CAPTURE}, &r));
    CHECK_UINT(r.exit.code, 0);
    CHECK(strstr(r.out, "\n  --") != NULL && strstr(r.out, "exit code: ") != NULL);
    for (const char *line = r.out; (line = strstr(line, "\n")); line++) CHECK(strcspn(line + 1, "\n") <= 140);
    covey_result_free(&r);
  }
}
