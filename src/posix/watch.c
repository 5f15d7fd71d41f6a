#include "os/watch.h"
#include "core/fault.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE, set where the socket is made */
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

#define ROUNDS     16        /* reads in one callback, and the bytes after which others have their turn: */
#define AT_ONCE    (1 << 20) /* 16 full buffers */
#define SMALL      512       /* bytes that are copied rather than gathered */
#define PIECES     64        /* iovecs in one call; the system's limit is 1024 */
#define STARVED_MS 2         /* until a write that found no memory in the system is tried again */
#define HANDLES    253       /* SCM_MAX_FD of Linux: what one sendmsg can carry at most */
#if defined(__APPLE__)
#define MOST_TAKEN                                                                                           \
  512 /* what one message may carry: UIPC_MAX_CMSG_FD of XNU; those for which there is no room stay open with us, unnamed */
#else
#define MOST_TAKEN HANDLES
#endif

/* A pipe of which one read took what pipes hold by default is a stream: with more room writer and reader need not wait for each other at each 64 KiB
 * (1.1 times the throughput, own measurement; 1 MiB gives no more). */
#if defined(__linux__)
#define SET_PIPE_SIZE 1031 /* F_SETPIPE_SZ, which glibc hides without _GNU_SOURCE */
#define PIPE_SIZE     (256 << 10)
#endif

uint64_t cvos_watch_activity(void)
{
  return cvos_watch_counted();
}

int cvos_watch_prepare(struct uv_loop_s *uv, bool own)
{
  (void)uv;
  (void)own;
  return 0;
}

#if defined(__linux__)

/* Has uv been told what it has not told the system yet? It does so when it polls. Its list of that is void *[2] in some versions and a struct of two
 * pointers in others; it is empty when it leads to itself. */
static bool uv_is_behind(const uv_loop_t *uv)
{
  const void *next;
  memcpy(&next, &uv->watcher_queue, sizeof next);
  return next != &uv->watcher_queue;
}

int cvos_watch_sleep(struct uv_loop_s *uv, int64_t timeout)
{
  struct pollfd look[1 + CVOS_EXITS] = {{.fd = uv_backend_fd(uv), .events = POLLIN}};
  if (uv_is_behind(uv)) return COVEY_EAGAIN;
  size_t exits = cvos_exits_ask(uv, look + 1);
  if (exits > CVOS_EXITS) return cvos_exits_sweep(uv) ? 1 : COVEY_EAGAIN;
  uv_update_time(uv);
  int due = uv_backend_timeout(uv);
  if (timeout >= 0 && (due < 0 || timeout < due)) due = timeout > INT_MAX ? INT_MAX : (int)timeout;
  if (due == 0) return COVEY_EAGAIN;
  if (poll(look, 1 + (nfds_t)exits, due) < 0) return 0;
  return exits && cvos_exits_tell(uv, look + 1, exits) && !look[0].revents ? 1 : 0;
}

#else

int cvos_watch_sleep(struct uv_loop_s *uv, int64_t timeout)
{
  (void)uv;
  (void)timeout;
  return COVEY_ENOTSUP;
}

#endif

/* ---- a byte stream ---- */

struct cvos_io {
  uv_poll_t poll;
  uv_timer_t later; /* of a write that found no memory: the poll would say all the time that there is room */
  int fd;
  bool socket;
  bool reading, room_wanted;
  bool over;  /* end was told */
  bool roomy; /* the pipe was given room, or is none */
  bool closing;
  bool starved, waits; /* the last write found none; later is running */
  int open;            /* handles of uv */
  int armed;           /* what uv watches at the moment */
  int64_t sender;
  size_t asked; /* by the last read */
  cvos_shared *shared;
  const cvos_io_events *events;
  void *arg;
};

static void io_on_poll(uv_poll_t *poll, int status, int what);

/* uv_poll_start costs a system call even when nothing changes (it forgets the descriptor first): only on a change. */
static void io_arm(cvos_io *io)
{
  int want = (io->reading && !io->over ? UV_READABLE : 0) | (io->room_wanted && !io->waits ? UV_WRITABLE : 0);
  if (want == io->armed || io->closing) return;
  io->armed = want;
  if (want)
    uv_poll_start(&io->poll, want, io_on_poll);
  else
    uv_poll_stop(&io->poll);
}

int cvos_io_open(struct uv_loop_s *uv, cvos_handle handle, int use, const cvos_io_events *events, void *arg,
                 cvos_io **ret)
{
  (void)use;
  int r = COVEY_ENOMEM, type;
  socklen_t size = sizeof type;
  cvos_io *io = cvy_alloc_zero(1, sizeof *io);
  if (!io) return r;
  io->shared = cvos_shared_get(uv);
  if (!io->shared) goto no_shared;
  int e = CVOS_CALL(POLL, uv_poll_init(uv, &io->poll, handle), UV_EMFILE);
  if (e) {
    r = cvos_translate(-e);
    goto no_poll;
  }
  uv_timer_init(uv, &io->later);
  io->poll.data = io->later.data = io;
  io->open = 2;
  io->fd = handle;
  io->socket = io->roomy = getsockopt(handle, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
  io->sender = -1;
  io->events = events;
  io->arg = arg;
  *ret = io;
  return 0;
no_poll:
  cvos_shared_put(io->shared);
no_shared:
  cvy_free(io);
  return r;
}

/* The master of a pseudo-terminal says EIO when nobody has the other side open (Linux; elsewhere it is an end like any other). */
static bool is_hangup(const cvos_io *io, int system)
{
  return system == EIO && !io->socket && isatty(io->fd);
}

static void io_end(cvos_io *io, int system)
{
  if (io->over) return;
  io->over = true;
  io_arm(io);
  if (system == ECONNRESET || system == EPIPE || is_hangup(io, system)) system = 0;
  if (io->events->end) io->events->end(io->arg, system ? cvos_translate(system) : 0, system);
}

/* Descriptors and the sender out of a message's control part; returns how many descriptors. */
static size_t io_control(cvos_io *io, struct msghdr *m, cvos_handle *handles)
{
  size_t count = 0;
  io->sender = -1;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_RIGHTS) {
      size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (!MSG_CMSG_CLOEXEC) fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (count < HANDLES)
          handles[count++] = fd;
        else
          close(fd);
      }
    }
#if defined(SCM_CREDENTIALS)
    if (c->cmsg_type == SCM_CREDENTIALS) {
      struct {
        int32_t pid;
        uint32_t uid, gid;
      } who; /* struct ucred, which glibc hides without _GNU_SOURCE */
      memcpy(&who, CMSG_DATA(c), sizeof who);
      io->sender = who.pid;
    }
#endif
  }
  return count;
}

/* True when a read failed for the handles alone: macOS, which has no descriptor for one of them, has thrown all of them away and kept the bytes (XNU,
 * uipc_usrreq.c: unp_externalize; uipc_socket.c: soreceive_ctl). */
static bool is_for_handles(int error)
{
#if defined(__APPLE__)
  if (error == EMFILE) return true;
#endif
  return error == EMSGSIZE;
}

static void give_room(cvos_io *io)
{
  io->roomy = true;
#if defined(__linux__)
  (void)fcntl(io->fd, SET_PIPE_SIZE, PIPE_SIZE); /* refused: beyond what a user may have */
#endif
}

/* One read. The bytes told; 0: none are there, or none are wanted now; -1: no more will come (told). */
static ssize_t io_take(cvos_io *io)
{
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(MOST_TAKEN * sizeof(int)) + CMSG_SPACE(64)];
  } control;
  cvos_handle handles[HANDLES + 1];
  size_t handle_count = 0;
  char *buffer = io->shared->buffer, *place = NULL;
  ssize_t n;
  bool cut = false;
  io->sender = -1;
  io->asked = CVOS_READ_SIZE;
  if (io->events->place) place = io->events->place(io->arg, &io->asked);
  if (!io->asked) return 0;
  if (place) buffer = place;
  do {
    if (io->socket) {
      struct iovec v = {.iov_base = buffer, .iov_len = cvy_fault_limited(io->asked)};
      struct msghdr m = {
          .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
      n = CVOS_CALL(RECEIVE, recvmsg(io->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), -1);
      if (n >= 0 && m.msg_controllen) handle_count = io_control(io, &m, handles);
      cut = cut || (n < 0 ? is_for_handles(errno) : (m.msg_flags & MSG_CTRUNC) != 0);
    } else {
      n = CVOS_CALL(READ, read(io->fd, buffer, io->asked), -1);
    }
  } while (n < 0 && (errno == EINTR || (io->socket && is_for_handles(errno))));
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  if (n >= CVOS_READ_SIZE && !io->roomy) give_room(io);
  if (n > 0) {
    if (cut) handles[handle_count++] = CVOS_NONE;
    io->events->bytes(io->arg, buffer, (size_t)n, handles, handle_count);
    return n;
  }
  int e = n < 0 ? errno : 0;
  for (size_t i = 0; i < handle_count; i++) close(handles[i]);
  io_end(io, e);
  return -1;
}

static void io_on_poll(uv_poll_t *poll, int status, int what)
{
  cvos_io *io = poll->data;
  cvos_watch_count();
  if (status < 0) {
    /* libuv has stopped the poll: an error is pending (a reset, a pipe without reader). A read or a write tells which. */
    io->armed = 0;
    what = (io->reading ? UV_READABLE : 0) | (io->room_wanted ? UV_WRITABLE : 0);
  }
  if ((what & UV_WRITABLE) && io->room_wanted) {
    io->room_wanted = false;
    if (io->events->room) io->events->room(io->arg);
  }
  if (what & UV_READABLE) {
    size_t total = 0;
    for (int i = 0; i < ROUNDS && total < AT_ONCE && io->reading && !io->over && !io->closing; i++) {
      ssize_t n = io_take(io);
      if (n > 0) total += (size_t)n;
      if (n <= 0 || n < (ssize_t)io->asked) break; /* empty, most likely; if not, the poll says so again */
    }
  }
  io_arm(io);
}

void cvos_io_read(cvos_io *io, bool on)
{
  io->reading = on;
  io_arm(io);
}

bool cvos_io_can_look(void)
{
  return true;
}

size_t cvos_io_look(cvos_io *io)
{
  if (!io->reading || io->over || io->closing) return 0;
  ssize_t n = io_take(io);
  if (n > 0) cvos_watch_count();
  return n > 0 ? (size_t)n : 0;
}

/* A write to a pipe raises SIGPIPE in this thread when nobody reads any more: blocked around the write, and eaten when it is ours. */
static ssize_t pipe_write(int fd, const struct iovec *v, int count)
{
  sigset_t pipe, old, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &old);
  sigpending(&pending);
  bool before = sigismember(&pending, SIGPIPE) == 1;
  ssize_t n = CVOS_CALL(WRITE, writev(fd, v, count), -1);
  int e = errno;
  if (n < 0 && e == EPIPE && !before) {
    sigpending(&pending);
    int got;
    if (sigismember(&pending, SIGPIPE) == 1) sigwait(&pipe, &got);
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = e;
  return n;
}

/* One piece, or pieces that are few bytes, written as one: a copy costs less than a message header that the system has to read. */
static ssize_t flat_write(int fd, const struct iovec *v, int count)
{
  char flat[SMALL];
  size_t size = 0;
  if (count == 1) return CVOS_CALL(SEND, send(fd, v->iov_base, v->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
  for (int i = 0; i < count; i++) {
    memcpy(flat + size, v[i].iov_base, v[i].iov_len);
    size += v[i].iov_len;
  }
  return CVOS_CALL(SEND, send(fd, flat, size, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
}

static ssize_t socket_write(int fd, struct iovec *v, int count, const cvos_handle *handles,
                            size_t handle_count)
{
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(HANDLES * sizeof(int))];
  } control;
  struct msghdr m = {.msg_iov = v, .msg_iovlen = 0};
  m.msg_iovlen += (unsigned)count; /* size_t on Linux, int elsewhere */
  if (handle_count) {
    memset(&control, 0, sizeof control);
    m.msg_control = &control;
    m.msg_controllen = (socklen_t)CMSG_SPACE(handle_count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = (socklen_t)CMSG_LEN(handle_count * sizeof(int));
    memcpy(CMSG_DATA(c), handles, handle_count * sizeof(int));
  }
  return CVOS_CALL(SEND, sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
}

/* Fills v with what is left of pieces behind skip bytes; returns how many, and their bytes. */
static int gather(struct iovec *v, const cvos_piece *pieces, size_t count, size_t skip, size_t *ret_size)
{
  int n = 0;
  *ret_size = 0;
  for (size_t i = 0; i < count && n < PIECES; i++) {
    if (skip >= pieces[i].size) {
      skip -= pieces[i].size;
      continue;
    }
    v[n].iov_base = (char *)(uintptr_t)pieces[i].data + skip;
    v[n].iov_len = pieces[i].size - skip;
    *ret_size += v[n++].iov_len;
    skip = 0;
  }
  return n;
}

int64_t cvos_io_write(cvos_io *io, const cvos_piece *pieces, size_t count, const cvos_handle *handles,
                      size_t handle_count, int *ret_system)
{
  struct iovec v[PIECES];
  size_t done = 0, size;
  if (handle_count > HANDLES || (handle_count && !io->socket)) {
    *ret_system = EINVAL;
    return COVEY_EINVAL;
  }
  for (;;) {
    int n = gather(v, pieces, count, done, &size);
    if (!n) return (int64_t)done;
#if defined(__APPLE__)
    /* one byte goes with handles: they grow on their way, and what fills the room together with them is lost (FreeBSD PR 181741) */
    if (handle_count && !done) {
      n = 1;
      v[0].iov_len = size = 1;
    }
#endif
    if (io->socket && cvy_fault_limited(v[0].iov_len) < v[0].iov_len) {
      v[0].iov_len = cvy_fault_limited(v[0].iov_len);
      n = 1; /* less than size: it is told as all that was taken */
    }
    ssize_t taken;
    if (io->socket && !handle_count && (n == 1 || size <= SMALL))
      taken = flat_write(io->fd, v, n);
    else
      taken = io->socket ? socket_write(io->fd, v, n, handles, done ? 0 : handle_count)
                         : pipe_write(io->fd, v, n);
    if (taken < 0) {
      int e = errno;
      if (e == EINTR) continue;
      /* ENOBUFS: macOS says so for a Unix socket whose peer is slow, Linux when it has no memory for a while. EMSGSIZE: macOS has no room for handles
       * now, as it takes what the peer has not read off the most that it holds (libuv/libuv 1739; XNU, uipc_usrreq.c: uipc_send). */
      bool starved = e == ENOBUFS || (e == EMSGSIZE && handle_count && !done);
      io->starved = io->starved || starved;
      if (done || e == EAGAIN || e == EWOULDBLOCK || starved) return (int64_t)done;
      *ret_system = e;
      bool closed = e == EPIPE || e == ECONNRESET || e == ENOTCONN || is_hangup(io, e);
      return closed ? COVEY_ECLOSED : cvos_translate(e);
    }
    done += (size_t)taken;
    if ((size_t)taken < size) return (int64_t)done;
  }
}

static void io_on_time(uv_timer_t *later)
{
  cvos_io *io = later->data;
  bool wanted = io->room_wanted;
  io->waits = io->room_wanted = false;
  cvos_watch_count();
  if (wanted && io->events->room) io->events->room(io->arg);
  io_arm(io);
}

void cvos_io_want_room(cvos_io *io)
{
  io->room_wanted = true;
  if (io->starved && !io->closing) {
    io->starved = false;
    io->waits = uv_timer_start(&io->later, io_on_time, STARVED_MS, 0) == 0;
  }
  io_arm(io);
}

bool cvos_io_pending(const cvos_io *io)
{
  (void)io;
  return false;
}

static void io_on_closed(uv_handle_t *handle)
{
  cvos_io *io = handle->data;
  if (--io->open) return;
  cvos_watch_count();
  cvos_shared_put(io->shared);
  if (io->events->closed) io->events->closed(io->arg);
  cvy_free(io);
}

void cvos_io_close(cvos_io *io, bool now)
{
  (void)now;
  if (io->closing) return;
  io->closing = true;
  io->reading = false;
  uv_close((uv_handle_t *)&io->later, io_on_closed);
  uv_close((uv_handle_t *)&io->poll, io_on_closed);
  close(io->fd);
}

int64_t cvos_io_sender(const cvos_io *io)
{
  return io->sender;
}

cvos_handle cvos_io_handle(const cvos_io *io)
{
  return io->fd;
}
