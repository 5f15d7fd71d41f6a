/* covey/node.h: this process's address among the processes of its user: open, identity, children that hold a connection, close.
 *
 * A node is where messages leave and arrive (message.h). Most programs have one, and need not open it: NULL in place of a node
 * means the default node of the process, which is opened at the first use with all options at their defaults.
 *
 *   who        a node without a name is found by the number of its process, a node with a name by its name; both only by processes of
 *              the same user, in the same namespace (app). Every connection is verified by the kernel before the first byte: process
 *              number, user, and on Linux and Windows a handle that keeps the number from becoming another's.
 *   where      POSIX: a directory that belongs to the user alone (0700, no symbolic link), holding a socket and a lock for each node:
 *              $XDG_RUNTIME_DIR/covey, else /run/user/UID/covey, else (macOS) the user's own temporary directory's covey, else
 *              /tmp/covey-UID. Leftovers of a crash are removed by the next who meets them. Windows: named pipes of the user, which
 *              vanish with their process.
 *   start      in any order: a send waits, within its own deadline, for the process to open its node and its group.
 *   fork       a node belongs to the process that opened it; after fork without exec its calls answer COVEY_ESTALE in the child. */
#ifndef COVEY_NODE_H
#define COVEY_NODE_H

#include <covey/base.h>
#include <covey/loop.h>
#include <covey/process.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct covey_node covey_node;

/* The node of one other process, as we are connected with it. */
typedef struct covey_peer covey_peer;

/* Longest name of a node, of a namespace and of a group, in bytes. Names of nodes and namespaces hold letters, digits, '_', '-' and
 * '.', but do not begin with a dot; case counts. */
#define COVEY_NAME_MAX 64

enum {
  /* No address: nobody can connect to us; we connect to others, and an inherited connection works. */
  COVEY_NODE_NO_LISTEN = 1 << 0
};

typedef struct covey_node_options {
  /* Where the node lives; kept until the node is closed. NULL: the default loop. */
  covey_loop *loop;
  /* Copied; the namespace: only nodes with the same one find each other. NULL: "covey", where any two programs meet. */
  const char *app;
  /* Copied; a well-known name, of which a user has one in a namespace. NULL: found by our pid. */
  const char *name;
  /* Copied; POSIX: the directory in place of the ones listed above; it must exist and be the user's alone (COVEY_EUNSAFE).
   * Windows: ignored. NULL: the search above. */
  const char *directory;
  /* Decides about a connection once the kernel has said who it is, before its first message; for those that we open it is not
   * asked. claimed_name is what the other side says its node is called, "" for none. Returns 0 to admit it, anything else to
   * refuse it: the other side's calls answer COVEY_EDENIED. It runs on a thread of the loop without locks and must not call
   * covey. NULL: same user only. Other users come as far as this only where the directory lets them pass (POSIX). */
  int (*accept)(const covey_identity *who, const char *claimed_name, void *arg);
  void *arg; /* borrowed until the node is closed: handed to accept */
  /* Longest message taken, in bytes, at most 1 GiB. 0: 16 MiB, or a quarter of max_memory if that is less. */
  size_t max_message;
  /* Bytes that one peer may have on the way to, and waiting in, one group: 4 KiB to 1 GiB. 0: 256 KiB. */
  size_t window;
  /* Bytes of messages that all peers together may have waiting here. 0: 64 MiB, or 4 * max_message if that is more. When both are
   * given: max_memory >= 2 * max_message, and >= 1 MiB (COVEY_EINVAL). */
  size_t max_memory;
  uint32_t max_peers; /* connections at a time; 0: 1024. One more is refused: its calls answer COVEY_EQUOTA */
  uint32_t flags;     /* COVEY_NODE_... */
  uint64_t reserved[8]; /* zero */
} covey_node_options;

/* covey_node_open opens a node: its address exists when the call returns. options: borrowed, may be NULL. ret_node: owned, close
 * it with covey_node_close. A process has one node without a name in a namespace and a directory, and any number with names. A node
 * that is
 * opened here without a name in the default namespace and directory, on whatever loop, is from then on the default node.
 * Errors: COVEY_EINVAL (a name or a size that is not allowed, or a directory that is not absolute; what says which), COVEY_ENOTFOUND
 * (there is no such directory), COVEY_EEXIST (this process has its unnamed node
 * already, or another process of this user has the name), COVEY_EUNSAFE (directory, lock or pipe is not ours alone: somebody may be
 * squatting), COVEY_ETOOBIG (the path is longer than a socket's address may be), COVEY_EACCES, COVEY_ENOMEM, COVEY_ELIMIT
 * (descriptors), COVEY_ESTALE (after fork). Any thread. */
COVEY_API int covey_node_open(const covey_node_options *options, covey_node **ret_node);

/* covey_node_identity tells who we are to others: pid, start stamp, user, instance. node: borrowed; NULL: the default node,
 * opened at need. ret_identity: filled by the call. Errors: COVEY_EINVAL, COVEY_ECLOSED, COVEY_ESTALE, or those of covey_node_open.
 * Any
 * thread. */
COVEY_API int covey_node_identity(covey_node *node, covey_identity *ret_identity);

/* covey_node_close closes node: sends what was queued, says good-bye to every peer, waits until each has answered that it holds
 * all that was sent, then closes. Waiting calls on the node in other threads return COVEY_ECLOSED first. What waits in our groups
 * is discarded.
 * node: moved, whatever the result; NULL: the default node, if there is one; the next use opens another.
 * timeout: milliseconds for all of it; afterwards connections are closed as they are.
 * Returns the number of messages whose fate is unknown: sent, and neither consumed as far as we were told nor covered by an answer
 * to the good-bye; 0 when nothing is in doubt. Errors: COVEY_EINVAL (timeout; the node stays open), COVEY_ESTALE (after fork;
 * nothing is done), COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait: the connections were closed as they
 * are). Any thread; as with every close, nobody may start a call on node at the same time or later. Messages that were received
 * stay valid. */
COVEY_API int covey_node_close(covey_node *node, int64_t timeout);

/* covey_node_spawn starts a child that holds one end of a connection to node: the two can talk at once, without any address,
 * also from a sandbox in which the child cannot reach the directory. It is otherwise covey_spawn. In the child the connection
 * belongs to its
 * default node (for which it must use covey before it becomes somebody else by exec); to it the parent is reached by
 * covey_self_parent(), and covey_self_is_child() is 1. In the parent the child is reached by covey_process_pid. The connection is
 * bound to the child: a grandchild that inherits it is refused. covey_process_stop asks such a child over the connection first
 * (covey_self_wait_stop returns in it), on every system, before it turns to signals.
 * node: borrowed; NULL: the default node, opened at need. It outlives the child's use of it: covey_node_close ends the connection,
 * which tells the child to stop. options: borrowed, as for covey_spawn; loop is ignored: the child's process object lives on the
 * node's loop.
 * ret_process: owned, as from covey_spawn.
 * Errors: those of covey_spawn and of covey_node_open; COVEY_EQUOTA (max_peers). Any thread.
 * Differences: on Linux the child's number comes from the kernel with its first byte; on Windows from the pipe that the child opens
 * itself, whose random name it is told; on macOS and others from our spawn, and the child's word that it is that process. */
COVEY_API int covey_node_spawn(covey_node *node, const covey_process_options *options,
                               covey_process **ret_process);

#ifdef __cplusplus
}
#endif

#endif
