/* Finding processes: lists, searches, and what is told of each. */
#include "support/test.h"

#include <covey/find.h>
#include <covey/process.h>

#include "core/mem.h"
#include "core/fault.h"

enum { PATIENCE = 30000, WORDS = 80 };

#define HANGING(...)                                                                                         \
  test_hanging(&(covey_process_options){.argv = (const char *const[]){test_helper(), __VA_ARGS__, NULL}})

/* Kills it and waits for the end. */
static void end(covey_process *p)
{
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(p, PATIENCE, NULL));
  covey_process_close(p);
}

static covey_find_result find(const covey_find_options *options)
{
  covey_find_result result;
  memset(&result, 0x55, sizeof result);
  int r = covey_find(options, &result);
  REQUIRE_OK(r);
  CHECK_UINT((unsigned)r, result.count);
  for (size_t i = 0; i < result.count; i++) {
    const covey_found *f = &result.items[i];
    CHECK(f->pid > 0);
    CHECK(i == 0 || f->pid > result.items[i - 1].pid);
    CHECK(f->name && f->exe && f->cwd && f->command && f->sid && f->user && f->argv);
    CHECK(!(f->fields & f->denied));
    CHECK(!f->argv[f->argc]);
    CHECK(f->start != 0 || (f->flags & COVEY_FOUND_OPAQUE));
  }
  return result;
}

static const covey_found *item(const covey_find_result *result, int64_t pid)
{
  for (size_t i = 0; i < result->count; i++)
    if (result->items[i].pid == pid) return &result->items[i];
  return NULL;
}

/* How many are found; the process must (not) be one of them. */
static size_t finds(const covey_find_options *options, covey_process *p, bool wanted)
{
  covey_find_result r = find(options);
  size_t count = r.count;
  if ((item(&r, covey_process_pid(p)) != NULL) != wanted)
    TEST_FAIL("process %" PRId64 " is %sone of %zu", covey_process_pid(p), wanted ? "not " : "", count);
  covey_find_free(&r);
  return count;
}

#define OPTIONS(...) (&(covey_find_options){__VA_ARGS__})

TEST(find, lists_everybody)
{
  covey_process *p = HANGING("hang");
  covey_identity who;
  covey_find_result all = find(NULL);
  const covey_found *us = item(&all, test_pid()), *child = item(&all, covey_process_pid(p));
  REQUIRE(us && child);
  REQUIRE_OK(covey_process_identity(p, &who));
  CHECK_UINT(child->start, who.start);
  CHECK_INT(child->parent, test_pid());
  CHECK_UINT(child->flags, 0);
  CHECK_UINT(us->flags, COVEY_FOUND_SELF);
  CHECK(child->started > 1577836800000 && child->started >= us->started - 1000);
  /* not asked for, not there */
  CHECK_UINT(child->fields | child->denied | child->argc, 0);
  CHECK_STR(child->name, "");
  CHECK_STR(child->command, "");
  CHECK_INT(child->memory, -1);
  CHECK_INT(child->user_time, -1);
  CHECK_INT(child->uid, -1);
  CHECK_UINT(all.unjudged, 0);
  covey_find_free(&all);
  CHECK(!all.items && !all.count);
  covey_find_free(&all);
  covey_find_free(NULL);
  end(p);
}

TEST(find, tells_every_field)
{
  const char *folder = test_temp_dir();
  covey_process *p = test_hanging(&(covey_process_options){
      .argv = (const char *const[]){test_helper(), "hang", "a b", "", "\"quoted\\", NULL},
      .file = NULL,
      .cwd = folder});
  covey_identity who;
  REQUIRE_OK(covey_process_identity(p, &who));
  covey_find_result r = find(OPTIONS(.pid = who.pid, .pid_start = who.start, .fields = COVEY_FIELD_ALL));
  REQUIRE(r.count == 1);
  const covey_found *f = r.items;
  CHECK_UINT(f->denied, 0);
  /* a user without account has no name */
  CHECK_UINT(f->fields | COVEY_FIELD_ACCOUNT, COVEY_FIELD_ALL);
  CHECK_STR(f->name, test_is_windows() ? "covey_test_helper.exe" : "covey_test_helper");
  CHECK(strstr(f->exe, f->name) != NULL);
  const char *last = folder + strlen(folder); /* the folder's own name: what leads to it may be a link */
  while (last > folder && last[-1] != '/' && last[-1] != '\\') last--;
  CHECK(strstr(f->cwd, last) != NULL);
  CHECK_UINT(f->argc, 5);
  CHECK_STR(f->argv[0], test_helper());
  CHECK_STR(f->argv[1], "hang");
  CHECK_STR(f->argv[2], "a b");
  CHECK_STR(f->argv[3], "");
  CHECK_STR(f->argv[4], "\"quoted\\");
  CHECK(strstr(f->command, "a b") != NULL);
  CHECK_INT(f->uid, who.uid);
  CHECK_INT(f->gid, who.gid);
  CHECK_STR(f->sid, who.sid);
  CHECK((f->user[0] != '\0') == ((f->fields & COVEY_FIELD_ACCOUNT) != 0));
  CHECK(f->memory > 50000);
  CHECK(f->user_time >= 0 && f->system_time >= 0);
  covey_find_free(&r);
  end(p);
}

/* Each field alone brings this one and no other. */
TEST(find, reads_only_what_is_asked_for)
{
  covey_process *p = HANGING("hang");
  for (uint32_t field = 1; field < COVEY_FIELD_ALL; field <<= 1) {
    covey_find_result r = find(OPTIONS(.pid = covey_process_pid(p), .fields = field));
    REQUIRE(r.count == 1);
    const covey_found *f = r.items;
    uint32_t with = field == COVEY_FIELD_ACCOUNT ? COVEY_FIELD_ACCOUNT | COVEY_FIELD_USER : field;
    CHECK_UINT(f->fields & ~with, 0);
    CHECK((f->fields & field) || field == COVEY_FIELD_ACCOUNT);
    CHECK((f->name[0] != 0) == (field == COVEY_FIELD_NAME));
    CHECK((f->exe[0] != 0) == (field == COVEY_FIELD_EXE));
    CHECK((f->cwd[0] != 0) == (field == COVEY_FIELD_CWD));
    CHECK((f->command[0] != 0) == (field == COVEY_FIELD_COMMAND));
    CHECK((f->memory != -1) == (field == COVEY_FIELD_MEMORY));
    CHECK((f->user_time != -1) == (field == COVEY_FIELD_TIMES));
    covey_find_free(&r);
  }
  end(p);
}

TEST(find, searches_by_pattern)
{
  const char *mark = test_format("mark-%" PRId64, test_pid());
  covey_process *a = HANGING("hang", mark), *b = HANGING("hang", test_format("%s-b", mark));
  const char *upper = test_format("MARK-%" PRId64, test_pid());
  CHECK_UINT(finds(OPTIONS(.command = mark), a, true), 2);
  CHECK_UINT(finds(OPTIONS(.pattern = mark), b, true), 2);
  CHECK_UINT(finds(OPTIONS(.command = test_format("%s\"?$", mark)), a, true), 1);
  CHECK_UINT(finds(OPTIONS(.command = test_format("%s\"?$", mark)), b, false), 1);
  CHECK_UINT(finds(OPTIONS(.command = upper), a, false), 0);
  CHECK_UINT(finds(OPTIONS(.command = upper, .flags = COVEY_FIND_CASELESS), a, true), 2);
  CHECK_UINT(finds(OPTIONS(.command = "mark-.*-b", .flags = COVEY_FIND_LITERAL), b, false), 0);
  /* the whole name, though some systems keep 15 bytes of it */
  CHECK(finds(OPTIONS(.name = "^covey_test_helper(\\.exe)?$"), a, true) >= 2);
  CHECK_UINT(finds(OPTIONS(.name = mark), a, false), 0);
  /* all conditions together, and one of name and command line */
  CHECK_UINT(finds(OPTIONS(.name = "helper", .command = "-b\"?$", .pattern = mark), b, true), 1);
  CHECK(finds(OPTIONS(.pattern = "^covey_test_helper", .parent = test_pid()), a, true) == 2);
  CHECK_UINT(finds(OPTIONS(.command = mark, .pid = covey_process_pid(a)), a, true), 1);
  CHECK_UINT(finds(OPTIONS(.command = mark, .pid = test_pid()), a, false), 0);
  end(a);
  end(b);
}

TEST(find, searches_by_kinship)
{
  const char *depth = test_is_wine() ? "3" : "2", *width = test_is_wine() ? "1" : "2";
  size_t members = test_is_wine() ? 4 : 7;
  const char *argv[] = {test_helper(), "tree", depth, width, NULL};
  covey_process *p;
  size_t lines = 0;
  char c;
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE}, &p));
  while (lines < members) {
    REQUIRE(covey_process_read(p, COVEY_STDOUT, PATIENCE, &c, 1) == 1);
    lines += c == '\n';
  }
  int64_t pid = covey_process_pid(p);
  covey_identity who;
  REQUIRE_OK(covey_process_identity(p, &who));
  /* Windows starts a host for a console program, which is its child */
  const char *name = "covey_test_helper";
  size_t children = test_is_wine() ? 1 : 2;
  CHECK(finds(OPTIONS(.tree = pid), p, true) >= members);
  CHECK_UINT(finds(OPTIONS(.tree = pid, .tree_start = who.start, .name = name), p, true), members);
  CHECK_UINT(finds(OPTIONS(.parent = pid, .parent_start = who.start, .name = name), p, false), children);
  CHECK_UINT(finds(OPTIONS(.tree = pid, .pid = pid), p, true), 1);
  CHECK_UINT(finds(OPTIONS(.tree = pid, .pid = test_pid()), p, false), 0);
  CHECK_UINT(finds(OPTIONS(.tree = pid, .parent = pid, .name = name), p, false), children);
  CHECK(finds(OPTIONS(.tree = test_pid()), p, true) > members);
  CHECK_UINT(finds(OPTIONS(.tree = test_pid(), .name = name, .flags = COVEY_FIND_NOT_SELF), p, true),
             members);
  CHECK(finds(OPTIONS(.parent = test_pid()), p, true) >= 1);
  end(p);
}

TEST(find, leaves_us_and_our_ancestors_out)
{
  covey_find_result all = find(NULL);
  covey_find_result r = find(OPTIONS(.flags = COVEY_FIND_NOT_SELF | COVEY_FIND_NOT_ANCESTORS));
  CHECK(!item(&r, test_pid()));
  for (const covey_found *f = item(&all, test_pid()); f; f = item(&all, f->parent)) CHECK(!item(&r, f->pid));
  covey_find_free(&r);
  r = find(OPTIONS(.flags = COVEY_FIND_NOT_ANCESTORS));
  CHECK(item(&r, test_pid()) != NULL);
  covey_find_free(&r);
  covey_find_free(&all);
}

TEST(find, searches_by_user)
{
  covey_process *p = HANGING("hang");
  covey_find_result r = find(OPTIONS(.pid = test_pid(), .fields = COVEY_FIELD_ACCOUNT));
  REQUIRE(r.count == 1);
  const covey_found *us = r.items;
  const char *number = test_is_windows() ? us->sid : test_format("%" PRId64, us->uid);
  CHECK(finds(OPTIONS(.user = number), p, true) >= 2);
  if (us->user[0]) CHECK(finds(OPTIONS(.user = us->user), p, true) >= 2);
  CHECK_UINT(
      finds(OPTIONS(.user = test_is_windows() ? "S-1-5-21-1-2-3-4" : "54321", .pid = covey_process_pid(p)), p,
            false),
      0);
  covey_find_free(&r);
  covey_find_result untouched = {.count = 77};
  CHECK_ERR(covey_find(OPTIONS(.user = "covey-nobody-has-this-name"), &untouched), COVEY_ENOTFOUND);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_USER);
  CHECK_STR(covey_last_failure()->what, "user covey-nobody-has-this-name");
  CHECK_UINT(untouched.count, 77);
  end(p);
}

TEST(find, ends_a_pattern_that_backtracks)
{
  char word[200];
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  covey_process *p = HANGING("hang", word);
  covey_find_result r = {.count = 77};
  covey_find_options options = {.command = "(a+)+[bc]$", .pid = covey_process_pid(p)};
  CHECK_ERR(covey_find(&options, &r), COVEY_ELIMIT);
  CHECK_INT(covey_last_failure()->index, covey_process_pid(p));
  CHECK_UINT(r.count, 77);
  end(p);
}

TEST(find, takes_any_command_line)
{
  char *word = malloc(2000);
  const char *argv[WORDS] = {test_helper(), "hang"};
  size_t count = 2, words = test_is_windows() ? 14 : 60; /* Windows: 32,767 units in all */
  REQUIRE(word != NULL);
  memset(word, 'x', 1999);
  word[1999] = '\0';
  while (count < words) argv[count++] = word;
  argv[count++] = "";
  argv[count++] = "line\nbreak\ttab";
  argv[count++] = test_is_windows() ? "\xed\xa0\x80 lone" : "\xff\xfe\x80 bytes";
  argv[count++] = "";
  argv[count] = NULL;
  covey_process *p = test_hanging(&(covey_process_options){.argv = argv, .file = NULL, .cwd = NULL});
  covey_find_result r = find(OPTIONS(.pid = covey_process_pid(p), .fields = COVEY_FIELD_COMMAND));
  REQUIRE(r.count == 1);
  CHECK_UINT(r.items->argc, count);
  for (size_t i = 0; i < count && i < r.items->argc; i++) CHECK_STR(r.items->argv[i], argv[i]);
  CHECK(strlen(r.items->command) >= (words - 2) * 2000);
  covey_find_free(&r);
  CHECK_UINT(finds(OPTIONS(.command = "xx +(\"\" +)?\"?line\nbreak.tab", .parent = test_pid()), p, true), 1);
  CHECK_UINT(finds(OPTIONS(.command = "(bytes|lone)\"?( \"\")?$", .parent = test_pid()), p, true), 1);
  end(p);
  free(word);
}

/* A program that is called like a line of /proc, and one whose name is cut in the middle of a character. No links: macOS goes by what they lead to (XNU,
 * kern_exec.c: set_proc_name). */
TEST(find, takes_any_name)
{
  static const char *const names[] = {") R 1 (a",
                                      "a\nb\\n\\",
                                      "x\xff\xfe)",
                                      "14-characters-",
                                      "15-characters-x",
                                      "16-characters-xy",
                                      "12345678901234\xc3\xa4 and more",
                                      " "};
  if (test_is_windows()) TEST_SKIP("names there are those of files");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *path = test_format("%s/%s", test_temp_dir(), names[i]);
    const char *const copy[] = {"/bin/cp", test_helper(), path, NULL};
    if (test_run(copy, PATIENCE).code != 0) { /* APFS takes no name that is not UTF-8: python/cpython 75561 */
      CHECK(strstr(names[i], "\xff") != NULL);
      continue;
    }
    covey_process *p = test_hanging(&(covey_process_options){
        .argv = (const char *const[]){path, "hang", NULL}, .file = NULL, .cwd = NULL});
    covey_find_result r = find(OPTIONS(.pid = covey_process_pid(p), .fields = COVEY_FIELD_NAME));
    REQUIRE(r.count == 1);
    CHECK_STR(r.items->name, names[i]);
    CHECK_INT(r.items->parent, test_pid());
    covey_find_free(&r);
    covey_find_options options = {.name = names[i], .flags = COVEY_FIND_LITERAL, .parent = test_pid()};
    if (!strstr(names[i], "\xff")) /* no pattern, but a name */
      CHECK_UINT(finds(&options, p, true), 1);
    else
      CHECK_ERR(covey_find(&options, &r), COVEY_EENCODING);
    end(p);
  }
}

typedef struct zombie {
  int64_t pid;
  covey_find_result result;
} zombie;

static bool is_zombie(void *arg)
{
  zombie *z = arg;
  covey_find_result r =
      find(OPTIONS(.fields = COVEY_FIELD_ALL, .flags = COVEY_FIND_ZOMBIES, .parent = test_pid()));
  const covey_found *f = item(&r, z->pid);
  bool yes = f && (f->flags & COVEY_FOUND_ZOMBIE);
  if (yes) {
    CHECK_UINT(f->argc, 0);
    CHECK(!(f->fields & (COVEY_FIELD_COMMAND | COVEY_FIELD_EXE)));
    CHECK_UINT(f->denied, 0);
    /* what the system kept of it: 15 or 16 bytes */
    CHECK(strlen(f->name) >= 15 && !strncmp("covey_test_helper", f->name, strlen(f->name)));
  }
  covey_find_free(&r);
  return yes;
}

TEST(find, leaves_zombies_out)
{
  if (test_is_windows()) TEST_SKIP("no zombies there");
  zombie z = {.pid = test_start((const char *const[]){test_helper(), "nothing", NULL})};
  CHECK(test_wait_until(is_zombie, &z, PATIENCE));
  covey_find_result r = find(OPTIONS(.parent = test_pid()));
  CHECK(!item(&r, z.pid));
  covey_find_free(&r);
  CHECK_ERR(covey_find(OPTIONS(.pid = z.pid), &r), COVEY_ENOTFOUND);
  CHECK_ERR(covey_find(OPTIONS(.tree = z.pid), &r), COVEY_ENOTFOUND);
  CHECK_ERR(covey_find(OPTIONS(.parent = z.pid), &r), COVEY_ENOTFOUND);
  r = find(OPTIONS(.pid = z.pid, .flags = COVEY_FIND_ZOMBIES));
  CHECK_UINT(r.count, 1);
  covey_find_free(&r);
  test_process_reap(z.pid);
}

/* Parts of the kernel: there, with a name and without anything else; a container may show none. */
TEST(find, leaves_the_kernel_out)
{
  covey_find_result r = find(OPTIONS(.fields = COVEY_FIELD_ALL));
  for (size_t i = 0; i < r.count; i++) CHECK(!(r.items[i].flags & COVEY_FOUND_KERNEL));
  covey_find_free(&r);
  r = find(OPTIONS(.fields = COVEY_FIELD_ALL, .flags = COVEY_FIND_KERNEL));
  size_t kernel = 0;
  for (size_t i = 0; i < r.count; i++) {
    const covey_found *f = &r.items[i];
    if (!(f->flags & COVEY_FOUND_KERNEL)) continue;
    kernel++;
    CHECK(f->name[0] != '\0');
    CHECK_STR(f->exe, "");
    CHECK_STR(f->command, "");
    CHECK_UINT(f->argc, 0);
    CHECK(!(f->fields & COVEY_FIELD_COMMAND));
  }
  test_log("%zu parts of the kernel", kernel);
  covey_find_free(&r);
}

/* What was found is held, and nobody else is: not under a stamp that is off by one. */
TEST(find, can_be_adopted_and_killed)
{
  const char *mark = test_format("adopt-%" PRId64, test_pid());
  covey_process *p = HANGING("hang", mark), *adopted, *nobody = NULL;
  covey_exit e;
  covey_find_result r = find(OPTIONS(.command = mark));
  REQUIRE(r.count == 1);
  REQUIRE_OK(covey_process_adopt(r.items->pid, r.items->start, NULL, &adopted));
  CHECK_ERR(covey_process_adopt(r.items->pid, r.items->start + 1, NULL, &nobody), COVEY_ENOTFOUND);
  CHECK_OK(covey_process_kill(adopted));
  CHECK_OK(covey_process_wait(adopted, PATIENCE, NULL));
  CHECK_OK(covey_process_wait(p, PATIENCE, &e));
  CHECK_UINT(e.code, 137); /* a signal, or the code that our kill gives */
  covey_process_close(adopted);
  covey_process_close(p);
  CHECK_ERR(covey_process_adopt(r.items->pid, r.items->start, NULL, &nobody), COVEY_ENOTFOUND);
  covey_find_free(&r);
}

typedef struct crowd {
  test_counter over;
  int64_t rounds;
} crowd;

static void come_and_go(void *arg)
{
  crowd *c = arg;
  for (int64_t i = 0; i < c->rounds; i++) {
    covey_process *few[8];
    const char *const argv[] = {test_helper(), "sleep", i & 1 ? "0" : "2", NULL};
    for (size_t k = 0; k < 8; k++)
      REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_NULL}, &few[k]));
    for (size_t k = 0; k < 8; k++) {
      if (k & 1) CHECK_OK(covey_process_kill(few[k]));
      covey_process_close(few[k]);
    }
  }
  (void)test_add(&c->over, 1);
}

/* Processes come and go while they are looked at: nothing fails, and no two are mixed. */
TEST_LIMIT(find, does_not_mind_who_ends_meanwhile, 180)
{
  crowd c = {.rounds = test_is_wine() ? 6 : 150};
  test_thread *thread = test_thread_start(come_and_go, &c);
  int64_t looks = 0, met = 0;
  while (test_add(&c.over, 0) == 0) {
    covey_find_options options = {.fields = COVEY_FIELD_ALL, .flags = COVEY_FIND_ZOMBIES};
    if (looks & 1) options.tree = test_pid();
    covey_find_result r = find(&options);
    CHECK(item(&r, test_pid()) != NULL);
    for (size_t i = 0; i < r.count; i++) {
      const covey_found *f = &r.items[i];
      if (f->parent != test_pid() || strcmp(f->name, "covey_test_helper")) continue;
      met++;
      if (f->argc == 3) CHECK(!strcmp(f->argv[1], "sleep"));
    }
    covey_find_free(&r);
    looks++;
  }
  test_thread_join(thread);
  test_log("%" PRId64 " looks met %" PRId64 " children", looks, met);
  CHECK(looks > 1);
}

static bool loses_nothing(const covey_find_options *options)
{
  covey_find_result r = {.count = 77};
  int n = covey_find(options, &r);
  if (n >= 0) {
    covey_find_free(&r);
    return true;
  }
  CHECK_UINT(r.count, 77);
  CHECK_INT(covey_last_failure()->code, n);
  return false;
}

/* Every system call and every allocation fails once. */
TEST_LIMIT(find, fails_cleanly, 120)
{
  const covey_find_options one = {
      .pid = test_pid(), .fields = COVEY_FIELD_ALL, .pattern = "covey", .user = "0"};
  const covey_find_options tree = {
      .tree = test_pid(), .fields = COVEY_FIELD_ALL, .flags = COVEY_FIND_NOT_ANCESTORS, .command = "."};
  const covey_find_options all = {.fields = COVEY_FIELD_ALL};
  const covey_find_options *const kinds[] = {&one, &tree, &all};
  for (size_t k = 0; k < 3; k++) (void)loses_nothing(kinds[k]);
  test_no_handles_lost();
  for (size_t k = 0; k < 3; k++) {
    covey_find_options options = *kinds[k];
    if (test_is_windows()) options.user = NULL;
    int refused = 0;
    for (int64_t n = 1; n < 60; n++) {
      cvy_fault_after(CVOS_FAULT_NONE, n, 24); /* EMFILE */
      refused += !loses_nothing(&options);
      cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
      cvy_mem_fail_after(n);
      refused += !loses_nothing(&options);
      cvy_mem_fail_after(0);
    }
    CHECK(refused > 0);
    CHECK(loses_nothing(&options));
  }
}

TEST(find, keeps_no_handle)
{
  covey_process *p = HANGING("hang");
  (void)loses_nothing(NULL);
  (void)loses_nothing(OPTIONS(.fields = COVEY_FIELD_ALL, .pattern = "."));
  test_no_handles_lost();
  for (int i = 0; i < 5; i++) {
    CHECK(loses_nothing(OPTIONS(.fields = COVEY_FIELD_ALL, .flags = COVEY_FIND_KERNEL | COVEY_FIND_ZOMBIES)));
    CHECK(loses_nothing(OPTIONS(.fields = COVEY_FIELD_ALL, .tree = test_pid())));
    CHECK(!loses_nothing(OPTIONS(.tree = INT32_MAX)));
    CHECK(!loses_nothing(OPTIONS(.name = "(")));
  }
  end(p);
}
