#include "manage/state.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"

#include <string.h>

#define KEPT_ENDED 1024 /* ended members nobody asked about: what a monitor shows, in a few hundred KiB */

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

/* The end of a member, on the thread that loop.h says. */
static void member_ended(covey_process *p, const covey_exit *exit, void *arg)
{
  covey_manager *m = arg;
  covey_member member = {.pid = p->pid, .ended = 1, .exit = *exit};
  if (cvy_manager_forget(m, p)) m->on_end(&member, m->user);
}

bool cvy_manager_forget(covey_manager *m, covey_process *p)
{
  size_t i = 0;
  cvy_mutex_lock(m->lock);
  while (i < m->count && m->members[i] != p) i++;
  bool ours = i < m->count;
  if (ours) take_out(m, i);
  cvy_mutex_unlock(m->lock);
  if (ours) covey_process_close(p);
  return ours;
}

/* Lock held, so that nobody takes it out meanwhile. */
static void watch_end(covey_manager *m, covey_process *p)
{
  if (!m->on_end) return;
  cvy_add_u32(&m->refs, 1);
  cvy_told_set(p, &(cvy_told){member_ended, cvy_manager_release, m});
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
    watch_end(m, p);
  }
  cvy_mutex_unlock(m->lock);
  covey_process_close(old);
  return r == COVEY_EEXIST ? cvy_fail(r, COVEY_STAGE_ARGUMENTS, "pid %lld is a member", (long long)p->pid)
                           : r;
}

int cvy_manager_check(const covey_manager *m)
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
  if (o->reserved0 || !cvy_is_zero(o->reserved, 2))
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
  m->on_end = o->on_end;
  m->user = o->user;
  m->flags = o->flags;
  m->refs = 1;
  *ret_manager = m;
  return 0;
}

void cvy_manager_release(void *arg)
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
  for (size_t i = 0; i < count; i++) {
    cvy_told_set(members[i], NULL);
    covey_process_close(members[i]);
  }
  cvy_free(members);
  cvy_manager_release(m);
}

int covey_manager_spawn(covey_manager *manager, const covey_process_options *options,
                        covey_process **ret_process)
{
  int r = cvy_manager_check(manager);
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
  int r = cvy_manager_check(manager);
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
  int r = cvy_manager_check(manager);
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
  int r = cvy_manager_check(manager);
  if (r) return r;
  cvy_mutex_lock(manager->lock);
  size_t i = find(manager, pid);
  covey_process *p = i < manager->count ? take_out(manager, i) : NULL;
  cvy_mutex_unlock(manager->lock);
  if (!p) return cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_ARGUMENTS, "pid %lld is no member", (long long)pid);
  cvy_told_set(p, NULL);
  covey_process_close(p);
  return 0;
}

int covey_manager_count(covey_manager *manager)
{
  return covey_manager_pids(manager, NULL, 0);
}

int covey_manager_pids(covey_manager *manager, int64_t *ret_pids, size_t capacity)
{
  int r = cvy_manager_check(manager);
  if (r) return r;
  if (!ret_pids && capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_pids is NULL");
  cvy_mutex_lock(manager->lock);
  size_t count = manager->count;
  for (size_t i = 0; i < count && i < capacity; i++) ret_pids[i] = manager->members[i]->pid;
  cvy_mutex_unlock(manager->lock);
  return (int)count;
}
