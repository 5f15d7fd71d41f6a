/* posix/detail/posix.h: descriptors, pauses and clocks for this backend. */
#ifndef COVEY_POSIX_DETAIL_POSIX_H
#define COVEY_POSIX_DETAIL_POSIX_H

#include "os/types.h"

#include <errno.h>

/* A function that runs before main: it registers what is to be done at forks. At the first use it would be too late for a fork that is under way in
 * another thread, whose child could find our lock held for ever. */
#define CVOS_AT_START __attribute__((constructor)) static void

/* Moves fd (close-on-exec) to 3 or more when it is less: a program that was started with 0-2 closed gets such numbers, and a child's
 * streams would collide with them. fd is moved: closed on failure (-1, errno). -1 is passed through. */
int cvos_fd_high(int fd);

/* A pipe, both ends close-on-exec and 3 or more. 0 or -1 with errno. */
int cvos_fd_pipe(int ret_ends[2]);

/* The same with two connected stream sockets. */
int cvos_fd_sockets(int ret_ends[2]);

/* Lets a Unix socket hold about what it does on Linux, rather than the 8 KiB of macOS (net.local.stream.sendspace), which a frame of 64 KiB would
 * fill eight times. Elsewhere nothing. */
void cvos_fd_widen(int socket);

/* code, with errno 0: the system has nothing to say about it. */
static inline int cvos_plain(int code)
{
  errno = 0;
  return code;
}

/* Closes without touching errno. */
void cvos_fd_close(int fd);

/* Whether fd is open and still that file: a program may have closed our descriptor, and its number be another file's. */
bool cvos_fd_is(int fd, uint64_t device, uint64_t inode);

/* Writes all of size bytes to a blocking or non-blocking pipe of ours in one call without raising SIGPIPE. 0 or errno. */
int cvos_fd_write_quiet(int fd, const void *data, size_t size);

/* Sleeps that many milliseconds, through signals. */
void cvos_sleep_ms(int64_t milliseconds);

/* Takes away a child of ours that is ending. By looking again and again: where SIGCHLD is ignored, a wait that blocks ends on macOS with the last of all
 * children, not with this one (XNU, kern_exit.c: reap_child_locked). */
void cvos_take_away(int64_t pid);

/* Milliseconds of a monotonic clock. */
int64_t cvos_clock_ms(void);

/* read until size bytes or the end: bytes read, or -1 with errno. Through signals. */
int64_t cvos_fd_read_all(int fd, void *out, size_t size);

#endif
