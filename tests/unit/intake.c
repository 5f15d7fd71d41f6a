#include "support/test.h"

#include "core/bytes.h"
#include "core/intake.h"
#include "core/mem.h"

/* ---- one frame at a time ---- */

static uint8_t body[CVY_BODY_MAX];

/* Hands a whole frame over, cut at cut (in the body). The result of the last take, or the first error. */
static int give_cut(cvy_intake *in, cvy_header h, uint32_t cut, bool keep, cvy_item **ret)
{
  int r = 0;
  uint32_t at = 0;
  do {
    uint32_t n = at == 0 && cut < h.size ? cut : h.size - at;
    if (at == 0 && n < CVY_PREFIX && n < h.size) n = h.size < CVY_PREFIX ? h.size : CVY_PREFIX;
    cvy_chunk c = {.header = h, .data = body + at, .offset = at, .size = n, .last = at + n == h.size};
    r = cvy_intake_take(in, &c, keep, ret);
    at += n;
  } while (r == 0 && at < h.size);
  return r;
}

static int give(cvy_intake *in, cvy_header h, cvy_item **ret)
{
  return give_cut(in, h, UINT32_MAX, true, ret);
}

static cvy_header data(uint64_t id, uint32_t size)
{
  return (cvy_header){.kind = CVY_FRAME_DATA, .group = 1, .size = size, .id = id};
}

static cvy_header piece(uint64_t id, uint32_t size, bool more)
{
  return (cvy_header){
      .kind = CVY_FRAME_FRAG, .flags = more ? CVY_FLAG_MORE : 0, .group = 1, .size = size, .id = id};
}

/* A first FRAG of n bytes of a message of total. */
static int begin(cvy_intake *in, uint64_t id, uint64_t total, uint32_t n, bool more, cvy_item **ret)
{
  cvy_frag f = {.total = total, .kind = CVY_FRAME_DATA};
  cvy_frag_encode(&f, body);
  return give(in, piece(id, CVY_PREFIX + n, more), ret);
}

static void done(cvy_intake *in)
{
  size_t count;
  cvy_intake_fini(in);
  CHECK_UINT(cvy_intake_held(in, &count), 0);
  CHECK_UINT(count, 0);
}

/* A message whose first bytes came with its header: the others are read where they belong. */
TEST(intake, bytes_are_read_at_their_place)
{
  cvy_intake in;
  cvy_item *item = NULL;
  cvy_header h = data(1, 50000);
  uint64_t size = 100000;
  cvy_intake_init(&in, 1 << 20);
  CHECK(cvy_intake_place(&in, &size) == NULL);
  for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)(i * 31 + i / 256);
  cvy_chunk c = {.header = h, .data = body, .size = 1000};
  CHECK_INT(cvy_intake_take(&in, &c, 50064, &item), 0);
  uint8_t *at = cvy_intake_place(&in, &size);
  REQUIRE(at != NULL);
  CHECK_UINT(size, 49000);
  memcpy(at, body + 1000, 20000); /* less than there is room for */
  cvy_intake_placed(&in);
  c = (cvy_chunk){.header = h, .data = at, .offset = 1000, .size = 20000};
  CHECK_INT(cvy_intake_take(&in, &c, 0, &item), 0);
  size = 5;
  at = cvy_intake_place(&in, &size);
  CHECK_UINT(size, 5);
  cvy_intake_placed(&in);
  c = (cvy_chunk){.header = h,
                  .data = body + 21000,
                  .offset = 21000,
                  .size = 29000,
                  .last = true}; /* and from elsewhere */
  CHECK_INT(cvy_intake_take(&in, &c, 0, &item), 1);
  REQUIRE(item != NULL);
  CHECK_MEM(cvy_item_data(item), body, 50000);
  cvy_item_free(item);
  done(&in);
}

TEST(intake, a_decoder_tells_how_much_is_due)
{
  cvy_decoder d = {0};
  cvy_chunk chunk;
  cvy_header h = data(1, 5000);
  cvy_header_encode(&h, body);
  const uint8_t *at = body;
  size_t size = CVY_HEADER + CVY_PREFIX - 1;
  CHECK_INT(cvy_decoder_next(&d, &at, &size, &chunk), 0);
  CHECK_UINT(cvy_decoder_rest(&d), 0); /* nothing of it was told */
  size = 101;
  CHECK_INT(cvy_decoder_next(&d, &at, &size, &chunk), 1);
  CHECK_INT(cvy_decoder_next(&d, &at, &size, &chunk), 1);
  CHECK_UINT(cvy_decoder_rest(&d), 5000 - CVY_PREFIX - 100);
  size = 5000 - CVY_PREFIX - 100;
  CHECK_INT(cvy_decoder_next(&d, &at, &size, &chunk), 1);
  CHECK(chunk.last);
  CHECK_UINT(cvy_decoder_rest(&d), 0);
}

TEST(intake, memory_that_is_lent_outlives_the_end)
{
  cvy_intake in;
  cvy_item *item = NULL;
  uint64_t size = 100000;
  cvy_intake_init(&in, 1 << 20);
  cvy_chunk c = {.header = data(1, 50000), .data = body, .size = 1000};
  CHECK_INT(cvy_intake_take(&in, &c, 50064, &item), 0);
  uint8_t *at = cvy_intake_place(&in, &size);
  REQUIRE(at != NULL);
  done(&in);
  memset(at, 1, (size_t)size); /* the reader does not know yet */
  cvy_intake_placed(&in);
  cvy_intake_placed(&in);
}

TEST(intake, whole_messages)
{
  cvy_intake in;
  cvy_item *item = NULL;
  cvy_intake_init(&in, 1 << 20);
  for (uint32_t size = 0; size < 300; size++) {
    for (uint32_t i = 0; i < size; i++) body[i] = (uint8_t)(size + i);
    cvy_header h = data(size + 1, size);
    h.flags = 0x25;
    REQUIRE(give_cut(&in, h, test_random(size + 1), true, &item) == 1 && item != NULL);
    CHECK_UINT(item->size, size);
    CHECK_UINT(item->id, size + 1);
    CHECK_UINT(item->group, 1);
    CHECK_UINT(item->kind, CVY_FRAME_DATA);
    CHECK_UINT(item->flags, 0x25);
    CHECK_INT(cvy_item_priority(item), 5);
    CHECK_MEM(cvy_item_data(item), body, size);
    CHECK_UINT(cvy_item_data(item)[size], 0);
    cvy_item_free(item);
  }
  CHECK_UINT(in.whole, 300);
  CHECK_UINT(in.last, 300);
  done(&in);
  cvy_intake_fini(NULL);
}

TEST(intake, begins_tells_before_memory_is_taken)
{
  cvy_intake in;
  cvy_begin b;
  cvy_intake_init(&in, 1000000);
  cvy_chunk c = {.header = data(7, 20), .data = body, .size = 20, .last = true};
  REQUIRE(cvy_intake_begins(&in, &c, &b) == 1);
  CHECK_UINT(b.id, 7);
  CHECK_UINT(b.total, 20);
  CHECK_UINT(b.group, 1);
  CHECK_UINT(b.kind, CVY_FRAME_DATA);
  CHECK_UINT(in.last, 0);
  cvy_frag f = {.total = 500000, .kind = CVY_FRAME_PUB, .lent = 4096};
  cvy_frag_encode(&f, body);
  c = (cvy_chunk){.header = piece(8, 100, true), .data = body, .size = 50};
  REQUIRE(cvy_intake_begins(&in, &c, &b) == 1);
  CHECK_UINT(b.total, 500000);
  CHECK_UINT(b.lent, 4096);
  CHECK_UINT(b.kind, CVY_FRAME_PUB);
  CHECK_UINT(b.flags, 0);
  CHECK_UINT(cvy_intake_held(&in, NULL), 0);
  c.offset = 50;
  CHECK_INT(cvy_intake_begins(&in, &c, &b), 0);
  done(&in);
}

TEST(intake, thrown_away)
{
  cvy_intake in;
  cvy_item *item = (cvy_item *)body;
  cvy_intake_init(&in, 1 << 20);
  CHECK_INT(give_cut(&in, data(1, 200), 50, false, &item), 1);
  CHECK(item == NULL);
  cvy_frag f = {.total = 100000, .kind = CVY_FRAME_DATA};
  cvy_frag_encode(&f, body);
  CHECK_INT(give_cut(&in, piece(2, CVY_PREFIX + 60000, true), 50, false, &item), 0);
  CHECK_UINT(cvy_intake_held(&in, NULL), 0);
  item = (cvy_item *)body;
  CHECK_INT(give(&in, piece(2, 40000, false), &item), 1);
  CHECK(item == NULL);
  CHECK_UINT(in.whole, 2);
  done(&in);
}

/* Each of these breaks one rule, after the same good beginning: message 5 whole, message 6 begun with 100 of 1000 bytes. */
TEST(intake, rules)
{
  for (int which = 0; which < 18; which++) {
    cvy_intake in;
    cvy_item *item = NULL;
    cvy_header h;
    int r = COVEY_EPROTO;
    cvy_intake_init(&in, 100000);
    REQUIRE(give(&in, data(5, 10), &item) == 1);
    cvy_item_free(item);
    item = NULL;
    REQUIRE(begin(&in, 6, 1000, 100, true, &item) == 0);
    memset(body, 0, 64);
    switch (which) {
    case 0: r = give(&in, data(5, 10), &item); break;              /* an id again */
    case 1: r = give(&in, data(4, 10), &item); break;              /* an id that falls */
    case 2: r = give(&in, data(6, 10), &item); break;              /* the id of what is arriving */
    case 3: r = begin(&in, 5, 500, 10, true, &item); break;        /* the same in a fragment */
    case 4: r = give(&in, piece(6, 901, false), &item); break;     /* more than the total */
    case 5: r = give(&in, piece(6, 899, false), &item); break;     /* the last one too short */
    case 6: r = give(&in, piece(6, 900, true), &item); break;      /* complete, and yet more */
    case 7: r = give(&in, piece(9, 900, false), &item); break;     /* never begun, and no beginning either */
    case 8: r = begin(&in, 9, 100001, 10, true, &item); break;     /* above max_message */
    case 9: r = begin(&in, 9, UINT64_MAX, 10, true, &item); break; /* far above */
    case 10: r = begin(&in, 9, 50, 50, true, &item); break;        /* all of it, and yet more */
    case 11: r = begin(&in, 9, 50, 49, false, &item); break;       /* the only one too short */
    case 12: r = begin(&in, 9, 50, 51, false, &item); break;       /* too long */
    case 13:                                                       /* other flags than its first */
      h = piece(6, 10, true);
      h.flags |= 3;
      r = give(&in, h, &item);
      break;
    case 14: /* of a kind that has no group */
      cvy_frag_encode(&(cvy_frag){.total = 100, .kind = CVY_FRAME_REP}, body);
      r = give(&in, piece(9, 30, true), &item);
      break;
    case 15: /* with a flag that its kind has not */
      cvy_frag_encode(&(cvy_frag){.total = 100, .kind = CVY_FRAME_PUB}, body);
      h = piece(9, 30, true);
      h.flags |= CVY_FLAG_HANDLES;
      r = give(&in, h, &item);
      break;
    case 16: /* one too many at a time */
      for (uint64_t i = 0; i < CVY_ASSEMBLIES - 1; i++)
        REQUIRE(begin(&in, 10 + i, 500, 10, true, &item) == 0);
      r = begin(&in, 100, 500, 10, true, &item);
      break;
    default: /* a first FRAG that is too short to be one */ r = give(&in, piece(9, 15, true), &item);
    }
    if (r != COVEY_EPROTO) TEST_FAIL("rule %d: %d", which, r);
    CHECK(item == NULL);
    if (give(&in, data(1000, 10), &item) != COVEY_EPROTO) TEST_FAIL("rule %d is forgotten", which);
    cvy_begin b;
    cvy_chunk c = {.header = data(1000, 0), .data = body, .last = true};
    CHECK_INT(cvy_intake_begins(&in, &c, &b), COVEY_EPROTO);
    done(&in);
  }
}

TEST(intake, exact_limits)
{
  cvy_intake in;
  cvy_item *item = NULL;
  cvy_intake_init(&in, 1000);
  REQUIRE(give(&in, data(1, 1000), &item) == 1);
  cvy_item_free(item);
  memset(body, 0, CVY_PREFIX);
  cvy_header request = {.kind = CVY_FRAME_REQ, .group = 1, .size = 1000 + CVY_PREFIX, .id = 2};
  REQUIRE(give(&in, request, &item) == 1); /* the prefix is not the message's */
  CHECK_UINT(item->size, 1016);
  cvy_item_free(item);
  request.size++;
  request.id = 3;
  CHECK_INT(give(&in, request, &item), COVEY_EPROTO);
  done(&in);
  cvy_intake_init(&in, 1000);
  CHECK_INT(give(&in, data(1, 1001), &item), COVEY_EPROTO);
  done(&in);
}

/* Answers have the request's id, which rises with nothing of the one who answers. */
TEST(intake, answers_in_any_order)
{
  cvy_intake in;
  cvy_item *item = NULL;
  cvy_intake_init(&in, 100000);
  const uint64_t ids[] = {9, 3, 3, 7};
  memset(body, 0, CVY_PREFIX);
  REQUIRE(give(&in, data(5, 100), &item) == 1);
  cvy_item_free(item);
  for (int i = 0; i < 4; i++) {
    memset(body, 0, CVY_PREFIX);
    cvy_header h = {.kind = CVY_FRAME_REP, .size = 30, .id = ids[i]};
    REQUIRE(give(&in, h, &item) == 1);
    CHECK_UINT(item->id, ids[i]);
    cvy_item_free(item);
  }
  /* In pieces beside a message of the same number. */
  REQUIRE(begin(&in, 6, 1000, 10, true, &item) == 0);
  cvy_frag_encode(&(cvy_frag){.total = 1000, .kind = CVY_FRAME_ERR}, body);
  cvy_header h = piece(6, CVY_PREFIX + 10, true);
  h.group = 0;
  REQUIRE(give(&in, h, &item) == 0);
  h.size = 990;
  h.flags = 0;
  REQUIRE(give(&in, h, &item) == 1);
  CHECK_UINT(item->kind, CVY_FRAME_ERR);
  cvy_item_free(item);
  REQUIRE(give(&in, piece(6, 990, false), &item) == 1);
  CHECK_UINT(item->kind, CVY_FRAME_DATA);
  cvy_item_free(item);
  CHECK_UINT(in.last, 6);
  done(&in);
}

/* Whoever announces a gigabyte and sends little costs little. */
TEST(intake, memory_follows_what_arrived)
{
  cvy_intake in;
  cvy_item *item = NULL;
  uint64_t arrived = 0;
  size_t count;
  cvy_intake_init(&in, UINT64_C(1) << 40);
  for (uint64_t i = 0; i < CVY_ASSEMBLIES; i++)
    REQUIRE(begin(&in, i + 1, UINT64_C(1) << 40, 1, true, &item) == 0);
  CHECK(cvy_intake_held(&in, &count) <= CVY_ASSEMBLIES * 8192);
  CHECK_UINT(count, CVY_ASSEMBLIES);
  for (int i = 0; i < 50; i++) {
    REQUIRE(give(&in, piece(3, 20000, true), &item) == 0);
    arrived += 20000;
    CHECK(cvy_intake_held(&in, NULL) <= 2 * arrived + CVY_ASSEMBLIES * 8192);
  }
  done(&in);
}

TEST(intake, out_of_memory)
{
  cvy_intake in;
  cvy_item *item = NULL;
  cvy_intake_init(&in, 1 << 20);
  cvy_mem_fail_after(1);
  CHECK_INT(give(&in, data(1, 100), &item), COVEY_ENOMEM);
  CHECK_INT(give(&in, data(2, 100), &item), COVEY_ENOMEM);
  done(&in);
  cvy_intake_init(&in, 1 << 20);
  REQUIRE(begin(&in, 1, 100000, 100, true, &item) == 0);
  cvy_mem_fail_after(1);
  CHECK_INT(give(&in, piece(1, 60000, true), &item), COVEY_ENOMEM);
  cvy_mem_fail_after(0);
  CHECK_INT(give(&in, piece(1, 60000, true), &item), COVEY_ENOMEM);
  done(&in);
}

/* ---- sender to receiver: messages cut into fragments, mixed, cut again by the stream, and put together ---- */

typedef struct sending {
  uint64_t id, total, sent;
  uint16_t group;
  uint8_t priority;
} sending;

static uint8_t byte_of(uint64_t id, uint64_t offset)
{
  return (uint8_t)(id * 131 + offset * 7 + offset / 251);
}

static void append(cvy_bytes *wire, const cvy_header *h, const uint8_t *prefix, uint64_t id, uint64_t offset)
{
  uint8_t head[CVY_HEADER];
  uint32_t skip = prefix ? CVY_PREFIX : 0;
  cvy_header_encode(h, head);
  REQUIRE_OK(cvy_bytes_append(wire, head, sizeof head));
  if (prefix) REQUIRE_OK(cvy_bytes_append(wire, prefix, CVY_PREFIX));
  for (uint32_t i = skip; i < h->size; i++) body[i] = byte_of(id, offset + i - skip);
  REQUIRE_OK(cvy_bytes_append(wire, body + skip, h->size - skip));
}

/* Sends the next part of s. Returns whether it is complete. */
static bool send_part(cvy_bytes *wire, sending *s, uint32_t most)
{
  uint8_t prefix[CVY_PREFIX];
  uint64_t rest = s->total - s->sent;
  cvy_header h = {.flags = s->priority, .group = s->group, .id = s->id};
  if (s->sent == 0 && rest <= most && test_random(4)) {
    h.kind = CVY_FRAME_DATA;
    h.size = (uint32_t)rest;
    append(wire, &h, NULL, s->id, 0);
    s->sent = s->total;
    return true;
  }
  uint32_t n = 1 + test_random(most);
  if (n > rest) n = (uint32_t)rest;
  bool first = s->sent == 0, more = n < rest;
  h.kind = CVY_FRAME_FRAG;
  h.flags = (uint8_t)(h.flags | (more ? CVY_FLAG_MORE : 0));
  h.size = n + (first ? CVY_PREFIX : 0);
  if (first) cvy_frag_encode(&(cvy_frag){.total = s->total, .kind = CVY_FRAME_DATA}, prefix);
  append(wire, &h, first ? prefix : NULL, s->id, s->sent);
  s->sent += n;
  return !more;
}

static void check_message(cvy_item *item, const uint64_t *totals)
{
  REQUIRE(item->size == totals[item->id]);
  CHECK_UINT(item->group, item->id % 3 + 1);
  CHECK_INT(cvy_item_priority(item), (int)(item->id % 8));
  for (uint64_t i = 0; i < item->size; i++) REQUIRE(cvy_item_data(item)[i] == byte_of(item->id, i));
  CHECK_UINT(cvy_item_data(item)[item->size], 0);
}

static void through_the_stream(uint32_t most, uint32_t stream_piece)
{
  enum { MESSAGES = 200 };
  uint64_t totals[MESSAGES + 1];
  bool came[MESSAGES + 1] = {false};
  sending open[CVY_ASSEMBLIES];
  size_t open_count = 0, received = 0;
  uint64_t id = 0;
  cvy_bytes wire = {0};
  cvy_decoder d = {0};
  cvy_intake in;
  cvy_intake_init(&in, 1 << 20);
  while (id < MESSAGES || open_count > 0) {
    if (id < MESSAGES && open_count < CVY_ASSEMBLIES && (open_count == 0 || test_random(2))) {
      id++;
      totals[id] = 1 + test_random(test_random(3) ? 50 : most * 4);
      sending s = {
          .id = id, .total = totals[id], .group = (uint16_t)(id % 3 + 1), .priority = (uint8_t)(id % 8)};
      if (!send_part(&wire, &s, most)) open[open_count++] = s;
    } else {
      size_t i = test_random((uint32_t)open_count);
      if (send_part(&wire, &open[i], most)) open[i] = open[--open_count];
    }
  }
  while (cvy_bytes_size(&wire) > 0) {
    size_t n = 1 + test_random(stream_piece), size;
    if (n > cvy_bytes_size(&wire)) n = cvy_bytes_size(&wire);
    uint8_t *copy = malloc(n);
    const uint8_t *at = copy;
    memcpy(copy, cvy_bytes_front(&wire), n);
    cvy_bytes_consume(&wire, n);
    size = n;
    cvy_chunk c;
    int r;
    while ((r = cvy_decoder_next(&d, &at, &size, &c)) == 1) {
      cvy_item *item = NULL;
      r = cvy_intake_take(&in, &c, true, &item);
      REQUIRE(r >= 0);
      if (r == 1) {
        REQUIRE(item != NULL && item->id <= MESSAGES && !came[item->id]);
        check_message(item, totals);
        came[item->id] = true;
        received++;
        cvy_item_free(item);
      }
    }
    REQUIRE(r == 0);
    free(copy);
  }
  CHECK_UINT(received, MESSAGES);
  CHECK_UINT(in.whole, MESSAGES);
  CHECK_UINT(cvy_intake_held(&in, NULL), 0);
  CHECK(cvy_decoder_clean(&d));
  cvy_bytes_fini(&wire);
  done(&in);
}

TEST(intake, mixed_fragments_byte_by_byte)
{
  through_the_stream(100, 1);
}
TEST(intake, mixed_fragments_in_small_pieces)
{
  through_the_stream(1000, 40);
}
TEST(intake, mixed_fragments_in_large_pieces)
{
  through_the_stream(CVY_PIECE_MAX, 65536);
}
TEST(intake, many_small_in_one_read)
{
  through_the_stream(30, 65536);
}
