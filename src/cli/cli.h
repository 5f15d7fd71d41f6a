/* cli/cli.h: what the subcommands of the tool share. A subcommand is one file and one row of the table in main.c. */
#ifndef COVEY_CLI_CLI_H
#define COVEY_CLI_CLI_H

#include <covey.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit codes of the tool itself; covey run returns the program's own code. The numbers above 123 are those of env(1) and timeout(1). */
enum {
  CLI_OK = 0,
  CLI_FAILED = 1,      /* it was tried and failed */
  CLI_USAGE = 2,       /* the call's words are off */
  CLI_TIMEOUT = 124,   /* a deadline passed */
  CLI_COVEY = 125,     /* covey run: covey itself failed */
  CLI_REFUSED = 126,   /* covey run: the program is there, and cannot be started */
  CLI_NOT_FOUND = 127, /* covey run: there is no such program */
  CLI_SIGNALLED = 128  /* covey run: plus the signal that ended it */
};

/* A word that stands for a number. */
typedef struct cli_name {
  const char *name; /* NULL: the end */
  int value;
} cli_name;

typedef struct cli_options cli_options;

enum {
  CLI_FLAG = 1, /* bool: true */
  CLI_BIT,      /* uint32_t: bit is set */
  CLI_NUMBER,   /* int64_t: from least on */
  CLI_SIZE,     /* uint64_t: bytes, as cli_size reads them */
  CLI_TEXT,     /* const char *: the word */
  CLI_NAME,     /* int: of names */
  CLI_TAKE      /* take() says what it means */
};

/* An option of a subcommand: how it is read, and its line of the help. */
typedef struct cli_option {
  const char *name;  /* "--x"; NULL: the end of the table */
  const char *value; /* as the help calls it; NULL: it takes none */
  const char *help;
  int kind;  /* CLI_FLAG ... */
  size_t at; /* where in the struct it goes */
  int64_t least;
  uint32_t bit;
  const cli_name *names;
  bool (*take)(const cli_options *o, const char *value,
               void *into); /* false: it makes no sense, said on stderr */
} cli_option;

/* Where nodes are looked for: the options --app and --directory of every command that talks. */
typedef struct cli_where {
  const char *app, *directory;
} cli_where;

#define CLI_WHERE(at)                                                                                        \
  {"--app", "APP", "namespace; default covey", CLI_TEXT, (at) + offsetof(cli_where, app), 0, 0, NULL, NULL}, \
  {                                                                                                          \
    "--directory", "DIR", "in place of the user's own", CLI_TEXT, (at) + offsetof(cli_where, directory), 0,  \
        0, NULL, NULL                                                                                        \
  }

/* Opens a node there; for who only calls others (listen is false) the default node, NULL, where nothing is said: it has the connection that we were born
 * with. name: NULL: without one. Returns CLI_OK, or the exit code, told on stderr as command's. */
int cli_node(const char *command, const cli_where *where, const char *name, bool listen, covey_node **ret);

#define CLI_NO_MORE                                                                                          \
  {                                                                                                          \
    NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL                                                                 \
  }

typedef struct cli_command {
  const char *name;
  int (*run)(int argc, char **argv); /* argv[0] is the name of the subcommand */
  const char *usage;                 /* behind the name */
  const char *about;                 /* one line */
  const cli_option *options;
  const char *notes; /* lines of the help behind the options */
} cli_command;

extern const cli_option cli_run_options[], cli_send_options[], cli_call_options[], cli_receive_options[],
    cli_nodes_options[], cli_publish_options[], cli_subscribe_options[], cli_ps_options[], cli_kill_options[];

int cli_run(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_call(int argc, char **argv);
int cli_receive(int argc, char **argv);
int cli_nodes(int argc, char **argv);
int cli_publish(int argc, char **argv);
int cli_subscribe(int argc, char **argv);
int cli_quote(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_kill(int argc, char **argv);
int cli_which(int argc, char **argv);

/* Walks over the options of a subcommand: returns the next option ("--x"), NULL when the words begin ("--" is skipped); *ret_at is the index of what
 * comes next. "--x=value" and "--x value" are the same: cli_value takes the value. A word that begins with one '-' is an option too, of which there
 * is none. When the loop over the options is over, wrong tells that one had a value which takes none; it was said on stderr. */
struct cli_options {
  int argc;
  char **argv;
  int at;
  const char *inlined; /* the part behind "=", until it is taken */
  char name[64];       /* the option without that part */
  bool wrong;
  bool ended; /* "--" was met */
};

/* Reads the options from argv[at] on, as the table says, into a struct. CLI_OK, and argv[at], if there is one, is a word, behind which it may be
 * called again; or CLI_USAGE, said on stderr. */
int cli_parse(cli_options *o, const cli_option *table, void *into);

/* The signals that have names. */
extern const cli_name cli_signals[];

/* "TERM", "SIGTERM", or the system's number, which is the text up to end; 0: none of them. */
int cli_signal(const char *text, const char *end);

/* Bytes: a whole number, with K, M, G or T behind it for powers of 1024. */
bool cli_size(const char *text, uint64_t *ret);

const char *cli_next(cli_options *o);
const char *cli_value(cli_options *o); /* NULL, said on stderr, when it is missing */
bool cli_number(const cli_options *o, const char *text, int64_t least,
                int64_t *ret); /* false, said on stderr, when it is none */
/* Whether a word is a PID, which is digits alone: 1 and *ret, 0 when it is anything else, CLI_USAGE negated, said on stderr, for a number that no process has. */
int cli_pid(const char *command, const char *word, int64_t *ret);
/* The end of the options and the word for a process, PID or NAME: CLI_OK and one of the two, or CLI_USAGE, said on stderr. */
int cli_whom(cli_options *o, int64_t *ret_pid, const char **ret_name);
int cli_unknown(const cli_options *o);                  /* says so; CLI_USAGE */
int cli_missing(const char *command, const char *what); /* says so; CLI_USAGE */

/* Takes messages and prints them, until count have come (0: until we are asked to stop), none has come for timeout ms (0: for ever), or a
 * subscription has ended. Returns the exit code. */
typedef struct cli_take {
  const char *command;
  covey_node *node;
  const char *group;                /* of node; not used with */
  covey_subscription *subscription; /* NULL: a group */
  int64_t count, timeout;
  bool from, raw, json;
} cli_take;

int cli_take_all(const cli_take *t);

/* Says on stderr what failed (the thread's last failure); returns the exit code: CLI_TIMEOUT for COVEY_ETIMEDOUT, CLI_USAGE for words that make no
 * sense, else CLI_FAILED. */
int cli_failed(const char *command);

/* Sends on what was printed. false, said on stderr once, when standard output does not take it. */
bool cli_flush(void);

/* Prints a text of somebody else, such as a command line, on a line that a terminal may show: what would steer it, and bytes that are not UTF-8,
 * as \n, \t, \x1b. */
void cli_print(FILE *to, const char *text);

/* Prints it as a string of JSON; what is not UTF-8 becomes U+FFFD. */
void cli_json(FILE *to, const char *text);

/* The same of length bytes, behind which there is a NUL; NULs in them become U+0000. */
void cli_json_bytes(FILE *to, const char *text, size_t length);

/* Runs a program on a terminal of its own (options with COVEY_PROCESS_PTY, on_output and without loop) to which our standard input is passed on as it comes; where
 * that is a terminal it is the program's as long as it runs, and has its settings back then. ret: how it ended. A negative code: it was not started. */
int cli_live(const covey_process_options *options, covey_exit *ret);

/* Prints how a program ended, and its output, as one object of JSON on a line. */
void cli_outcome(FILE *to, const covey_result *result);

/* Reads standard input to its end. ret_data: owned, free with free(). false, said on stderr, when it fails. */
bool cli_read_input(char **ret_data, size_t *ret_size);

/* The words that are left, with a blank between them, or standard input where none are. The same otherwise. */
bool cli_words(const cli_options *o, char **ret_data, size_t *ret_size);

#endif
