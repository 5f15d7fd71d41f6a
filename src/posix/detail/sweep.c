/* What dead processes have left: files of nodes, and folders of pid namespaces. A socket goes only under the lock of its node, a folder only under its own. */
#include "posix/detail/sweep.h"
#include "os/error.h"
#include "posix/detail/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cvos_place_look(const cvos_place *place, const char *socket_name, const char *lock_name)
{
  int r = cvos_place_enter(place);
  if (r < 0) return r;
  r = cvos_place_clean(place, socket_name, lock_name);
  cvos_place_leave(place);
  return r;
}

int cvos_place_clean(const cvos_place *place, const char *socket_name, const char *lock_name)
{
  int lock, r = cvos_lock_try_at(place->fd, lock_name, CVOS_LOCK_EXISTING | CVOS_LOCK_OURS, &lock);
  if (r != 0 && r != COVEY_ENOTFOUND) return r;
  (void)unlinkat(place->fd, socket_name, 0);
  if (r == 0) cvos_lock_release_at(place->fd, lock, lock_name);
  return cvos_plain(COVEY_ENOPEER);
}

/* ---- all that lies there ---- */

/* How much is swept at a time: entries that are read (0.2 us each), locks that are tried (10 us). */
enum { SWEEP_READS = 2048, SWEEP_LOOKS = 16 };

typedef struct sweep {
  int reads, looks; /* that are left */
} sweep;

static DIR *list(const cvos_place *place)
{
  int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  if (!folder) cvos_fd_close(fd);
  return folder;
}

static struct dirent *next(DIR *folder, sweep *s)
{
  return s->looks > 0 && s->reads-- > 0 ? readdir(folder) : NULL;
}

/* True when file is the lock of a node; ret_socket: the name of its socket, ret_pid: its number, or 0. */
static bool is_lock(const char *file, char ret_socket[CVOS_FILE_MAX], long *ret_pid)
{
  size_t size = strlen(file);
  const char *name = strchr(file, '~');
  if (!name || name == file || size < sizeof ".lock" || size >= CVOS_FILE_MAX) return false;
  if (strcmp(file + size - 5, ".lock") != 0) return false;
  char *end;
  long pid = strtol(++name, &end, 10);
  bool number = *name >= '0' && *name <= '9' && end == file + size - 5;
  if (!number && strncmp(name, "n-", 2) != 0) return false;
  if (number && (pid <= 0 || pid > INT32_MAX)) return false;
  memcpy(ret_socket, file, size - 5);
  memcpy(ret_socket + size - 5, ".s", 3);
  *ret_pid = number ? pid : 0;
  return true;
}

/* ---- folders of pid namespaces ---- */

static bool is_namespace(const char *file)
{
  return strncmp(file, "ns-", 3) == 0 && file[3] && file[3 + strspn(file + 3, "0123456789")] == 0;
}

/* Removes what is dead in a folder that was entered; numbers mean nothing here, so every lock is tried. False: somebody lives there. */
static bool sweep_entered(const cvos_place *place, sweep *s)
{
  char socket_name[CVOS_FILE_MAX];
  DIR *folder = list(place);
  bool dead = folder != NULL;
  long pid;
  for (struct dirent *e; dead && (e = next(folder, s)) != NULL;) {
    if (!is_lock(e->d_name, socket_name, &pid)) continue;
    s->looks--;
    dead = cvos_place_clean(place, socket_name, e->d_name) == COVEY_ENOPEER;
  }
  if (folder) (void)closedir(folder);
  if (dead) (void)unlinkat(place->fd, CVOS_UNPUBLISHED, 0);
  return dead;
}

/* Whoever starts there finds the folder entered, or, once he has entered it himself, gone (enter_place). */
static void sweep_namespace(const cvos_place *outer, const char *name, sweep *s)
{
  struct stat what;
  s->looks--;
  int fd = openat(outer->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  cvos_place place = {.fd = fd, .inner = true};
  if (fstat(fd, &what) == 0 && cvos_place_private(&what) && cvos_place_enter(&place) == 0) {
    if (sweep_entered(&place, s)) (void)unlinkat(outer->fd, name, AT_REMOVEDIR); /* if it is empty */
    cvos_place_leave(&place);
  }
  cvos_place_close(&place);
}

void cvos_place_sweep(const cvos_place *place, const char *own_lock)
{
  sweep s = {SWEEP_READS, SWEEP_LOOKS};
  char socket_name[CVOS_FILE_MAX];
  int saved = errno;
  long pid;
  DIR *folder = list(place);
  for (struct dirent *e; folder && (e = next(folder, &s)) != NULL;) {
    if (!place->inner && is_namespace(e->d_name)) {
      sweep_namespace(place, e->d_name, &s);
    } else if (strcmp(e->d_name, own_lock) != 0 && is_lock(e->d_name, socket_name, &pid)) {
      if (pid && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)) continue; /* most are alive */
      s.looks--;
      (void)cvos_place_look(place, socket_name, e->d_name);
    }
  }
  if (folder) (void)closedir(folder);
  errno = saved;
}
