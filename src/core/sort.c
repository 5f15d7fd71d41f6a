#include "core/sort.h"
#include "core/mem.h"

#include <string.h>

static void merge(void **from, size_t left, size_t middle, size_t right, void **to, cvy_compare *compare)
{
  size_t a = left, b = middle;
  for (size_t i = left; i < right; i++) {
    bool take_left = b == right || (a < middle && compare(from[a], from[b]) <= 0);
    to[i] = take_left ? from[a++] : from[b++];
  }
}

bool cvy_sort(void **items, size_t count, cvy_compare *compare)
{
  if (count < 2) return true;
  void **scratch = cvy_realloc_array(NULL, count, sizeof *scratch);
  if (!scratch) return false;
  void **from = items, **to = scratch;
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t left = 0; left < count; left += 2 * width) {
      size_t middle = count - left > width ? left + width : count;
      size_t right = count - left > 2 * width ? left + 2 * width : count;
      merge(from, left, middle, right, to, compare);
    }
    void **swap = from;
    from = to;
    to = swap;
  }
  if (from != items) memcpy(items, from, count * sizeof *items);
  cvy_free(scratch);
  return true;
}
