#include "bench.h"
#include "peer.h"

#include <nanomsg/nn.h>
#include <nanomsg/pair.h>
#include <stdlib.h>

static void *open_end(const char *address, bool listen)
{
  int *s = malloc(sizeof *s), none = -1;
  if (!s || (*s = nn_socket(AF_SP, NN_PAIR)) < 0) bench_fail("nn_socket", nn_errno());
  nn_setsockopt(*s, NN_SOL_SOCKET, NN_RCVMAXSIZE, &none, sizeof none); /* no limit */
  if ((listen ? nn_bind(*s, address) : nn_connect(*s, address)) < 0) bench_fail("nn_bind", nn_errno());
  return s;
}

static void send_one(void *of, const void *data, size_t size)
{
  if (nn_send(*(int *)of, data, size, 0) != (int)size) bench_fail("nn_send", nn_errno());
}

static size_t receive_one(void *of, void *data, size_t capacity)
{
  int n = nn_recv(*(int *)of, data, capacity, 0);
  if (n < 0) bench_fail("nn_recv", nn_errno());
  return (size_t)n;
}

static void close_end(void *of)
{
  nn_close(*(int *)of);
  free(of);
}

const bench_courier bench_nanomsg = {"nanomsg", open_end, send_one, receive_one, close_end, false};
