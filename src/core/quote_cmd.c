#include "core/quote.h"
#include "core/error.h"
#include "core/utf.h"

#include <string.h>

/* cmd.exe expands %name% before it looks at quotes, and knows no escape for `%` behind /c. This stands for one `%`: a lone percent,
 * then a piece of no length of the variable cd, which is always defined; what is left cannot pair up. */
#define PERCENT "%%cd:~,%"

/* Not ASCII is quoted: U+00A0 separates words for cmd.exe in some code pages. */
static bool is_plain(const char *word, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    char c = word[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) continue;
    if (!c || !strchr("_+-./:@#$\\", c)) return false;
  }
  return size > 0 && word[size - 1] != '\\';
}

static void add_quoted(cvy_str *out, const char *prefix, const char *word, size_t size)
{
  size_t backslashes = 0;
  cvy_str_add_char(out, '"');
  cvy_str_add_text(out, prefix);
  for (size_t i = 0; i < size; i++) {
    if (word[i] == '%') {
      cvy_str_add_text(out, PERCENT);
    } else if (word[i] == '"') {
      cvy_str_add_many(out, '\\', backslashes);
      cvy_str_add_text(out, "\"\"");
    } else {
      cvy_str_add_char(out, word[i]);
    }
    backslashes = word[i] == '\\' ? backslashes + 1 : 0;
  }
  cvy_str_add_many(out, '\\', backslashes);
  cvy_str_add_char(out, '"');
}

int cvy_quote_cmd(cvy_str *out, const char *word, size_t size, int64_t index)
{
  int r = cvy_quote_check(word, size, "\r\n", true, index);
  if (r < 0) return r;
  if (is_plain(word, size))
    cvy_str_add(out, word, size);
  else
    add_quoted(out, "", word, size);
  return 0;
}

/* Always quoted: an unquoted first word may be a command of cmd.exe itself, and `call`, `for` and `if` parse what follows anew. */
static int add_program(cvy_str *out, const char *prefix, const char *word, size_t size, int64_t index)
{
  int r = cvy_quote_check(word, size, "\r\n\"", true, index);
  if (r < 0) return r;
  if (!size)
    return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, index, -1, "the program's name is empty");
  if (word[size - 1] == '\\')
    return cvy_fail_at(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, index, (int64_t)size - 1,
                       "a program's name that ends in a backslash");
  add_quoted(out, prefix, word, size);
  return 0;
}

int cvy_quote_cmd_head(cvy_str *out, const char *word, size_t size, int64_t index)
{
  return add_program(out, "", word, size, index);
}

const cvy_dialect cvy_dialect_cmd = {cvy_quote_cmd, cvy_quote_cmd_head, NULL, CVY_CMD_LINE_MAX};

static int refuse_name(size_t offset, const char *why)
{
  return cvy_fail_at(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, -1, (int64_t)offset, "%s", why);
}

static bool is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_separator(char c)
{
  return c == '\\' || c == '/';
}

static bool has_prefix(const char *path, size_t size)
{
  return size >= 4 && !memcmp(path, "\\\\?\\", 4);
}

int cvy_is_batch_name(const char *path, size_t size)
{
  if (!size) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "the program's name is empty");
  size_t start = has_prefix(path, size) ? 4 : 0;
  for (size_t i = start; i < size; i++) {
    unsigned char c = (unsigned char)path[i];
    if (c < 0x20 || strchr("\"<>|*?", c))
      return refuse_name(i, "a character that no program's name may hold");
    if (c == ':' && !(i == start + 1 && is_letter(path[start])))
      return refuse_name(i, "a colon that is not behind a drive letter");
  }
  char end = path[size - 1];
  if (is_separator(end) || end == ':')
    return refuse_name(size - 1, "a program's name that ends in a separator");
  if (end == ' ' || end == '.')
    return refuse_name(size - 1, "a program's name that ends in a blank or a dot");
  if (size < 4 || path[size - 4] != '.') return 0;
  char extension[3];
  for (size_t i = 0; i < 3; i++) {
    char c = path[size - 3 + i];
    extension[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  return !memcmp(extension, "bat", 3) || !memcmp(extension, "cmd", 3);
}

static bool is_bare(const char *path, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (is_separator(path[i]) || path[i] == ':') return false;
  return true;
}

int cvy_batch_line(const char *script, const char *const *arguments, size_t count, char **ret_line)
{
  size_t size = strlen(script);
  if (has_prefix(script, size)) return refuse_name(0, "a batch file whose path begins with \\\\?\\");
  cvy_str out = {0};
  cvy_str_add_text(&out, "cmd.exe /d /s /e:ON /v:OFF /c \"");
  int r = add_program(&out, is_bare(script, size) ? ".\\" : "", script, size, -1);
  for (size_t i = 0; i < count && r == 0; i++) {
    cvy_str_add_char(&out, ' ');
    r = cvy_quote_cmd(&out, arguments[i], strlen(arguments[i]), (int64_t)i + 1);
  }
  cvy_str_add_char(&out, '"');
  if (r == 0 && !out.failed && cvy_utf16_length(out.data, out.size) > CVY_CMD_LINE_MAX)
    r = cvy_fail(COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, "a line of more than %d characters for cmd.exe",
                 CVY_CMD_LINE_MAX);
  if (r == 0) r = cvy_str_take(&out, ret_line, NULL);
  cvy_str_fini(&out);
  return r;
}
