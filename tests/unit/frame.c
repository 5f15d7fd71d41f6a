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

/* ---- bodies ---- */

static cvy_hello a_hello(const char *name)
{
  cvy_hello h = {.version_least = 1,
                 .version_most = 1,
                 .caps = 3,
                 .max_message = UINT64_C(1) << 24,
                 .pid = 4711,
                 .start = 99,
                 .window = 65536};
  for (int i = 0; i < 16; i++) h.instance[i] = (uint8_t)(i + 1);
  h.name_size = (uint8_t)strlen(name);
  memcpy(h.name, name, strlen(name) + 1);
  return h;
}

TEST(body, hello)
{
  char longest[256];
  memset(longest, 'n', 255);
  longest[255] = '\0';
  const char *names[] = {"", "a", "node-1", longest};
  for (size_t i = 0; i < 4; i++) {
    cvy_hello h = a_hello(names[i]), back;
    uint8_t body[96 + 255];
    size_t size = cvy_hello_encode(&h, body);
    CHECK_UINT(size, 96 + strlen(names[i]));
    REQUIRE_OK(cvy_hello_decode(body, size, &back));
    CHECK_UINT(back.version_least, 1);
    CHECK_UINT(back.version_most, 1);
    CHECK_UINT(back.caps, 3);
    CHECK_UINT(back.max_message, h.max_message);
    CHECK_INT(back.pid, 4711);
    CHECK_UINT(back.start, 99);
    CHECK_UINT(back.window, 65536);
    CHECK_MEM(back.instance, h.instance, 16);
    CHECK_STR(back.name, names[i]);
    CHECK_ERR(cvy_hello_decode(body, size + 1, &back), COVEY_EPROTO);
    CHECK_ERR(cvy_hello_decode(body, size - 1, &back), COVEY_EPROTO);
  }
}

static int hello_with(size_t at, uint8_t value)
{
  cvy_hello h = a_hello("name"), back;
  uint8_t body[96 + 255];
  size_t size = cvy_hello_encode(&h, body);
  body[at] = value;
  return cvy_hello_decode(body, size, &back);
}

TEST(body, hello_is_looked_at_closely)
{
  CHECK_INT(hello_with(0, 'C'), COVEY_EPROTO);   /* magic */
  CHECK_INT(hello_with(4, 0), COVEY_EPROTO);     /* least version 0 */
  CHECK_INT(hello_with(4, 2), COVEY_EPROTO);     /* least above most */
  CHECK_INT(hello_with(47, 0x80), COVEY_EPROTO); /* a negative pid */
  CHECK_INT(hello_with(97, 0), COVEY_EPROTO);    /* NUL in the name */
  CHECK_INT(hello_with(8, 0xff), 0);             /* unknown capabilities */
  for (size_t i = 0; i < 96; i++) {
    bool reserved = (i >= 13 && i < 16) || i >= 60;
    if (reserved) CHECK_INT(hello_with(i, 1), COVEY_EPROTO);
  }
  /* A later version may use what is zero in ours. */
  cvy_hello h = a_hello(""), back;
  uint8_t body[96 + 255];
  h.version_most = 2;
  size_t size = cvy_hello_encode(&h, body);
  body[70] = 1;
  CHECK_OK(cvy_hello_decode(body, size, &back));
}

TEST(body, versions)
{
  cvy_hello h = a_hello("");
  CHECK_INT(cvy_version_choose(&h), 1);
  h.version_most = 9;
  CHECK_INT(cvy_version_choose(&h), CVY_VERSION);
  h.version_least = CVY_VERSION + 1;
  CHECK_INT(cvy_version_choose(&h), COVEY_EVERSION);
}

TEST(body, group_open)
{
  cvy_group_open g = {.window = 262144,
                      .max_count = 77,
                      .flags = CVY_GROUP_DROP_OLD | CVY_GROUP_PRIORITIES,
                      .name_size = 4,
                      .name = "jobs"},
                 back;
  uint8_t body[12 + 255];
  size_t size = cvy_group_open_encode(&g, body);
  REQUIRE_OK(cvy_group_open_decode(body, size, &back));
  CHECK_UINT(back.window, 262144);
  CHECK_UINT(back.max_count, 77);
  CHECK_UINT(back.flags, g.flags);
  CHECK_STR(back.name, "jobs");
  CHECK_ERR(cvy_group_open_decode(body, size + 1, &back), COVEY_EPROTO);
  CHECK_ERR(cvy_group_open_decode(body, size - 1, &back), COVEY_EPROTO);
  body[size - 1] = 0;
  CHECK_ERR(cvy_group_open_decode(body, size, &back), COVEY_EPROTO);
  g.flags = CVY_GROUP_DROP_OLD | CVY_GROUP_DROP_NEW;
  size = cvy_group_open_encode(&g, body);
  CHECK_ERR(cvy_group_open_decode(body, size, &back), COVEY_EPROTO);
  g.flags = CVY_GROUP_FUNCTION | CVY_GROUP_PRIORITIES;
  REQUIRE_OK(cvy_group_open_decode(body, cvy_group_open_encode(&g, body), &back));
  CHECK_UINT(back.flags, CVY_GROUP_FUNCTION | CVY_GROUP_PRIORITIES);
  g.flags = CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER;
  REQUIRE_OK(cvy_group_open_decode(body, cvy_group_open_encode(&g, body), &back));
  CHECK_UINT(back.flags, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER);
  g.flags = CVY_GROUP_ALL + 1;
  size = cvy_group_open_encode(&g, body);
  CHECK_ERR(cvy_group_open_decode(body, size, &back), COVEY_EPROTO);
}

TEST(body, handle_list)
{
  uint8_t body[CVY_CONTROL_MAX];
  cvy_handle_list l = {.count = 64}, back;
  for (uint32_t i = 0; i < 64; i++) l.value[i] = UINT64_C(1) << i;
  size_t size = cvy_handle_list_encode(&l, body);
  CHECK_UINT(size, CVY_CONTROL_MAX);
  REQUIRE_OK(cvy_handle_list_decode(body, size, &back));
  CHECK_UINT(back.count, 64);
  CHECK_MEM(back.value, l.value, sizeof l.value);
  CHECK_ERR(cvy_handle_list_decode(body, size - 8, &back), COVEY_EPROTO);
  body[0] = 63;
  CHECK_ERR(cvy_handle_list_decode(body, size, &back), COVEY_EPROTO);
  REQUIRE_OK(cvy_handle_list_decode(body, size - 8, &back));
  body[5] = 1;
  CHECK_ERR(cvy_handle_list_decode(body, size - 8, &back), COVEY_EPROTO);
  memset(body, 0, 16);
  CHECK_ERR(cvy_handle_list_decode(body, 16, &back), COVEY_EPROTO);
}

TEST(body, small_ones)
{
  uint8_t body[CVY_PREFIX];
  cvy_deny deny = {CVY_DENY_VERSION, 1, 3}, deny_back;
  REQUIRE_OK(cvy_deny_decode(body, cvy_deny_encode(&deny, body), &deny_back));
  CHECK_UINT(deny_back.reason, CVY_DENY_VERSION);
  CHECK_UINT(deny_back.version_most, 3);
  memset(body, 0, sizeof body);
  CHECK_ERR(cvy_deny_decode(body, 16, &deny_back), COVEY_EPROTO);

  cvy_bye bye = {5, UINT64_MAX}, bye_back;
  REQUIRE_OK(cvy_bye_decode(body, cvy_bye_encode(&bye, body), &bye_back));
  CHECK_UINT(bye_back.count, 5);
  CHECK_UINT(bye_back.id, UINT64_MAX);
  CHECK_ERR(cvy_bye_decode(body, 15, &bye_back), COVEY_EPROTO);

  uint32_t value = 0;
  REQUIRE_OK(cvy_stop_decode(body, cvy_stop_encode(5000, body), &value));
  CHECK_UINT(value, 5000);
  body[7] = 1;
  CHECK_ERR(cvy_stop_decode(body, 8, &value), COVEY_EPROTO);

  uint64_t count = 0;
  REQUIRE_OK(cvy_gap_decode(body, cvy_gap_encode(UINT64_C(1) << 40, body), &count));
  CHECK_UINT(count, UINT64_C(1) << 40);
  CHECK_ERR(cvy_gap_decode(body, 7, &count), COVEY_EPROTO);

  cvy_credit credit = {UINT64_C(1) << 62, 9}, credit_back;
  REQUIRE_OK(cvy_credit_decode(body, cvy_credit_encode(&credit, body), &credit_back));
  CHECK_UINT(credit_back.bytes, UINT64_C(1) << 62);
  CHECK_UINT(credit_back.count, 9);
  credit.bytes++;
  CHECK_ERR(cvy_credit_decode(body, cvy_credit_encode(&credit, body), &credit_back), COVEY_EPROTO);

  REQUIRE_OK(cvy_prefix_decode(body, cvy_prefix_encode(UINT32_MAX, body), &value));
  CHECK_UINT(value, UINT32_MAX);
  body[9] = 1;
  CHECK_ERR(cvy_prefix_decode(body, CVY_PREFIX, &value), COVEY_EPROTO);

  cvy_ask ask = {5000, UINT64_C(1) << 40}, ask_back;
  REQUIRE_OK(cvy_ask_decode(body, cvy_ask_encode(&ask, body), &ask_back));
  CHECK_UINT(ask_back.left, 5000);
  CHECK_UINT(ask_back.room, UINT64_C(1) << 40);
  CHECK_ERR(cvy_ask_decode(body, 15, &ask_back), COVEY_EPROTO);
  body[7] = 1;
  CHECK_ERR(cvy_ask_decode(body, CVY_PREFIX, &ask_back), COVEY_EPROTO);
}

TEST(body, frag)
{
  uint8_t body[CVY_PREFIX];
  cvy_frag back;
  for (int kind = 0; kind < 256; kind++) {
    cvy_frag f = {.total = 100000, .kind = (uint8_t)kind, .lent = 70000};
    bool carried = (kind >= CVY_FRAME_DATA && kind <= CVY_FRAME_ERR) || kind == CVY_FRAME_NEXT;
    CHECK_INT(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back), carried ? 0 : COVEY_EPROTO);
  }
  cvy_frag f = {.total = 100000, .kind = CVY_FRAME_DATA, .lent = 70000};
  REQUIRE_OK(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back));
  CHECK_UINT(back.total, 100000);
  CHECK_UINT(back.kind, CVY_FRAME_DATA);
  CHECK_UINT(back.lent, 70000);
  CHECK_ERR(cvy_frag_decode(body, 15, &back), COVEY_EPROTO);
  body[10] = 1;
  CHECK_ERR(cvy_frag_decode(body, 16, &back), COVEY_EPROTO);
  f.total = 0;
  CHECK_ERR(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back), COVEY_EPROTO);
  f = (cvy_frag){.total = 15, .kind = CVY_FRAME_REP};
  CHECK_ERR(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back), COVEY_EPROTO);
}
