/* A reader that says where the bytes of a stream belong. */
#include "support/test.h"

#include "support/ends.h"

typedef struct reader {
  cvos_io *io;
  char data[4000], place[1000];
  size_t size, placed, most, refused, calls;
  bool closed;
} reader;

/* In turn: a place of its own, at most 10 bytes, nothing at all, and as the watch likes. */
static void *reader_place(void *arg, size_t *ret_size)
{
  reader *r = arg;
  switch (r->calls++ % 4) {
  case 0:
    *ret_size = 7 + r->calls % sizeof r->place;
    r->most = *ret_size;
    return r->place;
  case 1: r->most = *ret_size = 10; return NULL;
  case 2:
    r->refused++;
    *ret_size = 0;
    return NULL;
  default: r->most = *ret_size; return NULL;
  }
}

static void reader_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles, size_t count)
{
  reader *r = arg;
  (void)handles;
  CHECK_UINT(count, 0);
  if (!CVOS_WINDOWS) CHECK(size <= r->most);
  if (data == r->place) r->placed += size;
  REQUIRE(r->size + size <= sizeof r->data);
  memcpy(r->data + r->size, data, size);
  r->size += size;
}

static void reader_closed(void *arg)
{
  ((reader *)arg)->closed = true;
}

static bool reader_is_closed(void *arg)
{
  return ((reader *)arg)->closed;
}

static bool reader_is_full(void *arg)
{
  return ((reader *)arg)->size == sizeof((reader *)arg)->data;
}

TEST(watch_io, bytes_go_where_they_belong)
{
  static const cvos_io_events events = {
      .bytes = reader_bytes, .closed = reader_closed, .place = reader_place};
  static char sent[sizeof((reader *)NULL)->data];
  covey_loop *loop = ends_loop();
  end a;
  reader r = {.size = 0};
  place p;
  place_open(&p, loop);
  cvos_handle h = place_dial(&p);
  place_wish one = {&p, 1};
  REQUIRE(ends_wait(loop, place_has_count, &one, ENDS_LONG));
  end_open(&a, loop, h);
  REQUIRE_OK(
      cvos_io_open(cvy_loop_uv(loop), p.accepted[0], CVOS_IO_READ | CVOS_IO_WRITE, &events, &r, &r.io));
  for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 7 + i / 256);
  cvos_io_read(r.io, true);
  CHECK_INT(end_put(&a, sent, sizeof sent), sizeof sent);
  REQUIRE(ends_wait(loop, reader_is_full, &r, ENDS_LONG));
  CHECK_MEM(r.data, sent, sizeof sent);
  if (!CVOS_WINDOWS) CHECK(r.placed > 0 && r.refused > 0);
  cvos_io_close(r.io, true);
  CHECK(ends_wait(loop, reader_is_closed, &r, ENDS_LONG));
  end_close(&a);
  place_close(&p);
  cvy_loop_private_close(loop);
}
