/* Behaviours that use the seam themselves: parents of tied children. */
#include "helper.h"
#include "core/quote.h"
#include "os/handle.h"
#include "os/path.h"
#include "os/process.h"
#include "os/signal.h"

#include <covey/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t seam_start(const char *behaviour, uint32_t flags, int scope, cvos_process *ret,
                          cvos_tree **ret_tree)
{
  char *self, *line;
  covey_failure failure;
  if (cvos_path_self(&self) < 0) return -1;
  const char *argv[] = {self, behaviour, NULL};
  if (cvy_command_line(argv, 2, &line) < 0) return -1;
  cvos_handle null;
  if (cvos_null_open(&null) < 0) return -1;
  cvos_spawn_request q = {.file = self,
                          .argv = argv,
                          .command_line = line,
                          .stdio = {null, null, null},
                          .scope = scope,
                          .flags = flags};
  int r = cvos_spawn(&q, ret, ret_tree, &failure);
  cvos_handle_close(null);
  covey_free(self);
  covey_free(line);
  if (r < 0)
    helper_print(2, "spawn: %d, stage %d, system %d, %s\n", r, failure.stage, failure.system, failure.what);
  return r < 0 ? -1 : ret->pid;
}

int64_t helper_seam_start(const char *behaviour, uint32_t flags, int scope, cvos_process *ret)
{
  cvos_tree *tree;
  return seam_start(behaviour, flags, scope, ret, &tree);
}

static int start_many(int count, uint32_t flags)
{
  for (int i = 0; i < count; i++) {
    cvos_process process;
    int64_t pid = helper_seam_start("hang", flags, CVOS_SCOPE_TREE, &process);
    if (pid < 0) return HELPER_NO_START;
    helper_print(1, "%lld\n", (long long)pid);
  }
  return 0;
}

static int finish(const char *end)
{
  helper_print(1, "0\n");
  if (end && strcmp(end, "exit") == 0) return 0;
  if (end && strcmp(end, "crash") == 0) helper_crash();
  for (int i = 0; i < 600; i++) helper_pause(1000);
  return HELPER_TIRED;
}

static int do_tied(int argc, char **argv)
{
  int r = start_many(argc > 1 ? atoi(argv[1]) : 1, CVOS_SPAWN_TIED);
  return r ? r : finish(argc > 2 ? argv[2] : NULL);
}

/* One tied child in a tree that nobody leaves, with a grandchild that tries to. */
static int do_enclosed(int argc, char **argv)
{
  cvos_process process;
  cvos_tree *tree;
  int64_t pids[2];
  if (seam_start("daemon", CVOS_SPAWN_TIED | CVOS_SPAWN_ENCLOSED, CVOS_SCOPE_TREE, &process, &tree) < 0)
    return HELPER_NO_START;
  for (int i = 0; cvos_tree_members(tree, pids, 2) != 2; i++) {
    if (i > 20000) return HELPER_TIRED;
    helper_pause(1);
  }
  for (int i = 0; i < 2; i++) helper_print(1, "%lld\n", (long long)pids[i]);
  return finish(argc > 1 ? argv[1] : NULL);
}

static int do_untied(int argc, char **argv)
{
  int r = start_many(1, 0);
  return r ? r : finish(argc > 1 ? argv[1] : NULL);
}

/* A child whose tree is another's, who had its pid: is it a member? */
static int do_another_leader(int argc, char **argv)
{
  cvos_process process;
  cvos_tree *tree;
  (void)argc;
  (void)argv;
  if (seam_start("hang", 0, CVOS_SCOPE_SHARED, &process, &tree) < 0) return HELPER_NO_START;
  int64_t before = cvos_tree_members(tree, NULL, 0);
  int64_t after = helper_tree_of_another(tree) ? cvos_tree_members(tree, NULL, 0) : 0;
  cvos_signal_send(&process, CVOS_SIGNAL_KILL);
  if (cvos_process_wait(&process, 30000) == 0) cvos_process_reap(&process, tree, NULL);
  cvos_tree_release(tree);
  cvos_process_close(&process);
  return before == 1 && after == 0 ? 0 : 1;
}

/* Many tied children one after the other, all through one guard, that of one which hangs; its pid again behind each 500, as a sign of life. */
static int do_through(int argc, char **argv)
{
  cvos_process process;
  int64_t pid = helper_seam_start("hang", CVOS_SPAWN_TIED, CVOS_SCOPE_TREE, &process);
  if (pid < 0) return HELPER_NO_START;
  bool guarded = helper_guard("note", NULL) == 0;
  helper_print(1, "%lld\n", (long long)pid);
  for (int i = 1; i <= (argc > 1 ? atoi(argv[1]) : 1); i++) {
    cvos_tree *tree;
    if (seam_start("nothing", CVOS_SPAWN_TIED, CVOS_SCOPE_TREE, &process, &tree) < 0) return HELPER_NO_START;
    if (cvos_process_wait(&process, 60000) != 0 || cvos_process_reap(&process, tree, NULL) != 0)
      return HELPER_TIRED;
    cvos_tree_release(tree);
    cvos_process_close(&process);
    if (i % 500 == 0) helper_print(1, "%lld\n", (long long)pid);
  }
  return guarded && helper_guard("same", NULL) < 0 ? HELPER_NO_START : finish(NULL);
}

/* One tied child, then the guard meets with something, then another tied child. */
static int do_guard(int argc, char **argv)
{
  if (argc > 2 && helper_guard("shell", argv[2]) < 0) return HELPER_NOT_HERE;
  int r = start_many(1, CVOS_SPAWN_TIED);
  if (!r && argc > 1 && helper_guard(argv[1], NULL) < 0) r = HELPER_NOT_HERE;
  if (!r) r = start_many(1, CVOS_SPAWN_TIED);
  return r ? r : finish(NULL);
}

/* A tied child, and then a process (on POSIX a fork without exec) that has all that we had open. */
static int do_tied_and_fork(int argc, char **argv)
{
  const char *child[] = {"hang"};
  (void)argc;
  (void)argv;
  int r = start_many(1, CVOS_SPAWN_TIED);
  int64_t pid = r ? -1 : helper_start(1, child, HELPER_QUIET | HELPER_SESSION);
  if (pid < 0) return HELPER_NO_START;
  helper_print(1, "%lld\n", (long long)pid);
  return finish(NULL);
}

const helper_behaviour helper_seam[] = {
    {"tied", do_tied, "COUNT [exit|crash]: tied children that hang; writes their pids and 0, hangs"},
    {"enclosed", do_enclosed,
     "[exit|crash]: one child in a tree that nobody leaves, whose child tries to; writes their pids and 0, "
     "hangs"},
    {"through", do_through,
     "COUNT: a tied child that hangs, and so many that come and go; writes its pid, again behind each 500, "
     "and 0, hangs"},
    {"untied", do_untied, "[exit|crash]: one child that is not tied; the same"},
    {"guard", do_guard,
     "kill|stop|signals|close|files|none [SHELL]: a tied child, something befalls the guard, another one"},
    {"another-leader", do_another_leader,
     "0 when a process with the leader's pid, but not the leader, is no member"},
    {"tied-and-fork", do_tied_and_fork, "a tied child and a forked one; writes their pids and 0, hangs"},
    {"permute", helper_permute, "DIRECTORY: every way to hand on 0-2, and descriptors in each other's place"},
    {"files-are", helper_files_are, "INODE...: exits with 0 when 0, 1, 2 ... are these files"},
    {"hostile-signals", helper_hostile_signals,
     "ignores, blocks and lets the system reap: children must not notice, and their end must"},
    {"window", helper_window,
     "as stop, but on Windows it has a window that can be closed, and hears nothing else"},
    {"trace", helper_trace, "PID: traces it as a debugger does, writes traced and hangs; Linux"},
    {"ask-graphical", helper_ask_graphical, "whether a program with windows alone is told from others"},
    {"exhaust", helper_exhaust, "starts children under every limit on descriptors"},
    {NULL, NULL, NULL},
};
