#include "proc/plan.h"

#include "core/atomics.h"
#include "core/env.h"
#include "core/env_block.h"
#include "core/error.h"
#include "core/mem.h"
#include "core/quote.h"
#include "core/utf.h"
#include "os/error.h"
#include "os/path.h"
#include "os/process.h"
#include "proc/lookup.h"
#include "proc/options.h"

#include <string.h>

/* ---- environment ---- */

/* changes with entry behind them, as one list: owned, NULL when out of memory. */
static const char **with_entry(const char *const *changes, const char *entry)
{
  size_t count = 0;
  const char **list;

  while (changes && changes[count]) count++;
  if (!(list = cvy_alloc_zero(count + 2, sizeof *list))) return NULL;
  if (count) memcpy(list, changes, count * sizeof *list);
  list[count] = entry;
  return list;
}

static int plan_env(cvy_plan *plan, const covey_process_options *o, const char *entry)
{
  bool clear = (o->flags & COVEY_PROCESS_ENV_CLEAR) != 0;
  const char **changes = NULL;
  char **ours = NULL;
  int r;

  if (!o->env && !clear && !entry) return 0;
  if (!(changes = with_entry(o->env, entry)) || cvos_environment(&ours, NULL) < 0)
    r = cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ENVIRONMENT, "env");
  else
    r = cvy_env_merge(CVY_ENV_NATIVE, (const char *const *)ours, changes, clear, &plan->env, NULL);
  if (r >= 0 && CVOS_WINDOWS) r = cvy_env_block((const char *const *)plan->env, &plan->block, NULL);
  cvy_free(ours);
  cvy_free(changes);
  return r < 0 ? r : 0;
}

/* ---- program ---- */

static uint32_t started; /* atomic: a child was started, so that what stays for all children is there */

/* An absolute path need not be looked at: the system does so, and a start that failed is explained afterwards (cvy_plan_blame). Only where nothing is
 * created or cut on the way there. */
static bool may_trust(const covey_process_options *o)
{
  bool trust = !CVOS_WINDOWS && cvy_load_relaxed_u32(&started);
  for (int i = 0; i < 3 && trust; i++) trust = !cvy_options_stdio(o, i)->path;
  return trust;
}

/* Finds name with the PATH and PATHEXT that the child will have. */
static int plan_file(cvy_plan *plan, const char *name)
{
  char **ours = NULL;
  const char *const *env = (const char *const *)plan->env;
  int r;

  plan->trusted = plan->trusted && cvos_path_is_absolute(name);
  if (plan->trusted) {
    plan->file = cvy_strdup(name);
    return plan->file ? 0 : cvy_fail(COVEY_ENOMEM, COVEY_STAGE_LOOKUP, "%s", name);
  }
  /* What says where it is needs no list of folders; only Windows still asks for the endings. */
  if (!env && (CVOS_WINDOWS || !cvos_path_has_folder(name))) {
    if (cvos_environment(&ours, NULL) < 0) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_LOOKUP, "%s", name);
    env = (const char *const *)ours;
  }
  r = cvy_lookup(name, env ? cvy_env_get(CVY_ENV_NATIVE, env, "PATH") : NULL,
                 env ? cvy_env_get(CVY_ENV_NATIVE, env, "PATHEXT") : NULL, &plan->file);
  cvy_free(ours);
  return r;
}

static size_t count_words(const char *const *argv)
{
  size_t count = 0;

  while (argv[count]) count++;
  return count;
}

/* The system folder's cmd.exe: not %ComSpec%, not a search. */
static int system_cmd(char **ret_path)
{
  cvy_str path = {0};
  char *folder;

  if (cvos_path_system(&folder) < 0) return cvy_fail_os(COVEY_STAGE_LOOKUP, cvos_last_error(), "cmd.exe");
  cvy_str_add_text(&path, folder);
  cvy_str_add_text(&path, "\\cmd.exe");
  cvy_free(folder);
  return cvy_str_take(&path, ret_path, NULL);
}

/* A batch file is read by cmd.exe, which CreateProcess would start unasked and with the wrong quoting. */
static int plan_batch(cvy_plan *plan, const covey_process_options *o)
{
  char *script = plan->file;
  int r;

  if (!(o->flags & COVEY_PROCESS_BATCH))
    return cvy_fail(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, "batch file %s", script);
  if (o->flags & COVEY_PROCESS_RAW_COMMAND_LINE)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "RAW_COMMAND_LINE with a batch file");
  plan->file = NULL;
  r = cvy_batch_line(script, o->argv + 1, count_words(o->argv) - 1, &plan->line);
  cvy_free(script);
  return r < 0 ? r : system_cmd(&plan->file);
}

static int plan_argv(cvy_plan *plan, const covey_process_options *o)
{
  int r = plan_file(plan, o->file ? o->file : o->argv[0]);

  if (r < 0) return r;
  plan->argv = o->argv;
  if (!CVOS_WINDOWS) return 0;
  if ((r = cvy_is_batch_name(plan->file, strlen(plan->file))) < 0) return r;
  if (r > 0) return plan_batch(plan, o);
  if (o->flags & COVEY_PROCESS_RAW_COMMAND_LINE) {
    const char *tail = o->argv[1] ? o->argv[1] : "";

    return cvy_command_line_raw(o->argv[0], tail, strlen(tail), &plan->line);
  }
  return cvy_command_line(o->argv, count_words(o->argv), &plan->line);
}

/* ---- shells ---- */

/* A shell of the caller's choice must be a program: a batch file would hand its command to cmd.exe. */
static int plan_shell_file(cvy_plan *plan, const char *name)
{
  int r = plan_file(plan, name);

  if (r >= 0 && CVOS_WINDOWS) r = cvy_is_batch_name(plan->file, strlen(plan->file));
  return r > 0 ? cvy_fail(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, "batch file %s", plan->file) : r;
}

static int plan_cmd(cvy_plan *plan, const char *file, const char *command)
{
  cvy_str line = {0};
  size_t size = strlen(command), bad = strcspn(command, "\r\n");
  int64_t units = cvy_utf16_length(command, size);

  if (units < 0)
    return cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ARGUMENTS, -1, cvy_utf8_check(command, size), "command");
  if (bad < size) /* cmd.exe would drop the rest of the text */
    return cvy_fail_at(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, -1, (int64_t)bad, "command");
  cvy_str_add_text(&line, "cmd.exe /d /s /e:on /v:off /c \"");
  units += (int64_t)line.size + 1;
  cvy_str_add_text(&line, command);
  cvy_str_add_char(&line, '"');
  if (units > CVY_CMD_LINE_MAX) {
    cvy_str_fini(&line);
    return cvy_fail(COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, "command");
  }
  if (cvy_str_take(&line, &plan->line, NULL) < 0) return COVEY_ENOMEM;
  return file ? plan_shell_file(plan, file) : system_cmd(&plan->file);
}

static int plan_shell(cvy_plan *plan, const covey_process_options *o)
{
  static const char *const programs[] = {
      [COVEY_SHELL_AUTO] = "/bin/sh", [COVEY_SHELL_SH] = CVOS_WINDOWS ? "sh" : "/bin/sh",
      [COVEY_SHELL_BASH] = "bash",    [COVEY_SHELL_POWERSHELL] = "powershell",
      [COVEY_SHELL_PWSH] = "pwsh",
  };
  const char **w = plan->words;
  int r;

  if (CVOS_WINDOWS && (o->shell == COVEY_SHELL_AUTO || o->shell == COVEY_SHELL_CMD))
    return plan_cmd(plan, o->file, o->command);
  if ((r = plan_shell_file(plan, o->file ? o->file : programs[o->shell])) < 0) return r;
  *w++ = o->file ? o->file : o->shell <= COVEY_SHELL_SH ? "sh" : programs[o->shell];
  if (o->shell >= COVEY_SHELL_POWERSHELL) {
    *w++ = "-NoProfile";
    *w++ = "-NonInteractive";
    *w++ = "-Command";
  } else {
    if (o->shell == COVEY_SHELL_BASH) {
      *w++ = "--noprofile";
      *w++ = "--norc";
    }
    *w++ = "-c";
    if (o->command[0] == '-' || o->command[0] == '+') *w++ = "--"; /* else taken for options of the shell */
  }
  *w = o->command;
  plan->argv = plan->words;
  return CVOS_WINDOWS ? cvy_command_line(plan->argv, count_words(plan->argv), &plan->line) : 0;
}

int cvy_plan_make(const covey_process_options *o, const char *entry, cvy_plan *ret)
{
  cvy_plan plan = {.trusted = may_trust(o)};
  int r = plan_env(&plan, o, entry);

  if (r >= 0) r = o->command ? plan_shell(&plan, o) : plan_argv(&plan, o);
  if (r < 0) {
    cvy_plan_fini(&plan);
    return r;
  }
  *ret = plan;
  if (plan.argv == plan.words) ret->argv = ret->words;
  return 0;
}

void cvy_plan_started(void)
{
  if (!cvy_load_relaxed_u32(&started)) cvy_store_relaxed_u32(&started, 1);
}

int cvy_plan_blame(const cvy_plan *plan, int code)
{
  char *found = NULL;
  int r = plan->trusted ? cvy_lookup(plan->file, NULL, NULL, &found) : 0;

  cvy_free(found);
  return r < 0 ? r : code;
}

void cvy_plan_fini(cvy_plan *plan)
{
  cvy_free(plan->file);
  cvy_free(plan->line);
  cvy_free(plan->env);
  cvy_free(plan->block);
  memset(plan, 0, sizeof *plan);
}
