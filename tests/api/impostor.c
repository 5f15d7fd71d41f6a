/* Peers that we play byte by byte, on a loop of their own, and the node that they meet. */
#include "impostor.h"

#include "os/handle.h"
#include "os/watch.h"

enum { PATIENCE = 30000 };

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles, size_t count)
{
  impostor *p = arg;
  (void)handles;
  (void)count;
  cvy_loop_lock(p->loop);
  size_t n = size < IMPOSTOR_CATCH - p->size ? size : IMPOSTOR_CATCH - p->size;
  memcpy(p->got + p->size, data, n);
  p->size += n;
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
}

static void on_end(void *arg, int status, int system)
{
  impostor *p = arg;
  (void)status;
  (void)system;
  cvy_loop_lock(p->loop);
  p->ended = true;
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
}

static void on_room(void *arg)
{
  (void)arg;
}

static void on_closed(void *arg)
{
  impostor *p = arg;
  cvy_loop_lock(p->loop);
  p->closed = true;
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
}

static const cvos_io_events events = {on_bytes, on_end, on_room, on_closed, NULL};

static int open_io(void *arg)
{
  impostor *p = arg;
  int r = cvos_io_open(cvy_loop_uv(p->loop), p->handle, CVOS_IO_READ | CVOS_IO_WRITE, &events, p, &p->io);
  if (r == 0) cvos_io_read(p->io, p->reads);
  return r;
}

static int close_io(void *arg)
{
  impostor *p = arg;
  cvos_io_close(p->io, true);
  return 0;
}

static bool has_ended(void *arg)
{
  return ((impostor *)arg)->ended;
}

static bool has_closed(void *arg)
{
  return ((impostor *)arg)->closed;
}

static bool has_answer(void *arg)
{
  const impostor *p = arg;
  return p->ended || p->size >= CVY_HEADER;
}

impostor *impostor_open(const char *name, bool reads)
{
  impostor *p = calloc(1, sizeof *p);
  char text[CVOS_NAME_MAX + 1];
  snprintf(text, sizeof text, "n-%s", name);
  cvos_address address = {.app = "covey", .name = text};
  p->reads = reads;
  p->id = 1;
  REQUIRE_OK(covey_loop_open(NULL, &p->loop));
  int64_t until = test_now() + PATIENCE;
  int r;
  while ((r = cvos_stream_dial(&address, &p->handle)) == COVEY_EAGAIN && test_now() < until) test_pause(1);
  REQUIRE_OK(r);
  REQUIRE_OK(cvy_loop_call(p->loop, open_io, p));
  return p;
}

void impostor_close(impostor *p)
{
  cvy_loop_call(p->loop, close_io, p);
  cvy_loop_lock(p->loop);
  CHECK_OK(cvy_loop_wait(p->loop, has_closed, p, cvy_deadline_in(PATIENCE), NULL));
  cvy_loop_unlock(p->loop);
  covey_loop_close(p->loop);
  free(p);
}

/* Waits at most ms for its connection to be ended by the other side. */
bool impostor_ended(impostor *p, int64_t ms)
{
  cvy_loop_lock(p->loop);
  int r = cvy_loop_wait(p->loop, has_ended, p, cvy_deadline_in(ms), NULL);
  cvy_loop_unlock(p->loop);
  return r == 0;
}

/* Writes all bytes, as long as the other side takes them; false when it has gone. */
bool impostor_write(impostor *p, const void *data, size_t size)
{
  int64_t until = test_now() + PATIENCE;
  const uint8_t *bytes = data;
  while (size && test_now() < until) {
    int system;
    cvos_piece piece = {bytes, size};
    int64_t n = cvos_io_write(p->io, &piece, 1, NULL, 0, &system);
    if (n < 0) return false;
    bytes += n;
    size -= (size_t)n;
    if (n == 0) test_pause(1);
  }
  return size == 0;
}

size_t impostor_bytes(uint8_t *out, int kind, int flags, uint16_t group, uint64_t id, const void *body,
                      size_t size)
{
  cvy_header h = {(uint8_t)kind, (uint8_t)flags, group, (uint32_t)size, id};
  cvy_header_encode(&h, out);
  if (size) memcpy(out + CVY_HEADER, body, size);
  return CVY_HEADER + size;
}

void impostor_frame(impostor *p, int kind, int flags, uint16_t group, uint64_t id, const void *body,
                    size_t size)
{
  uint8_t *out = malloc(CVY_HEADER + size);
  impostor_write(p, out, impostor_bytes(out, kind, flags, group, id, body, size));
  free(out);
}

size_t impostor_hello_body(uint8_t *body, int version)
{
  cvy_hello h = {.version_least = (uint16_t)version,
                 .version_most = (uint16_t)version,
                 .max_message = 1000000,
                 .pid = 1};
  static uint8_t number; /* each is another node of this process */
  memset(h.instance, ++number, sizeof h.instance);
  h.name_size = 8;
  memcpy(h.name, "impostor", 8);
  return cvy_hello_encode(&h, body);
}

/* Introduces itself and waits for the first frame of the answer, whose kind is returned; -1 when the connection was ended. */
int impostor_hello(impostor *p, int version)
{
  uint8_t body[96 + 255];
  cvy_header h;
  size_t size = impostor_hello_body(body, version);
  impostor_frame(p, CVY_FRAME_HELLO, 0, 0, 0, body, size);
  cvy_loop_lock(p->loop);
  CHECK_OK(cvy_loop_wait(p->loop, has_answer, p, cvy_deadline_in(PATIENCE), NULL));
  cvy_loop_unlock(p->loop);
  if (p->size < CVY_HEADER) return -1;
  cvy_header_decode(p->got, &h);
  return h.kind;
}

/* ---- the node that they meet, and a good peer of it ---- */

scene scene_open(void)
{
  scene s = {.name = test_format("scene-%" PRId64, test_pid())};
  covey_node_options options = {.name = s.name, .max_memory = 1 << 20, .max_message = 200000};
  covey_node_options other = {.name = test_format("friend-%" PRId64, test_pid())};
  REQUIRE_OK(covey_node_open(&options, &s.node));
  REQUIRE_OK(covey_node_open(&other, &s.friend));
  return s;
}

/* The good peer is not disturbed. */
void scene_works(const scene *s)
{
  covey_send_options to = {.name = s->name, .timeout = PATIENCE};
  covey_message m;
  REQUIRE_OK(covey_message_send(s->friend, &to, &(covey_buffer){"fine", 4}, 1, NULL));
  REQUIRE_OK(covey_receive(s->node, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "fine");
  covey_message_free(&m);
}

void scene_close(scene *s)
{
  covey_message m;
  CHECK_ERR(covey_receive(s->node, COVEY_ANY_GROUP, 0, &m), COVEY_ETIMEDOUT);
  CHECK_OK(covey_node_close(s->friend, PATIENCE));
  int64_t until = test_now() + PATIENCE;
  uint64_t lent = 1, granted = 1;
  while (test_now() < until && (lent || granted)) { /* all that was lent has come back */
    cvy_loop_lock(s->node->loop);
    lent = s->node->lent;
    granted = s->node->granted;
    cvy_loop_unlock(s->node->loop);
    test_pause(1);
  }
  CHECK_UINT(lent, 0);
  CHECK_UINT(granted, 0);
  CHECK_OK(covey_node_close(s->node, PATIENCE));
}

impostor *impostor_mute(const scene *s)
{
  uint8_t hello[96 + 255];
  impostor *p = impostor_open(s->name, false);
  impostor_frame(p, CVY_FRAME_HELLO, 0, 0, 0, hello, impostor_hello_body(hello, CVY_VERSION));
  /* It may not write before the WELCOME, which it will not read: it waits for what the node knows. */
  scene_works(s);
  int64_t until = test_now() + PATIENCE;
  uint32_t peers = 0;
  while (peers < 2 && test_now() < until) {
    cvy_loop_lock(s->node->loop);
    peers = s->node->peer_count;
    cvy_loop_unlock(s->node->loop);
    test_pause(1);
  }
  return p;
}
