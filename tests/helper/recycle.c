/* A process number that is given to another process while somebody still means the first one. Whatever is done in the name of the first, the other one lives
 * on. In a pid namespace of our own, where a number can be chosen. */
#include "helper.h"

#include <covey.h>

#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 20000, TRIES = 50 };

static int problems;

static bool expect(const char *what, int64_t got, int64_t wanted)
{
  if (got == wanted) return true;
  const covey_failure *f = covey_last_failure();
  helper_print(2, "%s: %lld, not %lld; last failure %s, %s\n", what, (long long)got, (long long)wanted,
               covey_errname(f->code), f->what);
  problems++;
  return false;
}

/* Another process, the leader of a group and a session, with this number, which must be free. */
static bool take(int64_t pid)
{
  const char *words[] = {"hang"};
  helper_pause(30); /* start stamps count in steps of 10 ms */
  for (int i = 0; i < TRIES; i++) {
    if (!helper_next_number(pid)) return expect("a number to be chosen", 0, 1);
    int64_t got = helper_start(1, words, HELPER_QUIET | HELPER_SESSION);
    if (got == pid) return true;
    helper_end(got); /* somebody was faster: a thread, the guard */
  }
  return expect("the number again", 0, pid);
}

static void lives(const char *what, int64_t pid)
{
  covey_process *p;
  if (!expect(what, covey_process_adopt(pid, 0, NULL, &p), 0)) return;
  expect(what, covey_process_wait(p, 100, NULL), COVEY_ETIMEDOUT);
  covey_process_close(p);
}

/* All that can be done to one who has ended, by his handle and by his number and start stamp. */
static void mistreat(covey_process *p, const covey_identity *id)
{
  covey_process *other;
  covey_manager *manager;
  covey_find_result found;
  covey_find_options find = {.pid = id->pid, .pid_start = id->start};
  covey_exit e;
  expect("signal", covey_process_signal(p, COVEY_SIGNAL_KILL, COVEY_TARGET_LEADER), COVEY_ENOTFOUND);
  expect("term", covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER), COVEY_ENOTFOUND);
  expect("suspend", covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_LEADER), COVEY_ENOTFOUND);
  expect("kill", covey_process_kill(p), 0);
  expect("stop", covey_process_stop(p, 0, &e), 0);
  expect("adopt", covey_process_adopt(id->pid, id->start, NULL, &other), COVEY_ENOTFOUND);
  expect("find", covey_find(&find, &found), COVEY_ENOTFOUND);
  find = (covey_find_options){.tree = id->pid, .tree_start = id->start};
  expect("find the tree", covey_find(&find, &found), COVEY_ENOTFOUND);
  if (!expect("manager", covey_manager_new(NULL, &manager), 0)) return;
  expect("add", covey_manager_add(manager, id->pid, id->start), COVEY_ENOTFOUND);
  covey_manager_free(manager);
  lives("who has the number now", id->pid);
}

/* A child that ends by itself and is reaped at once, as those of SHARED and LEAVE_TREE are; one that is killed. */
static void child(int scope, uint32_t flags)
{
  char *self;
  covey_process *p;
  covey_identity id, now;
  if (covey_self_path(&self) < 0) return;
  const char *words[] = {self, "hang", NULL};
  covey_process_options o = {.argv = words, .scope = scope, .flags = flags, .out.kind = COVEY_STDIO_NULL};
  int r = covey_spawn(&o, &p);
  covey_free(self);
  if (!expect("spawn", r, 0)) return;
  expect("identity", covey_process_identity(p, &id), 0);
  expect("kill", covey_process_kill(p), 0);
  expect("wait", covey_process_wait(p, PATIENCE, NULL), 0);
  if (take(id.pid)) {
    covey_process *other;
    mistreat(p, &id);
    if (expect("adopt the other", covey_process_adopt(id.pid, 0, NULL, &other), 0)) {
      expect("its identity", covey_process_identity(other, &now), 0);
      if (now.start == id.start) expect("its stamp", 0, 1);
      covey_process_close(other);
    }
    covey_process_close(p);
    lives("after the close", id.pid);
    helper_end(id.pid);
    return;
  }
  covey_process_close(p);
}

/* An adopted process, whose end nobody has looked at when its number is another's already. */
static void adopted(void)
{
  const char *words[] = {"hang"};
  covey_process *p;
  covey_identity id;
  int64_t pid = helper_start(1, words, HELPER_QUIET | HELPER_SESSION);
  if (pid < 0 || !expect("adopt", covey_process_adopt(pid, 0, NULL, &p), 0)) return;
  expect("identity", covey_process_identity(p, &id), 0);
  helper_end(pid);
  if (take(pid)) {
    mistreat(p, &id);
    expect("wait", covey_process_wait(p, PATIENCE, NULL), 0);
  }
  covey_process_close(p);
  lives("after the close", pid);
  helper_end(pid);
}

/* The number of a child that has ended belongs to it until its handle is closed, and to nobody from then on: its group neither. */
static void owned(void)
{
  char *self;
  covey_process *p;
  const char *words[] = {"hang"};
  if (covey_self_path(&self) < 0) return;
  const char *argv[] = {self, "exit", "0", NULL};
  int r = covey_spawn(&(covey_process_options){.argv = argv}, &p);
  covey_free(self);
  if (!expect("spawn", r, 0)) return;
  int64_t pid = covey_process_pid(p);
  expect("wait", covey_process_wait(p, PATIENCE, NULL), 0);
  if (!helper_next_number(pid)) expect("a number to be chosen", 0, 1);
  int64_t other = helper_start(1, words, HELPER_QUIET | HELPER_SESSION);
  if (other == pid) expect("a number that is still ours", 0, 1);
  helper_end(other);
  covey_process_close(p);
  for (int64_t end = helper_now() + PATIENCE; helper_now() < end;
       helper_pause(5)) { /* reaped in the background */
    covey_find_result found;
    covey_find_options find = {.pid = pid, .flags = COVEY_FIND_ZOMBIES};
    if (covey_find(&find, &found) < 0) break;
    covey_find_free(&found);
  }
  if (!take(pid)) return;
  helper_pause(100);
  lives("after the close of a tree", pid);
  helper_end(pid);
}

static int do_inside(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  child(COVEY_SCOPE_SHARED, 0);
  child(COVEY_SCOPE_TREE, COVEY_PROCESS_LEAVE_TREE);
  adopted();
  owned();
  return problems ? 1 : 0;
}

static int do_recycle(int argc, char **argv)
{
  char name[] = "recycle-inside";
  char *inside[] = {name, NULL};
  (void)argc;
  (void)argv;
  return helper_in_numbers_of_its_own(1, inside);
}

const helper_behaviour helper_recycle[] = {
    {"recycle", do_recycle,
     "what is done to processes whose numbers are others' by now; tells what went wrong (Linux, root)"},
    {"recycle-inside", do_inside, "the same, in a pid namespace of ours"},
    {NULL, NULL, NULL},
};
