/* tests/api/storm.h: random children, what must be true of them at the end, and random calls for them. One seed gives one storm: the same
 * children and the same calls of each thread, though not the same moments. */
#ifndef COVEY_TESTS_STORM_H
#define COVEY_TESTS_STORM_H

#include "support/test.h"

#include "core/atomics.h"

#include <covey/loop.h>
#include <covey/manager.h>
#include <covey/process.h>

#include <uv.h>

enum { STORM_CHILDREN = 6, STORM_WORDS = 24 };
#define STORM_SLEEP 600000000 /* ms, and our pid: by this its grandchildren are known */

/* Numbers of one thread; the state is never 0. */
typedef struct storm_dice {
  uint32_t state;
} storm_dice;

storm_dice storm_seeded(uint32_t seed, uint32_t thread);
uint32_t storm_roll(storm_dice *d, uint32_t below);

/* How its streams are read. */
enum {
  STORM_PIPES,          /* both are pipes, read by covey_process_read */
  STORM_CAPTURES,       /* the same of captures */
  STORM_SHOWN,          /* pipes, shown by on_output */
  STORM_SHOWN_CAPTURES, /* captures that are shown besides */
  STORM_LINES,          /* out: covey_process_read_line; err: null */
  STORM_SHOWN_LINES,    /* out: on_line; err: a pipe that is read */
  STORM_NOTHING,
  STORM_KINDS
};

typedef struct storm_stream {
  uv_mutex_t lock; /* one reader at a time, so that the order can be seen */
  uint64_t wanted; /* bytes that it writes, if nothing ends it before */
  uint64_t read, shown;
  bool ended;
  int failed; /* what the reader was told in place of bytes */
} storm_stream;

/* Where it happens: the default loop, one of our own in each of its ways, or one that is lent and turned by a thread. */
typedef struct storm_place {
  covey_loop *loop; /* NULL: the default loop */
  bool lent;
  test_thread *owner;
  uv_loop_t uv;
  uv_timer_t tick;
  uint32_t ready, over, left; /* atomic */
} storm_place;

void storm_place_open(storm_place *place, storm_dice *d);

/* Runs what waits to be told. */
void storm_place_turn(storm_place *place);

/* Closes the loop; the second, when nothing is open on it any more, waits for the thread of a lent one. */
void storm_place_close(storm_place *place);
void storm_place_join(storm_place *place);

/* Starts and ends as many threads as a storm has at once: wine keeps them. */
void storm_make_threads(void);

struct storm;

typedef struct storm_child {
  struct storm *storm;
  covey_process *process; /* ours until the end of the storm */
  cvy_u64 pid;            /* atomic */
  int kind;
  char words[STORM_WORDS][16];
  const char *argv[STORM_WORDS + 3];
  int word_count;
  covey_cancel *cancel;

  /* what is known before */
  bool abandoned; /* closed at the end of the storm, whatever it does */
  bool hangs;     /* it must be stopped */
  bool disturbed; /* deadlines and limits of its own may end it before */
  int how;
  uint32_t code;
  uint64_t lines;
  int64_t input; /* bytes of pattern that it wants; -1: none */

  /* what was done, and seen; lock */
  uv_mutex_t lock;
  /* atomic: what was done to it, by whatever call */
  uint32_t stopped, suspended, cancelled, detached, removed;
  bool family;         /* it has grandchildren */
  storm_dice dice;     /* for calls in its callbacks */
  bool told;           /* exit is there */
  bool has_on_end;     /* covey_process_on_end was called */
  int end_calls;       /* of on_end */
  int member_calls;    /* of the manager's callback */
  int member_told;     /* by covey_manager_wait_any */
  bool showing, wrong; /* callbacks at once; bytes, lines or ends that are not right */
  covey_exit exit;
  storm_stream streams[3];
  uint64_t lines_seen;
  uv_mutex_t input_lock;
  int64_t written;
  bool input_closed;
  char what[128]; /* of the first thing that was wrong */
} storm_child;

typedef struct storm {
  uint32_t seed;
  storm_place place;
  covey_manager *manager; /* NULL: none */
  bool manager_calls;     /* on_end of the manager */
  storm_child children[STORM_CHILDREN];
  int count;
  int calls; /* of each thread */
  uv_rwlock_t
      open; /* read: somebody calls inside a callback; written while handles are opened, and from when they are closed */
} storm;

/* Makes up child i and starts it. */
void storm_child_start(storm *s, int i, storm_dice *d);

/* A random call, for a random child; inside: in the callback of that one. */
void storm_call(storm *s, storm_dice *d, bool inside);
void storm_call_inside(storm_child *c);

/* Whether waits for it may answer COVEY_ECANCELED. */
bool storm_may_cancel(storm_child *c);

/* Something is not as it must be: noted, told at the end with the seed. */
void storm_wrong(storm_child *c, const char *format, ...);

/* An end was told: it is the same to everybody. */
void storm_note_exit(storm_child *c, const covey_exit *e);

/* One look at a stream, one more write: never more than timeout. */
void storm_read(storm_child *c, int stream, int64_t timeout, size_t size);
void storm_read_line(storm_child *c, int64_t timeout);
void storm_write(storm_child *c, int64_t timeout, size_t size);
void storm_close_input(storm_child *c);

/* Ends it if need be, waits for it, takes all that is left; then checks it against what is known, and closes it. */
void storm_child_finish(storm *s, storm_child *c, storm_dice *d);
void storm_child_check(storm *s, storm_child *c);

#endif
