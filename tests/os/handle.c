#include "core/fault.h"
#include "os/handle.h"
#include "child.h"
#include "os/path.h"
#include "os/signal.h"

/* Lets the helper say text into handle, and closes it. */
static void say_into(cvos_handle handle, const char *text)
{
  cvos_spawn_request q;
  covey_failure failure;
  cvos_process process;
  cvos_tree *tree;
  child_request(&q, TEST_WORDS("say", text));
  q.stdio[1] = handle;
  REQUIRE_OK(cvos_spawn(&q, &process, &tree, &failure));
  child_free_request(&q);
  cvos_handle_close(handle);
  REQUIRE_OK(cvos_process_wait(&process, 20000));
  REQUIRE_OK(cvos_process_reap(&process, tree, NULL));
  cvos_tree_release(tree);
  cvos_process_close(&process);
}

TEST(handle, opens_files_in_four_ways)
{
  cvos_handle h;
  char *path = test_format("%s%cfile", test_temp_dir(), cvos_path_separator());
  test_no_handles_lost();
  CHECK_ERR(cvos_file_open(path, CVOS_FILE_READ, &h), COVEY_ENOTFOUND);
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_EXCLUSIVE, &h));
  say_into(h, "one");
  CHECK_STR(test_read_file(path, NULL), "one\n");
  CHECK_ERR(cvos_file_open(path, CVOS_FILE_EXCLUSIVE, &h), COVEY_EEXIST);
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_APPEND, &h));
  say_into(h, "two");
  CHECK_STR(test_read_file(path, NULL), "one\ntwo\n");
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_TRUNCATE, &h));
  CHECK_STR(test_read_file(path, NULL), "");
  say_into(h, "three");
  CHECK_STR(test_read_file(path, NULL), "three\n");
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_READ, &h));
  cvos_handle_close(h);
  CHECK_ERR(cvos_file_open(path, 77, &h), COVEY_EINVAL);
  CHECK_ERR(cvos_file_open(test_temp_dir(), CVOS_FILE_TRUNCATE, &h), COVEY_EACCES);
  CHECK_ERR(cvos_file_open(test_format("%s/no/such", test_temp_dir()), CVOS_FILE_TRUNCATE, &h),
            COVEY_ENOTFOUND);
}

/* What is no file has no length to cut. */
TEST(handle, opens_the_null_device_as_a_file)
{
  static const int ways[] = {CVOS_FILE_READ, CVOS_FILE_TRUNCATE, CVOS_FILE_APPEND};
  cvos_handle h;
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(cvos_file_open(test_is_windows() ? "NUL" : "/dev/null", ways[i], &h));
    if (ways[i] == CVOS_FILE_READ)
      cvos_handle_close(h);
    else
      say_into(h, "into the void");
  }
}

/* Two that append do not overwrite each other. */
TEST(handle, appends_at_the_end_of_the_moment)
{
  cvos_handle first, second;
  char *path = test_format("%s%cfile", test_temp_dir(), cvos_path_separator());
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_APPEND, &first));
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_APPEND, &second));
  say_into(second, "longer than the other");
  say_into(first, "short");
  CHECK_STR(test_read_file(path, NULL), "longer than the other\nshort\n");
}

TEST(handle, opens_long_paths)
{
  char *path = test_format("%s", test_temp_dir());
  cvos_handle h;
  /* a name of 200, in a folder whose path is that long already: more than Windows' 260 */
  size_t n = strlen(path);
  char *name = malloc(n + 260);
  REQUIRE(name != NULL);
  memcpy(name, path, n);
  name[n] = cvos_path_separator();
  memset(name + n + 1, 'n', 240);
  name[n + 241] = '\0';
  REQUIRE_OK(cvos_file_open(name, CVOS_FILE_TRUNCATE, &h));
  say_into(h, "far");
  REQUIRE_OK(cvos_file_open(name, CVOS_FILE_READ, &h));
  cvos_handle_close(h);
  CHECK_INT(cvos_path_program(name), test_is_windows() ? 0 : COVEY_EACCES);
  free(name);
}

TEST(handle, duplicates)
{
  cvos_handle one, two = CVOS_NONE;
  char *path = test_format("%s%cfile", test_temp_dir(), cvos_path_separator());
  test_no_handles_lost();
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_APPEND, &one));
  REQUIRE_OK(cvos_handle_duplicate(one, &two));
  CHECK(one != two);
  cvos_handle_close(one);
  say_into(two, "still");
  CHECK_STR(test_read_file(path, NULL), "still\n");
  CHECK(cvos_handle_duplicate((cvos_handle)(intptr_t)0x7FFFF0, &two) < 0);
  cvos_handle_close(CVOS_NONE);
}

TEST(handle, null_takes_all_and_gives_nothing)
{
  cvos_handle h;
  child c;
  REQUIRE_OK(cvos_null_open(&h));
  CHECK(!cvos_handle_is_terminal(h));
  say_into(h, "into the void");
  child_start(&c, NULL, TEST_WORDS("count"));
  child_finish(&c);
  CHECK(strncmp(test_read_file(c.output, NULL), "0", 1) == 0);
}

TEST(handle, counts)
{
  int64_t before = cvos_handle_count();
  cvos_handle h[5];
  if (before <= 0) TEST_SKIP("this system does not tell (wine answers 0)");
  for (int i = 0; i < 5; i++) REQUIRE_OK(cvos_null_open(&h[i]));
  CHECK_INT(cvos_handle_count(), before + 5);
  for (int i = 0; i < 5; i++) cvos_handle_close(h[i]);
  CHECK_INT(cvos_handle_count(), before);
}

TEST(handle, knows_the_standard_three)
{
  CHECK(cvos_handle_standard(2) != CVOS_NONE);
  CHECK(cvos_handle_standard(3) == CVOS_NONE);
  CHECK(cvos_handle_standard(-1) == CVOS_NONE);
}

/* Both directions: what one helper says arrives in our pipe's other end; a pipe of ours is read to its end when we close it. */
TEST(handle, makes_pipes_for_a_child)
{
  cvos_handle ours, theirs;
  child c;
  test_no_handles_lost();
  REQUIRE_OK(cvos_pipe_for_child(CVOS_FROM_CHILD, &ours, &theirs));
  CHECK(ours != theirs);
  say_into(theirs, "into a pipe"); /* less than the pipe holds: nobody needs to read */
  cvos_handle_close(ours);
  REQUIRE_OK(cvos_pipe_for_child(CVOS_TO_CHILD, &ours, &theirs));
  /* the child sees the end as soon as our end is closed: it did not inherit it */
  cvos_spawn_request q;
  covey_failure failure;
  memset(&c, 0, sizeof c);
  child_request(&q, TEST_WORDS("read", "1"));
  q.stdio[0] = theirs;
  REQUIRE_OK(cvos_spawn(&q, &c.process, &c.tree, &failure));
  child_free_request(&q);
  cvos_handle_close(theirs);
  CHECK_ERR(cvos_process_wait(&c.process, 100), COVEY_ETIMEDOUT);
  cvos_handle_close(ours);
  child_finish(&c);
  CHECK_UINT(c.status.code, 21);
}

typedef int maker(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs);

/* A helper that writes to theirs, which is closed. */
static void write_in_vain(cvos_handle theirs)
{
  cvos_spawn_request q;
  covey_failure failure;
  child c;
  memset(&c, 0, sizeof c);
  child_request(&q, TEST_WORDS("both", "1000000", "0"));
  q.stdio[1] = theirs;
  REQUIRE_OK(cvos_spawn(&q, &c.process, &c.tree, &failure));
  child_free_request(&q);
  cvos_handle_close(theirs);
  child_finish(&c);
  CHECK_INT(c.status.how, CVOS_END_SIGNALLED);
  CHECK_INT(c.status.signal, CVOS_SIGNAL_PIPE);
}

/* What keeps the signal from us is of our end alone. */
TEST(handle, a_child_that_writes_to_nobody)
{
  static maker *const makers[] = {cvos_pipe_for_child, cvos_socket_for_child};
  if (test_is_windows()) TEST_SKIP("no signal tells it there");
  test_no_child_handles_lost();
  for (int i = 0; i < 2; i++) {
    cvos_handle ours, theirs;
    REQUIRE_OK(makers[i](CVOS_FROM_CHILD, &ours, &theirs));
    cvos_handle_close(ours);
    write_in_vain(theirs);
  }
}

/* A socket to a child carries one way: it cannot answer. */
TEST(handle, a_child_that_answers_its_input)
{
  cvos_handle ours, theirs;
  if (test_is_windows()) TEST_SKIP("no sockets for a child there");
  test_no_child_handles_lost();
  REQUIRE_OK(cvos_socket_for_child(CVOS_TO_CHILD, &ours, &theirs));
  write_in_vain(theirs);
  cvos_handle_close(ours);
}

static void fail_without_a_trace(maker *make)
{
  cvos_handle ours = CVOS_NONE, theirs = CVOS_NONE;
  test_no_handles_lost();
  for (int direction = CVOS_FROM_CHILD; direction <= CVOS_TO_CHILD; direction++) {
    for (int64_t n = 1; n < 20; n++) {
      cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 4 : 24);
      int r = make(direction, &ours, &theirs);
      bool met = cvy_fault_seen() >= n;
      cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
      if (r == 0) {
        cvos_handle_close(ours);
        cvos_handle_close(theirs);
      }
      CHECK(met ? r < 0 : r == 0);
      if (!met) break;
    }
  }
}

TEST(handle, pipes_fail_without_a_trace)
{
  fail_without_a_trace(cvos_pipe_for_child);
}

TEST(handle, sockets_fail_without_a_trace)
{
  cvos_handle ours, theirs;

  if (!test_is_windows()) {
    fail_without_a_trace(cvos_socket_for_child);
    return;
  }
  CHECK_ERR(cvos_socket_for_child(CVOS_FROM_CHILD, &ours, &theirs), COVEY_ENOTSUP);
}
