#include "ends.h"
#include "test.h"

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles,
                     size_t handle_count)
{
  end *e = arg;
  REQUIRE(size > 0);
  REQUIRE(!e->closed && !e->ended);
  if (e->size + size > e->capacity) {
    e->capacity = (e->size + size) * 2;
    e->data = realloc(e->data, e->capacity);
    REQUIRE(e->data);
  }
  memcpy(e->data + e->size, data, size);
  e->size += size;
  e->calls++;
  e->sender = cvos_io_sender(e->io);
  for (size_t i = 0; i < handle_count; i++) {
    REQUIRE(e->handle_count < 8);
    e->handles[e->handle_count++] = handles[i];
  }
  if (e->stop_at && e->size >= e->stop_at) cvos_io_read(e->io, false);
  if (e->close_at_once) {
    cvos_io_close(e->io, true);
    e->close_at_once = false;
  }
}

static void on_end(void *arg, int status, int system)
{
  end *e = arg;
  e->ended++;
  e->status = status;
  if (status) test_log("end: %s, %d", covey_errname(status), system);
}

static void on_room(void *arg)
{
  ((end *)arg)->rooms++;
}
static void on_closed(void *arg)
{
  ((end *)arg)->closed++;
}

static const cvos_io_events events = {on_bytes, on_end, on_room, on_closed, NULL};

void end_open(end *e, covey_loop *loop, cvos_handle handle)
{
  *e = (end){.loop = loop, .handle = handle};
  REQUIRE_OK(cvos_io_open(cvy_loop_uv(loop), handle, CVOS_IO_READ | CVOS_IO_WRITE, &events, e, &e->io));
  CHECK(cvos_io_handle(e->io) == handle);
}

void end_free(end *e)
{
  free(e->data);
  for (size_t i = 0; i < e->handle_count; i++) cvos_handle_close(e->handles[i]);
}

/* Turns the loop until met. */
bool ends_wait(covey_loop *loop, cvy_predicate met, void *arg, int64_t ms)
{
  cvy_loop_lock(loop);
  int r = cvy_loop_wait(loop, met, arg, cvy_deadline_in(ms), NULL);
  cvy_loop_unlock(loop);
  return r == 0;
}

bool end_has_ended(void *arg)
{
  return ((end *)arg)->ended != 0;
}
bool end_has_closed(void *arg)
{
  return ((end *)arg)->closed != 0;
}
bool end_has_room(void *arg)
{
  return ((end *)arg)->rooms != 0;
}
bool end_has_bytes(void *arg)
{
  return ((end *)arg)->size != 0;
}

typedef struct amount {
  end *e;
  size_t size;
} amount;

static bool has_amount(void *arg)
{
  amount *a = arg;
  return a->e->size >= a->size;
}

bool end_wait_amount(end *e, size_t size)
{
  amount a = {e, size};
  return ends_wait(e->loop, has_amount, &a, ENDS_LONG);
}

static bool false_always(void *arg)
{
  (void)arg;
  return false;
}

void ends_turn(covey_loop *loop, int64_t ms)
{
  ends_wait(loop, false_always, NULL, ms);
}

int64_t end_put(end *e, const void *data, size_t size)
{
  cvos_piece piece = {data, size};
  int system = 0;
  return cvos_io_write(e->io, &piece, 1, NULL, 0, &system);
}

void end_close(end *e)
{
  cvos_io_close(e->io, false);
  CHECK(ends_wait(e->loop, end_has_closed, e, ENDS_LONG));
  end_free(e);
}

/* ---- connections to try it with: a listener, an acceptor, a place_dial ---- */

static void on_accepted(void *arg, cvos_handle connection)
{
  place *p = arg;
  REQUIRE(p->count < 64);
  p->accepted[p->count++] = connection;
}

static void on_failed(void *arg, int status, int system)
{
  place *p = arg;
  p->failures++;
  test_log("accept: %s, %d", covey_errname(status), system);
}

static void on_place_closed(void *arg)
{
  ((place *)arg)->closed++;
}
static const cvos_acceptor_events place_events = {on_accepted, on_failed, on_place_closed};

void place_open(place *p, covey_loop *loop)
{
  *p = (place){.loop = loop};
  /* A name of its own: on Windows a pipe's name is taken while a connection of it lives. */
  static int places;
  p->address =
      (cvos_address){.directory = test_temp_dir(), .app = "watch", .name = test_format("test%d", ++places)};
  REQUIRE_OK(cvos_listener_open(&p->address, &p->listener));
  REQUIRE_OK(cvos_acceptor_open(cvy_loop_uv(loop), p->listener, &place_events, p, &p->acceptor));
}

static bool place_is_closed(void *arg)
{
  return ((place *)arg)->closed != 0;
}

void place_close(place *p)
{
  cvos_acceptor_close(p->acceptor);
  CHECK(ends_wait(p->loop, place_is_closed, p, ENDS_LONG));
  cvos_listener_close(p->listener);
}

bool place_has_count(void *arg)
{
  place_wish *n = arg;
  return n->p->count >= n->count;
}

cvos_handle place_dial(place *p)
{
  cvos_handle h = CVOS_NONE;
  int r = COVEY_EAGAIN;
  for (int64_t start = test_now(); test_now() - start < ENDS_LONG;) {
    r = cvos_stream_dial(&p->address, &h);
    if (r != COVEY_EAGAIN && r != COVEY_ENOPEER) break;
    ends_turn(p->loop, 2);
  }
  REQUIRE_OK(r);
  return h;
}

void ends_connect(covey_loop *loop, end *a, end *b)
{
  place p;
  place_open(&p, loop);
  cvos_handle h = place_dial(&p);
  place_wish one = {&p, 1};
  REQUIRE(ends_wait(loop, place_has_count, &one, ENDS_LONG));
  end_open(a, loop, h);
  end_open(b, loop, p.accepted[0]);
  place_close(&p);
}

covey_loop *ends_loop(void)
{
  covey_loop *loop;
  REQUIRE_OK(cvy_loop_private(&loop));
  return loop;
}
