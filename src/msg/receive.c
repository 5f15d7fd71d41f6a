#include <covey/message.h>

#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/handles.h"

#include <string.h>

struct receive {
  covey_node *node;
  cvy_group *group; /* NULL: any */
};

static cvy_group *filled(const struct receive *w)
{
  return cvy_group_filled(w->node, w->group, CVY_FRAME_DATA, false);
}

static bool has_message(void *arg)
{
  const struct receive *w = arg;
  if (w->node->state != CVY_NODE_OPEN || (w->group && (w->group->closed || w->group->handled))) return true;
  return filled(w) != NULL;
}

void cvy_message_take(cvy_group *group, covey_message *ret)
{
  cvy_item *item = cvy_queue_take(&group->queue);
  covey_peer *peer = item->owner; /* the item's reference becomes the message's */
  group->node->items--;
  CVY_STEP(HANDED);
  cvy_credit_left(group, item);
  CVY_STEP(CREDITED);
  cvy_credit_serve(group->node);
  cvy_group_ref(group);
  item->place = group;
  *ret = (covey_message){.data = cvy_item_data(item), .size = (size_t)item->size, .group = group->name};
  ret->kind = item->kind == CVY_FRAME_HELLO ? COVEY_KIND_PEER_UP
              : item->kind == CVY_FRAME_BYE ? COVEY_KIND_PEER_DOWN
                                            : COVEY_KIND_DATA;
  ret->priority = cvy_item_priority(item);
  ret->id = item->id;
  ret->lost = item->lost;
  ret->from = peer->identity;
  ret->peer = peer;
  ret->internal = item;
  const cvy_handles *came = item->attached;
  if (came) ret->handle_count = came->count;
}

static void end_receive(struct receive *w)
{
  cvy_group_unref(w->group);
  cvy_node_leave(w->node);
}

/* Enters node and waits until it has a message. On success the lock is held, and end_receive follows. */
static int begin_receive(covey_node *node, const char *name, cvy_deadline deadline, covey_cancel *cancel,
                         struct receive *w)
{
  bool any = name && strcmp(name, COVEY_ANY_GROUP) == 0;
  int r = cvy_group_name(name, true, &name);
  if (r == 0) r = cvy_node_enter(node, &w->node);
  if (r < 0) return r;
  if (!any) {
    w->group = cvy_group_find(w->node, name, CVY_FRAME_DATA);
    if (!w->group) r = cvy_group_make(w->node, name, CVY_FRAME_DATA, NULL, &w->group);
    if (r == 0) cvy_group_ref(w->group);
    cvy_node_flush(w->node);
  }
  if (r < 0) {
    cvy_node_leave(w->node);
    return r;
  }
  r = cvy_loop_wait(w->node->loop, has_message, w, deadline, cancel);
  if (r < 0)
    r = cvy_fail(r, COVEY_STAGE_NONE, "group %s", name);
  else if (w->node->state != CVY_NODE_OPEN)
    r = cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "the node was closed");
  else if (w->group && w->group->closed)
    r = cvy_fail(COVEY_ECLOSED, COVEY_STAGE_GROUP, "group %s was closed", name);
  else if (w->group && w->group->handled)
    r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "a callback has the messages of group %s", name);
  if (r < 0) end_receive(w);
  return r;
}

static int receive(covey_node *node, const char *group, cvy_deadline deadline, covey_cancel *cancel,
                   covey_message *ret, size_t capacity)
{
  struct receive w = {NULL, NULL};
  int count = 0;
  int r = ret ? 0 : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_message is NULL");
  if (r == 0) r = begin_receive(node, group, deadline, cancel, &w);
  if (r < 0) return r;
  for (cvy_group *g; (size_t)count < capacity && (g = filled(&w)) != NULL; count++)
    cvy_message_take(g, &ret[count]);
  end_receive(&w);
  return count;
}

int covey_receive(covey_node *node, const char *group, int64_t timeout, covey_message *ret_message)
{
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = receive(node, group, cvy_deadline_in(timeout), NULL, ret_message, 1);
  return r < 0 ? r : 0;
}

int cvy_receive_check(const covey_receive_options *o, cvy_deadline *ret_deadline)
{
  if (o->flags & ~(uint32_t)COVEY_RECEIVE_TRY) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags");
  if (o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_receive_options");
  int64_t timeout = o->flags & COVEY_RECEIVE_TRY ? 0 : cvy_option_time(o->timeout, COVEY_FOREVER);
  int r = cvy_timeout_check(timeout);
  if (r == 0) *ret_deadline = cvy_deadline_in(timeout);
  return r;
}

static const covey_receive_options all_default;

int cvy_receive_check_plain(const covey_receive_options *options, cvy_deadline *ret_deadline,
                            covey_cancel **ret_cancel)
{
  const covey_receive_options *o = options ? options : &all_default;
  if (o->group) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "group is not NULL");
  *ret_cancel = o->cancel;
  return cvy_receive_check(o, ret_deadline);
}

int covey_message_receive(covey_node *node, const covey_receive_options *options, covey_message *ret_message)
{
  int r = covey_receive_many(node, options, ret_message, 1);
  return r < 0 ? r : 0;
}

int covey_receive_many(covey_node *node, const covey_receive_options *options, covey_message *ret_messages,
                       size_t capacity)
{
  const covey_receive_options *o = options ? options : &all_default;
  cvy_deadline deadline;
  int r = cvy_receive_check(o, &deadline);
  if (r == 0 && (capacity == 0 || capacity > INT32_MAX))
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "capacity");
  return r < 0 ? r : receive(node, o->group, deadline, o->cancel, ret_messages, capacity);
}

/* The next message, into the caller's memory. */
static int copy_out(struct receive *w, void *ret_data, size_t capacity, covey_identity *ret_from)
{
  covey_message m;
  cvy_group *group = filled(w);
  const cvy_item *next = cvy_queue_peek(&group->queue);
  if (next->size > capacity) {
    return cvy_fail_at(COVEY_ETOOBIG, COVEY_STAGE_NONE, -1, (int64_t)next->size, "group %s", group->name);
  }
  cvy_message_take(group, &m);
  int size = (int)m.size; /* at most 1 GiB: max_message */
  if (m.size) memcpy(ret_data, m.data, m.size);
  if (ret_from) *ret_from = m.from;
  covey_message_free(&m);
  return size;
}

int covey_receive_into(covey_node *node, const covey_receive_options *options, void *ret_data,
                       size_t capacity, covey_identity *ret_from)
{
  const covey_receive_options *o = options ? options : &all_default;
  struct receive w = {NULL, NULL};
  cvy_deadline deadline;
  int r = cvy_receive_check(o, &deadline);
  if (r == 0 && !ret_data && capacity) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_data is NULL");
  if (r == 0) r = begin_receive(node, o->group, deadline, o->cancel, &w);
  if (r < 0) return r;
  r = copy_out(&w, ret_data, capacity, ret_from);
  end_receive(&w);
  return r;
}

void covey_message_free(covey_message *message)
{
  if (!message) return;
  cvy_item *item = message->internal;
  if (item) {
    cvy_peer_unref(item->owner);
    cvy_group_unref(item->place);
    cvy_item_free(item);
  }
  *message = (covey_message){0};
}
