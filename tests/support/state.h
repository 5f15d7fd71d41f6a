/* tests/support/state.h: the one test of this process, as check.c and frame.c see it. Test files do not include it. */
#ifndef COVEY_TESTS_STATE_H
#define COVEY_TESTS_STATE_H

#include "os/types.h"
#include "test.h"

#include <setjmp.h>
#include <uv.h>

/* A block that lives until the end of the test. */
typedef struct test_kept {
  struct test_kept *next;
  char data[];
} test_kept;

typedef struct test_state {
  const test_case *test;
  int64_t pid;
  int failures;
  bool in_body;
  bool finished;
  bool skipped;
  const char *reason;
  test_kept *kept;
  const char *dir;
  int handles; /* -1: not asked for */
  int directories;
} test_state;

extern test_state test_running;

/* Around what threads share of it: failures, kept, directory. */
void test_enter(void);
void test_leave(void);

/* Where REQUIRE jumps to in this thread; NULL in a thread that is not ours. */
extern CVOS_THREAD_LOCAL jmp_buf *test_landing;
extern CVOS_THREAD_LOCAL bool test_main_thread;

/* Writes a line about the test to stderr; file may be NULL. */
void test_say(const char *kind, const char *file, int line, const char *text);

/* Nobody may go on in a forked copy of the test: it shares the runner's connections. */
bool test_forked(void);

void test_free_kept(void);

#endif
