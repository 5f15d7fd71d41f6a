#include "posix/detail/posix.h"

#include "os/stream.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/lock.h"
#include "posix/detail/peer.h"
#include "posix/detail/socket.h"
#include "posix/detail/sweep.h"
#include "posix/detail/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
#endif

/* ---- an address ---- */

void cvos_address_text(const cvos_address *address, char *ret_text, size_t capacity)
{
  char folder[1024], name[CVOS_FILE_MAX];
  int saved = errno;
  if (capacity == 0) return;
  if (cvos_place_name(address, ".s", name) < 0) {
    (void)snprintf(ret_text, capacity, "%s.%s", address->app ? address->app : "",
                   address->name ? address->name : "");
  } else {
    cvos_place_text(address, folder, sizeof folder);
    (void)snprintf(ret_text, capacity, "%s/%s", folder, name);
  }
  errno = saved;
}

/* A name as it was before append_name of place.c. */
static void plain_name(const char *file, size_t size, char ret[CVOS_FILE_MAX])
{
  size_t n = 0;
  for (size_t i = 0; i < size && n + 1 < CVOS_FILE_MAX; i++) {
    bool capital = file[i] == '+' && i + 1 < size && file[i + 1] >= 'a' && file[i + 1] <= 'z';
    ret[n++] = capital ? (char)(file[++i] - 'a' + 'A') : file[i];
  }
  ret[n] = '\0';
}

static int list_in(const cvos_place *place, const char *prefix, void (*found)(void *arg, const char *name),
                   void *arg)
{
  char name[CVOS_FILE_MAX];
  size_t begin = strlen(prefix);
  int fd = CVOS_CALL(OPEN, openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  if (!folder) {
    int r = cvos_translate(errno);
    cvos_fd_close(fd);
    return r;
  }
  for (struct dirent *entry; (entry = readdir(folder));) {
    size_t size = strlen(entry->d_name);
    if (size < begin + 3 || strncmp(entry->d_name, prefix, begin) != 0) continue;
    if (strcmp(entry->d_name + size - 2, ".s") != 0) continue;
    plain_name(entry->d_name + begin, size - begin - 2, name);
    found(arg, name);
  }
  (void)closedir(folder);
  return 0;
}

int cvos_address_list(const cvos_address *where, void (*found)(void *arg, const char *name), void *arg)
{
  char prefix[CVOS_FILE_MAX];
  cvos_address any = *where;
  any.name = "n";
  int r = cvos_place_name(&any, "", prefix);
  if (r < 0) return r;
  prefix[strlen(prefix) - 1] = '\0'; /* "<app>~" */
  for (int i = 0;; i++) {
    cvos_place place;
    r = cvos_place_open(&any, i, false, &place);
    if (r == 1) return 0;
    if (r == COVEY_ENOTFOUND) continue;
    if (r < 0) return r;
    r = list_in(&place, prefix, found, arg);
    cvos_place_close(&place);
    if (r < 0) return r;
  }
}

/* ---- dialling ---- */

static bool is_there(const cvos_place *place, const char *name)
{
  struct stat s;
  return fstatat(place->fd, name, &s, AT_SYMLINK_NOFOLLOW) == 0;
}

static int dial_in(const cvos_place *place, const char *socket_name, const char *lock_name, int *ret)
{
  struct sockaddr_un at;
  socklen_t size;
  int fd = -1, r = cvos_place_address(place, socket_name, &at, &size);
  if (r < 0) return r;
  r = cvos_socket_new(&fd);
  if (r < 0) return r;
  do r = CVOS_CALL(CONNECT, connect(fd, (struct sockaddr *)&at, size), -1);
  while (r < 0 && errno == EINTR);
  if (r == 0 || errno == EISCONN) {
    *ret = fd;
    return 0;
  }
  cvos_fd_close(fd);
  switch (errno) {
  case EAGAIN:
  case EINPROGRESS: return COVEY_EAGAIN;
  case ENOENT:
    /* Without a lock there is nothing; with one, somebody is starting, or has left it behind. */
    return is_there(place, lock_name) ? cvos_place_look(place, socket_name, lock_name) : COVEY_ENOPEER;
  case ECONNREFUSED: /* macOS says so too when the backlog is full */
  case ECONNRESET:
  case ENOTSOCK:
  case EPROTOTYPE: return cvos_place_look(place, socket_name, lock_name);
  default: return cvos_translate(errno);
  }
}

/* A name that is too long for one place may come to be in the next one, which is shorter or not there yet: the last one decides. */
int cvos_stream_dial(const cvos_address *address, cvos_handle *ret)
{
  char socket_name[CVOS_FILE_MAX], lock_name[CVOS_FILE_MAX];
  int kept = COVEY_ENOPEER, r = cvos_place_name(address, ".s", socket_name);
  if (r < 0) return r;
  r = cvos_place_name(address, ".lock", lock_name);
  if (r < 0) return r;
  for (int i = 0;; i++) {
    cvos_place place;
    r = cvos_place_open(address, i, false, &place);
    if (r == 1) return cvos_plain(kept);
    kept = COVEY_ENOPEER;
    if (r == COVEY_ENOTFOUND) continue;
    if (r < 0) return r;
    r = dial_in(&place, socket_name, lock_name, ret);
    cvos_place_close(&place);
    if (r != COVEY_ETOOBIG && r != COVEY_ENOPEER) return r;
    kept = r;
  }
}

/* ---- a connection for a child ---- */

int cvos_stream_pair(cvos_handle *ret_ours, cvos_handle *ret_theirs, char *ret_token)
{
  int ours, theirs;
  struct stat s;
  int r = cvos_socket_pair(&ours, &theirs);
  if (r < 0) return r;
  int error = cvos_peer_tell(ours, true);
  if (error && error != ENOTSUP) {
    errno = error;
    goto failed;
  }
  if (CVOS_CALL(STAT, fstat(theirs, &s), -1) < 0) goto failed;
  (void)snprintf(ret_token, CVOS_TOKEN_MAX, "%d:%llx:%llx", theirs, (unsigned long long)s.st_dev,
                 (unsigned long long)s.st_ino);
  *ret_ours = ours;
  *ret_theirs = theirs;
  return 0;
failed:
  r = cvos_translate(errno);
  cvos_fd_close(theirs);
  cvos_fd_close(ours);
  return r;
}

/* One number of a token, up to its end mark. */
static bool read_number(const char **text, int base, char end, unsigned long long *ret)
{
  char *stop;
  const char *first = base == 16 ? "0123456789abcdef" : "0123456789";
  if (!**text || !strchr(first, **text)) return false;
  errno = 0;
  *ret = strtoull(*text, &stop, base);
  if (errno || *stop != end) return false;
  *text = end ? stop + 1 : stop;
  return true;
}

static bool is_our_end(int fd, unsigned long long device, unsigned long long inode)
{
  struct stat s;
  struct sockaddr_storage name;
  int type;
  socklen_t size = sizeof type, name_size = sizeof name;
  return fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode) && (unsigned long long)s.st_dev == device &&
         (unsigned long long)s.st_ino == inode && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
         type == SOCK_STREAM && getpeername(fd, (struct sockaddr *)&name, &name_size) == 0;
}

int cvos_stream_inherit(const char *token, cvos_handle *ret)
{
  unsigned long long number, device, inode;
  if (!read_number(&token, 10, ':', &number) || !read_number(&token, 16, ':', &device) ||
      !read_number(&token, 16, '\0', &inode) || number < 3 || number > INT32_MAX)
    return cvos_plain(COVEY_EINVAL);
  int fd = (int)number;
  if (!is_our_end(fd, device, inode)) return cvos_plain(COVEY_ENOTFOUND);
  int flags = fcntl(fd, F_GETFL);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return cvos_translate(errno);
  *ret = fd;
  return 0;
}

/* ---- who is at the other end ---- */

static bool hung_up(int fd)
{
#if defined(POLLRDHUP)
  struct pollfd p = {.fd = fd, .events = POLLRDHUP};
#else
  /* macOS looks for nothing that is not asked for (XNU, sys_generic.c) */
  struct pollfd p = {.fd = fd, .events = POLLHUP};
#endif
  return poll(&p, 1, 0) > 0 && (p.revents & p.events || p.revents & (POLLHUP | POLLERR));
}

/* When pid started; its user is the connection's to say, so nothing else is looked up. */
static int started(pid_t pid, uint64_t *ret)
{
  cvos_entry entry;
  int error = cvos_system_entry(pid, &entry);
  if (!error && entry.zombie) error = ESRCH;
  if (error) {
    errno = error;
    return cvos_translate(error);
  }
  *ret = entry.start;
  return 0;
}

/* Holds the process of peer. Without a pidfd of the kernel's own for it, the pid is looked up, and counts
 * only if the other end is still open afterwards: so it was not another's meanwhile. */
static int pin_peer(int stream, cvos_peer *peer, covey_identity *who, cvos_process *pin)
{
  cvos_process held = {.pid = peer->pid, .handle = peer->pidfd};
  int r = 0;
  if (peer->pidfd < 0) r = cvos_process_open(peer->pid, 0, &held);
  if (r == 0) r = started(peer->pid, &who->start);
  if (r == 0 && peer->pidfd < 0 && (hung_up(stream) || who->start != held.start)) r = COVEY_ENOTFOUND;
  /* What was read of the pid is this process's if it has not gone meanwhile. */
  if (r == 0 && held.handle != CVOS_NONE && cvos_process_wait(&held, 0) == 0) r = COVEY_ENOTFOUND;
  if (r < 0) {
    int saved = errno;
    cvos_process_close(&held);
    errno = saved;
    return r == COVEY_ENOTFOUND || r == COVEY_EPEERCHANGED ? COVEY_EPEERDIED : r;
  }
  held.start = who->start;
  *pin = held;
  return 0;
}

int cvos_stream_peer(cvos_handle stream, covey_identity *ret_identity, cvos_process *ret_pin)
{
  cvos_peer peer;
  covey_identity who = {0};
  cvos_process pin = {.handle = CVOS_NONE};
  int error = cvos_peer_read(stream, &peer);
  if (error) {
    errno = error;
    if (error == ENOTCONN) return COVEY_ECLOSED;
    if (error == ENOTSOCK || error == EBADF || error == EOPNOTSUPP) return COVEY_EINVAL;
    return error == ESRCH ? COVEY_EPEERDIED : cvos_translate(error);
  }
  if (peer.pid > 0) {
    int r = pin_peer(stream, &peer, &who, &pin);
    if (r < 0) return r;
  }
  /* The connection's own word goes over the process table's: a program may have changed its user since. */
  who.pid = peer.pid > 0 ? peer.pid : 0;
  who.uid = peer.uid;
  who.gid = peer.gid;
  who.flags = (peer.uid == geteuid() ? COVEY_ID_SAME_USER : 0u) | (peer.uid == 0 ? COVEY_ID_ELEVATED : 0u) |
              (pin.handle != CVOS_NONE ? COVEY_ID_PINNED : 0u);
  *ret_identity = who;
  *ret_pin = pin;
  return 0;
}

bool cvos_stream_tells_sender(void)
{
#if defined(__linux__)
  return true;
#else
  return false;
#endif
}

void cvos_stream_quiet(cvos_handle stream)
{
  (void)cvos_peer_tell(stream, false);
}

/* ---- random bytes ---- */

int cvos_random(void *ret, size_t size)
{
#if defined(__linux__)
  uint8_t *at = ret;
  while (size > 0) {
    ssize_t n = CVOS_CALL(RANDOM, getrandom(at, size, 0), -1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return COVEY_EOS;
    at += n;
    size -= (size_t)n;
  }
#else
  arc4random_buf(ret, size);
#endif
  return 0;
}
