#include "bench.h"
#include "peer.h"

#include <glib.h>
#include <stdio.h>

static void run(const bench_starter *self, char **argv, char **ret_text)
{
  GError *error = NULL;
  int status = 0;
  if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, ret_text, NULL, &status, &error) || status)
    bench_fail(self->name, status);
}

static uint64_t spawn_one(const bench_starter *self, const char *program)
{
  char *argv[] = {(char *)program, NULL};
  uint64_t start = bench_ns();
  run(self, argv, NULL);
  return bench_ns() - start;
}

static uint64_t capture(const bench_starter *self, uint64_t bytes)
{
  char number[32], *argv[] = {(char *)bench_self, "--child", "write", number, NULL}, *text = NULL;
  snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
  uint64_t start = bench_ns();
  run(self, argv, &text);
  uint64_t taken = bench_ns() - start;
  if (!text || !text[0]) bench_fail(self->name, 0);
  g_free(text);
  return taken;
}

const bench_starter bench_glib = {"GLib g_spawn_sync", NULL, spawn_one, capture};
