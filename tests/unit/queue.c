#include "support/test.h"

#include "core/mem.h"
#include "core/queue.h"

static cvy_item *item(uint64_t id, uint64_t size, int priority, void *owner)
{
  cvy_item *i = cvy_item_new(size);
  REQUIRE(i != NULL);
  i->id = id;
  i->size = size;
  i->flags = (uint8_t)priority;
  i->owner = owner;
  return i;
}

static void push(cvy_queue *q, uint64_t id, uint64_t size, int priority)
{
  cvy_queue_push(q, item(id, size, priority, NULL));
}

static uint64_t take(cvy_queue *q, uint64_t lost)
{
  const cvy_item *seen = cvy_queue_peek(q);
  cvy_item *i = cvy_queue_take(q);
  REQUIRE(i != NULL && i == seen);
  uint64_t id = i->id;
  CHECK(i->next == NULL);
  CHECK_UINT(i->lost, lost);
  cvy_item_free(i);
  return id;
}

static size_t free_list(cvy_item *list)
{
  size_t n = 0;
  for (cvy_item *next; list; list = next, n++) {
    next = list->next;
    cvy_item_free(list);
  }
  return n;
}

static void expect_empty(cvy_queue *q)
{
  CHECK(cvy_queue_take(q) == NULL);
  CHECK(cvy_queue_peek(q) == NULL);
  CHECK_UINT(q->bytes, 0);
  CHECK_UINT(q->count, 0);
  CHECK_UINT(q->used, 0);
}

TEST(item, aligned_and_terminable)
{
  for (uint64_t size = 0; size < 100; size++) {
    cvy_item *i = cvy_item_new(size);
    REQUIRE(i != NULL);
    CHECK_UINT((uintptr_t)cvy_item_data(i) % (sizeof(void *) * 2), 0);
    memset(cvy_item_data(i), 0xff, (size_t)size + 1);
    cvy_item_free(i);
  }
  CHECK(cvy_item_new(UINT64_MAX) == NULL);
  CHECK(cvy_item_new(UINT64_MAX - 70) == NULL);
  cvy_item_free(NULL);
}

TEST(item, large_ones_are_kept)
{
  cvy_item *first = cvy_item_new(65536), *many[20];
  REQUIRE(first != NULL);
  memset(cvy_item_data(first), 0xff, 65537);
  first->flags = 7;
  cvy_item_free(first);
  cvy_item *again = cvy_item_new(60000);
  REQUIRE(again == first);
  CHECK_UINT(again->capacity, 65536);
  CHECK_UINT(again->flags, 0);
  CHECK_UINT(again->size, 0);
  cvy_item *other = cvy_item_new(60000);
  REQUIRE(other != NULL && other != again);
  cvy_item_free(again);
  cvy_item_free(other);
  cvy_item *small = cvy_item_new(1000), *larger = cvy_item_new(70000);
  REQUIRE(small != NULL && larger != NULL);
  CHECK_UINT(small->capacity, 1000); /* no large one for a small one, */
  CHECK_UINT(larger->capacity, 70000);
  cvy_item_free(small);
  cvy_item_free(larger);
  for (size_t i = 0; i < 20; i++) { /* and never many: the others go, as a leak would tell */
    many[i] = cvy_item_new(300000);
    REQUIRE(many[i] != NULL);
  }
  for (size_t i = 0; i < 20; i++) cvy_item_free(many[i]);
  cvy_item *least = cvy_item_new(16384);
  REQUIRE(least != NULL);
  CHECK(least->capacity < 300000); /* nor a very large one for a large one */
  cvy_item_free(least);
}

static void use_items(void *arg)
{
  unsigned char mark = *(unsigned char *)arg;
  for (int i = 0; i < 2000; i++) {
    cvy_item *a = cvy_item_new(20000), *b = cvy_item_new(30000);
    REQUIRE(a != NULL && b != NULL && a != b);
    cvy_item_data(a)[0] = cvy_item_data(a)[20000] = mark;
    cvy_item_data(b)[0] = cvy_item_data(b)[30000] = mark;
    CHECK_INT(cvy_item_data(a)[0], mark);
    CHECK_INT(cvy_item_data(a)[20000], mark);
    CHECK_INT(cvy_item_data(b)[30000], mark);
    cvy_item_free(a);
    cvy_item_free(b);
  }
}

TEST(item, kept_ones_are_one_threads_at_a_time)
{
  test_thread *threads[4];
  unsigned char marks[4] = {1, 2, 3, 4};
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(use_items, &marks[i]);
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
}

TEST(item, grows)
{
  cvy_item *i = item(5, 3, 1, NULL);
  memcpy(cvy_item_data(i), "abc", 3);
  CHECK_OK(cvy_item_grow(&i, 2));
  CHECK_UINT(i->capacity, 3);
  CHECK_ERR(cvy_item_grow(&i, UINT64_MAX), COVEY_ENOMEM);
  cvy_mem_fail_after(1);
  CHECK_ERR(cvy_item_grow(&i, 5000), COVEY_ENOMEM);
  CHECK_UINT(i->capacity, 3);
  REQUIRE_OK(cvy_item_grow(&i, 5000));
  CHECK_UINT(i->capacity, 5000);
  CHECK_UINT(i->id, 5);
  CHECK_MEM(cvy_item_data(i), "abc", 3);
  cvy_item_free(i);
}

TEST(queue, keeps_order_in_a_priority)
{
  cvy_queue q;
  cvy_queue_init(&q, 0, 0, true);
  for (uint64_t i = 0; i < 40; i++) push(&q, i, i, (int)(i % 8));
  for (int p = 7; p >= 0; p--) {
    for (uint64_t i = 0; i < 5; i++) CHECK_UINT(take(&q, 0), (uint64_t)p + 8 * i);
  }
  expect_empty(&q);
}

TEST(queue, without_priorities_order_of_arrival)
{
  cvy_queue q;
  cvy_queue_init(&q, 0, 0, false);
  for (uint64_t i = 0; i < 20; i++) push(&q, i, 1, (int)(i % 8));
  for (uint64_t i = 0; i < 20; i++) CHECK_UINT(take(&q, 0), i);
  expect_empty(&q);
}

TEST(queue, a_higher_one_overtakes_at_any_time)
{
  cvy_queue q;
  cvy_queue_init(&q, 0, 0, true);
  push(&q, 1, 1, 0);
  push(&q, 2, 1, 0);
  CHECK_UINT(take(&q, 0), 1);
  push(&q, 3, 1, 7);
  push(&q, 4, 1, 3);
  CHECK_UINT(take(&q, 0), 3);
  CHECK_UINT(take(&q, 0), 4);
  CHECK_UINT(take(&q, 0), 2);
  expect_empty(&q);
}

TEST(queue, limits)
{
  cvy_queue q;
  cvy_queue_init(&q, 300, 0, false);
  CHECK(cvy_queue_fits(&q, 1000000)); /* alone it may be as large as it likes */
  push(&q, 1, 100, 0);
  CHECK_UINT(q.bytes, 164);
  CHECK(cvy_queue_fits(&q, 72));
  CHECK(!cvy_queue_fits(&q, 73));
  CHECK(!cvy_queue_fits(&q, UINT64_MAX));
  push(&q, 2, 72, 0);
  CHECK(!cvy_queue_fits(&q, 0));
  push(&q, 3, 500, 0); /* lent room is honoured */
  CHECK(!cvy_queue_fits(&q, 0));
  for (uint64_t i = 1; i <= 3; i++) CHECK_UINT(take(&q, 0), i);
  expect_empty(&q);

  cvy_queue_init(&q, 0, 2, false);
  push(&q, 1, 1, 0);
  CHECK(cvy_queue_fits(&q, UINT64_MAX - 1000));
  push(&q, 2, 1, 0);
  CHECK(!cvy_queue_fits(&q, 0));
  CHECK_UINT(free_list(cvy_queue_remove(&q, NULL)), 2);
  expect_empty(&q);
}

TEST(queue, evicts_the_oldest_of_the_lowest)
{
  cvy_queue q;
  cvy_queue_init(&q, 4 * 65, 0, true);
  push(&q, 1, 1, 5);
  push(&q, 2, 1, 0);
  push(&q, 3, 1, 0);
  push(&q, 4, 1, 5);
  cvy_item *out = cvy_queue_evict(&q, 1);
  REQUIRE(out != NULL);
  CHECK_UINT(out->id, 2);
  CHECK(out->next == NULL);
  cvy_item_free(out);
  CHECK(cvy_queue_evict(&q, 1) == NULL);
  push(&q, 5, 1, 7);
  out = cvy_queue_evict(&q, 2 * 65 - 64);
  REQUIRE(out != NULL && out->next != NULL);
  CHECK_UINT(out->id, 3);
  CHECK_UINT(out->next->id, 1);
  CHECK_UINT(free_list(out), 2);
  CHECK_UINT(take(&q, 3), 5);
  CHECK_UINT(take(&q, 0), 4);
  expect_empty(&q);
  CHECK(cvy_queue_evict(&q, 100000) == NULL);
}

TEST(queue, counts_what_was_lost)
{
  cvy_queue q;
  cvy_queue_init(&q, 0, 1, false);
  cvy_queue_skip(&q, 5);
  push(&q, 1, 1, 0);
  CHECK_UINT(free_list(cvy_queue_evict(&q, 1)), 1);
  push(&q, 2, 1, 0);
  push(&q, 3, 1, 0);
  CHECK_UINT(take(&q, 6), 2);
  cvy_queue_skip(&q, 1);
  CHECK_UINT(take(&q, 1), 3);
  expect_empty(&q);
}

TEST(queue, removes_one_owner)
{
  cvy_queue q;
  int a, b;
  cvy_queue_init(&q, 0, 0, true);
  for (uint64_t i = 0; i < 30; i++) cvy_queue_push(&q, item(i, 10, (int)(i % 3), i % 2 ? &a : &b));
  CHECK(cvy_queue_remove(&q, &q) == NULL);
  CHECK_UINT(q.count, 30);
  cvy_item *gone = cvy_queue_remove(&q, &a);
  for (const cvy_item *i = gone; i; i = i->next) CHECK(i->owner == &a);
  CHECK_UINT(free_list(gone), 15);
  CHECK_UINT(q.count, 15);
  CHECK_UINT(q.bytes, 15 * 74);
  uint64_t last = 0;
  for (int p = 2; p >= 0; p--) {
    for (int n = 0; n < 5; n++) {
      uint64_t id = take(&q, 0);
      CHECK_UINT(id % 2, 0);
      CHECK_UINT(id % 3, (uint64_t)p);
      CHECK(n == 0 || id > last);
      last = id;
    }
  }
  expect_empty(&q);
}

TEST(queue, picks_one_wherever_it_stands)
{
  for (int ordered = 0; ordered < 2; ordered++) {
    for (uint64_t n = 1; n <= 6; n++) {
      for (uint64_t which = 0; which < n; which++) {
        cvy_queue q;
        cvy_item *items[6];
        cvy_queue_init(&q, 0, 0, ordered);
        for (uint64_t i = 0; i < n; i++) {
          items[i] = item(i, 10, (int)(i % 2), NULL);
          cvy_queue_push(&q, items[i]);
        }
        cvy_queue_pick(&q, items[which]);
        CHECK(items[which]->next == NULL);
        cvy_item_free(items[which]);
        CHECK_UINT(q.count, n - 1);
        CHECK_UINT(q.bytes, (n - 1) * 74);
        cvy_queue_push(&q, item(8, 10, 0, NULL)); /* the end of the list is where it should be */
        for (int p = 1; p >= 0; p--) {
          for (uint64_t i = 0; i < n; i++)
            if (i != which && (ordered ? i % 2 == (uint64_t)p : p == 1)) CHECK_UINT(take(&q, 0), i);
          if (ordered ? p == 0 : p == 1) CHECK_UINT(take(&q, 0), 8);
        }
        expect_empty(&q);
      }
    }
  }
}
