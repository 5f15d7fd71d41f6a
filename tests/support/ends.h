/* tests/support/ends.h: connections whose both ends are in this process, on one private loop, and all that was told about them. */
#ifndef COVEY_TESTS_ENDS_H
#define COVEY_TESTS_ENDS_H

#include "loop/loop.h"
#include "os/handle.h"
#include "os/stream.h"
#include "os/watch.h"

#define ENDS_LONG 20000 /* a deadline that is only met in failure */

/* One end of a connection, and what was told about it. */
typedef struct end {
  covey_loop *loop;
  cvos_io *io;
  cvos_handle handle;
  char *data; /* what arrived */
  size_t size, capacity;
  size_t stop_at;     /* turns reading off when so much is there; 0 never */
  bool close_at_once; /* closes in the first call of bytes */
  cvos_handle handles[8];
  size_t handle_count;
  int ended, status, rooms, closed, calls;
  int64_t sender;
} end;

/* A private loop; it must succeed. */
covey_loop *ends_loop(void);

/* Turns the loop until met(arg), at most ms; for ms. */
bool ends_wait(covey_loop *loop, cvy_predicate met, void *arg, int64_t ms);
void ends_turn(covey_loop *loop, int64_t ms);

/* Watches handle; reading is off. Closing waits for the closed callback and frees what arrived. */
void end_open(end *e, covey_loop *loop, cvos_handle handle);
void end_close(end *e);
void end_free(end *e); /* what arrived: for an end that was closed by hand */

/* Writes what the system takes. */
int64_t end_put(end *e, const void *data, size_t size);

bool end_wait_amount(end *e, size_t size); /* until so much has arrived */

/* Predicates over an end. */
bool end_has_ended(void *arg);
bool end_has_closed(void *arg);
bool end_has_room(void *arg);
bool end_has_bytes(void *arg);

/* A listener in the test's directory, with an acceptor. */
typedef struct place {
  covey_loop *loop;
  cvos_listener *listener;
  cvos_acceptor *acceptor;
  cvos_address address;
  cvos_handle accepted[64];
  int count, failures, closed;
} place;

typedef struct place_wish {
  place *p;
  int count;
} place_wish;

void place_open(place *p, covey_loop *loop);
void place_close(place *p);
bool place_has_count(void *arg); /* a place_wish */

/* A client's end; on Windows the instances are few: the loop turns between two tries. */
cvos_handle place_dial(place *p);

/* Two ends of one connection. */
void ends_connect(covey_loop *loop, end *a, end *b);

#endif
