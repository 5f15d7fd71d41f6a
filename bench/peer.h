/* bench/peer.h: what a user would pick instead of covey, measured in the same rounds of the same run. Each lies in a file of its own, bench/peer_*.c, which is
 * compiled where CMake finds what it needs (cmake/coveyBench.cmake); what is not there is named below the table. */
#ifndef COVEY_BENCH_PEER_H
#define COVEY_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One way to start programs. The times are nanoseconds. */
typedef struct bench_starter bench_starter;
struct bench_starter {
  const char *name;
  const char *const *
      argv; /* a program of its own that measures on request (peer_program.c); NULL: it is measured in this process */
  uint64_t (*spawn)(const bench_starter *self, const char *program); /* start, wait, all released */
  uint64_t (*capture)(const bench_starter *self,
                      uint64_t bytes); /* our child "write" into memory; NULL: it has no such thing */
};

/* Those that are here. Index 0 on; NULL: there are no more. */
const bench_starter *bench_starter_at(size_t index);

/* Programs of their own: their processes are started at the first use, and ended by this. */
void bench_programs_end(void);

/* They take as many bytes of memory as we have; 0: give it back. Returns how many there are. */
size_t bench_programs_hold(uint64_t bytes);

/* What is not here, for the table: names with ", " between; "" for none. */
const char *bench_missing(void);

/* One way to carry messages: two ends of a pair, in two processes. Every call fails the program if it cannot be done. */
typedef struct bench_courier {
  const char *name;
  void *(*open)(const char *address, bool listen); /* "ipc:///path"; one listens, the other connects */
  void (*send)(void *end, const void *data, size_t size);
  size_t (*receive)(void *end, void *data, size_t capacity); /* bytes of one message */
  void (*close)(void *end);
  bool answers_early; /* send returns before the system has the bytes */
} bench_courier;

const bench_courier *bench_courier_at(size_t index); /* as bench_starter_at */

/* Our end of a pair whose other end is a child on cpu (couriers.c). verb: "courier-echo": it answers each message of up to 64 bytes;
 * "courier-sink": it answers one byte after count messages of size. */
typedef struct bench_couriers bench_couriers;
bench_couriers *bench_courier_open(size_t index, const char *verb, size_t size, size_t count, int cpu);
void bench_courier_echo(bench_couriers *b);
void bench_courier_close(bench_couriers *b);

/* As floor_stream: nanoseconds from the first send to the answer to the last. */
double bench_courier_stream(size_t index, size_t size, size_t count, int cpu);

extern const bench_courier bench_zeromq, bench_nng, bench_nanomsg;
extern const bench_starter bench_posix_spawn, bench_libuv, bench_glib, bench_python, bench_go;

#endif
