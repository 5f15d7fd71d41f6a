/* tests/support/test.h: what every test file includes, beside the header of the thing under test.
 *
 *   TEST(queue, keeps_order)
 *   {
 *     REQUIRE_OK(cvy_queue_init(&q, 1024));
 *     CHECK_UINT(cvy_queue_count(&q), 0);
 *   }
 *
 * One text, two runners: Criterion (COVEY_TEST_CRITERION, set by the build) and the stand-in of standin.c, where Criterion cannot go
 * (ThreadSanitizer, MSVC, macOS without it, UBSan under wine). Both run each test in a process of its own, with a deadline for it and
 * for all that it started, and close with the line "N passed, N failed, N skipped".
 *
 * CHECK... notes a failure and goes on; REQUIRE... notes it and ends the test. Both work in every thread: in one that test_thread_start
 * made REQUIRE ends that thread, in one of the library's own it ends the process (as a failure). In a forked child either ends the
 * child with code 99: it never touches the runner. A failure is written to stderr at once, so that a hang behind it hides nothing.
 *
 * After each test the runner looks for what it left: zombies, temporary directories that cannot be removed, leaked memory
 * (sanitizers), and, when test_no_handles_lost() was called, descriptors or handles. What still runs is ended and counts as a failure. */
#ifndef COVEY_TESTS_TEST_H
#define COVEY_TESTS_TEST_H

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <covey/base.h>
#include <covey/error.h>

/* The deadline of a test that names none, in seconds. Wine starts a process in 50 ms, under load in seconds. */
#define TEST_LIMIT_DEFAULT 60

#define TEST(suite, name) TEST_LIMIT(suite, name, TEST_LIMIT_DEFAULT)

typedef struct test_case {
  const char *suite;
  const char *name;
  int limit; /* seconds; multiplied with COVEY_TEST_SCALE */
  void (*body)(void);
  struct test_case *next;
} test_case;

#if defined(COVEY_TEST_CRITERION)
#include <criterion/criterion.h>
/* Hands body to the common frame, which keeps the deadline, and its outcome to Criterion. Criterion's own time limit is not used: on Windows
 * its timer is never cancelled, and writes into freed memory when a run lasts longer than the limit of a test that is long over. */
void test_criterion(const test_case *test);
#define TEST_LIMIT(suite_, name_, seconds)                                                                   \
  static void test_body_##suite_##_##name_(void);                                                            \
  Test(suite_, name_)                                                                                        \
  {                                                                                                          \
    test_case test = {#suite_, #name_, (seconds), test_body_##suite_##_##name_, NULL};                       \
    test_criterion(&test);                                                                                   \
  }                                                                                                          \
  static void test_body_##suite_##_##name_(void)
#else
void test_register(test_case *test);
#if defined(_MSC_VER)
#pragma section(".CRT$XCU", read)
#define TEST_AT_START(function)                                                                              \
  static void __cdecl function(void);                                                                        \
  __declspec(allocate(".CRT$XCU")) void(__cdecl * function##_at_start)(void) = function;                     \
  static void __cdecl function(void)
#else
#define TEST_AT_START(function)                                                                              \
  __attribute__((constructor)) static void function(void);                                                   \
  static void function(void)
#endif
#define TEST_LIMIT(suite_, name_, seconds)                                                                   \
  static void test_body_##suite_##_##name_(void);                                                            \
  TEST_AT_START(test_register_##suite_##_##name_)                                                            \
  {                                                                                                          \
    static test_case test = {#suite_, #name_, (seconds), test_body_##suite_##_##name_, NULL};                \
    test_register(&test);                                                                                    \
  }                                                                                                          \
  static void test_body_##suite_##_##name_(void)
#endif

/* ---- checks ---- */

#define CHECK(expr)   ((void)((expr) || test_fail(TEST_HERE, false, "%s is false", #expr)))
#define REQUIRE(expr) ((void)((expr) || test_fail(TEST_HERE, true, "%s is false", #expr)))

/* Both sides are evaluated once and shown. */
#define CHECK_INT(a, b)       ((void)test_int(TEST_HERE, #a, #b, (a), (b)))
#define CHECK_UINT(a, b)      ((void)test_uint(TEST_HERE, #a, #b, (a), (b)))
#define CHECK_STR(a, b)       ((void)test_str(TEST_HERE, #a, #b, (a), (b)))
#define CHECK_MEM(a, b, size) ((void)test_mem(TEST_HERE, #a, #b, (a), (b), (size)))

/* A call of the library: CHECK_ERR wants exactly this code, CHECK_OK and REQUIRE_OK want 0 or a count. On failure both codes are
 * shown by name, and what covey_last_failure() says. */
#define CHECK_ERR(call, code)   ((void)test_err(TEST_HERE, false, #call, (call), (code)))
#define REQUIRE_ERR(call, code) ((void)test_err(TEST_HERE, true, #call, (call), (code)))
#define CHECK_OK(call)          ((void)test_ok(TEST_HERE, false, #call, (call)))
#define REQUIRE_OK(call)        ((void)test_ok(TEST_HERE, true, #call, (call)))

/* A call that no caller should make: COVEY_EINVAL, and the last failure says so, with stage ARGUMENTS and with what is wrong. */
#define CHECK_WRONG(call) ((void)test_wrong(TEST_HERE, #call, (call)))

/* A failure with a text of its own. */
#define TEST_FAIL(...) ((void)test_fail(TEST_HERE, false, __VA_ARGS__))

/* Ends the test here as skipped, with a reason that a reader of the log understands. Only on the test's own thread. */
#define TEST_SKIP(reason) test_skip(reason)

#define TEST_HERE __FILE__, __LINE__

#if defined(__MINGW_PRINTF_FORMAT)
#define TEST_PRINTF(text, first) __attribute__((format(__MINGW_PRINTF_FORMAT, text, first)))
#elif defined(__GNUC__)
#define TEST_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define TEST_PRINTF(text, first)
#endif

/* A function that calls others with fewer arguments than they have, as programs do with handlers of signals. */
#if defined(__clang__)
#define TEST_CALLS_ANYHOW __attribute__((no_sanitize("function")))
#else
#define TEST_CALLS_ANYHOW
#endif

/* The functions behind the macros; each returns whether the check held. */
bool test_fail(const char *file, int line, bool ends, const char *format, ...) TEST_PRINTF(4, 5);
bool test_int(const char *file, int line, const char *a, const char *b, int64_t left, int64_t right);
bool test_uint(const char *file, int line, const char *a, const char *b, uint64_t left, uint64_t right);
bool test_str(const char *file, int line, const char *a, const char *b, const char *left, const char *right);
bool test_mem(const char *file, int line, const char *a, const char *b, const void *left, const void *right,
              size_t size);
bool test_err(const char *file, int line, bool ends, const char *call, int64_t got, int wanted);
bool test_ok(const char *file, int line, bool ends, const char *call, int64_t got);
bool test_wrong(const char *file, int line, const char *call, int64_t got);
void test_skip(const char *reason);

/* A line on stderr, with the name of the test before it. Any thread. */
void test_log(const char *format, ...) TEST_PRINTF(1, 2);

/* Number of failures so far, in all threads. */
int test_failures(void);

/* ---- the system ---- */

bool test_is_windows(void);
bool test_is_wine(void);       /* Windows programs only */
bool test_is_newer_wine(void); /* 9 and newer */

/* Whether there is much time (COVEY_LONG is set, by ci/test --long): what depends on chance is tried more often. */
bool test_is_long(void);

/* Whether code runs many times slower than elsewhere (COVEY_TEST_SCALE is 5 or more: the thread sanitizer): what is tried many times, with no threads in it, is
 * tried less often. */
bool test_is_slow(void);

/* Milliseconds of the monotonic clock. */
int64_t test_now(void);

/* The next of a sequence of numbers from 0 up to below, which is the same in every run (xorshift, Marsaglia 2003). One thread. */
uint32_t test_random(uint32_t below);

/* Gives up the processor for ms milliseconds. For the inside of a test thread that plays a slow party; never to give something time. */
void test_pause(int64_t ms);

/* Waits, in small steps, until met(arg) holds, at most ms. Only for facts that no event tells. Returns whether it held. */
bool test_wait_until(bool (*met)(void *arg), void *arg, int64_t ms);

int64_t test_pid(void);

/* Whether a process of that number runs; a zombie does not. */
bool test_process_alive(int64_t pid);

/* The same for its end: waits at most ms until it is dead. */
bool test_process_gone(int64_t pid, int64_t ms);

/* The control groups that the library made for the program pid: waits at most ms until none is there (Linux; elsewhere there are none). */
bool test_groups_gone(int64_t pid, int64_t ms);

/* Waits at most ms for the end of a process of test_start, and reaps it. */
bool test_process_ended(int64_t pid, int64_t ms);

/* Ends a process at once, if it runs: for the clean-up of tests. */
void test_process_kill(int64_t pid);

/* fork(); -1 on Windows. */
int64_t test_fork(void);

/* Waits at most ms for a child of test_fork and gives its exit code; -1 when a signal ended it or it had to be killed. */
int test_fork_join(int64_t pid, int64_t ms);

/* Waits at most ms until handle is readable (POSIX: poll) or signalled (Windows: an event); 0 looks once. */
bool test_handle_ready(covey_native handle, int64_t ms);

/* Ends this process at once, without handlers. */
void test_system_exit(int code);

/* Whether this program was built with a checker for leaked memory. */
bool test_has_leak_checker(void);

/* Whether it was built with the thread sanitizer, which leaves handlers of signals and new threads out of a child of fork. */
bool test_has_thread_checker(void);

/* Whether pthread_once, which a fork may interrupt, begins anew in the child: that of glibc does, but not under the thread sanitizer; that of musl waits for
 * ever. */
bool test_once_outlives_fork(void);

/* Whether a terminal's output goes on while somebody has it open, though who leads its session has ended: macOS revokes it then. */
bool test_terminal_outlives_its_leader(void);

/* Takes away what a program of test_start leaves when it has ended (a zombie on POSIX); waits for its end. */
void test_process_reap(int64_t pid);

/* Reaps whoever of our children has ended, as a careless host does; whether there was one. Windows: never. */
bool test_reap_anybody(void);

/* The flags of standard stream 0, 1 or 2 as F_GETFL tells them, after O_NONBLOCK was set (1), cleared (0) or left alone (-1). Windows: 0. */
int64_t test_stream_flags(int stream, int nonblocking);

/* Allows this process as many descriptors as the system can be made to; how many. Windows: 0. */
int64_t test_allow_handles(void);

/* A signal every millisecond, which interrupts every system call that may be interrupted, in any thread; false ends it. Windows has none. */
void test_interrupt(bool on);

/* From now on that signal calls function, in its handler; NULL: no longer. Does nothing on Windows. */
void test_interrupt_calls(void (*function)(void));

/* This process ignores the interrupt of its terminal (SIGINT, CTRL_C), which its children inherit; or no longer. */
void test_ignore_interrupts(bool on);

/* What this process does with each signal (handler, mask and flags), and what this thread blocks, as one text to compare with; "" on Windows. A view. */
const char *test_dispositions(void);

/* Windows: tells the hidden window of a program that the session ends (TEST_LOGOFF, TEST_SHUTDOWN), or that it shall close
 * (TEST_CLOSE). False: it has none; POSIX: always. */
enum { TEST_CLOSE, TEST_LOGOFF, TEST_SHUTDOWN };
bool test_session(int64_t pid, int what);

/* Open descriptors or handles of this process; -1 where the system cannot tell. */
int test_handle_count(void);

/* Windows: the access rights of a handle, 0 when it is none; -1 on other systems. */
int64_t test_handle_rights(covey_native handle);

/* From here to the end of the test the count must not grow: it is compared when the body has returned, for at most 5 s, and what is
 * too much is listed. Does nothing where the system cannot tell. */
void test_no_handles_lost(void);

/* ---- programs and files; every returned text is a view, valid until the end of the test ---- */

/* The path of covey_test_helper: COVEY_TEST_HELPER, else beside this program. */
const char *test_helper(void);

/* Whether every user may start it: nobody but its owner comes through a closed home folder. */
bool test_helper_is_open(void);

/* The path of another program in the folder of this one. */
const char *test_program_beside(const char *name);

/* The path of this test program itself. */
const char *test_program(void);

/* Whether data is what the helper's "out" and "err" write from byte from on, and "count" expects: byte i is i modulo 251. */
bool test_is_pattern(const void *data, size_t size, uint64_t from);
void test_make_pattern(void *ret_data, size_t size, uint64_t from);

/* A private directory, made at the first call, removed with all it holds at the end of the test. Short enough for a socket's path. */
const char *test_temp_dir(void);

/* A text made by printf's rules. */
char *test_format(const char *format, ...) TEST_PRINTF(1, 2);

/* The whole file with a NUL behind it; NULL when it cannot be read. ret_size may be NULL. */
char *test_read_file(const char *path, size_t *ret_size);

/* Makes or replaces a file; it must succeed. */
void test_write_file(const char *path, const void *data, size_t size);
bool test_file_exists(const char *path);

/* Sets a variable of this process's environment; value NULL removes it. */
void test_set_env(const char *name, const char *value);

/* How a program ended that test_run started. */
typedef struct test_ended {
  int64_t code;   /* exit code, 32 bits on Windows; -1 when it did not end by itself */
  int signal;     /* POSIX: the signal that ended it, else 0 */
  bool timed_out; /* it was killed at the deadline, with its tree */
  size_t size;    /* of output */
  char *output;   /* stdout and stderr together, a NUL behind; a view */
} test_ended;

/* Runs a program with the support's own means (not the library's), stdin empty, and waits at most ms. argv[0] is its path. */
test_ended test_run(const char *const *argv, int64_t ms);

/* Whether Windows itself (CommandLineToArgvW) reads exactly these words in a command line: 1 or 0; -1 on other systems. */
int test_system_reads(const char *line, const char *const *argv, size_t count);

/* The upper case of a UTF-16 unit by which Windows compares names; -1 on other systems. */
int test_system_upper(unsigned unit);

/* Starts a program by the same means, streams empty, and leaves it alone: a process that the library has not made. It must be gone, and
 * on POSIX reaped, before the test ends. Returns its pid. */
int64_t test_start(const char *const *argv);

/* ---- children of the library ---- */

/* The words of a command line, NULL behind the last; the same with the helper as program. Valid until the end of the block. */
#define TEST_WORDS(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define TEST_HELPER(...) TEST_WORDS(test_helper(), __VA_ARGS__)

/* Milliseconds: a deadline of a child, or of a message, that is only met in failure. */
#define TEST_SOON 30000

/* test_no_handles_lost for tests that start children: before it counts, what the library and the system make at the first ones and keep is
 * made (the default loop with its thread, the guard, a pool of Windows). */
void test_no_child_handles_lost(void);

/* Starts a child that ends by itself, again and again, each time with one system call of the start made to fail, from the first on to the last; checks that a
 * failed start gives no process and records its code, and that a child that was started all the same ends. Returns how many starts failed. */
struct covey_process_options;
int test_walk_spawn(const struct covey_process_options *options);

/* Starts a child that goes on after its first line, with its output piped; it has written the line by then. */
struct covey_process *test_hanging(const struct covey_process_options *options);

/* For results that a failing call must leave as they were: a filling that nothing else writes, and whether it is still there. */
void test_fill(void *ret_data, size_t size);
bool test_is_filled(const void *data, size_t size);

/* ---- threads ---- */

typedef struct test_thread test_thread;

/* Starts a thread in which checks may be used; it must succeed. Join each before the test ends. */
test_thread *test_thread_start(void (*function)(void *), void *arg);
void test_thread_join(test_thread *thread);

/* A number that any thread may add to and read. */
typedef struct test_counter {
  int64_t value;
} test_counter;
int64_t test_add(test_counter *counter, int64_t n); /* returns the new value; n = 0 reads */

#endif
