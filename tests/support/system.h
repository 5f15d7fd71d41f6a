/* tests/support/system.h: what the support code needs of the system; posix.c and win32.c are its twins. Test files do not include it. */
#ifndef COVEY_TESTS_SYSTEM_H
#define COVEY_TESTS_SYSTEM_H

#include "test.h"

/* Called once in a test's process, before its body: dumps and error boxes off, and on Windows a job that ends all that the test starts
 * when the test's process is gone. */
void test_system_begin(void);

/* No signal is delivered to the calling thread. */
void test_system_block_signals(void);

/* Writes text to stderr and ends this process with code, past all locks and handlers. */
void test_system_exit_saying(int code, const char *text);

/* Looks for what the test's process left behind: children that ended and were not reaped (POSIX), processes in its job that still run
 * (Windows). They get ms to go. Returns how many there are, with their names in text. */
int test_system_left(int64_t ms, char *text, size_t capacity);

/* The processes that carry the mark (COVEY_TEST_MARK=mark in their environment), other than this one; they are given ms to end by
 * themselves, then killed. Returns how many had to be, with their names in text. 0 where the system cannot tell. */
int test_system_sweep(const char *mark, int64_t ms, char *text, size_t capacity);

/* Lists the open descriptors, for a failure's text. */
void test_system_list_handles(char *text, size_t capacity);

/* Whether the memory checker, if there is one in this program, finds a leak now. */
bool test_system_leaks(void);

/* Starts argv with empty stdin and both outputs into the file output, waits at most ms, kills it and its group (job) at the deadline
 * and what is left of the group when it has ended. mark (may be NULL): its COVEY_TEST_MARK. Returns false when it could not be started. */
bool test_system_run(const char *const *argv, const char *output, const char *mark, int64_t ms,
                     test_ended *ret);

/* The directory for temporary files, without a separator at its end; the path of this program; false when unknown. */
bool test_system_temp(char *path, size_t capacity);
bool test_system_program(char *path, size_t capacity);

/* Makes a directory that nobody else may enter; false when it exists or cannot be made. Removes a directory with all it holds, or a
 * file; false when something is still there. */
bool test_system_make_dir(const char *path);
bool test_system_remove(const char *path);

/* fopen for a path in UTF-8. */
FILE *test_system_open(const char *path, const char *mode);

#endif
