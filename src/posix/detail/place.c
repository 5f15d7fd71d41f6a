#include "posix/detail/place.h"

#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define OWN "covey"

/* The number of the machine's first pid namespace: PROC_PID_INIT_INO of linux/proc_ns.h. */
#define FIRST_NAMESPACE 0xeffffffcu

/* ---- where ---- */

typedef struct spot {
  char base[sizeof(((cvos_place *)0)->path)]; /* the folder above ours, or ours itself (given) */
  char own[32];                               /* our folder in it; "" when given */
  bool runtime, shared;                       /* shared: everybody may write to base */
} spot;

static void base_of(int candidate, spot *ret)
{
  size_t room = sizeof ret->base;
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  ret->base[0] = '\0';
  if (candidate == 0) {
    if (runtime && runtime[0] == '/' && strlen(runtime) < room)
      (void)snprintf(ret->base, room, "%s", runtime);
    ret->runtime = true;
  } else if (candidate == 1) {
    (void)snprintf(ret->base, room, "/run/user/%lu", (unsigned long)geteuid());
    ret->runtime = true;
    if (runtime && strcmp(runtime, ret->base) == 0) ret->base[0] = '\0';
  } else if (candidate == 2) {
#if defined(_CS_DARWIN_USER_TEMP_DIR)
    size_t n = confstr(_CS_DARWIN_USER_TEMP_DIR, ret->base, room);
    if (n == 0 || n > room) ret->base[0] = '\0';
#endif
  } else {
    (void)snprintf(ret->base, room, "/tmp");
    ret->shared = true;
  }
}

static bool find_spot(const cvos_address *address, int candidate, spot *ret)
{
  memset(ret, 0, sizeof *ret);
  if (address->directory) {
    if (candidate > 0) return false;
    (void)snprintf(ret->base, sizeof ret->base, "%s", address->directory);
  } else {
    if (candidate > 3) return false;
    base_of(candidate, ret);
    if (ret->shared)
      (void)snprintf(ret->own, sizeof ret->own, OWN "-%lu", (unsigned long)geteuid());
    else
      (void)snprintf(ret->own, sizeof ret->own, OWN);
  }
  size_t n = strlen(ret->base);
  while (n > 1 && ret->base[n - 1] == '/') ret->base[--n] = '\0';
  return true;
}

/* "ns-<n>" when a pid means something else here than on the machine as a whole; "" else. */
static void namespace_of(const cvos_address *address, char ret[32])
{
  uint64_t number = address->by_pid ? cvos_system_namespace() : 0;
  ret[0] = '\0';
  if (number && number != FIRST_NAMESPACE) (void)snprintf(ret, 32, "ns-%llu", (unsigned long long)number);
}

/* ---- opening, with every check on what was opened ---- */

bool cvos_place_private(const struct stat *what)
{
  return S_ISDIR(what->st_mode) && what->st_uid == geteuid() && (what->st_mode & 077) == 0;
}

/* Opens the folder name below dir (or AT_FDCWD) and insists that it is ours alone. COVEY_ENOTFOUND: not
 * there. */
static int open_own(int dir, const char *name, bool make, int *ret)
{
  struct stat s;
  if (make && CVOS_CALL(MAKE_DIRECTORY, mkdirat(dir, name, 0700), -1) < 0 && errno != EEXIST) {
    if (errno == EROFS || errno == EACCES || errno == EPERM || errno == ENOENT) return COVEY_ENOTFOUND;
    return cvos_translate(errno);
  }
  int fd =
      cvos_fd_high(CVOS_CALL(OPEN, openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), -1));
  if (fd < 0) {
    int e = errno;
    if (e == ENOENT) return COVEY_ENOTFOUND;
    if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && !cvos_place_private(&s))
      return cvos_plain(COVEY_EUNSAFE);
    errno = e;
    return cvos_translate(e);
  }
  if (CVOS_CALL(STAT, fstat(fd, &s), -1) < 0 || !cvos_place_private(&s)) {
    cvos_fd_close(fd);
    return cvos_plain(COVEY_EUNSAFE);
  }
  *ret = fd;
  return 0;
}

/* Opens the folder above ours. Whoever could put another in the place of ours must be us or root. */
static int open_base(const spot *where, int *ret)
{
  struct stat s;
  int fd = cvos_fd_high(CVOS_CALL(OPEN, open(where->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1));
  if (fd < 0) return errno == EMFILE || errno == ENFILE ? COVEY_ELIMIT : COVEY_ENOTFOUND;
  bool known = CVOS_CALL(STAT, fstat(fd, &s), -1) == 0;
  bool ours = known && s.st_uid == geteuid() && (s.st_mode & 022) == 0;
  bool guarded = known && (s.st_uid == 0 || s.st_uid == geteuid()) && (s.st_mode & S_ISVTX);
  if (ours || (where->shared && guarded)) {
    *ret = fd;
    return 0;
  }
  cvos_fd_close(fd);
  return cvos_plain(where->shared ? COVEY_EUNSAFE : COVEY_ENOTFOUND);
}

static int open_spot(const spot *where, bool make, int *ret)
{
  int base = -1, r;
  if (!where->own[0]) return open_own(AT_FDCWD, where->base, false, ret);
  r = open_base(where, &base);
  if (r < 0) return r;
  r = open_own(base, where->own, make, ret);
  cvos_fd_close(base);
  return r;
}

static bool join(char *path, size_t room, const char *part)
{
  size_t n = strlen(path);
  int added = part[0] ? snprintf(path + n, room - n, "/%s", part) : 0;
  return added >= 0 && (size_t)added < room - n;
}

int cvos_place_open(const cvos_address *address, int candidate, bool make, cvos_place *ret)
{
  spot where;
  struct stat s;
  char space[32];
  int fd, inner, r;
  if (address->directory && address->directory[0] != '/') return candidate ? 1 : cvos_plain(COVEY_EINVAL);
  if (address->directory && strlen(address->directory) >= sizeof where.base) return cvos_plain(COVEY_ETOOBIG);
  if (!find_spot(address, candidate, &where)) return 1;
  if (!where.base[0]) return cvos_plain(COVEY_ENOTFOUND);
  namespace_of(address, space);
  cvos_place place = {.fd = -1, .runtime = where.runtime, .inner = space[0] != 0};
  (void)snprintf(place.path, sizeof place.path, "%s", where.base);
  if (!join(place.path, sizeof place.path, where.own) || !join(place.path, sizeof place.path, space))
    return cvos_plain(COVEY_ENOTFOUND);
  r = open_spot(&where, make, &fd);
  if (r < 0) return r;
  if (space[0]) {
    r = open_own(fd, space, make, &inner);
    for (int i = 0; make && r == COVEY_ENOTFOUND && i < 10; i++) /* an empty one was swept away in between */
      r = open_own(fd, space, make, &inner);
    cvos_fd_close(fd);
    if (r < 0) return r;
    fd = inner;
  }
  if (fstat(fd, &s) < 0) {
    r = cvos_translate(errno);
    cvos_fd_close(fd);
    return r;
  }
  place.fd = fd;
  place.device = s.st_dev;
  place.inode = s.st_ino;
  *ret = place;
  return 0;
}

void cvos_place_close(cvos_place *place)
{
  cvos_fd_close(place->fd);
  place->fd = -1;
}

void cvos_place_text(const cvos_address *address, char *ret, size_t capacity)
{
  spot where;
  char space[32];
  namespace_of(address, space);
  for (int i = 0; find_spot(address, i, &where); i++) {
    int base = -1;
    if (!where.base[0]) continue;
    (void)snprintf(ret, capacity, "%s%s%s%s%s", where.base, where.own[0] ? "/" : "", where.own,
                   space[0] ? "/" : "", space);
    int r = where.own[0] ? open_base(&where, &base) : 0;
    cvos_fd_close(base);
    if (r != COVEY_ENOTFOUND) return;
  }
}

bool cvos_place_same(const cvos_place *place)
{
  struct stat s;
  return lstat(place->path, &s) == 0 && s.st_dev == place->device && s.st_ino == place->inode;
}

/* ---- names in it ---- */

/* Appends name; on macOS, whose file system makes no difference between them, a capital letter becomes + and
 * the small one. */
static size_t append_name(char *to, size_t at, const char *name)
{
  for (; *name; name++) {
#if defined(__APPLE__)
    if (*name >= 'A' && *name <= 'Z') {
      to[at++] = '+';
      to[at++] = (char)(*name - 'A' + 'a');
      continue;
    }
#endif
    to[at++] = *name;
  }
  return at;
}

static bool allowed(const char *name)
{
  size_t n = name ? strlen(name) : 0;
  return n > 0 && n <= CVOS_NAME_MAX && name[0] != '.' && !strpbrk(name, "/\\~+");
}

int cvos_place_name(const cvos_address *address, const char *ending, char ret[CVOS_FILE_MAX])
{
  if (!allowed(address->app) || !allowed(address->name)) return cvos_plain(COVEY_EINVAL);
  size_t at = append_name(ret, 0, address->app);
  ret[at++] = '~';
  at = append_name(ret, at, address->name);
  memcpy(ret + at, ending, strlen(ending) + 1);
  return 0;
}

int cvos_place_address(const cvos_place *place, const char *name, struct sockaddr_un *ret,
                       socklen_t *ret_size)
{
  memset(ret, 0, sizeof *ret);
  ret->sun_family = AF_UNIX;
  int n = snprintf(ret->sun_path, sizeof ret->sun_path, "%s/%s", place->path, name);
  if (n < 0 || (size_t)n >= sizeof ret->sun_path) return cvos_plain(COVEY_ETOOBIG);
  *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
#if !defined(__linux__)
  ret->sun_len = (unsigned char)*ret_size;
#endif
  return 0;
}

/* ---- one at a time ---- */

int cvos_place_enter(const cvos_place *place)
{
  while (CVOS_CALL(LOCK, flock(place->fd, LOCK_EX | LOCK_NB), -1) < 0) {
    if (errno != EINTR) return cvos_translate(errno);
  }
  return 0;
}

/* Unlocked by name: a copy of the descriptor that another thread's fork has taken would go on holding it. */
void cvos_place_leave(const cvos_place *place)
{
  int saved = errno;
  (void)flock(place->fd, LOCK_UN);
  errno = saved;
}
