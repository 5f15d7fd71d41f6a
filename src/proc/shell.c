#include <covey/shell.h>

#include "core/env.h"
#include "core/error.h"
#include "core/mem.h"
#include "os/process.h"
#include "proc/lookup.h"

/* options with command as their program. */
static int with_command(const char *command, const covey_process_options *options, covey_process_options *ret)
{
  static const covey_process_options none;

  if (!command) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "command");
  *ret = options ? *options : none;
  if (ret->argv || ret->command)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options with a program of their own");
  ret->command = command;
  return 0;
}

int covey_shell(const char *command, const covey_process_options *options, covey_process **ret_process)
{
  covey_process_options o;
  int r = with_command(command, options, &o);

  return r < 0 ? r : covey_spawn(&o, ret_process);
}

int covey_shell_run(const char *command, const covey_process_options *options, covey_exit *ret_exit)
{
  covey_process_options o;
  covey_result result;
  int r = with_command(command, options, &o);

  if (r < 0 || (r = covey_run(&o, &result)) < 0) return r;
  if (ret_exit) *ret_exit = result.exit;
  covey_result_free(&result);
  return 0;
}

int covey_shell_exec(const char *command, const covey_process_options *options, covey_result *ret_result)
{
  covey_process_options o;
  int r = with_command(command, options, &o);

  if (r < 0) return r;
  if (!ret_result) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_result");
  if (o.out.kind == COVEY_STDIO_DEFAULT) o.out.kind = COVEY_STDIO_CAPTURE;
  if (o.err.kind == COVEY_STDIO_DEFAULT) o.err.kind = COVEY_STDIO_CAPTURE;
  return covey_run(&o, ret_result);
}

int covey_which(const char *name, const char *path, char **ret_path)
{
  const char *const *env;
  char **ours;
  int r;

  if (!name || !name[0]) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "name");
  if (!ret_path) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_path");
  if (cvos_environment(&ours, NULL) < 0) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_LOOKUP, "%s", name);
  env = (const char *const *)ours;
  r = cvy_lookup(name, path ? path : cvy_env_get(CVY_ENV_NATIVE, env, "PATH"),
                 cvy_env_get(CVY_ENV_NATIVE, env, "PATHEXT"), ret_path);
  cvy_free(ours);
  return r;
}
