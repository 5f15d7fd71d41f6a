#include "os/path.h"
#include "os/error.h"
#include "support/test.h"

TEST(path, knows_absolute_paths)
{
  bool w = test_is_windows();
  CHECK(cvos_path_is_absolute("/bin") == !w);
  CHECK(!cvos_path_is_absolute(""));
  CHECK(!cvos_path_is_absolute("a/b"));
  CHECK(!cvos_path_is_absolute("."));
  CHECK(cvos_path_is_absolute("C:\\x") == w);
  CHECK(cvos_path_is_absolute("c:/x") == w);
  CHECK(!cvos_path_is_absolute("C:x"));
  CHECK(!cvos_path_is_absolute("\\x"));
  CHECK(cvos_path_is_absolute("\\\\server\\share") == w);
  CHECK(cvos_path_is_absolute("//server/share"));
}

TEST(path, knows_names_that_say_where)
{
  bool w = test_is_windows();
  CHECK(!cvos_path_has_folder("cmd"));
  CHECK(!cvos_path_has_folder(""));
  CHECK(!cvos_path_has_folder("a.b"));
  CHECK(cvos_path_has_folder("./cmd"));
  CHECK(cvos_path_has_folder("/"));
  CHECK(cvos_path_has_folder("a\\b") == w);
  CHECK(cvos_path_has_folder("c:cmd") == w);
  CHECK(!cvos_path_has_folder("1:x"));
}

TEST(path, has_separators)
{
  CHECK_INT(cvos_path_separator(), test_is_windows() ? '\\' : '/');
  CHECK_INT(cvos_path_list_separator(), test_is_windows() ? ';' : ':');
  CHECK_STR(cvos_path_extensions(), test_is_windows() ? ".COM;.EXE;.BAT;.CMD" : "");
}

TEST(path, makes_paths_absolute)
{
  char *here = NULL, *there = NULL;
  REQUIRE_OK(cvos_path_current(&here));
  CHECK(cvos_path_is_absolute(here));
  REQUIRE_OK(cvos_path_absolute("some where", &there));
  CHECK(cvos_path_is_absolute(there));
  CHECK(strncmp(there, here, strlen(here)) == 0);
  CHECK_STR(there + strlen(there) - 10, "some where");
  char *again = NULL;
  REQUIRE_OK(cvos_path_absolute(there, &again));
  CHECK_STR(again, there);
  covey_free(again);
  covey_free(there);
  covey_free(here);
}

TEST(path, knows_programs)
{
  char *file = test_format("%s%cfile.exe", test_temp_dir(), cvos_path_separator());
  CHECK_OK(cvos_path_program(test_helper()));
  CHECK_ERR(cvos_path_program(file), COVEY_ENOTFOUND);
  CHECK(cvos_last_error() != 0);
  test_write_file(file, "x", 1);
  if (test_is_windows())
    CHECK_OK(cvos_path_program(file));
  else
    CHECK_ERR(cvos_path_program(file), COVEY_EACCES);
  CHECK_ERR(cvos_path_program(test_temp_dir()), COVEY_EACCES);
  CHECK_ERR(cvos_path_program(
                test_format("%s%cno%csuch", test_temp_dir(), cvos_path_separator(), cvos_path_separator())),
            COVEY_ENOTFOUND);
  CHECK_ERR(cvos_path_program(test_format("%s%cx", file, cvos_path_separator())), COVEY_ENOTFOUND);
  CHECK_ERR(cvos_path_program(""), COVEY_ENOTFOUND);
  if (test_is_windows()) {
    CHECK_ERR(cvos_path_program("C:\\a<b>|\"?*"), COVEY_ENOTFOUND);
    CHECK_ERR(cvos_path_program("\xFF"), COVEY_EENCODING);
  }
}

TEST(path, knows_well_known_places)
{
  char *text = NULL;
  REQUIRE_OK(cvos_path_self(&text));
  CHECK(cvos_path_is_absolute(text));
  CHECK_OK(cvos_path_program(text));
  covey_free(text);
  REQUIRE_OK(cvos_path_temporary(&text));
  CHECK(cvos_path_is_absolute(text));
  char last = text[strlen(text) - 1];
  CHECK(last != '/' && last != '\\');
  CHECK_ERR(cvos_path_program(text), COVEY_EACCES);
  covey_free(text);
  REQUIRE_OK(cvos_path_search_default(&text));
  CHECK(strlen(text) > 3);
  covey_free(text);
  text = NULL;
  if (test_is_windows()) {
    REQUIRE_OK(cvos_path_system(&text));
    CHECK_OK(cvos_path_program(test_format("%s\\cmd.exe", text)));
    covey_free(text);
  } else {
    CHECK_ERR(cvos_path_system(&text), COVEY_ENOTSUP);
    CHECK(text == NULL);
  }
}
