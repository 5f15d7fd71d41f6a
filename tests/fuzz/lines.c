/* Lines of any bytes, cut anywhere: the same lines come as from the text in one piece, and together they are the text. */
#include "fuzz.h"

#include "core/lines.h"

static char *text; /* what the lines were made of */
static size_t size_so_far;
static uint64_t digest;

static void note(const cvy_line *line, size_t longest)
{
  FUZZ_REQUIRE(line->size <= longest);
  FUZZ_REQUIRE(!(line->flags & CVY_LINE_MORE) || line->size == longest);
  FUZZ_REQUIRE(memchr(line->data, '\n', line->size) == NULL || line->size == 0);
  if (line->size) memcpy(text + size_so_far, line->data, line->size);
  size_so_far += line->size;
  digest = (digest ^ line->size ^ ((uint64_t)line->flags << 32)) * UINT64_C(0x100000001b3);
  if (line->flags & CVY_LINE_CRLF) text[size_so_far++] = '\r';
  if (!(line->flags & (CVY_LINE_MORE | CVY_LINE_OPEN))) text[size_so_far++] = '\n';
}

/* step: bytes at once, 0: all. */
static uint64_t run(const char *data, size_t size, size_t longest, size_t step)
{
  cvy_lines l;
  cvy_line line;
  size_t at = 0;

  cvy_lines_init(&l, longest);
  size_so_far = 0;
  digest = UINT64_C(0xcbf29ce484222325);
  while (at < size) {
    size_t n = step && step < size - at ? step : size - at;
    const char *from = data + at;

    at += n;
    while (cvy_lines_next(&l, &from, &n, &line) == 1) note(&line, longest);
    FUZZ_REQUIRE(n == 0);
  }
  while (cvy_lines_end(&l, &line)) note(&line, longest);
  FUZZ_REQUIRE(size_so_far == size && (size == 0 || memcmp(text, data, size) == 0));
  cvy_lines_fini(&l);
  return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  size_t longest, step;
  const char *rest = (const char *)data + 2;

  if (size < 2) return 0;
  longest = data[0] + (size_t)1;
  step = data[1] + (size_t)1;
  size -= 2;
  FUZZ_REQUIRE((text = malloc(size + 1)) != NULL);
  FUZZ_REQUIRE(run(rest, size, longest, 0) == run(rest, size, longest, step));
  free(text);
  return 0;
}
