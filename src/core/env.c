#include "core/env.h"
#include "core/error.h"
#include "core/fold.h"
#include "core/mem.h"
#include "core/sort.h"
#include "core/split.h"
#include "core/utf.h"

#include <string.h>

typedef struct entry {
  const char *text;    /* "K=V", or "K" */
  size_t name;         /* bytes of K */
  const uint16_t *key; /* K in UTF-16 under the rules of Windows, else NULL */
  size_t key_count;
  bool change; /* from changes, not from base */
  bool set;
  bool kept;
} entry;

static int compare(const void *left, const void *right)
{
  const entry *a = left, *b = right;
  if (a->key) return cvy_compare_upper(a->key, a->key_count, b->key, b->key_count);
  size_t shorter = a->name < b->name ? a->name : b->name;
  int r = memcmp(a->text, b->text, shorter);
  return r ? r : (a->name > b->name) - (a->name < b->name);
}

static size_t list_count(const char *const *list)
{
  size_t count = 0;
  while (list && list[count]) count++;
  return count;
}

/* The `=` behind the name, NULL when there is none. */
static const char *find_separator(int rules, const char *text)
{
  return strchr(text + (rules == CVY_ENV_WINDOWS && *text == '='), '=');
}

/* Fills *e from one text. 0, or COVEY_EINVAL (nothing recorded) when it is no variable. */
static int entry_init(entry *e, int rules, const char *text, bool change)
{
  const char *separator = find_separator(rules, text);
  *e = (entry){.text = text, .change = change, .set = separator != NULL};
  e->name = separator ? (size_t)(separator - text) : strlen(text);
  bool bad = !e->name || (change ? *text == '=' : !separator);
  return bad ? COVEY_EINVAL : 0;
}

static bool is_system_root(const entry *e)
{
  static const uint16_t name[] = {'S', 'Y', 'S', 'T', 'E', 'M', 'R', 'O', 'O', 'T'};
  return !cvy_compare_upper(e->key, e->key_count, name, sizeof name / sizeof *name);
}

typedef struct merge {
  int rules;
  entry *entries;
  size_t count;
  uint16_t *keys; /* room for the names in UTF-16 */
  size_t keys_used;
} merge;

static int add_key(merge *m, entry *e, int64_t index)
{
  if (m->rules != CVY_ENV_WINDOWS) return 0;
  int64_t bad = cvy_utf8_check(e->text, strlen(e->text));
  if (bad >= 0) return cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ENVIRONMENT, index, bad, "environment");
  uint16_t *key = m->keys + m->keys_used;
  e->key = key;
  e->key_count = (size_t)cvy_utf8_to_16(e->text, e->name, key);
  m->keys_used += e->key_count;
  return 0;
}

static int add_base(merge *m, const char *const *base, size_t count, bool clear)
{
  for (size_t i = 0; i < count; i++) {
    entry *e = &m->entries[m->count];
    if (entry_init(e, m->rules, base[i], false) < 0) continue;
    int r = add_key(m, e, -1);
    if (r < 0) return r;
    if (!clear || is_system_root(e)) m->count++;
  }
  return 0;
}

static int add_changes(merge *m, const char *const *changes, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    entry *e = &m->entries[m->count++];
    int r = entry_init(e, m->rules, changes[i], true);
    if (r < 0) return cvy_fail_at(r, COVEY_STAGE_ENVIRONMENT, (int64_t)i, 0, "no name in \"%s\"", changes[i]);
    r = add_key(m, e, (int64_t)i);
    if (r < 0) return r;
  }
  return 0;
}

/* Marks for each name the one entry that counts: the last change, without a change the first of base. */
static bool choose(merge *m)
{
  void **sorted = cvy_realloc_array(NULL, m->count, sizeof *sorted);
  if (!sorted) return false;
  for (size_t i = 0; i < m->count; i++) sorted[i] = &m->entries[i];
  bool ok = cvy_sort(sorted, m->count, compare);
  for (size_t i = 0, next; ok && i < m->count; i = next) {
    entry *winner = sorted[i];
    for (next = i + 1; next < m->count && !compare(sorted[i], sorted[next]); next++)
      if (((entry *)sorted[next])->change) winner = sorted[next];
    winner->kept = winner->set;
  }
  cvy_free(sorted);
  return ok;
}

int cvy_env_merge(int rules, const char *const *base, const char *const *changes, bool clear, char ***ret_env,
                  size_t *ret_count)
{
  size_t base_count = clear && rules != CVY_ENV_WINDOWS ? 0 : list_count(base);
  size_t change_count = list_count(changes), units = 0;
  if (rules == CVY_ENV_WINDOWS) {
    for (size_t i = 0; i < base_count; i++) units += strlen(base[i]);
    for (size_t i = 0; i < change_count; i++) units += strlen(changes[i]);
  }
  merge m = {.rules = rules};
  cvy_words words = {0};
  m.entries = cvy_alloc_zero(base_count + change_count, sizeof *m.entries);
  m.keys = cvy_realloc_array(NULL, units, sizeof *m.keys);
  int r = COVEY_ENOMEM;
  if (!m.entries || !m.keys) goto done;
  r = add_base(&m, base, base_count, clear);
  if (r == 0) r = add_changes(&m, changes, change_count);
  if (r < 0) goto done;
  r = choose(&m) ? 0 : COVEY_ENOMEM;
  if (r < 0) goto done;
  for (size_t i = 0; i < m.count; i++) {
    if (!m.entries[i].kept) continue;
    cvy_str_add_text(&words.text, m.entries[i].text);
    cvy_words_end(&words);
  }
  r = cvy_words_take(&words, ret_env, ret_count);
done:
  if (r == COVEY_ENOMEM) cvy_fail(r, COVEY_STAGE_ENVIRONMENT, "environment");
  cvy_free(m.entries);
  cvy_free(m.keys);
  return r;
}

static char ascii_upper(char c)
{
  return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The name that is looked for is ASCII, and no other letter is equal to one of ASCII. */
static bool same_name(int rules, const char *a, const char *b, size_t size)
{
  if (rules != CVY_ENV_WINDOWS) return !memcmp(a, b, size);
  for (size_t i = 0; i < size; i++)
    if (ascii_upper(a[i]) != ascii_upper(b[i])) return false;
  return true;
}

const char *cvy_env_get(int rules, const char *const *env, const char *name)
{
  size_t size = strlen(name);
  for (; env && *env; env++) {
    const char *separator = find_separator(rules, *env);
    if (separator && (size_t)(separator - *env) == size && same_name(rules, *env, name, size))
      return separator + 1;
  }
  return NULL;
}
