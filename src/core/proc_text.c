#include "core/proc_text.h"

#include <limits.h>
#include <string.h>

/* Fields of proc_pid_stat(5), counted from 1; the second is the name, the third the state. */
enum {
  AT_PARENT = 4,
  AT_GROUP = 5,
  AT_SESSION = 6,
  AT_FLAGS = 9,
  AT_USER = 14,
  AT_SYSTEM = 15,
  AT_THREADS = 20,
  AT_START = 22,
  AT_PAGES = 24,
  FIELDS = 24
};

/* A whole number at *at, which moves behind it. Values that do not fit are none. */
static bool number(const char **at, const char *end, int64_t *ret)
{
  const char *p = *at;
  bool minus = p < end && *p == '-';
  uint64_t value = 0;
  if (minus) p++;
  const char *first = p;
  for (; p < end && *p >= '0' && *p <= '9'; p++) {
    if (value > (UINT64_MAX - 9) / 10) return false;
    value = value * 10 + (uint64_t)(*p - '0');
  }
  if (p == first) return false;
  /* unsigned fields use all 64 bits: they come back as they were when they are taken as unsigned */
  *ret = minus ? (int64_t)(0 - value) : (int64_t)value;
  *at = p;
  return true;
}

bool cvy_proc_stat_read(const char *text, size_t size, cvy_proc_stat *ret)
{
  const char *end = text + size, *open = memchr(text, '(', size), *close = end, *at = text;
  int64_t field[FIELDS + 1] = {0}, pid;
  /* a name may hold brackets: the last one is the kernel's, behind it are only numbers */
  while (close > text && close[-1] != ')') close--;
  if (!open || close <= open + 1 || !number(&at, end, &pid) || pid < 1 || at + 1 != open || *at != ' ')
    return false;
  at = close;
  if (end - at < 3 || at[0] != ' ' || at[2] != ' ') return false;
  char state = at[1];
  at += 2;
  for (int i = AT_PARENT; i <= FIELDS; i++) {
    if (at == end || *at != ' ') return false;
    at++;
    if (!number(&at, end, &field[i])) return false;
  }
  if (field[AT_PARENT] < 0) return false;
  *ret = (cvy_proc_stat){.pid = pid,
                         .parent = field[AT_PARENT],
                         .group = field[AT_GROUP],
                         .session = field[AT_SESSION],
                         .start = (uint64_t)field[AT_START],
                         .user_ticks = (uint64_t)field[AT_USER],
                         .system_ticks = (uint64_t)field[AT_SYSTEM],
                         .pages = field[AT_PAGES],
                         .threads = field[AT_THREADS],
                         .flags = (uint64_t)field[AT_FLAGS],
                         .state = state};
  size_t name = (size_t)(close - 1 - (open + 1));
  if (name > sizeof ret->name - 1) name = sizeof ret->name - 1;
  memcpy(ret->name, open + 1, name);
  return true;
}

bool cvy_proc_args2(const char *block, size_t size, const char **ret_args, size_t *ret_size)
{
  int32_t count;
  if (size < sizeof count) return false;
  memcpy(&count, block, sizeof count);
  const char *at = block + sizeof count, *end = block + size;
  if (count < 0 || !memchr(at, '\0', (size_t)(end - at))) return false;
  while (*at) at++;
  while (at < end && !*at) at++;
  const char *first = at;
  for (int32_t i = 0; i < count; i++) {
    const char *nul = memchr(at, '\0', (size_t)(end - at));
    if (!nul) break;
    at = nul + 1;
  }
  *ret_args = first;
  *ret_size = (size_t)(at - first);
  return true;
}

const char *cvy_proc_whole_name(const char *name, size_t limit, const char *word)
{
  if (strlen(name) != limit) return NULL;
  const char *slash = strrchr(word, '/');
  const char *base = slash ? slash + 1 : word;
  return strncmp(base, name, limit) == 0 && base[limit] ? base : NULL;
}

bool cvy_pipe_entry_read(const uint16_t *units, size_t room, const char *prefix, char *ret, size_t capacity)
{
  size_t i = 0, n = 0;
  for (; *prefix; prefix++, i++)
    if (i == room || units[i] != (unsigned char)*prefix) return false;
  if (i < room && units[i] == '.') return false;
  for (; i < room && units[i] && n < capacity; i++) {
    uint16_t c = units[i];
    bool capital = c == '+';
    if (capital) c = ++i < room ? units[i] : 0;
    if (capital && (c < 'a' || c > 'z')) return false;
    if (c < '!' || c > '~' || (c >= 'A' && c <= 'Z') || c == '/' || c == '\\' || c == '~') return false;
    ret[n++] = (char)(capital ? c - 'a' + 'A' : c);
  }
  if (i == room || units[i] || n == 0 || n == capacity) return false;
  ret[n] = '\0';
  return true;
}
