#include <covey/manager.h>
#include <covey/message.h>

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "loop/loop.h"
#include "loop/sync.h"
#include "msg/group.h"
#include "proc/process.h"
#include "proc/signal.h"

#include <string.h>

#define KEPT_ENDED   1024 /* ended members nobody asked about: what a monitor shows, in a few hundred KiB */
#define KILL_WAIT_MS 5000 /* from the kill to COVEY_ESTUCK: the same as for one process */

struct covey_manager {
  cvy_mutex *lock; /* guards members and count; never held over a call that may wait */
  covey_process **members;
  size_t count, capacity;
  covey_node *node;
  covey_loop *loop;
  covey_cancel *cancel;
  uint32_t flags;
  uint32_t refs;          /* atomic: the program's, and that of forward */
  covey_signals *forward; /* covey_manager_forward; NULL: off */
};

/* ---- the set ---- */

static size_t find(const covey_manager *m, int64_t pid)
{
  size_t i = 0;
  while (i < m->count && m->members[i]->pid != pid) i++;
  return i;
}

static covey_process *take_out(covey_manager *m, size_t i)
{
  covey_process *p = m->members[i];
  memmove(m->members + i, m->members + i + 1, (m->count - i - 1) * sizeof *m->members);
  m->count--;
  return p;
}

/* The oldest ended member when there are too many of them, else NULL. The caller closes it without the lock. */
static covey_process *surplus(covey_manager *m)
{
  if (m->count <= KEPT_ENDED) return NULL;
  size_t ended = 0, oldest = 0;
  for (size_t i = m->count; i-- > 0;) {
    if (!cvy_process_done(m->members[i])) continue;
    ended++;
    oldest = i;
  }
  return ended > KEPT_ENDED ? take_out(m, oldest) : NULL;
}

static int reserve(covey_manager *m)
{
  if (m->count < m->capacity) return 0;
  size_t capacity = m->capacity ? m->capacity * 2 : 8;
  covey_process **members = cvy_realloc_array(m->members, capacity, sizeof *members);
  if (!members) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "member");
  m->members = members;
  m->capacity = capacity;
  return 0;
}

/* p: moved on success. */
static int insert(covey_manager *m, covey_process *p, bool alone)
{
  covey_process *old = NULL;
  cvy_mutex_lock(m->lock);
  int r = reserve(m);
  size_t same = find(m, p->pid);
  if (r == 0 && same < m->count) {
    if (alone && !cvy_process_done(m->members[same]))
      r = COVEY_EEXIST;
    else
      old = take_out(m, same); /* it has ended: its pid is another's now */
  }
  if (r == 0) {
    m->members[m->count++] = p;
    if (!old) old = surplus(m);
  }
  cvy_mutex_unlock(m->lock);
  covey_process_close(old);
  return r == COVEY_EEXIST ? cvy_fail(r, COVEY_STAGE_ARGUMENTS, "pid %lld is a member", (long long)p->pid)
                           : r;
}

static int check(const covey_manager *m)
{
  return m ? 0 : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "manager is NULL");
}

int covey_manager_new(const covey_manager_options *options, covey_manager **ret_manager)
{
  static const covey_manager_options none;
  const covey_manager_options *o = options ? options : &none;
  if (!ret_manager) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_manager is NULL");
  if (o->flags & ~(uint32_t)COVEY_MANAGER_PLAIN)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags 0x%x", (unsigned)o->flags);
  if (o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_manager_options");
  covey_manager *m = cvy_alloc_zero(1, sizeof *m);
  if (!m) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "manager");
  int r = cvy_mutex_new(&m->lock);
  if (r) {
    cvy_free(m);
    return cvy_fail(r, COVEY_STAGE_NONE, "manager");
  }
  m->node = o->node;
  m->loop = o->loop;
  m->cancel = o->cancel;
  m->flags = o->flags;
  m->refs = 1;
  *ret_manager = m;
  return 0;
}

static void release(void *arg)
{
  covey_manager *m = arg;
  if (cvy_add_u32(&m->refs, UINT32_MAX) != 1) return;
  cvy_mutex_free(m->lock);
  cvy_free(m);
}

void covey_manager_free(covey_manager *manager)
{
  covey_manager *m = manager;
  if (!m) return;
  covey_signals_close(m->forward);
  cvy_mutex_lock(m->lock); /* a signal that came before may be on its way to the members */
  covey_process **members = m->members;
  size_t count = m->count;
  m->members = NULL;
  m->count = m->capacity = 0;
  cvy_mutex_unlock(m->lock);
  for (size_t i = 0; i < count; i++) covey_process_close(members[i]);
  cvy_free(members);
  release(m);
}

int covey_manager_spawn(covey_manager *manager, const covey_process_options *options,
                        covey_process **ret_process)
{
  int r = check(manager);
  if (r) return r;
  if (!options) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options is NULL");
  if (options->loop) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "loop is the manager's");
  covey_process *p;
  if ((manager->flags & COVEY_MANAGER_PLAIN) || options->scope == COVEY_SCOPE_DETACHED) {
    covey_process_options own = *options;
    own.loop = manager->loop;
    r = covey_spawn(&own, &p);
  } else {
    r = covey_node_spawn(manager->node, options, &p);
  }
  if (r) return r;
  if (ret_process) cvy_process_ref(p);
  r = insert(manager, p, false);
  if (r) {
    if (ret_process) covey_process_close(p);
    covey_process_close(p);
    return r;
  }
  if (ret_process) *ret_process = p;
  return 0;
}

int covey_manager_add(covey_manager *manager, int64_t pid, uint64_t start)
{
  int r = check(manager);
  if (r) return r;
  covey_process *p;
  r = covey_process_adopt(pid, start, manager->loop, &p);
  if (r) return r;
  r = insert(manager, p, true);
  if (r) covey_process_close(p);
  return r;
}

int covey_manager_get(covey_manager *manager, int64_t pid, covey_process **ret_process)
{
  int r = check(manager);
  if (r) return r;
  if (!ret_process) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_process is NULL");
  cvy_mutex_lock(manager->lock);
  size_t i = find(manager, pid);
  covey_process *p = i < manager->count ? manager->members[i] : NULL;
  if (p) cvy_process_ref(p);
  cvy_mutex_unlock(manager->lock);
  if (!p) return cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_ARGUMENTS, "pid %lld is no member", (long long)pid);
  *ret_process = p;
  return 0;
}

int covey_manager_remove(covey_manager *manager, int64_t pid)
{
  int r = check(manager);
  if (r) return r;
  cvy_mutex_lock(manager->lock);
  size_t i = find(manager, pid);
  covey_process *p = i < manager->count ? take_out(manager, i) : NULL;
  cvy_mutex_unlock(manager->lock);
  if (!p) return cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_ARGUMENTS, "pid %lld is no member", (long long)pid);
  covey_process_close(p);
  return 0;
}

int covey_manager_count(covey_manager *manager)
{
  return covey_manager_pids(manager, NULL, 0);
}

int covey_manager_pids(covey_manager *manager, int64_t *ret_pids, size_t capacity)
{
  int r = check(manager);
  if (r) return r;
  if (!ret_pids && capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_pids is NULL");
  cvy_mutex_lock(manager->lock);
  size_t count = manager->count;
  for (size_t i = 0; i < count && i < capacity; i++) ret_pids[i] = manager->members[i]->pid;
  cvy_mutex_unlock(manager->lock);
  return (int)count;
}

/* ---- sweeps ---- */

/* The members as they were at the beginning, with references of our own, and one result for each. */
typedef struct sweep {
  covey_process **members;
  covey_member *results;
  size_t count;
} sweep;

static int sweep_begin(covey_manager *m, const covey_member *ret_members, size_t capacity, sweep *s)
{
  int r = check(m);
  if (r) return r;
  if (!ret_members && capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_members is NULL");
  cvy_mutex_lock(m->lock);
  s->count = m->count;
  s->members = cvy_alloc_zero(s->count, sizeof *s->members);
  s->results = cvy_alloc_zero(s->count, sizeof *s->results);
  if (s->members && s->results) {
    for (size_t i = 0; i < s->count; i++) {
      s->members[i] = m->members[i];
      s->results[i].pid = m->members[i]->pid;
      cvy_process_ref(m->members[i]);
    }
  } else {
    r = COVEY_ENOMEM;
  }
  cvy_mutex_unlock(m->lock);
  if (r) {
    cvy_free(s->members);
    cvy_free(s->results);
    return cvy_fail(r, COVEY_STAGE_NONE, "sweep");
  }
  return 0;
}

/* Notes how a member ended, if it has. */
static void note_end(const sweep *s, size_t i)
{
  if (!s->results[i].ended && cvy_process_done(s->members[i]))
    s->results[i].ended = covey_process_wait(s->members[i], 0, &s->results[i].exit) == 0;
}

/* Members whose end was told to the caller have served their time. */
static void forget_told(covey_manager *m, const sweep *s, size_t told)
{
  for (size_t i = 0; i < s->count && i < told; i++) {
    if (!s->results[i].ended) continue;
    covey_process *p = NULL;
    cvy_mutex_lock(m->lock);
    size_t k = find(m, s->results[i].pid);
    if (k < m->count && m->members[k] == s->members[i]) p = take_out(m, k);
    cvy_mutex_unlock(m->lock);
    covey_process_close(p);
  }
}

/* forget: the sweep tells ends. Returns the number of members that failed. */
static int sweep_end(covey_manager *m, sweep *s, bool forget, covey_member *ret_members, size_t capacity)
{
  int failed = 0;
  for (size_t i = 0; i < s->count; i++) {
    failed += s->results[i].result != 0;
    if (i < capacity) ret_members[i] = s->results[i];
  }
  if (capacity > s->count) memset(ret_members + s->count, 0, (capacity - s->count) * sizeof *ret_members);
  if (forget) forget_told(m, s, capacity);
  for (size_t i = 0; i < s->count; i++) covey_process_close(s->members[i]);
  cvy_free(s->members);
  cvy_free(s->results);
  return failed;
}

/* Waits for the end of a member with the manager's cancel object. */
static int wait_member(const covey_manager *m, covey_process *p, cvy_deadline deadline)
{
  int r = cvy_loop_check(p->loop);
  if (r) return r;
  cvy_loop_lock(p->loop);
  r = cvy_loop_wait(p->loop, cvy_process_over, p, deadline, m->cancel);
  cvy_loop_unlock(p->loop);
  return r;
}

/* Waits for all; a member that has its failure already is only looked at. */
static void sweep_wait(const covey_manager *m, const sweep *s, cvy_deadline deadline)
{
  for (size_t i = 0; i < s->count; i++) {
    covey_member *result = &s->results[i];
    if (result->result == 0) {
      result->result = wait_member(m, s->members[i], deadline);
      if (result->result == 0)
        result->result = covey_process_wait(s->members[i], 0, NULL); /* the end, or COVEY_ESTUCK */
    }
    note_end(s, i);
  }
}

int covey_manager_wait_all(covey_manager *manager, int64_t timeout, covey_member *ret_members,
                           size_t capacity)
{
  sweep s;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  sweep_wait(manager, &s, deadline);
  return sweep_end(manager, &s, true, ret_members, capacity);
}

/* One has ended, or none of them is worth waiting for any more. Lock of their loop held. */
static bool any_over(void *arg)
{
  const sweep *s = arg;
  bool all = true;
  for (size_t i = 0; i < s->count; i++) {
    if (s->members[i]->done) return true;
    all = all && cvy_process_over(s->members[i]);
  }
  return all;
}

/* The member that ended first of those that have; s->count: none has. Lock of their loop held. */
static size_t first_ended(const sweep *s)
{
  size_t first = s->count;
  for (size_t i = 0; i < s->count; i++) {
    if (!s->members[i]->done) continue;
    if (first == s->count || s->members[i]->ended_at < s->members[first]->ended_at) first = i;
  }
  return first;
}

/* Waits for one, and gives its place in s. */
static int wait_any(const covey_manager *m, sweep *s, cvy_deadline deadline, size_t *ret)
{
  if (s->count == 0) return cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_NONE, "the manager has no members");
  covey_loop *loop = s->members[0]->loop;
  for (size_t i = 1; i < s->count; i++)
    if (s->members[i]->loop != loop)
      return cvy_fail(COVEY_ENOTSUP, COVEY_STAGE_NONE, "members on different loops");
  int r = cvy_loop_check(loop);
  if (r) return r;
  cvy_loop_lock(loop);
  r = cvy_loop_wait(loop, any_over, s, deadline, m->cancel);
  size_t i = first_ended(s);
  cvy_loop_unlock(loop);
  if (i < s->count)
    r = 0;
  else if (r == 0) /* all are stuck, or were cancelled */
    return covey_process_wait(s->members[0], 0, NULL);
  if (r) return cvy_fail(r, COVEY_STAGE_NONE, "waiting for a member");
  *ret = i;
  return 0;
}

int covey_manager_wait_any(covey_manager *manager, int64_t timeout, covey_member *ret_member)
{
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = cvy_timeout_check(timeout);
  for (bool ours = false; r == 0 && !ours;) {
    sweep s;
    size_t i = 0;
    if ((r = sweep_begin(manager, NULL, 0, &s)) < 0) return r;
    r = wait_any(manager, &s, deadline, &i);
    if (r == 0) {
      cvy_mutex_lock(manager->lock);
      size_t k = find(manager, s.results[i].pid);
      ours = k < manager->count && manager->members[k] == s.members[i]; /* else another thread has told it */
      covey_process *p = ours ? take_out(manager, k) : NULL;
      cvy_mutex_unlock(manager->lock);
      note_end(&s, i);
      covey_process_close(p);
      if (ours && ret_member) *ret_member = s.results[i];
    }
    (void)sweep_end(manager, &s, false, NULL, 0);
  }
  return r;
}

int covey_manager_stop_all(covey_manager *manager, int64_t grace, covey_member *ret_members, size_t capacity)
{
  sweep s;
  int r = cvy_timeout_check(grace);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  for (size_t i = 0; i < s.count; i++) {
    r = cvy_process_begin_stop(s.members[i], COVEY_WHY_STOP, grace);
    if (r < 0) s.results[i].result = r;
  }
  sweep_wait(manager, &s, CVY_NEVER); /* each ladder has its own end: the kill, then COVEY_ESTUCK */
  return sweep_end(manager, &s, true, ret_members, capacity);
}

int covey_manager_kill_all(covey_manager *manager, covey_member *ret_members, size_t capacity)
{
  sweep s;
  int r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  for (size_t i = 0; i < s.count; i++) s.results[i].result = covey_process_kill(s.members[i]);
  sweep_wait(manager, &s, cvy_deadline_in(KILL_WAIT_MS + 1000));
  for (size_t i = 0; i < s.count; i++)
    if (s.results[i].result == COVEY_ETIMEDOUT) s.results[i].result = COVEY_ESTUCK;
  return sweep_end(manager, &s, true, ret_members, capacity);
}

int covey_manager_signal_all(covey_manager *manager, int signal, int target, covey_member *ret_members,
                             size_t capacity)
{
  sweep s;
  int r = cvy_process_check_signal(signal, target);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  for (size_t i = 0; i < s.count; i++) {
    s.results[i].result = covey_process_signal(s.members[i], signal, target);
    note_end(&s, i);
  }
  return sweep_end(manager, &s, false, ret_members, capacity);
}

int covey_manager_send_all(covey_manager *manager, const char *group, const void *data, size_t size,
                           int64_t timeout, covey_member *ret_members, size_t capacity)
{
  sweep s;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = cvy_timeout_check(timeout);
  if (r == 0 && !data && size) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "data is NULL");
  if (r == 0) r = cvy_group_name(group, false, &group);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  covey_buffer buffer = {data, size};
  covey_send_options to = {.group = group, .cancel = manager->cancel};
  /* At once to all who have room, then to the others, each with what is left of the time. */
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < s.count; i++) {
      covey_member *result = &s.results[i];
      bool again = round && (result->result == COVEY_EAGAIN || result->result == COVEY_ENOGROUP ||
                             result->result == COVEY_ENOPEER);
      if (round && !again) continue;
      note_end(&s, i);
      to.pid = result->pid;
      to.timeout = cvy_deadline_left(deadline);
      to.flags = round && to.timeout ? 0 : COVEY_SEND_TRY;
      result->result =
          result->ended ? COVEY_EPEERDIED : covey_message_send(manager->node, &to, &buffer, 1, NULL);
    }
    if (timeout == 0) break;
  }
  return sweep_end(manager, &s, false, ret_members, capacity);
}

/* ---- signals of ours ---- */

static bool pass_on(void *arg, const covey_signal_event *event)
{
  covey_manager *m = arg;
  sweep s;
  if (sweep_begin(m, NULL, 0, &s) < 0) return true;
  for (size_t i = 0; i < s.count; i++) cvy_signal_pass(s.members[i], event);
  sweep_end(m, &s, false, NULL, 0);
  return true;
}

int covey_manager_forward(covey_manager *manager, const covey_signals_options *options)
{
  int r = check(manager);
  covey_signals *made = NULL;
  if (r) return r;
  if (options) {
    if (options->loop || options->forward || options->on_event)
      return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "loop, forward and on_event are the manager's");
    covey_signals_options own = *options;
    own.loop = manager->loop;
    r = cvy_signals_open(&own, &(cvy_onward){pass_on, release, manager}, &made);
    if (r < 0) return r;
    cvy_add_u32(&manager->refs, 1);
  }
  cvy_mutex_lock(manager->lock);
  covey_signals *before = manager->forward;
  manager->forward = made;
  cvy_mutex_unlock(manager->lock);
  covey_signals_close(before);
  return 0;
}
