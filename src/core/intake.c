#include "core/intake.h"

#include <string.h>

/* What a message of unknown progress gets at once; from there on memory doubles with what arrives. */
#define FIRST_ROOM ((uint64_t)8192)

void cvy_intake_init(cvy_intake *in, uint64_t max_message)
{
  memset(in, 0, sizeof *in);
  in->max_message = max_message;
}

static void drop(cvy_assembly *a)
{
  cvy_item_free(a->item);
  memset(a, 0, sizeof *a);
}

void cvy_intake_fini(cvy_intake *in)
{
  if (!in) return;
  if (in->lent && in->now) {
    in->kept = in->now->item;
    in->now->item = NULL;
  }
  drop(&in->one);
  for (int i = 0; i < CVY_ASSEMBLIES; i++) drop(&in->many[i]);
  in->now = NULL;
}

uint8_t *cvy_intake_place(cvy_intake *in, uint64_t *size)
{
  cvy_assembly *a = in->now;
  if (in->error || !a || !a->item || a->item->capacity == a->have) return NULL;
  uint64_t room = a->item->capacity - a->have, rest = a->total - a->have;
  if (room > rest) room = rest;
  if (*size > room) *size = room;
  in->lent = true;
  return cvy_item_data(a->item) + a->have;
}

void cvy_intake_placed(cvy_intake *in)
{
  in->lent = false;
  cvy_item_free(in->kept);
  in->kept = NULL;
}

static cvy_assembly *find(const cvy_intake *in, uint16_t group, uint64_t id)
{
  for (int i = 0; i < CVY_ASSEMBLIES; i++) {
    const cvy_assembly *a = &in->many[i];
    if (a->used && a->group == group && a->id == id) return (cvy_assembly *)a;
  }
  return NULL;
}

static cvy_assembly *find_free(cvy_intake *in)
{
  for (int i = 0; i < CVY_ASSEMBLIES; i++) {
    if (!in->many[i].used) return &in->many[i];
  }
  return NULL;
}

/* The answer to somebody's request: its id is that one's, and rises with nothing of ours. */
static bool is_answer(uint8_t kind)
{
  return kind == CVY_FRAME_REP || kind == CVY_FRAME_ERR;
}

static bool has_prefix(uint8_t kind)
{
  return is_answer(kind) || kind == CVY_FRAME_REQ || kind == CVY_FRAME_PUB;
}

int cvy_intake_begins(const cvy_intake *in, const cvy_chunk *chunk, cvy_begin *ret)
{
  const cvy_header *h = &chunk->header;
  cvy_begin b = {.id = h->id, .total = h->size, .group = h->group, .kind = h->kind};
  b.flags = (uint8_t)(h->flags & ~CVY_FLAG_MORE);
  if (in->error) return in->error;
  if (chunk->offset != 0) return 0;
  if (h->kind == CVY_FRAME_FRAG) {
    cvy_frag frag;
    if (find(in, h->group, h->id)) return 0;
    if (cvy_frag_decode(chunk->data, chunk->size, &frag) < 0) return COVEY_EPROTO;
    b.kind = frag.kind;
    b.total = frag.total;
    b.lent = frag.lent;
    /* The whole must be allowed what its parts may: the same rules as for one frame, but for the size. */
    cvy_header whole = {frag.kind, b.flags, h->group, CVY_PREFIX, h->id};
    if (cvy_header_check(&whole) < 0) return COVEY_EPROTO;
    if (!find_free((cvy_intake *)in)) return COVEY_EPROTO;
  }
  if (b.total - (has_prefix(b.kind) ? CVY_PREFIX : 0) > in->max_message) return COVEY_EPROTO;
  if (!is_answer(b.kind) && b.id <= in->last) return COVEY_EPROTO;
  *ret = b;
  return 1;
}

static void begin(cvy_intake *in, const cvy_begin *b, cvy_assembly *a, uint64_t keep, uint64_t arrived)
{
  *a = (cvy_assembly){.id = b->id, .total = b->total, .group = b->group, .kind = b->kind, .flags = b->flags};
  a->used = true;
  in->now = a;
  if (!is_answer(b->kind)) in->last = b->id;
  if (!keep) return;
  uint64_t room = arrived > FIRST_ROOM ? arrived : FIRST_ROOM;
  if (keep > room) room = keep;
  a->item = cvy_item_new(room < b->total ? room : b->total);
  if (!a->item) in->error = COVEY_ENOMEM;
}

/* Does this frame's piece fit in its message: never beyond the total, and the last exactly to its end. */
static bool piece_fits(const cvy_assembly *a, const cvy_header *h, uint64_t piece)
{
  uint64_t rest = a->total - a->have;
  if (h->kind == CVY_FRAME_FRAG && (h->flags & CVY_FLAG_MORE)) return piece < rest;
  return piece == rest;
}

static int append(cvy_assembly *a, const uint8_t *data, uint64_t size)
{
  if (a->item) {
    uint64_t need = a->have + size;
    if (need > a->item->capacity) {
      uint64_t room = a->item->capacity * 2 > need ? a->item->capacity * 2 : need;
      int r = cvy_item_grow(&a->item, room < a->total ? room : a->total);
      if (r < 0) return r;
    }
    uint8_t *to = cvy_item_data(a->item) + a->have;
    if (size && to != data) memcpy(to, data, (size_t)size);
  }
  a->have += size;
  return 0;
}

static cvy_item *finish(cvy_intake *in, cvy_assembly *a)
{
  cvy_item *item = a->item;
  if (item) {
    item->id = a->id;
    item->size = a->total;
    item->group = a->group;
    item->kind = a->kind;
    item->flags = a->flags;
    cvy_item_data(item)[a->total] = 0;
  }
  memset(a, 0, sizeof *a);
  in->whole++;
  return item;
}

/* The first chunk of a frame: finds or makes its message. Returns the bytes of the chunk that are not the message's. */
static int start_frame(cvy_intake *in, const cvy_chunk *chunk, uint64_t keep)
{
  const cvy_header *h = &chunk->header;
  cvy_begin b;
  int prefix = 0, r = cvy_intake_begins(in, chunk, &b);
  if (r < 0) return r;
  if (r > 0) {
    prefix = h->kind == CVY_FRAME_FRAG ? CVY_PREFIX : 0;
    begin(in, &b, h->kind == CVY_FRAME_FRAG ? find_free(in) : &in->one, keep, chunk->size - (uint32_t)prefix);
    if (in->error) return in->error;
  } else {
    in->now = find(in, h->group, h->id);
    if (((h->flags ^ in->now->flags) & ~CVY_FLAG_MORE) != 0) return COVEY_EPROTO;
  }
  return piece_fits(in->now, h, h->size - (uint32_t)prefix) ? prefix : COVEY_EPROTO;
}

int cvy_intake_take(cvy_intake *in, const cvy_chunk *chunk, uint64_t keep, cvy_item **ret_item)
{
  uint32_t skip = 0;
  if (in->error) return in->error;
  if (chunk->offset == 0) {
    int r = start_frame(in, chunk, keep);
    if (r < 0) return in->error = r;
    skip = (uint32_t)r;
  }
  cvy_assembly *a = in->now;
  if (!a) return in->error = COVEY_EPROTO;
  if (append(a, chunk->data + skip, chunk->size - skip) < 0) return in->error = COVEY_ENOMEM;
  if (!chunk->last) return 0;
  in->now = NULL;
  if (a->have < a->total) return 0;
  *ret_item = finish(in, a);
  return 1;
}

uint64_t cvy_intake_held(const cvy_intake *in, size_t *ret_count)
{
  uint64_t held = in->one.item ? in->one.item->capacity : 0;
  size_t count = in->one.used;
  for (int i = 0; i < CVY_ASSEMBLIES; i++) {
    if (in->many[i].item) held += in->many[i].item->capacity;
    count += in->many[i].used;
  }
  if (ret_count) *ret_count = count;
  return held;
}
