#include <covey/self.h>
#include <covey/shell.h>

#include "core/error.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/path.h"
#include "os/process.h"

#include <string.h>

/* One block: the pointers, then the texts. */
static char **copy_words(size_t count, char **words)
{
  size_t size = (count + 1) * sizeof(char *);
  for (size_t i = 0; i < count; i++) size += strlen(words[i]) + 1;
  char **copy = cvy_alloc(size);
  if (!copy) return NULL;
  char *text = (char *)(copy + count + 1);
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(words[i]) + 1;
    memcpy(text, words[i], n);
    copy[i] = text;
    text += n;
  }
  copy[count] = NULL;
  return copy;
}

int covey_self_arguments(int argc, char **argv, char ***ret_argv, size_t *ret_count)
{
  char *line;
  if (argc < 0 || !argv || !ret_argv)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "argc, argv or ret_argv");
  int r = cvos_command_line(&line);
  if (r == 0) {
    r = covey_split(COVEY_DIALECT_ARGV, line, strlen(line), ret_argv, ret_count);
    cvy_free(line);
    return r;
  }
  if (r != COVEY_ENOTSUP) return cvy_fail(r, COVEY_STAGE_ARGUMENTS, "command line");
  char **copy = copy_words((size_t)argc, argv);
  if (!copy) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ARGUMENTS, "arguments");
  *ret_argv = copy;
  if (ret_count) *ret_count = (size_t)argc;
  return 0;
}

int covey_self_path(char **ret_path)
{
  if (!ret_path) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_path is NULL");
  int r = cvos_path_self(ret_path);
  return r == 0 ? 0 : cvy_fail_os(COVEY_STAGE_NONE, cvos_last_error(), "the file of this program");
}
