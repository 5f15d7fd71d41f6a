/* tests/api/stream_callback.h: two nodes, one of them on a loop that the test turns: by dispatch, or by uv_run. */
#ifndef COVEY_TESTS_STREAM_CALLBACK_H
#define COVEY_TESTS_STREAM_CALLBACK_H

#include <covey/channel.h>
#include <covey/loop.h>
#include <covey/topic.h>
#include <uv.h>

enum { PATIENCE = 30000 };

typedef enum turning { DEFAULT_LOOP, OWN_LOOP, LENT_LOOP, TURNINGS } turning;

typedef struct scene_nodes {
  turning kind;
  uv_loop_t uv;
  covey_loop *loop;
  covey_node *here;  /* on loop */
  covey_node *there; /* on the default loop */
  char *here_name, *there_name;
} nodes;

/* What a callback has seen: messages are numbers that rise by one. */
typedef struct seen {
  int count, last;
  int ends, end;
  int stop_at; /* leave calls then; 0: never */
  void (*leave)(struct seen *s);
  covey_channel *channel;
  covey_subscription *subscription;
  test_counter inside, go_on;
} seen;

void nodes_open(nodes *n, turning kind);
void nodes_close(nodes *n);

/* Turns the loop of here once, waits at most ms for something to do. */
void nodes_turn(nodes *n, int64_t ms);

/* Turns it until *count is wanted. */
void nodes_until(nodes *n, const int *count, int wanted);

/* Turns it a while, for what must not happen. */
void nodes_idle(nodes *n);

/* A channel from there to here, and a subscription of here to a topic of there. */
void nodes_channel(nodes *n, covey_channel **here, covey_channel **there);
void nodes_topic(nodes *n, covey_subscription **here, covey_topic **there);

/* Numbers from on, count of them. */
void send_numbers(covey_channel *c, int from, int count);
void publish_numbers(covey_topic *t, int from, int count);

/* The number at the begin of the next message to there, of size bytes: over channel, or (NULL) in group. */
int nodes_number(nodes *n, covey_channel *channel, const char *group, size_t size);

/* The callback: arg is a seen. */
void on_number(covey_message *m, int code, void *arg);

/* Threads that dispatch, and a callback that they are in. */
typedef struct crowd {
  nodes *n;
  void *of;
  test_counter inside, calls, done, go_on;
} crowd;

void crowd_dispatch(void *arg);  /* a thread: until done */
void crowd_block(crowd *d);      /* in the callback: inside until go_on, and a moment longer */
bool crowd_is_inside(void *arg); /* one is */

#endif
