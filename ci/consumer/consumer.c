/* A user's program against the installed library; the headers that it includes are all of them. */
#include <covey/base.h>
#include <covey/error.h>
#include <covey/shell.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
  char *text = NULL;
  int result = covey_quote(COVEY_DIALECT_SH, "it's", 4, &text);
  if (result < 0) {
    fprintf(stderr, "%s\n", covey_strerror(result));
    return 1;
  }
  result = strcmp(text, "'it'\\''s'") == 0 ? 0 : 1;
  printf("covey %d.%d: %s\n", COVEY_VERSION_MAJOR, COVEY_VERSION_MINOR, text);
  covey_free(text);
  return result;
}
