#include "os/watch.h"
#include "core/fault.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/op.h"

#include <string.h>

#define ROUNDS    16    /* reads in one callback; then others have their turn */
#define READ_SIZE 65536 /* the pipes' own buffers, which the makers ask for */
#define WRITE_MAX 65536

static CVOS_THREAD_LOCAL uint64_t activity;

void cvos_watch_count(void)
{
  activity++;
}
uint64_t cvos_watch_activity(void)
{
  return activity;
}

/* ---- a uv loop ---- */

static void free_probe(uv_handle_t *handle)
{
  cvy_free(handle);
}

int cvos_watch_prepare(struct uv_loop_s *uv, bool own)
{
  if (uv_version() >> 16 != 1) return COVEY_ENOTSUP;
  if (own) {
    HANDLE port = CVOS_CALL(PORT, CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 64), NULL);
    if (!port) return COVEY_ELIMIT;
    CloseHandle(uv->iocp);
    uv->iocp = port;
  }
  uv_async_t *probe = cvy_alloc_zero(1, sizeof *probe);
  if (!probe) return COVEY_ENOMEM;
  if (uv_async_init(uv, probe, NULL)) {
    cvy_free(probe);
    return COVEY_ELIMIT;
  }
  bool known = probe->async_req.type == UV_WAKEUP && probe->async_sent == 0 && uv->iocp;
  uv_close((uv_handle_t *)probe, free_probe);
  return known ? 0 : COVEY_ENOTSUP;
}

int cvos_watch_sleep(struct uv_loop_s *uv, int64_t timeout)
{
  (void)uv;
  (void)timeout;
  return COVEY_ENOTSUP;
}

bool cvos_watch_alone(const struct uv_loop_s *uv)
{
  (void)uv;
  return false;
}

void cvos_watch_arm(struct uv_loop_s *uv)
{
  (void)uv;
}

/* ---- one overlapped call ---- */

DWORD cvos_port_add(uv_loop_t *uv, HANDLE file)
{
  if (!CVOS_CALL(PORT, CreateIoCompletionPort(file, uv->iocp, 0, 0), NULL) &&
      GetLastError() != ERROR_INVALID_PARAMETER)
    return GetLastError();
  if (!SetFileCompletionNotificationModes(file, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS |
                                                    FILE_SKIP_SET_EVENT_ON_HANDLE))
    return GetLastError();
  return 0;
}

OVERLAPPED *cvos_op_begin(cvos_op *op)
{
  OVERLAPPED *o = &op->async.async_req.u.io.overlapped;
  memset(o, 0, sizeof *o);
  op->async.async_sent = 1;
  return o;
}

void cvos_op_none(cvos_op *op)
{
  op->async.async_sent = 0;
}

DWORD cvos_op_result(cvos_op *op, HANDLE file, DWORD *ret_size)
{
  return GetOverlappedResult(file, &op->async.async_req.u.io.overlapped, ret_size, FALSE) ? 0
                                                                                          : GetLastError();
}

/* ---- a byte stream ---- */

struct cvos_io {
  cvos_op read, write;
  uv_async_t kick; /* "look again in a later turn" */
  HANDLE file;
  int use;
  const cvos_io_events *events;
  void *arg;

  /* with the token */
  char *in;   /* READ_SIZE bytes, made at the first read */
  DWORD held; /* bytes of in that came while reading was off */
  bool reading, read_busy;
  bool connecting; /* the call in flight is ConnectNamedPipe */
  bool room_wanted, over, closing;
  int open_handles; /* of uv */

  SRWLOCK lock; /* guards what follows, and the op write */
  char *out;
  size_t out_size;
  bool write_busy;
  bool unconnected; /* our end of a pair, whose child has not come yet */
  bool shut;        /* closing: nothing is written any more */
  DWORD write_failed;
};

static void io_on_read(uv_async_t *async);
static void io_on_write(uv_async_t *async);
static void io_on_kick(uv_async_t *async);
static void io_on_closed(uv_handle_t *handle);
static void io_shut(cvos_io *io, bool now);

int cvos_io_open(struct uv_loop_s *uv, cvos_handle handle, int use, const cvos_io_events *events, void *arg,
                 cvos_io **ret)
{
  cvos_io *io = cvy_alloc_zero(1, sizeof *io);
  if (!io) return COVEY_ENOMEM;
  DWORD e = cvos_port_add(uv, handle);
  if (e) {
    cvy_free(io);
    return cvos_translate((int)e);
  }
  io->file = handle;
  io->use = use;
  io->events = events;
  io->arg = arg;
  InitializeSRWLock(&io->lock);
  uv_async_init(uv, &io->read.async, io_on_read); /* only memory on Windows: cannot fail */
  uv_async_init(uv, &io->write.async, io_on_write);
  uv_async_init(uv, &io->kick, io_on_kick);
  io->read.async.data = io->write.async.data = io->kick.data = io;
  io->open_handles = 3;
  *ret = io;
  return 0;
}

/* The ends that are no failure: the peer closed, went away, or disconnected. */
static bool is_end(DWORD e)
{
  return e == ERROR_BROKEN_PIPE || e == ERROR_PIPE_NOT_CONNECTED || e == ERROR_NO_DATA ||
         e == ERROR_HANDLE_EOF || e == ERROR_NETNAME_DELETED;
}

static void io_end(cvos_io *io, DWORD e)
{
  if (io->over || io->closing) return;
  io->over = true;
  if (!io->events->end) return;
  if (is_end(e))
    io->events->end(io->arg, 0, 0);
  else
    io->events->end(io->arg, cvos_translate((int)e), (int)e);
}

static void io_room(cvos_io *io)
{
  if (!io->room_wanted || io->closing) return;
  io->room_wanted = false;
  if (io->events->room) io->events->room(io->arg);
}

static void io_connected(cvos_io *io)
{
  AcquireSRWLockExclusive(&io->lock);
  io->unconnected = false;
  ReleaseSRWLockExclusive(&io->lock);
  io_room(io);
}

/* Waits, with the op read, for the child that opens the other end of a pair. True: it is there. */
static bool io_connect(cvos_io *io)
{
  if (ConnectNamedPipe(io->file, cvos_op_begin(&io->read))) {
    cvos_op_none(&io->read);
    return true;
  }
  DWORD e = GetLastError();
  if (e == ERROR_IO_PENDING) {
    io->read_busy = io->connecting = true;
    return false;
  }
  cvos_op_none(&io->read);
  if (e == ERROR_PIPE_CONNECTED || e == ERROR_NO_DATA) return true;
  io_end(io, e);
  return false;
}

/* Reads until a read is pending, nothing is wanted any more, or others must have their turn. */
static void io_pump(cvos_io *io)
{
  if (!io->in && io->reading) io->in = cvy_alloc(READ_SIZE);
  if (!io->in) {
    if (io->reading) io_end(io, ERROR_NOT_ENOUGH_MEMORY);
    return;
  }
  for (int i = 0; io->reading && !io->over && !io->closing && !io->read_busy; i++) {
    if (i == ROUNDS) {
      uv_async_send(&io->kick);
      return;
    }
    DWORD n = io->held;
    io->held = 0;
    if (n) {
      io->events->bytes(io->arg, io->in, n, NULL, 0);
      continue;
    }
    if (CVOS_CALL(
            READ,
            ReadFile(io->file, io->in, (DWORD)cvy_fault_limited(READ_SIZE), &n, cvos_op_begin(&io->read)),
            FALSE)) {
      cvos_op_none(&io->read);
      io->held = n;
      continue;
    }
    DWORD e = GetLastError();
    if (e == ERROR_IO_PENDING) {
      io->read_busy = true;
      return;
    }
    cvos_op_none(&io->read);
    if (e == ERROR_PIPE_LISTENING) {
      if (!io_connect(io)) return;
      io_connected(io);
    } else if (e != ERROR_OPERATION_ABORTED) {
      io_end(io, e);
    }
  }
}

static void io_on_read(uv_async_t *async)
{
  cvos_io *io = async->data;
  DWORD n = 0, e = cvos_op_result(&io->read, io->file, &n);
  cvos_watch_count();
  bool connected = io->connecting;
  io->read_busy = io->connecting = false;
  if (io->closing) return;
  if (connected && (!e || is_end(e) || e == ERROR_IO_INCOMPLETE))
    io_connected(io);
  else if (!connected && !e)
    io->held = n;
  else if (e != ERROR_OPERATION_ABORTED)
    io_end(io, e);
  io_pump(io);
}

static void io_on_kick(uv_async_t *async)
{
  cvos_io *io = async->data;
  cvos_watch_count();
  if (io->closing) return;
  AcquireSRWLockExclusive(&io->lock);
  bool busy = io->write_busy, unconnected = io->unconnected;
  ReleaseSRWLockExclusive(&io->lock);
  if (unconnected && !io->read_busy && !io->over) {
    if (io_connect(io)) io_connected(io);
  } else if (!busy && !unconnected) {
    io_room(io);
  }
  io_pump(io);
}

void cvos_io_read(cvos_io *io, bool on)
{
  io->reading = on;
  if (on && !io->read_busy && !io->closing) uv_async_send(&io->kick);
}

bool cvos_io_can_look(void)
{
  return false;
}

size_t cvos_io_look(cvos_io *io)
{
  (void)
      io; /* a read is pending in the system: its packet is the port's, and uv_run with UV_RUN_NOWAIT fetches it */
  return 0;
}

/* Room for size bytes of what is written, at most WRITE_MAX: the system reads from there while a write is pending. */
static bool out_reserve(cvos_io *io, size_t size)
{
  if (size <= io->out_size) return true;
  size_t room = io->out_size ? io->out_size : 4096;
  while (room < size) room *= 2;
  char *out = cvy_alloc(room);
  if (!out) return false;
  cvy_free(io->out);
  io->out = out;
  io->out_size = room;
  return true;
}

/* Copies up to most bytes behind skip into out; returns how many. */
static size_t out_fill(cvos_io *io, const cvos_piece *pieces, size_t count, size_t skip, size_t most)
{
  size_t n = 0;
  for (size_t i = 0; i < count && n < most; i++) {
    if (skip >= pieces[i].size) {
      skip -= pieces[i].size;
      continue;
    }
    size_t part = pieces[i].size - skip;
    if (part > most - n) part = most - n;
    memcpy(io->out + n, (const char *)pieces[i].data + skip, part);
    n += part;
    skip = 0;
  }
  return n;
}

int64_t cvos_io_write(cvos_io *io, const cvos_piece *pieces, size_t count, const cvos_handle *handles,
                      size_t handle_count, int *ret_system)
{
  size_t total = 0, done = 0;
  DWORD e = 0;
  (void)handles;
  if (handle_count) {
    *ret_system = ERROR_INVALID_PARAMETER;
    return COVEY_EINVAL;
  }
  for (size_t i = 0; i < count; i++) total += pieces[i].size;
  total = cvy_fault_limited(total);
  AcquireSRWLockExclusive(&io->lock);
  e = io->shut ? ERROR_BROKEN_PIPE : io->write_failed;
  while (!e && !io->write_busy && done < total) {
    size_t most = total - done < WRITE_MAX ? total - done : WRITE_MAX;
    if (!out_reserve(io, most)) {
      e = ERROR_NOT_ENOUGH_MEMORY;
      break;
    }
    DWORD size = (DWORD)out_fill(io, pieces, count, done, most), n = 0;
    if (CVOS_CALL(WRITE, WriteFile(io->file, io->out, size, &n, cvos_op_begin(&io->write)), FALSE)) {
      cvos_op_none(&io->write);
      done += n;
      continue;
    }
    e = GetLastError();
    if (e == ERROR_IO_PENDING) {
      io->write_busy = true;
      done += size;
      e = 0;
      break;
    }
    cvos_op_none(&io->write);
    if (e == ERROR_PIPE_LISTENING) {
      io->unconnected = true;
      e = 0;
      break;
    }
    if (is_end(e)) io->write_failed = e;
  }
  ReleaseSRWLockExclusive(&io->lock);
  if (done || !e) return (int64_t)done;
  *ret_system = (int)e;
  return is_end(e) ? COVEY_ECLOSED : cvos_translate((int)e);
}

static void io_on_write(uv_async_t *async)
{
  cvos_io *io = async->data;
  DWORD n = 0, e = cvos_op_result(&io->write, io->file, &n);
  cvos_watch_count();
  AcquireSRWLockExclusive(&io->lock);
  io->write_busy = false;
  if (e && e != ERROR_IO_INCOMPLETE) io->write_failed = e; /* if it went wrong, the next call tells */
  bool waits = io->shut;
  ReleaseSRWLockExclusive(&io->lock);
  if (waits) {
    io_shut(io, false);
    return;
  }
  io_room(io);
}

void cvos_io_want_room(cvos_io *io)
{
  io->room_wanted = true;
  AcquireSRWLockExclusive(&io->lock);
  bool busy = io->write_busy;
  ReleaseSRWLockExclusive(&io->lock);
  if (!busy) uv_async_send(&io->kick);
}

bool cvos_io_pending(const cvos_io *io)
{
  SRWLOCK *lock = (SRWLOCK *)(uintptr_t)&io->lock;
  AcquireSRWLockShared(lock);
  bool busy = io->write_busy;
  ReleaseSRWLockShared(lock);
  return busy;
}

/* Ends what is in flight and closes the handles of uv; the file goes when the last packet has come. */
static void io_shut(cvos_io *io, bool now)
{
  if (now)
    CancelIoEx(io->file, NULL);
  else if (io->read_busy)
    CancelIoEx(io->file, &io->read.async.async_req.u.io.overlapped);
  uv_close((uv_handle_t *)&io->read.async, io_on_closed);
  uv_close((uv_handle_t *)&io->write.async, io_on_closed);
  uv_close((uv_handle_t *)&io->kick, io_on_closed);
}

static void io_on_closed(uv_handle_t *handle)
{
  cvos_io *io = handle->data;
  if (--io->open_handles) return;
  cvos_watch_count();
  CloseHandle(io->file);
  if (io->events->closed) io->events->closed(io->arg);
  cvy_free(io->in);
  cvy_free(io->out);
  cvy_free(io);
}

void cvos_io_close(cvos_io *io, bool now)
{
  bool again = io->closing;
  io->closing = true;
  io->reading = false;
  AcquireSRWLockExclusive(&io->lock);
  io->shut = true;
  bool busy = io->write_busy;
  ReleaseSRWLockExclusive(&io->lock);
  if (uv_is_closing((uv_handle_t *)&io->kick)) return;
  if (!busy || now) {
    if (!again || now) io_shut(io, now);
  }
}

int64_t cvos_io_sender(const cvos_io *io)
{
  (void)io;
  return -1;
}

cvos_handle cvos_io_handle(const cvos_io *io)
{
  return io->file;
}
