#include "posix/detail/cgroup.h"

#include "core/mem.h"
#include "os/fault.h"
#include "posix/detail/account.h"
#include "posix/detail/launch.h"
#include "posix/linux/cgroup_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  PATH_MOST = 1024,
  OWN_MOST = PATH_MOST - 80, /* leaves room for the program's folder */
  FEW_OPEN = 16,             /* groups in use whose folders stay open: calls saved, against descriptors */
  LOOKS = 4,       /* folders of killed groups that a start tries to take away: more than one comes to it */
  MOVE_ROUNDS = 32 /* a member may fork while it is moved */
};

enum { UNKNOWN = 0, NONE, POSSIBLE, MADE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int state;
static uint32_t births;    /* forks since the program's start */
static char own[OWN_MOST]; /* the group that we are in */
static char base[PATH_MOST];
static int base_folder = -1;
static uint32_t made; /* numbers given so far */
static uint32_t in_use;
static cvos_cgroup spare = {.folder = -1}; /* an empty one whose folder is open */
static bool counted;                       /* somebody wants to know what trees use; atomic */
static int events = -1;                    /* cgroup.events of the last that was spare, */
static uint32_t events_of;                 /* its number: the next child has it, most likely */
static uint32_t *dying;                    /* numbers of those that were killed and not yet empty */
static size_t dying_count, dying_capacity;

/* In a child of fork() all groups are the parent's. The memory is left alone. */
static void after_fork(void)
{
  cvos_fd_close(base_folder);
  cvos_fd_close(spare.folder);
  cvos_fd_close(events);
  base_folder = events = -1;
  events_of = 0;
  spare = (cvos_cgroup){.folder = -1};
  base[0] = '\0';
  births++;
  if (state == MADE) state = POSSIBLE;
  made = in_use = 0;
  dying = NULL;
  dying_count = dying_capacity = 0;
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  lock = fresh;
}

CVOS_AT_START cgroup_watch_forks(void)
{
  (void)pthread_atfork(NULL, NULL, after_fork);
}

static void enter(void)
{
  (void)pthread_mutex_lock(&lock);
}

static void leave(void)
{
  (void)pthread_mutex_unlock(&lock);
}

/* ---- the program's folder ---- */

/* 0 or errno; base and base_folder are set then. Lock held. */
static int make_base(void)
{
  int error = cvos_cgroup_name(own, base, sizeof base);
  if (error) return error;
  cvos_cgroup_clean(own);
  if (CVOS_CALL(MAKE_DIRECTORY, mkdir(base, 0755), -1) < 0 && errno != EEXIST)
    error = errno;
  else if ((base_folder = cvos_fd_high(CVOS_CALL(OPEN, open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1))) <
           0)
    error = errno;
  if (!error && faccessat(base_folder, "cgroup.kill", W_OK, 0) < 0) error = errno;
  if (error) {
    cvos_fd_close(base_folder);
    base_folder = -1;
    (void)rmdir(base);
    base[0] = '\0';
  }
  return error;
}

/* Lock held. */
static bool possible(void)
{
  if (state != UNKNOWN) return state != NONE;
  int saved = errno, found = NONE;
  if (!CVOS_LACKS("cgroup") && cvos_cgroup_find_own(own, sizeof own)) {
    int error = make_base();
    if (!error && cvos_launch_into(base_folder)) found = POSSIBLE;
    /* descriptors may be back later */
    if (error == EMFILE || error == ENFILE) found = UNKNOWN;
    cvos_fd_close(base_folder);
    base_folder = -1;
    if (!error) (void)rmdir(base);
    base[0] = '\0';
  }
  state = found;
  errno = saved;
  return state == POSSIBLE;
}

/* Lock held. */
static bool ready(void)
{
  if (possible() && state != MADE && make_base() == 0) state = MADE;
  return state == MADE;
}

bool cvos_cgroup_possible(void)
{
  enter();
  bool answer = possible();
  leave();
  return answer;
}

const char *cvos_cgroup_own(void)
{
  return own;
}

const char *cvos_cgroup_base(void)
{
  enter();
  (void)ready();
  leave();
  return base;
}

/* ---- one group ---- */

static int open_below(const cvos_cgroup *group, const char *file, int how)
{
  char path[32 + 16];
  if (group->folder >= 0) return CVOS_CALL(OPEN, openat(group->folder, file, how | O_CLOEXEC), -1);
  (void)snprintf(path, sizeof path, "%u/%s", group->number, file);
  return CVOS_CALL(OPEN, openat(base_folder, path, how | O_CLOEXEC), -1);
}

static int open_folder(const cvos_cgroup *group)
{
  return group->folder >= 0 ? group->folder : cvos_fd_high(open_below(group, ".", O_RDONLY | O_DIRECTORY));
}

static void close_folder(const cvos_cgroup *group, int folder)
{
  if (folder != group->folder) cvos_fd_close(folder);
}

/* False also when it is not to be learned. A zombie is nobody. */
static bool is_empty(cvos_cgroup *group)
{
  char text[64];
  ssize_t n = 0;
  if (group->empty) return true;
  enter();
  if (events_of == group->number) n = pread(events, text, sizeof text - 1, 0);
  leave();
  if (n <= 0) {
    int fd = open_below(group, "cgroup.events", O_RDONLY);
    if (fd < 0) return false;
    n = read(fd, text, sizeof text - 1);
    cvos_fd_close(fd);
  }
  text[n > 0 ? n : 0] = '\0';
  return group->empty = strstr(text, "populated 0") != NULL;
}

static int remove_folder(uint32_t number)
{
  char name[16];
  (void)snprintf(name, sizeof name, "%u", number);
  return cvos_cgroup_remove(base_folder, name);
}

/* Takes away some of those whose members are gone by now. Lock held. */
static void remove_dying(void)
{
  for (size_t i = 0, looks = 0; i < dying_count && looks < LOOKS; looks++) {
    if (remove_folder(dying[i]) == 0)
      dying[i] = dying[--dying_count];
    else
      i++;
  }
}

static bool make_group(cvos_cgroup *ret)
{
  cvos_cgroup group = {.number = made + 1, .births = births, .folder = -1};
  char name[16];
  (void)snprintf(name, sizeof name, "%u", group.number);
  if (CVOS_CALL(MAKE_DIRECTORY, mkdirat(base_folder, name, 0755), -1) < 0) return false;
  made++;
  group.folder = cvos_fd_high(open_below(&group, ".", O_RDONLY | O_DIRECTORY));
  if (group.folder < 0) {
    (void)remove_folder(group.number);
    return false;
  }
  *ret = group;
  return true;
}

void cvos_cgroup_take(cvos_cgroup *ret)
{
  int saved = errno;
  cvos_cgroup group = {.folder = -1};
  enter();
  if (ready()) {
    if (spare.number) {
      group = spare;
      spare = (cvos_cgroup){.folder = -1};
    } else {
      remove_dying();
      (void)make_group(&group);
    }
    if (group.number) in_use++;
  }
  leave();
  group.empty = group.killed = false;
  *ret = group;
  errno = saved;
}

void cvos_cgroup_started(cvos_cgroup *group)
{
  if (!group->number) return;
  enter();
  bool many = in_use > FEW_OPEN;
  leave();
  if (!many) return;
  cvos_fd_close(group->folder);
  group->folder = -1;
}

int cvos_cgroup_kill(cvos_cgroup *group)
{
  if (is_empty(group)) return 0;
  int fd = open_below(group, "cgroup.kill", O_WRONLY);
  if (fd < 0) return errno;
  int error = CVOS_CALL(SIGNAL, write(fd, "1", 1), -1) < 0 ? errno : 0;
  cvos_fd_close(fd);
  if (!error) group->killed = true;
  return error;
}

int cvos_cgroup_each(cvos_cgroup *group, bool (*each)(pid_t pid, void *arg), void *arg)
{
  int fd = open_below(group, "cgroup.procs", O_RDONLY);
  if (fd < 0) return errno;
  FILE *file = fdopen(fd, "re");
  if (!file) {
    int error = errno;
    cvos_fd_close(fd);
    return error;
  }
  char line[32];
  while (fgets(line, sizeof line, file) && each((pid_t)strtol(line, NULL, 10), arg)) {
  }
  (void)fclose(file);
  return 0;
}

int cvos_cgroup_freeze(cvos_cgroup *group, bool frozen)
{
  int folder = open_folder(group);
  if (folder < 0) return errno;
  group->frozen = true;
  int error = cvos_account_freeze(folder, frozen);
  close_folder(group, folder);
  return error;
}

void cvos_cgroup_usage(cvos_cgroup *group, cvos_usage *ret)
{
  int folder = open_folder(group);
  *ret = (cvos_usage){-1, -1, -1, -1};
  __atomic_store_n(&counted, true, __ATOMIC_RELAXED);
  if (folder < 0) return;
  if (!group->reused) {
    cvos_account_times(folder, &ret->user_us, &ret->system_us);
    if (ret->user_us >= 0) ret->user_us -= group->user_us;
    if (ret->system_us >= 0) ret->system_us -= group->system_us;
    cvos_account_memory(folder, &ret->memory, &ret->peak);
    if (!group->limited) ret->peak = -1; /* it may be another tree's */
  }
  close_folder(group, folder);
}

static bool move_out(pid_t pid, void *arg)
{
  char text[16];
  int n = snprintf(text, sizeof text, "%d", (int)pid);
  (void)!write(*(int *)arg, text, (size_t)n);
  return true;
}

/* Lets its members go on in the group that we are in. */
static void dissolve(cvos_cgroup *group)
{
  char path[PATH_MOST + 16];
  (void)snprintf(path, sizeof path, "%s/cgroup.procs", own);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  for (int round = 0; round < MOVE_ROUNDS && !is_empty(group); round++) {
    if (cvos_cgroup_each(group, move_out, &fd) != 0) break;
  }
  cvos_fd_close(fd);
}

/* Its folder goes now, or when its members have gone. Lock held. */
static void retire(uint32_t number)
{
  if (remove_folder(number) == 0) return;
  if (dying_count == dying_capacity) {
    size_t more = dying_capacity ? dying_capacity * 2 : 16;
    uint32_t *list = cvy_realloc_array(dying, more, sizeof *list);
    if (!list) return; /* the guard takes it away */
    dying = list;
    dying_capacity = more;
  }
  dying[dying_count++] = number;
}

/* Lock held. */
static void keep_events(const cvos_cgroup *group)
{
  if (events_of == group->number) return;
  cvos_fd_close(events);
  events = cvos_fd_high(open_below(group, "cgroup.events", O_RDONLY));
  events_of = events < 0 ? 0 : group->number;
}

void cvos_cgroup_put(cvos_cgroup *group)
{
  if (!group->number) return;
  int saved = errno;
  if (group->births == births) {
    bool empty = is_empty(group);
    if (!empty && !group->killed) {
      dissolve(group);
      empty = is_empty(group);
    }
    enter();
    in_use--;
    /* to one that was killed Linux 6.18 kills whoever is born into it later: it is not used again */
    if (empty && !group->killed && !group->limited && !group->frozen && group->folder >= 0 && !spare.number) {
      keep_events(group);
      spare = *group;
      /* nobody has asked yet: it is not worth a look at each end */
      spare.reused = !__atomic_load_n(&counted, __ATOMIC_RELAXED);
      if (!spare.reused) cvos_account_times(spare.folder, &spare.user_us, &spare.system_us);
      group->folder = -1;
    } else {
      retire(group->number);
    }
    leave();
  }
  cvos_fd_close(group->folder);
  *group = (cvos_cgroup){.folder = -1};
  errno = saved;
}
