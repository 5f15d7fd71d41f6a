#include "core/quote.h"
#include "core/error.h"
#include "core/split.h"
#include "core/utf.h"

#include <string.h>

/* What needs no quotes. The parsers ask for them only around blanks and quotes; programs of MinGW, MSYS2 and Cygwin also expand
 * `*?{['`, so that everything with a meaning somewhere is quoted: it costs nothing. Not ASCII is plain. */
static bool is_plain(const char *word, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)word[i];
    if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) continue;
    if (!c || !strchr("_+-./:@\\", c)) return false;
  }
  return size > 0;
}

int cvy_quote_argv(cvy_str *out, const char *word, size_t size, int64_t index)
{
  int r = cvy_quote_check(word, size, "", true, index);
  if (r < 0) return r;
  if (is_plain(word, size)) {
    cvy_str_add(out, word, size);
    return 0;
  }
  size_t backslashes = 0;
  cvy_str_add_char(out, '"');
  for (size_t i = 0; i < size; i++) {
    if (word[i] == '"') cvy_str_add_many(out, '\\', backslashes + 1);
    backslashes = word[i] == '\\' ? backslashes + 1 : 0;
    cvy_str_add_char(out, word[i]);
  }
  cvy_str_add_many(out, '\\', backslashes);
  cvy_str_add_char(out, '"');
  return 0;
}

int cvy_quote_argv0(cvy_str *out, const char *word, size_t size, int64_t index)
{
  int r = cvy_quote_check(word, size, "\"", true, index);
  if (r < 0) return r;
  bool plain = is_plain(word, size);
  if (!plain) cvy_str_add_char(out, '"');
  cvy_str_add(out, word, size);
  if (!plain) cvy_str_add_char(out, '"');
  return 0;
}

const cvy_dialect cvy_dialect_argv = {cvy_quote_argv, cvy_quote_argv0, cvy_split_argv, CVY_COMMAND_LINE_MAX};

static int take_line(cvy_str *out, char **ret_line)
{
  if (!out->failed && cvy_utf16_length(out->data, out->size) > CVY_COMMAND_LINE_MAX)
    return cvy_fail(COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, "a command line of more than %d characters",
                    CVY_COMMAND_LINE_MAX);
  return cvy_str_take(out, ret_line, NULL);
}

int cvy_command_line(const char *const *argv, size_t count, char **ret_line)
{
  if (!count) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "argv is empty");
  cvy_str out = {0};
  int r = cvy_quote_words(&out, &cvy_dialect_argv, argv, count, true);
  if (r == 0) r = take_line(&out, ret_line);
  cvy_str_fini(&out);
  return r;
}

int cvy_command_line_raw(const char *program, const char *tail, size_t size, char **ret_line)
{
  cvy_str out = {0};
  int r = cvy_quote_argv0(&out, program, strlen(program), 0);
  if (r == 0) r = cvy_quote_check(tail, size, "", true, 1);
  if (r == 0) {
    if (size) cvy_str_add_char(&out, ' ');
    cvy_str_add(&out, tail, size);
    r = take_line(&out, ret_line);
  }
  cvy_str_fini(&out);
  return r;
}
