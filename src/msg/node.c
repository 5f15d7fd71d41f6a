#include "msg/node.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "loop/sync.h"
#include "msg/address.h"
#include "msg/child.h"
#include "msg/group.h"
#include "msg/lane.h"
#include "msg/room.h"
#include "msg/self.h"
#include "os/thread.h"

#include <string.h>

enum {
  MEGA = 1048576,
  MAX_MESSAGE = 16 * MEGA,
  MAX_MEMORY = 64 * MEGA,
  WINDOW = 256 * 1024,
  MAX_PEERS = 1024,
  LARGEST = 1024 * MEGA
};

static const char standard_app[] = CVY_STANDARD_APP;
static const covey_node_options all_default;

/* ---- the default node ---- */

static void *
    default_lock; /* cvy_mutex *, atomic: guards the rest; made under the global lock, for ever. Nobody waits with it */
static covey_node *default_node;
static void
    *default_on; /* covey_loop *, atomic: where the default node is being opened; counted. NULL: it is not */
static uint32_t default_generation;

/* Takes the lock of the default node. COVEY_ESTALE in a child by fork: the lock may be held by a thread that is not there. */
static int lock_default(void)
{
  int r = 0;
  cvy_mutex *lock = cvy_load_acquire_ptr(&default_lock);
  if (!lock) {
    cvos_global_lock();
    lock = cvy_load_acquire_ptr(&default_lock);
    if (!lock) {
      default_generation = cvos_fork_generation();
      r = cvy_mutex_new(&lock);
      if (r == 0) cvy_store_release_ptr(&default_lock, lock);
    }
    cvos_global_unlock();
  }
  if (r == 0 && default_generation != cvos_fork_generation()) r = COVEY_ESTALE;
  if (r < 0) return cvy_fail(r, COVEY_STAGE_OPEN, "the default node");
  cvy_mutex_lock(lock);
  return 0;
}

static bool nobody_opens(void *arg)
{
  (void)arg;
  return !cvy_load_seq_ptr(&default_on);
}

/* The same, once nobody is opening it. */
static int settle_default(void)
{
  int r;
  while ((r = lock_default()) == 0 && default_on) {
    covey_loop *loop = default_on;
    cvy_loop_ref(loop);
    cvy_mutex_unlock(default_lock);
    cvy_loop_lock(loop);
    if (cvy_loop_wait(loop, nobody_opens, NULL, CVY_NEVER, NULL) < 0)
      cvy_loop_linger(loop, nobody_opens, NULL);
    cvy_loop_unlock(loop);
    cvy_loop_release(loop);
  }
  return r;
}

static int open_node(const covey_node_options *o, bool standard, covey_node **ret);

/* Opens the default node, which is not there. default_lock is held, but not meanwhile: the owner of a lent loop takes it too, and may be needed. */
static int open_default(const covey_node_options *o)
{
  covey_loop *loop;
  covey_node *node = NULL;
  int r = cvy_loop_acquire(o->loop, &loop);
  if (r < 0) return r;
  cvy_store_seq_ptr(&default_on, loop);
  cvy_mutex_unlock(default_lock);
  r = open_node(o, true, &node);
  cvy_mutex_lock(default_lock);
  default_node = node;
  cvy_store_seq_ptr(&default_on, NULL);
  cvy_loop_lock(loop);
  cvy_loop_changed(loop);
  cvy_loop_unlock(loop);
  cvy_loop_release(loop);
  return r;
}

/* ---- entering and leaving ---- */

static int enter(covey_node *node, covey_node **ret)
{
  int r = cvy_loop_check(node->loop);
  if (r < 0) return r;
  cvy_loop_lock(node->loop);
  if (node->state != CVY_NODE_OPEN) {
    cvy_loop_unlock(node->loop);
    return cvy_fail(COVEY_ECLOSED, COVEY_STAGE_ARGUMENTS, "the node is being closed");
  }
  node->users++;
  *ret = node;
  return 0;
}

int cvy_node_enter(covey_node *node, covey_node **ret)
{
  if (node) return enter(node, ret);
  int r = settle_default();
  if (r < 0) return r;
  if (!default_node) r = open_default(&all_default);
  if (r == 0) r = enter(default_node, ret);
  cvy_mutex_unlock(default_lock);
  return r;
}

void cvy_node_flush(covey_node *node)
{
  while (node->dirty) {
    covey_peer *peer = node->dirty;
    node->dirty = peer->next_dirty;
    peer->is_dirty = false;
    cvy_peer_flush(peer);
    cvy_peer_unref(peer);
  }
}

void cvy_node_unlock(covey_node *node)
{
  cvy_node_flush(node);
  cvy_loop_unlock(node->loop);
}

void cvy_node_leave(covey_node *node)
{
  cvy_node_flush(node);
  if (--node->users == 0 && node->state != CVY_NODE_OPEN) cvy_loop_changed(node->loop);
  cvy_loop_unlock(node->loop);
}

void cvy_node_release(covey_node *node)
{
  covey_loop *loop = node->loop;
  bool last = --node->refs == 0;
  if (last) {
    cvy_groups_fini(node);
    cvy_map_fini(&node->by_pid);
    cvy_map_fini(&node->by_name);
    cvy_free(node->numbers);
    cvy_free(node->directory);
  }
  cvy_loop_unlock(loop);
  if (!last) return;
  cvos_listener_close(node->listener);
  cvy_free(node);
  cvy_loop_release(loop);
}

/* ---- opening ---- */

int cvy_name_check(const char *text, const char *what)
{
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
  size_t size = strlen(text), good = text[0] == '.' ? 0 : strspn(text, allowed);
  if (size == 0 || size > COVEY_NAME_MAX) {
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s has %s", what,
                    size ? "more than 64 bytes" : "no character");
  }
  if (good == size) return 0;
  return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, -1, (int64_t)good, "%s \"%s\"", what, text);
}

static int wrong(const char *what)
{
  return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", what);
}

static int check(const covey_node_options *o)
{
  int r = 0;
  if (o->app) r = cvy_name_check(o->app, "app");
  if (r == 0 && o->name) r = cvy_name_check(o->name, "name");
  if (r < 0) return r;
  if (o->max_message > LARGEST) return wrong("max_message is above 1 GiB");
  if (o->window && (o->window < CVY_WINDOW_LEAST || o->window > LARGEST))
    return wrong("window is not within 4 KiB to 1 GiB");
  if (o->max_memory && o->max_memory < MEGA) return wrong("max_memory is below 1 MiB");
  if (o->max_memory && o->max_message > o->max_memory / 2)
    return wrong("max_memory is less than 2 * max_message");
  if (o->flags & ~(uint32_t)COVEY_NODE_NO_LISTEN) return wrong("flags");
  if (!cvy_is_zero(o->reserved, 8)) return wrong("a reserved word is not zero");
  return 0;
}

static int settle(covey_node *node, const covey_node_options *o)
{
  size_t quarter = o->max_memory / 4;
  node->max_message = o->max_message;
  if (!node->max_message) node->max_message = quarter && quarter < MAX_MESSAGE ? quarter : MAX_MESSAGE;
  node->max_memory = o->max_memory;
  if (!node->max_memory)
    node->max_memory = node->max_message > MAX_MEMORY / 4 ? 4 * node->max_message : MAX_MEMORY;
  node->window = o->window ? o->window : WINDOW;
  if (node->window > node->max_memory / 4) {
    if (o->window) return wrong("window is above a quarter of max_memory");
    node->window = node->max_memory / 4;
  }
  node->max_peers = o->max_peers ? o->max_peers : MAX_PEERS;
  node->flags = o->flags;
  node->accept = o->accept;
  node->accept_arg = o->arg;
  memcpy(node->app, o->app ? o->app : standard_app, strlen(o->app ? o->app : standard_app) + 1);
  if (o->name) memcpy(node->name, o->name, strlen(o->name) + 1);
  if (!o->directory) return 0;
  node->directory = cvy_strdup(o->directory);
  return node->directory ? 0 : cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "node");
}

static int know_ourselves(covey_node *node)
{
  uint64_t seed;
  int r = cvos_identity(0, &node->self, NULL);
  if (r == 0) r = cvos_random(node->self.instance, sizeof node->self.instance);
  if (r == 0) r = cvos_random(&seed, sizeof seed);
  if (r == 0) r = cvy_map_init(&node->by_pid, seed);
  if (r == 0) r = cvy_map_init(&node->by_name, seed);
  node->self.flags |= COVEY_ID_PINNED;
  return r < 0 ? cvy_fail(r, COVEY_STAGE_OPEN, "who we are") : 0;
}

/* A node that nobody else has seen. */
static int make_node(const covey_node_options *o, covey_node **ret)
{
  covey_loop *loop;
  int r = cvy_loop_acquire(o->loop, &loop);
  if (r < 0) return r;
  covey_node *node = cvy_alloc_zero(1, sizeof *node);
  if (!node) {
    cvy_loop_release(loop);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "node");
  }
  node->loop = loop;
  node->refs = 1;
  r = settle(node, o);
  if (r == 0) r = know_ourselves(node);
  cvy_loop_lock(loop);
  if (r == 0) r = cvy_groups_init(node);
  if (r == 0) {
    cvy_loop_unlock(loop);
    *ret = node;
  } else {
    cvy_node_release(node);
  }
  return r;
}

/* The node that NULL means: without a name, in the default place. */
static bool is_standard(const covey_node_options *o)
{
  return !o->name && !o->directory && (!o->app || strcmp(o->app, standard_app) == 0);
}

static int shut(covey_node *node, int64_t timeout);

static int open_node(const covey_node_options *o, bool standard, covey_node **ret)
{
  covey_node *node = NULL;
  int r = check(o);
  if (r == 0) r = make_node(o, &node);
  if (r < 0) return r;
  bool child = standard && cvy_child_connect(node);
  if (!(o->flags & COVEY_NODE_NO_LISTEN)) {
    r = cvy_address_open(node);
    /* a sandboxed child talks over what it was born with */
    if (child && r < 0 && r != COVEY_EEXIST && r != COVEY_EUNSAFE && r != COVEY_ENOMEM) r = 0;
  }
  if (r < 0) {
    covey_failure failure = *covey_last_failure();
    shut(node, 0);
    return cvy_fail_copy(&failure);
  }
  *ret = node;
  return 0;
}

int covey_node_open(const covey_node_options *options, covey_node **ret_node)
{
  const covey_node_options *o = options ? options : &all_default;
  bool standard = is_standard(o);
  if (!ret_node) return wrong("ret_node is NULL");
  int r = standard ? settle_default() : lock_default();
  if (r < 0) return r;
  if (standard && default_node)
    r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_OPEN, "this process has its unnamed node");
  else if (standard)
    r = open_default(o);
  if (standard && r == 0) *ret_node = default_node;
  cvy_mutex_unlock(default_lock);
  return standard ? r : open_node(o, false, ret_node);
}

int covey_node_identity(covey_node *node, covey_identity *ret_identity)
{
  if (!ret_identity) return wrong("ret_identity is NULL");
  int r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  *ret_identity = node->self;
  cvy_node_leave(node);
  return 0;
}

/* ---- closing ---- */

static bool nobody_inside(void *arg)
{
  const covey_node *node = arg;
  return node->users == 0;
}

static bool nobody_left(void *arg)
{
  const covey_node *node = arg;
  return node->peers == NULL;
}

static bool all_closed(void *arg)
{
  const covey_node *node = arg;
  return node->streams == 0;
}

/* Ends everything of node and gives the program's reference back. Returns the messages in doubt, or COVEY_EDEADLK when it had to wait. */
static int shut(covey_node *node, int64_t timeout)
{
  covey_loop *loop = node->loop;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = 0;
  cvy_loop_lock(loop);
  node->state = CVY_NODE_CLOSING;
  cvy_loop_changed(loop);
  if (!nobody_inside(node) && cvy_loop_wait(loop, nobody_inside, node, CVY_NEVER, NULL) < 0)
    cvy_loop_linger(loop, nobody_inside, node);
  cvy_room_shut(node);
  cvy_address_close(node);
  for (covey_peer *p = node->peers, *next; p; p = next) {
    next = p->next;
    cvy_peer_bye(p);
  }
  cvy_node_flush(node);
  if (!nobody_left(node)) r = cvy_loop_wait(loop, nobody_left, node, deadline, NULL);
  while (node->peers) cvy_peer_end(node->peers, COVEY_ECLOSED);
  cvy_node_flush(node);
  if (!all_closed(node)) cvy_loop_wait(loop, all_closed, node, cvy_deadline_in(CVY_HANDSHAKE_MS), NULL);
  if (r != COVEY_EDEADLK) r = node->unknown > INT32_MAX ? INT32_MAX : (int)node->unknown;
  node->state = CVY_NODE_CLOSED;
  cvy_groups_fini(node);
  cvy_node_release(node);
  return r == COVEY_EDEADLK ? cvy_fail(r, COVEY_STAGE_NONE, "closing on the thread that runs the loop") : r;
}

int covey_node_close(covey_node *node, int64_t timeout)
{
  int r = cvy_timeout_check(timeout);
  if (r < 0) return r;
  if (node) {
    r = cvy_loop_check(node->loop);
    if (r < 0) return r;
  }
  r = node ? lock_default() : settle_default();
  if (r < 0) return r;
  if (!node) node = default_node;
  if (node && node == default_node) default_node = NULL;
  cvy_mutex_unlock(default_lock);
  return node ? shut(node, timeout) : 0;
}
