#include "core/error.h"
#include "os/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static CVOS_THREAD_LOCAL covey_failure last = {.offset = -1, .index = -1};

const covey_failure *covey_last_failure(void)
{
  return &last;
}

const char *covey_strerror(int code)
{
  switch (code) {
#define CASE(name, number, text)                                                                             \
  case number: return text;
    COVEY_ERRORS(CASE)
#undef CASE
  default: return code >= 0 ? "success" : "unknown error";
  }
}

const char *covey_errname(int code)
{
  switch (code) {
#define CASE(name, number, text)                                                                             \
  case number: return "COVEY_" #name;
    COVEY_ERRORS(CASE)
#undef CASE
  default: return code >= 0 ? "COVEY_OK" : "COVEY_E?";
  }
}

/* Cuts a text that fills its buffer at the last whole UTF-8 character, so that a long path never ends in half a one. */
static void cut_text(char *text, size_t capacity)
{
  size_t n = strlen(text), start = n, size = 1;
  unsigned char first;
  if (n + 1 < capacity) return;
  while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
  if (start == 0) return;
  first = (unsigned char)text[--start];
  if (first >= 0xC0) size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (n - start < size) text[start] = '\0';
}

static void record(covey_failure *f, int code, int stage, int system, const char *format, va_list args)
{
  char what[sizeof f->what]; /* the arguments may point into *f */
  vsnprintf(what, sizeof what, format, args);
  cut_text(what, sizeof what);
  memset(f, 0, sizeof *f);
  f->code = code;
  f->stage = stage;
  f->system = system;
  f->offset = -1;
  f->index = -1;
  memcpy(f->what, what, strlen(what) + 1);
}

int cvy_fail(int code, int stage, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  record(&last, code, stage, 0, format, args);
  va_end(args);
  return code;
}

int cvy_fail_os(int stage, int system, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  record(&last, cvos_translate(system), stage, system, format, args);
  va_end(args);
  return last.code;
}

int cvy_fail_at(int code, int stage, int64_t index, int64_t offset, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  record(&last, code, stage, 0, format, args);
  va_end(args);
  last.index = index;
  last.offset = offset;
  return code;
}

int cvy_fail_far(int code, int reached)
{
  last.reached = reached;
  return code;
}

int cvy_fail_copy(const covey_failure *failure)
{
  if (failure != &last) last = *failure;
  return last.code;
}

void cvy_failure_set(covey_failure *ret, int code, int stage, int system, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  record(ret, code, stage, system, format, args);
  va_end(args);
}
