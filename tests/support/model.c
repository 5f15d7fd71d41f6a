#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(model_words *words, char c)
{
  if (words->used == MODEL_TEXT) abort();
  words->text[words->used++] = c;
}

static void begin_word(model_words *words)
{
  if (words->count == MODEL_WORDS || words->used == MODEL_TEXT) abort();
  words->word[words->count++] = words->text + words->used;
}

static void clear(model_words *words)
{
  words->count = 0;
  words->used = 0;
}

static bool blank(char c)
{
  return c == ' ' || c == '\t';
}

/* The arguments behind argv[0]. after: what `""` inside quotes leaves behind: quotes still open (UCRT) or closed (the older two). */
static void arguments(const char *p, bool still_open, model_words *ret)
{
  for (;;) {
    while (blank(*p)) p++;
    if (!*p) return;
    begin_word(ret);
    for (bool open = false; *p && (open || !blank(*p));) {
      size_t slashes = strspn(p, "\\");
      if (p[slashes] != '"') {
        for (; slashes; slashes--) put(ret, *p++);
        if (*p && (open || !blank(*p))) put(ret, *p++);
        continue;
      }
      p += slashes;
      for (size_t i = 0; i < slashes / 2; i++) put(ret, '\\');
      p++;
      if (slashes & 1) {
        put(ret, '"');
      } else if (open && *p == '"') {
        put(ret, '"');
        p++;
        open = still_open;
      } else {
        open = !open;
      }
    }
    put(ret, '\0');
  }
}

/* argv[0] for the C runtimes: quotes toggle and vanish, nothing else is special. */
static const char *runtime_program(const char *p, model_words *ret)
{
  begin_word(ret);
  for (bool open = false; *p && (open || !blank(*p)); p++) {
    if (*p == '"')
      open = !open;
    else
      put(ret, *p);
  }
  put(ret, '\0');
  return p;
}

void model_ucrt(const char *line, model_words *ret)
{
  clear(ret);
  arguments(runtime_program(line, ret), true, ret);
}

void model_msvcrt(const char *line, model_words *ret)
{
  clear(ret);
  arguments(runtime_program(line, ret), false, ret);
}

void model_shell32(const char *line, model_words *ret)
{
  clear(ret);
  begin_word(ret);
  const char *p = line;
  if (*p == '"') {
    for (p++; *p && *p != '"'; p++) put(ret, *p);
    if (*p) p++;
  } else {
    for (; *p && !blank(*p); p++) put(ret, *p);
  }
  put(ret, '\0');
  arguments(p, false, ret);
}

bool model_same(const model_words *words, const char *const *argv, size_t count)
{
  if (words->count != count) return false;
  for (size_t i = 0; i < count; i++)
    if (strcmp(words->word[i], argv[i]) != 0) return false;
  return true;
}

/* ---- cmd.exe ---- */

#define LINE_ROOM (64 * 1024)

/* A line in the making; what does not fit makes the run a lost one. */
typedef struct line {
  size_t size;
  bool full;
  char text[LINE_ROOM];
} line;

static void add(line *l, const char *text, size_t size)
{
  if (size >= LINE_ROOM - l->size) {
    l->full = true;
    return;
  }
  memcpy(l->text + l->size, text, size);
  l->size += size;
  l->text[l->size] = '\0';
}

const char *model_hostile(const char *name, size_t size)
{
  (void)name;
  return size ? "x\"&calc&\"y" : NULL;
}

/* %name:~start,length% : start and length are numbers, empty is 0, negative counts from the end. */
static void add_piece(line *out, const char *value, const char *piece)
{
  long size = (long)strlen(value);
  char *end;
  long start = strtol(piece, &end, 10);
  if (start < 0) start += size;
  if (start < 0) start = 0;
  if (start > size) start = size;
  long stop = size;
  if (*end == ',') {
    long length = strtol(end + 1, NULL, 10);
    stop = length < 0 ? size + length : start + length;
    if (stop > size) stop = size;
  }
  if (stop > start) add(out, value + start, (size_t)(stop - start));
}

/* One reference at the percent sign p, on a command line. Returns how many bytes it takes, 0 when the percent sign is an ordinary one. */
static size_t expand_one(const char *p, model_lookup *lookup, line *out)
{
  size_t name = strcspn(p + 1, "%:");
  const char *end = p + 1 + name;
  if (!*end || (!name && *end == '%')) return 0;
  if (*end == ':' && end[1] == '%') { /* a colon directly before the closing percent belongs to the name */
    name++;
    end++;
  }
  const char *value = lookup(p + 1, name);
  if (!value) return 0;
  if (*end == '%') {
    add(out, value, strlen(value));
    return (size_t)(end + 1 - p);
  }
  const char *close = strchr(end, '%');
  if (!close) return 0;
  if (end[1] == '~')
    add_piece(out, value, end + 2);
  else
    add(out, value, strlen(value)); /* %name:find=replace%: as if nothing was found */
  return (size_t)(close + 1 - p);
}

/* Phase 1 for a command line: percent expansion, blind for quotes and carets. */
static void expand(const char *text, model_lookup *lookup, line *out)
{
  out->size = 0;
  out->full = false;
  out->text[0] = '\0';
  for (const char *p = text; *p;) {
    size_t taken = *p == '%' ? expand_one(p, lookup, out) : 0;
    if (!taken) add(out, p++, 1);
    p += taken;
  }
}

/* Phases 2 and 3: CR vanishes, LF ends the line, operators act outside quotes, carets escape there. */
static void interpret(const line *in, line *out, model_run *run)
{
  bool quoted = false;
  out->size = 0;
  out->full = in->full;
  out->text[0] = '\0';
  for (const char *p = in->text; *p; p++) {
    if (*p == '\r') continue;
    if (*p == '\n') {
      run->lost = true;
      break;
    }
    if (*p == '"') quoted = !quoted;
    if (!quoted && strchr("&|<>()", *p)) run->acted = true;
    if (!quoted && *p == '^') {
      if (!*++p) break;
    }
    add(out, p, 1);
  }
  if (out->full || out->size > 8191) run->lost = true;
}

/* What parts words for cmd.exe; with bytes as here, U+00A0 (C2 A0) has to be looked for apart. */
static size_t separator(const char *p)
{
  if (!memcmp(p, "\xC2\xA0", strlen(p) < 2 ? strlen(p) : 2) && *p) return p[1] ? 2 : 0;
  return *p && strchr(" \t,;=\v\f", *p) ? 1 : 0;
}

/* Skips one word of cmd.exe's. */
static const char *word_end(const char *p)
{
  for (bool quoted = false; *p && (quoted || !separator(p)); p++)
    if (*p == '"') quoted = !quoted;
  return p;
}

static const char *skip_separators(const char *p)
{
  size_t taken;
  while ((taken = separator(p))) p += taken;
  return p;
}

/* The line that a batch file of this kind makes of the arguments of its caller. */
static void forward(const char *text, int kind, size_t count, line *out)
{
  out->size = 0;
  out->full = false;
  out->text[0] = '\0';
  add(out, "program", 7);
  const char *p = word_end(text);
  if (kind == MODEL_ALL || kind == MODEL_TWICE) {
    while (blank(*p)) p++;
    add(out, " ", 1);
    add(out, p, strlen(p));
    return;
  }
  for (size_t i = 0; i < count; i++) {
    p = skip_separators(p);
    const char *end = word_end(p);
    if (kind == MODEL_NUMBERS) {
      add(out, " ", 1);
      add(out, p, (size_t)(end - p));
    } else {
      bool opens = *p == '"', closes = end > p + opens && end[-1] == '"';
      add(out, " \"", 2);
      add(out, p + opens, (size_t)(end - p) - opens - closes);
      add(out, "\"", 1);
    }
    p = end;
  }
}

void model_cmd(const char *text, int kind, size_t count, model_lookup *lookup, model_run *ret)
{
  static line expanded, plain;
  ret->acted = false;
  ret->lost = false;
  expand(text, lookup, &expanded);
  interpret(&expanded, &plain, ret);
  for (int runs = kind == MODEL_TWICE ? 2 : 1; runs; runs--) {
    forward(plain.text, kind, count, &expanded);
    interpret(&expanded, &plain, ret);
  }
  clear(&ret->words);
  arguments(word_end(plain.text), true, &ret->words);
}

bool model_cmd_text(const char *whole, char *ret, size_t size)
{
  const char *start = strstr(whole, " /c \"");
  const char *end = strrchr(whole, '"');
  if (!start || end < start + 5 || (size_t)(end - start) > size) return false;
  snprintf(ret, size, "%.*s%s", (int)(end - start - 5), start + 5, end + 1);
  return true;
}

/* ---- PowerShell ---- */

static size_t single_quote(const char *p)
{
  static const char *const quotes[] = {"'", "\xE2\x80\x98", "\xE2\x80\x99", "\xE2\x80\x9A", "\xE2\x80\x9B"};
  for (size_t i = 0; i < 5; i++)
    if (!strncmp(p, quotes[i], strlen(quotes[i]))) return strlen(quotes[i]);
  return 0;
}

size_t model_powershell(const char *text, char *ret_value, size_t size)
{
  const char *p = text;
  size_t used = 0, quote = single_quote(p);
  if (!quote) return 0;
  p += quote;
  while (*p && used + 4 < size) {
    quote = single_quote(p);
    if (quote) {
      p += quote;
      size_t second = single_quote(p);
      if (!second) {
        ret_value[used] = '\0';
        return (size_t)(p - text);
      }
      memcpy(ret_value + used, p, second);
      used += second;
      p += second;
    } else {
      ret_value[used++] = *p++;
    }
  }
  return 0;
}

/* ---- generators ---- */

bool model_next(model_strings *s)
{
  size_t letters = strlen(s->alphabet), i = s->size;
  if (!s->started) {
    s->started = true;
    return true;
  }
  while (i && ++s->digit[i - 1] == letters) s->digit[--i] = 0;
  if (!i) {
    if (s->size == s->max) return false;
    s->digit[s->size++] = 0;
  }
  for (i = i ? i - 1 : 0; i < s->size; i++) s->text[i] = s->alphabet[s->digit[i]];
  s->text[s->size] = '\0';
  return true;
}

uint32_t model_random(uint64_t *seed)
{
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return (uint32_t)(*seed >> 32);
}

size_t model_random_string(uint64_t *seed, const char *alphabet, size_t max, char *ret)
{
  size_t letters = strlen(alphabet), size = model_random(seed) % (max + 1);
  for (size_t i = 0; i < size; i++) ret[i] = alphabet[model_random(seed) % letters];
  ret[size] = '\0';
  return size;
}
