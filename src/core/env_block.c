#include "core/env_block.h"
#include "core/error.h"
#include "core/fold.h"
#include "core/mem.h"
#include "core/sort.h"
#include "core/split.h"
#include "core/utf.h"

#include <string.h>

typedef struct variable {
  const uint16_t *units; /* "K=V" */
  size_t count;
  size_t name; /* units of K */
} variable;

static int compare(const void *left, const void *right)
{
  const variable *a = left, *b = right;
  int drive = (b->units[0] == '=') - (a->units[0] == '=');
  return drive ? drive : cvy_compare_upper(a->units, a->name, b->units, b->name);
}

/* Converts one text to units, which has room for it, and fills *v. */
static int convert(variable *v, const char *text, int64_t index, uint16_t *units)
{
  size_t size = strlen(text);
  int64_t bad = cvy_utf8_check(text, size);
  if (bad >= 0) return cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ENVIRONMENT, index, bad, "environment");
  v->units = units;
  v->count = (size_t)cvy_utf8_to_16(text, size, units);
  size_t name = v->count ? 1 : 0;
  while (name < v->count && units[name] != '=') name++;
  v->name = name;
  if (name == v->count)
    return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ENVIRONMENT, index, 0, "no name and value in \"%s\"", text);
  if (v->count - name - 1 > CVY_ENV_VALUE_MAX)
    return cvy_fail_at(COVEY_ETOOBIG, COVEY_STAGE_ENVIRONMENT, index, -1,
                       "%.*s: a value of more than %d characters", (int)(1 + strcspn(text + 1, "=")), text,
                       CVY_ENV_VALUE_MAX);
  return 0;
}

/* Copies the variables to block, the last of each name, and ends it. Returns the units written. */
static size_t write_block(void *const *sorted, size_t count, uint16_t *block)
{
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    const variable *v = sorted[i];
    if (i + 1 < count && !compare(v, sorted[i + 1])) continue;
    memcpy(block + used, v->units, v->count * sizeof *block);
    used += v->count;
    block[used++] = 0;
  }
  if (!used) block[used++] = 0;
  block[used++] = 0;
  return used;
}

int cvy_env_block(const char *const *env, uint16_t **ret_block, size_t *ret_count)
{
  size_t count = 0, size = 0;
  for (; env && env[count]; count++) size += strlen(env[count]);
  variable *variables = cvy_alloc_zero(count, sizeof *variables);
  void **sorted = cvy_realloc_array(NULL, count, sizeof *sorted);
  uint16_t *units = cvy_realloc_array(NULL, size, sizeof *units);
  uint16_t *block = cvy_realloc_array(NULL, size + count + 2, sizeof *block);
  bool memory = variables && sorted && units && block;
  size_t used = 0;
  int r = 0;
  for (size_t i = 0; memory && r == 0 && i < count; i++) {
    sorted[i] = &variables[i];
    r = convert(&variables[i], env[i], (int64_t)i, units + used);
    used += variables[i].count;
  }
  if (memory && r == 0) memory = cvy_sort(sorted, count, compare);
  if (!memory) r = cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ENVIRONMENT, "environment");
  if (r == 0) {
    used = write_block(sorted, count, block);
    *ret_block = block;
    if (ret_count) *ret_count = used;
    block = NULL;
  }
  cvy_free(variables);
  cvy_free(sorted);
  cvy_free(units);
  cvy_free(block);
  return r;
}

static int add_text(cvy_words *words, const uint16_t *units, size_t count)
{
  char *text;
  size_t size;
  int r = cvy_utf16_dup8(units, count, &text, &size);
  if (r < 0) return r;
  cvy_str_add(&words->text, text, size);
  cvy_words_end(words);
  cvy_free(text);
  return 0;
}

int cvy_env_unblock(const uint16_t *block, size_t count, char ***ret_env, size_t *ret_count)
{
  cvy_words words = {0};
  int r = 0;
  for (size_t at = 0;;) {
    size_t end = at;
    while (end < count && block[end]) end++;
    if (end >= count)
      r = COVEY_EINVAL;
    else if (end > at)
      r = add_text(&words, block + at, end - at);
    if (r < 0 || end == at) break;
    at = end + 1;
  }
  if (r == 0)
    r = cvy_words_take(&words, ret_env, ret_count);
  else
    cvy_fail(r, COVEY_STAGE_ENVIRONMENT, "environment block");
  cvy_words_fini(&words);
  return r;
}
