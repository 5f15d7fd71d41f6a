#include "proc/lookup.h"

#include "core/error.h"
#include "core/mem.h"
#include "core/str.h"
#include "os/error.h"
#include "os/path.h"

#include <string.h>

/* One search: the best reason for failing so far is kept, so that "not executable" wins over "not found". */
typedef struct search {
  const char *name;
  const char *extensions; /* "" where names are complete */
  int code;
  int system;
} search;

static char lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_text(const char *text, size_t size, const char *lowered)
{
  if (strlen(lowered) != size) return false;
  for (size_t i = 0; i < size; i++)
    if (lower(text[i]) != lowered[i]) return false;
  return true;
}

/* CreateProcess starts these four, whatever else PATHEXT may name (scripts, shortcuts). */
static bool can_start(const char *extension, size_t size)
{
  return same_text(extension, size, ".exe") || same_text(extension, size, ".com") ||
         same_text(extension, size, ".bat") || same_text(extension, size, ".cmd");
}

/* 1 and *ret_path when folder/name + extension is a program, 0 when the search goes on, or a failure that ends it. */
static int try_file(search *s, const char *folder, size_t folder_size, const char *extension, size_t size,
                    char **ret_path)
{
  cvy_str text = {0};
  char *path;
  int r;

  cvy_str_add(&text, folder, folder_size);
  if (folder_size && folder[folder_size - 1] != '/' && folder[folder_size - 1] != cvos_path_separator())
    cvy_str_add_char(&text, cvos_path_separator());
  cvy_str_add_text(&text, s->name);
  cvy_str_add(&text, extension, size);
  if ((r = cvy_str_take(&text, &path, NULL)) < 0) return r;
  r = cvos_path_program(path);
  if (r == 0) {
    *ret_path = path;
    return 1;
  }
  if (r == COVEY_EENCODING || r == COVEY_ENOMEM) {
    s->code = r;
    s->system = cvos_last_error();
  } else if (r != COVEY_ENOTFOUND && s->code == COVEY_ENOTFOUND) {
    s->code = r;
    s->system = cvos_last_error();
  }
  cvy_free(path);
  return 0;
}

static bool has_dot(const char *name)
{
  for (const char *p = name + strlen(name); p > name; p--) {
    char c = p[-1];

    if (c == '/' || c == cvos_path_separator()) return false;
    if (c == '.') return true;
  }
  return false;
}

static int try_folder(search *s, const char *folder, size_t folder_size, bool exact_last, char **ret_path)
{
  bool complete = !s->extensions[0];
  bool exact_first = complete || has_dot(s->name);
  int r = exact_first ? try_file(s, folder, folder_size, "", 0, ret_path) : 0;

  for (const char *e = s->extensions; r == 0 && *e;) {
    size_t size = strcspn(e, ";");

    if (can_start(e, size)) r = try_file(s, folder, folder_size, e, size, ret_path);
    e += size + (e[size] == ';');
  }
  if (r == 0 && exact_last && !exact_first) r = try_file(s, folder, folder_size, "", 0, ret_path);
  return r;
}

/* Takes the next folder from *list into folder (borrowed room of strlen(*list) + 1 bytes), without its quotes where the list can have
 * some. False at the end. */
static bool next_folder(const char **list, char *folder, size_t *ret_size)
{
  char separator = cvos_path_list_separator();
  const char *p = *list;
  size_t size = 0;
  bool quoted = false;

  if (!p) return false;
  for (; *p && (quoted || *p != separator); p++) {
    if (separator == ';' && *p == '"')
      quoted = !quoted;
    else
      folder[size++] = *p;
  }
  folder[size] = '\0';
  *list = *p ? p + 1 : NULL;
  *ret_size = size;
  return true;
}

static int search_list(search *s, const char *list, char **ret_path)
{
  char *folder = cvy_alloc(strlen(list) + 1);
  size_t size;
  int r = 0;

  if (!folder) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_LOOKUP, "%s", s->name);
  while (r == 0 && next_folder(&list, folder, &size))
    if (cvos_path_is_absolute(folder)) r = try_folder(s, folder, size, false, ret_path);
  cvy_free(folder);
  return r;
}

int cvy_lookup(const char *name, const char *path, const char *extensions, char **ret_path)
{
  const char *usual = cvos_path_extensions();
  search s = {.name = name, .code = COVEY_ENOTFOUND};
  char *list = NULL, *found = NULL;
  covey_failure failure;
  int r;

  if (!name || !name[0]) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_LOOKUP, "name");
  s.extensions = usual[0] && extensions && extensions[0] ? extensions : usual;
  if (cvos_path_has_folder(name)) {
    r = try_folder(&s, "", 0, true, &found);
  } else if (path) {
    r = search_list(&s, path, &found);
  } else {
    if ((r = cvos_path_search_default(&list)) < 0)
      return cvy_fail_os(COVEY_STAGE_LOOKUP, cvos_last_error(), "%s", name);
    r = search_list(&s, list, &found);
    cvy_free(list);
  }
  if (r < 0) return r;
  if (r == 0) {
    cvy_failure_set(&failure, s.code, COVEY_STAGE_LOOKUP, s.system, "%s", name);
    return cvy_fail_copy(&failure);
  }
  r = cvos_path_absolute(found, ret_path);
  if (r < 0) {
    cvy_failure_set(&failure, r, COVEY_STAGE_LOOKUP, cvos_last_error(), "%s", found);
    cvy_fail_copy(&failure);
  }
  cvy_free(found);
  return r;
}
