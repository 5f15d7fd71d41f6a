#include "support/test.h"

#include "core/mem.h"
#include "core/regex.h"

/* Matches once; returns what cvy_regex_match does, with up to 8 spans. */
static int match(const char *pattern, uint32_t options, const char *text, size_t from, cvy_span *spans)
{
  cvy_regex *regex;
  REQUIRE_OK(cvy_regex_new(pattern, SIZE_MAX, options, &regex));
  int r = cvy_regex_match(regex, text, strlen(text), from, spans, spans ? 8 : 0);
  cvy_regex_free(regex);
  return r;
}

TEST(regex, captures)
{
  cvy_span s[8];
  CHECK_INT(match("(\\w+)=(\\d+)(x)?", CVY_REGEX_UTF, "  \xC3\xA4 b=12", 0, s), 4);
  CHECK(s[0].start == 5 && s[0].size == 4);
  CHECK(s[1].start == 5 && s[1].size == 1);
  CHECK(s[2].start == 7 && s[2].size == 2);
  CHECK(s[3].start == SIZE_MAX && s[3].size == 0);
  CHECK_INT(match("x", 0, "abc", 0, s), 0);
  CHECK_INT(match("", 0, "", 0, s), 1);
  CHECK(s[0].start == 0 && s[0].size == 0);
  CHECK_INT(match("b", 0, "abc", 0, NULL), 1);
}

TEST(regex, from_an_offset)
{
  cvy_span s[8];
  CHECK_INT(match("b", 0, "abcb", 2, s), 1);
  CHECK_UINT(s[0].start, 3);
  CHECK_INT(match("^b", 0, "ab", 1, s), 0);
  CHECK_INT(match("(?<=a)b", 0, "ab", 1, s), 1);
  CHECK_INT(match("b", CVY_REGEX_ANCHORED, "ab", 1, s), 1);
  CHECK_INT(match("b", CVY_REGEX_ANCHORED, "ab", 0, s), 0);
  CHECK_INT(match("$", 0, "ab", 2, s), 1);
  CHECK_ERR(match("b", 0, "ab", 3, s), COVEY_EINVAL);
}

TEST(regex, all_matches_of_a_text)
{
  static const char text[] = "1,22,,333";
  cvy_regex *regex;
  cvy_span s;
  size_t from = 0, found = 0;
  REQUIRE_OK(cvy_regex_new("\\d*", SIZE_MAX, CVY_REGEX_UTF, &regex));
  for (; from <= strlen(text) && cvy_regex_match(regex, text, strlen(text), from, &s, 1) > 0; found++)
    from = s.start + s.size + (s.size == 0);
  CHECK_UINT(found, 7);
  cvy_regex_free(regex);
}

TEST(regex, options)
{
  cvy_span s[8];
  CHECK_INT(match("a.", CVY_REGEX_LITERAL, "xab a.", 0, s), 1);
  CHECK_UINT(s[0].start, 4);
  CHECK_INT(match("A.", CVY_REGEX_LITERAL | CVY_REGEX_CASELESS | CVY_REGEX_UTF, "a.", 0, s), 1);
  CHECK_INT(match("[.a", CVY_REGEX_LITERAL | CVY_REGEX_MULTILINE | CVY_REGEX_DOTALL, "[.a", 0, s), 1);
  CHECK_INT(match("\xC3\x84", CVY_REGEX_CASELESS | CVY_REGEX_UTF, "\xC3\xA4", 0, s), 1);
  CHECK_INT(match("^.$", CVY_REGEX_UTF, "\xC3\xA4", 0, s), 1);
  CHECK_INT(match("^.$", 0, "\xC3\xA4", 0, s), 0);
  CHECK_INT(match("^b$", CVY_REGEX_MULTILINE, "a\nb\nc", 0, s), 1);
  CHECK_INT(match("^b$", 0, "a\nb\nc", 0, s), 0);
  CHECK_INT(match("a.b", CVY_REGEX_DOTALL, "a\nb", 0, s), 1);
  CHECK_INT(match("a.b", 0, "a\nb", 0, s), 0);
  CHECK_INT(match("\\w", CVY_REGEX_UTF, "\xC3\xA4", 0, s), 1);
}

TEST(regex, texts_that_are_not_utf8)
{
  cvy_span s[8];
  CHECK_INT(match("b+", CVY_REGEX_UTF,
                  "\xFF\xC3"
                  "bb\xE2\x82",
                  0, s),
            1);
  CHECK(s[0].start == 2 && s[0].size == 2);
  CHECK_INT(match("^.*$", CVY_REGEX_UTF, "a\xFF", 0, s), 0);
  CHECK_INT(match("\xED\xA0\x80", 0, "\xED\xA0\x80", 0, s), 1);
}

TEST(regex, bad_patterns_tell_the_place)
{
  static const struct {
    const char *pattern;
    uint32_t options;
    int code;
    int64_t offset;
  } cases[] = {{"a(b", 0, COVEY_EINVAL, 3},
               {"a[b", 0, COVEY_EINVAL, 3},
               {"*", 0, COVEY_EINVAL, 0},
               {"ab\xFF", CVY_REGEX_UTF, COVEY_EENCODING, 2},
               {"a\\C", 0, COVEY_EINVAL, 3},
               {"(*UTF)a", 0, COVEY_EINVAL, 6},
               {"(?<n>a)(?<n>b)", 0, COVEY_EINVAL, -2},
               {"((a{200}){200}){200}", 0, COVEY_ETOOBIG, -2},
               {"a", 64, COVEY_EINVAL, -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cvy_regex *regex = NULL;
    CHECK_ERR(cvy_regex_new(cases[i].pattern, SIZE_MAX, cases[i].options, &regex), cases[i].code);
    if (cases[i].offset > -2) CHECK_INT(covey_last_failure()->offset, cases[i].offset);
    CHECK(regex == NULL);
  }
  char *big = malloc(CVY_REGEX_PATTERN_SIZE + 1);
  cvy_regex *regex = NULL;
  REQUIRE(big != NULL);
  memset(big, 'a', CVY_REGEX_PATTERN_SIZE + 1);
  CHECK_ERR(cvy_regex_new(big, CVY_REGEX_PATTERN_SIZE + 1, CVY_REGEX_LITERAL, &regex), COVEY_ETOOBIG);
  free(big);
  CHECK_ERR(cvy_regex_new(NULL, 0, 0, &regex), COVEY_EINVAL);
  CHECK_ERR(cvy_regex_new("a", 1, 0, NULL), COVEY_EINVAL);
  CHECK(regex == NULL);
}

TEST(regex, a_nul_is_a_character)
{
  cvy_regex *regex;
  cvy_span s;
  REQUIRE_OK(cvy_regex_new("b\0c", 3, 0, &regex));
  CHECK_INT(cvy_regex_match(regex, "ab\0c", 4, 0, &s, 1), 1);
  CHECK(s.start == 1 && s.size == 3);
  cvy_regex_free(regex);
}

/* Patterns that backtrack without end are stopped, soon, with an error that is not "no match". */
TEST(regex, catastrophic_patterns_hit_a_limit)
{
  static const char *const patterns[] = {"(a+)+$", "(*LIMIT_MATCH=4000000000)(a+)+$", "(a|aa)+$",
                                         "(a*)*b\\1$", "(?:a?){40}a{40}$"};
  static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    cvy_span s[8];
    int64_t start = test_now();
    int r = match(patterns[i], CVY_REGEX_UTF, text, 0, s);
    if (r != COVEY_ELIMIT && r != 0) TEST_FAIL("%s: %d", patterns[i], r);
    if (i < 3) CHECK_INT(r, COVEY_ELIMIT);
    CHECK(test_now() - start < 20000);
  }
}

TEST(regex, deep_patterns_are_bounded_in_memory)
{
  enum { SIZE = 4 << 20 };
  char *text = malloc(SIZE);
  cvy_regex *regex;
  REQUIRE(text != NULL);
  memset(text, 'a', SIZE);
  text[SIZE - 1] = 'x';
  REQUIRE_OK(cvy_regex_new("^(?:(a)|b)*x", SIZE_MAX, 0, &regex));
  CHECK_ERR(cvy_regex_match(regex, text, SIZE, 0, NULL, 0), COVEY_ELIMIT);
  cvy_regex_free(regex);
  REQUIRE_OK(cvy_regex_new("^[ab]*x", SIZE_MAX, 0, &regex));
  CHECK_INT(cvy_regex_match(regex, text, SIZE, 0, NULL, 0), 1);
  cvy_regex_free(regex);
  REQUIRE_OK(cvy_regex_new("(?R)", SIZE_MAX, 0, &regex));
  CHECK(cvy_regex_match(regex, text, 10, 0, NULL, 0) < 0);
  cvy_regex_free(regex);
  free(text);
}

TEST(regex, groups)
{
  cvy_regex *regex;
  REQUIRE_OK(cvy_regex_new("(?<pid>\\d+) (?<name>\\w+)", SIZE_MAX, 0, &regex));
  CHECK_UINT(cvy_regex_groups(regex), 3);
  CHECK_INT(cvy_regex_group(regex, "pid"), 1);
  CHECK_INT(cvy_regex_group(regex, "name"), 2);
  CHECK_INT(cvy_regex_group(regex, "other"), COVEY_ENOTFOUND);
  cvy_regex_free(regex);
  cvy_regex_free(NULL);
}

typedef struct shared {
  cvy_regex *regex;
  test_counter found;
} shared;

static void match_many(void *arg)
{
  shared *s = arg;
  cvy_span spans[2];
  for (int i = 0; i < 1000; i++) {
    char text[64];
    snprintf(text, sizeof text, "%*s pid=%d", i % 20, "", i);
    if (cvy_regex_match(s->regex, text, strlen(text), 0, spans, 2) == 2 && atoi(text + spans[1].start) == i)
      test_add(&s->found, 1);
  }
}

TEST(regex, one_pattern_in_many_threads)
{
  shared s = {0};
  test_thread *threads[4];
  REQUIRE_OK(cvy_regex_new("pid=(\\d+)", SIZE_MAX, CVY_REGEX_UTF, &s.regex));
  for (int i = 0; i < 4; i++) threads[i] = test_thread_start(match_many, &s);
  for (int i = 0; i < 4; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&s.found, 0), 4000);
  cvy_regex_free(s.regex);
}

TEST(regex, no_memory)
{
  for (int64_t n = 1, done = 0; !done; n++) {
    cvy_regex *regex = NULL;
    cvy_mem_fail_after(n);
    int r = cvy_regex_new("(a+)b", SIZE_MAX, CVY_REGEX_UTF, &regex);
    done = r == 0;
    CHECK(done ? n > 4 : r == COVEY_ENOMEM && !regex);
    if (!done) continue;
    cvy_mem_fail_after(1);
    CHECK_ERR(cvy_regex_match(regex, "aab", 3, 0, NULL, 0), COVEY_ENOMEM);
    cvy_mem_fail_after(0);
    cvy_regex_free(regex);
  }
}
