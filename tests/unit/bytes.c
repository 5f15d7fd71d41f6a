#include "support/test.h"

#include "core/bytes.h"
#include "core/mem.h"

TEST(bytes, empty)
{
  cvy_bytes b = {0};
  CHECK_UINT(cvy_bytes_size(&b), 0);
  CHECK(cvy_bytes_front(&b) == NULL);
  cvy_bytes_consume(&b, 100);
  CHECK_OK(cvy_bytes_append(&b, NULL, 0));
  CHECK(b.memory == NULL);
  cvy_bytes_fini(&b);
  cvy_bytes_fini(NULL);
}

/* Every byte comes out once and in order, however large the pieces are in which it goes in and out. */
TEST(bytes, keeps_order)
{
  cvy_bytes b = {0};
  uint8_t piece[3000];
  uint8_t in = 0, out = 0;
  size_t waiting = 0;
  for (int round = 0; round < 20000; round++) {
    size_t n = test_random(2) ? test_random(sizeof piece) : test_random(10);
    for (size_t i = 0; i < n; i++) piece[i] = in++;
    if (test_random(2)) {
      REQUIRE_OK(cvy_bytes_append(&b, piece, n));
    } else if (n) {
      uint8_t *room;
      REQUIRE_OK(cvy_bytes_room(&b, n + 7, &room));
      memcpy(room, piece, n);
      cvy_bytes_commit(&b, n);
    }
    waiting += n;
    REQUIRE(cvy_bytes_size(&b) == waiting);
    size_t eat = test_random((uint32_t)(waiting + waiting / 8) + 1);
    if (eat > waiting) eat = waiting;
    const uint8_t *front = cvy_bytes_front(&b);
    for (size_t i = 0; i < eat; i++) REQUIRE(front[i] == out++);
    cvy_bytes_consume(&b, eat);
    waiting -= eat;
  }
  cvy_bytes_fini(&b);
}

/* With much waiting and little coming and going, what is moved stays in proportion to what goes through. */
TEST(bytes, eating_is_not_quadratic)
{
  enum { WAITING = 200000, PIECE = 64, ROUNDS = 100000 };
  cvy_bytes b = {0};
  static uint8_t much[WAITING];
  uint64_t moved = 0;
  REQUIRE_OK(cvy_bytes_append(&b, much, sizeof much));
  for (int i = 0; i < ROUNDS; i++) {
    size_t head = b.head;
    REQUIRE_OK(cvy_bytes_append(&b, much, PIECE));
    if (b.head < head) moved += cvy_bytes_size(&b);
    cvy_bytes_consume(&b, PIECE);
  }
  CHECK(moved <= 2 * (uint64_t)ROUNDS * PIECE + 2 * WAITING);
  CHECK(b.capacity <= 4 * WAITING);
  cvy_bytes_consume(&b, WAITING + PIECE);
  CHECK(b.capacity <= CVY_BYTES_KEPT);
  cvy_bytes_fini(&b);
}

TEST(bytes, out_of_memory)
{
  cvy_bytes b = {0};
  uint8_t *room;
  REQUIRE_OK(cvy_bytes_append(&b, "abc", 3));
  static uint8_t much[5000];
  cvy_mem_fail_after(1);
  CHECK_ERR(cvy_bytes_append(&b, much, sizeof much), COVEY_ENOMEM);
  CHECK_ERR(cvy_bytes_room(&b, SIZE_MAX - 2, &room), COVEY_ENOMEM);
  CHECK_UINT(cvy_bytes_size(&b), 3);
  CHECK_MEM(cvy_bytes_front(&b), "abc", 3);
  REQUIRE_OK(cvy_bytes_append(&b, much, sizeof much));
  CHECK_MEM(cvy_bytes_front(&b), "abc", 3);
  cvy_bytes_fini(&b);
}
