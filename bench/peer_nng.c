#include "bench.h"
#include "peer.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdlib.h>

static void *open_end(const char *address, bool listen)
{
  nng_socket *s = calloc(1, sizeof *s);
  if (!s) bench_fail("memory", 0);
  int r = nng_pair0_open(s);
  if (r == 0) r = nng_socket_set_size(*s, NNG_OPT_RECVMAXSZ, 0); /* no limit */
  if (r == 0) r = listen ? nng_listen(*s, address, NULL, 0) : nng_dial(*s, address, NULL, 0);
  if (r) bench_fail("nng_dial", r);
  return s;
}

static void send_one(void *of, const void *data, size_t size)
{
  int r = nng_send(*(nng_socket *)of, (void *)data, size, 0);
  if (r) bench_fail("nng_send", r);
}

static size_t receive_one(void *of, void *data, size_t capacity)
{
  size_t size = capacity;
  int r = nng_recv(*(nng_socket *)of, data, &size, 0);
  if (r) bench_fail("nng_recv", r);
  return size;
}

static void close_end(void *of)
{
  nng_close(*(nng_socket *)of);
  free(of);
}

const bench_courier bench_nng = {"nng", open_end, send_one, receive_one, close_end, false};
