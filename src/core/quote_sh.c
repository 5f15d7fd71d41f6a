#include "core/quote.h"
#include "core/split.h"

#include <string.h>

/* The set of Python's shlex.quote. Bytes from 0x80 up are quoted: what they mean depends on the shell's locale. */
static bool is_plain(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("_@%+=:,./-", c));
}

static bool is_reserved(const char *word, size_t size)
{
  static const char *const words[] = {
      "case",   "do",       "done",      "elif",   "else",  "esac",  "fi",
      "for",    "if",       "in",        "then",   "until", "while", /* POSIX */
      "coproc", "function", "namespace", "select", "time",           /* bash, ksh */
      "end",    "foreach",  "nocorrect", "repeat"                    /* zsh */
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == size && !memcmp(words[i], word, size)) return true;
  return false;
}

static int quote(cvy_str *out, const char *word, size_t size, bool plain, int64_t index)
{
  int r = cvy_quote_check(word, size, "", false, index);
  if (r < 0) return r;
  plain = plain && size && word[0] != '='; /* zsh expands =name */
  for (size_t i = 0; plain && i < size; i++) plain = is_plain(word[i]);
  if (plain) {
    cvy_str_add(out, word, size);
    return 0;
  }
  cvy_str_add_char(out, '\'');
  for (size_t i = 0; i < size; i++) {
    if (word[i] == '\'')
      cvy_str_add_text(out, "'\\''");
    else
      cvy_str_add_char(out, word[i]);
  }
  cvy_str_add_char(out, '\'');
  return 0;
}

int cvy_quote_sh(cvy_str *out, const char *word, size_t size, int64_t index)
{
  return quote(out, word, size, true, index);
}

int cvy_quote_sh_head(cvy_str *out, const char *word, size_t size, int64_t index)
{
  bool plain = !(size && memchr(word, '=', size)) && !is_reserved(word, size);
  return quote(out, word, size, plain, index);
}

const cvy_dialect cvy_dialect_sh = {cvy_quote_sh, cvy_quote_sh_head, cvy_split_sh, 0};
