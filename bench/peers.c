#include "peer.h"

static const bench_starter *const starters[] = {
    &bench_posix_spawn, &bench_libuv,
#if defined(COVEY_BENCH_GLIB)
    &bench_glib,
#endif
#if defined(COVEY_BENCH_PYTHON)
    &bench_python,
#endif
#if defined(COVEY_BENCH_GO)
    &bench_go,
#endif
};

const bench_starter *bench_starter_at(size_t index)
{
  return index < sizeof starters / sizeof starters[0] ? starters[index] : NULL;
}

const char *bench_missing(void)
{
  return COVEY_BENCH_MISSING;
}
