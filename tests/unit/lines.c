/* Lines, beside a model that sees the whole text at once; and pieces of several streams. */
#include "support/test.h"

#include "core/lines.h"
#include "core/mem.h"
#include "core/pieces.h"

enum { MOST = 4000 };

/* All lines as one text: [flags:bytes] for each. */
typedef struct told {
  char text[MOST];
  size_t size;
} told;

static void tell(told *t, const char *data, size_t size, uint32_t flags)
{
  REQUIRE(t->size + size + 4 < sizeof t->text);
  t->text[t->size++] = '[';
  t->text[t->size++] = (char)('0' + (int)flags);
  memcpy(t->text + t->size, data, size);
  t->size += size;
  t->text[t->size++] = ']';
}

/* What must come of a whole text. */
static void expect(told *t, const char *data, size_t size, size_t longest)
{
  while (size) {
    const char *end = memchr(data, '\n', size);
    size_t raw = end ? (size_t)(end - data) : size, line = raw;
    uint32_t flags = end ? 0 : CVY_LINE_OPEN;

    if (end && raw && data[raw - 1] == '\r') {
      line--;
      flags = CVY_LINE_CRLF;
    }
    for (; line > longest; data += longest, size -= longest, raw -= longest, line -= longest)
      tell(t, data, longest, CVY_LINE_MORE);
    tell(t, data, line, flags);
    data += raw + (end != NULL);
    size -= raw + (end != NULL);
  }
}

static void hand_in(told *t, cvy_lines *l, const char *data, size_t size)
{
  char *copy = malloc(size ? size : 1); /* of its size: a reader beyond it is seen */
  const char *at = copy;
  cvy_line line;
  int r;

  REQUIRE(copy != NULL);
  memcpy(copy, data, size);
  while ((r = cvy_lines_next(l, &at, &size, &line)) == 1) tell(t, line.data, line.size, line.flags);
  CHECK_INT(r, 0);
  CHECK_UINT(size, 0);
  CHECK(l->capacity <= l->longest + 2);
  free(copy);
}

/* The text, cut at two places. */
static void check(const char *text, size_t size, size_t longest, size_t first, size_t second)
{
  told want = {.size = 0}, got = {.size = 0};
  cvy_lines l;
  cvy_line line;

  expect(&want, text, size, longest);
  cvy_lines_init(&l, longest);
  hand_in(&got, &l, text, first);
  hand_in(&got, &l, text + first, second - first);
  hand_in(&got, &l, text + second, size - second);
  while (cvy_lines_end(&l, &line)) tell(&got, line.data, line.size, line.flags);
  CHECK_INT(cvy_lines_end(&l, &line), 0);
  cvy_lines_fini(&l);
  if (got.size == want.size && memcmp(got.text, want.text, got.size) == 0) return;
  TEST_FAIL("%.*s, longest %zu, cut at %zu and %zu: %.*s, not %.*s", (int)size, text, longest, first, second,
            (int)got.size, got.text, (int)want.size, want.text);
}

/* Every text of a small alphabet, cut at every two places, with every longest line. */
TEST_LIMIT(lines, every_small_text, 120)
{
  static const char letters[] = {'a', '\r', '\n'};
  char text[8];

  for (size_t size = 0; size <= 7; size++) {
    size_t texts = 1;

    for (size_t i = 0; i < size; i++) texts *= sizeof letters;
    for (size_t n = 0; n < texts; n++) {
      for (size_t i = 0, left = n; i < size; i++, left /= sizeof letters) text[i] = letters[left % 3];
      for (size_t longest = 1; longest <= 4; longest++)
        for (size_t first = 0; first <= size; first++)
          for (size_t second = first; second <= size; second++) check(text, size, longest, first, second);
    }
  }
}

TEST(lines, every_boundary_of_a_text)
{
  static const char text[] = "one\ntwo\r\n\r\n\n\rthree\0four\nfive\r\rsix is long\r\nend\r";

  for (size_t longest = 1; longest < 20; longest++)
    for (size_t first = 0; first < sizeof text; first++)
      for (size_t second = first; second < sizeof text; second++)
        check(text, sizeof text - 1, longest, first < sizeof text - 1 ? first : sizeof text - 1,
              second < sizeof text - 1 ? second : sizeof text - 1);
}

/* What lies whole in the bytes is not copied; what was begun before is. */
TEST(lines, views)
{
  const char *text = "ab\ncd\nef", *at = text;
  size_t size = 8;
  cvy_lines l;
  cvy_line line;

  cvy_lines_init(&l, 100);
  CHECK_INT(cvy_lines_next(&l, &at, &size, &line), 1);
  CHECK(line.data == text);
  CHECK_INT(cvy_lines_next(&l, &at, &size, &line), 1);
  CHECK(line.data == text + 3);
  CHECK(l.part == NULL);
  CHECK_INT(cvy_lines_next(&l, &at, &size, &line), 0);
  at = "gh\n";
  size = 3;
  CHECK_INT(cvy_lines_next(&l, &at, &size, &line), 1);
  CHECK_UINT(line.size, 4);
  CHECK_MEM(line.data, "efgh", 4);
  cvy_lines_fini(&l);
}

TEST(lines, no_memory)
{
  const char *at = "abc";
  size_t size = 3;
  cvy_lines l;
  cvy_line line;

  cvy_lines_init(&l, 100);
  cvy_mem_fail_after(1);
  CHECK_INT(cvy_lines_next(&l, &at, &size, &line), COVEY_ENOMEM);
  cvy_mem_fail_after(0);
  cvy_lines_fini(&l);
}

/* ---- pieces ---- */

TEST(pieces, in_order)
{
  cvy_pieces p = {0};
  char all[3][20000];
  size_t put[3] = {0}, taken[3] = {0}, size, memory = 0;
  const char *data;
  int tag, last = -1;
  uint32_t random = 1;

  for (int i = 0; i < 3; i++) test_make_pattern(all[i], sizeof all[i], (uint64_t)i * 50);
  for (int round = 0; round < 3000; round++) {
    random = random * 1664525u + 1013904223u;
    tag = (int)(random >> 24) % 3;
    size = (random >> 8) % 23;
    if (put[tag] + size > sizeof all[tag]) break;
    REQUIRE(cvy_pieces_put(&p, tag, all[tag] + put[tag], size));
    put[tag] += size;
    if (memory < p.memory) memory = p.memory;
    if (round % 3) continue;
    data = cvy_pieces_front(&p, &tag, &size);
    if (!data) continue;
    if (size > 30) size = 30;
    CHECK_MEM(data, all[tag] + taken[tag], size);
    cvy_pieces_take(&p, size);
    taken[tag] += size;
  }
  while ((data = cvy_pieces_front(&p, &tag, &size))) {
    REQUIRE(size > 0);
    CHECK_MEM(data, all[tag] + taken[tag], size);
    taken[tag] += size;
    cvy_pieces_take(&p, size);
    last = tag;
  }
  for (int i = 0; i < 3; i++) CHECK_UINT(taken[i], put[i]);
  CHECK(last >= 0);
  CHECK_UINT(p.memory, 0);
  CHECK_UINT(p.put, p.taken);
  CHECK_UINT(p.put, put[0] + put[1] + put[2]);
  cvy_pieces_fini(&p);
}

/* Bytes of one stream join, and never move while somebody looks at them. */
TEST(pieces, join)
{
  cvy_pieces p = {0};
  const char *front;
  size_t size;
  int tag;

  REQUIRE(cvy_pieces_put(&p, 1, "ab", 2));
  front = cvy_pieces_front(&p, &tag, &size);
  for (int i = 0; i < 2000; i++) REQUIRE(cvy_pieces_put(&p, 1, "cd", 2));
  REQUIRE(cvy_pieces_put(&p, 2, "x", 1));
  REQUIRE(cvy_pieces_put(&p, 1, "", 0));
  CHECK(cvy_pieces_front(&p, &tag, &size) == front);
  CHECK_UINT(size, 1024);
  CHECK_MEM(front, "abcd", 4);
  cvy_pieces_take(&p, 1000);
  CHECK(cvy_pieces_front(&p, &tag, &size) == front + 1000);
  CHECK_INT(tag, 1);
  CHECK_UINT(size, 24);
  cvy_pieces_fini(&p);
  CHECK(cvy_pieces_front(&p, &tag, &size) == NULL);
  CHECK_UINT(p.taken, p.put);
}

TEST(pieces, no_memory)
{
  cvy_pieces p = {0};
  size_t size;
  int tag;

  cvy_mem_fail_after(1);
  CHECK(!cvy_pieces_put(&p, 0, "a", 1));
  cvy_mem_fail_after(0);
  CHECK(cvy_pieces_front(&p, &tag, &size) == NULL);
  CHECK_UINT(p.put, 0);
}
