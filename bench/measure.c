#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool bench_quick;
const char *bench_self;
const char *bench_nothing;

static char table[256][200];
static size_t rows;

uint64_t bench_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_pause_ms(int ms)
{
  struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&t, NULL);
}

void bench_fail(const char *what, int code)
{
  fprintf(stderr, "covey_bench: %s failed (%d)\n", what, code);
  exit(1);
}

int bench_compare(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

uint64_t bench_median(uint64_t *values, size_t count)
{
  qsort(values, count, sizeof *values, bench_compare);
  return values[count / 2];
}

uint64_t bench_minimum(const uint64_t *values, size_t count)
{
  uint64_t least = values[0];
  for (size_t i = 1; i < count; i++)
    if (values[i] < least) least = values[i];
  return least;
}

uint64_t *bench_list(size_t count)
{
  uint64_t *list = calloc(count + 1, sizeof *list);
  if (!list) bench_fail("memory", 0);
  return list;
}

uint64_t bench_free_memory(void)
{
  uint64_t kib = 0;
  char line[128];
  FILE *f = fopen("/proc/meminfo", "r");
  while (f && kib == 0 && fgets(line, sizeof line, f))
    if (!strncmp(line, "MemAvailable:", 13)) kib = strtoull(line + 13, NULL, 10);
  if (f) fclose(f);
  return kib * 1024;
}

void bench_note(const char *bench, const char *name, const char *why)
{
  if (rows < sizeof table / sizeof table[0])
    snprintf(table[rows++], sizeof table[0], "%-10s %-32s not measured: %s", bench, name, why);
}

void bench_report(const char *bench, const char *name, double value, double beside, const char *unit,
                  const char *floor, double bound, bool at_most)
{
  double ratio = value / beside;
  printf("{\"bench\": \"%s\", \"case\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"beside\": %.6g, "
         "\"floor\": \"%s\", \"ratio\": %.3f}\n",
         bench, name, value, unit, beside, floor, ratio);
  fflush(stdout);
  char aim[48] = "";
  if (bound > 0)
    snprintf(aim, sizeof aim, "%s %.2g %s", at_most ? "<=" : ">=", bound,
             (at_most ? ratio <= bound : ratio >= bound) ? "reached" : "not reached");
  if (rows < sizeof table / sizeof table[0])
    snprintf(table[rows++], sizeof table[0], "%-10s %-32s %12.4g %-7s %12.4g %-24s %6.3g %s", bench, name,
             value, unit, beside, floor, ratio, aim);
}

void bench_table(void)
{
  fprintf(stderr, "%-10s %-32s %12s %-7s %12s %-24s %6s\n", "bench", "case", "value", "unit", "beside",
          "(floor)", "ratio");
  for (size_t i = 0; i < rows; i++) fprintf(stderr, "%s\n", table[i]);
}
