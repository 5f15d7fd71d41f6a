/* core/map.h: a hash map whose nodes live in the user's objects: nothing is allocated for an entry, so adding
 * cannot fail for want of memory once the map is made. Not for several threads at a time.
 *
 * Keys are 64-bit numbers. Text is looked up by cvy_map_hash of it, and compared by the user over all nodes
 * of that key:
 *
 *   for (n = cvy_map_find(&map, cvy_map_hash(map.seed, name, size)); n; n = cvy_map_again(n))
 *     if (strcmp(CVY_MAP_OF(n, struct group, node)->name, name) == 0) ... */
#ifndef COVEY_CORE_MAP_H
#define COVEY_CORE_MAP_H

#include "os/types.h"

typedef struct cvy_map_node {
  struct cvy_map_node *next; /* in its bucket */
  uint64_t key;
} cvy_map_node;

typedef struct cvy_map {
  cvy_map_node **buckets; /* owned */
  size_t count;
  uint32_t bits; /* 1 << bits buckets */
  uint64_t seed; /* mixed into every key: whoever chooses keys cannot choose their buckets */
} cvy_map;

/* The object that node is part of. */
#define CVY_MAP_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* seed: a random number. Errors: COVEY_ENOMEM. */
int cvy_map_init(cvy_map *map, uint64_t seed);

/* Releases the buckets; the nodes are the user's. map may be NULL or all zero. */
void cvy_map_fini(cvy_map *map);

/* Adds node (borrowed until removed) under key. Equal keys live side by side. Grows when it can; without
 * memory it only becomes slower. */
void cvy_map_add(cvy_map *map, cvy_map_node *node, uint64_t key);

cvy_map_node *cvy_map_find(const cvy_map *map, uint64_t key); /* one with this key; NULL: none */
cvy_map_node *cvy_map_again(const cvy_map_node *node);        /* the next one with the same key; NULL: none */

/* Takes node out. True when it was in. */
bool cvy_map_remove(cvy_map *map, cvy_map_node *node);

/* Walks over all nodes, in no order: NULL starts, NULL ends. Nothing may be added meanwhile; the node that
 * was returned may be removed once its successor is known. */
cvy_map_node *cvy_map_next(const cvy_map *map, const cvy_map_node *node);

/* A key for size bytes of text. */
uint64_t cvy_map_hash(uint64_t seed, const void *data, size_t size);

#endif
