/* The streams of a child. */
#include "support/test.h"

#include <covey/process.h>

#include "os/handle.h"

static covey_process *spawn(const covey_process_options *options)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(options, &p));
  return p;
}

/* All of a stream: how many bytes, and whether they are the helper's pattern. */
static size_t read_pattern(covey_process *p, int stream, bool *ret_same)
{
  static char data[70000];
  size_t total = 0;
  int n;

  *ret_same = true;
  while ((n = covey_process_read(p, stream, TEST_SOON, data, sizeof data)) > 0) {
    if (!test_is_pattern(data, (size_t)n, total)) *ret_same = false;
    total += (size_t)n;
  }
  CHECK_OK(n);
  return total;
}

static void read_ready(covey_process *p)
{
  char text[8];
  size_t size = 0;

  while (size < 6) {
    int n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, text + size, 1);

    REQUIRE(n == 1);
    if (text[size] != '\r') size++;
  }
  CHECK_MEM(text, "ready\n", 6);
}

TEST(process_stdio, pipe_there_and_back)
{
  char text[64];
  covey_exit e;
  int n;

  test_no_child_handles_lost();
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("cat"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});
  CHECK_INT(covey_process_write(p, "", 0, 0), 0);
  CHECK_INT(covey_process_write(p, "hello", 5, TEST_SOON), 5);
  for (size_t size = 0; size < 5; size += (size_t)n) {
    n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, text + size, sizeof text - size);
    REQUIRE(n > 0);
  }
  CHECK_MEM(text, "hello", 5);
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, text, 1), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 60, text, 1), COVEY_ETIMEDOUT);
  CHECK_OK(covey_process_close_input(p));
  CHECK_OK(covey_process_close_input(p));
  CHECK_INT(covey_process_read(p, COVEY_STDOUT, TEST_SOON, text, 1), 0);
  CHECK_INT(covey_process_read(p, COVEY_STDOUT, 0, text, 1), 0);
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK(COVEY_EXIT_OK(&e));
  CHECK_ERR(covey_process_write(p, "x", 1, TEST_SOON), COVEY_ECLOSED);
  covey_process_close(p);
}

TEST(process_stdio, streams_that_are_no_pipes)
{
  char byte;
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("nothing")});

  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, &byte, 1), COVEY_EINVAL);
  CHECK_ERR(covey_process_read(p, COVEY_STDIN, 0, &byte, 1), COVEY_EINVAL);
  CHECK_ERR(covey_process_read(p, 9, 0, &byte, 1), COVEY_EINVAL);
  CHECK_ERR(covey_process_write(p, "x", 1, 0), COVEY_EINVAL);
  CHECK_ERR(covey_process_close_input(p), COVEY_EINVAL);
  CHECK_ERR(covey_process_read(NULL, COVEY_STDOUT, 0, &byte, 1), COVEY_EINVAL);
  CHECK_ERR(covey_process_write(NULL, "x", 1, 0), COVEY_EINVAL);
  CHECK_ERR(covey_process_close_input(NULL), COVEY_EINVAL);
  covey_process_close(p);
}

TEST(process_stdio, read_refuses)
{
  char byte;
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("nothing"), .out.kind = COVEY_STDIO_PIPE});

  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, NULL, 1), COVEY_EINVAL);
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, &byte, 0), COVEY_EINVAL);
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, -7, &byte, 1), COVEY_EINVAL);
  covey_process_close(p);
}

/* Three megabytes through a child that answers while it is fed: one thread writes, one reads. */
typedef struct feeder {
  covey_process *process;
  test_counter written;
} feeder;

static void feed_thread(void *arg)
{
  static char data[100000];
  feeder *f = arg;

  for (uint64_t from = 0; from < 3000000; from += sizeof data) {
    test_make_pattern(data, sizeof data, from);
    test_add(&f->written, covey_process_write(f->process, data, sizeof data, TEST_SOON));
  }
  covey_process_close_input(f->process);
}

TEST(process_stdio, megabytes_both_ways)
{
  bool same;
  feeder f = {.process = spawn(&(covey_process_options){
                  .argv = TEST_HELPER("cat"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE})};
  test_thread *t = test_thread_start(feed_thread, &f);

  CHECK_UINT(read_pattern(f.process, COVEY_STDOUT, &same), 3000000);
  CHECK(same);
  test_thread_join(t);
  CHECK_INT(test_add(&f.written, 0), 3000000);
  covey_process_close(f.process);
}

TEST(process_stdio, a_child_that_does_not_read)
{
  size_t size = (size_t)8 << 20;
  char *data = calloc(1, size);
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("hang"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});
  int n, total = 0, rounds = 0;

  read_ready(p);
  /* what the system holds goes; then there is no room: fewer bytes, and at last none */
  while ((n = covey_process_write(p, data, size, 150)) > 0 && rounds++ < 50) total += n;
  CHECK_ERR(n, COVEY_ETIMEDOUT);
  CHECK(total > 0);
  CHECK_ERR(covey_process_write(p, data, size, 0), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_process_wait(p, 0, NULL), COVEY_ETIMEDOUT);
  covey_process_close(p);
  free(data);
}

TEST(process_stdio, a_child_that_closes_its_input)
{
  char data[1000] = {0};
  int n = 0;

  if (test_is_wine()) TEST_SKIP("the console host that wine gives each child holds its streams too");
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("close-in"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});

  read_ready(p);
  for (int i = 0; i < 1000 && n >= 0; i++) n = covey_process_write(p, data, sizeof data, TEST_SOON);
  CHECK_ERR(n, COVEY_ECLOSED);
  covey_process_close(p);
}

/* Nobody reads for a while: the child stands still, and nothing is lost. */
TEST(process_stdio, back_pressure)
{
  bool same;
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("out", "5000000"), .out.kind = COVEY_STDIO_PIPE});

  CHECK_ERR(covey_process_wait(p, 400, NULL), COVEY_ETIMEDOUT); /* 5 MB are more than all buffers hold */
  CHECK_UINT(read_pattern(p, COVEY_STDOUT, &same), 5000000);
  CHECK(same);
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
}

/* What a pipe still holds can be read after the end, however late. */
TEST(process_stdio, read_after_the_end)
{
  bool same;
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("out", "30000"), .out.kind = COVEY_STDIO_PIPE});

  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  test_pause(300);
  CHECK_UINT(read_pattern(p, COVEY_STDOUT, &same), 30000);
  CHECK(same);
  covey_process_close(p);
}

TEST(process_stdio, capture_is_read_piece_by_piece)
{
  bool same;
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("both", "400000", "300000"),
                                                    .out.kind = COVEY_STDIO_CAPTURE,
                                                    .err.kind = COVEY_STDIO_CAPTURE});

  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK_UINT(read_pattern(p, COVEY_STDERR, &same), 300000);
  CHECK(same);
  CHECK_UINT(read_pattern(p, COVEY_STDOUT, &same), 400000);
  CHECK(same);
  covey_process_close(p);
}

TEST(process_stdio, capture_over_its_limit)
{
  static char data[200000];
  covey_exit e;
  int total = 0, n;
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("flood"), .out.kind = COVEY_STDIO_CAPTURE, .capture_max = 100000});

  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_OUTPUT);
  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data + total, sizeof data - (size_t)total)) > 0)
    total += n;
  CHECK_ERR(n, COVEY_ETOOBIG);
  CHECK_INT(total, 100000);
  CHECK(test_is_pattern(data, 100000, 0));
  covey_process_close(p);
}

/* ---- files ---- */

static covey_exit finish(const covey_process_options *options)
{
  covey_exit e = {0};
  covey_process *p = spawn(options);

  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  covey_process_close(p);
  return e;
}

TEST(process_stdio, files)
{
  char *path = test_format("%s/out", test_temp_dir()), *fresh = test_format("%s/fresh", test_temp_dir());
  size_t size;

  test_no_child_handles_lost();
  test_write_file(path, "old old old", 11);
  finish(
      &(covey_process_options){.argv = TEST_HELPER("say", "one"), .out = {COVEY_STDIO_FILE, .path = path}});
  CHECK_STR(test_read_file(path, NULL), "one\n");
  finish(
      &(covey_process_options){.argv = TEST_HELPER("say", "two"), .out = {COVEY_STDIO_APPEND, .path = path}});
  CHECK_STR(test_read_file(path, NULL), "one\ntwo\n");
  finish(&(covey_process_options){.argv = TEST_HELPER("say-err", "bad"),
                                  .err = {COVEY_STDIO_FILE_NEW, .path = fresh}});
  CHECK_STR(test_read_file(fresh, NULL), "bad\n");
  finish(&(covey_process_options){.argv = TEST_HELPER("cat"),
                                  .in = {COVEY_STDIO_FILE, .path = path},
                                  .out = {COVEY_STDIO_FILE, .path = fresh}});
  CHECK_STR(test_read_file(fresh, &size), "one\ntwo\n");
}

TEST(process_stdio, merge_into_a_file)
{
  char *path = test_format("%s/both", test_temp_dir());
  size_t size = 0;

  finish(&(covey_process_options){.argv = TEST_HELPER("both", "10", "20"),
                                  .out = {COVEY_STDIO_FILE, .path = path},
                                  .err.kind = COVEY_STDIO_MERGE});
  CHECK(test_read_file(path, &size) != NULL);
  CHECK_UINT(size, 30);
}

TEST(process_stdio, native)
{
  char *path = test_format("%s/native", test_temp_dir());
  cvos_handle file;

  test_no_child_handles_lost();
  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_TRUNCATE, &file));
  finish(&(covey_process_options){.argv = TEST_HELPER("say", "there"),
                                  .out = {COVEY_STDIO_NATIVE, .native = file},
                                  .err = {COVEY_STDIO_NATIVE, .native = file}});
  finish(&(covey_process_options){.argv = TEST_HELPER("say-err", "again"),
                                  .out = {COVEY_STDIO_NATIVE, .native = file},
                                  .err = {COVEY_STDIO_NATIVE, .native = file}});
  cvos_handle_close(file);
  CHECK_STR(test_read_file(path, NULL), "there\nagain\n");
}

TEST(process_stdio, input_is_empty_by_default)
{
  covey_exit e =
      finish(&(covey_process_options){.argv = TEST_HELPER("read", "1"), .out.kind = COVEY_STDIO_NULL});

  CHECK_UINT(e.code, 21); /* the end, at once */
}

TEST(process_stdio, input_is_copied)
{
  char text[] = "hello";
  bool same;
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("cat"), .input = text, .input_size = 5, .out.kind = COVEY_STDIO_PIPE});
  char back[8];
  int n;

  (void)same;
  memset(text, 'x', 5);
  for (int size = 0; size < 5; size += n) {
    n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, back + size, sizeof back - (size_t)size);
    REQUIRE(n > 0);
  }
  CHECK_MEM(back, "hello", 5);
  CHECK_INT(covey_process_read(p, COVEY_STDOUT, TEST_SOON, back, 1), 0);
  covey_process_close(p);
}

/* ---- what a descendant holds ---- */

TEST(process_stdio, a_held_pipe_delays_nobody)
{
  covey_exit e;
  char *text = calloc(1, 100);
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("spawn-holding", "60000"),
                                                    .out.kind = COVEY_STDIO_CAPTURE});
  int64_t begin = test_now(), pid;

  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK(test_now() - begin < TEST_SOON);
  CHECK_INT(e.pipe_held, 1);
  CHECK_INT(e.why, COVEY_WHY_SELF);
  CHECK_UINT(e.code, 0);
  CHECK(covey_process_read(p, COVEY_STDOUT, TEST_SOON, text, 99) > 0);
  pid = strtoll(text, NULL, 10);
  REQUIRE(pid > 0);
  CHECK(test_process_alive(pid));
  covey_process_close(p);
  CHECK(test_process_gone(pid, TEST_SOON));
  free(text);
}

TEST(process_stdio, a_held_pipe_that_is_read)
{
  char text[100];
  int n;
  covey_process *p = spawn(
      &(covey_process_options){.argv = TEST_HELPER("spawn-holding", "60000"), .out.kind = COVEY_STDIO_PIPE});

  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, text, sizeof text)) > 0) continue;
  CHECK_INT(n, 0); /* the end, although the grandchild holds it */
  covey_process_close(p);
}

TEST(process_stdio, drain_to_the_end)
{
  covey_exit e;
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("spawn-holding", "700"),
                                                    .out.kind = COVEY_STDIO_CAPTURE,
                                                    .drain = COVEY_FOREVER,
                                                    .drain_max = COVEY_FOREVER});

  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.pipe_held, 0);
  covey_process_close(p);
}

/* Nothing that was not named is open in the child. */
TEST(process_stdio, nothing_leaks)
{
  char *path = test_format("%s/open", test_temp_dir());
  char text[4096];
  int size = 0, n;
  cvos_handle file;
  covey_process *other = spawn(&(covey_process_options){
      .argv = TEST_HELPER("hang"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});

  REQUIRE_OK(cvos_file_open(path, CVOS_FILE_TRUNCATE, &file));
  const char *number = test_format("%lld", (long long)(intptr_t)file);
  covey_process *p = spawn(&(covey_process_options){.argv = test_is_windows() ? TEST_HELPER("handles", number)
                                                                              : TEST_HELPER("handles"),
                                                    .out.kind = COVEY_STDIO_PIPE});
  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, text + size, sizeof text - 1 - (size_t)size)) >
         0)
    size += n;
  text[size] = '\0';
  if (test_is_windows())
    CHECK(strstr(text, "open") == NULL);
  else
    CHECK_STR(text, "");
  cvos_handle_close(file);
  covey_process_close(p);
  covey_process_close(other);
}

static const char *output_of(const covey_process_options *options)
{
  static covey_result r;

  covey_result_free(&r);
  REQUIRE_OK(covey_run(options, &r));
  for (size_t i = 0; i < r.out_size; i++) /* line ends of all kinds are one */
    if (r.out[i] == '\r') r.out[i] = ' ';
  return r.out;
}

TEST(process_stdio, passed_on)
{
  cvos_handle file;

  REQUIRE_OK(cvos_file_open(test_format("%s/passed", test_temp_dir()), CVOS_FILE_TRUNCATE, &file));
  covey_pass pass = {.native = file, .child = test_is_windows() ? 0 : 7};
  const char *number = test_format("%lld", test_is_windows() ? (long long)(intptr_t)file : 7);
  const char *text = output_of(&(covey_process_options){.argv = TEST_HELPER("handles", number),
                                                        .pass = &pass,
                                                        .pass_count = 1,
                                                        .out.kind = COVEY_STDIO_CAPTURE});
  CHECK(strstr(text, "open") != NULL);
  if (!test_is_windows())
    CHECK_STR(
        output_of(&(covey_process_options){
            .argv = TEST_HELPER("handles"), .pass = &pass, .pass_count = 1, .out.kind = COVEY_STDIO_CAPTURE}),
        "7\n");
  /* and not without being named */
  text = output_of(
      &(covey_process_options){.argv = TEST_HELPER("handles", number), .out.kind = COVEY_STDIO_CAPTURE});
  CHECK(strstr(text, "open") == NULL);
  cvos_handle_close(file);
}

TEST(process_stdio, scopes)
{
  covey_process_options o = {.argv = TEST_HELPER("group"), .out.kind = COVEY_STDIO_CAPTURE};
  char tree[100], session[100], shared[100], again[100];

  if (test_is_windows()) TEST_SKIP("groups and sessions are of POSIX");
  snprintf(tree, sizeof tree, "%s", output_of(&o));
  o.scope = COVEY_SCOPE_SESSION;
  snprintf(session, sizeof session, "%s", output_of(&o));
  o.scope = COVEY_SCOPE_SHARED;
  snprintf(shared, sizeof shared, "%s", output_of(&o));
  snprintf(again, sizeof again, "%s", output_of(&o));
  CHECK_STR(shared, again); /* our own group and session */
  CHECK(strcmp(tree, shared) != 0);
  long long group = 0, leader = 0, ours = 0;
  CHECK_INT(sscanf(session, "%lld %lld", &group, &leader), 2);
  CHECK_INT(group, leader);
  CHECK_INT(sscanf(shared, "%lld %lld", &group, &ours), 2);
  CHECK(ours != leader);
  CHECK_INT(sscanf(tree, "%lld %lld", &group, &leader), 2);
  CHECK_INT(leader, ours);
}
