#include <covey/find.h>

#include "core/error.h"
#include "core/map.h"
#include "core/mem.h"
#include "core/regex.h"
#include "os/error.h"
#include "os/process.h"
#include "os/proclist.h"
#include "proc/found.h"

#include <string.h>

enum { IN_EITHER, IN_NAME, IN_COMMAND, PATTERNS };
enum { MOST_ANCESTORS = 256 }; /* a chain that is longer is no chain: a system's numbers went round */

/* Who descends from whom, for a search by tree. */
typedef struct kin {
  cvy_map_node node; /* by pid */
  int64_t pid, parent;
  uint64_t start;
  enum { UNKNOWN, ASKED, OUTSIDE, INSIDE } state;
} kin;

typedef struct search {
  const covey_find_options *o;
  cvy_regex *patterns[PATTERNS];
  int64_t uid; /* whom o->user names */
  char sid[CVOS_SID_SIZE];
  int64_t self;
  int64_t *left_out; /* pids of our ancestors */
  size_t left_out_count;
  kin *family;
  size_t family_count;
  cvy_map by_pid;
  cvos_proclist *list;
  cvy_glance look;
  cvy_found found;
  size_t unjudged;
} search;

/* ---- the conditions ---- */

static int refuse(const char *what)
{
  return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", what);
}

static int check(const covey_find_options *o)
{
  const uint32_t flags = COVEY_FIND_CASELESS | COVEY_FIND_LITERAL | COVEY_FIND_NOT_SELF |
                         COVEY_FIND_NOT_ANCESTORS | COVEY_FIND_ZOMBIES | COVEY_FIND_KERNEL;
  if (o->fields & ~(uint32_t)COVEY_FIELD_ALL) return refuse("fields");
  if (o->flags & ~flags) return refuse("flags");
  if (o->pid < 0 || (o->pid_start && !o->pid)) return refuse("pid");
  if (o->parent < 0 || (o->parent_start && !o->parent)) return refuse("parent");
  if (o->tree < 0 || (o->tree_start && !o->tree)) return refuse("tree");
  if (!cvy_is_zero(o->reserved, sizeof o->reserved / sizeof o->reserved[0]))
    return refuse("reserved words of covey_find_options");
  return 0;
}

static int compile(search *s)
{
  const char *const texts[PATTERNS] = {s->o->pattern, s->o->name, s->o->command};
  uint32_t options = CVY_REGEX_UTF | CVY_REGEX_DOTALL;
  if (s->o->flags & COVEY_FIND_CASELESS) options |= CVY_REGEX_CASELESS;
  if (s->o->flags & COVEY_FIND_LITERAL) options |= CVY_REGEX_LITERAL;
  for (int i = 0; i < PATTERNS; i++) {
    if (!texts[i]) continue;
    int r = cvy_regex_new(texts[i], SIZE_MAX, options, &s->patterns[i]);
    if (r < 0) {
      covey_failure failure = *covey_last_failure();
      failure.index = i;
      return cvy_fail_copy(&failure);
    }
  }
  return 0;
}

static int failed_os(const char *what)
{
  return cvy_fail_os(COVEY_STAGE_LOOKUP, cvos_last_error(), "%s", what);
}

static int fail_pid(const char *role, int64_t pid)
{
  return cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP, "process %lld (%s)", (long long)pid, role);
}

static int find_user(search *s)
{
  if (!s->o->user) return 0;
  int r = cvos_account_find(s->o->user, &s->uid, s->sid);
  if (r == COVEY_ENOTFOUND) return cvy_fail(r, COVEY_STAGE_USER, "user %s", s->o->user);
  if (r < 0) return cvy_fail_os(COVEY_STAGE_USER, cvos_last_error(), "user %s", s->o->user);
  return 0;
}

/* The process that started us, its parent, and so on. */
static int find_ancestors(search *s)
{
  cvos_proc row;
  if (!(s->o->flags & COVEY_FIND_NOT_ANCESTORS)) return 0;
  s->left_out = cvy_alloc(MOST_ANCESTORS * sizeof *s->left_out);
  if (!s->left_out) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "ancestors");
  int64_t pid = s->self;
  while (s->left_out_count < MOST_ANCESTORS) {
    int r = cvos_proclist_seek(s->list, pid, 0, &row);
    if (r < 0 && r != COVEY_ENOTFOUND) return failed_os("process list");
    if (r < 0 || !row.parent) break;
    pid = s->left_out[s->left_out_count++] = row.parent;
  }
  return 0;
}

/* ---- trees ---- */

static kin *find_kin(const search *s, int64_t pid)
{
  cvy_map_node *node = cvy_map_find(&s->by_pid, (uint64_t)pid);
  return node ? CVY_MAP_OF(node, kin, node) : NULL;
}

static int collect_family(search *s)
{
  size_t capacity = 0;
  cvos_proc row;
  int r;
  while ((r = cvos_proclist_next(s->list, &row)) > 0) {
    if (row.flags & (CVOS_PROC_ZOMBIE | CVOS_PROC_OPAQUE)) continue;
    if (s->family_count == capacity) {
      capacity = capacity ? capacity * 2 : 256;
      kin *family = cvy_realloc_array(s->family, capacity, sizeof *family);
      if (!family) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "tree");
      s->family = family;
    }
    s->family[s->family_count++] = (kin){.pid = row.pid, .parent = row.parent, .start = row.start};
  }
  return r < 0 ? failed_os("process list") : 0;
}

/* Walks up from each process until the answer is known, and notes it on the way back: each one is visited twice. */
static void judge_kin(const search *s, kin *first)
{
  kin *k = first;
  while (k && k->state == UNKNOWN) {
    k->state = ASKED;
    k = find_kin(s, k->parent);
  }
  bool inside = k && k->state == INSIDE;
  for (k = first; k && k->state == ASKED; k = find_kin(s, k->parent)) k->state = inside ? INSIDE : OUTSIDE;
}

static int find_tree(search *s)
{
  if (!s->o->tree) return 0;
  int r = collect_family(s);
  if (r == 0 && cvy_map_init(&s->by_pid, (uint64_t)(uintptr_t)s->family) < 0)
    r = cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "tree");
  if (r < 0) return r;
  for (size_t i = 0; i < s->family_count; i++)
    cvy_map_add(&s->by_pid, &s->family[i].node, (uint64_t)s->family[i].pid);
  kin *root = find_kin(s, s->o->tree);
  if (!root || (s->o->tree_start && root->start != s->o->tree_start)) return fail_pid("tree", s->o->tree);
  root->state = INSIDE;
  for (size_t i = 0; i < s->family_count; i++) judge_kin(s, &s->family[i]);
  return 0;
}

/* ---- one process: 1, it meets the condition; 0, not, or not known; errors as cvy_glance_read ---- */

/* Whether a pattern is found in a text of the current process. */
static int match(search *s, int pattern, const char *text, size_t size)
{
  int r = cvy_regex_match(s->patterns[pattern], text, size, 0, NULL, 0);
  if (r == COVEY_ELIMIT)
    return cvy_fail_at(r, COVEY_STAGE_LOOKUP, s->look.row.pid, -1,
                       "the pattern backtracks too much on process %lld", (long long)s->look.row.pid);
  return r > 0 ? 1 : r;
}

static int match_name(search *s, int pattern)
{
  int r = cvy_glance_read(&s->look, CVOS_PROC_NAME);
  return r > 0 ? match(s, pattern, s->look.row.name, strlen(s->look.row.name)) : r;
}

static int match_line(search *s, int pattern)
{
  int r = cvy_glance_line(&s->look);
  return r > 0 ? match(s, pattern, s->look.line.data, s->look.line.size) : r;
}

static int match_user(search *s)
{
  int r = cvy_glance_read(&s->look, CVOS_PROC_USER);
  return r > 0 ? s->look.row.uid == s->uid && strcmp(s->look.row.sid, s->sid) == 0 : r;
}

/* What needs no reading. */
static bool is_candidate(search *s)
{
  const covey_find_options *o = s->o;
  const cvos_proc *p = &s->look.row;
  if ((p->flags & CVOS_PROC_ZOMBIE) && !(o->flags & COVEY_FIND_ZOMBIES)) return false;
  if ((p->flags & CVOS_PROC_KERNEL) && !(o->flags & COVEY_FIND_KERNEL)) return false;
  if (p->pid == s->self && (o->flags & COVEY_FIND_NOT_SELF)) return false;
  for (size_t i = 0; i < s->left_out_count; i++)
    if (p->pid == s->left_out[i]) return false;
  if (o->parent && (p->flags & CVOS_PROC_OPAQUE)) {
    s->unjudged++;
    return false;
  }
  if (o->parent && p->parent != o->parent) return false;
  if (!o->tree) return true;
  const kin *k = find_kin(s, p->pid);
  return k && k->state == INSIDE && k->start == p->start;
}

/* All conditions. */
static int meets(search *s)
{
  int r = 1;
  if (!is_candidate(s)) return 0;
  if (s->o->user) r = match_user(s);
  if (r > 0 && s->patterns[IN_NAME]) r = match_name(s, IN_NAME);
  if (r > 0 && s->patterns[IN_COMMAND]) r = match_line(s, IN_COMMAND);
  if (r > 0 && s->patterns[IN_EITHER]) {
    r = match_name(s, IN_EITHER);
    if (r == 0) r = match_line(s, IN_EITHER);
  }
  if (r == 0 && s->look.denied) s->unjudged++;
  return r;
}

/* Keeps the current process if it meets them. */
static int consider(search *s)
{
  cvy_glance_begin(&s->look);
  int r = meets(s);
  if (r > 0) return cvy_found_add(&s->found, &s->look, s->o->fields, s->self);
  return r == COVEY_ENOTFOUND ? 0 : r;
}

static int look_through(search *s)
{
  const covey_find_options *o = s->o;
  int r;
  if (o->pid) {
    r = cvos_proclist_seek(s->list, o->pid, o->pid_start, &s->look.row);
    if (r == 0 && (s->look.row.flags & CVOS_PROC_ZOMBIE) && !(o->flags & COVEY_FIND_ZOMBIES))
      r = COVEY_ENOTFOUND;
    if (r == COVEY_ENOTFOUND) return fail_pid("pid", o->pid);
    return r < 0 ? failed_os("process list") : consider(s);
  }
  for (size_t i = 0; o->tree && i < s->family_count; i++) {
    const kin *k = &s->family[i];
    if (k->state != INSIDE) continue;
    r = cvos_proclist_seek(s->list, k->pid, k->start, &s->look.row);
    if (r < 0 && r != COVEY_ENOTFOUND) return failed_os("process list");
    if (r == 0 && (r = consider(s)) < 0) return r;
  }
  if (o->tree) return 0;
  while ((r = cvos_proclist_next(s->list, &s->look.row)) > 0)
    if ((r = consider(s)) < 0) return r;
  return r < 0 ? failed_os("process list") : 0;
}

static int run(search *s, covey_find_result *ret)
{
  covey_identity self;
  cvos_proc row;
  int r = compile(s);
  if (r == 0) r = find_user(s);
  if (r == 0 && cvos_proclist_open(&s->list) < 0) r = failed_os("process list");
  if (r < 0) return r;
  s->look.list = s->list;
  s->self = cvos_identity(0, &self, NULL) == 0 ? self.pid : 0;
  r = find_ancestors(s);
  if (r == 0 && s->o->parent) {
    r = cvos_proclist_seek(s->list, s->o->parent, s->o->parent_start, &row);
    if (r == 0 && (row.flags & CVOS_PROC_ZOMBIE)) r = COVEY_ENOTFOUND;
    if (r == COVEY_ENOTFOUND) return fail_pid("parent", s->o->parent);
    if (r < 0) return failed_os("process list");
  }
  if (r == 0) r = find_tree(s);
  if (r == 0) r = look_through(s);
  if (r == 0) r = cvy_found_take(&s->found, ret);
  if (r < 0) return r;
  ret->unjudged = s->unjudged;
  return (int)ret->count;
}

int covey_find(const covey_find_options *options, covey_find_result *ret_result)
{
  static const covey_find_options every;
  search s = {.o = options ? options : &every, .uid = -1};
  if (!ret_result) return refuse("ret_result");
  int r = check(s.o);
  if (r < 0) return r;
  r = run(&s, ret_result);
  for (int i = 0; i < PATTERNS; i++) cvy_regex_free(s.patterns[i]);
  cvos_proclist_close(s.list);
  cvy_map_fini(&s.by_pid);
  cvy_free(s.family);
  cvy_free(s.left_out);
  cvy_glance_fini(&s.look);
  cvy_found_fini(&s.found);
  return r;
}

void covey_find_free(covey_find_result *result)
{
  if (!result) return;
  cvy_free(result->items);
  *result = (covey_find_result){.count = 0};
}
