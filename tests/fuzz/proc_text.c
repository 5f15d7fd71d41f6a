/* What a system says of a process: any bytes are read or refused; a line made of what was read is read the same again; words lie
 * inside their block. */
#include "fuzz.h"

#include "core/proc_text.h"

static void check_line(const cvy_proc_stat *s)
{
  char line[1024];
  int size = snprintf(
      line, sizeof line, "%lld (%s) %c %lld %lld %lld 0 0 %llu 0 0 0 0 %llu %llu 0 0 0 0 %lld 0 %llu 0 %lld",
      (long long)s->pid, s->name, s->state, (long long)s->parent, (long long)s->group, (long long)s->session,
      (unsigned long long)s->flags, (unsigned long long)s->user_ticks, (unsigned long long)s->system_ticks,
      (long long)s->threads, (unsigned long long)s->start, (long long)s->pages);
  FUZZ_REQUIRE(size > 0 && (size_t)size < sizeof line);
  cvy_proc_stat again;
  FUZZ_REQUIRE(cvy_proc_stat_read(line, (size_t)size, &again));
  FUZZ_REQUIRE(again.pid == s->pid && again.parent == s->parent && again.group == s->group &&
               again.session == s->session && again.start == s->start && again.pages == s->pages &&
               again.user_ticks == s->user_ticks && again.system_ticks == s->system_ticks &&
               again.threads == s->threads && again.flags == s->flags && again.state == s->state);
  FUZZ_REQUIRE(strcmp(again.name, s->name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *block = malloc(size ? size : 1);
  FUZZ_REQUIRE(block != NULL);
  if (size) memcpy(block, data, size);
  cvy_proc_stat stat;
  if (cvy_proc_stat_read(block, size, &stat)) {
    FUZZ_REQUIRE(stat.pid > 0 && stat.parent >= 0 && memchr(stat.name, 0, sizeof stat.name));
    check_line(&stat);
  }
  const char *args;
  size_t args_size;
  if (cvy_proc_args2(block, size, &args, &args_size)) {
    FUZZ_REQUIRE(args >= block + 4 && args_size <= (size_t)(block + size - args));
    FUZZ_REQUIRE(args_size == 0 || args[args_size - 1] == '\0');
  }
  const char *list[3];
  char *texts;
  size_t count = fuzz_texts(data, size, list, 3, &texts);
  if (count == 2) {
    const char *whole = cvy_proc_whole_name(list[0], strlen(list[0]), list[1]);
    FUZZ_REQUIRE(!whole || (strlen(whole) > strlen(list[0]) && !strchr(whole, '/')) || strchr(list[0], '/'));
  }
  free(texts);
  free(block);
  return 0;
}
