/* tests/api/channel_words.h: texts over a channel whose endpoint is "e", of this process; defined in channel.c. */
#ifndef COVEY_TESTS_CHANNEL_WORDS_H
#define COVEY_TESTS_CHANNEL_WORDS_H

#include <covey/channel.h>

void channel_send_text(covey_channel *c, const char *text);
void channel_expect(covey_channel *c, const char *text); /* the next one, within the tests' patience */

#endif
