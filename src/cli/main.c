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
     "start a program, wait for it, end what it leaves behind",
     "  --timeout MS      stop it after MS milliseconds (exit code 124)\n"
     "  --grace MS        between asking it to stop and killing it; default 5000\n"
     "  --cwd DIR         working directory\n"
     "  --env NAME=VALUE  set a variable; NAME alone removes it; may be repeated\n"
     "  --clear-env       start from an empty environment\n"
     "  --stdin           pass our standard input on (else it is empty), and with it our terminal's "
     "foreground\n"
     "  --shell           PROGRAM is a command line for the system's shell\n"
     "  --quiet           no output of the program\n"
     "  --idle MS         stop it when it writes nothing for so long (exit code 124); its output then comes "
     "through "
     "a pipe\n"
     "  --json            keep its output, and print how it ended and what it wrote as one object\n"
     "  --keep BYTES      with --json: most bytes of each stream, head and tail; default 16 MiB\n"
     "signals (INT, TERM, HUP, QUIT) go on to the program\n"
     "exit code: the program's; 2 usage, 124 timeout, 125 covey failed, 126 cannot be started, 127 not "
     "found, "
     "128 + signal\n"},
    {"send", cli_send, "[OPTIONS] PID|NAME [TEXT...]",
     "send a message to a process; without TEXT: standard input",
     "  --group NAME      group, else the default one\n"
     "  --timeout MS      for the process, its group and room; default 5000\n"
     "  --consumed        wait until the receiver has taken it\n"
     "a word of digits is a PID, any other one the NAME of a node\n"
     "exit code: 0 sent, 1 failed, 2 usage, 124 no room in time\n"},
    {"call", cli_call, "[OPTIONS] PID|NAME FUNCTION [TEXT...]",
     "call a function that a process serves, and print the answer; without TEXT: standard input",
     "  --timeout MS      for all of it, the answer too; default 5000\n"
     "  --max BYTES       longest answer; default 1048576\n"
     "a word of digits is a PID, any other one the NAME of a node\n"
     "exit code: 0 answered with status 0, 1 failed or another status (it is told), 2 usage, 124 no answer "
     "in "
     "time\n"},
    {"receive", cli_receive, "[OPTIONS]", "print messages that are sent to us; our pid goes to stderr first",
     "  --group NAME      group, else the default one; '*': all that are open\n"
     "  --name NAME       be reached by this name, not by our pid\n"
     "  --count N         end after N messages; default: go on until asked to stop\n"
     "  --timeout MS      end when none came for so long (exit code 124)\n"
     "  --from            put the sender's pid and a blank before each message\n"
     "  --raw             no line end behind a message\n"
     "  --json            one object a line for each: group, pid, lost, size, data\n"
     "exit code: 0, 1 failed, 2 usage, 124 timeout\n"},
    {"nodes", cli_nodes, "[OPTIONS]",
     "list nodes: who is there by the kernel's word, groups, what waits in them",
     "  --app APP         namespace; default covey\n"
     "  --directory DIR   in place of the user's own\n"
     "  --timeout MS      for each node; default 2000\n"
     "  --json            one object a line\n"
     "exit code: 0, 1 there is none or one does not answer, 2 usage\n"},
    {"publish", cli_publish, "[OPTIONS] TOPIC [TEXT...]",
     "publish to all who subscribe; without TEXT: standard input; our pid goes to stderr first",
     "  --name NAME       be found by this name, not by our pid\n"
     "  --wait N          begin when there are N subscribers; default 1\n"
     "  --timeout MS      for the subscribers, and for room with each message; default 5000\n"
     "  --lines           each line of standard input is a message, as it comes\n"
     "  --keep            keep the last message for who subscribes later\n"
     "  --slow HOW        a subscriber without room: drop-new, drop-old, block (default: wait for it), end\n"
     "  --json            at the end one object: messages, copies, late\n"
     "exit code: 0, 1 failed, 2 usage, 124 no subscribers, or no room, in time\n"},
    {"subscribe", cli_subscribe, "[OPTIONS] PID|NAME TOPIC",
     "print what a process publishes, until the topic ends",
     "  --timeout MS      for the process and its topic; default 5000\n"
     "  --count N         end after N messages\n"
     "  --idle MS         end when none came for so long (exit code 124)\n"
     "  --room N          most messages that wait for us\n"
     "  --raw             no line end behind a message\n"
     "  --json            one object a line for each: topic, pid, lost, kept, size, data\n"
     "messages that we missed are counted on stderr\n"
     "a word of digits is a PID, any other one the NAME of a node\n"
     "exit code: 0 the topic ended, 1 no such topic in time, or the publisher died, 2 usage, 124 idle\n"},
    {"quote", cli_quote, "DIALECT [--split] WORD...", "quote words for a parser, or split a line as it does",
     "  DIALECT           sh, argv (Windows programs), cmd (cmd.exe), powershell\n"
     "  --split           the one WORD is a line: print its words, one a line (sh and argv)\n"
     "exit code: 0, 1 cannot be quoted safely (the offset is told), 2 usage\n"},
    {"ps", cli_ps, "[OPTIONS] [PATTERN]",
     "list processes; PATTERN: a regular expression over name or command line",
     "  --user U          of this user: a name, a number, on Windows also a SID\n"
     "  --pid PID         this one\n"
     "  --parent PID      children of this one\n"
     "  --tree PID        this one and all that descend from it\n"
     "  --ignore-case     capital and small letters are alike in PATTERN\n"
     "  --literal         PATTERN is a part of the text\n"
     "  --all             zombies and parts of the kernel too\n"
     "  --full            command lines in place of names\n"
     "  --json            one object a line, with start stamp and command line; with --full all that is "
     "known\n"
     "exit code: 0, 1 none was found or it failed, 2 usage\n"},
    {"kill", cli_kill, "[OPTIONS] PID|PATTERN...",
     "end processes: print them, ask them to end, kill those that do not in time",
     "  --tree            with all that descend from them\n"
     "  --grace MS        between asking and killing; 0 kills at once; default 5000\n"
     "  --signal S        only send this signal: TERM, KILL, STOP, CONT ... or the system's number\n"
     "  --user U          only this user's processes\n"
     "  --ignore-case     capital and small letters are alike in PATTERN (over name or command line)\n"
     "  --dry-run         only print them\n"
     "  --yes             a PATTERN is not asked about first\n"
     "never covey itself or what started it; a pid that was given to another process meanwhile is not "
     "touched\n"
     "exit code: 0 all have ended (or got the signal), 1 failed, nothing found, or not wanted, 2 usage\n"},
    {"which", cli_which, "NAME...", "print the file that would be started for each name",
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
  printf("usage: covey %s %s\n%s\n\n%s", c->name, c->usage, c->about, c->options);
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
