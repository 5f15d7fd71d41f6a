#include "support/test.h"

#include "core/map.h"
#include "core/mem.h"

typedef struct thing {
  int number;
  cvy_map_node node;
  bool in, seen;
} thing;

#define THINGS 3000
static thing things[THINGS];

static uint64_t key_of(int i)
{
  return (uint64_t)(i / 2) * 4096;
} /* two of each; round numbers, as pids and pointers are */

static bool has(const cvy_map *map, int i)
{
  for (cvy_map_node *n = cvy_map_find(map, key_of(i)); n; n = cvy_map_again(n)) {
    REQUIRE(n->key == key_of(i));
    if (CVY_MAP_OF(n, thing, node) == &things[i]) return true;
  }
  return false;
}

static void compare(cvy_map *map)
{
  size_t in = 0, walked = 0;
  for (int i = 0; i < THINGS; i++) {
    CHECK(has(map, i) == things[i].in);
    in += things[i].in;
    things[i].seen = false;
  }
  CHECK_UINT(map->count, in);
  for (cvy_map_node *n = cvy_map_next(map, NULL); n; n = cvy_map_next(map, n), walked++) {
    thing *t = CVY_MAP_OF(n, thing, node);
    CHECK(t->in && !t->seen);
    t->seen = true;
  }
  CHECK_UINT(walked, in);
}

TEST(map, holds_what_was_added)
{
  cvy_map map;
  REQUIRE_OK(cvy_map_init(&map, 12345));
  CHECK(cvy_map_next(&map, NULL) == NULL);
  for (int round = 0; round < 20; round++) {
    for (int n = 0; n < 1000; n++) {
      int i = (int)test_random(THINGS);
      if (things[i].in) {
        CHECK(cvy_map_remove(&map, &things[i].node));
        CHECK(!cvy_map_remove(&map, &things[i].node));
      } else {
        cvy_map_add(&map, &things[i].node, key_of(i));
      }
      things[i].in = !things[i].in;
    }
    compare(&map);
  }
  cvy_map_fini(&map);
  cvy_map_fini(&map);
  cvy_map_fini(NULL);
  CHECK(cvy_map_next(&map, NULL) == NULL);
}

/* Adding cannot fail: without memory for more buckets the chains become longer. */
TEST(map, adds_without_memory)
{
  cvy_map map;
  cvy_mem_fail_after(1);
  CHECK_ERR(cvy_map_init(&map, 1), COVEY_ENOMEM);
  REQUIRE_OK(cvy_map_init(&map, 1));
  for (int i = 0; i < 500; i++) {
    cvy_mem_fail_after(1);
    cvy_map_add(&map, &things[i].node, key_of(i));
    things[i].in = true;
  }
  cvy_mem_fail_after(0);
  CHECK_UINT(map.bits, 4);
  compare(&map);
  cvy_map_add(&map, &things[500].node, key_of(500));
  things[500].in = true;
  CHECK_UINT(map.bits, 5);
  compare(&map);
  cvy_map_fini(&map);
}

TEST(map, spreads_round_keys)
{
  cvy_map map;
  REQUIRE_OK(cvy_map_init(&map, 99));
  for (int i = 0; i < THINGS; i++) cvy_map_add(&map, &things[i].node, (uint64_t)i << 20);
  size_t longest = 0;
  for (size_t b = 0; b < (size_t)1 << map.bits; b++) {
    size_t n = 0;
    for (cvy_map_node *node = map.buckets[b]; node; node = node->next) n++;
    if (n > longest) longest = n;
  }
  CHECK(longest < 16); /* chance gives 6 to 8 */
  cvy_map_fini(&map);
}

TEST(map, hash_of_text)
{
  CHECK(cvy_map_hash(1, "jobs", 4) == cvy_map_hash(1, "jobs+", 4));
  CHECK(cvy_map_hash(1, "jobs", 4) != cvy_map_hash(2, "jobs", 4));
  CHECK(cvy_map_hash(1, "jobs", 4) != cvy_map_hash(1, "job", 3));
  CHECK(cvy_map_hash(1, "", 0) == cvy_map_hash(1, NULL, 0));
}
