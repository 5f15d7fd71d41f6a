#include "core/frame.h"

#include <string.h>

/* ---- little-endian ---- */

static void put16(uint8_t *p, uint16_t v)
{
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
  put16(p, (uint16_t)v);
  put16(p + 2, (uint16_t)(v >> 16));
}

static void put64(uint8_t *p, uint64_t v)
{
  put32(p, (uint32_t)v);
  put32(p + 4, (uint32_t)(v >> 32));
}

static uint16_t get16(const uint8_t *p)
{
  return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t get32(const uint8_t *p)
{
  return get16(p) | (uint32_t)get16(p + 2) << 16;
}
static uint64_t get64(const uint8_t *p)
{
  return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool all_zero(const uint8_t *p, size_t size)
{
  uint8_t any = 0;
  for (size_t i = 0; i < size; i++) any |= p[i];
  return any == 0;
}

/* ---- the table ---- */

typedef struct kind_rule {
  const char *name; /* NULL: no such kind */
  uint32_t least, most;
  uint8_t flags, group, id, carries;
} kind_rule;

static const kind_rule rules[CVY_FRAME_OPTIONAL] = {
#define RULE(name, number, least, most, flags, group, id, carries)                                           \
  [number] = {#name, least, most, flags, group, id, carries},
    CVY_FRAMES(RULE)
#undef RULE
};

const char *cvy_frame_name(int kind)
{
  if (kind == CVY_FRAME_DOORBELL) return "DOORBELL";
  return kind > 0 && kind < CVY_FRAME_OPTIONAL && rules[kind].name ? rules[kind].name : "?";
}

static bool obeys(uint64_t value, uint8_t rule)
{
  return rule == 2 || (value != 0) == (rule == 1);
}

int cvy_header_check(const cvy_header *h)
{
  if (h->kind >= CVY_FRAME_OPTIONAL) return h->size <= CVY_BODY_MAX ? 0 : COVEY_EPROTO;
  const kind_rule *rule = &rules[h->kind];
  if (!rule->name || h->size < rule->least || h->size > rule->most || (h->flags & ~rule->flags) ||
      !obeys(h->group, rule->group) || !obeys(h->id, rule->id))
    return COVEY_EPROTO;
  return 0;
}

void cvy_header_encode(const cvy_header *h, uint8_t ret[CVY_HEADER])
{
  ret[0] = h->kind;
  ret[1] = h->flags;
  put16(ret + 2, h->group);
  put32(ret + 4, h->size);
  put64(ret + 8, h->id);
}

void cvy_header_decode(const uint8_t data[CVY_HEADER], cvy_header *ret)
{
  ret->kind = data[0];
  ret->flags = data[1];
  ret->group = get16(data + 2);
  ret->size = get32(data + 4);
  ret->id = get64(data + 8);
}

/* ---- decoding a stream ---- */

enum { AT_HEADER = 0, AT_CONTROL, AT_BEGIN, AT_REST, AT_SKIP };

/* Takes up to limit bytes of the input as they lie there. */
static const uint8_t *take(const uint8_t **data, size_t *size, size_t limit, uint32_t *ret_size)
{
  const uint8_t *view = *data;
  size_t n = *size < limit ? *size : limit;
  if (n) *data += n;
  *size -= n;
  *ret_size = (uint32_t)n;
  return view;
}

/* Moves input to to[*have] until *have is want. The whole piece as a view when nothing was gathered yet and it is there in one; NULL: more needed. */
static const uint8_t *gather(const uint8_t **data, size_t *size, uint8_t *to, uint32_t *have, uint32_t want)
{
  uint32_t n;
  if (*have == 0 && *size >= want) return take(data, size, want, &n);
  const uint8_t *from = take(data, size, want - *have, &n);
  if (n) memcpy(to + *have, from, n);
  *have += n;
  if (*have < want) return NULL;
  *have = 0;
  return to;
}

static int tell(cvy_decoder *d, const uint8_t *view, uint32_t size, cvy_chunk *ret)
{
  *ret = (cvy_chunk){.header = d->header, .data = view, .offset = d->done, .size = size};
  d->done += size;
  ret->last = d->done == d->header.size;
  d->state = ret->last ? AT_HEADER : AT_REST;
  return 1;
}

static int doorbells(const uint8_t **data, size_t *size, cvy_chunk *ret)
{
  uint32_t n = 0;
  while (n < *size && n < UINT32_MAX && (*data)[n] == CVY_FRAME_DOORBELL) n++;
  *ret = (cvy_chunk){.data = *data, .size = n, .last = true};
  *data += n;
  *size -= n;
  return 1;
}

/* Reads a header. 0: it is there, and state says what follows. */
static int begin_frame(cvy_decoder *d, const uint8_t *view)
{
  cvy_header_decode(view, &d->header);
  int r = cvy_header_check(&d->header);
  if (r < 0) return r;
  d->done = 0;
  if (d->header.kind >= CVY_FRAME_OPTIONAL)
    d->state = AT_SKIP;
  else
    d->state = rules[d->header.kind].carries ? AT_BEGIN : AT_CONTROL;
  return 0;
}

int cvy_decoder_next(cvy_decoder *d, const uint8_t **data, size_t *size, cvy_chunk *ret)
{
  const uint8_t *view;
  uint32_t n, want;
  while (d->error == 0) {
    switch (d->state) {
    case AT_HEADER:
      if (*size == 0) return 0;
      if (d->have == 0 && **data == CVY_FRAME_DOORBELL) return doorbells(data, size, ret);
      view = gather(data, size, d->begin, &d->have, CVY_HEADER);
      if (!view) return 0;
      d->error = begin_frame(d, view);
      break;
    case AT_CONTROL:
      view = gather(data, size, d->control, &d->have, d->header.size);
      return view ? tell(d, view, d->header.size, ret) : 0;
    case AT_BEGIN:
      want = d->header.size < CVY_PREFIX ? d->header.size : CVY_PREFIX;
      if (d->have == 0 && *size >= want) {
        view = take(data, size, d->header.size, &n);
        return tell(d, view, n, ret);
      }
      view = gather(data, size, d->begin, &d->have, want);
      return view ? tell(d, view, want, ret) : 0;
    case AT_REST:
      if (*size == 0) return 0;
      view = take(data, size, d->header.size - d->done, &n);
      return tell(d, view, n, ret);
    default:
      take(data, size, d->header.size - d->done, &n);
      d->done += n;
      if (d->done < d->header.size) return 0;
      d->state = AT_HEADER;
    }
  }
  return d->error;
}

uint32_t cvy_decoder_rest(const cvy_decoder *d)
{
  return d->error == 0 && d->state == AT_REST ? d->header.size - d->done : 0;
}

bool cvy_decoder_clean(const cvy_decoder *d)
{
  return d->error == 0 && d->state == AT_HEADER && d->have == 0;
}

/* ---- bodies ---- */

/* A text of size bytes at from, as a terminated one. False when it holds a NUL. */
static bool text_in(const uint8_t *from, size_t size, char *to)
{
  if (size && memchr(from, 0, size)) return false;
  if (size) memcpy(to, from, size);
  to[size] = '\0';
  return true;
}

size_t cvy_hello_encode(const cvy_hello *h, uint8_t ret[96 + 255])
{
  memset(ret, 0, 96);
  put32(ret, CVY_MAGIC);
  put16(ret + 4, h->version_least);
  put16(ret + 6, h->version_most);
  put32(ret + 8, h->caps);
  ret[12] = h->name_size;
  put64(ret + 16, h->max_message);
  memcpy(ret + 24, h->instance, sizeof h->instance);
  put64(ret + 40, (uint64_t)h->pid);
  put64(ret + 48, h->start);
  put32(ret + 56, h->window);
  if (h->name_size) memcpy(ret + 96, h->name, h->name_size);
  return 96u + h->name_size;
}

int cvy_hello_decode(const uint8_t *body, size_t size, cvy_hello *ret)
{
  cvy_hello h;
  if (size < 96 || get32(body) != CVY_MAGIC || size != 96u + body[12]) return COVEY_EPROTO;
  h.version_least = get16(body + 4);
  h.version_most = get16(body + 6);
  h.caps = get32(body + 8);
  h.name_size = body[12];
  h.max_message = get64(body + 16);
  memcpy(h.instance, body + 24, sizeof h.instance);
  h.pid = (int64_t)get64(body + 40);
  h.start = get64(body + 48);
  h.window = get32(body + 56);
  if (h.version_least == 0 || h.version_least > h.version_most || h.pid < 0) return COVEY_EPROTO;
  /* What is zero in our version may have a meaning in a later one. */
  if (h.version_most == CVY_VERSION && (!all_zero(body + 13, 3) || !all_zero(body + 60, 36)))
    return COVEY_EPROTO;
  if (!text_in(body + 96, h.name_size, h.name)) return COVEY_EPROTO;
  *ret = h;
  return 0;
}

int cvy_version_choose(const cvy_hello *theirs)
{
  int most = theirs->version_most < CVY_VERSION ? theirs->version_most : CVY_VERSION;
  return most >= CVY_VERSION_LEAST && most >= theirs->version_least ? most : COVEY_EVERSION;
}

size_t cvy_deny_encode(const cvy_deny *d, uint8_t ret[16])
{
  memset(ret, 0, 16);
  put32(ret, d->reason);
  put16(ret + 4, d->version_least);
  put16(ret + 6, d->version_most);
  return 16;
}

int cvy_deny_decode(const uint8_t *body, size_t size, cvy_deny *ret)
{
  if (size != 16 || get32(body) == 0) return COVEY_EPROTO;
  *ret = (cvy_deny){get32(body), get16(body + 4), get16(body + 6)};
  return 0;
}

size_t cvy_bye_encode(const cvy_bye *b, uint8_t ret[16])
{
  put64(ret, b->count);
  put64(ret + 8, b->id);
  return 16;
}

int cvy_bye_decode(const uint8_t *body, size_t size, cvy_bye *ret)
{
  if (size != 16) return COVEY_EPROTO;
  *ret = (cvy_bye){get64(body), get64(body + 8)};
  return 0;
}

size_t cvy_stop_encode(uint32_t grace, uint8_t ret[8])
{
  put32(ret, grace);
  put32(ret + 4, 0);
  return 8;
}

int cvy_stop_decode(const uint8_t *body, size_t size, uint32_t *ret_grace)
{
  if (size != 8 || !all_zero(body + 4, 4)) return COVEY_EPROTO;
  *ret_grace = get32(body);
  return 0;
}

size_t cvy_gap_encode(uint64_t count, uint8_t ret[8])
{
  put64(ret, count);
  return 8;
}

int cvy_gap_decode(const uint8_t *body, size_t size, uint64_t *ret_count)
{
  if (size != 8) return COVEY_EPROTO;
  *ret_count = get64(body);
  return 0;
}

size_t cvy_group_open_encode(const cvy_group_open *g, uint8_t ret[12 + 255])
{
  put32(ret, g->window);
  put32(ret + 4, g->max_count);
  put16(ret + 8, g->flags);
  ret[10] = g->name_size;
  ret[11] = 0;
  if (g->name_size) memcpy(ret + 12, g->name, g->name_size);
  return 12u + g->name_size;
}

int cvy_group_open_decode(const uint8_t *body, size_t size, cvy_group_open *ret)
{
  cvy_group_open g;
  if (size < 13 || size != 12u + body[10] || body[11] != 0) return COVEY_EPROTO;
  g.window = get32(body);
  g.max_count = get32(body + 4);
  g.flags = get16(body + 8);
  g.name_size = body[10];
  if (g.flags & ~CVY_GROUP_ALL) return COVEY_EPROTO;
  if ((g.flags & CVY_GROUP_DROP_NEW) && (g.flags & CVY_GROUP_DROP_OLD)) return COVEY_EPROTO;
  if (!text_in(body + 12, g.name_size, g.name)) return COVEY_EPROTO;
  *ret = g;
  return 0;
}

size_t cvy_credit_encode(const cvy_credit *c, uint8_t ret[16])
{
  put64(ret, c->bytes);
  put32(ret + 8, c->count);
  put32(ret + 12, 0);
  return 16;
}

int cvy_credit_decode(const uint8_t *body, size_t size, cvy_credit *ret)
{
  if (size != 16 || get64(body) > UINT64_C(1) << 62 || !all_zero(body + 12, 4)) return COVEY_EPROTO;
  *ret = (cvy_credit){get64(body), get32(body + 8)};
  return 0;
}

size_t cvy_handle_list_encode(const cvy_handle_list *l, uint8_t ret[CVY_CONTROL_MAX])
{
  memset(ret, 0, 16);
  put32(ret, l->count);
  for (uint32_t i = 0; i < l->count; i++) put64(ret + 16 + 8 * i, l->value[i]);
  return 16 + 8 * (size_t)l->count;
}

int cvy_handle_list_decode(const uint8_t *body, size_t size, cvy_handle_list *ret)
{
  if (size < 24 || size > CVY_CONTROL_MAX || get32(body) != (size - 16) / 8 || size % 8) return COVEY_EPROTO;
  if (!all_zero(body + 4, 12)) return COVEY_EPROTO;
  ret->count = get32(body);
  for (uint32_t i = 0; i < ret->count; i++) ret->value[i] = get64(body + 16 + 8 * i);
  return 0;
}

size_t cvy_frag_encode(const cvy_frag *f, uint8_t ret[CVY_PREFIX])
{
  memset(ret, 0, CVY_PREFIX);
  put64(ret, f->total);
  ret[8] = f->kind;
  put32(ret + 12, f->lent);
  return CVY_PREFIX;
}

int cvy_frag_decode(const uint8_t *body, size_t size, cvy_frag *ret)
{
  if (size < CVY_PREFIX || !all_zero(body + 9, 3)) return COVEY_EPROTO;
  cvy_frag f = {get64(body), body[8], get32(body + 12)};
  if (f.kind >= CVY_FRAME_OPTIONAL || f.kind == CVY_FRAME_FRAG || f.kind == CVY_FRAME_END)
    return COVEY_EPROTO;
  if (!rules[f.kind].carries) return COVEY_EPROTO;
  if (f.total == 0 || f.total < rules[f.kind].least) return COVEY_EPROTO;
  *ret = f;
  return 0;
}

size_t cvy_ask_encode(const cvy_ask *a, uint8_t ret[CVY_PREFIX])
{
  put32(ret, a->left);
  put32(ret + 4, 0);
  put64(ret + 8, a->room);
  return CVY_PREFIX;
}

int cvy_ask_decode(const uint8_t *body, size_t size, cvy_ask *ret)
{
  if (size < CVY_PREFIX || !all_zero(body + 4, 4)) return COVEY_EPROTO;
  *ret = (cvy_ask){get32(body), get64(body + 8)};
  return 0;
}

size_t cvy_pub_encode(const cvy_pub *p, uint8_t ret[CVY_PREFIX])
{
  put64(ret, p->number);
  put32(ret + 8, (uint32_t)p->code);
  put32(ret + 12, p->what | (uint32_t)p->drop_old << 8);
  return CVY_PREFIX;
}

int cvy_pub_decode(const uint8_t *body, size_t size, cvy_pub *ret)
{
  if (size < CVY_PREFIX || !all_zero(body + 14, 2)) return COVEY_EPROTO;
  cvy_pub p = {get64(body), (int32_t)get32(body + 8), body[12], body[13] == 1};
  bool event = p.what == CVY_PUB_BEGIN || p.what == CVY_PUB_END;
  if (!p.number || p.what >= CVY_PUBS || (event && size != CVY_PREFIX)) return COVEY_EPROTO;
  if (body[13] > (p.what == CVY_PUB_BEGIN)) return COVEY_EPROTO;
  if (p.what == CVY_PUB_END ? p.code >= 0 || p.code < COVEY_EFAILED : p.code != 0) return COVEY_EPROTO;
  *ret = p;
  return 0;
}

size_t cvy_prefix_encode(uint32_t value, uint8_t ret[CVY_PREFIX])
{
  memset(ret, 0, CVY_PREFIX);
  put32(ret, value);
  return CVY_PREFIX;
}

int cvy_prefix_decode(const uint8_t *body, size_t size, uint32_t *ret_value)
{
  if (size < CVY_PREFIX || !all_zero(body + 4, 12)) return COVEY_EPROTO;
  *ret_value = get32(body);
  return 0;
}
