#include "support/test.h"

#include "core/mem.h"
#include "core/split.h"
#include "core/str.h"

TEST(str, grows)
{
  cvy_str s = {0};
  char *text, wanted[4001];
  size_t size;
  for (int i = 0; i < 1000; i++) {
    cvy_str_add(&s, "ab", 2);
    cvy_str_add_char(&s, 'c');
    cvy_str_add_many(&s, 'd', (size_t)(i % 2));
    cvy_str_add_text(&s, i % 2 ? "" : "e");
    memcpy(wanted + 4 * i, i % 2 ? "abcd" : "abce", 4);
  }
  wanted[4000] = '\0';
  REQUIRE_OK(cvy_str_take(&s, &text, &size));
  CHECK_UINT(size, 4000);
  CHECK_STR(text, wanted);
  CHECK(!s.data && !s.size && !s.capacity);
  cvy_free(text);
}

TEST(str, empty)
{
  cvy_str s = {0};
  char *text;
  cvy_str_add(&s, NULL, 0);
  REQUIRE_OK(cvy_str_take(&s, &text, NULL));
  CHECK_STR(text, "");
  cvy_free(text);
  cvy_str_fini(&s);
}

TEST(str, failure_sticks)
{
  cvy_str s = {0};
  char *text = NULL;
  cvy_str_add_text(&s, "kept");
  cvy_mem_fail_after(1);
  cvy_str_add_many(&s, 'x', 100);
  cvy_str_add_text(&s, "y");
  CHECK_UINT(s.size, 4);
  CHECK_ERR(cvy_str_take(&s, &text, NULL), COVEY_ENOMEM);
  CHECK(!text && !s.data);
  CHECK(!cvy_str_reserve(&s, SIZE_MAX));
  CHECK_ERR(cvy_str_take(&s, &text, NULL), COVEY_ENOMEM);
  cvy_mem_fail_after(0);
}

TEST(words, one_block)
{
  cvy_words words = {0};
  char **list;
  size_t count;
  cvy_words_end(&words);
  cvy_str_add_text(&words.text, "ab");
  cvy_words_end(&words);
  REQUIRE_OK(cvy_words_take(&words, &list, &count));
  CHECK_UINT(count, 2);
  CHECK_STR(list[0], "");
  CHECK_STR(list[1], "ab");
  CHECK(list[2] == NULL && words.count == 0);
  cvy_free(list);
  REQUIRE_OK(cvy_words_take(&words, &list, NULL));
  CHECK(list[0] == NULL);
  cvy_free(list);
}
