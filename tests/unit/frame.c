#include "support/test.h"

#include "core/frame.h"

typedef struct rule {
  const char *name;
  uint8_t kind;
  uint32_t least, most;
  uint8_t flags, group, id, carries;
} rule;

static const rule rules[] = {
#define RULE(name, number, least, most, flags, group, id, carries)                                           \
  {#name, number, least, most, flags, group, id, carries},
    CVY_FRAMES(RULE)
#undef RULE
};
#define RULES (sizeof rules / sizeof *rules)

/* A header that the table allows. */
static cvy_header allowed(const rule *r, uint32_t size)
{
  cvy_header h = {.kind = r->kind, .flags = r->flags, .size = size};
  h.group = r->group ? 513 : 0;
  h.id = r->id ? UINT64_C(0x1122334455667788) : 0;
  return h;
}

TEST(frame, header_layout)
{
  const cvy_header h = {
      .kind = 0x20, .flags = 0x25, .group = 0x0201, .size = 0x06050403, .id = UINT64_C(0x0e0d0c0b0a090807)};
  static const uint8_t wire[] = {0x20, 0x25, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  uint8_t out[CVY_HEADER];
  cvy_header back;
  cvy_header_encode(&h, out);
  CHECK_MEM(out, wire, sizeof wire);
  cvy_header_decode(out, &back);
  CHECK_UINT(back.kind, h.kind);
  CHECK_UINT(back.flags, h.flags);
  CHECK_UINT(back.group, h.group);
  CHECK_UINT(back.size, h.size);
  CHECK_UINT(back.id, h.id);
}

/* The numbers are the protocol's: a change here is a change of it. */
TEST(frame, numbers)
{
  CHECK_INT(CVY_FRAME_HELLO, 1);
  CHECK_INT(CVY_FRAME_STOP, 8);
  CHECK_INT(CVY_FRAME_GROUP_OPEN, 0x10);
  CHECK_INT(CVY_FRAME_DATA, 0x20);
  CHECK_INT(CVY_FRAME_FRAG, 0x25);
  CHECK_INT(CVY_FRAME_NEXT, 0x2a);
  CHECK_INT(CVY_FRAME_END, 0x2b);
  CHECK_INT(CVY_FRAME_RING_OFFER, 0x40);
  CHECK_STR(cvy_frame_name(CVY_FRAME_DATA), "DATA");
  CHECK_STR(cvy_frame_name(CVY_FRAME_DOORBELL), "DOORBELL");
  CHECK_STR(cvy_frame_name(0x7f), "?");
  CHECK_STR(cvy_frame_name(0x80), "?");
  CHECK_STR(cvy_frame_name(-1), "?");
}

TEST(frame, header_rules)
{
  for (size_t i = 0; i < RULES; i++) {
    const rule *r = &rules[i];
    cvy_header good = allowed(r, r->most), h = good;
    CHECK(r->most <= (r->carries ? (uint32_t)CVY_BODY_MAX : (uint32_t)CVY_CONTROL_MAX));
    if (cvy_header_check(&h) != 0) TEST_FAIL("%s is refused", r->name);
    h.size = r->least;
    if (cvy_header_check(&h) != 0) TEST_FAIL("%s is refused at its least", r->name);
    h.size = r->most + 1;
    if (cvy_header_check(&h) != COVEY_EPROTO) TEST_FAIL("%s: too long", r->name);
    h.size = UINT32_MAX;
    if (cvy_header_check(&h) != COVEY_EPROTO) TEST_FAIL("%s: 4 GiB", r->name);
    if (r->least > 0) {
      h.size = r->least - 1;
      if (cvy_header_check(&h) != COVEY_EPROTO) TEST_FAIL("%s: too short", r->name);
    }
    for (int bit = 0; bit < 8; bit++) {
      h = good;
      h.flags = (uint8_t)(1u << bit);
      if ((cvy_header_check(&h) == 0) != ((r->flags >> bit & 1) != 0)) TEST_FAIL("%s: flag %d", r->name, bit);
    }
    h = good;
    h.group = r->group ? 0 : 1;
    if ((cvy_header_check(&h) == 0) != (r->group == 2)) TEST_FAIL("%s: group", r->name);
    h = good;
    h.id = r->id ? 0 : 1;
    if ((cvy_header_check(&h) == 0) != (r->id == 2)) TEST_FAIL("%s: id", r->name);
  }
}

TEST(frame, unknown_kinds)
{
  for (int kind = 0; kind < 256; kind++) {
    bool known = false;
    for (size_t i = 0; i < RULES; i++) known = known || rules[i].kind == kind;
    if (known) continue;
    cvy_header h = {.kind = (uint8_t)kind, .flags = 0xff, .group = 3, .size = 20, .id = 9};
    CHECK_INT(cvy_header_check(&h), kind >= 0x80 ? 0 : COVEY_EPROTO);
    h.size = CVY_BODY_MAX + 1;
    CHECK_INT(cvy_header_check(&h), COVEY_EPROTO);
  }
}

/* ---- the decoder ---- */

static uint8_t wire[1 << 20];
static size_t wire_size;

static uint8_t body_byte(size_t frame, uint32_t offset)
{
  return (uint8_t)(frame * 31 + offset * 7 + (offset >> 8));
}

static void put(const cvy_header *h, size_t frame)
{
  REQUIRE(wire_size + CVY_HEADER + h->size <= sizeof wire);
  cvy_header_encode(h, wire + wire_size);
  wire_size += CVY_HEADER;
  for (uint32_t i = 0; i < h->size; i++) wire[wire_size++] = body_byte(frame, i);
}

static size_t put_all_kinds(cvy_header *expected)
{
  size_t n = 0;
  wire_size = 0;
  for (size_t i = 0; i < RULES; i++) {
    uint32_t sizes[] = {rules[i].least, rules[i].least + (rules[i].most - rules[i].least) / 3 % 50,
                        rules[i].most > 100 && rules[i].carries ? 100 : rules[i].most};
    for (size_t s = 0; s < 3; s++) {
      expected[n] = allowed(&rules[i], sizes[s]);
      put(&expected[n], n);
      n++;
    }
  }
  return n;
}

typedef struct reader {
  const cvy_header *expected;
  size_t frames, bells;
  uint32_t offset;
} reader;

/* Feeds bytes from memory of exactly that size, so that a read beyond it is seen by a sanitizer. */
static int feed(cvy_decoder *d, const uint8_t *from, size_t size, reader *r)
{
  uint8_t *copy = malloc(size ? size : 1);
  const uint8_t *at = copy;
  cvy_chunk c;
  int got;
  memcpy(copy, from, size);
  while ((got = cvy_decoder_next(d, &at, &size, &c)) == 1) {
    if (c.header.kind == CVY_FRAME_DOORBELL) {
      r->bells += c.size;
      continue;
    }
    const cvy_header *h = &r->expected[r->frames];
    REQUIRE(c.header.kind == h->kind && c.header.size == h->size && c.header.id == h->id);
    REQUIRE(c.header.group == h->group && c.header.flags == h->flags);
    REQUIRE(c.offset == r->offset);
    REQUIRE(c.offset > 0 || c.size >= CVY_PREFIX || c.last);
    REQUIRE(CVY_FRAME_IS_MESSAGE(h->kind) ? true : c.last && c.offset == 0);
    for (uint32_t i = 0; i < c.size; i++) REQUIRE(c.data[i] == body_byte(r->frames, c.offset + i));
    r->offset += c.size;
    REQUIRE(c.last == (r->offset == h->size));
    if (c.last) {
      r->frames++;
      r->offset = 0;
    }
  }
  if (got == 0) CHECK_UINT(size, 0);
  free(copy);
  return got;
}

TEST(decoder, cut_anywhere)
{
  cvy_header expected[RULES * 3];
  size_t n = put_all_kinds(expected);
  for (size_t cut = 0; cut <= wire_size; cut++) {
    cvy_decoder d = {0};
    reader r = {.expected = expected};
    CHECK(cvy_decoder_clean(&d));
    REQUIRE(feed(&d, wire, cut, &r) == 0);
    REQUIRE(feed(&d, wire + cut, wire_size - cut, &r) == 0);
    REQUIRE(r.frames == n);
    CHECK(cvy_decoder_clean(&d));
  }
}

TEST(decoder, byte_by_byte)
{
  cvy_header expected[RULES * 3];
  size_t n = put_all_kinds(expected);
  cvy_decoder d = {0};
  reader r = {.expected = expected};
  size_t clean = 0;
  for (size_t i = 0; i < wire_size; i++) {
    REQUIRE(feed(&d, wire + i, 1, &r) == 0);
    clean += cvy_decoder_clean(&d);
  }
  CHECK_UINT(r.frames, n);
  CHECK_UINT(clean, n);
  CHECK_INT(feed(&d, wire, 0, &r), 0);
}

TEST(decoder, largest_bodies_in_any_pieces)
{
  cvy_header expected[8];
  wire_size = 0;
  for (size_t i = 0; i < 8; i++) {
    expected[i] =
        (cvy_header){.kind = CVY_FRAME_DATA, .group = 1, .id = i + 1, .size = CVY_BODY_MAX - (uint32_t)i % 3};
    put(&expected[i], i);
  }
  for (int round = 0; round < 30; round++) {
    cvy_decoder d = {0};
    reader r = {.expected = expected};
    for (size_t at = 0; at < wire_size;) {
      size_t n = test_random(3) ? test_random(70000) : test_random(40);
      if (n > wire_size - at) n = wire_size - at;
      REQUIRE(feed(&d, wire + at, n, &r) == 0);
      at += n;
    }
    CHECK_UINT(r.frames, 8);
  }
}

TEST(decoder, doorbells_stand_between_frames)
{
  cvy_header expected[] = {{.kind = CVY_FRAME_PING, .id = 1},
                           {.kind = CVY_FRAME_DATA, .group = 1, .id = 2, .size = 40}};
  wire_size = 0;
  memset(wire, 0, 3);
  wire_size = 3;
  put(&expected[0], 0);
  wire[wire_size++] = 0;
  put(&expected[1], 1);
  wire[wire_size++] = 0;
  for (size_t cut = 0; cut <= wire_size; cut++) {
    cvy_decoder d = {0};
    reader r = {.expected = expected};
    REQUIRE(feed(&d, wire, cut, &r) == 0);
    REQUIRE(feed(&d, wire + cut, wire_size - cut, &r) == 0);
    CHECK_UINT(r.frames, 2);
    CHECK_UINT(r.bells, 5);
    CHECK(cvy_decoder_clean(&d));
  }
}

TEST(decoder, skips_what_may_be_skipped)
{
  cvy_header strange[] = {{.kind = 0x80, .flags = 0xff, .group = 7, .id = 3, .size = 5000}, {.kind = 0xff}};
  cvy_header expected[] = {{.kind = CVY_FRAME_PING, .id = 1}};
  wire_size = 0;
  put(&strange[0], 0);
  put(&strange[1], 0);
  put(&expected[0], 0);
  put(&strange[1], 0);
  for (size_t cut = 0; cut <= wire_size; cut += 7) {
    cvy_decoder d = {0};
    reader r = {.expected = expected};
    REQUIRE(feed(&d, wire, cut, &r) == 0);
    REQUIRE(feed(&d, wire + cut, wire_size - cut, &r) == 0);
    CHECK_UINT(r.frames, 1);
    CHECK(cvy_decoder_clean(&d));
  }
}

TEST(decoder, an_error_is_for_good)
{
  cvy_header good = {.kind = CVY_FRAME_PING, .id = 1}, bad = {.kind = 0x7f};
  wire_size = 0;
  put(&good, 0);
  put(&bad, 0);
  put(&good, 0);
  cvy_decoder d = {0};
  reader r = {.expected = &good};
  CHECK_INT(feed(&d, wire, wire_size, &r), COVEY_EPROTO);
  CHECK_UINT(r.frames, 1);
  CHECK_INT(feed(&d, wire, CVY_HEADER, &r), COVEY_EPROTO);
  CHECK_INT(feed(&d, wire, 0, &r), COVEY_EPROTO);
  CHECK_UINT(r.frames, 1);
  CHECK(!cvy_decoder_clean(&d));
}

/* A size of 4 GiB is refused when its header is complete, not one byte later. */
TEST(decoder, refuses_at_the_header)
{
  cvy_header huge = {.kind = CVY_FRAME_DATA, .group = 1, .id = 1, .size = UINT32_MAX};
  cvy_decoder d = {0};
  reader r = {.expected = &huge};
  cvy_header_encode(&huge, wire);
  CHECK_INT(feed(&d, wire, CVY_HEADER - 1, &r), 0);
  CHECK_INT(feed(&d, wire + CVY_HEADER - 1, 1, &r), COVEY_EPROTO);
}

TEST(decoder, garbage)
{
  for (int round = 0; round < 2000; round++) {
    cvy_decoder d = {0};
    for (int piece = 0; piece < 20; piece++) {
      size_t size = test_random(64);
      for (size_t i = 0; i < size; i++)
        wire[i] = (uint8_t)(test_random(4) ? test_random(0x45) : test_random(256));
      const uint8_t *at = wire;
      cvy_chunk c;
      int got;
      while ((got = cvy_decoder_next(&d, &at, &size, &c)) == 1) {
        if (c.header.kind != CVY_FRAME_DOORBELL) CHECK_INT(cvy_header_check(&c.header), 0);
      }
      if (got < 0) {
        CHECK_INT(got, COVEY_EPROTO);
        break;
      }
    }
  }
}
