#include "support/test.h"
#include "core/error.h"

/* The numbers are part of the binary interface: here they are written a second time, so that nobody renumbers by accident. */
#define FIXED(name, number) _Static_assert(COVEY_##name == (number), #name " has changed its number")
FIXED(OK, 0);
FIXED(EINVAL, -1);
FIXED(ENOMEM, -2);
FIXED(ETIMEDOUT, -3);
FIXED(ECANCELED, -4);
FIXED(EAGAIN, -5);
FIXED(ENOTFOUND, -6);
FIXED(EACCES, -7);
FIXED(EEXIST, -8);
FIXED(ETOOBIG, -9);
FIXED(EUNQUOTABLE, -10);
FIXED(EENCODING, -11);
FIXED(ECLOSED, -12);
FIXED(ENOPEER, -13);
FIXED(ENOGROUP, -14);
FIXED(EPEERCHANGED, -15);
FIXED(EPEERDIED, -16);
FIXED(EDENIED, -17);
FIXED(EUNSAFE, -18);
FIXED(EQUOTA, -19);
FIXED(EPROTO, -20);
FIXED(EVERSION, -21);
FIXED(EOWNERDEAD, -22);
FIXED(ESTALE, -23);
FIXED(ENOTSUP, -24);
FIXED(ELIMIT, -25);
FIXED(EDEADLK, -26);
FIXED(ESTUCK, -27);
FIXED(EOS, -28);
FIXED(EFAILED, -29);

#define COUNT(name, number, text) +1
enum { CODES = COVEY_ERRORS(COUNT) };
_Static_assert(CODES == 29, "a new code needs its line above");

/* The struct crosses the border of the library: its shape is fixed too. */
_Static_assert(sizeof(covey_failure) == 4 * 4 + 2 * 8 + 256 + 4 * 8, "covey_failure has changed its size");
_Static_assert(offsetof(covey_failure, offset) == 16, "covey_failure has changed its layout");
_Static_assert(offsetof(covey_failure, what) == 32, "covey_failure has changed its layout");

TEST(error, every_code_has_a_name_and_a_line)
{
  for (int code = COVEY_EINVAL; code >= -CODES; code--) {
    const char *name = covey_errname(code), *text = covey_strerror(code);
    size_t size = strlen(text);
    CHECK(strncmp(name, "COVEY_E", 7) == 0 && name[7] != '?');
    CHECK(size > 0 && size < 80);
    CHECK(text[size - 1] != '.' && !strchr(text, '\n'));
    for (int other = code - 1; other >= -CODES; other--) {
      CHECK(strcmp(name, covey_errname(other)) != 0);
      CHECK(strcmp(text, covey_strerror(other)) != 0);
    }
  }
}

TEST(error, names_of_single_codes)
{
  CHECK_STR(covey_errname(COVEY_EINVAL), "COVEY_EINVAL");
  CHECK_STR(covey_errname(COVEY_EOS), "COVEY_EOS");
  CHECK_STR(covey_strerror(COVEY_ETIMEDOUT), "the deadline passed");
  CHECK_STR(covey_errname(0), "COVEY_OK");
  CHECK_STR(covey_errname(17), "COVEY_OK");
}

TEST(error, foreign_numbers_have_no_name)
{
  const int foreign[] = {-CODES - 1, -1000, INT_MIN};
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    CHECK_STR(covey_errname(foreign[i]), "COVEY_E?");
    CHECK_STR(covey_strerror(foreign[i]), "unknown error");
  }
}

TEST(error, a_new_thread_has_not_failed)
{
  const covey_failure *f = covey_last_failure();
  REQUIRE(f != NULL);
  CHECK_INT(f->code, 0);
  CHECK_INT(f->index, -1);
  CHECK_INT(f->offset, -1);
  CHECK_STR(f->what, "");
}

TEST(error, fail_records_all_it_was_told)
{
  const covey_failure *f = covey_last_failure();
  CHECK_INT(cvy_fail(COVEY_EUNSAFE, COVEY_STAGE_OPEN, "the %s of %d", "owner", 7), COVEY_EUNSAFE);
  CHECK_INT(f->code, COVEY_EUNSAFE);
  CHECK_INT(f->stage, COVEY_STAGE_OPEN);
  CHECK_INT(f->system, 0);
  CHECK_INT(f->reached, COVEY_FAR_NOTHING);
  CHECK_INT(f->index, -1);
  CHECK_INT(f->offset, -1);
  CHECK_STR(f->what, "the owner of 7");

  CHECK_INT(cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ARGUMENTS, 3, 12, "argument"), COVEY_EENCODING);
  CHECK_INT(f->index, 3);
  CHECK_INT(f->offset, 12);
  CHECK_INT(cvy_fail_far(COVEY_ETIMEDOUT, COVEY_FAR_MAYBE), COVEY_ETIMEDOUT);
  CHECK_INT(f->reached, COVEY_FAR_MAYBE);
  CHECK_INT(f->index, 3);
}

TEST(error, nothing_of_the_failure_before_remains)
{
  const covey_failure *f = covey_last_failure();
  cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ARGUMENTS, 3, 12, "a long text about an argument");
  cvy_fail_far(COVEY_ETIMEDOUT, COVEY_FAR_SENT);
  cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "x");
  CHECK_INT(f->index, -1);
  CHECK_INT(f->offset, -1);
  CHECK_INT(f->reached, COVEY_FAR_NOTHING);
  CHECK_STR(f->what, "x");
  for (size_t i = 1; i < sizeof f->what; i++) CHECK_INT(f->what[i], 0);
}

TEST(error, the_systems_number_is_kept)
{
  const covey_failure *f = covey_last_failure();
  int code =
      cvy_fail_os(COVEY_STAGE_CWD, 2, "%s", "/nowhere"); /* ENOENT and ERROR_FILE_NOT_FOUND are both 2 */
  CHECK_INT(code, COVEY_ENOTFOUND);
  CHECK_INT(f->code, COVEY_ENOTFOUND);
  CHECK_INT(f->system, 2);
  CHECK_INT(f->stage, COVEY_STAGE_CWD);
  CHECK_STR(f->what, "/nowhere");
  CHECK_INT(cvy_fail_os(COVEY_STAGE_NONE, 0, " "), COVEY_EOS);
}

TEST(error, success_leaves_it_alone)
{
  cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "before");
  covey_strerror(COVEY_EINVAL);
  covey_errname(COVEY_EINVAL);
  covey_free(NULL);
  CHECK_STR(covey_last_failure()->what, "before");
}

/* A text of 255 bytes fits; from there on it is cut, at a whole character. */
TEST(error, long_texts_are_cut_at_a_character)
{
  static const char *const characters[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\xa6"};
  const covey_failure *f = covey_last_failure();
  for (size_t c = 0; c < 4; c++)
    for (size_t lead = 0; lead < 5; lead++) {
      size_t size = strlen(characters[c]), wanted = lead + (255 - lead) / size * size;
      char text[2048] = "", *at = text;
      for (size_t i = 0; i < lead; i++) *at++ = 'x';
      for (size_t i = 0; i < 300; i++, at += size) memcpy(at, characters[c], size + 1);
      cvy_fail(COVEY_EINVAL, COVEY_STAGE_NONE, "%s", text);
      CHECK_UINT(strlen(f->what), wanted);
      CHECK_MEM(f->what, text, wanted);
    }
}

TEST(error, a_text_that_just_fits_is_whole)
{
  char text[256];
  memset(text, 'x', 253);
  memcpy(text + 253, "\xc3\xa4", 3);
  cvy_fail(COVEY_EINVAL, COVEY_STAGE_NONE, "%s", text);
  CHECK_STR(covey_last_failure()->what, text);
}

TEST(error, may_speak_of_the_failure_before)
{
  cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP, "tool");
  cvy_fail(COVEY_EOS, COVEY_STAGE_EXEC, "[%s]", covey_last_failure()->what);
  CHECK_STR(covey_last_failure()->what, "[tool]");
}

TEST(error, records_made_elsewhere_are_carried_over)
{
  covey_failure made;
  memset(&made, 0x55, sizeof made);
  cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "mine");
  cvy_failure_set(&made, COVEY_EPEERDIED, COVEY_STAGE_WRITE, 32, "peer %d", 9);
  CHECK_STR(covey_last_failure()->what, "mine");
  CHECK_INT(made.code, COVEY_EPEERDIED);
  CHECK_INT(made.system, 32);
  CHECK_INT(made.index, -1);
  CHECK_UINT(made.reserved[0] | made.reserved[1] | made.reserved[2] | made.reserved[3], 0);
  CHECK_INT(cvy_fail_copy(&made), COVEY_EPEERDIED);
  CHECK_STR(covey_last_failure()->what, "peer 9");
  CHECK_INT(cvy_fail_copy(covey_last_failure()), COVEY_EPEERDIED);
  CHECK_STR(covey_last_failure()->what, "peer 9");
}

static void fail_often(void *arg)
{
  int mine = *(const int *)arg;
  const covey_failure *f = covey_last_failure();
  char text[32];
  CHECK_INT(f->code, 0);
  snprintf(text, sizeof text, "thread %d", mine);
  for (int i = 0; i < 2000; i++) {
    cvy_fail(-1 - mine, mine, "thread %d", mine);
    CHECK(f == covey_last_failure());
    CHECK_INT(f->code, -1 - mine);
    CHECK_INT(f->stage, mine);
    CHECK_STR(f->what, text);
  }
}

TEST(error, each_thread_has_its_own)
{
  test_thread *threads[8];
  int numbers[8];
  cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "the first thread's");
  for (int i = 0; i < 8; i++) {
    numbers[i] = i;
    threads[i] = test_thread_start(fail_often, &numbers[i]);
  }
  for (int i = 0; i < 8; i++) test_thread_join(threads[i]);
  CHECK_STR(covey_last_failure()->what, "the first thread's");
}
