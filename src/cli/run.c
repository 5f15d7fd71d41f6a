#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MOST = 1024 }; /* processors, and groups, that can be named */

/* What the options say. */
typedef struct run {
  covey_process_options process;
  covey_launch launch;
  covey_limit limits[COVEY_LIMIT_PROCESSES];
  covey_stop_step ladder[COVEY_LADDER_MOST];
  uint64_t affinity[WORDS_MOST / 64];
  const char **env, **groups;
  size_t env_count;
  const char *in, *out, *err, *name;
  int64_t keep, processes;
  uint64_t memory;
  bool shell, quiet, json, append, merge, input, pty;
} run;

/* ---- values of options that are more than a number or a text ---- */

static bool refuse(const cli_options *o, const char *value, const char *wanted)
{
  fprintf(stderr, "covey run: %s takes %s, not \"%s\"\n", o->name, wanted, value);
  return false;
}

static bool take_env(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  (void)o;
  r->env[r->env_count++] = value;
  return true;
}

static bool take_unset(const cli_options *o, const char *value, void *into)
{
  return strchr(value, '=') ? refuse(o, value, "a name") : take_env(o, value, into);
}

static bool take_groups(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  size_t count = 0;
  free(r->groups);
  r->groups = calloc(strlen(value) + 2, sizeof *r->groups);
  if (!r->groups) return refuse(o, value, "less than there is memory for");
  for (char *at = (char *)(uintptr_t)value, *next; at && *at; at = next) { /* a word of ours: to be cut */
    next = strchr(at, ',');
    if (next) *next++ = '\0';
    r->groups[count++] = at;
  }
  r->launch.groups = r->groups;
  return true;
}

static bool take_umask(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  char *end;
  long mask = strtol(value, &end, 8);
  if (!*value || *end || mask < 0 || mask > 0777) return refuse(o, value, "octal digits up to 777");
  r->launch.umask = (uint32_t)mask;
  r->launch.flags |= COVEY_LAUNCH_UMASK;
  return true;
}

/* "1.5": processors. */
static bool take_cpu(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  char *end;
  double processors = strtod(value, &end);
  if (!*value || *end || !(processors >= 0.01 && processors <= 1000))
    return refuse(o, value, "processors from 0.01 to 1000");
  r->launch.tree_cpu = (uint32_t)(processors * 1000 + 0.5);
  return true;
}

/* "0,2-5" */
static bool take_affinity(const cli_options *o, const char *value, void *into)
{
  static const char wanted[] = "numbers of processors such as 0,2-5";
  run *r = into;
  for (const char *at = value;; at++) {
    char *end;
    if (*at < '0' || *at > '9') return refuse(o, value, wanted);
    unsigned long first = strtoul(at, &end, 10), last = first;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') last = strtoul(end + 1, &end, 10);
    if (first > last || last >= WORDS_MOST || (*end && *end != ',')) return refuse(o, value, wanted);
    for (; first <= last; first++) r->affinity[first / 64] |= UINT64_C(1) << first % 64;
    if (!*end) break;
    at = end;
  }
  r->launch.affinity = r->affinity;
  r->launch.affinity_count = WORDS_MOST / 64;
  return true;
}

static const cli_name limit_names[] = {
    {"cpu-time", COVEY_LIMIT_CPU_TIME},   {"file-size", COVEY_LIMIT_FILE_SIZE},
    {"data", COVEY_LIMIT_DATA},           {"stack", COVEY_LIMIT_STACK},
    {"core", COVEY_LIMIT_CORE},           {"files", COVEY_LIMIT_FILES},
    {"memory", COVEY_LIMIT_MEMORY},       {"locked-memory", COVEY_LIMIT_LOCKED_MEMORY},
    {"processes", COVEY_LIMIT_PROCESSES}, {NULL, 0}};

static bool read_limit(const char *text, const char *end, uint64_t *ret)
{
  char number[32];
  size_t size = (size_t)(end - text);
  if (size >= sizeof number) return false;
  memcpy(number, text, size);
  number[size] = '\0';
  if (!strcmp(number, "none"))
    *ret = COVEY_LIMIT_NONE;
  else if (!strcmp(number, "ours"))
    *ret = COVEY_LIMIT_OURS;
  else
    return cli_size(number, ret);
  return true;
}

/* "files=100", "core=0:none" */
static bool take_limit(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  const char *equals = strchr(value, '=');
  const char *end = value + strlen(value), *colon = equals ? strchr(equals, ':') : NULL;
  covey_limit limit = {.kind = 0};
  for (size_t i = 0; equals && limit_names[i].name; i++) {
    size_t size = strlen(limit_names[i].name);
    if (size == (size_t)(equals - value) && !memcmp(value, limit_names[i].name, size))
      limit.kind = limit_names[i].value;
  }
  if (!limit.kind || r->launch.limit_count == COVEY_LIMIT_PROCESSES ||
      !read_limit(equals + 1, colon ? colon : end, &limit.soft) ||
      (colon && !read_limit(colon + 1, end, &limit.hard)))
    return refuse(o, value,
                  "KIND=SOFT[:HARD], each KIND once: cpu-time, file-size, data, stack, core, files, memory, "
                  "locked-memory or processes, and numbers, none or ours");
  if (!colon) limit.hard = limit.soft;
  r->limits[r->launch.limit_count++] = limit;
  r->launch.limits = r->limits;
  return true;
}

/* "ask:2000", "INT:500", "close", "kill"; what stands at text up to end. */
static bool read_step(const char *text, const char *end, covey_stop_step *ret)
{
  static const cli_name actions[] = {
      {"ask", COVEY_STOP_ASK}, {"close", COVEY_STOP_CLOSE_INPUT}, {"kill", COVEY_STOP_KILL}, {NULL, 0}};
  const char *at = text;
  *ret = (covey_stop_step){.action = COVEY_STOP_SIGNAL};
  while (at < end && *at != ':') at++;
  for (const cli_name *a = actions; a->name; a++)
    if (strlen(a->name) == (size_t)(at - text) && !memcmp(a->name, text, (size_t)(at - text)))
      ret->action = a->value;
  if (ret->action == COVEY_STOP_SIGNAL) ret->signal = cli_signal(text, at);
  if (ret->action == COVEY_STOP_SIGNAL && !ret->signal) return false;
  if (at == end) return true;
  for (at++; at < end && *at >= '0' && *at <= '9' && ret->timeout < INT32_MAX; at++)
    ret->timeout = 10 * ret->timeout + (*at - '0');
  return at == end && end[-1] != ':';
}

/* "ask:2000,INT:500,kill" */
static bool take_ladder(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  r->process.ladder = r->ladder;
  r->process.ladder_count = 0;
  for (const char *at = value;; at++) {
    const char *end = at + strcspn(at, ",");
    if (r->process.ladder_count == COVEY_LADDER_MOST ||
        !read_step(at, end, &r->ladder[r->process.ladder_count++]))
      return refuse(o, value,
                    "up to 8 steps such as ask:2000,INT:500,close:100,kill: what is done, and milliseconds "
                    "until the next");
    if (!*end) return true;
    at = end;
  }
}

/* "24x80" */
static bool take_pty(const cli_options *o, const char *value, void *into)
{
  run *r = into;
  char *end;
  unsigned long rows = strtoul(value, &end, 10), columns = *end == 'x' ? strtoul(end + 1, &end, 10) : 0;
  if (*end || !rows || rows > 32767 || !columns || columns > 32767)
    return refuse(o, value, "ROWSxCOLUMNS, each from 1 to 32767");
  r->process.pty.rows = (uint16_t)rows;
  r->process.pty.columns = (uint16_t)columns;
  r->pty = true;
  return true;
}

static const cli_name shells[] = {{"sh", COVEY_SHELL_SH},     {"bash", COVEY_SHELL_BASH},
                                  {"cmd", COVEY_SHELL_CMD},   {"powershell", COVEY_SHELL_POWERSHELL},
                                  {"pwsh", COVEY_SHELL_PWSH}, {NULL, 0}};
static const cli_name scopes[] = {
    {"tree", COVEY_SCOPE_TREE}, {"session", COVEY_SCOPE_SESSION}, {"shared", COVEY_SCOPE_SHARED}, {NULL, 0}};
static const cli_name priorities[] = {{"lowest", COVEY_PRIORITY_LOWEST},   {"low", COVEY_PRIORITY_LOW},
                                      {"normal", COVEY_PRIORITY_NORMAL},   {"high", COVEY_PRIORITY_HIGH},
                                      {"highest", COVEY_PRIORITY_HIGHEST}, {NULL, 0}};
static const cli_name windows[] = {{"none", COVEY_WINDOW_NONE},
                                   {"console", COVEY_WINDOW_CONSOLE},
                                   {"hidden", COVEY_WINDOW_HIDDEN},
                                   {"minimized", COVEY_WINDOW_MINIMIZED},
                                   {NULL, 0}};

#define AT(field) .at = offsetof(run, field)
#define BIT(flag) CLI_BIT, AT(process.flags), .bit = (flag)

const cli_option cli_run_options[] = {
    {"--timeout", "MS", "stop it after MS milliseconds (exit code 124)", CLI_NUMBER, AT(process.timeout), 1},
    {"--idle", "MS",
     "stop it when it writes nothing for so long (exit code 124); its output then comes through a pipe",
     CLI_NUMBER, AT(process.idle), 1},
    {"--grace", "MS", "between asking it to stop and killing it; default 5000", CLI_NUMBER, AT(process.grace),
     1},
    {"--ladder", "STEP[:MS],...",
     "how it is stopped: ask, close (its input), kill, or a signal; default ask:5000,kill", CLI_TAKE,
     .take = take_ladder},
    {"--cwd", "DIR", "working directory", CLI_TEXT, AT(process.cwd)},
    {"--env", "NAME=VALUE", "set a variable; NAME alone removes it; may be repeated", CLI_TAKE,
     .take = take_env},
    {"--unset", "NAME", "remove a variable; may be repeated", CLI_TAKE, .take = take_unset},
    {"--clear-env", NULL, "start from an empty environment", BIT(COVEY_PROCESS_ENV_CLEAR)},
    {"--name", "WORD", "what the program is told as its own name, argv[0]", CLI_TEXT, AT(name)},
    {"--shell", NULL, "PROGRAM is a command line for the system's shell", CLI_FLAG, AT(shell)},
    {"--with", "SHELL", "with --shell: this one: sh, bash, cmd, powershell, pwsh", CLI_NAME,
     AT(process.shell), .names = shells},
    {"--batch", NULL, "PROGRAM may be a batch file (Windows)", BIT(COVEY_PROCESS_BATCH)},
    {"--raw", NULL, "the one ARGUMENT is the rest of the command line, word for word (Windows)",
     BIT(COVEY_PROCESS_RAW_COMMAND_LINE)},
    {"--stdin", NULL, "pass our standard input on (else it is empty), and with it our terminal's foreground",
     CLI_FLAG, AT(input)},
    {"--in", "FILE", "its standard input", CLI_TEXT, AT(in)},
    {"--out", "FILE", "its standard output goes there", CLI_TEXT, AT(out)},
    {"--err", "FILE", "its standard errors go there", CLI_TEXT, AT(err)},
    {"--append", NULL, "with --out and --err: behind what is in the file", CLI_FLAG, AT(append)},
    {"--merge", NULL, "its errors go where its output goes", CLI_FLAG, AT(merge)},
    {"--quiet", NULL, "no output of the program", CLI_FLAG, AT(quiet)},
    {"--pty", NULL,
     "on a terminal of its own; with --stdin ours goes there as it comes (with --json at its end)", CLI_FLAG,
     AT(pty)},
    {"--size", "ROWSxCOLUMNS", "the same, of this size; default: ours with --stdin, or 24x80", CLI_TAKE,
     .take = take_pty},
    {"--json", NULL, "keep its output, and print how it ended and what it wrote as one object", CLI_FLAG,
     AT(json)},
    {"--keep", "BYTES", "with --json: most bytes of each stream, head and tail; default 16 MiB", CLI_NUMBER,
     AT(keep), 1},
    {"--scope", "SCOPE",
     "tree (default): its own; session: and without our terminal; shared: with our terminal", CLI_NAME,
     AT(process.scope), .names = scopes},
    {"--leave-tree", NULL, "what it leaves behind goes on", BIT(COVEY_PROCESS_LEAVE_TREE)},
    {"--untied", NULL, "it goes on when covey is killed", BIT(COVEY_PROCESS_UNTIED)},
    {"--user", "USER", "as this user (POSIX, as root)", CLI_TEXT, AT(launch.user)},
    {"--group", "GROUP", "with this first group", CLI_TEXT, AT(launch.group)},
    {"--groups", "GROUP,...", "and these further ones", CLI_TAKE, .take = take_groups},
    {"--no-new-privileges", NULL, "nothing it starts gains rights (Linux)", CLI_BIT, AT(launch.flags),
     .bit = COVEY_LAUNCH_NO_NEW_PRIVILEGES},
    {"--subreaper", NULL, "daemons that it starts stay its children, and end with its tree (Linux)", CLI_BIT,
     AT(launch.flags), .bit = COVEY_LAUNCH_SUBREAPER},
    {"--umask", "MASK", "octal: what new files do not get (POSIX)", CLI_TAKE, .take = take_umask},
    {"--priority", "LEVEL", "lowest, low, normal, high, highest", CLI_NAME, AT(launch.priority),
     .names = priorities},
    {"--affinity", "LIST", "processors, such as 0,2-5", CLI_TAKE, .take = take_affinity},
    {"--limit", "KIND=SOFT[:HARD]", "of each process (POSIX); may be repeated", CLI_TAKE, .take = take_limit},
    {"--limit-memory", "BYTES", "of the whole tree", CLI_SIZE, AT(launch.tree_memory)},
    {"--limit-processes", "N", "of the whole tree", CLI_NUMBER, AT(processes), 1},
    {"--limit-cpu", "N", "of the whole tree: processors, such as 1.5", CLI_TAKE, .take = take_cpu},
    {"--window", "KIND", "none, console, hidden, minimized (Windows)", CLI_NAME, AT(launch.window),
     .names = windows},
    CLI_NO_MORE};

/* ---- the run ---- */

/* The program's own code; ours, said on stderr, where it never had one. */
static int exit_code(const covey_exit *end, int64_t timeout, int64_t idle)
{
  if (end->why == COVEY_WHY_IDLE) {
    fprintf(stderr, "covey run: stopped, it wrote nothing for %" PRId64 " ms\n", idle);
    return CLI_TIMEOUT;
  }
  if (end->why == COVEY_WHY_TIMEOUT) {
    fprintf(stderr, "covey run: stopped after %" PRId64 " ms\n", timeout);
    return CLI_TIMEOUT;
  }
  if (end->how == COVEY_HOW_LOST) {
    fprintf(stderr, "covey run: it has ended, and its exit code went to somebody else\n");
    return CLI_COVEY;
  }
  return (int)end->code; /* 128 + signal where a signal ended it */
}

/* Output that comes through us goes where it would have gone. */
static int send_on(int stream, const void *data, size_t size, void *user)
{
  const run *r = user;
  FILE *to = stream == COVEY_STDOUT ? stdout : stderr;
  if (r->quiet) return 0;
  return fwrite(data, 1, size, to) != size || fflush(to) != 0;
}

static void direct_to(covey_stdio *stream, const char *path, const run *r)
{
  const covey_process_options *p = &r->process;
  stream->path = path;
  stream->kind = path       ? r->append ? COVEY_STDIO_APPEND : COVEY_STDIO_FILE
                 : r->quiet ? COVEY_STDIO_NULL
                 : r->json  ? COVEY_STDIO_CAPTURE
                 : p->idle  ? COVEY_STDIO_PIPE
                            : COVEY_STDIO_INHERIT;
}

/* Where the streams come from and go to. False, said on stderr: there is no input to be read. */
static bool direct(run *r, char **ret_input)
{
  covey_process_options *p = &r->process;
  p->on_output = send_on;
  p->user = r;
  if (r->json) p->flags |= COVEY_PROCESS_KEEP_ENDS;
  if (r->pty) {
    p->flags |= COVEY_PROCESS_PTY;
    p->out.kind = r->json ? COVEY_STDIO_CAPTURE : COVEY_STDIO_PIPE;
    if (r->input && r->json && !cli_read_input(ret_input, &p->input_size)) return false;
    p->input = *ret_input;
  } else {
    p->in = (covey_stdio){.kind = r->in      ? COVEY_STDIO_FILE
                                  : r->input ? COVEY_STDIO_INHERIT
                                             : COVEY_STDIO_NULL,
                          .path = r->in};
    direct_to(&p->out, r->out, r);
    direct_to(&p->err, r->err, r);
    if (r->merge) p->err = (covey_stdio){.kind = COVEY_STDIO_MERGE};
    if (r->input && p->scope == COVEY_SCOPE_TREE) p->flags |= COVEY_PROCESS_FOREGROUND;
  }
  if (p->out.kind != COVEY_STDIO_PIPE && p->err.kind != COVEY_STDIO_PIPE) p->on_output = NULL;
  return true;
}

static int not_started(void)
{
  const covey_failure *f = covey_last_failure();
  int code = f->code, stage = f->stage;
  int words = cli_failed("run");
  if (words == CLI_USAGE) return CLI_USAGE;
  if (code == COVEY_ENOTFOUND && (stage == COVEY_STAGE_LOOKUP || stage == COVEY_STAGE_INTERPRETER))
    return CLI_NOT_FOUND;
  return stage == COVEY_STAGE_EXEC || stage == COVEY_STAGE_LOOKUP ? CLI_REFUSED : CLI_COVEY;
}

/* The options that do not go together, as the words that stand for them; NULL: all do. */
static const char *conflict(const run *r)
{
  if (r->process.ladder && r->process.grace) return "--grace is not for --ladder";
  if (r->keep && (r->quiet || !r->json)) return "--keep is for --json";
  if (r->quiet && r->process.idle && !r->pty) return "--idle is not for --quiet";
  if (r->append && !r->out && !r->err) return "--append is for --out and --err";
  if (r->merge && r->err) return "--merge is not for --err";
  if (r->in && r->input) return "--in is not for --stdin";
  if (r->process.shell && !r->shell) return "--with is for --shell";
  if (r->pty && (r->in || r->out || r->err)) return "--in, --out and --err are not for --pty";
  if (r->processes > UINT32_MAX) return "--limit-processes takes no such number";
  return NULL;
}

/* PROGRAM and its words. 0 or CLI_USAGE. */
static int take_program(run *r, const cli_options *o)
{
  char **words = o->argv + o->at;
  if (o->at < o->argc && !words[0][0]) {
    fprintf(stderr, "covey run: PROGRAM is empty\n");
    return CLI_USAGE;
  }
  if (o->at == o->argc || (r->shell && o->at + 1 != o->argc))
    return cli_missing(o->argv[0], r->shell ? "the one command line" : "PROGRAM");
  const char *wrong = conflict(r);
  if (wrong) {
    fprintf(stderr, "covey run: %s\n", wrong);
    return CLI_USAGE;
  }
  if (r->shell) {
    r->process.command = words[0];
    return CLI_OK;
  }
  if (r->name) {
    r->process.file = words[0];
    words[0] = (char *)(uintptr_t)r->name;
  }
  r->process.argv = (const char *const *)words;
  return CLI_OK;
}

static int start(run *r)
{
  static const covey_launch as_we_are;
  char *input = NULL;
  covey_result result;
  if (!direct(r, &input)) return CLI_COVEY;
  r->process.env = r->env;
  r->process.capture_max = (uint64_t)r->keep < SIZE_MAX ? (size_t)r->keep : SIZE_MAX;
  r->launch.tree_processes = (uint32_t)r->processes;
  if (memcmp(&r->launch, &as_we_are, sizeof as_we_are)) r->process.launch = &r->launch;
  int code;
  bool live = r->pty && r->input && !r->json;
  if (live) result = (covey_result){.out = NULL};
  if ((live ? cli_live(&r->process, &result.exit) : covey_run(&r->process, &result)) < 0) {
    code = not_started();
  } else {
    code = exit_code(&result.exit, r->process.timeout, r->process.idle);
    if (r->json) cli_outcome(stdout, &result);
    if (r->json && !cli_flush()) code = CLI_COVEY;
    covey_result_free(&result);
  }
  free(input);
  return code;
}

int cli_run(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  run r = {.process = {.flags = COVEY_PROCESS_FORWARD}};
  r.env = calloc((size_t)argc + 1, sizeof *r.env);
  if (!r.env) return CLI_COVEY;
  int code = cli_parse(&o, cli_run_options, &r);
  if (code == CLI_OK) code = take_program(&r, &o);
  if (code == CLI_OK) code = start(&r);
  free(r.env);
  free(r.groups);
  return code;
}
