/* tests/support/scene.h: a raw uv loop with a limit, an acceptor, and streams that note what they are told. */
#ifndef COVEY_TESTS_SCENE_H
#define COVEY_TESTS_SCENE_H

#include "os/stream.h"
#include "os/watch.h"

#include <uv.h>

#define SCENE_PATIENCE 20000 /* a deadline that is only met in failure */

typedef struct scene_io {
  cvos_io *io;
  char data[4096];
  size_t size;
  int64_t sender; /* of the first bytes */
  int64_t peer;   /* pid by cvos_stream_peer when they came */
  bool over, closed;
} scene_io;

typedef struct scene {
  uv_loop_t uv;
  uv_timer_t limit;
  bool late;
  cvos_acceptor *acceptor;
  bool acceptor_closed;
  cvos_handle accepted[64];
  int count;
} scene;

/* Turns the loop until condition, at most SCENE_PATIENCE since scene_begin. */
#define SCENE_RUN_UNTIL(s, condition)                                                                        \
  do {                                                                                                       \
    while (!(condition) && !(s)->late) uv_run(&(s)->uv, UV_RUN_ONCE);                                        \
    REQUIRE(condition);                                                                                      \
  } while (0)

/* "one", in a folder of the test's own, made at the first call. */
cvos_address scene_address(void);

/* test_no_handles_lost, after libuv's first loop has opened a pipe that it keeps. */
void scene_no_handles_lost(void);

void scene_begin(scene *s);
void scene_finish(scene *s);

/* Watches handle and reads. */
void scene_watch(scene *s, scene_io *e, cvos_handle handle);
void scene_say(scene_io *e, const char *text);
void scene_leave(scene *s, scene_io *e);

/* Opens a listener and an acceptor on it. */
cvos_listener *scene_serve(scene *s, const cvos_address *a);
void scene_stop_serving(scene *s, cvos_listener *l);

/* The process at the other end of stream is this one. */
void scene_expect_us(cvos_handle stream);

#endif
