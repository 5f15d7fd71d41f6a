/* covey/node.h: this process's address among the processes of its user: open, identity, children that hold a connection, peers, close.
 *
 * A node is where messages leave and arrive (message.h). Most programs have one, and need not open it: NULL in place of a node
 * means the default node of the process, which is opened at the first use with all options at their defaults.
 *
 *   who        a node without a name is found by the number of its process, a node with a name by its name; both only by processes of
 *              the same user, in the same namespace (app). Every connection is verified by the kernel before the first byte: process
 *              number, user, and on Linux and Windows a handle that keeps the number from becoming another's.
 *   where      POSIX: a directory that belongs to the user alone (0700, no symbolic link), holding a socket and a lock for each node:
 *              $XDG_RUNTIME_DIR/covey, else /run/user/UID/covey, else (macOS) the user's own temporary directory's covey, else
 *              /tmp/covey-UID. Leftovers of a crash are removed by the next who meets them or opens a node beside them. Windows: named pipes of the user, which
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
   * given: max_memory >= 2 * max_message, and >= 1 MiB (COVEY_EINVAL). Half of it is lent: to each peer for each group a window, or 4 KiB once a quarter is
   * lent. By default that is 4,160 pairs of peer and group; for what is beyond them the group is not open (COVEY_ENOGROUP) until others leave. So a node with
   * 1,024 peers and 10 groups wants 160 MiB. */
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
 * (descriptors), COVEY_EAGAIN (for 5 seconds, or half a second on the owner's thread of a lent loop, another process has been at the addresses there (POSIX), or
 * was connected to a node of this name that is gone, and has not noticed (Windows): it is stopped, or does not turn its loop),
 * COVEY_ESTALE (after fork). Any thread. */
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
 * to the good-bye; 0 when nothing is in doubt. Calls do not count: each tells its caller what became of it. Errors: COVEY_EINVAL (timeout; the node stays open), COVEY_ESTALE (after fork;
 * nothing is done), COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait: the connections were closed as they
 * are). On that thread the address is free when uv has turned once more (Windows: and its peers have closed their ends): until then a node of that name
 * is COVEY_EEXIST (COVEY_EAGAIN). Who is inside of calls in
 * other threads is waited for there, too: they leave at once. Any thread; as with every close, nobody may start a call on node at the same time or later. Messages that were received
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

/* ---- peers ---- */

/* What has gone over a connection, or over all of a node since it was opened, and what stands at this moment. */
typedef struct covey_statistics {
  uint64_t sent, received;      /* messages, requests and answers */
  uint64_t bytes_out, bytes_in; /* with headers and everything else that the library says */
  uint64_t dropped;             /* messages that found no room: ours there, and of a node also those in its own queues */
  uint64_t waiting;             /* bytes of messages that came from there and were not handed out yet; each counts 64 more */
  uint64_t unsent;              /* our messages that wait for room or for the system */
  uint64_t unread;              /* our messages that were sent, and not handed out there as far as we were told */
  uint64_t credit;              /* bytes that we could send at once, of all its groups together */
  uint64_t memory;              /* of a node: what others may use of its max_memory, used or not; else 0 */
  uint32_t peers;               /* of a node: connections; else 0 */
  uint32_t broken;              /* of a node: connections that were ended because the other side broke a rule; else 0 */
  uint64_t reserved[4];         /* zero */
} covey_statistics;

enum {
  COVEY_PEER_SELF = 1 << 0,   /* this node itself */
  COVEY_PEER_PARENT = 1 << 1, /* by the connection that we were born with */
  COVEY_PEER_CHILD = 1 << 2,  /* by the connection that it was born with */
  COVEY_PEER_DIALLED = 1 << 3 /* we have connected to it, not it to us */
};

typedef struct covey_peer_description {
  covey_identity identity;       /* by the kernel, or by our spawn */
  char name[COVEY_NAME_MAX + 8]; /* of its node, as it says; "" for none */
  uint32_t flags;                /* COVEY_PEER_... */
  int32_t ended; /* 0: we are connected; COVEY_ENOPEER: it said good-bye; COVEY_ECLOSED: we did; else what ended it */
  uint64_t max_message; /* bytes of the longest message that it takes */
  covey_statistics statistics;
  uint64_t reserved[4]; /* zero */
} covey_peer_description;

typedef struct covey_peer_options {
  /* Which: exactly one of the two. */
  int64_t pid;
  const char *name;     /* borrowed */
  int64_t timeout;      /* milliseconds; 0: COVEY_FOREVER; to try once: COVEY_PEER_TRY in flags */
  covey_cancel *cancel; /* borrowed; ends the call with COVEY_ECANCELED; NULL: none */
  uint32_t flags;       /* COVEY_PEER_TRY */
  uint32_t reserved0;   /* zero */
  uint64_t reserved[4]; /* zero */
} covey_peer_options;

enum {
  COVEY_PEER_TRY = 1 << 0 /* timeout 0 */
};

/* covey_peer_open connects to the node of a process, or of a name, if we are not connected, and waits until it is ready. From then on
 * the peer means this very process and node: a send to it (covey_send_options.peer) never reaches another one. node: borrowed; NULL: the
 * default node, opened at need. options: borrowed, needed. ret_peer: owned, give it back with covey_peer_close.
 * Errors: those of covey_send about whom (COVEY_ENOPEER, COVEY_EDENIED, COVEY_EUNSAFE ...), COVEY_ECANCELED. Any thread. */
COVEY_API int covey_peer_open(covey_node *node, const covey_peer_options *options, covey_peer **ret_peer);

/* covey_peer_describe tells about a peer: one that was opened, or covey_message.peer while the message and the node are there.
 * ret_description: filled by the call. Errors: COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_peer_describe(covey_peer *peer, covey_peer_description *ret_description);

/* covey_peer_wait waits until the connection has ended: its process has, or its node or ours was closed. All that it had sent before is in our groups then.
 * peer: as for covey_peer_describe. timeout: milliseconds. cancel: borrowed, may be NULL. Returns 0. Errors: COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_EINVAL,
 * COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait), COVEY_ESTALE. Any thread. */
COVEY_API int covey_peer_wait(covey_peer *peer, int64_t timeout, covey_cancel *cancel);

/* covey_peer_close gives back what covey_peer_open gave. The connection stays: it is the node's. peer: moved; NULL does nothing. Any thread, also after the
 * node was closed. */
COVEY_API void covey_peer_close(covey_peer *peer);

/* What a peer has opened. */
enum {
  COVEY_GROUP_MESSAGES = 0, /* a group (message.h) */
  COVEY_GROUP_FUNCTION = 1, /* a function (call.h) */
  COVEY_GROUP_ENDPOINT = 2  /* an endpoint of channels (channel.h) */
};

typedef struct covey_peer_group {
  char name[COVEY_NAME_MAX + 8];
  int32_t kind;           /* COVEY_GROUP_... */
  int32_t full;           /* COVEY_FULL_... of message.h */
  uint64_t window;        /* bytes that it lends us */
  uint64_t credit;        /* of these we could use now */
  uint64_t waiting;       /* messages that wait there to be handed out, from whomever */
  uint64_t waiting_bytes; /* of these, each with 64 more */
  uint64_t reserved[2];   /* zero */
} covey_peer_group;

/* covey_peer_groups asks a peer for its groups, functions and endpoints, and how full they are. peer: as for covey_peer_describe. ret_groups: the first ones, at most
 * capacity; may be NULL when that is 0. Returns how many there are, which may be more. Errors: COVEY_EPEERDIED (the connection has ended), else as
 * covey_peer_wait. Any thread. */
COVEY_API int covey_peer_groups(covey_peer *peer, int64_t timeout, covey_cancel *cancel,
                                covey_peer_group *ret_groups, size_t capacity);

/* covey_node_peers tells to whom node is connected, the newest first. node: borrowed; NULL: the default node, opened at need. ret_peers: the first ones,
 * at most capacity; may be NULL when that is 0. Returns how many there are, which may be more. Errors: COVEY_EINVAL, COVEY_ECLOSED, COVEY_ESTALE, or those
 * of covey_node_open. Any thread. */
COVEY_API int covey_node_peers(covey_node *node, covey_peer_description *ret_peers, size_t capacity);

/* covey_node_statistics tells about all of node's connections since it was opened, those that have ended too. node: as for covey_node_peers.
 * ret_statistics: filled by the call. Errors: COVEY_EINVAL, COVEY_ECLOSED, COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_node_statistics(covey_node *node, covey_statistics *ret_statistics);

/* covey_node_watch tells of peers that come and go, by messages of kind COVEY_KIND_PEER_UP and COVEY_KIND_PEER_DOWN (message.h) in a group of ours: no bytes,
 * from and peer say who. They stand in the order of what happens: UP before the first message of a peer, DOWN behind the last one that it sent to this
 * group, or, received with COVEY_ANY_GROUP, to any. Who is connected already comes first. Not told: ourselves, and more than 4096 that nobody has received,
 * which are counted in covey_message.lost.
 * node: as for covey_node_peers. group: borrowed; NULL: "default"; opened at need, with default options; one group of a node has them: the last that was named.
 * on: 1, or 0: no more of them (then group does not count). Closing the group ends it too.
 * Errors: COVEY_EINVAL, those of covey_group_open and of covey_node_open. Any thread. */
COVEY_API int covey_node_watch(covey_node *node, const char *group, int on);

/* The address of a node. */
typedef struct covey_node_entry {
  int64_t pid;                   /* of a node without a name, else 0 */
  char name[COVEY_NAME_MAX + 8]; /* of one with a name, else "" */
  uint64_t reserved[2];          /* zero */
} covey_node_entry;

/* covey_node_list looks for addresses of nodes: of our user, in a namespace; who it is that has one, and whether he lives (a crash leaves its address until
 * somebody meets it), covey_peer_open tells. app, directory: as in covey_node_options. ret_entries: the first ones, at most capacity; may be NULL when that
 * is 0. Returns how many there are, which may be more; none where no node was ever opened. Errors: COVEY_EINVAL, COVEY_EUNSAFE, COVEY_ENOMEM, COVEY_ELIMIT,
 * COVEY_ENOTSUP (the system does not tell). Any thread. */
COVEY_API int covey_node_list(const char *app, const char *directory, covey_node_entry *ret_entries,
                              size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
