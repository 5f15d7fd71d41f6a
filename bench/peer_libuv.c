#include "bench.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* One child on a loop of its own kind: kept from one to the next, as a program would. */
typedef struct child {
  uv_process_t process;
  uv_pipe_t out;
  char *data; /* doubled when it is full, read into at its end: no byte is copied but by that */
  size_t size, capacity;
  int64_t status;
} child;

static uv_loop_t *loop_of_ours(void)
{
  static uv_loop_t loop;
  static bool open;
  if (!open && uv_loop_init(&loop)) bench_fail("uv_loop_init", 0);
  open = true;
  return &loop;
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
  ((child *)process->data)->status = signal ? 1 : status;
  uv_close((uv_handle_t *)process, NULL);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
  child *c = handle->data;
  if (c->capacity - c->size < suggested) {
    size_t capacity = c->capacity ? 2 * c->capacity : suggested;
    char *data = realloc(c->data, capacity);
    if (!data) bench_fail("memory", 0);
    c->data = data;
    c->capacity = capacity;
  }
  *buffer =
      uv_buf_init(c->data + c->size,
                  (unsigned int)(c->capacity - c->size > BENCH_READ ? BENCH_READ : c->capacity - c->size));
}

static void on_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
  (void)buffer;
  child *c = stream->data;
  if (size >= 0)
    c->size += (size_t)size;
  else
    uv_close((uv_handle_t *)stream, NULL);
}

static uint64_t spawn_one(const bench_starter *self, const char *program)
{
  char *argv[] = {(char *)program, NULL};
  child c = {.status = -1};
  uv_process_options_t options = {.file = program, .args = argv, .exit_cb = on_exit_of};
  uv_loop_t *loop = loop_of_ours();
  uint64_t start = bench_ns();
  c.process.data = &c;
  int r = uv_spawn(loop, &c.process, &options);
  if (r) bench_fail(self->name, r);
  uv_run(loop, UV_RUN_DEFAULT);
  if (c.status) bench_fail(self->name, (int)c.status);
  return bench_ns() - start;
}

static uint64_t capture(const bench_starter *self, uint64_t bytes)
{
  char number[32], *argv[] = {(char *)bench_self, "--child", "write", number, NULL};
  snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
  child c = {.status = -1};
  uv_stdio_container_t streams[2] = {
      {.flags = UV_IGNORE},
      {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE), .data.stream = (uv_stream_t *)&c.out}};
  uv_process_options_t options = {
      .file = bench_self, .args = argv, .exit_cb = on_exit_of, .stdio = streams, .stdio_count = 2};
  uv_loop_t *loop = loop_of_ours();
  uint64_t start = bench_ns();
  c.process.data = c.out.data = &c;
  int r = uv_pipe_init(loop, &c.out, 0);
  if (r == 0) r = uv_spawn(loop, &c.process, &options);
  if (r == 0) r = uv_read_start((uv_stream_t *)&c.out, on_room, on_bytes);
  if (r) bench_fail(self->name, r);
  uv_run(loop, UV_RUN_DEFAULT);
  uint64_t taken = bench_ns() - start;
  if (c.status || c.size != bytes) bench_fail(self->name, (int)c.status);
  free(c.data);
  return taken;
}

const bench_starter bench_libuv = {"libuv", NULL, spawn_one, capture};
