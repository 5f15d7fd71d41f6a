#include "core/queue.h"
#include "core/atomics.h"
#include "core/mem.h"

#include <string.h>

/* At most so far lie an item's bytes behind its begin: malloc aligns to 8 at least (32-bit Windows and ARM), elsewhere to 16. */
#define ITEM_HEAD ((sizeof(cvy_item) + 8 + 15) & ~(size_t)15)

/* ---- the shelf: a few freed items of a size that allocators give back to the system, which then clears page after page for the next one ---- */

#define SHELF_SLOTS 8
#define SHELF_LEAST ((uint64_t)16 * 1024)
#define SHELF_MOST  ((uint64_t)1024 * 1024)
#define SHELF_BYTES ((uint32_t)2 * 1024 * 1024) /* in all, for the whole process */

static void *shelf[SHELF_SLOTS]; /* atomic; owned by who exchanges it out */
static uint32_t shelf_bytes;     /* atomic */

/* An item of at least capacity, and not of far more; NULL: none is there. */
static cvy_item *shelf_take(uint64_t capacity)
{
  if (capacity < SHELF_LEAST || capacity > SHELF_MOST) return NULL;
  for (int i = 0; i < SHELF_SLOTS; i++) {
    if (!cvy_load_relaxed_ptr(&shelf[i])) continue;
    cvy_item *item = cvy_exchange_ptr(&shelf[i], NULL);
    if (!item) continue;
    void *empty = NULL;
    bool fits = item->capacity >= capacity && item->capacity / 4 <= capacity;
    if (!fits && cvy_cas_ptr(&shelf[i], &empty, item)) continue;
    cvy_add_u32(&shelf_bytes, 0u - (uint32_t)item->capacity);
    if (fits) return item;
    cvy_free(item);
  }
  return NULL;
}

static bool shelf_put(cvy_item *item)
{
  if (item->capacity < SHELF_LEAST || item->capacity > SHELF_MOST) return false;
  uint32_t size = (uint32_t)item->capacity;
  if (cvy_add_u32(&shelf_bytes, size) + size <= SHELF_BYTES) {
    for (int i = 0; i < SHELF_SLOTS; i++) {
      void *empty = NULL;
      if (cvy_cas_ptr(&shelf[i], &empty, item)) return true;
    }
  }
  cvy_add_u32(&shelf_bytes, 0u - size);
  return false;
}

cvy_item *cvy_item_new(uint64_t capacity)
{
  cvy_item *item = shelf_take(capacity);
  if (item) {
    capacity = item->capacity;
  } else {
    if (capacity > SIZE_MAX - ITEM_HEAD - 1) return NULL;
    item = cvy_alloc(ITEM_HEAD + (size_t)capacity + 1);
    if (!item) return NULL;
  }
  memset(item, 0, sizeof *item);
  item->capacity = capacity;
  return item;
}

int cvy_item_grow(cvy_item **item, uint64_t capacity)
{
  if (capacity <= (*item)->capacity) return 0;
  if (capacity > SIZE_MAX - ITEM_HEAD - 1) return COVEY_ENOMEM;
  size_t kept = (size_t)(*item)->capacity, at = (size_t)(cvy_item_data(*item) - (uint8_t *)*item);
  cvy_item *larger = cvy_realloc(*item, ITEM_HEAD + (size_t)capacity + 1);
  if (!larger) return COVEY_ENOMEM;
  uint8_t *from = (uint8_t *)larger + at, *to = cvy_item_data(larger);
  if (from != to) memmove(to, from, kept);
  larger->capacity = capacity;
  *item = larger;
  return 0;
}

uint8_t *cvy_item_data(cvy_item *item)
{
  uint8_t *end = (uint8_t *)(item + 1);
  return end + ((0 - (uintptr_t)end) & 15);
}

int cvy_item_priority(const cvy_item *item)
{
  return item->flags & 7;
}

uint64_t cvy_item_charge(const cvy_item *item)
{
  return item->size + CVY_CHARGE_FIXED;
}

void cvy_item_free(cvy_item *item)
{
  if (item && item->attached) item->detach(item->attached);
  if (item && !shelf_put(item)) cvy_free(item);
}

void cvy_queue_init(cvy_queue *q, uint64_t max_bytes, uint64_t max_count, bool ordered)
{
  memset(q, 0, sizeof *q);
  q->max_bytes = max_bytes ? max_bytes : UINT64_MAX;
  q->max_count = max_count ? max_count : UINT64_MAX;
  q->ordered = ordered;
}

bool cvy_queue_fits(const cvy_queue *q, uint64_t size)
{
  if (q->count == 0) return true;
  if (q->count >= q->max_count || q->bytes >= q->max_bytes) return false;
  uint64_t room = q->max_bytes - q->bytes;
  return room >= CVY_CHARGE_FIXED && room - CVY_CHARGE_FIXED >= size;
}

static void append(cvy_queue *q, int n, cvy_item *item)
{
  item->next = NULL;
  if (q->level[n].last)
    q->level[n].last->next = item;
  else
    q->level[n].first = item;
  q->level[n].last = item;
  q->used = (uint8_t)(q->used | 1u << n);
  q->bytes += cvy_item_charge(item);
  q->count++;
}

void cvy_queue_push(cvy_queue *q, cvy_item *item)
{
  append(q, q->ordered ? cvy_item_priority(item) : 0, item);
}

static int highest(const cvy_queue *q)
{
  int n = 7;
  while (!(q->used & 1u << n)) n--;
  return n;
}

static int lowest(const cvy_queue *q)
{
  int n = 0;
  while (!(q->used & 1u << n)) n++;
  return n;
}

static cvy_item *unlink_first(cvy_queue *q, int n)
{
  cvy_item *item = q->level[n].first;
  q->level[n].first = item->next;
  if (!item->next) {
    q->level[n].last = NULL;
    q->used = (uint8_t)(q->used & ~(1u << n));
  }
  item->next = NULL;
  q->bytes -= cvy_item_charge(item);
  q->count--;
  return item;
}

cvy_item *cvy_queue_take(cvy_queue *q)
{
  if (q->count == 0) return NULL;
  cvy_item *item = unlink_first(q, highest(q));
  item->lost = q->gap;
  q->gap = 0;
  return item;
}

const cvy_item *cvy_queue_peek(const cvy_queue *q)
{
  return q->count ? q->level[highest(q)].first : NULL;
}

cvy_item *cvy_queue_evict(cvy_queue *q, uint64_t size)
{
  cvy_item *list = NULL, **end = &list;
  while (!cvy_queue_fits(q, size)) {
    *end = unlink_first(q, lowest(q));
    end = &(*end)->next;
    q->gap++;
  }
  return list;
}

void cvy_queue_skip(cvy_queue *q, uint64_t n)
{
  q->gap += n;
}

void cvy_queue_pick(cvy_queue *q, cvy_item *item)
{
  int n = q->ordered ? cvy_item_priority(item) : 0;
  cvy_item *before = NULL;
  if (q->level[n].first == item) {
    unlink_first(q, n);
    return;
  }
  for (cvy_item *i = q->level[n].first; i != item; i = i->next) before = i;
  before->next = item->next;
  if (!item->next) q->level[n].last = before;
  item->next = NULL;
  q->bytes -= cvy_item_charge(item);
  q->count--;
}

cvy_item *cvy_queue_remove(cvy_queue *q, const void *owner)
{
  cvy_item *list = NULL, **end = &list;
  for (int n = 7; n >= 0; n--) {
    cvy_item *item = q->level[n].first;
    q->level[n].first = q->level[n].last = NULL;
    q->used = (uint8_t)(q->used & ~(1u << n));
    while (item) {
      cvy_item *next = item->next;
      q->bytes -= cvy_item_charge(item);
      q->count--;
      item->next = NULL;
      if (owner && item->owner != owner) {
        append(q, n, item);
      } else {
        *end = item;
        end = &item->next;
      }
      item = next;
    }
  }
  return list;
}
