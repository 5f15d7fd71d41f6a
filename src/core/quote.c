#include "core/quote.h"
#include "core/error.h"
#include "core/utf.h"

#include <covey/shell.h>
#include <string.h>

const cvy_dialect *cvy_dialect_find(int dialect)
{
  switch (dialect) {
  case COVEY_DIALECT_SH: return &cvy_dialect_sh;
  case COVEY_DIALECT_ARGV: return &cvy_dialect_argv;
  case COVEY_DIALECT_CMD: return &cvy_dialect_cmd;
  case COVEY_DIALECT_POWERSHELL: return &cvy_dialect_powershell;
  default: return NULL;
  }
}

int cvy_quote_check(const char *word, size_t size, const char *refused, bool utf8, int64_t index)
{
  for (size_t i = 0; i < size; i++) {
    if (word[i] && !strchr(refused, word[i])) continue;
    return cvy_fail_at(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, index, (int64_t)i,
                       "character 0x%02X cannot be passed", (unsigned)(unsigned char)word[i]);
  }
  int64_t bad = utf8 ? cvy_utf8_check(word, size) : -1;
  if (bad >= 0) return cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ARGUMENTS, index, bad, "argument");
  return 0;
}

int cvy_quote_words(cvy_str *out, const cvy_dialect *dialect, const char *const *argv, size_t count,
                    bool head)
{
  for (size_t i = 0; i < count; i++) {
    if (!argv[i]) return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "NULL argument");
    if (i) cvy_str_add_char(out, ' ');
    int r = (head && !i ? dialect->head : dialect->word)(out, argv[i], strlen(argv[i]), (int64_t)i);
    if (r < 0) return r;
  }
  return 0;
}

int covey_quote(int dialect, const char *word, size_t size, char **ret_text)
{
  const cvy_dialect *d = cvy_dialect_find(dialect);
  if (!d || !ret_text || (!word && size))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", d ? "NULL pointer" : "unknown dialect");
  if (size == SIZE_MAX) size = strlen(word);
  cvy_str out = {0};
  int r = d->word(&out, word ? word : "", size, -1);
  if (r == 0) r = cvy_str_take(&out, ret_text, NULL);
  cvy_str_fini(&out);
  return r;
}

int covey_join(int dialect, const char *const *argv, size_t count, char **ret_text)
{
  const cvy_dialect *d = cvy_dialect_find(dialect);
  if (!d || !ret_text || (!argv && count))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", d ? "NULL pointer" : "unknown dialect");
  if (count == SIZE_MAX)
    for (count = 0; argv[count]; count++) {
    }
  cvy_str out = {0};
  int r = cvy_quote_words(&out, d, argv, count, true);
  if (r == 0 && !out.failed && d->limit && cvy_utf16_length(out.data, out.size) > (int64_t)d->limit)
    r = cvy_fail(COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, "a line of more than %u characters",
                 (unsigned)d->limit);
  if (r == 0) r = cvy_str_take(&out, ret_text, NULL);
  cvy_str_fini(&out);
  return r;
}

int covey_split(int dialect, const char *line, size_t size, char ***ret_argv, size_t *ret_count)
{
  const cvy_dialect *d = cvy_dialect_find(dialect);
  if (!d || !ret_argv || (!line && size))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", d ? "NULL pointer" : "unknown dialect");
  if (!d->split) return cvy_fail(COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS, "splitting in this dialect");
  return d->split(line ? line : "", size == SIZE_MAX ? strlen(line) : size, ret_argv, ret_count);
}
