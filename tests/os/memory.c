/* Memory that is made ready. */
#include "os/memory.h"
#include "support/test.h"
#include "core/mem.h"

TEST(memory, stays_what_it_was)
{
  size_t size = (size_t)3 << 20;
  unsigned char *p = cvy_alloc(size);
  REQUIRE(p);
  test_make_pattern(p, size / 2, 7);
  cvos_memory_ready(p, 0);
  cvos_memory_ready(p + 1, 1);
  cvos_memory_ready(p + 4095, size - 4095 - 3);
  cvos_memory_ready(p, size);
  CHECK(test_is_pattern(p, size / 2, 7));
  test_make_pattern(p + size / 2, size / 2, 9);
  CHECK(test_is_pattern(p + size / 2, size / 2, 9));
  cvos_memory_ready(p, size);
  CHECK(test_is_pattern(p, size / 2, 7));
  CHECK(test_is_pattern(p + size / 2, size / 2, 9));
  cvy_free(p);
}
