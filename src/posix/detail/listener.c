#include "posix/detail/listener.h"
#include "core/mem.h"
#include "os/error.h"
#include "core/fault.h"
#include "posix/detail/lock.h"
#include "posix/detail/socket.h"
#include "posix/detail/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Connections that wait to be accepted. Linux cuts it to net.core.somaxconn, macOS to 128. */
#define BACKLOG 128

enum { INNER_TRIES = 10 /* somebody who sweeps takes a folder away in microseconds, and seldom */ };

/* The first place that can be used and whose path is short enough for both names of the socket. */
static int choose_place(const cvos_address *address, const char *name, cvos_place *ret)
{
  int kept = COVEY_ENOTFOUND;
  struct sockaddr_un at;
  socklen_t size;
  for (int i = 0;; i++) {
    cvos_place place;
    int r = cvos_place_open(address, i, true, &place);
    if (r == 1) return cvos_plain(kept);
    if (r == COVEY_ENOTFOUND) continue;
    if (r < 0) return r;
    if (cvos_place_address(&place, name, &at, &size) == 0 &&
        cvos_place_address(&place, CVOS_UNPUBLISHED, &at, &size) == 0) {
      *ret = place;
      return 0;
    }
    cvos_place_close(&place);
    kept = COVEY_ETOOBIG;
  }
}

/* Chooses the place and enters it. The folder of a pid namespace is taken away by whoever finds it empty: then another one is made. */
static int enter_place(const cvos_address *address, cvos_listener *l)
{
  for (int i = 0; i < INNER_TRIES; i++) {
    int r = choose_place(address, l->socket_name, &l->place);
    if (r == 0) r = cvos_place_enter(&l->place);
    if (r < 0 || !l->place.inner || cvos_place_same(&l->place)) return r;
    cvos_place_leave(&l->place);
    cvos_place_close(&l->place);
  }
  return cvos_plain(COVEY_EAGAIN);
}

/* Takes the lock for as long as we live, and says in it who we are, for whoever looks. */
static int take_lock(cvos_listener *l)
{
  struct stat s;
  char text[32];
  int r = cvos_lock_try_at(l->place.fd, l->lock_name, CVOS_LOCK_OURS, &l->lock);
  if (r < 0) return r == COVEY_EAGAIN ? COVEY_EEXIST : r;
  int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  bool written = ftruncate(l->lock, 0) == 0 && write(l->lock, text, (size_t)n) == n;
  if (!written && (errno == ENOSPC || errno == EDQUOT)) errno = 0; /* it is only a note */
  if (CVOS_CALL(STAT, fstat(l->lock, &s), -1) < 0) return cvos_translate(errno);
  l->lock_file = s.st_ino;
  return 0;
}

/* Binds and listens under a name that nobody dials, then gives the socket its own: who sees it can
 * connect. */
static int publish(cvos_listener *l)
{
  struct sockaddr_un at;
  struct stat s;
  socklen_t size;
  int dir = l->place.fd, r = cvos_socket_new(&l->socket);
  if (r < 0) return r;
  r = cvos_place_address(&l->place, CVOS_UNPUBLISHED, &at, &size);
  if (r < 0) return r;
  if (unlinkat(dir, CVOS_UNPUBLISHED, 0) < 0 && errno != ENOENT) return cvos_translate(errno);
  if (CVOS_CALL(BIND, bind(l->socket, (struct sockaddr *)&at, size), -1) < 0) return cvos_translate(errno);
  /* The path must have led to the folder that we looked at. */
  if (CVOS_CALL(STAT, fstatat(dir, CVOS_UNPUBLISHED, &s, AT_SYMLINK_NOFOLLOW), -1) < 0 ||
      !S_ISSOCK(s.st_mode) || s.st_uid != geteuid() || !cvos_place_same(&l->place)) {
    r = cvos_plain(COVEY_EUNSAFE);
    goto unpublish;
  }
  l->socket_file = s.st_ino;
  mode_t mode = l->place.runtime ? 0600 | S_ISVTX : 0600;
  /* the bit is a word to cleaners, and not every system gives it to a file (EFTYPE) */
  if (fchmodat(dir, CVOS_UNPUBLISHED, mode, 0) < 0 && fchmodat(dir, CVOS_UNPUBLISHED, 0600, 0) < 0)
    goto failed;
  if (CVOS_CALL(LISTEN, listen(l->socket, BACKLOG), -1) < 0) goto failed;
  if (CVOS_CALL(RENAME, renameat(dir, CVOS_UNPUBLISHED, dir, l->socket_name), -1) < 0) goto failed;
  return 0;
failed:
  r = cvos_translate(errno);
unpublish:;
  int saved = errno;
  (void)unlinkat(dir, CVOS_UNPUBLISHED, 0);
  errno = saved;
  return r;
}

/* ---- open ---- */

/* The listeners of this process, for a child of fork() without exec: it would go on holding lock and socket
 * after our death. */
static pthread_mutex_t alive_lock = PTHREAD_MUTEX_INITIALIZER;
static cvos_listener *alive;

static void before_fork(void)
{
  (void)pthread_mutex_lock(&alive_lock);
}

static void after_fork(void)
{
  (void)pthread_mutex_unlock(&alive_lock);
}

static void after_fork_in_child(void)
{
  for (cvos_listener *l = alive; l; l = l->next) {
    cvos_fd_close(l->socket);
    cvos_fd_close(l->lock);
    cvos_fd_close(l->place.fd);
    l->socket = l->lock = l->place.fd = -1;
  }
  alive = NULL;
  after_fork();
}

CVOS_AT_START listener_watch_forks(void)
{
  (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static void note_alive(cvos_listener *l)
{
  before_fork();
  l->next = alive;
  alive = l;
  after_fork();
}

static void forget_alive(cvos_listener *l)
{
  before_fork();
  for (cvos_listener **at = &alive; *at; at = &(*at)->next) {
    if (*at != l) continue;
    *at = l->next;
    break;
  }
  after_fork();
}

int cvos_listener_open(const cvos_address *address, cvos_listener **ret)
{
  int r;
  cvos_listener *l = cvy_alloc_zero(1, sizeof *l);
  if (!l) return cvos_plain(COVEY_ENOMEM);
  l->socket = l->lock = l->place.fd = -1;
  note_alive(l);
  r = cvos_place_name(address, ".s", l->socket_name);
  if (r < 0) goto failed;
  r = cvos_place_name(address, ".lock", l->lock_name);
  if (r < 0) goto failed;
  r = enter_place(address, l);
  if (r < 0) goto failed;
  r = take_lock(l);
  if (r == 0) r = publish(l);
  if (r < 0) cvos_lock_release_at(l->place.fd, l->lock, l->lock_name);
  cvos_place_leave(&l->place);
  if (r < 0) goto failed;
  cvos_place_sweep(&l->place, l->lock_name);
  *ret = l;
  return 0;
failed:
  forget_alive(l);
  cvos_fd_close(l->socket);
  cvos_place_close(&l->place);
  int saved = errno;
  cvy_free(l);
  errno = saved;
  return r;
}

static bool is_file(const cvos_listener *l, const char *name, ino_t inode)
{
  struct stat s;
  return fstatat(l->place.fd, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && s.st_ino == inode;
}

int cvos_listener_check(cvos_listener *l)
{
  if (!cvos_place_same(&l->place) || !is_file(l, l->socket_name, l->socket_file) ||
      !is_file(l, l->lock_name, l->lock_file))
    return cvos_plain(COVEY_ENOTFOUND);
  (void)utimensat(l->place.fd, l->socket_name, NULL, AT_SYMLINK_NOFOLLOW);
  (void)futimens(l->lock, NULL);
  (void)futimens(l->place.fd, NULL);
  return 0;
}

void cvos_listener_close(cvos_listener *l)
{
  if (!l) return;
  forget_alive(l);
  /* Whoever holds the lock file by its name owns the socket's name too; who has lost it owns neither any
   * more. */
  bool named = is_file(l, l->lock_name, l->lock_file);
  if (named && is_file(l, l->socket_name, l->socket_file)) (void)unlinkat(l->place.fd, l->socket_name, 0);
  cvos_fd_close(l->socket);
  cvos_lock_release_at(l->place.fd, l->lock, l->lock_name);
  cvos_place_close(&l->place);
  cvy_free(l);
}
