/* os/handle.h: descriptors and handles: close, duplicate, pipes and files for a child, the standard three.
 *
 * Nothing made here is inherited: descriptors are close-on-exec, Windows handles not inheritable; only cvos_spawn passes something on.
 * On POSIX every descriptor made here is 3 or more, whatever was closed when the program started.
 * Calls that can fail return 0 or a negative COVEY_E code, and cvos_last_error() still has the system's number. Any thread. */
#ifndef COVEY_OS_HANDLE_H
#define COVEY_OS_HANDLE_H

#include "os/types.h"

/* Closes handle; CVOS_NONE does nothing. Leaves errno and GetLastError as they were. An interrupted close is not repeated: the
 * descriptor is gone on the systems we know, and its number may be another thread's already. */
void cvos_handle_close(cvos_handle handle);

/* A second handle on the same open file or pipe. Errors: COVEY_ELIMIT, COVEY_EINVAL (not an open handle), COVEY_EOS. */
int cvos_handle_duplicate(cvos_handle handle, cvos_handle *ret);

/* The same, to be given away. rights: Windows: its access rights, 0 for those of handle; POSIX: ignored. Errors: as above; COVEY_EACCES. */
int cvos_handle_share(cvos_handle handle, uint32_t rights, cvos_handle *ret);

/* Our own copy of a handle that has this value in process pid, which the caller holds against reuse (our own works too). Windows. Errors: COVEY_ENOTFOUND,
 * COVEY_EACCES (we may not), COVEY_EINVAL (it has no such handle), COVEY_ELIMIT, COVEY_EOS; COVEY_ENOTSUP (POSIX: descriptors come with bytes). */
int cvos_handle_pull(int64_t pid, uint64_t value, cvos_handle *ret);

/* Open handles of this process (descriptors on POSIX), -1 where the system does not tell. For tests that look for leaks; the
 * call's own descriptors are not counted. Wine answers 0. */
int64_t cvos_handle_count(void);

/* True when handle is a terminal (POSIX) or a console (Windows). */
bool cvos_handle_is_terminal(cvos_handle handle);

/* This process's own stream 0, 1 or 2, to be handed to a child: a view, never to be closed; CVOS_NONE when it has none (closed at
 * the start, or a Windows program without a console). */
cvos_handle cvos_handle_standard(int stream);

/* POSIX: fills those of 0, 1 and 2 that are closed with the null device until cvos_standard_free, while code that is not ours (libuv, which
 * asserts it) opens descriptors that must not land there. One thread at a time, the next one waits. Windows: nothing. */
void cvos_standard_fill(void);
void cvos_standard_free(void);

/* Between the two: false when the code that is not ours may have one of the three all the same: one that was not filled is something else now,
 * and a thing such as libuv opens. Whoever had it for a moment as we filled (a thread of the application, or of ours) has let it go since. What
 * Linux gives no node of its own (epoll, eventfd) is not told apart from its like. Windows: true. */
bool cvos_standard_is_spared(void);

enum { CVOS_FROM_CHILD = 0, CVOS_TO_CHILD = 1 };

/* A pipe between us and a child. direction CVOS_FROM_CHILD: we read, it writes; CVOS_TO_CHILD: we write, it reads.
 * ret_ours: owned, ready for cvos_io_open: non-blocking (POSIX: O_NONBLOCK on a description that only we have; Windows: an overlapped
 * named pipe of one instance with a random name, both buffers 64 KiB). ret_theirs: owned, a fresh blocking end for cvos_spawn's
 * stdio, to be closed by us after the spawn: else the end of the stream never comes.
 * Errors: COVEY_ELIMIT, COVEY_EOS. */
int cvos_pipe_for_child(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs);

/* The same as a pair of connected sockets, which carries more at once: POSIX. One direction only, in spite of that: the child cannot write to what
 * it reads, nor read what it writes. Descriptors may come along with a child's bytes (cvos_io tells them).
 * Errors: as above; COVEY_ENOTSUP (Windows). */
int cvos_socket_for_child(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs);

/* A pipe between two children: ret_read for the one, ret_write for the other, both blocking and owned, to be closed by us after their
 * starts. Errors: COVEY_ELIMIT, COVEY_EOS. */
int cvos_pipe_between(cvos_handle *ret_read, cvos_handle *ret_write);

enum {
  CVOS_FILE_READ = 0, /* must exist */
  CVOS_FILE_TRUNCATE, /* written, made or emptied */
  CVOS_FILE_APPEND,   /* written, made or continued; each write goes to the end */
  CVOS_FILE_EXCLUSIVE /* written, made; COVEY_EEXIST when it exists, a link included */
};

/* Opens a file as a child's stream, blocking. path: absolute or relative to our own directory; how: CVOS_FILE_... New files get mode 0666
 * less the umask on POSIX. Windows: others may read, write and delete meanwhile, as a POSIX file lets them.
 * Errors: COVEY_ENOTFOUND, COVEY_EACCES, COVEY_EEXIST, COVEY_ELIMIT, COVEY_EENCODING, COVEY_EOS. */
int cvos_file_open(const char *path, int how, cvos_handle *ret);

/* The null device, for reading and writing. Errors: COVEY_ELIMIT, COVEY_EOS. */
int cvos_null_open(cvos_handle *ret);

/* The same, opened once and kept until the program ends: a view, never to be closed. POSIX: looked at each time, and opened anew where
 * somebody has closed its number (which may be another file by then). Errors: as cvos_null_open. */
int cvos_null_kept(cvos_handle *ret);

#endif
