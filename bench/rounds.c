#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

void bench_rounds(bench_side *sides, size_t count, size_t rounds, size_t block, int pause)
{
  for (size_t s = 0; s < count; s++) {
    sides[s].taken = bench_list(rounds);
    for (int i = 0; i < 3; i++) sides[s].round(sides[s].state);
  }
  for (size_t i = 0; i < rounds; i += block) {
    for (size_t s = 0; s < count; s++) {
      for (size_t k = i; k < i + block && k < rounds; k++) {
        if (pause) bench_pause_ms(pause);
        sides[s].taken[k] = sides[s].round(sides[s].state);
      }
    }
  }
}

double bench_side_us(bench_side *side, size_t rounds, bool minimum)
{
  return (double)(minimum ? bench_minimum(side->taken, rounds) : bench_median(side->taken, rounds)) / 1000;
}

void bench_sides_free(bench_side *sides, size_t count)
{
  for (size_t s = 0; s < count; s++) free(sides[s].taken);
}
