/* tests/api/signal_words.h: subscribing and expecting, within the tests' patience; defined in signal.c. */
#ifndef COVEY_TESTS_SIGNAL_WORDS_H
#define COVEY_TESTS_SIGNAL_WORDS_H

#include <covey/signal.h>

#include <signal.h>

#if !defined(SIGUSR1) /* Windows: never reached */
#define SIGUSR1 0
#define SIGUSR2 0
#endif

#define SIGNAL_SET(...)                                                                                      \
  .signals = (const int[]){__VA_ARGS__}, .count = sizeof((const int[]){__VA_ARGS__}) / sizeof(int)

covey_signals *signals_subscribe(const covey_signals_options *options);
void signals_expect(covey_signals *s, int signal, uint32_t count);
void signals_expect_nothing(covey_signals *s);
void signals_needed(void); /* else the test is skipped */

#endif
