/* bench/bench.h: what the benchmarks share. Each benchmark measures covey and the floor beside it in one run, alternating, and reports the
 * ratio: absolute figures move by 3 between machines and minutes, the ratios hold. */
#ifndef COVEY_BENCH_H
#define COVEY_BENCH_H

#include <covey/node.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool bench_quick;          /* --quick: fewer rounds */
extern const char *bench_self;    /* absolute path of this program, which is also every child */
extern const char *bench_nothing; /* absolute path of a child without libc, which exits at once */

uint64_t bench_ns(void); /* monotonic clock */
void bench_pause_ms(int ms);
void bench_fail(const char *what,
                int code); /* prints and exits with 1: a benchmark that cannot run has no figure */
int bench_compare(const void *a, const void *b);       /* of uint64_t, for qsort */
uint64_t bench_median(uint64_t *values, size_t count); /* sorts values */
uint64_t bench_minimum(const uint64_t *values, size_t count);

uint64_t *bench_list(size_t count); /* of zeros; owned, free */
uint64_t bench_free_memory(void);   /* bytes that can be had without pushing anything out; 0: not known */

/* One result: value and beside (the floor of the same run) in unit; prints one JSON object on stdout ("floor" names what is beside), remembers a line for the table. bound > 0:
 * the ratio aimed at; at_most says on which side of it the ratio should lie. */
void bench_report(const char *bench, const char *name, double value, double beside, const char *unit,
                  const char *floor, double bound, bool at_most);

/* A line of the table alone: what was not measured, and why. */
void bench_note(const char *bench, const char *name, const char *why);
void bench_table(void); /* all of them, on stderr */

/* Where two processes run (place.c): each on a CPU of its own, or where the system puts them. It often puts two that wait for each other on one: a
 * wake-up is then a change of context and nothing else, and nobody can be awake while the other works. Both are measured, the floor in the
 * same place. Elsewhere than on Linux, and where there is one CPU: as the system likes. */
enum bench_place { BENCH_TWO_CPUS, BENCH_ANYWHERE };
int bench_cpu(enum bench_place place,
              int side); /* side 0: the measuring process, 1: its child; -1: not pinned */
void bench_pin(int cpu); /* all threads of this process; -1: as before */

/* floors (floor.c): plain system calls */
int64_t floor_vfork(const char *program); /* vfork, exec with our environment, wait: nanoseconds */
int64_t floor_many(const char *program,
                   size_t count); /* so many at once, each with a pidfd (Linux); then all are waited for */
void floor_echo_open(
    int cpu, int ret_fd[1],
    int64_t *ret_pid); /* a child on cpu that answers each 64 bytes over a Unix stream socket */
void floor_echo_round(int fd);
void floor_echo_close(int fd, int64_t pid);
/* messages of size to each of so many children (on cpu) over Unix stream sockets, one by one: nanoseconds */
double floor_stream(size_t size, size_t count, size_t readers, int cpu);
/* a child that listens on a socket, path of which is filled in, and answers 64 bytes to each who connects */
void floor_contact_open(char *path, size_t capacity, int64_t *ret_pid);
uint64_t floor_contact_round(const char *path); /* connect, write, read: nanoseconds */
void floor_contact_close(const char *path, int64_t pid);
enum { BENCH_READ = 256 * 1024 }; /* what a reader offers to one read, floor and covey alike */
double floor_pipe(
    uint64_t bytes); /* child writes bytes in 64 KiB blocks into a pipe: nanoseconds to read them all */
double floor_socket(uint64_t bytes); /* the same over a pair of sockets */

/* Rounds of several sides in turn (rounds.c): block of one, block of the next, each after three that are not measured. pause: milliseconds of silence before
 * each round. taken: filled, rounds of them; free by bench_sides_free. */
typedef struct bench_side {
  const char *name;
  uint64_t (*round)(void *state); /* nanoseconds */
  void *state;
  uint64_t *taken;
} bench_side;
void bench_rounds(bench_side *sides, size_t count, size_t rounds, size_t block, int pause);
double bench_side_us(bench_side *side, size_t rounds, bool minimum); /* else the median; microseconds */
void bench_sides_free(bench_side *sides, size_t count);

/* 64 bytes to group "echo" of pid and back, through a node whose group "echo" is open (contact.c): nanoseconds */
uint64_t bench_exchange(covey_node *node, int64_t pid);

/* a child of the default node, of child_main's kind what, on cpu; and its end (child.c) */
covey_process *bench_child_start(const char *what, uint64_t count, int cpu);
void bench_child_end(covey_process *process);

/* children: run when the program is started as "covey_bench --child NAME NUMBER ..." */
int child_plain(const char *what, uint64_t number); /* child.c: one that writes, answers, serves, takes */
int child_crowd(uint64_t count);          /* crowd.c: so many nodes that stay until the end of their input */
int child_courier(int argc, char **argv); /* couriers.c: the other end of a peer's pair */
int child_tree(uint64_t count);           /* tree.c: so many descendants that stay until they are killed */

void bench_spawn(void);
void bench_capture(void);
void bench_tree(void);
void bench_echo_hot(void);
void bench_echo_idle(void);
void bench_call(void);
void bench_stream(void);
void bench_topic(void);
void bench_contact(void);
void bench_peers(void);
void bench_find(void);

#endif
