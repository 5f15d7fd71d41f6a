/* tests/api/model_storm.h: the model of model_storm.c, and what its threads do (model_storm_do.c). */
#ifndef COVEY_TESTS_MODEL_STORM_H
#define COVEY_TESTS_MODEL_STORM_H

#include "sites.h"

#include <covey/call.h>
#include <covey/message.h>

enum {
  THREADS = 4,
  GROUPS = 5,
  PRIORITIES = 3,
  LIVES = 256, /* of nodes, in one round */
  LEDGER = 40000,
  LARGEST = 200000,
  MANY = 8
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
  site *site;
  uint16_t life; /* of its node; rises over all slots */
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
  sites sites;
  slot slots[SITES];
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
};

/* A random number below below. */
uint32_t storm_pick(worker *w, uint32_t below);

/* A message has come to at; in_order: nobody else takes messages of its group meanwhile. */
void storm_judge(storm *s, slot *at, const covey_message *m, bool in_order);
void storm_on_called(covey_message *m, void *arg);  /* of group CALLED; arg: the slot */
void storm_on_request(covey_request *q, void *arg); /* of function echo */

/* Notes count messages of these sizes; the number of the first one, or LEDGER. */
uint32_t storm_note(worker *w, const slot *from, const slot *to, int group, int priority,
                    const covey_buffer *b, size_t count);
void storm_set_fate(storm *s, uint32_t index, enum fate fate, bool consumed);

/* One of the things that a program does with two nodes, or with one. */
void storm_act(worker *w, slot *a, slot *b, uint32_t what);

#endif
