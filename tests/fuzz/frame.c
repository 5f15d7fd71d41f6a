/* Frames and messages from a stream of any bytes: the same is told however the stream is cut; an error is for
 * good; what a body says comes back when it is written again; memory stays in proportion to what arrived. */
#include "fuzz.h"

#include "core/intake.h"

#define MAX_MESSAGE ((uint64_t)1 << 30)

static uint64_t digest;

static void note(const void *data, size_t size)
{
  const uint8_t *p = data;
  for (size_t i = 0; i < size; i++) digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);
}

/* Decodes a body of its kind; if it is good, it must be the one that is written for what it says. */
static void again(const cvy_chunk *c)
{
  uint8_t out[CVY_CONTROL_MAX];
  size_t size = 0;
  cvy_hello hello;
  cvy_deny deny;
  cvy_bye bye;
  cvy_group_open open;
  cvy_credit credit;
  uint64_t count;
  uint32_t grace;
  cvy_handle_list list;
  switch (c->header.kind) {
  case CVY_FRAME_HELLO:
  case CVY_FRAME_WELCOME:
    if (cvy_hello_decode(c->data, c->size, &hello) < 0) return;
    FUZZ_REQUIRE(strlen(hello.name) == hello.name_size);
    if (hello.version_most == CVY_VERSION) size = cvy_hello_encode(&hello, out);
    break;
  case CVY_FRAME_DENY:
    if (cvy_deny_decode(c->data, c->size, &deny) < 0) return;
    size = cvy_deny_encode(&deny, out);
    if (memcmp(out + 8, c->data + 8, 8) != 0) return; /* room for later versions */
    break;
  case CVY_FRAME_BYE:
  case CVY_FRAME_BYE_ACK:
    if (cvy_bye_decode(c->data, c->size, &bye) == 0) size = cvy_bye_encode(&bye, out);
    break;
  case CVY_FRAME_STOP:
    if (cvy_stop_decode(c->data, c->size, &grace) == 0) size = cvy_stop_encode(grace, out);
    break;
  case CVY_FRAME_GROUP_OPEN:
    if (cvy_group_open_decode(c->data, c->size, &open) < 0) return;
    FUZZ_REQUIRE(open.name_size > 0 && strlen(open.name) == open.name_size);
    size = cvy_group_open_encode(&open, out);
    break;
  case CVY_FRAME_CREDIT:
    if (cvy_credit_decode(c->data, c->size, &credit) == 0) size = cvy_credit_encode(&credit, out);
    break;
  case CVY_FRAME_HANDLE:
    if (cvy_handle_list_decode(c->data, c->size, &list) == 0) size = cvy_handle_list_encode(&list, out);
    break;
  case CVY_FRAME_GAP:
    if (cvy_gap_decode(c->data, c->size, &count) == 0) size = cvy_gap_encode(count, out);
    break;
  default: return;
  }
  FUZZ_REQUIRE(size == 0 || (size == c->size && !memcmp(out, c->data, size)));
}

static int take(cvy_intake *in, const cvy_chunk *c, uint64_t arrived)
{
  cvy_item *item = NULL;
  cvy_begin b;
  bool keep = c->header.id % 5 != 4;
  uint64_t total = 0;
  int begins = c->offset == 0 ? cvy_intake_begins(in, c, &b) : 0;
  if (begins == 1) {
    total = b.total;
    FUZZ_REQUIRE(total <= MAX_MESSAGE + CVY_PREFIX);
  }
  int r = cvy_intake_take(in, c, keep, &item);
  FUZZ_REQUIRE(r <= 1 && (begins >= 0 || r == begins));
  FUZZ_REQUIRE(cvy_intake_held(in, NULL) <= 2 * arrived + 9 * 8192);
  if (r == 1 && item) {
    FUZZ_REQUIRE(cvy_item_data(item)[item->size] == 0);
    note(&item->id, sizeof item->id);
    note(&item->kind, 1);
    note(&item->flags, 1);
    note(cvy_item_data(item), (size_t)item->size);
    cvy_item_free(item);
  }
  return r;
}

static uint64_t run(const uint8_t *data, size_t size, size_t piece)
{
  cvy_decoder d = {0};
  cvy_intake in;
  cvy_chunk c;
  uint64_t arrived = 0, next = 0;
  int r = 0;
  digest = UINT64_C(0xcbf29ce484222325);
  cvy_intake_init(&in, MAX_MESSAGE);
  while (size > 0 && r == 0) {
    size_t n = piece < size ? piece : size, rest = n;
    uint8_t *copy = malloc(n); /* of its own size, so that a sanitizer sees every byte too far */
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, data, n);
    const uint8_t *at = copy;
    arrived += n;
    while ((r = cvy_decoder_next(&d, &at, &rest, &c)) == 1) {
      if (c.header.kind == CVY_FRAME_DOORBELL) continue;
      FUZZ_REQUIRE(cvy_header_check(&c.header) == 0 && c.header.kind < CVY_FRAME_OPTIONAL);
      FUZZ_REQUIRE(c.offset == next && c.offset + c.size <= c.header.size);
      FUZZ_REQUIRE(c.last == (c.offset + c.size == c.header.size));
      next = c.last ? 0 : c.offset + c.size;
      if (CVY_FRAME_IS_MESSAGE(c.header.kind)) {
        if ((r = take(&in, &c, arrived)) < 0) break;
      } else {
        FUZZ_REQUIRE(c.last && c.offset == 0);
        note(&c.header.kind, 1);
        note(c.data, c.size);
        again(&c);
      }
    }
    free(copy);
    data += n;
    size -= n;
  }
  FUZZ_REQUIRE(r == 0 || r == COVEY_EPROTO);
  if (r < 0 && d.error) {
    const uint8_t *at = (const uint8_t *)"";
    size_t none = 0;
    FUZZ_REQUIRE(cvy_decoder_next(&d, &at, &none, &c) == COVEY_EPROTO);
  }
  note(&r, sizeof r);
  cvy_intake_fini(&in);
  return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const size_t pieces[] = {1, 3, 17, 4096};
  uint64_t whole = run(data, size, SIZE_MAX);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
    FUZZ_REQUIRE(run(data, size, pieces[i]) == whole);
  return 0;
}
