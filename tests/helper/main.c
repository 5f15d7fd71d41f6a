#include "helper.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536 };

static unsigned char buffer[CHUNK];

void helper_write(int stream, const void *data, size_t size)
{
  const char *p = data;
  while (size > 0) {
    int64_t n = helper_system_write(stream, p, size);
    if (n <= 0) exit(HELPER_NO_OUTPUT);
    p += n;
    size -= (size_t)n;
  }
}

void helper_print(int stream, const char *format, ...)
{
  char text[4096];
  va_list args;
  int n;
  va_start(args, format);
  n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (n > 0) helper_write(stream, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void helper_pattern(unsigned char *data, size_t size, uint64_t from)
{
  for (size_t i = 0; i < size; i++) data[i] = (unsigned char)((from + i) % 251);
}

static int64_t number(int argc, char **argv, int at, int64_t otherwise)
{
  return at < argc ? strtoll(argv[at], NULL, 0) : otherwise;
}

/* In pieces: the thread sanitizer holds back a signal that comes as a sleep begins until it is over. */
static int hang(void)
{
  for (int i = 0; i < 600; i++) helper_pause(1000);
  return HELPER_TIRED;
}

static int ready_and_hang(void)
{
  helper_print(1, "ready\n");
  return hang();
}

/* ---- how it ends ---- */

static int do_nothing(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return 0;
}

static int do_exit(int argc, char **argv)
{
  helper_exit((uint32_t)number(argc, argv, 1, 0));
  return 0;
}

static int do_big_exit(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_exit(0x12345678u);
  return 0;
}

static int do_crash(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_crash();
  return 0;
}

static int do_abort(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  abort();
}

static int do_signal(int argc, char **argv)
{
  helper_signal((int)number(argc, argv, 1, 9));
  return HELPER_NOT_HERE;
}

static int do_sleep(int argc, char **argv)
{
  helper_pause(number(argc, argv, 1, 0));
  return 0;
}

static int do_hang(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return ready_and_hang();
}

static int do_ignore(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_ignore_requests();
  return ready_and_hang();
}

static int do_stop(int argc, char **argv)
{
  helper_answer_requests("stopping\n", number(argc, argv, 1, 0), HELPER_STOPPED);
  return ready_and_hang();
}

static int do_stop_at_end(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_ignore_requests();
  helper_print(1, "ready\n");
  while (helper_system_read(buffer, CHUNK) > 0) continue;
  helper_print(1, "stopping\n");
  return HELPER_STOPPED;
}

/* ---- what it was given ---- */

static void bracketed(const char *text, bool hex)
{
  size_t size = strlen(text);
  helper_print(1, "[%llu]", (unsigned long long)size);
  if (!hex) helper_write(1, text, size);
  for (size_t i = 0; hex && i < size; i++) helper_print(1, "%02x", (unsigned char)text[i]);
  helper_write(1, "\n", 1);
}

static int do_args(int argc, char **argv)
{
  bool hex = strcmp(argv[0], "args-hex") == 0;
  for (int i = 1; i < argc; i++) bracketed(argv[i], hex);
  return 0;
}

static int do_command_line(int argc, char **argv)
{
  const char *line = helper_command_line();
  (void)argc;
  (void)argv;
  if (!line) return HELPER_NOT_HERE;
  helper_write(1, line, strlen(line));
  return 0;
}

static int do_env(int argc, char **argv)
{
  const char *v;
  for (size_t i = 0; argc == 1 && (v = helper_variable(i)); i++) bracketed(v, false);
  for (int i = 1; i < argc; i++)
    if ((v = helper_value(argv[i])))
      bracketed(v, false);
    else
      helper_print(1, "unset\n");
  return 0;
}

static int do_cwd(int argc, char **argv)
{
  const char *cwd = helper_cwd();
  (void)argc;
  (void)argv;
  if (!cwd) return HELPER_NOT_HERE;
  helper_write(1, cwd, strlen(cwd));
  helper_write(1, "\n", 1);
  return 0;
}

static int do_isatty(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "%d %d %d\n", helper_is_terminal(0), helper_is_terminal(1), helper_is_terminal(2));
  return 0;
}

static int do_pid(int argc, char **argv)
{
  (void)argc;
  helper_print(1, "%lld\n", (long long)(strcmp(argv[0], "parent") == 0 ? helper_parent() : helper_pid()));
  return 0;
}

/* ---- streams ---- */

static int do_cat(int argc, char **argv)
{
  int64_t n;
  (void)argc;
  (void)argv;
  while ((n = helper_system_read(buffer, CHUNK)) > 0) helper_write(1, buffer, (size_t)n);
  return 0;
}

static void write_pattern(int stream, uint64_t from, uint64_t size)
{
  while (size > 0) {
    size_t n = size < CHUNK ? (size_t)size : CHUNK;
    helper_pattern(buffer, n, from);
    helper_write(stream, buffer, n);
    from += n;
    size -= n;
  }
}

static int do_out(int argc, char **argv)
{
  write_pattern(strcmp(argv[0], "err") == 0 ? 2 : 1, 0, (uint64_t)number(argc, argv, 1, 0));
  return 0;
}

static int do_both(int argc, char **argv)
{
  uint64_t size[2] = {(uint64_t)number(argc, argv, 1, 0), (uint64_t)number(argc, argv, 2, 0)};
  uint64_t done[2] = {0, 0};
  while (done[0] < size[0] || done[1] < size[1])
    for (int i = 0; i < 2; i++) {
      uint64_t n = size[i] - done[i] < 1024 ? size[i] - done[i] : 1024;
      write_pattern(i + 1, done[i], n);
      done[i] += n;
    }
  return 0;
}

static int do_lines(int argc, char **argv)
{
  int64_t n = number(argc, argv, 1, 1);
  for (int64_t i = 0; i < n; i++) helper_print(1, "line %lld\n", (long long)i);
  return 0;
}

static int do_flood(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  for (uint64_t from = 0; from < UINT64_MAX - CHUNK; from += CHUNK) write_pattern(1, from, CHUNK);
  return 0;
}

static int do_drip(int argc, char **argv)
{
  for (int64_t i = number(argc, argv, 1, 1); i > 0; i--) {
    helper_pause((int)number(argc, argv, 2, 100));
    helper_write(1, "drop\n", 5);
  }
  return 0;
}

static int do_say(int argc, char **argv)
{
  int stream = strcmp(argv[0], "say-err") == 0 ? 2 : 1;
  for (int i = 1; i < argc; i++) {
    helper_write(stream, argv[i], strlen(argv[i]));
    helper_write(stream, "\n", 1);
  }
  return 0;
}

static int do_read(int argc, char **argv)
{
  int64_t left = number(argc, argv, 1, 0), n;
  for (; left > 0; left -= n)
    if ((n = helper_system_read(buffer, left < CHUNK ? (size_t)left : CHUNK)) <= 0) return HELPER_EARLY_END;
  return 0;
}

static int do_slow_read(int argc, char **argv)
{
  int64_t size = number(argc, argv, 1, 1), ms = number(argc, argv, 2, 10), n, total = 0;
  if (size < 1 || size > CHUNK) return HELPER_USAGE;
  while ((n = helper_system_read(buffer, (size_t)size)) > 0) {
    total += n;
    helper_pause(ms);
  }
  helper_print(1, "%lld\n", (long long)total);
  return 0;
}

static int do_count(int argc, char **argv)
{
  static unsigned char wanted[CHUNK];
  uint64_t total = 0;
  bool same = true;
  int64_t n;
  (void)argc;
  (void)argv;
  while ((n = helper_system_read(buffer, CHUNK)) > 0) {
    helper_pattern(wanted, (size_t)n, total);
    if (memcmp(wanted, buffer, (size_t)n) != 0) same = false;
    total += (uint64_t)n;
  }
  helper_print(1, "%llu %s\n", (unsigned long long)total, same ? "pattern" : "other");
  return 0;
}

static int do_echo_line(int argc, char **argv)
{
  size_t size = 0;
  (void)argc;
  (void)argv;
  while (size < CHUNK && helper_system_read(buffer + size, 1) == 1)
    if (buffer[size++] == '\n') {
      helper_write(1, buffer, size);
      size = 0;
    }
  if (size) helper_write(1, buffer, size);
  return 0;
}

static int do_close_in(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_close(0);
  return ready_and_hang();
}

static int do_close_out(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_close(1);
  helper_close(2);
  return hang();
}

/* ---- cost ---- */

static int do_burn(int argc, char **argv)
{
  int64_t ms = number(argc, argv, 1, 50), end = helper_now() + 60000;
  volatile uint64_t x = 1;
  while (helper_cpu() < ms && helper_now() < end)
    for (int i = 0; i < 100000; i++) x = x * 6364136223846793005u + 1;
  return 0;
}

static int do_use_memory(int argc, char **argv)
{
  size_t size = (size_t)number(argc, argv, 1, 1 << 20);
  volatile char *p = malloc(size);
  if (!p) return HELPER_NOT_HERE;
  for (size_t i = 0; i < size; i += 1024) p[i] = (char)i;
  free((void *)(uintptr_t)p);
  return 0;
}

/* ---- families ---- */

static int started(int64_t pid)
{
  if (pid < 0) return HELPER_NO_START;
  helper_print(1, "%lld\n", (long long)pid);
  return 0;
}

static int do_spawn_holding(int argc, char **argv)
{
  const char *child[] = {"sleep", argc > 1 ? argv[1] : "1000"};
  return started(helper_start(2, child, 0));
}

static int do_leave(int argc, char **argv)
{
  const char *child[] = {"hang"};
  (void)argc;
  (void)argv;
  return started(helper_start(1, child, HELPER_QUIET));
}

static int do_tree(int argc, char **argv)
{
  int64_t depth = number(argc, argv, 1, 1), width = number(argc, argv, 2, 1);
  char down[24];
  const char *child[] = {"tree", down, argc > 2 ? argv[2] : "1"};
  snprintf(down, sizeof down, "%lld", (long long)(depth - 1));
  helper_print(1, "%lld\n", (long long)helper_pid());
  for (int64_t i = 0; depth > 0 && i < width; i++)
    if (helper_start(3, child, 0) < 0) return HELPER_NO_START;
  return hang();
}

/* setsid, daemon: the grandchild leaves; with the argument exit the leader goes too. */
static int do_escape(int argc, char **argv)
{
  bool burns = strcmp(argv[0], "setsid-burn") == 0;
  const char *child[] = {burns ? "burn" : "hang", "600000"};
  unsigned flags = HELPER_QUIET | HELPER_SESSION | (strcmp(argv[0], "daemon") == 0 ? HELPER_ESCAPE : 0);
  int r = started(helper_start(burns ? 2 : 1, child, flags));
  if (r != 0 || (argc > 1 && strcmp(argv[1], "exit") == 0)) return r;
  return hang();
}

static const helper_behaviour basic[] = {
    {"nothing", do_nothing, "exits with 0"},
    {"exit", do_exit, "CODE (32 bits on Windows)"},
    {"exit-code-big", do_big_exit, "exits with 0x12345678"},
    {"crash", do_crash, "a fault: SIGSEGV, 0xC0000005"},
    {"abort", do_abort, "abort()"},
    {"signal", do_signal, "NUMBER: ends by that signal (POSIX)"},
    {"sleep", do_sleep, "MS"},
    {"hang", do_hang, "writes ready, hangs"},
    {"ignore", do_ignore, "ignores polite requests, writes ready, hangs"},
    {"stop", do_stop, "[MS]: writes ready; when asked writes stopping, waits MS and exits with 7"},
    {"stop-at-end", do_stop_at_end,
     "ignores polite requests, writes ready; at the end of stdin stopping, exits with 7"},
    {"args", do_args, "ARG...: writes [size]bytes for each"},
    {"args-hex", do_args, "ARG...: writes [size]hex for each"},
    {"command-line", do_command_line, ": writes its command line as it came (Windows)"},
    {"env", do_env, "[NAME...]: [size]NAME=value of all, or [size]value or unset for each name"},
    {"cwd", do_cwd, "writes the current directory"},
    {"isatty", do_isatty, "writes 0 or 1 for each of the three streams"},
    {"pid", do_pid, "writes its pid"},
    {"parent", do_pid, "writes its parent's pid"},
    {"cat", do_cat, "stdin to stdout"},
    {"out", do_out, "SIZE: the pattern to stdout"},
    {"err", do_out, "SIZE: the pattern to stderr"},
    {"both", do_both, "SIZE SIZE: the pattern to stdout and stderr, in turns of 1024 bytes"},
    {"drip", do_drip, "COUNT MS: waits and writes drop, so often"},
    {"lines", do_lines, "COUNT: line 0, line 1, ..."},
    {"say", do_say, "TEXT...: each as a line to stdout"},
    {"say-err", do_say, "TEXT...: each as a line to stderr"},
    {"flood", do_flood, "the pattern to stdout, without end"},
    {"read", do_read, "SIZE: reads as much from stdin; exits with 21 when there is less"},
    {"slow-read", do_slow_read, "SIZE MS: reads at most SIZE bytes every MS until the end, writes the total"},
    {"count", do_count, "reads stdin to its end, writes the size and pattern or other"},
    {"echo-line", do_echo_line, "echoes line by line"},
    {"close-in", do_close_in, "closes stdin, writes ready, hangs"},
    {"close-out", do_close_out, "closes stdout and stderr, hangs"},
    {"burn", do_burn, "MS: uses that much CPU time"},
    {"use-memory", do_use_memory, "SIZE: touches that much memory"},
    {"spawn-holding", do_spawn_holding,
     "MS: starts a grandchild that holds our streams for MS, writes its pid, exits"},
    {"leave", do_leave, "starts a grandchild that hangs without our streams, writes its pid, exits"},
    {"tree", do_tree,
     "DEPTH WIDTH: every process writes its pid and hangs; 1 + WIDTH + ... + WIDTH^DEPTH of them"},
    {"setsid", do_escape,
     "[exit]: a grandchild in a session of its own hangs; writes its pid, hangs (exits)"},
    {"setsid-burn", do_escape, "[exit]: as setsid, and the grandchild uses CPU time without end"},
    {"daemon", do_escape, "[exit]: the same after a double fork"},
    {"handles", helper_handles,
     "[NUMBER...]: open descriptors beyond 2 (POSIX), or NUMBER open|closed for each"},
    {"signals", helper_signals, "writes blocked: N... and ignored: N..."},
    {"group", helper_group, "writes group and session"},
    {"give-handles", helper_give_handles, "N: so many bytes to stdout, each with a descriptor (POSIX)"},
    {"read-out", helper_read_out, "reads stdout, writes end when nothing can come (POSIX)"},
    {"attributes", helper_attributes, "writes priority, number of processors, show command of its window"},
    {NULL, NULL, NULL},
};

static const helper_behaviour *const helper_tables[] = {
    basic,          helper_stream, helper_seam, helper_node,      helper_step, helper_call,   helper_act,
    helper_channel, helper_topic,  helper_host, helper_signalled, helper_tty,  helper_recycle};

int helper_run(int argc, char **argv)
{
  for (size_t t = 0; t < sizeof helper_tables / sizeof helper_tables[0]; t++)
    for (const helper_behaviour *b = helper_tables[t]; b->name; b++)
      if (strcmp(b->name, argv[0]) == 0) return b->run(argc, argv);
  helper_print(2, "covey_test_helper: no behaviour is called %s\n", argv[0]);
  return HELPER_USAGE;
}

int main(int argc, char **argv)
{
  helper_begin(&argc, &argv);
  if (argc > 1) return helper_run(argc - 1, argv + 1);
  for (size_t t = 0; t < sizeof helper_tables / sizeof helper_tables[0]; t++)
    for (const helper_behaviour *b = helper_tables[t]; b->name; b++)
      helper_print(2, "%-14s %s\n", b->name, b->usage);
  return HELPER_USAGE;
}
