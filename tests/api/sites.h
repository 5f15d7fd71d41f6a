/* tests/api/sites.h: nodes on every kind of loop, which several threads use while others close and open them again: where storms of messages play. */
#ifndef COVEY_TESTS_SITES_H
#define COVEY_TESTS_SITES_H

#include "support/test.h"

#include <covey/node.h>
#include <uv.h>

enum {
  SITES = 4,      /* on the default loop, on one of its own, on a dispatched one, on a lent one */
  ROUND_MS = 700, /* of one round */
  SLACK = 15000   /* ms by which a call may be late on a slow machine; a hang is for ever */
};

typedef struct site {
  covey_node *node;
  covey_loop *loop;
  char name[32];
  uv_mutex_t lock; /* of what follows */
  bool closed;     /* nobody begins a call */
  int inside;      /* calls on node */
  uint32_t life;   /* of node; rises */
} site;

typedef struct sites {
  site at[SITES];
  test_counter stop;
  test_thread *dispatcher, *owner;
  uv_loop_t uv;
  uv_sem_t attached;
} sites;

/* Makes the loops, and names for nodes, which begin with letter. */
void sites_begin(sites *p, char letter);

/* Plays rounds from seed first on: as many as COVEY_ROUNDS says, or the one of COVEY_SEED. */
void sites_rounds(void (*play)(uint64_t seed), uint64_t first);

/* Ends the loops. The nodes were closed. */
void sites_end(sites *p);

/* Opens a node, without or with these options, which lack name and loop. It may be used after site_let_in. */
void site_open(site *at, const covey_node_options *options);
void site_let_in(site *at);

/* Whether the node may be used; site_leave follows. */
bool site_enter(site *at);
void site_leave(site *at);

/* Changes with every close and every opening. */
uint32_t site_life(site *at);

/* Closes the node, while others are in calls on it. False: somebody else does. ret: of covey_node_close. */
bool site_close(site *at, int64_t timeout, int *ret);

/* Parts of a close. All calls that were begun have entered the node, as far as anybody can tell: from then on it may be closed. And, behind its
 * close: who was inside has seen the end; there is no node. */
void site_await_inside(site *at);
void site_forget(site *at);

/* That a call which began then has not hung; and that its code is one of those by which a storm may end it. */
void site_in_time(int64_t began, int64_t timeout, const char *what);
void site_expected(int code, const char *what);

#endif
