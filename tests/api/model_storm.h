/* tests/api/model_storm.h: the model of model_storm.c, and what its threads do (model_storm_do.c). */
#ifndef COVEY_TESTS_MODEL_STORM_H
#define COVEY_TESTS_MODEL_STORM_H

#include "support/test.h"

#include <covey/call.h>
#include <covey/message.h>
#include <uv.h>

enum {
  SLOTS = 4, /* nodes: on the default loop, on one of its own, on a dispatched one, on a lent one */
  THREADS = 4,
  GROUPS = 5,
  PRIORITIES = 3,
  LIVES = 256, /* of nodes, in one round */
  LEDGER = 40000,
  LARGEST = 200000,
  MANY = 8,
  SLACK = 15000 /* ms by which a call may be late on a slow machine; a hang is for ever */
};

enum { BLOCK, NARROW, NEW, OLD, CALLED }; /* what GROUPS do when they are full; CALLED goes to a callback */

extern const char *const storm_names[GROUPS];
extern const covey_group_options storm_kinds[GROUPS];

enum fate { IN_CALL, SENT, NOTHING, MAYBE };

/* A message. */
typedef struct entry {
  uint8_t to, group, thread, priority;
  uint8_t fate, consumed, received;
  uint16_t from_life, to_life; /* when the call began */
  uint32_t size;
} entry;

typedef struct head {
  uint32_t magic, index;
} head;

enum { MAGIC = 0x6f766563 };

typedef struct slot {
  covey_node *node;
  covey_loop *loop;
  char name[32];
  uv_mutex_t lock; /* of what follows */
  bool closed;     /* nobody begins a call */
  int inside;      /* calls on node */
  uint16_t life;   /* of node; rises over all slots */
  uv_mutex_t rx[GROUPS];
  uint32_t last[THREADS][LIVES][GROUPS][PRIORITIES]; /* index + 1 */
  int64_t lost[GROUPS];
} slot;

typedef struct storm storm;

typedef struct worker {
  storm *s;
  int number;
  uint64_t seed;
  covey_cancel *cancel;
  covey_pending *pending[4];
  char *data; /* MANY * LARGEST bytes */
  test_thread *thread;
} worker;

struct storm {
  slot slots[SLOTS];
  worker workers[THREADS];
  int threads;
  bool closes;   /* nodes and groups are closed in between */
  int64_t quiet; /* ms without a message: none is on its way */
  uint32_t largest;
  uv_mutex_t lock; /* of the ledger */
  entry ledger[LEDGER];
  uint32_t used;
  uint16_t lives;
  int64_t in_doubt[LIVES]; /* told by closes */
  test_counter stop, calls, done;
  test_counter fates[4];
  test_thread *dispatcher, *owner;
  uv_loop_t uv;
  uv_sem_t attached;
};

/* A random number below below. */
uint32_t storm_pick(worker *w, uint32_t below);

/* A message has come to at; in_order: nobody else takes messages of its group meanwhile. */
void storm_judge(storm *s, slot *at, const covey_message *m, bool in_order);
void storm_on_called(covey_message *m, void *arg);  /* of group CALLED; arg: the slot */
void storm_on_request(covey_request *q, void *arg); /* of function echo */

/* Whether the node may be used; storm_leave follows. */
bool storm_enter(slot *at);
void storm_leave(slot *at);

void storm_in_time(int64_t began, int64_t timeout, const char *what);
void storm_expected(int code, const char *what);

/* Notes count messages of these sizes; the number of the first one, or LEDGER. */
uint32_t storm_note(worker *w, const slot *from, const slot *to, int group, int priority,
                    const covey_buffer *b, size_t count);
void storm_set_fate(storm *s, uint32_t index, enum fate fate, bool consumed);

/* One of the things that a program does with two nodes, or with one. */
void storm_act(worker *w, slot *a, slot *b, uint32_t what);

#endif
