/* tests/api/crowd_storm.h: what crowd_storm.c plays with. */
#ifndef COVEY_TESTS_CROWD_STORM_H
#define COVEY_TESTS_CROWD_STORM_H

#include "sites.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/manager.h>
#include <covey/message.h>
#include <covey/process.h>
#include <covey/signal.h>
#include <covey/topic.h>

enum { NODES = 3, THINGS = 40, TALKERS = 6, GROUPS = 2, LARGEST = 40000 };
enum { WAY_LENT, WAY_HANDLE, WAY_OFTEN, WAY_RARE, WAYS };

enum {
  NEWS,         /* a callback for a group of node: text is its name */
  FUNCTION,     /* a handler */
  ENDPOINT,     /* a callback for channels */
  CHANNEL,      /* opened here, or accepted */
  SUBSCRIPTION, /* of the others' topic */
  TOPIC,        /* of ours */
  PENDING,
  PROCESS,
  MANAGER,
  SIGNALS,
  KINDS
};

struct crowd;

/* One object with a callback. All fields are the owner's. */
typedef struct thing {
  struct crowd *crowd;
  struct thing *older;
  int kind, node;
  uint32_t life; /* of the node, when it was made */
  void *object;
  char text[8];
  bool open, ended;
  uint32_t last[TALKERS]; /* numbers of messages that came */
} thing;

typedef struct crowd {
  uint64_t seed, dice;
  int way;
  covey_loop *loop;
  uv_loop_t uv;
  uv_timer_t tick;
  test_thread *owner;
  uint32_t ready, stop, over; /* atomic */
  site sites[NODES];
  thing *things[THINGS], *all;
  int callbacks, acts, lives, depth;
  char topic[8], them[32];
  covey_node *others;            /* of the talkers, on the default loop */
  uint32_t sent, called, opened; /* atomic */
} crowd;

typedef struct talker {
  crowd *crowd;
  int number;
  uint64_t dice;
  uint32_t words;
  test_thread *thread;
} talker;

uint32_t crowd_pick(uint64_t *seed, uint32_t below);

/* A place for one more; NULL: none is left. It may be called while open is set. Drop: it was closed. */
thing *crowd_new(crowd *c, int kind);
void crowd_drop(thing *t);

/* Notes that its callback runs; false, and a failure, when it must not. */
bool crowd_called(thing *t);

/* On the thread of the loop, in callbacks too: something at random. */
void crowd_act(crowd *c);

void crowd_open_node(crowd *c, int i);
void crowd_close_node(crowd *c, int i);
void crowd_close(thing *t);

/* The life of a talker: a thread. */
void crowd_talk(void *arg);

#endif
