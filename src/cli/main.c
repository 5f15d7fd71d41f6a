#include "cli/cli.h"
#include "os/ask.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_O_BINARY) /* a C runtime that knows text and binary streams: what we pass on is bytes */
#include <io.h>
static void binary_streams(void)
{
  _setmode(_fileno(stdin), _O_BINARY);
  _setmode(_fileno(stdout), _O_BINARY);
  _setmode(_fileno(stderr), _O_BINARY);
}
#else
static void binary_streams(void) {}
#endif

static const cli_command commands[] = {
    {"run", cli_run, "[OPTIONS] [--] PROGRAM [ARGUMENT...]",
     "start a program, wait for it, end what it leaves behind", cli_run_options,
     "KIND: cpu-time, file-size, data, stack, core, files, memory, locked-memory, processes; SOFT, HARD: a "
     "number, none or ours\n"
     "BYTES may have K, M, G or T behind them; what this system cannot keep is refused\n"
     "signals (INT, TERM, HUP, QUIT) go on to the program\n"
     "exit code: the program's; 2 usage, 124 timeout, 125 covey failed, 126 cannot be started, 127 not "
     "found, 128 + signal\n"},
    {"send", cli_send, "[OPTIONS] PID|NAME [TEXT...]",
     "send a message to a process; without TEXT: standard input", cli_send_options,
     "a word of digits is a PID, any other one the NAME of a node\n"
     "exit code: 0 sent, 1 failed, 2 usage, 124 no room in time\n"},
    {"call", cli_call, "[OPTIONS] PID|NAME FUNCTION [TEXT...]",
     "call a function that a process serves, and print the answer; without TEXT: standard input",
     cli_call_options,
     "a word of digits is a PID, any other one the NAME of a node\n"
     "exit code: 0 answered with status 0, 1 failed or another status (it is told), 2 usage, 124 no answer "
     "in time\n"},
    {"receive", cli_receive, "[OPTIONS]", "print messages that are sent to us; our pid goes to stderr first",
     cli_receive_options, "exit code: 0, 1 failed, 2 usage, 124 timeout\n"},
    {"nodes", cli_nodes, "[OPTIONS]",
     "list nodes: who is there by the kernel's word, groups, what waits in them", cli_nodes_options,
     "exit code: 0, 1 there is none or one does not answer, 2 usage\n"},
    {"publish", cli_publish, "[OPTIONS] TOPIC [TEXT...]",
     "publish to all who subscribe; without TEXT: standard input; our pid goes to stderr first",
     cli_publish_options, "exit code: 0, 1 failed, 2 usage, 124 no subscribers, or no room, in time\n"},
    {"subscribe", cli_subscribe, "[OPTIONS] PID|NAME TOPIC",
     "print what a process publishes, until the topic ends", cli_subscribe_options,
     "messages that we missed are counted on stderr\n"
     "a word of digits is a PID, any other one the NAME of a node\n"
     "exit code: 0 the topic ended, 1 no such topic in time, or the publisher died, 2 usage, 124 idle\n"},
    {"quote", cli_quote, "DIALECT [--split] WORD...",
     "quote words for a parser, the first as the program, or split a line as it does", NULL,
     "DIALECT: sh, argv (Windows programs), cmd (cmd.exe), powershell\n"
     "--split: the one WORD is a line: print its words, one a line (sh and argv)\n"
     "exit code: 0, 1 cannot be quoted safely (the offset is told), 2 usage\n"},
    {"ps", cli_ps, "[OPTIONS] [PATTERN]",
     "list processes; PATTERN: a regular expression over name or command line", cli_ps_options,
     "exit code: 0, 1 none was found or it failed, 2 usage\n"},
    {"kill", cli_kill, "[OPTIONS] PID|PATTERN...",
     "end processes: print them, ask them to end, kill those that do not in time", cli_kill_options,
     "never covey itself or what started it; a pid that was given to another process meanwhile is not "
     "touched\n"
     "exit code: 0 all have ended (or got the signal), 1 failed, nothing found, or not wanted, 2 usage\n"},
    {"which", cli_which, "NAME...", "print the file that would be started for each name", NULL,
     "looked up in PATH (and PATHEXT) as covey run does, never in the current directory\n"
     "exit code: 0, 1 one was not found, 2 usage\n"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int help(FILE *to)
{
  fprintf(to, "usage: covey COMMAND [...]\n\n");
  for (size_t i = 0; i < COMMANDS; i++) fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].about);
  fprintf(to, "\ncovey COMMAND --help tells more; covey --version the version\n");
  return to == stderr ? CLI_USAGE : CLI_OK;
}

static int help_command(const cli_command *c)
{
  printf("usage: covey %s %s\n%s\n\n", c->name, c->usage, c->about);
  for (const cli_option *o = c->options; o && o->name; o++) {
    char words[64];
    int width =
        snprintf(words, sizeof words, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    printf("  %-22s%s%s\n", words, width < 22 ? "" : "  ", o->help);
  }
  printf("%s%s", c->options ? "\n" : "", c->notes);
  return CLI_OK;
}

static bool is_help(const char *word)
{
  return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static int dispatch(int argc, char **argv)
{
  if (argc < 2) return help(stderr);
  bool helps = is_help(argv[1]) || !strcmp(argv[1], "help");
  if (helps && argc == 2) return help(stdout);
  if (!strcmp(argv[1], "--version")) {
    int v = covey_version();
    printf("covey %d.%d.%d\n", v / 10000, v / 100 % 100, v % 100);
    return CLI_OK;
  }
  if (!strcmp(
          argv[1],
          "--ask")) { /* for the library, on Windows: it must not change the console of the program that it is in */
    int64_t pid = 0;
    if (argc != 3 || cli_pid("--ask", argv[2], &pid) <= 0) return cli_missing("--ask", "the one PID");
    if (cvos_ask_console(pid) == 0) return CLI_OK;
    fprintf(stderr, "covey --ask: %s has no console that can be asked\n", argv[2]);
    return CLI_FAILED;
  }
  const char *name = argv[helps ? 2 : 1];
  for (size_t i = 0; i < COMMANDS; i++) {
    if (strcmp(name, commands[i].name)) continue;
    if (helps || (argc > 2 && is_help(argv[2]))) return help_command(&commands[i]);
    return commands[i].run(argc - 1, argv + 1);
  }
  fprintf(stderr, "covey: no command \"%s\"; covey --help lists them\n", name);
  return CLI_USAGE;
}

int main(int argc, char **argv)
{
  char **words;
  size_t count;
  binary_streams();
  if (covey_self_arguments(argc, argv, &words, &count) < 0) return cli_failed("covey");
  int code = dispatch((int)count, words);
  covey_free(words);
  return cli_flush() || code != CLI_OK ? code : CLI_FAILED;
}
