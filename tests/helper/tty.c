/* Behaviours on a terminal. Each first makes its streams the console where the system has not (wine). */
#include "helper.h"

#include <stdlib.h>
#include <string.h>

static int begin(void)
{
  return helper_terminal() ? 0 : HELPER_NOT_HERE;
}

static void print_size(void)
{
  int rows = -1, columns = -1;
  helper_terminal_size(&rows, &columns);
  helper_print(1, "size %d %d\n", rows, columns);
}

static int do_tty(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  if (begin()) return HELPER_NOT_HERE;
  helper_print(1, "terminal %d %d %d\n", helper_is_terminal(0), helper_is_terminal(1), helper_is_terminal(2));
  print_size();
  helper_print(1, "echo %d\n", helper_terminal_echo());
  helper_print(1, "own %d\n", helper_terminal_own());
  return 0;
}

static int do_tty_watch(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  if (begin()) return HELPER_NOT_HERE;
  print_size();
  for (int i = 0; i < 100 && helper_terminal_resized(60000); i++) print_size();
  return HELPER_TIRED;
}

static int do_tty_lines(int argc, char **argv)
{
  static char line[16384];
  int64_t n;
  (void)argc;
  (void)argv;
  if (begin()) return HELPER_NOT_HERE;
  helper_print(1, "ready\n");
  while ((n = helper_system_read(line, sizeof line)) > 0) {
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
    helper_print(1, "[%lld]", (long long)n);
    helper_write(1, line, n < 100 ? (size_t)n : 100);
    helper_write(1, "\n", 1);
  }
  helper_print(1, "end\n");
  return 0;
}

static int do_tty_out(int argc, char **argv)
{
  int64_t count = argc > 1 ? strtoll(argv[1], NULL, 0) : 1;
  if (begin()) return HELPER_NOT_HERE;
  for (int64_t i = 0; i < count; i++) helper_print(1, "line %07lld of a long output\n", (long long)i);
  return 0;
}

static int do_tty_hold(int argc, char **argv)
{
  const char *child[] = {"sleep", argc > 1 ? argv[1] : "1000"};
  if (begin()) return HELPER_NOT_HERE;
  int64_t pid = helper_start(2, child, HELPER_SESSION);
  if (pid < 0) return HELPER_NO_START;
  helper_print(1, "%lld\n", (long long)pid);
  return 0;
}

static int do_tty_hang(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  if (begin()) return HELPER_NOT_HERE;
  helper_print(1, "ready\n");
  helper_pause(600000);
  return HELPER_TIRED;
}

const helper_behaviour helper_tty[] = {
    {"tty", do_tty, "its terminal: terminal 1 1 1, size ROWS COLUMNS, echo 0, own 1"},
    {"tty-watch", do_tty_watch, "writes size ROWS COLUMNS, and again when it changes"},
    {"tty-lines", do_tty_lines, "writes ready, [size]text for each line, and end at the end"},
    {"tty-out", do_tty_out, "COUNT: so many lines of 30 bytes"},
    {"tty-hold", do_tty_hold,
     "MS: a grandchild in another session holds the terminal for MS; writes its pid, exits"},
    {"tty-hang", do_tty_hang, "writes ready, hangs"},
    {NULL, NULL, NULL},
};
