#include "bench.h"
#include "peer.h"

#include <stdlib.h>
#include <zmq.h>

typedef struct end {
  void *context, *socket;
} end;

static void *open_end(const char *address, bool listen)
{
  end *e = calloc(1, sizeof *e);
  int none = 0;
  if (!e || !(e->context = zmq_ctx_new()) || !(e->socket = zmq_socket(e->context, ZMQ_PAIR)))
    bench_fail("zmq_socket", zmq_errno());
  zmq_setsockopt(e->socket, ZMQ_LINGER, &none,
                 sizeof none); /* nothing is waited for at the end: all was answered */
  if (listen ? zmq_bind(e->socket, address) : zmq_connect(e->socket, address))
    bench_fail("zmq_bind", zmq_errno());
  return e;
}

static void send_one(void *of, const void *data, size_t size)
{
  if (zmq_send(((end *)of)->socket, data, size, 0) != (int)size) bench_fail("zmq_send", zmq_errno());
}

static size_t receive_one(void *of, void *data, size_t capacity)
{
  int n = zmq_recv(((end *)of)->socket, data, capacity, 0);
  if (n < 0) bench_fail("zmq_recv", zmq_errno());
  return (size_t)n;
}

static void close_end(void *of)
{
  end *e = of;
  zmq_close(e->socket);
  zmq_ctx_term(e->context);
  free(e);
}

const bench_courier bench_zeromq = {"ZeroMQ", open_end, send_one, receive_one, close_end, true};
