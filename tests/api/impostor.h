/* tests/api/impostor.h: a peer that is played byte by byte, and the node that it meets. */
#ifndef COVEY_TESTS_IMPOSTOR_H
#define COVEY_TESTS_IMPOSTOR_H

#include "support/test.h"

#include <covey/message.h>

#include "core/frame.h"
#include "loop/loop.h"
#include "msg/node.h"
#include "os/stream.h"

enum { IMPOSTOR_CATCH = 4096 };

typedef struct impostor {
  covey_loop *loop;
  cvos_handle handle;
  cvos_io *io;
  bool reads;
  bool ended, closed;
  uint8_t got[IMPOSTOR_CATCH]; /* the first bytes that came */
  size_t size;
  uint64_t id; /* of its next message */
} impostor;

/* The node that they meet, and a good peer of it. */
typedef struct scene {
  const char *name;
  covey_node *node, *friend;
} scene;

/* Dials the node of this name; reads: what comes is read. */
impostor *impostor_open(const char *name, bool reads);
void impostor_close(impostor *p);
/* Waits at most ms for its connection to be ended by the other side. */
bool impostor_ended(impostor *p, int64_t ms);
/* Writes all bytes, as long as the other side takes them; false when it has gone. */
bool impostor_write(impostor *p, const void *data, size_t size);
/* A frame into out; the bytes of it. */
size_t impostor_bytes(uint8_t *out, int kind, int flags, uint16_t group, uint64_t id, const void *body,
                      size_t size);
void impostor_frame(impostor *p, int kind, int flags, uint16_t group, uint64_t id, const void *body,
                    size_t size);
size_t impostor_hello_body(uint8_t *body, int version);
/* Introduces itself and waits for the first frame of the answer, whose kind is returned; -1 when the connection was ended. */
int impostor_hello(impostor *p, int version);

scene scene_open(void);
/* The good peer is not disturbed. */
void scene_works(const scene *s);
/* Nothing was delivered, and all that was lent has come back. */
void scene_close(scene *s);

/* One that introduces itself and never reads: the second peer of the scene. */
impostor *impostor_mute(const scene *s);

#endif
