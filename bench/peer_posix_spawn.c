#include "bench.h"
#include "peer.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static uint64_t spawn_one(const bench_starter *self, const char *program)
{
  char *argv[] = {(char *)program, NULL};
  pid_t pid;
  int status = 0;
  uint64_t start = bench_ns();
  int r = posix_spawn(&pid, program, NULL, NULL, argv, environ);
  if (r || waitpid(pid, &status, 0) != pid || status != 0) bench_fail(self->name, r ? r : errno);
  return bench_ns() - start;
}

const bench_starter bench_posix_spawn = {"posix_spawn", NULL, spawn_one, NULL};
