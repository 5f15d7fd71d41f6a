/* os/stream.h: connected byte streams between local processes, and who is at the other end.
 *
 * Every call returns at once. Calls that can fail return 0 or a negative COVEY_E code; cvos_last_error() then
 * has the system's number (0 when the system was not the reason) and the failed call has left nothing behind.
 * Nothing made here is inherited. Handles of connections are ready for cvos_io_open: non-blocking sockets
 * that raise no SIGPIPE (POSIX), overlapped byte pipes (Windows). Any thread, unless a comment says
 * otherwise. */
#ifndef COVEY_OS_STREAM_H
#define COVEY_OS_STREAM_H

#include "os/process.h"
#include "os/types.h"

/* ---- an address ---- */

/* Where a process can be met. Neutral code chooses app and name (a pid, a user's name with a prefix), and has
 * checked them.
 *
 * POSIX: the socket <folder>/[ns-<n>/]<app>~<name>.s and beside it the lock file <app>~<name>.lock. The
 * folder is ours, 0700, a true folder (no link).
 * Windows: the pipe \\.\pipe\covey.<hash of our SID and directory>.<app>~<name>.
 * Case counts everywhere: where it would not (Windows, macOS) a capital letter is written as + and the small
 * one. */
typedef struct cvos_address {
  /* NULL: the user's own place. POSIX, the first of these that is there and ours: $XDG_RUNTIME_DIR/covey,
   * /run/user/<uid>/covey, on macOS <DARWIN_USER_TEMP_DIR>/covey, at last /tmp/covey-<uid>; dialling looks
   * into each. Else the folder itself, an absolute path, which must be there. Windows has no folder: there
   * the text only keeps names apart. */
  const char *directory;
  const char *app;  /* namespace: 1 to CVOS_NAME_MAX of A-Z a-z 0-9 . _ -, no dot first */
  const char *name; /* the same */
  /* name is the number of a process, which means something only in its pid namespace: the files of another
   * namespace than the machine's first lie in ns-<n>. Windows: nothing. */
  bool by_pid;
} cvos_address;

enum { CVOS_NAME_MAX = 66 }; /* 64 of a user's, and a prefix */

/* Writes where address leads (the first candidate's path, the pipe's name) for failures and logs, cut to fit,
 * always terminated. Never fails: without an answer it writes "<app>.<name>". */
void cvos_address_text(const cvos_address *address, char *ret_text, size_t capacity);

/* Tells the names that are in use in a namespace (app of where, its directory; name does not count, by_pid says where names are numbers), in no order;
 * also those that a dead process has left. found: called for each; the text is valid during the call. What begins like one and is none is told too: the
 * caller knows his names. Errors: COVEY_EUNSAFE, COVEY_EINVAL, COVEY_ELIMIT, COVEY_ENOMEM, COVEY_ENOTSUP (Windows, where the system has no
 * list of pipes), COVEY_EOS. */
int cvos_address_list(const cvos_address *where, void (*found)(void *arg, const char *name), void *arg);

/* ---- listening ---- */

/* A listening endpoint that only one process at a time can have: a Unix socket under a held lock, or a named
 * pipe (which is a name and its pending instances). New connections come from cvos_acceptor_open of
 * os/watch.h. */
typedef struct cvos_listener cvos_listener;

/* Takes address for this process and listens there. Whoever can see the name can connect from then on. What a
 * dead process has left there is cleaned away. POSIX: lock, bind under another name, listen, rename. Windows:
 * first instance, access for our user only, no remote clients, two instances pending. ret: owned, end with
 * cvos_listener_close.
 * Errors: COVEY_EEXIST (a living process has it, perhaps we ourselves), COVEY_EAGAIN (POSIX: another process
 * is just cleaning or taking it; Windows: nobody serves it any more, but somebody who was connected to it has
 * not closed his end yet: try again soon), COVEY_EUNSAFE (the folder is not ours, open to others, or a
 * link; the pipe's name belongs to another user), COVEY_ETOOBIG (the path is longer than a socket's address
 * takes: 107 bytes on Linux, 103 on macOS and BSD; a pipe's: 255), COVEY_EINVAL (app or name),
 * COVEY_ENOTFOUND (the given folder is missing), COVEY_EACCES, COVEY_ELIMIT, COVEY_ENOMEM, COVEY_EOS. */
int cvos_listener_open(const cvos_address *address, cvos_listener **ret);

/* Looks whether the name still leads to this listener, and marks its files as used (cleaners of temporary
 * folders go by age): to be called every few hours. 0: it does. COVEY_ENOTFOUND: the name is gone or
 * another's; close, and open again to be found again; connections are not touched. Windows: always 0. */
int cvos_listener_check(cvos_listener *listener);

/* Ends listening; the name is free when it returns (Windows: once all connections are closed at both ends, see
 * COVEY_EAGAIN). Only after the acceptor's closed callback. Connections live on. listener: moved, may be NULL. In a child of fork() without exec the listener is closed from the
 * beginning, so that the parent's death is seen; there this call frees memory and touches no file. */
void cvos_listener_close(cvos_listener *listener);

/* ---- dialling ---- */

/* Tries once to connect to address, without waiting. ret: owned. The caller has still to look who it is
 * (cvos_stream_peer) before it sends. Errors, for the caller's loop until its deadline:
 *   COVEY_EAGAIN   alive, but not just now: its backlog is full, it is starting or ending, its pipe's
 *                  instances are taken
 *   COVEY_ENOPEER  nobody there; what a dead process had left is removed (POSIX). It may come later
 *   COVEY_EUNSAFE  a folder on the way is not ours alone
 *   COVEY_EACCES   it does not let us
 *   COVEY_ETOOBIG, COVEY_EINVAL, COVEY_ELIMIT, COVEY_ENOMEM, COVEY_EOS as for cvos_listener_open
 * Windows: whoever serves the pipe learns who we are, and can never act as us (SECURITY_IDENTIFICATION). */
int cvos_stream_dial(const cvos_address *address, cvos_handle *ret);

/* ---- a connection for a child ---- */

enum { CVOS_TOKEN_MAX = 128 };

/* Makes a connection between us and a child that we are about to start.
 * POSIX: a socket pair. ret_theirs (3 or more) is passed to the child under its own number (cvos_pass.target)
 * and closed by us after the spawn. Windows: a pipe of one instance under a random name, which the child
 * opens itself, so that the kernel tells its pid; *ret_theirs is CVOS_NONE. Our end is not connected until
 * then: a read ends with ERROR_PIPE_LISTENING, and cvos_io waits for the child by itself. Nothing can be
 * written before the child's first bytes have come.
 * ret_ours: owned. ret_token: at least CVOS_TOKEN_MAX bytes, the text with which the child finds its end, for
 * one environment variable. Errors: COVEY_ELIMIT, COVEY_ENOMEM, COVEY_EOS. */
int cvos_stream_pair(cvos_handle *ret_ours, cvos_handle *ret_theirs, char *ret_token);

/* In the child: its end, found by the token. Taken only if it is what the token says (POSIX: a connected
 * stream socket, the very one that the parent made; Windows: a pipe of ours with this name that nobody has
 * opened yet). From now on it is not inherited. ret: owned; a second call with the same token is a mistake.
 * Windows: ask cvos_stream_peer whether the server is the parent. Errors: COVEY_ENOTFOUND (no such descriptor
 * or pipe, or it is something else), COVEY_EINVAL (the token is malformed). */
int cvos_stream_inherit(const char *token, cvos_handle *ret);

/* ---- who is at the other end ---- */

/* Who the other end is by the kernel's word: the process that connected, or that listens; not who holds the
 * descriptor now. ret_identity: pid, start, uid, gid, sid, flags SAME_USER, ELEVATED, PINNED; the rest zero.
 * ret_pin: owned, end with cvos_process_close; holds that process, so that its pid cannot become another's
 * while the connection lives. Works before the first byte.
 * Linux: SO_PEERCRED, SO_PEERPIDFD (6.5), else a pidfd whose process has the same start stamp before and
 * after. macOS: LOCAL_PEERCRED, LOCAL_PEERPID. Windows: the pipe's client or server pid, a process handle,
 * its token.
 * A peer in another pid namespace has pid 0, start 0, no pin (pid 0, CVOS_NONE): uid and gid are true. A
 * process whose token is closed to us (Windows: another user's, or elevated) has an empty sid and no
 * SAME_USER.
 * An end of cvos_stream_pair: POSIX says who made the pair (for the child: its parent; for the parent:
 * itself; see cvos_io_sender). Errors: COVEY_EPEERDIED (that process has ended, or its pid is another's
 * already), COVEY_ECLOSED (not connected any more), COVEY_EINVAL (no connection), COVEY_ELIMIT, COVEY_EOS. */
int cvos_stream_peer(cvos_handle stream, covey_identity *ret_identity, cvos_process *ret_pin);

/* True where cvos_io_sender tells for our end of cvos_stream_pair (Linux): then the pair's proof is that pid;
 * elsewhere it is the pid that was spawned (POSIX) or cvos_stream_peer (Windows). */
bool cvos_stream_tells_sender(void);

/* Ends the telling on our end of a pair, once the child is proven: it costs a little with every read. Other
 * handles: does nothing. */
void cvos_stream_quiet(cvos_handle stream);

/* ---- random bytes ---- */

/* Fills size bytes with the system's random numbers, fit for secrets. Errors: COVEY_EOS. */
int cvos_random(void *ret, size_t size);

#endif
