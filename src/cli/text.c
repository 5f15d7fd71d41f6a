#include "cli/cli.h"

#include <string.h>

/* The length of the UTF-8 sequence at text, 1 to 4; 0: it is none. */
static size_t sequence(const unsigned char *text)
{
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned first = text[0], value;
  size_t size = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 0;
  if (size <= 1) return size;
  value = first & (0x7FU >> size);
  for (size_t i = 1; i < size; i++) {
    if ((text[i] & 0xC0) != 0x80) return 0;
    value = value << 6 | (text[i] & 0x3F);
  }
  return value < least[size] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000) ? 0 : size;
}

void cli_print(FILE *to, const char *text)
{
  const unsigned char *at = (const unsigned char *)text;
  while (*at) {
    size_t size = sequence(at);
    /* what steers a terminal: C0, DEL, and C1 in both forms */
    bool control = size == 0 || *at < 0x20 || *at == 0x7F || (*at == 0xC2 && at[1] < 0xA0);
    if (size == 0) size = 1;
    if (!control) {
      fwrite(at, 1, size, to);
    } else if (*at == '\n' || *at == '\t') {
      fputs(*at == '\n' ? "\\n" : "\\t", to);
    } else {
      for (size_t i = 0; i < size; i++) fprintf(to, "\\x%02x", at[i]);
    }
    at += size;
  }
}

void cli_json(FILE *to, const char *text)
{
  cli_json_bytes(to, text, strlen(text));
}

void cli_json_bytes(FILE *to, const char *text, size_t length)
{
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  fputc('"', to);
  while (at < end) {
    size_t size = sequence(at);
    if (size == 0)
      fputs("\\ufffd", to);
    else if (*at == '"' || *at == '\\')
      fprintf(to, "\\%c", *at);
    else if (*at < 0x20 || *at == 0x7F)
      fprintf(to, "\\u%04x", *at);
    else
      fwrite(at, 1, size, to);
    at += size ? size : 1;
  }
  fputc('"', to);
}
