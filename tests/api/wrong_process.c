/* Every function of covey/process.h, called as nobody should. */
#include "support/test.h"

#include <covey/process.h>

static const char *const *nothing(void)
{
  static const char *argv[3];

  argv[0] = test_helper();
  argv[1] = "nothing";
  return argv;
}

/* What covey_spawn and covey_run say of options that make no sense; the same for both. */
static const covey_failure *refused(covey_process_options options)
{
  covey_process *p;
  covey_result r;
  covey_failure first;

  test_fill(&p, sizeof p);
  test_fill(&r, sizeof r);
  CHECK_WRONG(covey_spawn(&options, &p));
  first = *covey_last_failure();
  CHECK_WRONG(covey_run(&options, &r));
  CHECK_STR(covey_last_failure()->what, first.what);
  CHECK_INT(covey_last_failure()->index, first.index);
  CHECK(test_is_filled(&p, sizeof p) && test_is_filled(&r, sizeof r));
  return covey_last_failure();
}

#define REFUSED(field, ...) CHECK_STR(refused((covey_process_options){__VA_ARGS__})->what, field)

static void no_room(covey_process *process, void *user)
{
  TEST_FAIL("told of %p and %p", (void *)process, user);
}

TEST(wrong_process, options)
{
  const char *const *argv = nothing();

  CHECK_WRONG(covey_spawn(NULL, NULL));
  CHECK_WRONG(covey_spawn(&(covey_process_options){.argv = argv}, NULL));
  CHECK_WRONG(covey_run(NULL, NULL));
  REFUSED("argv", 0);
  REFUSED("argv and command", .argv = argv, .command = "x");
  REFUSED("argv[0]", .argv = TEST_WORDS(NULL));
  REFUSED("argv[0]", .argv = TEST_WORDS(""));
  REFUSED("file", .argv = argv, .file = "");
  REFUSED("file", .command = "x", .file = "");
  REFUSED("cwd", .argv = argv, .cwd = "");
  REFUSED("scope", .argv = argv, .scope = -1);
  REFUSED("scope", .argv = argv, .scope = COVEY_SCOPE_DETACHED + 1);
  REFUSED("shell without command", .argv = argv, .shell = COVEY_SHELL_SH);
  REFUSED("shell", .command = "x", .shell = -1);
  REFUSED("shell", .command = "x", .shell = COVEY_SHELL_PWSH + 1);
  REFUSED("RAW_COMMAND_LINE with command", .command = "x", .flags = COVEY_PROCESS_RAW_COMMAND_LINE);
  REFUSED("timeout", .argv = argv, .timeout = -2);
  REFUSED("grace", .argv = argv, .grace = -2);
  REFUSED("drain", .argv = argv, .drain = INT64_MIN);
  REFUSED("drain_max", .argv = argv, .drain_max = -2);
  REFUSED("idle", .argv = argv, .idle = -2, .out.kind = COVEY_STDIO_CAPTURE);
  REFUSED("idle without an output that is read", .argv = argv, .idle = 1000);
  REFUSED("input", .argv = argv, .input_size = 1);
  REFUSED("input with in", .argv = argv, .input = "x", .input_size = 1, .in.kind = COVEY_STDIO_NULL);
  REFUSED("on_room without PIPE", .argv = argv, .on_room = no_room);
  REFUSED("on_room without PIPE", .argv = argv, .input = "x", .input_size = 1, .on_room = no_room);
  CHECK_WRONG(covey_run(
      &(covey_process_options){.argv = argv, .flags = COVEY_PROCESS_PTY, .on_room = no_room}, NULL));
  CHECK_STR(covey_last_failure()->what, "on_room of a run");
  REFUSED("pty without PTY", .argv = argv, .pty.rows = 24);
  REFUSED("pty without PTY", .argv = argv, .pty.columns = 80);
  REFUSED("pty without PTY", .argv = argv, .pty.flags = COVEY_PTY_ECHO);
  REFUSED("pty.rows", .argv = argv, .flags = COVEY_PROCESS_PTY, .pty.rows = 32768);
  REFUSED("pty.columns", .argv = argv, .flags = COVEY_PROCESS_PTY, .pty.columns = UINT16_MAX);
  REFUSED("pty.flags", .argv = argv, .flags = COVEY_PROCESS_PTY, .pty.flags = 2);
  REFUSED("scope with PTY", .argv = argv, .flags = COVEY_PROCESS_PTY, .scope = COVEY_SCOPE_SHARED);
  REFUSED("FOREGROUND with PTY", .argv = argv, .flags = COVEY_PROCESS_PTY | COVEY_PROCESS_FOREGROUND);
  REFUSED("scope with FOREGROUND", .argv = argv, .flags = COVEY_PROCESS_FOREGROUND,
          .scope = COVEY_SCOPE_SHARED);
  REFUSED("in with PTY", .argv = argv, .flags = COVEY_PROCESS_PTY, .in.kind = COVEY_STDIO_NULL);
  REFUSED("out with PTY", .argv = argv, .flags = COVEY_PROCESS_PTY, .out.kind = COVEY_STDIO_INHERIT);
  if (!test_is_windows())
    REFUSED("SOCKET with PTY", .argv = argv, .flags = COVEY_PROCESS_PTY, .out.kind = COVEY_STDIO_CAPTURE,
            .out.flags = COVEY_STDIO_SOCKET);
  REFUSED("err with PTY", .argv = argv, .flags = COVEY_PROCESS_PTY, .err.kind = COVEY_STDIO_CAPTURE);
  for (int i = 0; i < 32; i++)
    if (!((unsigned)COVEY_PROCESS_FLAGS & 1u << i)) REFUSED("flags", .argv = argv, .flags = 1u << i);
  REFUSED("KEEP_HEAD with KEEP_ENDS", .argv = argv,
          .flags = COVEY_PROCESS_KEEP_HEAD | COVEY_PROCESS_KEEP_ENDS);
  REFUSED("reserved", .argv = argv, .reserved0 = 1);
  for (int i = 0; i < (int)(sizeof((covey_process_options *)0)->reserved / sizeof(uint64_t)); i++) {
    covey_process_options options = {.argv = argv};
    options.reserved[i] = 1;
    CHECK_STR(refused(options)->what, "reserved");
  }
}

/* launch.h: the same way, for what launch points to. */
TEST(wrong_process, launch)
{
  const char *const *argv = nothing();
  const uint64_t none = 0, first = 1;
  const covey_limit unknown = {.kind = 0}, beyond = {.kind = COVEY_LIMIT_PROCESSES + 1};
  const covey_limit crossed = {.kind = COVEY_LIMIT_FILES, .soft = 2, .hard = 1};
  const covey_limit reserved = {.kind = COVEY_LIMIT_FILES, .reserved0 = 1};
  const covey_limit twice[] = {{.kind = COVEY_LIMIT_FILES}, {.kind = COVEY_LIMIT_FILES}};

#define LAUNCH(...) .argv = argv, .launch = &(covey_launch){__VA_ARGS__}
  REFUSED("launch.flags", LAUNCH(.flags = 8));
  REFUSED("launch.umask", LAUNCH(.umask = 1));
  REFUSED("launch.umask", LAUNCH(.flags = COVEY_LAUNCH_UMASK, .umask = 01000));
  REFUSED("launch.user", LAUNCH(.user = ""));
  REFUSED("launch.group", LAUNCH(.group = ""));
  REFUSED("launch.groups", LAUNCH(.groups = TEST_WORDS("0", "")));
  REFUSED("launch.priority", LAUNCH(.priority = -1));
  REFUSED("launch.priority", LAUNCH(.priority = COVEY_PRIORITY_HIGHEST + 1));
  REFUSED("launch.window", LAUNCH(.window = -1));
  REFUSED("launch.window", LAUNCH(.window = COVEY_WINDOW_MINIMIZED + 1));
  REFUSED("launch.window with scope SHARED", LAUNCH(.window = COVEY_WINDOW_NONE),
          .scope = COVEY_SCOPE_SHARED);
  REFUSED("launch.affinity", LAUNCH(.affinity = &none, .affinity_count = 1));
  REFUSED("launch.affinity", LAUNCH(.affinity = &first));
  REFUSED("launch.affinity", LAUNCH(.affinity_count = 1));
  REFUSED("launch.limits", LAUNCH(.limit_count = 1));
  REFUSED("launch.limits", LAUNCH(.limits = &unknown, .limit_count = 1));
  REFUSED("launch.limits", LAUNCH(.limits = &beyond, .limit_count = 1));
  REFUSED("launch.limits", LAUNCH(.limits = &crossed, .limit_count = 1));
  REFUSED("launch.limits", LAUNCH(.limits = &reserved, .limit_count = 1));
  REFUSED("launch.limits", LAUNCH(.limits = twice, .limit_count = 2));
  REFUSED("launch.tree_memory", LAUNCH(.tree_memory = UINT64_MAX));
  REFUSED("launch.tree_cpu", LAUNCH(.tree_cpu = 9));
  REFUSED("launch.tree_cpu", LAUNCH(.tree_cpu = 1000001));
  REFUSED("launch.tree_memory without a tree", LAUNCH(.tree_memory = 1), .scope = COVEY_SCOPE_SHARED);
  REFUSED("launch.tree_processes without a tree", LAUNCH(.tree_processes = 1), .scope = COVEY_SCOPE_SHARED);
  REFUSED("launch.tree_cpu without a tree", LAUNCH(.tree_cpu = 1000), .scope = COVEY_SCOPE_SHARED);
  for (int i = 0; i < 8; i++) {
    covey_launch launch = {0};
    launch.reserved[i] = 1;
    CHECK_STR(refused((covey_process_options){.argv = argv, .launch = &launch})->what, "launch.reserved");
  }
#undef LAUNCH
}

TEST(wrong_process, ladder)
{
  const char *const *argv = nothing();
  static const covey_stop_step bad[][2] = {
      {{.action = 0}, {.action = COVEY_STOP_KILL}},
      {{.action = COVEY_STOP_KILL + 1}, {.action = COVEY_STOP_KILL}},
      {{.action = COVEY_STOP_KILL}, {.action = COVEY_STOP_KILL}},
      {{COVEY_STOP_ASK, COVEY_SIGNAL_TERM, 0}, {.action = COVEY_STOP_KILL}},
      {{.action = COVEY_STOP_SIGNAL}, {.action = COVEY_STOP_KILL}},
      {{COVEY_STOP_SIGNAL, COVEY_SIGNAL_KILL, 0}, {.action = COVEY_STOP_KILL}},
      {{COVEY_STOP_SIGNAL, -1, 0}, {.action = COVEY_STOP_KILL}},
      {{COVEY_STOP_ASK, 0, COVEY_FOREVER}, {.action = COVEY_STOP_KILL}},
      {{COVEY_STOP_ASK, 0, -2}, {.action = COVEY_STOP_KILL}},
  };
  static const covey_stop_step late = {COVEY_STOP_KILL, 0, 1},
                               many[COVEY_LADDER_MOST + 1] = {{.action = COVEY_STOP_ASK}};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REFUSED("ladder", .argv = argv, .ladder = bad[i], .ladder_count = 2);
    CHECK_INT(covey_last_failure()->index, 0);
  }
  REFUSED("ladder", .argv = argv, .ladder = &late, .ladder_count = 1);
  REFUSED("ladder", .argv = argv, .ladder = many, .ladder_count = COVEY_LADDER_MOST + 1);
  REFUSED("ladder", .argv = argv, .ladder = many);
  REFUSED("ladder", .argv = argv, .ladder_count = 1);
  REFUSED("grace with ladder", .argv = argv, .ladder = many, .ladder_count = 1, .grace = 1);
}

TEST(wrong_process, several_and_usage)
{
  covey_process *p = NULL, *two[2] = {NULL, NULL};
  covey_usage u;
  size_t index;

  test_fill(&u, sizeof u);
  test_fill(&index, sizeof index);
  CHECK_WRONG(covey_process_usage(NULL, COVEY_TARGET_LEADER, &u));
  REQUIRE_OK(
      covey_spawn(&(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL}, &p));
  CHECK_WRONG(covey_process_usage(p, COVEY_TARGET_LEADER, NULL));
  CHECK_WRONG(covey_process_usage(p, 2, &u));
  two[0] = p;
  CHECK_WRONG(covey_process_wait_any(NULL, 1, 0, &index));
  CHECK_WRONG(covey_process_wait_any(two, 0, 0, &index));
  CHECK_WRONG(covey_process_wait_any(two, 2, 0, &index));
  CHECK_INT(covey_last_failure()->index, 1);
  CHECK_WRONG(covey_process_wait_any(two, 1, -2, &index));
  CHECK_WRONG(covey_process_wait_any(two, 1, 0, NULL));
  CHECK_WRONG(covey_process_wait_all(NULL, 1, 0));
  CHECK_WRONG(covey_process_wait_all(two, 0, 0));
  CHECK_WRONG(covey_process_wait_all(two, 2, 0));
  CHECK_WRONG(covey_process_wait_all(two, 1, -2));
  CHECK(test_is_filled(&u, sizeof u) && test_is_filled(&index, sizeof index));
  covey_process_close(p);
}

static void never(void *user, covey_process *process, const covey_failure *failure)
{
  (void)user;
  (void)failure;
  covey_process_close(process);
  TEST_FAIL("nothing was started");
}

TEST(wrong_process, start)
{
  covey_starting *s;
  covey_process_options o = {.argv = nothing()};

  test_fill(&s, sizeof s);
  CHECK_WRONG(covey_spawn_start(NULL, never, NULL, &s));
  CHECK_WRONG(covey_spawn_start(&o, NULL, NULL, &s));
  o.timeout = -2;
  CHECK_WRONG(covey_spawn_start(&o, never, NULL, &s));
  CHECK(test_is_filled(&s, sizeof s));
  covey_starting_close(NULL);
}

/* What covey_run alone refuses. */
TEST(wrong_process, run)
{
  const char *const *argv = nothing();
  covey_result r;

  test_fill(&r, sizeof r);
  CHECK_WRONG(covey_run(&(covey_process_options){.argv = argv, .in.kind = COVEY_STDIO_PIPE}, &r));
  CHECK_WRONG(covey_run(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE}, &r));
  CHECK_WRONG(covey_run(&(covey_process_options){.argv = argv, .err.kind = COVEY_STDIO_PIPE}, &r));
  CHECK_WRONG(covey_run(&(covey_process_options){.argv = argv, .scope = COVEY_SCOPE_DETACHED}, &r));
  CHECK_WRONG(covey_run(&(covey_process_options){.argv = argv, .loop = (covey_loop *)&r}, &r));
  CHECK(test_is_filled(&r, sizeof r));
  covey_result_free(NULL);
  memset(&r, 0, sizeof r);
  covey_result_free(&r);
}

static void stream_refused(int index, covey_stdio stream)
{
  covey_process_options options = {.argv = nothing()};

  *(index == 0 ? &options.in : index == 1 ? &options.out : &options.err) = stream;
  CHECK_INT(refused(options)->index, index);
}

TEST(wrong_process, streams)
{
  for (int i = 0; i < 3; i++) {
    stream_refused(i, (covey_stdio){.kind = -1});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_LINES + 1});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_FILE});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_FILE, .path = ""});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_APPEND});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_FILE_NEW, .path = ""});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_NULL, .path = "x"});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_NATIVE, .native = COVEY_NATIVE_NONE});
    stream_refused(i, (covey_stdio){.flags = COVEY_STDIO_SOCKET}); /* for streams that we hold an end of */
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_NULL, .flags = COVEY_STDIO_SOCKET});
    stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_PIPE, .flags = COVEY_STDIO_SOCKET << 1});
    stream_refused(i, (covey_stdio){.reserved = {1}});
    stream_refused(i, (covey_stdio){.reserved = {0, 1}});
    if (i < 2) stream_refused(i, (covey_stdio){.kind = COVEY_STDIO_MERGE});
  }
  for (int i = 0; i < 3; i++) {
    covey_process_options o = {.argv = nothing()};
    (i == 0 ? &o.in : i == 1 ? &o.out : &o.err)->kind = COVEY_STDIO_PIPE;
    CHECK_WRONG(covey_run(&o, NULL));
    CHECK_INT(covey_last_failure()->index, i);
    CHECK(strstr(covey_last_failure()->what, "PIPE of a run"));
  }
  stream_refused(0, (covey_stdio){.kind = COVEY_STDIO_CAPTURE});
  stream_refused(0, (covey_stdio){.kind = COVEY_STDIO_LINES});
  stream_refused(0, (covey_stdio){.kind = COVEY_STDIO_APPEND, .path = "x"});
  stream_refused(0, (covey_stdio){.kind = COVEY_STDIO_FILE_NEW, .path = "x"});
}

static void pass_refused(int index, const covey_pass *pass, size_t count)
{
  CHECK_INT(refused((covey_process_options){.argv = nothing(), .pass = pass, .pass_count = count})->index,
            index);
}

TEST(wrong_process, passed_on)
{
  covey_native some;

  memset(&some, 0, sizeof some);
  pass_refused(-1, NULL, 1);
  pass_refused(0, &(covey_pass){.native = COVEY_NATIVE_NONE, .child = 3}, 1);
  pass_refused(0, &(covey_pass){.native = some, .child = 3, .reserved0 = 1}, 1);
  if (test_is_windows()) {
    pass_refused(0, &(covey_pass){.native = some, .child = 3}, 1);
  } else {
    for (int i = -1; i < 3; i++) pass_refused(0, &(covey_pass){.native = some, .child = i}, 1);
    pass_refused(1, (covey_pass[]){{.native = some, .child = 3}, {.native = some, .child = 3}}, 2);
  }
}

TEST(wrong_process, without_a_process)
{
  covey_identity who;
  covey_exit e;
  char data[4];
  covey_line line;

  test_fill(&line, sizeof line);
  test_fill(&who, sizeof who);
  test_fill(&e, sizeof e);
  test_fill(data, sizeof data);
  CHECK_WRONG(covey_process_pid(NULL));
  CHECK_WRONG(covey_process_identity(NULL, &who));
  CHECK_WRONG(covey_process_wait(NULL, 0, &e));
  CHECK_WRONG(covey_process_read(NULL, COVEY_STDOUT, 0, data, sizeof data));
  CHECK_WRONG(covey_process_read_line(NULL, 0, &line));
  CHECK_WRONG(covey_process_on_end(NULL, NULL, NULL));
  CHECK_WRONG(covey_process_write(NULL, "x", 1, 0));
  CHECK_WRONG(covey_process_close_input(NULL));
  CHECK_WRONG(covey_process_resize(NULL, 24, 80));
  CHECK_WRONG(covey_process_signal(NULL, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER));
  CHECK_WRONG(covey_process_stop(NULL, 0, &e));
  CHECK_WRONG(covey_process_stop_start(NULL, 0));
  CHECK_WRONG(covey_process_kill(NULL));
  CHECK_WRONG(covey_process_detach(NULL));
  covey_process_cancel(NULL);
  covey_process_close(NULL);
  CHECK(test_is_filled(&who, sizeof who) && test_is_filled(&e, sizeof e) &&
        test_is_filled(data, sizeof data) && test_is_filled(&line, sizeof line));
}

static int take_line(const covey_line *line, void *user)
{
  (void)line;
  (void)user;
  return 0;
}

static int take_output(int stream, const void *data, size_t size, void *user)
{
  (void)stream;
  (void)data;
  (void)size;
  (void)user;
  return 0;
}

TEST(wrong_process, callbacks)
{
  const char *const *argv = nothing();
  covey_process *p;
  covey_line line;
  covey_result r;

  REFUSED("on_output without CAPTURE or PIPE", .argv = argv, .on_output = take_output);
  REFUSED("on_output without CAPTURE or PIPE", .argv = argv, .on_output = take_output,
          .out.kind = COVEY_STDIO_LINES, .on_line = take_line);
  REFUSED("on_line without LINES", .argv = argv, .on_line = take_line, .out.kind = COVEY_STDIO_CAPTURE);
  REFUSED("on_output beside LINES without on_line", .argv = argv, .on_output = take_output,
          .out.kind = COVEY_STDIO_LINES, .err.kind = COVEY_STDIO_CAPTURE);
  REFUSED("line_max without LINES", .argv = argv, .line_max = 1);
  REFUSED("line_max", .argv = argv, .line_max = SIZE_MAX, .on_line = take_line,
          .err.kind = COVEY_STDIO_LINES);
  test_fill(&r, sizeof r);
  CHECK_WRONG(covey_run(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_LINES}, &r));
  CHECK_STR(covey_last_failure()->what, "LINES without on_line");
  CHECK(test_is_filled(&r, sizeof r));

  test_fill(&line, sizeof line);
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE}, &p));
  CHECK_ERR(covey_process_read_line(p, 0, &line), COVEY_EINVAL); /* no lines */
  covey_process_close(p);
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_LINES}, &p));
  CHECK_WRONG(covey_process_read_line(p, -2, &line));
  CHECK_WRONG(covey_process_read_line(p, 0, NULL));
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, &r, 1), COVEY_EINVAL); /* no bytes */
  covey_process_close(p);
  REQUIRE_OK(covey_spawn(
      &(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_LINES, .on_line = take_line}, &p));
  CHECK_ERR(covey_process_read_line(p, 0, &line), COVEY_EINVAL); /* on_line takes them */
  covey_process_close(p);
  CHECK(test_is_filled(&line, sizeof line));
}

TEST(wrong_process, adopt)
{
  covey_process *p;

  test_fill(&p, sizeof p);
  CHECK_WRONG(covey_process_adopt(0, 0, NULL, &p));
  CHECK_WRONG(covey_process_adopt(-1, 0, NULL, &p));
  CHECK_WRONG(covey_process_adopt(INT64_MIN, 0, NULL, &p));
  CHECK_WRONG(covey_process_adopt(test_pid(), 0, NULL, &p)); /* ourselves */
  CHECK_WRONG(covey_process_adopt(1, 0, NULL, NULL));
  CHECK_ERR(covey_process_adopt(0x7ffffff0, 0, NULL, &p), COVEY_ENOTFOUND);
  CHECK_ERR(covey_process_adopt(INT64_MAX, 0, NULL, &p), COVEY_ENOTFOUND);
  CHECK_ERR(covey_process_adopt(((int64_t)1 << 32) + test_pid(), 0, NULL, &p), COVEY_ENOTFOUND); /* not cut */
  CHECK(test_is_filled(&p, sizeof p));
}

/* A child that is there, asked for what makes no sense; it does not notice. */
TEST(wrong_process, every_call)
{
  covey_process_options piped = {
      .argv = TEST_HELPER("echo-line"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE};
  covey_process *p;
  covey_exit e;
  char data[4];

  test_fill(&e, sizeof e);
  test_fill(data, sizeof data);
  REQUIRE_OK(covey_spawn(&piped, &p));
  CHECK_WRONG(covey_process_identity(p, NULL));
  CHECK_WRONG(covey_process_resize(p, 0, 80));
  CHECK_WRONG(covey_process_resize(p, 24, 32768));
  CHECK_WRONG(covey_process_resize(p, 24, -1));
  CHECK_WRONG(covey_process_wait(p, -2, &e));
  CHECK_WRONG(covey_process_read(p, COVEY_STDIN, 0, data, sizeof data));
  CHECK_WRONG(covey_process_read(p, 3, 0, data, sizeof data));
  CHECK_WRONG(covey_process_read(p, -1, 0, data, sizeof data));
  CHECK_WRONG(covey_process_read(p, COVEY_STDOUT, 0, NULL, sizeof data));
  CHECK_WRONG(covey_process_read(p, COVEY_STDOUT, 0, data, 0));
  CHECK_WRONG(covey_process_read(p, COVEY_STDOUT, -2, data, sizeof data));
  CHECK_ERR(covey_process_read(p, COVEY_STDERR, 0, data, sizeof data), COVEY_EINVAL); /* no pipe */
  CHECK_WRONG(covey_process_write(p, NULL, 1, 0));
  CHECK_WRONG(covey_process_write(p, "x", 1, -2));
  CHECK_INT(covey_process_write(p, NULL, 0, 0), 0);
  CHECK_WRONG(covey_process_signal(p, 0, COVEY_TARGET_LEADER));
  CHECK_WRONG(covey_process_signal(p, -1, COVEY_TARGET_TREE));
  CHECK_WRONG(covey_process_signal(p, COVEY_SIGNAL_TERM, 2));
  CHECK_WRONG(covey_process_signal(p, COVEY_SIGNAL_TERM, -1));
  CHECK_WRONG(covey_process_stop(p, -2, &e));
  CHECK_WRONG(covey_process_stop_start(p, -2));
  CHECK(test_is_filled(&e, sizeof e) && test_is_filled(data, sizeof data));
  CHECK_INT(covey_process_write(p, "\n", 1, TEST_SOON), 1);
  CHECK_INT(covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, 1), 1); /* it answers */
  CHECK_OK(covey_process_close_input(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
}
