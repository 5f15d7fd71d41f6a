#include "core/split.h"
#include "core/error.h"
#include "core/mem.h"
#include "core/utf.h"

#include <string.h>

void cvy_words_end(cvy_words *words)
{
  cvy_str_add_char(&words->text, '\0');
  words->count++;
}

int cvy_words_take(cvy_words *words, char ***ret_list, size_t *ret_count)
{
  size_t count = words->count, size = words->text.size;
  char **list = NULL;
  if (!words->text.failed && count < (SIZE_MAX - size) / sizeof *list - 1)
    list = cvy_alloc((count + 1) * sizeof *list + size);
  if (!list) {
    cvy_words_fini(words);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "a list of words");
  }
  char *text = (char *)(list + count + 1);
  if (size) memcpy(text, words->text.data, size);
  for (size_t i = 0; i < count; i++) {
    list[i] = text;
    text += strlen(text) + 1;
  }
  list[count] = NULL;
  cvy_words_fini(words);
  *ret_list = list;
  if (ret_count) *ret_count = count;
  return 0;
}

void cvy_words_fini(cvy_words *words)
{
  cvy_str_fini(&words->text);
  words->count = 0;
}

static int refuse(size_t offset, const char *why)
{
  return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, -1, (int64_t)offset, "%s", why);
}

static bool sh_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\n';
}

/* Reads one word that begins at *at, up to the blank behind it. */
static int sh_word(cvy_str *out, const char *line, size_t size, size_t *at)
{
  size_t i = *at;
  while (i < size && !sh_blank(line[i])) {
    size_t open = i;
    char c = line[i++];
    if (c == '\'') {
      while (i < size && line[i] != '\'') cvy_str_add_char(out, line[i++]);
      if (i++ == size) return refuse(open, "unmatched single quote");
    } else if (c == '"') {
      while (i < size && line[i] != '"') {
        bool escape = line[i] == '\\' && i + 1 < size && strchr("$`\"\\\n", line[i + 1]);
        if (escape) i++;
        if (!escape || line[i] != '\n') cvy_str_add_char(out, line[i]);
        i++;
      }
      if (i++ == size) return refuse(open, "unmatched double quote");
    } else if (c == '\\') {
      if (i == size) return refuse(open, "backslash at the end");
      if (line[i] != '\n') cvy_str_add_char(out, line[i]);
      i++;
    } else {
      cvy_str_add_char(out, c);
    }
  }
  *at = i;
  return 0;
}

/* Skips what stands between words: blanks, and lines that are continued by a backslash. */
static size_t sh_skip(const char *line, size_t size, size_t at)
{
  while (at < size) {
    if (sh_blank(line[at]))
      at++;
    else if (line[at] == '\\' && at + 1 < size && line[at + 1] == '\n')
      at += 2;
    else
      break;
  }
  return at;
}

int cvy_split_sh(const char *line, size_t size, char ***ret_argv, size_t *ret_count)
{
  const char *nul = size ? memchr(line, '\0', size) : NULL;
  if (nul) return refuse((size_t)(nul - line), "a NUL in the line");
  cvy_words words = {0};
  int r = 0;
  for (size_t at = sh_skip(line, size, 0); at < size && r == 0; at = sh_skip(line, size, at)) {
    r = sh_word(&words.text, line, size, &at);
    cvy_words_end(&words);
  }
  if (r == 0) r = cvy_words_take(&words, ret_argv, ret_count);
  cvy_words_fini(&words);
  return r;
}

static bool argv_blank(char c)
{
  return c == ' ' || c == '\t';
}

static size_t argv_program(cvy_str *out, const char *line, size_t size)
{
  bool quoted = false;
  size_t i = 0;
  for (; i < size && (quoted || !argv_blank(line[i])); i++) {
    if (line[i] == '"')
      quoted = !quoted;
    else
      cvy_str_add_char(out, line[i]);
  }
  return i;
}

static size_t argv_word(cvy_str *out, const char *line, size_t size, size_t at)
{
  bool quoted = false;
  size_t i = at;
  while (i < size && (quoted || !argv_blank(line[i]))) {
    size_t backslashes = 0;
    while (i < size && line[i] == '\\') i++, backslashes++;
    if (i == size || line[i] != '"') {
      cvy_str_add_many(out, '\\', backslashes);
      if (i < size && (quoted || !argv_blank(line[i]))) cvy_str_add_char(out, line[i++]);
      continue;
    }
    cvy_str_add_many(out, '\\', backslashes / 2);
    i++;
    if (backslashes % 2) {
      cvy_str_add_char(out, '"');
    } else if (quoted && i < size && line[i] == '"') {
      cvy_str_add_char(out, '"');
      i++;
    } else {
      quoted = !quoted;
    }
  }
  return i;
}

int cvy_split_argv(const char *line, size_t size, char ***ret_argv, size_t *ret_count)
{
  const char *nul = size ? memchr(line, '\0', size) : NULL;
  if (nul) return refuse((size_t)(nul - line), "a NUL in the line");
  int64_t bad = cvy_utf8_check(line, size);
  if (bad >= 0) return cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ARGUMENTS, -1, bad, "command line");
  cvy_words words = {0};
  for (size_t at = 0; at < size || words.count;) {
    if (words.count) {
      while (at < size && argv_blank(line[at])) at++;
      if (at == size) break;
      at = argv_word(&words.text, line, size, at);
    } else {
      at = argv_program(&words.text, line, size);
    }
    cvy_words_end(&words);
  }
  int r = cvy_words_take(&words, ret_argv, ret_count);
  cvy_words_fini(&words);
  return r;
}
