#include "posix/detail/posix.h"

#include "os/tree.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/signal.h"
#include "posix/detail/system.h"
#include "posix/detail/tree.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ROUNDS = 64, MOST_KIN = 1 << 17 };

/* A look at the tree: every process found once, in the order found (parents before children). */
typedef struct sweep {
  cvos_tree *tree;
  cvos_kin *list;
  size_t count, capacity;
  uint32_t *table; /* open addressing, index + 1 into list */
  size_t table_size;
  bool stop;     /* each new one is stopped */
  bool scan_all; /* the system has no lists of children */
  bool denied, full;
} sweep;

/* 1: the leader runs; 0: it has ended, and its number is still its own; -1: the number may be a stranger's. */
static int leader_state(const cvos_tree *tree)
{
  if (tree->ended) return -1;
  cvos_ended ended;
  int r = cvos_system_wait(-1, tree->leader, WNOWAIT, &ended);
  if (r >= 0) return r ? 0 : 1;
  /* somebody else reaped it: as long as nobody has its number, the group of that number is still what it left */
  cvos_entry entry;
  int error = cvos_system_entry(tree->leader, &entry);
  if (error == ESRCH) return 0;
  return !error && entry.start == tree->start ? (entry.zombie ? 0 : 1) : -1;
}

/* Sends number to (pid, start), or to nobody. 0 or errno. */
static int signal_kin(const cvos_kin *kin, int number)
{
  cvos_entry entry;
  int pidfd = cvos_system_pidfd(kin->pid);
  int error = cvos_system_entry(kin->pid, &entry);
  if (!error && (entry.start != kin->start || entry.zombie)) error = ESRCH;
  if (!error && pidfd >= 0)
    error = cvos_system_pidfd_signal(pidfd, number);
  else if (!error && CVOS_CALL(SIGNAL, kill(kin->pid, number), -1) < 0)
    error = errno;
  cvos_fd_close(pidfd);
  return error;
}

static uint32_t *table_find(const sweep *s, pid_t pid)
{
  for (size_t i = (size_t)pid * 2654435761U;; i++) {
    uint32_t *cell = &s->table[i & (s->table_size - 1)];
    if (*cell == 0 || s->list[*cell - 1].pid == pid) return cell;
  }
}

static bool grow(sweep *s)
{
  size_t more = s->capacity ? s->capacity * 2 : 64;
  cvos_kin *list = more > MOST_KIN ? NULL : cvy_realloc_array(s->list, more, sizeof *list);
  if (list) s->list = list;
  uint32_t *table = list ? cvy_alloc_zero(more * 2, sizeof *table) : NULL;
  if (!table) {
    s->full = true;
    return false;
  }
  cvy_free(s->table);
  s->table = table;
  s->table_size = more * 2;
  s->capacity = more;
  for (size_t i = 0; i < s->count; i++) *table_find(s, s->list[i].pid) = (uint32_t)i + 1;
  return true;
}

/* Takes pid in, unless it is known, gone, older than the leader, ourselves, or another with the leader's number. */
static bool meet(pid_t pid, void *arg)
{
  sweep *s = arg;
  if (pid <= 1 || pid == getpid()) return true;
  if (s->count == s->capacity && !grow(s)) return false;
  uint32_t *cell = table_find(s, pid);
  cvos_entry entry;
  if (*cell || cvos_system_entry(pid, &entry) != 0) return true;
  uint64_t since = s->tree->start; /* 0: not known */
  if (entry.zombie || (since && (pid == s->tree->leader ? entry.start != since : entry.start < since)))
    return true;
  s->list[s->count] = (cvos_kin){pid, entry.start};
  *cell = (uint32_t)++s->count;
  if (s->stop && signal_kin(&s->list[s->count - 1], SIGSTOP) == EPERM) s->denied = true;
  return true;
}

/* Group and session by two cheap calls; with scan_all also whoever has a known parent. */
static bool meet_member(pid_t pid, void *arg)
{
  sweep *s = arg;
  pid_t leader = s->tree->leader;
  if (s->tree->grouped && getpgid(pid) == leader) return meet(pid, arg);
  if (s->tree->session && getsid(pid) == leader) return meet(pid, arg);
  if (!s->scan_all || s->count == 0) return true;
  cvos_entry entry;
  if (cvos_system_entry(pid, &entry) == 0 && *table_find(s, entry.parent)) return meet(pid, arg);
  return true;
}

/* Finds the members, round by round until a round finds nothing new; without lists of children one round does not see all. 0 or errno (ELOOP: no
 * end of it). */
static int find_members(sweep *s, int rounds)
{
  for (size_t i = 0; i < s->tree->kin_count; i++) {
    cvos_entry entry;
    const cvos_kin *kin = &s->tree->kin[i];
    if (cvos_system_entry(kin->pid, &entry) == 0 && entry.start == kin->start) (void)meet(kin->pid, s);
  }
  (void)meet(s->tree->leader, s);
  for (int round = 0; round < (s->scan_all ? MOST_ROUNDS : rounds); round++) {
    size_t before = s->count;
    int error = cvos_system_each(meet_member, s);
    for (size_t i = 0; i < s->count && !error && !s->full && !s->scan_all; i++) {
      error = CVOS_LACKS("children") ? ENOTSUP : cvos_system_children(s->list[i].pid, meet, s);
      if (error == ENOTSUP) {
        s->scan_all = true;
        error = 0;
        before = SIZE_MAX;
      } else if (error == EACCES || error == ESRCH) {
        error = 0;
      }
    }
    if (error) return error;
    if (s->full) return ELOOP;
    if (s->count == before) return 0;
  }
  return rounds > 1 ? ELOOP : 0;
}

static void sweep_free(sweep *s)
{
  cvy_free(s->list);
  cvy_free(s->table);
}

/* The tree remembers who has left the group, for a time when no parent link shows it any more. */
static void remember(cvos_tree *tree, const sweep *s)
{
  cvos_kin *kept = cvy_alloc((s->count ? s->count : 1) * sizeof *kept);
  if (!kept) return;
  size_t count = 0;
  for (size_t i = 0; i < s->count; i++) {
    if (!tree->grouped || getpgid(s->list[i].pid) != tree->leader) kept[count++] = s->list[i];
  }
  cvy_free(tree->kin);
  tree->kin = kept;
  tree->kin_count = count;
}

#if defined(__APPLE__)

typedef struct look {
  pid_t group;
  bool found;
} look;

/* getpgid knows no zombies (XNU: proc_find). */
static bool look_at(pid_t pid, void *arg)
{
  look *l = arg;
  l->found = getpgid(pid) == l->group;
  return !l->found;
}

/* A group of zombies takes every signal, as POSIX wants it; macOS says EPERM for it (XNU, kern_sig.c: killpg1 counts no zombies, and found nobody). */
static bool denied_by_zombies(pid_t group)
{
  look l = {group, false};
  return cvos_system_each(look_at, &l) == 0 && !l.found;
}

#else

static bool denied_by_zombies(pid_t group)
{
  (void)group;
  return false;
}

#endif

/* Sends number to the group, or to the leader, whose number is still its own. 0 or errno. */
static int signal_all(const cvos_tree *tree, int number)
{
  pid_t target = tree->grouped ? -tree->leader : tree->leader;
  if (CVOS_CALL(SIGNAL, kill(target, number), -1) == 0) return 0;
  int error = errno;
  return error == EPERM && tree->grouped && denied_by_zombies(tree->leader) ? 0 : error;
}

/* Everybody, and whoever left the group. Whether one was not ours to kill. */
static bool kill_all(const cvos_tree *tree)
{
  bool denied = signal_all(tree, SIGKILL) == EPERM;
  for (size_t i = 0; i < tree->kin_count; i++) {
    if (signal_kin(&tree->kin[i], SIGKILL) == EPERM) denied = true;
  }
  return denied;
}

int cvos_tree_kill(cvos_tree *tree)
{
  if (tree->cgroup.number && cvos_cgroup_kill(&tree->cgroup) == 0) return 0;
  int state = leader_state(tree), error = 0;
  bool denied = false;
  if (state < 0) return 0;
  if (state > 0) {
    sweep s = {.tree = tree, .stop = true};
    error = find_members(&s, MOST_ROUNDS);
    denied = s.denied;
    remember(tree, &s);
    sweep_free(&s);
  }
  if (kill_all(tree)) denied = true;
  if (error && error != ENOENT) { /* without /proc it is the group alone */
    errno = error;
    return error == ELOOP ? COVEY_ESTUCK : cvos_translate(error);
  }
  if (denied) errno = EPERM;
  return denied ? COVEY_EACCES : 0;
}

/* Stops everybody, or lets all who were stopped by that go on. 0 or a COVEY_E code. */
static int suspend_all(cvos_tree *tree, bool stop)
{
  bool frozen = tree->cgroup.number && cvos_cgroup_freeze(&tree->cgroup, stop) == 0;
  tree->suspended = stop;
  if (frozen) return 0;
  sweep s = {.tree = tree, .stop = stop};
  int error = find_members(&s, stop ? MOST_ROUNDS : 1);
  bool denied = s.denied;
  for (size_t i = s.count; !stop && i-- > 0;) denied = signal_kin(&s.list[i], SIGCONT) == EPERM || denied;
  remember(tree, &s);
  sweep_free(&s);
  if (error && error != ENOENT) { /* without /proc it is the group alone */
    errno = error;
    return error == ELOOP ? COVEY_ESTUCK : cvos_translate(error);
  }
  if (denied) errno = EPERM;
  return denied ? COVEY_EACCES : 0;
}

int cvos_tree_signal(cvos_tree *tree, int signal)
{
  int number = cvos_signal_to_system(signal);
  if (number <= 0) {
    errno = EINVAL;
    return COVEY_EINVAL;
  }
  int state = leader_state(tree);
  if (state < 0 || (state == 0 && !tree->grouped)) {
    errno = ESRCH;
    return COVEY_ENOTFOUND;
  }
  int r = 0;
  if (number == SIGSTOP || (number == SIGCONT && tree->suspended)) r = suspend_all(tree, number == SIGSTOP);
  if (number == SIGSTOP && tree->suspended && tree->cgroup.frozen) return r;
  int error = signal_all(tree, number);
  if (!error) return r;
  errno = error;
  return cvos_translate(error);
}

int cvos_tree_ask(cvos_tree *tree)
{
  int r = cvos_tree_signal(tree, CVOS_SIGNAL_TERM);
  if (r < 0) return r;
  (void)cvos_tree_signal(tree, CVOS_SIGNAL_CONT);
  return 1;
}

void cvos_tree_usage(cvos_tree *tree, cvos_usage *ret)
{
  *ret = (cvos_usage){-1, -1, -1, -1};
  if (tree->cgroup.number) cvos_cgroup_usage(&tree->cgroup, ret);
}

int cvos_tree_suspended(const cvos_tree *tree)
{
  return tree && tree->suspended && tree->cgroup.frozen;
}

int64_t cvos_tree_members(cvos_tree *tree, int64_t *ret_pids, size_t capacity)
{
  if (!tree->cgroup.number && leader_state(tree) < 0) return 0;
  sweep s = {.tree = tree};
  int error = tree->cgroup.number ? cvos_cgroup_each(&tree->cgroup, meet, &s) : find_members(&s, 1);
  if (!error) {
    remember(tree, &s);
    for (size_t i = 0; i < s.count && i < capacity; i++) ret_pids[i] = s.list[i].pid;
  }
  int64_t count = (int64_t)s.count;
  sweep_free(&s);
  if (!error) return count;
  errno = error;
  return cvos_translate(error);
}

void cvos_tree_release(cvos_tree *tree)
{
  if (!tree) return;
  cvos_tree_untie(tree);
  cvos_cgroup_put(&tree->cgroup);
  cvy_free(tree->kin);
  cvy_free(tree);
}

void cvos_tree_untie(cvos_tree *tree)
{
  cvos_guard_free(&tree->place);
}
