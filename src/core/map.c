#include "core/map.h"
#include "core/mem.h"

#include <string.h>

/* The finalizer of MurmurHash3: every bit of the key reaches every bit of the result. */
static uint64_t mix(uint64_t x)
{
  x ^= x >> 33;
  x *= UINT64_C(0xff51afd7ed558ccd);
  x ^= x >> 33;
  x *= UINT64_C(0xc4ceb9fe1a85ec53);
  return x ^ x >> 33;
}

static size_t bucket_of(const cvy_map *map, uint64_t key)
{
  return (size_t)(mix(key ^ map->seed) >> (64 - map->bits));
}

int cvy_map_init(cvy_map *map, uint64_t seed)
{
  cvy_map_node **buckets = cvy_alloc_zero(16, sizeof *buckets);
  if (!buckets) return COVEY_ENOMEM;
  *map = (cvy_map){.buckets = buckets, .bits = 4, .seed = seed};
  return 0;
}

void cvy_map_fini(cvy_map *map)
{
  if (!map) return;
  cvy_free(map->buckets);
  memset(map, 0, sizeof *map);
}

static void grow(cvy_map *map)
{
  if (map->bits >= 30) return;
  cvy_map larger = *map;
  larger.bits++;
  larger.buckets = cvy_alloc_zero((size_t)1 << larger.bits, sizeof *larger.buckets);
  if (!larger.buckets) return;
  for (size_t i = 0; i < (size_t)1 << map->bits; i++) {
    for (cvy_map_node *node = map->buckets[i], *next; node; node = next) {
      next = node->next;
      size_t to = bucket_of(&larger, node->key);
      node->next = larger.buckets[to];
      larger.buckets[to] = node;
    }
  }
  cvy_free(map->buckets);
  *map = larger;
}

void cvy_map_add(cvy_map *map, cvy_map_node *node, uint64_t key)
{
  if (map->count >= (size_t)1 << map->bits) grow(map);
  size_t i = bucket_of(map, key);
  node->key = key;
  node->next = map->buckets[i];
  map->buckets[i] = node;
  map->count++;
}

static cvy_map_node *with_key(cvy_map_node *node, uint64_t key)
{
  while (node && node->key != key) node = node->next;
  return node;
}

cvy_map_node *cvy_map_find(const cvy_map *map, uint64_t key)
{
  return with_key(map->buckets[bucket_of(map, key)], key);
}

cvy_map_node *cvy_map_again(const cvy_map_node *node)
{
  return with_key(node->next, node->key);
}

bool cvy_map_remove(cvy_map *map, cvy_map_node *node)
{
  cvy_map_node **at = &map->buckets[bucket_of(map, node->key)];
  while (*at && *at != node) at = &(*at)->next;
  if (!*at) return false;
  *at = node->next;
  node->next = NULL;
  map->count--;
  return true;
}

cvy_map_node *cvy_map_next(const cvy_map *map, const cvy_map_node *node)
{
  if (node && node->next) return node->next;
  if (!map->buckets) return NULL;
  for (size_t i = node ? bucket_of(map, node->key) + 1 : 0; i < (size_t)1 << map->bits; i++) {
    if (map->buckets[i]) return map->buckets[i];
  }
  return NULL;
}

/* FNV-1a, whose weak low bits are mixed by bucket_of. */
uint64_t cvy_map_hash(uint64_t seed, const void *data, size_t size)
{
  const uint8_t *p = data;
  uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;
  for (size_t i = 0; i < size; i++) hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
  return hash;
}
