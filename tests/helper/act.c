/* "act": a child that does one thing after the other, as its words say. What it writes and how it ends is known from them. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned char data[65536];

static void write_pattern(int stream, uint64_t *from, uint64_t size)
{
  while (size) {
    size_t part = size < sizeof data ? (size_t)size : sizeof data;

    helper_pattern(data, part, *from);
    helper_write(stream, data, part);
    *from += part;
    size -= part;
  }
}

/* Whether the rest of stdin is size bytes of the pattern. */
static bool read_pattern(uint64_t size)
{
  uint64_t total = 0;
  int64_t n;
  bool same = true;

  while ((n = helper_system_read(data, sizeof data)) > 0) {
    for (int64_t i = 0; i < n && same; i++) same = data[i] == (total + (uint64_t)i) % 251;
    total += (uint64_t)n;
  }
  return same && total == size;
}

static bool start(const char *what, const char *argument, unsigned flags)
{
  const char *child[] = {what, argument};

  return helper_start(2, child, flags) >= 0;
}

static int do_act(int argc, char **argv)
{
  uint64_t written[3] = {0, 0, 0}, lines = 0;

  for (int i = 1; i < argc; i++) {
    uint64_t n = strtoull(argv[i] + 1, NULL, 10);

    switch (argv[i][0]) {
    case 'o': write_pattern(1, &written[1], n); break;
    case 'e': write_pattern(2, &written[2], n); break;
    case 'l':
      while (n--) helper_print(1, "line %llu\n", (unsigned long long)lines++);
      break;
    case 'm': helper_print(2, "%llu\n", (unsigned long long)n); break;
    case 'w': helper_pause((int64_t)n); break;
    case 'r':
      if (helper_system_read(data, 1) != 1) return HELPER_EARLY_END;
      break;
    case 'i':
      if (!read_pattern(n)) return HELPER_EARLY_END;
      break;
    case 'g':
      if (!start("sleep", argv[i] + 1, 0)) return HELPER_NO_START;
      break;
    case 'q':
      if (!start("sleep", argv[i] + 1, HELPER_QUIET)) return HELPER_NO_START;
      break;
    case 'f':
      for (size_t k = 0; k < sizeof data; k++) data[k] = 'x';
      for (;;) helper_write(1, data, sizeof data);
    case 'c': helper_close((int)n); break;
    case 't': helper_ignore_requests(); break;
    case 'x': helper_exit((uint32_t)n); break;
    case 's': helper_signal((int)n); return HELPER_NOT_HERE;
    case 'h': helper_pause(600000); return HELPER_TIRED;
    default: return HELPER_USAGE;
    }
  }
  return 0;
}

const helper_behaviour helper_act[] = {
    {"act", do_act,
     "WORD...: oN, eN: so many bytes of the pattern; lN: lines; mN: N and a line end to stderr; wN: waits "
     "ms; "
     "r: reads a byte; iN: the rest of stdin must be N bytes of the pattern; gN, qN: a grandchild that "
     "sleeps N ms, "
     "with our streams or without; f: writes x without end; cN: closes a stream; t: ignores requests; xN, "
     "sN, h: its end"},
    {NULL, NULL, NULL},
};
