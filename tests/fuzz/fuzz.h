/* tests/fuzz/fuzz.h: what each fuzz target includes. A target is one file with one LLVMFuzzerTestOneInput; libFuzzer calls it
 * (COVEY_FUZZ), or driver.c with what is stored in tests/fuzz/corpus/NAME. A broken promise aborts. */
#ifndef COVEY_TESTS_FUZZ_H
#define COVEY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_REQUIRE(expr)                                                                                   \
  do {                                                                                                       \
    if (!(expr)) {                                                                                           \
      fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #expr);                                    \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

/* Cuts data at its NULs into at most capacity texts, terminated and in one block: free it. ret_list[n] is NULL. Returns their number. */
static inline size_t fuzz_texts(const uint8_t *data, size_t size, const char **ret_list, size_t capacity,
                                char **ret_block)
{
  char *block = malloc(size + 1);
  size_t count = 0, at = 0;
  FUZZ_REQUIRE(block != NULL);
  if (size) memcpy(block, data, size);
  block[size] = '\0';
  while (at < size && count + 1 < capacity) {
    ret_list[count++] = block + at;
    at += strlen(block + at) + 1;
  }
  ret_list[count] = NULL;
  *ret_block = block;
  return count;
}

#endif
