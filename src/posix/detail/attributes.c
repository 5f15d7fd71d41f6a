#include "posix/detail/attributes.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/diagnose.h"
#include "posix/detail/raw.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The system's number of a kind; -1 where it has no such limit. */
static int resource_of(int kind)
{
  switch (kind) {
  case COVEY_LIMIT_CPU_TIME: return (int)RLIMIT_CPU;
  case COVEY_LIMIT_FILE_SIZE: return (int)RLIMIT_FSIZE;
  case COVEY_LIMIT_DATA: return (int)RLIMIT_DATA;
  case COVEY_LIMIT_STACK: return (int)RLIMIT_STACK;
  case COVEY_LIMIT_CORE: return (int)RLIMIT_CORE;
  case COVEY_LIMIT_FILES: return (int)RLIMIT_NOFILE;
#if defined(RLIMIT_AS)
  case COVEY_LIMIT_MEMORY: return (int)RLIMIT_AS;
#endif
#if defined(RLIMIT_MEMLOCK)
  case COVEY_LIMIT_LOCKED_MEMORY: return (int)RLIMIT_MEMLOCK;
#endif
#if defined(RLIMIT_NPROC)
  case COVEY_LIMIT_PROCESSES: return (int)RLIMIT_NPROC;
#endif
  default: return -1;
  }
}

static int refuse(covey_failure *ret, const char *field)
{
  return cvos_failed(ret, COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS, ENOTSUP, -1, field);
}

/* The first field that this system cannot keep; NULL: none. */
static const char *unknown_here(const covey_launch *l)
{
#if defined(__APPLE__) /* posix_spawn has nothing for them */
  if (l->user) return "launch.user";
  if (l->group) return "launch.group";
  if (l->groups) return "launch.groups";
  if (l->flags & COVEY_LAUNCH_UMASK) return "launch.umask";
  if (l->limit_count) return "launch.limits";
#endif
#if !defined(__linux__)
  if (l->flags & COVEY_LAUNCH_NO_NEW_PRIVILEGES) return "launch.flags NO_NEW_PRIVILEGES";
  if (l->flags & COVEY_LAUNCH_SUBREAPER) return "launch.flags SUBREAPER";
  if (l->affinity) return "launch.affinity";
#else
  (void)l;
#endif
  return NULL;
}

/* ---- users and groups ---- */

/* Digits alone, in the range of ids, whose last means "none" to the system. */
static bool read_id(const char *text, uint32_t *ret)
{
  uint64_t number = 0;
  if (!*text || strlen(text) > 10) return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return false;
    number = number * 10 + (uint64_t)(*text - '0');
  }
  if (number >= UINT32_MAX) return false;
  *ret = (uint32_t)number;
  return true;
}

typedef struct account {
  bool known; /* it has an entry, and name and group are filled */
  uid_t user;
  gid_t group;
  char name[256];
} account;

/* 0, ENOENT, or errno of something that may pass. systems tell by several numbers that there is none: getpwnam(3) */
static int none_or(int error)
{
  return !error || error == ESRCH || error == EBADF || error == EPERM ? ENOENT : error;
}

static int find_user(const char *text, account *ret)
{
  struct passwd entry, *found = NULL;
  uint32_t number = 0;
  int error = ERANGE;
  char *room = NULL;
  for (size_t size = 1024; error == ERANGE && size <= (size_t)1 << 20; size *= 2) {
    cvy_free(room);
    room = cvy_alloc(size);
    if (!room) return ENOMEM;
    error = CVOS_CALL(IDENTITY, getpwnam_r(text, &entry, room, size, &found), errno);
    if (error == ERANGE || found || !read_id(text, &number)) continue;
    error = CVOS_CALL(IDENTITY, getpwuid_r((uid_t)number, &entry, room, size, &found), errno);
  }
  *ret = (account){.user = (uid_t)number};
  if (found && strlen(entry.pw_name) < sizeof ret->name) {
    *ret = (account){.known = true, .user = entry.pw_uid, .group = entry.pw_gid};
    memcpy(ret->name, entry.pw_name, strlen(entry.pw_name) + 1);
    error = 0;
  } else {
    error = none_or(error);
    if (error == ENOENT && read_id(text, &number)) error = 0;
  }
  cvy_free(room);
  return error;
}

static int find_group(const char *text, gid_t *ret)
{
  struct group entry, *found = NULL;
  uint32_t number;
  int error = ERANGE;
  char *room = NULL;
  for (size_t size = 1024; error == ERANGE && size <= (size_t)1 << 24; size *= 2) {
    cvy_free(room);
    room = cvy_alloc(size);
    if (!room) return ENOMEM;
    error = CVOS_CALL(IDENTITY, getgrnam_r(text, &entry, room, size, &found), errno);
  }
  error = found ? 0 : none_or(error);
  if (found) *ret = entry.gr_gid;
  cvy_free(room);
  if (error == ENOENT && read_id(text, &number)) {
    *ret = (gid_t)number;
    error = 0;
  }
  return error;
}

static int user_failed(covey_failure *ret, int error, int64_t index, const char *name)
{
  return cvos_failed(ret, cvos_translate(error), COVEY_STAGE_USER, error, index, name);
}

/* All groups of an account, as login would give them. 0 or errno. */
static int groups_of(const account *who, gid_t group, cvos_attributes *a)
{
#if defined(__APPLE__)
  (void)who;
  (void)group;
  (void)a;
  return ENOTSUP;
#else
  for (int room = 32; room <= 1 << 16; room *= 2) {
    int count = room;
    gid_t *list = cvy_realloc_array(a->groups, (size_t)room, sizeof *list);
    if (!list) return ENOMEM;
    a->groups = list;
    if (getgrouplist(who->name, group, list, &count) < 0) continue;
    a->group_count = (size_t)count;
    return 0;
  }
  return EINVAL;
#endif
}

static int take_groups(const covey_launch *l, cvos_attributes *a, covey_failure *ret)
{
  size_t count = 0;
  while (l->groups[count]) count++;
  a->has_groups = true;
  a->groups = cvy_alloc_zero(count + 1, sizeof *a->groups);
  if (!a->groups) return user_failed(ret, ENOMEM, -1, NULL);
  for (; a->group_count < count; a->group_count++) {
    const char *name = l->groups[a->group_count];
    int error = find_group(name, &a->groups[a->group_count]);
    if (error) return user_failed(ret, error, (int64_t)a->group_count, name);
  }
  return 0;
}

static int take_user(const covey_launch *l, cvos_attributes *a, covey_failure *ret)
{
  account who = {0};
  int error;
  a->credentials = l->user || l->group || l->groups;
  if (l->user && (error = find_user(l->user, &who)) != 0) return user_failed(ret, error, -1, l->user);
  if (l->group && (error = find_group(l->group, &a->group)) != 0)
    return user_failed(ret, error, -1, l->group);
  if (l->user && !who.known && !l->group)
    return cvos_failed(ret, COVEY_EINVAL, COVEY_STAGE_USER, EINVAL, -1, "launch.user without launch.group");
  a->has_user = l->user != NULL;
  a->user = who.user;
  a->has_group = l->user || l->group;
  if (!l->group) a->group = who.group;
  if (l->groups) return take_groups(l, a, ret);
  a->has_groups = a->has_group;
  error = who.known ? groups_of(&who, a->group, a) : 0;
  return error ? user_failed(ret, error, -1, l->user) : 0;
}

/* ---- limits ---- */

static uint64_t plain(uint64_t value)
{
  return value == COVEY_LIMIT_NONE ? (uint64_t)RLIM_INFINITY : value;
}

static int ours_of(int resource, struct rlimit *ret)
{
#if defined(__GLIBC__)
  return getrlimit((__rlimit_resource_t)resource, ret);
#else
  return getrlimit(resource, ret);
#endif
}

static int take_limits(const covey_launch *l, cvos_attributes *a, covey_failure *ret)
{
  for (size_t i = 0; i < l->limit_count; i++) {
    const covey_limit *limit = &l->limits[i];
    struct rlimit ours = {0, 0};
    int resource = resource_of(limit->kind);
    if (resource < 0) return refuse(ret, "launch.limits");
    bool keeps = limit->soft == COVEY_LIMIT_OURS || limit->hard == COVEY_LIMIT_OURS;
    if (keeps && ours_of(resource, &ours) < 0)
      return cvos_failed(ret, cvos_translate(errno), COVEY_STAGE_LIMITS, errno, (int64_t)i, "launch.limits");
    a->limits[a->limit_count++] =
        (cvos_rlimit){.resource = resource,
                      .soft = limit->soft == COVEY_LIMIT_OURS ? (uint64_t)ours.rlim_cur : plain(limit->soft),
                      .hard = limit->hard == COVEY_LIMIT_OURS ? (uint64_t)ours.rlim_max : plain(limit->hard),
                      .index = (int)i};
  }
  return 0;
}

int cvos_attributes_make(const covey_launch *l, cvos_attributes *ret, covey_failure *ret_failure)
{
  static const int nice_of[] = {0, 19, 10, 0, -5, -10};
  memset(ret, 0, sizeof *ret);
  if (!l) return 0;
  const char *unknown = unknown_here(l);
  if (unknown) return refuse(ret_failure, unknown);
  ret->has_umask = (l->flags & COVEY_LAUNCH_UMASK) != 0;
  ret->umask = (mode_t)l->umask;
  ret->no_new_privileges = (l->flags & COVEY_LAUNCH_NO_NEW_PRIVILEGES) != 0;
  ret->subreaper = (l->flags & COVEY_LAUNCH_SUBREAPER) != 0;
  ret->has_nice = l->priority != COVEY_PRIORITY_DEFAULT;
  ret->nice = nice_of[l->priority];
  ret->affinity = l->affinity;
  ret->affinity_size = l->affinity_count * sizeof *l->affinity;
  int r = take_limits(l, ret, ret_failure);
  return r < 0 ? r : take_user(l, ret, ret_failure);
}

void cvos_attributes_fini(cvos_attributes *attributes)
{
  cvy_free(attributes->groups);
  attributes->groups = NULL;
}

/* ---- in the child ---- */

int cvos_attributes_limit(const cvos_attributes *a, int *ret_index)
{
  *ret_index = CVOS_AT_SUBREAPER;
  if (a->subreaper && CVOS_CALL(SESSION, raw_subreaper(), -1) < 0) return COVEY_STAGE_SCOPE;
  if (a->has_umask) raw_umask(a->umask);
  for (size_t i = 0; i < a->limit_count; i++) {
    const cvos_rlimit *limit = &a->limits[i];
    *ret_index = limit->index;
    if (CVOS_CALL(LIMITS, raw_limit(limit->resource, limit->soft, limit->hard), -1) < 0)
      return COVEY_STAGE_LIMITS;
  }
  *ret_index = CVOS_AT_PRIORITY;
  if (a->has_nice && CVOS_CALL(PRIORITY, raw_nice(a->nice), -1) < 0) return COVEY_STAGE_LIMITS;
  *ret_index = CVOS_AT_AFFINITY;
  if (a->affinity && CVOS_CALL(AFFINITY, raw_affinity(a->affinity, a->affinity_size), -1) < 0)
    return COVEY_STAGE_LIMITS;
  return 0;
}

int cvos_attributes_become(const cvos_attributes *a, int *ret_index)
{
  *ret_index = CVOS_AT_PRIVILEGES;
  if (a->no_new_privileges && CVOS_CALL(USER, raw_no_new_privileges(), -1) < 0) return COVEY_STAGE_USER;
  *ret_index = CVOS_AT_GROUPS;
  if (a->has_groups && CVOS_CALL(USER, raw_setgroups(a->group_count, a->groups), -1) < 0)
    return COVEY_STAGE_USER;
  *ret_index = CVOS_AT_GROUP;
  if (a->has_group && CVOS_CALL(USER, raw_setgid(a->group), -1) < 0) return COVEY_STAGE_USER;
  *ret_index = CVOS_AT_USER;
  if (a->has_user && CVOS_CALL(USER, raw_setuid(a->user), -1) < 0) return COVEY_STAGE_USER;
  return 0;
}
