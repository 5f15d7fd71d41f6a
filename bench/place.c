#include "bench.h"

#include <dirent.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sched.h>

/* The CPU of a side: the first two that this process was started with. -1: there is only one. */
static int cpu_of(int side)
{
  static cpu_set_t all;
  static int counted;
  if (!counted) {
    if (sched_getaffinity(0, sizeof all, &all)) return -1;
    counted = CPU_COUNT(&all);
  }
  if (counted < 2) return -1;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET((size_t)cpu, &all) && side-- == 0) return cpu;
  }
  return -1;
}

int bench_cpu(enum bench_place place, int side)
{
  return place == BENCH_TWO_CPUS ? cpu_of(side) : -1;
}

/* All threads: that of the library stays with its process. */
void bench_pin(int cpu)
{
  static cpu_set_t before;
  static bool known;
  cpu_set_t one;
  if (!known) known = sched_getaffinity(0, sizeof before, &before) == 0;
  CPU_ZERO(&one);
  if (cpu >= 0) CPU_SET((size_t)cpu, &one);
  DIR *threads = opendir("/proc/self/task");
  for (struct dirent *d; threads && (d = readdir(threads)) != NULL;) {
    if (d->d_name[0] != '.') sched_setaffinity(atoi(d->d_name), sizeof one, cpu >= 0 ? &one : &before);
  }
  if (threads) closedir(threads);
}

#else

int bench_cpu(enum bench_place place, int side)
{
  (void)place;
  (void)side;
  return -1;
}

void bench_pin(int cpu)
{
  (void)cpu;
}

#endif
