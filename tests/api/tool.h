/* tests/api/tool.h: the tool, as a user of a shell sees it. */
#ifndef COVEY_TESTS_TOOL_H
#define COVEY_TESTS_TOOL_H

#include <covey/process.h>

/* Runs "covey WORD..." with input (may be NULL) and captures both streams; words ends with NULL. */
void tool(covey_result *ret, const char *input, const char *const *words);
#define TOOL(ret, input, ...) tool((ret), (input), (const char *const[]){__VA_ARGS__, NULL})

/* The same: it ends with this code, and says why if it is not 0. */
void tool_code(uint32_t code, const char *const *words);
#define CODE(code, ...) tool_code((code), (const char *const[]){__VA_ARGS__, NULL})

#endif
