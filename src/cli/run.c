#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
  FILE *to = stream == COVEY_STDOUT ? stdout : stderr;
  (void)user;
  return fwrite(data, 1, size, to) != size || fflush(to) != 0;
}

/* Where the output goes. */
static void direct_output(covey_process_options *process, bool quiet, bool json)
{
  int kind = quiet           ? COVEY_STDIO_NULL
             : json          ? COVEY_STDIO_CAPTURE
             : process->idle ? COVEY_STDIO_PIPE
                             : COVEY_STDIO_INHERIT;
  process->out.kind = process->err.kind = kind;
  if (kind == COVEY_STDIO_PIPE) process->on_output = send_on;
  if (kind == COVEY_STDIO_CAPTURE) process->flags |= COVEY_PROCESS_KEEP_ENDS;
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

int cli_run(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  covey_process_options process = {.scope = COVEY_SCOPE_TREE, .flags = COVEY_PROCESS_FORWARD};
  const char **env = calloc((size_t)argc + 1, sizeof *env);
  size_t env_count = 0;
  bool shell = false, quiet = false, json = false;
  int64_t keep = 0;
  int code = CLI_USAGE;
  if (!env) return CLI_COVEY;
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &process.timeout)) goto done;
    } else if (!strcmp(name, "--grace")) {
      if (!cli_number(&o, cli_value(&o), 1, &process.grace)) goto done;
    } else if (!strcmp(name, "--idle")) {
      if (!cli_number(&o, cli_value(&o), 1, &process.idle)) goto done;
    } else if (!strcmp(name, "--keep")) {
      if (!cli_number(&o, cli_value(&o), 1, &keep)) goto done;
      process.capture_max = (uint64_t)keep < SIZE_MAX ? (size_t)keep : SIZE_MAX;
    } else if (!strcmp(name, "--json")) {
      json = true;
    } else if (!strcmp(name, "--cwd")) {
      if (!(process.cwd = cli_value(&o))) goto done;
    } else if (!strcmp(name, "--env")) {
      if (!(env[env_count++] = cli_value(&o))) goto done;
    } else if (!strcmp(name, "--clear-env")) {
      process.flags |= COVEY_PROCESS_ENV_CLEAR;
    } else if (!strcmp(name, "--stdin")) {
      process.in.kind = COVEY_STDIO_INHERIT;
      process.flags |= COVEY_PROCESS_FOREGROUND;
    } else if (!strcmp(name, "--shell")) {
      shell = true;
    } else if (!strcmp(name, "--quiet")) {
      quiet = true;
    } else {
      code = cli_unknown(&o);
      goto done;
    }
  }
  if (o.wrong) goto done;
  if (o.at < argc && !argv[o.at][0]) {
    fprintf(stderr, "covey run: PROGRAM is empty\n");
    goto done;
  }
  if (o.at == argc || (shell && o.at + 1 != argc)) {
    code = cli_missing(argv[0], shell ? "the one command line" : "PROGRAM");
    goto done;
  }
  if (shell)
    process.command = argv[o.at];
  else
    process.argv = (const char *const *)(argv + o.at);
  if ((quiet && process.idle) || (keep && (quiet || !json))) {
    fprintf(stderr, keep ? "covey run: --keep is for --json\n" : "covey run: --idle is not for --quiet\n");
    goto done;
  }
  direct_output(&process, quiet, json);
  process.env = env;
  covey_result result;
  if (covey_run(&process, &result) < 0)
    code = not_started();
  else {
    code = exit_code(&result.exit, process.timeout, process.idle);
    if (json) cli_outcome(stdout, &result);
    if (json && !cli_flush()) code = CLI_COVEY;
    covey_result_free(&result);
  }
done:
  free(env);
  return code;
}
