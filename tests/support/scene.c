#include "support/scene.h"
#include "support/test.h"

#include "os/handle.h"
#include "os/process.h"

cvos_address scene_address(void)
{
  static const char *dir;
  uv_fs_t fs;
  if (!dir) {
    dir = test_format("%s/d", test_temp_dir());
    REQUIRE(uv_fs_mkdir(NULL, &fs, dir, 0700, NULL) == 0);
  }
  return (cvos_address){.directory = dir, .app = "test", .name = "one"};
}

void scene_no_handles_lost(void)
{
  uv_loop_t uv;
  REQUIRE(uv_loop_init(&uv) == 0);
  CHECK_INT(uv_loop_close(&uv), 0);
  test_no_handles_lost();
}

static void on_limit(uv_timer_t *timer)
{
  ((scene *)timer->data)->late = true;
}

static void on_accepted(void *arg, cvos_handle connection)
{
  scene *s = arg;
  REQUIRE(s->count < 64);
  s->accepted[s->count++] = connection;
}

static void on_failed(void *arg, int status, int system)
{
  (void)arg;
  TEST_FAIL("accepting failed: %d (%d)", status, system);
}

static void on_acceptor_closed(void *arg)
{
  ((scene *)arg)->acceptor_closed = true;
}

static const cvos_acceptor_events acceptor_events = {on_accepted, on_failed, on_acceptor_closed};

void scene_begin(scene *s)
{
  memset(s, 0, sizeof *s);
  REQUIRE(uv_loop_init(&s->uv) == 0);
  REQUIRE_OK(cvos_watch_prepare(&s->uv, true));
  uv_timer_init(&s->uv, &s->limit);
  s->limit.data = s;
  uv_timer_start(&s->limit, on_limit, SCENE_PATIENCE, 0);
}

void scene_finish(scene *s)
{
  if (s->acceptor) {
    cvos_acceptor_close(s->acceptor);
    SCENE_RUN_UNTIL(s, s->acceptor_closed);
  }
  uv_close((uv_handle_t *)&s->limit, NULL);
  REQUIRE(uv_run(&s->uv, UV_RUN_DEFAULT) == 0);
  CHECK_INT(uv_loop_close(&s->uv), 0);
}

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles,
                     size_t handle_count)
{
  scene_io *e = arg;
  (void)handles;
  CHECK_UINT(handle_count, 0);
  REQUIRE(e->size + size <= sizeof e->data);
  if (e->size == 0) {
    covey_identity who = {.pid = -1};
    cvos_process pin;
    e->sender = cvos_io_sender(e->io);
    if (cvos_stream_peer(cvos_io_handle(e->io), &who, &pin) == 0) cvos_process_close(&pin);
    e->peer = who.pid;
  }
  memcpy(e->data + e->size, data, size);
  e->size += size;
}

static void on_end(void *arg, int status, int system)
{
  (void)system;
  CHECK_INT(status, 0);
  ((scene_io *)arg)->over = true;
}

static void on_closed(void *arg)
{
  ((scene_io *)arg)->closed = true;
}

static const cvos_io_events io_events = {.bytes = on_bytes, .end = on_end, .closed = on_closed};

void scene_watch(scene *s, scene_io *e, cvos_handle handle)
{
  memset(e, 0, sizeof *e);
  REQUIRE_OK(cvos_io_open(&s->uv, handle, CVOS_IO_READ | CVOS_IO_WRITE, &io_events, e, &e->io));
  cvos_io_read(e->io, true);
}

void scene_say(scene_io *e, const char *text)
{
  int system = 0;
  cvos_piece piece = {text, strlen(text)};
  CHECK_INT(cvos_io_write(e->io, &piece, 1, NULL, 0, &system), (int64_t)strlen(text));
}

void scene_leave(scene *s, scene_io *e)
{
  cvos_io_close(e->io, false);
  SCENE_RUN_UNTIL(s, e->closed);
}

cvos_listener *scene_serve(scene *s, const cvos_address *a)
{
  cvos_listener *l;
  REQUIRE_OK(cvos_listener_open(a, &l));
  REQUIRE_OK(cvos_acceptor_open(&s->uv, l, &acceptor_events, s, &s->acceptor));
  return l;
}

void scene_stop_serving(scene *s, cvos_listener *l)
{
  cvos_acceptor_close(s->acceptor);
  SCENE_RUN_UNTIL(s, s->acceptor_closed);
  s->acceptor = NULL;
  cvos_listener_close(l);
}

void scene_expect_us(cvos_handle stream)
{
  covey_identity who, self;
  cvos_process pin;
  REQUIRE_OK(cvos_identity(0, &self, NULL));
  memset(&who, 0xff, sizeof who);
  REQUIRE_OK(cvos_stream_peer(stream, &who, &pin));
  CHECK_INT(who.pid, test_pid());
  CHECK_UINT(who.start, self.start);
  CHECK(who.start != 0);
  CHECK_INT(who.uid, self.uid);
  CHECK_INT(who.gid, self.gid);
  CHECK_STR(who.sid, self.sid);
  CHECK_UINT(who.flags & ~(uint32_t)COVEY_ID_PINNED, self.flags);
  CHECK(who.flags & COVEY_ID_SAME_USER);
  CHECK(((who.flags & COVEY_ID_PINNED) != 0) == (pin.handle != CVOS_NONE));
  CHECK_INT(pin.pid, test_pid());
  CHECK_UINT(pin.start, self.start);
  cvos_process_close(&pin);
}
