/* The first and the last bytes of a stream, beside a model that keeps all of it. */
#include "support/test.h"

#include "core/ends.h"

enum { LONGEST = 40 };

typedef struct scene {
  cvy_ends ends;
  char memory[LONGEST];
  size_t limit, size;
} scene;

static void scene_put(scene *s, const char *data, size_t size)
{
  size_t room = s->limit - s->size, now = size < room ? size : room;

  memcpy(s->memory + s->size, data, now);
  s->size += now;
  if (size > now) cvy_ends_put(&s->ends, s->memory, data + now, size - now);
}

static char byte_at(size_t i)
{
  return (char)('A' + (int)(i % 64));
}

/* What has to be kept of a stream of total bytes. */
static size_t expected(size_t limit, size_t total, char *ret)
{
  size_t head = limit - limit / 2, n = 0;

  if (total <= limit) {
    for (; n < total; n++) ret[n] = byte_at(n);
    return n;
  }
  for (; n < head; n++) ret[n] = byte_at(n);
  for (size_t i = total - limit / 2; i < total; i++) ret[n++] = byte_at(i);
  return n;
}

/* All of it by runs from every place on, then in order. */
static void expect(scene *s, size_t total)
{
  char want[LONGEST];
  size_t size = expected(s->limit, total, want), run;

  REQUIRE(s->size == size);
  CHECK_UINT(s->ends.dropped, total > s->limit ? total - s->limit : 0);
  if (total <= s->limit) {
    CHECK_MEM(s->memory, want, size);
    return;
  }
  for (size_t from = 0; from < size; from++)
    for (size_t at = from; at < size; at += run) {
      size_t place = cvy_ends_run(&s->ends, at, &run);

      REQUIRE(run > 0 && at + run <= size && place + run <= s->limit);
      CHECK(at >= s->ends.head || at + run <= s->ends.head); /* never over the gap */
      CHECK_MEM(s->memory + place, want + at, run);
    }
  cvy_ends_straighten(&s->ends, s->memory);
  CHECK_MEM(s->memory, want, size);
  cvy_ends_straighten(&s->ends, s->memory);
  CHECK_MEM(s->memory, want, size);
}

/* Every limit, every length, in pieces of every size, with one cut more at every place. */
TEST(ends, like_the_model)
{
  char all[LONGEST];

  for (size_t i = 0; i < sizeof all; i++) all[i] = byte_at(i);
  for (size_t limit = 1; limit <= 9; limit++)
    for (size_t total = 0; total <= 32; total++)
      for (size_t piece = 1; piece <= 11; piece++)
        for (size_t cut = 0; cut <= total; cut++) {
          scene s = {.limit = limit};

          cvy_ends_init(&s.ends, limit);
          for (size_t at = 0; at < total;) {
            size_t n = total - at < piece ? total - at : piece;

            if (at < cut && cut < at + n) n = cut - at;
            scene_put(&s, all + at, n);
            at += n;
          }
          expect(&s, total);
        }
}

/* It goes on after it was put in order. */
TEST(ends, goes_on)
{
  char all[LONGEST];

  for (size_t i = 0; i < sizeof all; i++) all[i] = byte_at(i);
  for (size_t before = 0; before <= 20; before++) {
    scene s = {.limit = 7};

    cvy_ends_init(&s.ends, 7);
    scene_put(&s, all, before);
    if (before > 7) cvy_ends_straighten(&s.ends, s.memory);
    scene_put(&s, all + before, 30 - before);
    expect(&s, 30);
  }
}

TEST(ends, nothing_is_no_change)
{
  scene s = {.limit = 4};

  cvy_ends_init(&s.ends, 4);
  scene_put(&s, "ABCDEFG", 7);
  cvy_ends_put(&s.ends, s.memory, "", 0);
  expect(&s, 7);
}
