/* What systems say of processes, as text. */
#include "support/test.h"

#include "core/proc_text.h"

static const char rest[] =
    " S 7 8 9 10 -1 4194560 1 2 3 4 55 66 -5 6 20 0 3 0 12345 9999 77 18446744073709551615 1";

static cvy_proc_stat stat_of(const char *name)
{
  cvy_proc_stat s = {0};
  const char *line = test_format("42 (%s)%s", name, rest);
  CHECK(cvy_proc_stat_read(line, strlen(line), &s));
  return s;
}

TEST(proc_text, reads_a_line)
{
  cvy_proc_stat s = stat_of("bash");
  CHECK_STR(s.name, "bash");
  CHECK_INT(s.pid, 42);
  CHECK_INT(s.state, 'S');
  CHECK_INT(s.parent, 7);
  CHECK_INT(s.group, 8);
  CHECK_INT(s.session, 9);
  CHECK_UINT(s.flags, 4194560);
  CHECK_UINT(s.user_ticks, 55);
  CHECK_UINT(s.system_ticks, 66);
  CHECK_INT(s.threads, 3);
  CHECK_UINT(s.start, 12345);
  CHECK_INT(s.pages, 77);
}

/* A program calls itself what it likes. */
TEST(proc_text, reads_any_name)
{
  static const char *const names[][2] = {{"", ""},
                                         {")", ")"},
                                         {"((", "(("},
                                         {") R 1 (", ") R 1 ("},
                                         {"a) Z 1 1 1 1 1 1", "a) Z 1 1 1 1 1 1"},
                                         {" ", " "},
                                         {"a\\nb", "a\\nb"},
                                         {"a\\\\nb", "a\\\\nb"},
                                         {"a\nb", "a\nb"},
                                         {"\\", "\\"},
                                         {"\\x", "\\x"},
                                         {"\xff\xfe", "\xff\xfe"},
                                         {"kworker/u8:1-events_unbound", "kworker/u8:1-events_unbound"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    cvy_proc_stat s = stat_of(names[i][0]);
    CHECK_STR(s.name, names[i][1]);
    CHECK_INT(s.parent, 7);
    CHECK_INT(s.state, 'S');
  }
  char name[200];
  memset(name, 'x', sizeof name);
  name[sizeof name - 1] = '\0';
  CHECK_UINT(strlen(stat_of(name).name), CVY_PROC_NAME - 1);
}

/* Every beginning of a line is refused until all fields are there, and nothing is touched. */
TEST(proc_text, refuses_what_is_cut)
{
  const char *line = test_format("42 (a (b) c)%s", rest);
  size_t whole = (size_t)(strstr(line, " 77 ") + 3 - line);
  for (size_t size = 0; size < whole - 2; size++) {
    cvy_proc_stat s = {.pid = -9};
    char *copy = malloc(size + 1); /* of that size, so that a checker sees a step too far */
    REQUIRE(copy != NULL);
    memcpy(copy, line, size);
    CHECK(!cvy_proc_stat_read(copy, size, &s));
    CHECK_INT(s.pid, -9);
    free(copy);
  }
  cvy_proc_stat s;
  CHECK(cvy_proc_stat_read(line, whole, &s));
  static const char *const bad[] = {"",       "()",    "42",   "42 ()", "x (a) S", "42 (a) S 1 x",
                                    "-1 (a)", "42(a)", "0 (a)"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const char *text = test_format("%s%s", bad[i], i > 4 ? rest : "");
    CHECK(!cvy_proc_stat_read(text, strlen(text), &s));
  }
  const char *huge = "1 (a) S 99999999999999999999999 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1";
  CHECK(!cvy_proc_stat_read(huge, strlen(huge), &s));
}

/* The block of KERN_PROCARGS2 with the words of tail, each with its NUL. */
static void args2(int32_t count, const char *tail, size_t size, const char *wanted, size_t wanted_size)
{
  char block[128];
  const char *args = NULL;
  size_t got = 0;
  memcpy(block, &count, sizeof count);
  memcpy(block + sizeof count, tail, size);
  CHECK(cvy_proc_args2(block, sizeof count + size, &args, &got));
  CHECK_UINT(got, wanted_size);
  CHECK_MEM(args, wanted, wanted_size);
}

TEST(proc_text, reads_the_words_of_macos)
{
  args2(2, "/bin/ls\0\0\0\0ls\0-l\0HOME=/\0", 23, "ls\0-l", 6);
  args2(3, "/bin/x\0x\0\0y\0SECRET=1\0", 21, "x\0\0y", 5);
  args2(2, "/bin/x\0x\0cut", 12, "x", 2); /* what has no end is left out */
  args2(0, "/bin/x\0HOME=/\0", 14, "", 0);
  args2(9, "/bin/x\0a\0b\0", 11, "a\0b", 4);
  const char *args;
  size_t size;
  int32_t minus = -1;
  CHECK(!cvy_proc_args2("abc", 3, &args, &size));
  CHECK(!cvy_proc_args2("\1\0\0\0no end", 10, &args, &size));
  CHECK(!cvy_proc_args2((const char *)&minus, sizeof minus, &args, &size));
}

TEST(proc_text, completes_a_name)
{
  CHECK_STR(cvy_proc_whole_name("covey_test_help", 15, "/x/covey_test_helper"), "covey_test_helper");
  CHECK_STR(cvy_proc_whole_name("covey_test_help", 15, "covey_test_helper"), "covey_test_helper");
  CHECK(!cvy_proc_whole_name("covey_test_help", 15, "/x/covey_test_help")); /* it is whole */
  CHECK(!cvy_proc_whole_name("covey_test_help", 15, "/x/python3"));
  CHECK(!cvy_proc_whole_name("covey", 15, "/x/covey_test_helper")); /* it gave itself this name */
  CHECK(!cvy_proc_whole_name("covey_test_help", 15, ""));
}

/* ---- entries of the folder of pipes ---- */

/* What is read of text, each byte a unit; "" when it is none of ours. */
static const char *entry_of(const char *text)
{
  static char name[16];
  uint16_t units[64] = {0};
  size_t size = strlen(text);
  for (size_t i = 0; i < size; i++) units[i] = (unsigned char)text[i];
  memset(name, 'x', sizeof name);
  return cvy_pipe_entry_read(units, size + 1, "covey.12ab.my+app~", name, sizeof name) ? name : "";
}

TEST(proc_text, reads_entries_of_pipes)
{
  static const char *const strange[] = {"",
                                        "covey",
                                        "covey.12ab.my+app~",
                                        "covey.12ab.my+app",
                                        "covey.12ab.myPpp~12",
                                        "COVEY.12AB.MY+APP~12",
                                        "covey.12ab.other~12",
                                        "covey.12ab.my+app~.hidden",
                                        "covey.12ab.my+app~A",
                                        "covey.12ab.my+app~+",
                                        "covey.12ab.my+app~n-+",
                                        "covey.12ab.my+app~++a",
                                        "covey.12ab.my+app~+1",
                                        "covey.12ab.my+app~+A",
                                        "covey.12ab.my+app~a~b",
                                        "covey.12ab.my+app~a\\b",
                                        "covey.12ab.my+app~a/b",
                                        "covey.12ab.my+app~a b",
                                        "covey.12ab.my+app~a\tb",
                                        "covey.12ab.my+app~n-<>|\x7f",
                                        "covey.12ab.my+app~\xe9",
                                        "covey.12ab.my+app~n-345678901234567"};
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) CHECK_STR(entry_of(strange[i]), "");
  CHECK_STR(entry_of("covey.12ab.my+app~4711"), "4711");
  CHECK_STR(entry_of("covey.12ab.my+app~n-a+bc+d"), "n-aBcD");
  CHECK_STR(entry_of("covey.12ab.my+app~n-x.y_z-1"), "n-x.y_z-1");
  CHECK_STR(entry_of("covey.12ab.my+app~n-3456789012345"), "n-3456789012345"); /* as long as may be */
  CHECK_STR(entry_of("covey.12ab.my+app~n-<>|?*\":"), "n-<>|?*\":");           /* what files may not have */
}

TEST(proc_text, reads_no_entry_beyond_its_room)
{
  static const char text[] = "covey.12ab.my+app~n-ab+c";
  char name[16];
  uint16_t units[sizeof text];
  for (size_t i = 0; i < sizeof text; i++) units[i] = (unsigned char)text[i];
  for (size_t room = 0; room < sizeof text; room++) {
    uint16_t *exact = malloc((room ? room : 1) * sizeof *exact);
    memcpy(exact, units, room * sizeof *exact);
    CHECK(!cvy_pipe_entry_read(exact, room, "covey.12ab.my+app~", name, sizeof name)); /* no zero */
    free(exact);
  }
  CHECK(cvy_pipe_entry_read(units, sizeof text, "covey.12ab.my+app~", name, sizeof name));
  CHECK_STR(name, "n-abC");
  units[19] = 0x2d00 + '-'; /* a unit whose low byte alone would fit */
  CHECK(!cvy_pipe_entry_read(units, sizeof text, "covey.12ab.my+app~", name, sizeof name));
}
