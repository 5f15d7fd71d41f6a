/* tests/api/process_words.h: a child from its start to its end, within the tests' patience; defined in process.c. */
#ifndef COVEY_TESTS_PROCESS_WORDS_H
#define COVEY_TESTS_PROCESS_WORDS_H

#include <covey/process.h>

covey_process *process_spawn(const covey_process_options *options);
covey_process *process_spawn_piped(const char *const *argv);

/* The next line of the child's output, without its end; "" at the end of the stream. Static. */
const char *process_read_line(covey_process *p);

covey_exit process_end(covey_process *p); /* waits for it */

#endif
