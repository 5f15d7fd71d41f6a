#include "bench.h"
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program that reads a line with what to do and answers one with the nanoseconds that it took. */
typedef struct program {
  const bench_starter *what;
  FILE *to, *from; /* NULL: not started */
  pid_t pid;
} program;

enum { PROGRAMS = 4 };
static program programs[PROGRAMS];

static void start(program *p)
{
  int in[2], out[2];
  if (pipe(in) || pipe(out) || fcntl(in[1], F_SETFD, FD_CLOEXEC) || fcntl(out[0], F_SETFD, FD_CLOEXEC))
    bench_fail("pipe", errno);
  p->pid = fork();
  if (p->pid < 0) bench_fail("fork", errno);
  if (p->pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    close(in[0]);
    close(out[1]);
    execvp(p->what->argv[0], (char *const *)p->what->argv);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  p->to = fdopen(in[1], "w");
  p->from = fdopen(out[0], "r");
  if (!p->to || !p->from) bench_fail("fdopen", errno);
}

static program *program_of(const bench_starter *what)
{
  size_t i = 0;
  while (i < PROGRAMS && programs[i].what && programs[i].what != what) i++;
  if (i == PROGRAMS) bench_fail("too many programs", 0);
  programs[i].what = what;
  if (!programs[i].to) start(&programs[i]);
  return &programs[i];
}

static uint64_t ask(const bench_starter *what, const char *verb, const char *path, uint64_t number)
{
  program *p = program_of(what);
  char line[128];
  fprintf(p->to, "%s %llu %s\n", verb, (unsigned long long)number, path);
  if (fflush(p->to) || !fgets(line, sizeof line, p->from)) bench_fail(what->name, errno);
  return strtoull(line, NULL, 10);
}

static uint64_t spawn_one(const bench_starter *self, const char *path)
{
  return ask(self, "spawn", path, 0);
}

static uint64_t capture(const bench_starter *self, uint64_t bytes)
{
  return ask(self, "capture", bench_self, bytes);
}

size_t bench_programs_hold(uint64_t bytes)
{
  size_t count = 0;
  const bench_starter *s;
  for (size_t i = 0; (s = bench_starter_at(i)) != NULL; i++) {
    if (!s->argv) continue;
    ask(s, "hold", "-", bytes);
    count++;
  }
  return count;
}

void bench_programs_end(void)
{
  for (size_t i = 0; i < PROGRAMS && programs[i].to; i++) {
    fclose(programs[i].to); /* the end of its input is the end of it */
    fclose(programs[i].from);
    waitpid(programs[i].pid, NULL, 0);
    programs[i] = (program){0};
  }
}

/* Named here where they are not found: nobody lists them then (peers.c). */
#if !defined(COVEY_BENCH_PYTHON)
#define COVEY_BENCH_PYTHON "python3"
#endif
#if !defined(COVEY_BENCH_GO)
#define COVEY_BENCH_GO "covey_bench_go"
#endif

static const char *const python[] = {COVEY_BENCH_PYTHON, COVEY_BENCH_FOLDER "/peer.py", NULL};
static const char *const go[] = {COVEY_BENCH_GO, NULL};
const bench_starter bench_python = {"Python subprocess", python, spawn_one, capture};
const bench_starter bench_go = {"Go os/exec", go, spawn_one, capture};
