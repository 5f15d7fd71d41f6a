#include "proc/options.h"

#include "core/error.h"
#include "core/mem.h"
#include "os/pty.h"

#include <string.h>

static int refuse_at(int64_t index, const char *what)
{
  return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, index, -1, "%s", what);
}

static int refuse(const char *what)
{
  return refuse_at(-1, what);
}

static int unsupported(const char *what)
{
  return cvy_fail(COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS, "%s", what);
}

const covey_stdio *cvy_options_stdio(const covey_process_options *options, int index)
{
  return index == 0 ? &options->in : index == 1 ? &options->out : &options->err;
}

int cvy_options_stdio_kind(const covey_process_options *options, int index)
{
  int kind = cvy_options_stdio(options, index)->kind;

  if (kind != COVEY_STDIO_DEFAULT) return kind;
  if (options->flags & COVEY_PROCESS_PTY) return index == 2 ? COVEY_STDIO_MERGE : COVEY_STDIO_PIPE;
  if (index == 0) return options->input ? COVEY_STDIO_PIPE : COVEY_STDIO_NULL;
  return options->scope == COVEY_SCOPE_DETACHED ? COVEY_STDIO_NULL : COVEY_STDIO_INHERIT;
}

/* The program: argv or command, and what belongs to them. */
static int check_program(const covey_process_options *o)
{
  if (!o->argv == !o->command) return refuse(o->argv ? "argv and command" : "argv");
  if (o->file && !o->file[0]) return refuse("file");
  if (o->shell < COVEY_SHELL_AUTO || o->shell > COVEY_SHELL_PWSH) return refuse("shell");
  if (o->command) {
    if (o->flags & COVEY_PROCESS_RAW_COMMAND_LINE) return refuse("RAW_COMMAND_LINE with command");
    if (o->shell == COVEY_SHELL_CMD && !CVOS_WINDOWS) return unsupported("shell");
    return 0;
  }
  if (o->shell != COVEY_SHELL_AUTO) return refuse("shell without command");
  if (!o->argv[0]) return refuse_at(0, "argv[0]");
  if (!o->file && !o->argv[0][0]) return refuse_at(0, "argv[0]");
  if (o->flags & COVEY_PROCESS_RAW_COMMAND_LINE) {
    if (!CVOS_WINDOWS) return unsupported("RAW_COMMAND_LINE");
    if (o->argv[1] && o->argv[2]) return refuse_at(2, "argv with RAW_COMMAND_LINE");
  }
  return 0;
}

static bool kind_fits(int kind, int index)
{
  switch (kind) {
  case COVEY_STDIO_DEFAULT:
  case COVEY_STDIO_INHERIT:
  case COVEY_STDIO_NULL:
  case COVEY_STDIO_FILE:
  case COVEY_STDIO_NATIVE:
  case COVEY_STDIO_PIPE: return true;
  case COVEY_STDIO_CAPTURE:
  case COVEY_STDIO_LINES:
  case COVEY_STDIO_APPEND:
  case COVEY_STDIO_FILE_NEW: return index > 0;
  case COVEY_STDIO_MERGE: return index == 2;
  default: return false;
  }
}

/* Whether we hold the other end. */
static int check_ladder(const covey_process_options *o)
{
  if (!o->ladder != !o->ladder_count || o->ladder_count > COVEY_LADDER_MOST) return refuse("ladder");
  if (o->ladder && o->grace) return refuse("grace with ladder");
  for (size_t i = 0; i < o->ladder_count; i++) {
    const covey_stop_step *s = &o->ladder[i];
    bool last = i + 1 == o->ladder_count, kill = s->action == COVEY_STOP_KILL;
    bool sends = s->action == COVEY_STOP_SIGNAL;

    if (s->action < COVEY_STOP_ASK || s->action > COVEY_STOP_KILL) return refuse_at((int64_t)i, "ladder");
    if (sends ? s->signal < 1 || s->signal == COVEY_SIGNAL_KILL : s->signal != 0)
      return refuse_at((int64_t)i, "ladder");
    if (kill ? !last || s->timeout : s->timeout < (last ? COVEY_FOREVER : 0))
      return refuse_at((int64_t)i, "ladder");
  }
  return 0;
}

static bool is_read(int kind)
{
  return kind == COVEY_STDIO_CAPTURE || kind == COVEY_STDIO_PIPE || kind == COVEY_STDIO_LINES;
}

static int check_stdio(const covey_process_options *o, bool run)
{
  static const char *const names[] = {"in", "out", "err"};
  static const char *const run_pipes[] = {"in PIPE of a run: see input",
                                          "out PIPE of a run: see CAPTURE, on_output",
                                          "err PIPE of a run: see CAPTURE, on_output"};

  for (int i = 0; i < 3; i++) {
    const covey_stdio *s = cvy_options_stdio(o, i);
    bool file =
        s->kind == COVEY_STDIO_FILE || s->kind == COVEY_STDIO_APPEND || s->kind == COVEY_STDIO_FILE_NEW;

    if (!kind_fits(s->kind, i) || !cvy_is_zero(s->reserved, 2)) return refuse_at(i, names[i]);
    if (s->flags && (s->flags != COVEY_STDIO_SOCKET || !is_read(s->kind))) return refuse_at(i, names[i]);
    if (s->flags && CVOS_WINDOWS)
      return cvy_fail_at(COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS, i, -1, "%s SOCKET", names[i]);
    if (file != (s->path != NULL) || (file && !s->path[0])) return refuse_at(i, names[i]);
    if (s->kind == COVEY_STDIO_NATIVE && s->native == COVEY_NATIVE_NONE) return refuse_at(i, names[i]);
    if (run && s->kind == COVEY_STDIO_PIPE && !(i > 0 && o->on_output)) return refuse_at(i, run_pipes[i]);
  }
  if (o->input && o->in.kind != COVEY_STDIO_DEFAULT) return refuse("input with in");
  if (!o->input && o->input_size) return refuse("input");
  return 0;
}

static int check_pty(const covey_process_options *o)
{
  const covey_pty *pty = &o->pty;

  if (o->flags & COVEY_PROCESS_FOREGROUND) {
    if (o->flags & COVEY_PROCESS_PTY) return refuse("FOREGROUND with PTY");
    if (o->scope != COVEY_SCOPE_TREE) return refuse("scope with FOREGROUND");
  }
  if (!(o->flags & COVEY_PROCESS_PTY))
    return pty->rows || pty->columns || pty->flags ? refuse("pty without PTY") : 0;
  if (pty->rows > CVOS_PTY_SIZE_MOST) return refuse("pty.rows");
  if (pty->columns > CVOS_PTY_SIZE_MOST) return refuse("pty.columns");
  if (pty->flags & ~(uint32_t)COVEY_PTY_ECHO) return refuse("pty.flags");
  if (o->scope != COVEY_SCOPE_TREE && o->scope != COVEY_SCOPE_SESSION) return refuse("scope with PTY");
  if (o->in.kind != COVEY_STDIO_DEFAULT && o->in.kind != COVEY_STDIO_PIPE) return refuse_at(0, "in with PTY");
  if (o->out.kind != COVEY_STDIO_DEFAULT && !is_read(o->out.kind)) return refuse_at(1, "out with PTY");
  if (o->err.kind != COVEY_STDIO_DEFAULT && o->err.kind != COVEY_STDIO_MERGE)
    return refuse_at(2, "err with PTY");
  if (o->in.flags || o->out.flags) return refuse_at(o->in.flags ? 0 : 1, "SOCKET with PTY");
  return 0;
}

/* Callbacks, and who calls them. */
static int check_shown(const covey_process_options *o, bool run)
{
  int out = cvy_options_stdio_kind(o, 1), err = cvy_options_stdio_kind(o, 2);
  bool lines = out == COVEY_STDIO_LINES || err == COVEY_STDIO_LINES;
  bool others = (is_read(out) && out != COVEY_STDIO_LINES) || (is_read(err) && err != COVEY_STDIO_LINES);

  if (o->on_output && !others) return refuse("on_output without CAPTURE or PIPE");
  if (o->on_line && !lines) return refuse("on_line without LINES");
  if (o->line_max && !lines) return refuse("line_max without LINES");
  if (o->line_max > SIZE_MAX / 4) return refuse("line_max");
  if (o->on_room && (o->input || cvy_options_stdio_kind(o, 0) != COVEY_STDIO_PIPE))
    return refuse("on_room without PIPE");
  if (o->on_room && run) return refuse("on_room of a run");
  if (lines && !o->on_line && o->on_output) return refuse("on_output beside LINES without on_line");
  return run && lines && !o->on_line ? refuse("LINES without on_line") : 0;
}

static int check_pass(const covey_process_options *o)
{
  if (!o->pass && o->pass_count) return refuse("pass");
  for (size_t i = 0; i < o->pass_count; i++) {
    const covey_pass *p = &o->pass[i];

    if (p->native == COVEY_NATIVE_NONE || p->reserved0) return refuse_at((int64_t)i, "pass");
    if (CVOS_WINDOWS ? p->child != 0 : p->child < 3) return refuse_at((int64_t)i, "pass");
    for (size_t k = 0; !CVOS_WINDOWS && k < i; k++)
      if (o->pass[k].child == p->child) return refuse_at((int64_t)i, "pass");
  }
  return 0;
}

static int check_times(const covey_process_options *o)
{
  if (o->timeout < COVEY_FOREVER) return refuse("timeout");
  if (o->grace < COVEY_FOREVER) return refuse("grace");
  if (o->drain < COVEY_FOREVER) return refuse("drain");
  if (o->drain_max < COVEY_FOREVER) return refuse("drain_max");
  if (o->idle < COVEY_FOREVER) return refuse("idle");
  if (o->idle > 0 && !is_read(cvy_options_stdio_kind(o, 1)) && !is_read(cvy_options_stdio_kind(o, 2)))
    return refuse("idle without an output that is read");
  return 0;
}

static int check_limits(const covey_launch *l)
{
  uint32_t seen = 0;

  if (!l->limits && l->limit_count) return refuse("launch.limits");
  for (size_t i = 0; i < l->limit_count; i++) {
    const covey_limit *limit = &l->limits[i];
    bool known = limit->kind >= COVEY_LIMIT_CPU_TIME && limit->kind <= COVEY_LIMIT_PROCESSES;
    bool ordered =
        limit->soft <= limit->hard || limit->soft == COVEY_LIMIT_OURS || limit->hard == COVEY_LIMIT_OURS;

    if (!known || limit->reserved0 || !ordered || (seen & 1u << limit->kind))
      return refuse_at((int64_t)i, "launch.limits");
    seen |= 1u << limit->kind;
  }
  return 0;
}

static int check_tree_limits(const covey_process_options *o)
{
  const covey_launch *l = o->launch;
  bool tree = o->scope == COVEY_SCOPE_TREE || o->scope == COVEY_SCOPE_SESSION;

  if (l->tree_memory && !tree) return refuse("launch.tree_memory without a tree");
  if (l->tree_processes && !tree) return refuse("launch.tree_processes without a tree");
  if (l->tree_cpu && !tree) return refuse("launch.tree_cpu without a tree");
  if (l->tree_memory > INT64_MAX) return refuse("launch.tree_memory");
  return l->tree_cpu && (l->tree_cpu < 10 || l->tree_cpu > 1000000) ? refuse("launch.tree_cpu") : 0;
}

static int check_launch(const covey_process_options *o)
{
  const covey_launch *l = o->launch;
  uint64_t any = 0;

  if (!l) return 0;
  if (!cvy_is_zero(l->reserved, sizeof l->reserved / sizeof l->reserved[0])) return refuse("launch.reserved");
  if (l->flags & ~(uint32_t)(COVEY_LAUNCH_UMASK | COVEY_LAUNCH_NO_NEW_PRIVILEGES | COVEY_LAUNCH_SUBREAPER))
    return refuse("launch.flags");
  if (l->umask > 0777 || (l->umask && !(l->flags & COVEY_LAUNCH_UMASK))) return refuse("launch.umask");
  if (l->user && !l->user[0]) return refuse("launch.user");
  if (l->group && !l->group[0]) return refuse("launch.group");
  for (size_t i = 0; l->groups && l->groups[i]; i++)
    if (!l->groups[i][0]) return refuse_at((int64_t)i, "launch.groups");
  if (l->priority < COVEY_PRIORITY_DEFAULT || l->priority > COVEY_PRIORITY_HIGHEST)
    return refuse("launch.priority");
  if (l->window < COVEY_WINDOW_DEFAULT || l->window > COVEY_WINDOW_MINIMIZED) return refuse("launch.window");
  if (l->window && o->scope == COVEY_SCOPE_SHARED) return refuse("launch.window with scope SHARED");
  if (l->window && (o->flags & COVEY_PROCESS_PTY)) return refuse("launch.window with PTY");
  if (!l->affinity != !l->affinity_count) return refuse("launch.affinity");
  for (size_t i = 0; i < l->affinity_count; i++) any |= l->affinity[i];
  if (l->affinity && !any) return refuse("launch.affinity");
  if ((l->limits || l->limit_count) && check_limits(l) < 0) return COVEY_EINVAL;
  return check_tree_limits(o);
}

int cvy_options_check(const covey_process_options *o, bool run)
{
  int r;

  if (!o) return refuse("options");
  if (o->reserved0 || !cvy_is_zero(o->reserved, sizeof o->reserved / sizeof o->reserved[0]))
    return refuse("reserved");
  if (o->flags & ~(uint32_t)COVEY_PROCESS_FLAGS) return refuse("flags");
  if ((o->flags & COVEY_PROCESS_KEEP_HEAD) && (o->flags & COVEY_PROCESS_KEEP_ENDS))
    return refuse("KEEP_HEAD with KEEP_ENDS");
  if (o->scope < COVEY_SCOPE_TREE || o->scope > COVEY_SCOPE_DETACHED) return refuse("scope");
  if (run && o->scope == COVEY_SCOPE_DETACHED) return refuse("scope DETACHED");
  if (run && o->loop) return refuse("loop");
  if (o->cwd && !o->cwd[0]) return refuse("cwd");
  if ((r = check_program(o)) < 0 || (r = check_stdio(o, run)) < 0) return r;
  if ((r = check_pty(o)) < 0 || (r = check_shown(o, run)) < 0) return r;
  if ((r = check_pass(o)) < 0 || (r = check_launch(o)) < 0) return r;
  if ((r = check_ladder(o)) < 0) return r;
  return check_times(o);
}
