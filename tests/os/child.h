/* tests/os/child.h: starting the helper through the seam, for the tests of processes, trees and signals. */
#ifndef COVEY_TESTS_OS_CHILD_H
#define COVEY_TESTS_OS_CHILD_H

#include "os/process.h"
#include "support/test.h"

typedef struct child {
  cvos_process process;
  cvos_tree *tree;
  cvos_status status;
  const char *output; /* the file that its stdout and stderr go to */
} child;

/* Fills a request for the helper with these arguments (NULL at the end); child_free_request frees what is in it. */
void child_request(cvos_spawn_request *q, const char *const *arguments);
void child_free_request(cvos_spawn_request *q);

/* Starts the helper: stdin null, outputs to a file. base (may be NULL) gives scope, flags, cwd, passed handles. It must succeed. */
void child_start(child *c, const cvos_spawn_request *base, const char *const *arguments);

/* Waits for its end, notes, reaps and closes everything. */
void child_finish(child *c);

/* Waits until its output holds text (or ends the test); returns the output. */
const char *child_says(child *c, const char *text);

/* The n-th number in its output, which must come. */
int64_t child_number(child *c, int n);

#endif
