#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The program's own code; ours, said on stderr, where it never had one. */
static int exit_code(const covey_exit *end, int64_t timeout)
{
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
  bool shell = false;
  int code = CLI_USAGE;
  if (!env) return CLI_COVEY;
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &process.timeout)) goto done;
    } else if (!strcmp(name, "--grace")) {
      if (!cli_number(&o, cli_value(&o), 1, &process.grace)) goto done;
    } else if (!strcmp(name, "--cwd")) {
      if (!(process.cwd = cli_value(&o))) goto done;
    } else if (!strcmp(name, "--env")) {
      if (!(env[env_count++] = cli_value(&o))) goto done;
    } else if (!strcmp(name, "--clear-env")) {
      process.flags |= COVEY_PROCESS_ENV_CLEAR;
    } else if (!strcmp(name, "--stdin")) {
      process.in.kind = COVEY_STDIO_INHERIT;
    } else if (!strcmp(name, "--shell")) {
      shell = true;
    } else if (!strcmp(name, "--quiet")) {
      process.out.kind = process.err.kind = COVEY_STDIO_NULL;
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
  process.env = env;
  covey_result result;
  if (covey_run(&process, &result) < 0)
    code = not_started();
  else {
    code = exit_code(&result.exit, process.timeout);
    covey_result_free(&result);
  }
done:
  free(env);
  return code;
}
