/* tests/api/flow_storm.h: the model of flow_storm.c: who takes part, and what is noted of channels, topics, calls and messages with handles. */
#ifndef COVEY_TESTS_FLOW_STORM_H
#define COVEY_TESTS_FLOW_STORM_H

#include "sites.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/topic.h>

enum {
  WORKERS = 12,
  TALKS = 4000,
  STEPS = 60, /* messages of one side of a channel, at most */
  EDITIONS = 4000,
  TOPICS = 2, /* of a node */
  CALLS = 40000,
  LARGEST = 150000,
  MAGIC = 0x776f6c66
};

enum fate { IN_CALL, SENT, NOTHING, MAYBE };

/* One side of a channel: what it has sent. */
typedef struct side {
  uint8_t fate[STEPS], heard[STEPS]; /* heard: by the other side */
  int count, next;                   /* next: that the other side may hear */
  int left;                          /* told by its close; -1: not closed */
  bool patient;                      /* that close had time */
  bool to_the_end;                   /* the other side has heard its end */
} side;

/* A channel: side 0 has opened it. disturbed: one of its nodes was closed. */
typedef struct talk {
  side side[2];
  bool disturbed[2]; /* as each thread saw it */
} talk;

/* A topic from its opening to its end: how many messages were published. */
typedef struct edition {
  int64_t count;
  int slow;
} edition;

/* What a subscription that came to its end says of an edition: first is the first number that it was offered. */
typedef struct reading {
  uint32_t edition;
  int64_t first, got, lost;
  int end;
} reading;

typedef struct flow {
  sites sites;
  bool closes; /* nodes are closed in between */
  uint32_t largest;
  uv_mutex_t lock;   /* of what follows */
  talk *talks;       /* TALKS */
  edition *editions; /* EDITIONS */
  reading *readings; /* EDITIONS */
  uint32_t talk_count, edition_count, reading_count, call_count;
  uint8_t *served; /* CALLS: how often a request was handed out */
  test_counter stop, accepted, heard, read, calls, handles;
} flow;

typedef struct worker {
  flow *s;
  uint64_t seed;
  covey_cancel *cancel;
  char *data; /* LARGEST + 64 bytes */
  test_thread *thread;
} worker;

typedef struct words {
  uint32_t magic, whose, side, number;
} words;

uint32_t flow_pick(worker *w, uint32_t below);
int64_t flow_wait(worker *w, uint32_t below); /* mostly 0 */
site *flow_site(worker *w);
bool flow_goes_on(const worker *w);

/* A size, and that many bytes behind words in w->data. */
size_t flow_fill(worker *w, uint32_t whose, uint32_t part, uint32_t number);

/* What came is what was sent. */
bool flow_is_whole(const void *data, size_t size, words *ret);

/* What the threads do, once each. */
void flow_open(worker *w);    /* opens a channel and talks over it */
void flow_accept(worker *w);  /* the other side */
void flow_publish(worker *w); /* a topic from its opening to its end */
void flow_listen(worker *w);  /* a subscription */
void flow_call(worker *w);
void flow_serve(worker *w);
void flow_give(worker *w); /* a message with handles */
void flow_take(worker *w);

/* After a round. */
void flow_judge_talks(const flow *s);
void flow_judge_topics(const flow *s);

#endif
