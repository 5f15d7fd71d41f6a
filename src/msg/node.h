/* msg/node.h: the inside of covey_node: limits, tables, budget, and how a call enters and leaves.
 *
 * Everything here is guarded by the lock of the node's loop, unless it says otherwise. What may write to a connection only marks
 * its peer (cvy_peer_dirty); cvy_node_leave and cvy_node_unlock flush what is marked, which lets the lock go for a moment. So: no
 * state is held over them but counted references. */
#ifndef COVEY_MSG_NODE_H
#define COVEY_MSG_NODE_H

#include <covey/topic.h>

#include "core/map.h"
#include "loop/loop.h"
#include "os/stream.h"
#include "os/watch.h"

typedef struct cvy_group cvy_group;
typedef struct cvy_inlet cvy_inlet;

enum {
  CVY_HANDSHAKE_MS =
      5000, /* a connection that has not introduced itself by then is closed (reference: ipc 4.3) */
  CVY_HANDSHAKES = 64,     /* connections that have not, at a time; of more, the oldest is closed */
  CVY_GROUPS_MAX = 4096,   /* groups open on one node, and announced to us by one peer */
  CVY_WINDOW_LEAST = 4096, /* least window, and what is lent when memory is short */
  CVY_GONE = 64 /* ended peers that are remembered, so that their number does not lead to another */
};

#define CVY_STANDARD_APP "covey"

enum cvy_node_state { CVY_NODE_OPEN, CVY_NODE_CLOSING, CVY_NODE_CLOSED };

struct covey_node {
  covey_loop *loop; /* counted */
  enum cvy_node_state state;
  uint32_t
      refs; /* the program's handle, and one for each stream, acceptor and timer whose closed callback is to come */
  uint32_t users; /* calls that are inside */
  covey_identity self;

  /* options; constant */
  char app[COVEY_NAME_MAX + 1];
  char name[COVEY_NAME_MAX + 1]; /* "": found by pid */
  char *directory;               /* owned; NULL: the user's place */
  size_t max_message, window, max_memory;
  uint32_t max_peers, flags;
  int (*accept)(const covey_identity *who, const char *claimed_name, void *arg);
  void *accept_arg;

  /* address.c */
  cvos_listener *listener;
  cvos_acceptor *acceptor;
  cvy_timer *timer;  /* the handshakes' limit */
  cvy_timer *keeper; /* for cvy_address_keep; NULL: no address */
  bool moving;       /* the acceptor closes because the name is to be taken again */

  /* peer.c */
  covey_peer *peers;   /* all that have not ended, newest first */
  cvy_map by_pid;      /* unnamed nodes, and both ends of an inherited connection */
  cvy_map by_name;     /* named ones */
  covey_peer *parent;  /* the inherited connection; NULL: none, or ended */
  covey_peer *dirty;   /* have something to write */
  uint32_t peer_count; /* introduced ones */
  uint32_t handshakes; /* accepted ones that are not */
  uint32_t streams;    /* connections that are not closed yet */
  uint64_t unknown;    /* messages of ended connections whose fate is unknown */
  struct cvy_gone {
    int64_t pid;
    uint64_t start;
    uint8_t instance[16];
    bool farewell; /* it closed its node, and may open another */
  } gone[CVY_GONE];
  uint32_t gone_next;
  uint32_t gone_epoch; /* one more for each that is remembered: who has looked since need not look again */

  /* group.c */
  cvy_map groups;      /* by name */
  cvy_group **numbers; /* by number; [0] is none */
  uint32_t number_count, number_hint, group_count;
  cvy_group *standard;      /* "default" */
  uint64_t arrivals, items; /* messages so far, and those that wait */

  /* peers.c */
  cvy_group *watch;      /* gets a message when a peer comes or goes; NULL: none */
  uint32_t events;       /* of those, that wait */
  covey_statistics past; /* of connections that have ended */

  /* call.c, serve.c */
  uint64_t replies; /* bytes that calls in flight may bring */
  uint64_t answers; /* bytes of answers that wait to be written */

  /* room.c */
  struct cvy_room *room; /* covey_node_on_room; NULL: nobody has asked */

  /* topic.c */
  covey_topic *topics;
  uint32_t topic_count;
  uint64_t published; /* bytes of messages that are kept, or wait to be written */

  /* inlet.c: bytes of max_memory that others may use */
  uint64_t lent;     /* windows: credit that peers hold, and what waits here by it */
  uint64_t granted;  /* for messages larger than a window */
  cvy_inlet *hungry; /* got less than their window, in turn */
  cvy_inlet *hungry_last;
  cvy_inlet *begging; /* have a large message that waits for its grant, in turn */
  cvy_inlet *begging_last;
};

/* Enters a public call: finds the node (NULL: the default node, opened at need), refuses it after fork and when it is closing
 * (COVEY_ECLOSED), and returns with the lock held and a user counted. Failures are recorded. */
int cvy_node_enter(covey_node *node, covey_node **ret);

/* Flushes, lets the lock go, and the node with it. */
void cvy_node_leave(covey_node *node);

/* Flushes what is marked: the lock is released and taken again for each. */
void cvy_node_flush(covey_node *node);

/* Flush and unlock, for callbacks of the loop. */
void cvy_node_unlock(covey_node *node);

/* The reference of a stream, an acceptor or a timer is given back; the last one frees the node. Lock held; it is released on
 * return. */
void cvy_node_release(covey_node *node);

/* COVEY_EINVAL, recorded, when text is no name of a node or of a namespace. */
int cvy_name_check(const char *text, const char *what);

#endif
