#include "bench.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  void (*run)(void);
} benches[] = {
    {"peers", bench_peers}, /* first: memory that others have used and freed would hide what a peer takes */
    {"spawn", bench_spawn},       {"capture", bench_capture},     {"tree", bench_tree},
    {"echo-hot", bench_echo_hot}, {"echo-idle", bench_echo_idle}, {"call", bench_call},
    {"stream", bench_stream},     {"topic", bench_topic},         {"contact", bench_contact},
    {"find", bench_find}};
enum { BENCHES = sizeof benches / sizeof benches[0] };

static int usage(void)
{
  fprintf(stderr, "usage: covey_bench [--quick] [NAME...]\nnames:");
  for (size_t i = 0; i < BENCHES; i++) fprintf(stderr, " %s", benches[i].name);
  fprintf(stderr, "\n");
  return 2;
}

static const char *beside_self(const char *name)
{
  static char path[4096];
  const char *slash = strrchr(bench_self, '/');
  snprintf(path, sizeof path, "%.*s/%s", (int)(slash - bench_self), bench_self, name);
  return path;
}

/* Run as "covey_bench --child NAME ...". */
static int child_main(int argc, char **argv)
{
  uint64_t number = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  int cpu = argc > 2 ? atoi(argv[2]) : -1;
  if (cpu >= 0) bench_pin(cpu);
  if (!strcmp(argv[0], "crowd")) return child_crowd(number);
  if (!strncmp(argv[0], "courier-", 8)) return child_courier(argc, argv);
  if (!strcmp(argv[0], "tree")) return child_tree(number);
  return child_plain(argv[0], number);
}

int main(int argc, char **argv)
{
  static char self[4096];
  bench_self = realpath(argv[0], self);
  if (!bench_self) return usage();
  bench_nothing = beside_self("covey_bench_nothing");
  if (argc > 2 && !strcmp(argv[1], "--child")) return child_main(argc - 2, argv + 2);

  bool chosen[BENCHES] = {false}, any = false;
  for (int i = 1; i < argc; i++) {
    size_t k = 0;
    if (!strcmp(argv[i], "--quick")) {
      bench_quick = true;
      continue;
    }
    while (k < BENCHES && strcmp(benches[k].name, argv[i])) k++;
    if (k == BENCHES) return usage();
    chosen[k] = any = true;
  }
  for (size_t i = 0; i < BENCHES; i++)
    if (chosen[i] || !any) benches[i].run();
  bench_table();
  if (bench_missing()[0]) fprintf(stderr, "not here, so not beside: %s\n", bench_missing());
  return 0;
}
