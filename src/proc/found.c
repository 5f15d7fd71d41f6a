#include "proc/found.h"

#include <covey/shell.h>

#include "core/error.h"
#include "core/mem.h"
#include "core/sort.h"
#include "os/error.h"
#include "os/process.h"

#include <string.h>

/* A user, and the name of its account. */
typedef struct cvy_found_account {
  int64_t uid;
  char sid[CVOS_SID_SIZE];
  size_t name; /* in text; 0: it has none */
} account;

/* A process; its texts are offsets until all are known. Offset 0 is the empty text. */
typedef struct cvy_found_item {
  covey_found found;
  size_t name, exe, cwd, command, words, sid, user;
} item;

/* ---- one process ---- */

void cvy_glance_begin(cvy_glance *g)
{
  g->tried = g->got = g->denied = 0;
  g->joined = false;
}

int cvy_glance_read(cvy_glance *g, int what)
{
  uint32_t bit = 1U << what;
  if (g->tried & bit) return g->got & bit ? 1 : 0;
  int r = cvos_proclist_read(g->list, what, &g->row);
  g->tried |= bit;
  if (r == COVEY_ENOTFOUND) return r;
  if (r == COVEY_ENOMEM || r == COVEY_ELIMIT)
    return cvy_fail_os(COVEY_STAGE_LOOKUP, cvos_last_error(), "process %lld", (long long)g->row.pid);
  /* whatever else a system says against one process is no reason to tell nothing of the others */
  if (r == COVEY_EACCES) g->denied |= bit;
  if (r == 0) g->got |= bit;
  return r == 0;
}

int cvy_glance_line(cvy_glance *g)
{
  int r = cvy_glance_read(g, CVOS_PROC_COMMAND);
  if (r <= 0 || g->joined) return r;
  g->line.size = 0;
  if (g->row.command) {
    cvy_str_add_text(&g->line, g->row.command);
  } else { /* words with a NUL behind each; a title that a program wrote over them leaves empty ones at the end */
    size_t size = g->row.args_size;
    while (size > 0 && !g->row.args[size - 1]) size--;
    cvy_str_add(&g->line, g->row.args, size);
    for (size_t i = 0; i < g->line.size; i++)
      if (!g->line.data[i]) g->line.data[i] = ' ';
  }
  if (g->line.failed) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "command line");
  g->joined = true;
  return 1;
}

void cvy_glance_fini(cvy_glance *g)
{
  cvy_str_fini(&g->line);
}

/* ---- many ---- */

static size_t keep(cvy_found *found, const char *text)
{
  size_t at = found->text.size;
  cvy_str_add(&found->text, text, strlen(text) + 1);
  return at;
}

/* The words of the current command line, one after the other in found->text. */
static int keep_words(cvy_found *found, const cvy_glance *g, item *it)
{
  it->command = found->text.size;
  cvy_str_add(&found->text, g->line.data, g->line.size);
  cvy_str_add_char(&found->text, '\0');
  it->words = found->text.size;
  if (!g->row.command) {
    cvy_str_add(&found->text, g->row.args, g->row.args_size);
    for (size_t i = 0; i < g->row.args_size; i++) it->found.argc += !g->row.args[i];
    return 0;
  }
  char **words;
  size_t count;
  int r = covey_split(COVEY_DIALECT_ARGV, g->row.command, SIZE_MAX, &words, &count);
  if (r < 0) return r;
  for (size_t i = 0; i < count; i++) (void)keep(found, words[i]);
  it->found.argc = (uint32_t)count;
  covey_free(words);
  return 0;
}

/* The name of the current process's user in found->text; 0: none. */
static int account_of(cvy_found *found, const cvos_proc *row, size_t *ret)
{
  char *name;
  for (size_t i = 0; i < found->account_count; i++) {
    if (found->accounts[i].uid != row->uid || strcmp(found->accounts[i].sid, row->sid)) continue;
    *ret = found->accounts[i].name;
    return 0;
  }
  account *more = cvy_realloc_array(found->accounts, found->account_count + 1, sizeof *more);
  if (!more) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "account");
  found->accounts = more;
  account *a = &more[found->account_count++];
  *a = (account){.uid = row->uid};
  memcpy(a->sid, row->sid, strlen(row->sid) + 1);
  int r = cvos_account_name(a->uid, a->sid, &name);
  if (r == COVEY_ENOMEM || r == COVEY_ELIMIT)
    return cvy_fail_os(COVEY_STAGE_USER, cvos_last_error(), "account");
  if (r == 0) {
    a->name = keep(found, name);
    cvy_free(name);
  }
  *ret = a->name;
  return 0;
}

/* Fills the fields that were asked for. 0, or as cvy_glance_read. */
static int fill(cvy_found *found, cvy_glance *g, uint32_t fields, item *it)
{
  /* which reading a field comes from, in the order of the fields */
  static const int source[] = {CVOS_PROC_NAME, CVOS_PROC_EXE,  CVOS_PROC_CWD,   CVOS_PROC_COMMAND,
                               CVOS_PROC_USER, CVOS_PROC_USER, CVOS_PROC_USAGE, CVOS_PROC_USAGE};
  covey_found *f = &it->found;
  if (fields & COVEY_FIELD_ACCOUNT) fields |= COVEY_FIELD_USER;
  for (uint32_t i = 0; i < sizeof source / sizeof source[0]; i++) {
    uint32_t field = fields & 1U << i;
    if (!field) continue;
    int r = field == COVEY_FIELD_COMMAND ? cvy_glance_line(g) : cvy_glance_read(g, source[i]);
    if (r < 0) return r;
    if (g->denied & 1U << source[i]) f->denied |= field;
    if (r == 0) continue;
    f->fields |= field;
    switch (field) {
    case COVEY_FIELD_NAME: it->name = keep(found, g->row.name); break;
    case COVEY_FIELD_EXE: it->exe = keep(found, g->row.exe); break;
    case COVEY_FIELD_CWD: it->cwd = keep(found, g->row.cwd); break;
    case COVEY_FIELD_COMMAND: r = keep_words(found, g, it); break;
    case COVEY_FIELD_USER:
      f->uid = g->row.uid;
      f->gid = g->row.gid;
      it->sid = keep(found, g->row.sid);
      break;
    case COVEY_FIELD_ACCOUNT:
      r = account_of(found, &g->row, &it->user);
      if (!it->user) f->fields &= ~field;
      break;
    case COVEY_FIELD_MEMORY: f->memory = g->row.memory; break;
    default: f->user_time = g->row.user_us; f->system_time = g->row.system_us;
    }
    if (r < 0) return r;
  }
  return 0;
}

static uint32_t flags_of(const cvos_proc *row, int64_t self)
{
  uint32_t flags = row->pid == self ? COVEY_FOUND_SELF : 0;
  if (row->flags & CVOS_PROC_ZOMBIE) flags |= COVEY_FOUND_ZOMBIE;
  if (row->flags & CVOS_PROC_KERNEL) flags |= COVEY_FOUND_KERNEL;
  if (row->flags & CVOS_PROC_STOPPED) flags |= COVEY_FOUND_STOPPED;
  if (row->flags & CVOS_PROC_OPAQUE) flags |= COVEY_FOUND_OPAQUE;
  return flags;
}

static int keep_process(cvy_found *found, cvy_glance *g, uint32_t fields, int64_t self)
{
  if (found->count == found->capacity) {
    size_t capacity = found->capacity ? found->capacity * 2 : 64;
    item *items = cvy_realloc_array(found->items, capacity, sizeof *items);
    if (!items) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "processes");
    found->items = items;
    found->capacity = capacity;
  }
  item *it = &found->items[found->count];
  *it = (item){.found = {.pid = g->row.pid,
                         .parent = g->row.parent,
                         .start = g->row.start,
                         .started = cvos_start_time(g->row.start),
                         .flags = flags_of(&g->row, self),
                         .uid = -1,
                         .gid = -1,
                         .memory = -1,
                         .user_time = -1,
                         .system_time = -1}};
  int r = fill(found, g, fields, it);
  if (r < 0) return r;
  found->words += it->found.argc;
  found->count++;
  return 0;
}

int cvy_found_add(cvy_found *found, cvy_glance *g, uint32_t fields, int64_t self)
{
  if (!found->text.size) cvy_str_add_char(&found->text, '\0');
  int r = keep_process(found, g, fields, self);
  if (found->text.failed) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "processes");
  return r == COVEY_ENOTFOUND ? 0 : r; /* it ended while we looked */
}

static int by_pid(const void *a, const void *b)
{
  const item *x = a, *y = b;
  return x->found.pid < y->found.pid ? -1 : x->found.pid > y->found.pid;
}

int cvy_found_take(cvy_found *found, covey_find_result *ret)
{
  covey_find_result result = {.count = found->count};
  /* the items, the lists of words, the texts */
  size_t head = found->count * sizeof(covey_found), lists = (found->words + found->count) * sizeof(char *);
  item **order = found->count ? cvy_alloc(found->count * sizeof(item *)) : NULL;
  char *block = order ? cvy_alloc(head + lists + found->text.size) : NULL;
  for (size_t i = 0; order && i < found->count; i++) order[i] = &found->items[i];
  if (found->count && (!block || !cvy_sort((void **)order, found->count, by_pid))) {
    cvy_free(order);
    cvy_free(block);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "processes");
  }
  char *text = block ? block + head + lists : NULL;
  const char **word = (const char **)(void *)(block ? block + head : NULL);
  if (block) memcpy(text, found->text.data, found->text.size);
  result.items = (covey_found *)(void *)block;
  for (size_t i = 0; i < found->count; i++) {
    const item *it = order[i];
    covey_found *f = &result.items[i];
    *f = it->found;
    f->name = text + it->name;
    f->exe = text + it->exe;
    f->cwd = text + it->cwd;
    f->command = text + it->command;
    f->sid = text + it->sid;
    f->user = text + it->user;
    f->argv = word;
    const char *at = text + it->words;
    for (uint32_t k = 0; k < f->argc; k++, at += strlen(at) + 1) *word++ = at;
    *word++ = NULL;
  }
  cvy_free(order);
  *ret = result;
  return 0;
}

void cvy_found_fini(cvy_found *found)
{
  cvy_free(found->items);
  cvy_free(found->accounts);
  cvy_str_fini(&found->text);
}
