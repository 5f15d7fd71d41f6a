/* Behaviours on a terminal. Each first makes its streams the console where the system has not (wine). */
#include "helper.h"

#include <covey/process.h>
#include <covey/self.h>

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
  helper_print(1, "hears %d\n", helper_terminal_heard());
  return 0;
}

static int do_hears(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "%d\n", helper_terminal_heard());
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

/* Whether this program's group is in front; reads a line; says what it was. */
static int do_tty_ask(int argc, char **argv)
{
  char line[256];
  (void)argc;
  (void)argv;
  if (begin()) return HELPER_NOT_HERE;
  helper_print(1, "front %d\n", helper_terminal_front());
  int64_t n = helper_system_read(line, sizeof line - 1);
  while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
  helper_print(1, "got %.*s\n", n > 0 ? (int)n : 0, line);
  return 0;
}

/* A program on a terminal that starts another one there: with the foreground, or (behind) without. */
static int share(const char *what, const char *const *words)
{
  covey_process *p;
  covey_exit e;
  covey_process_options o = {.argv = words,
                             .cwd = strcmp(what, "missing") ? NULL : "/covey/no/such/folder",
                             .in.kind = COVEY_STDIO_INHERIT,
                             .flags = strcmp(what, "behind") ? COVEY_PROCESS_FOREGROUND : 0};
  if (!strcmp(what, "job")) o.flags |= COVEY_PROCESS_FORWARD;
  if (covey_spawn(&o, &p) < 0) {
    helper_print(1, "failed %d mine %d\n", covey_last_failure()->stage, helper_terminal_front());
    return 0;
  }
  int r = covey_process_wait(p, strcmp(what, "front") && strcmp(what, "job") ? 1000 : 60000, &e);
  if (r == COVEY_ETIMEDOUT) {
    helper_print(1, "waits mine %d echo %d\n", helper_terminal_front(), helper_terminal_echo());
    covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_TREE);
    if (!strcmp(what, "behind")) covey_process_kill(p);
    r = covey_process_wait(p, 60000, &e);
  }
  if (r == 0)
    helper_print(1, "ended %d %u mine %d echo %d\n", e.how, (unsigned)e.code, helper_terminal_front(),
                 helper_terminal_echo());
  covey_process_close(p);
  return r < 0 ? HELPER_TIRED : 0;
}

static int do_tty_share(int argc, char **argv)
{
  char *self;
  if (begin() || covey_self_path(&self) < 0) return HELPER_NOT_HERE;
  const char *words[] = {self, argc > 2 ? argv[2] : "tty-ask", NULL};
  int r = share(argc > 1 ? argv[1] : "front", words);
  covey_free(self);
  return r;
}

static bool other_settings(const char *before, size_t size)
{
  char now[256];
  for (int i = 0; i < 3000; i++) {
    if (helper_terminal_settings(now, sizeof now) == size && memcmp(now, before, size)) return true;
    helper_pause(10);
  }
  return false;
}

/* A program that is lent our terminal, and what befalls it then: are the settings afterwards those of before? */
static int keep(const char *what, const char *const *words)
{
  char before[256], after[256];
  covey_process *p;
  covey_exit e;
  int number = atoi(what);
  size_t size = helper_terminal_settings(before, sizeof before);
  covey_process_options o = {.argv = words, .in.kind = COVEY_STDIO_INHERIT, .scope = COVEY_SCOPE_SHARED};
  if (!size || covey_spawn(&o, &p) < 0) return HELPER_NO_START;
  bool lent = other_settings(before, size);
  helper_print(1, lent ? "lent\n" : "not lent\n");
  if (number) covey_process_signal(p, number, COVEY_TARGET_LEADER);
  if (number == COVEY_SIGNAL_STOP) { /* a shell takes its terminal back, and goes on with the program later */
    helper_terminal_restore(before);
    covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER);
    if (other_settings(before, size)) helper_print(1, "lent again\n");
  }
  if (covey_process_wait(p, 60000, &e) < 0) return HELPER_TIRED;
  bool kept = helper_terminal_settings(after, sizeof after) == size && !memcmp(before, after, size);
  helper_print(1, "kept %d how %d code %u\n", kept, e.how, (unsigned)e.code);
  covey_process_close(p);
  return 0;
}

static int do_tty_kept(int argc, char **argv)
{
  if (argc < 3) return HELPER_USAGE;
  if (begin()) return HELPER_NOT_HERE;
  return keep(argv[1], (const char *const *)argv + 2);
}

/* Switches echo on, and then hangs or, with die, kills itself: it leaves the terminal otherwise than it found it. */
static int do_tty_spoil(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_terminal_set_echo();
  helper_signal(9);
  return HELPER_NOT_HERE;
}

const helper_behaviour helper_tty[] = {
    {"tty", do_tty, "its terminal: terminal 1 1 1, size ROWS COLUMNS, echo 0, own 1, hears 1"},
    {"hears", do_hears, "writes 0 where its terminal's interrupts are ignored, else 1"},
    {"tty-watch", do_tty_watch, "writes size ROWS COLUMNS, and again when it changes"},
    {"tty-lines", do_tty_lines, "writes ready, [size]text for each line, and end at the end"},
    {"tty-out", do_tty_out, "COUNT: so many lines of 30 bytes"},
    {"tty-hold", do_tty_hold,
     "MS: a grandchild in another session holds the terminal for MS; writes its pid, exits"},
    {"tty-ask", do_tty_ask, "front 1, reads a line, got LINE"},
    {"tty-share", do_tty_share,
     "front|job|stop|behind|missing [BEHAVIOUR]: starts tty-ask on its own terminal, in its foreground or "
     "not"},
    {"tty-kept", do_tty_kept,
     "end|SIGNAL PROGRAM...: starts it on its own terminal, sends it SIGNAL once it has changed the "
     "settings, and tells "
     "whether it has left them as they were"},
    {"tty-spoil", do_tty_spoil, "switches echo on and ends by a signal"},
    {"tty-hang", do_tty_hang, "writes ready, hangs"},
    {NULL, NULL, NULL},
};
