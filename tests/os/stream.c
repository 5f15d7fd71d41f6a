/* Connections: bytes through them, who is at the other end, the one for a child, random bytes. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/process.h"
#include "os/stream.h"
#include "os/tree.h"
#include "os/watch.h"

#include <uv.h>

#define PATIENCE 20000 /* a deadline that is only met in failure */

static cvos_address address(void)
{
  static const char *dir;
  uv_fs_t fs;
  if (!dir) {
    dir = test_format("%s/d", test_temp_dir());
    REQUIRE(uv_fs_mkdir(NULL, &fs, dir, 0700, NULL) == 0);
  }
  return (cvos_address){.directory = dir, .app = "test", .name = "one"};
}

/* ---- a loop, and what comes out of it ---- */

typedef struct end {
  cvos_io *io;
  char data[4096];
  size_t size;
  int64_t sender; /* of the first bytes */
  int64_t peer;   /* pid by cvos_stream_peer when they came */
  bool over, closed;
} end;

typedef struct scene {
  uv_loop_t uv;
  uv_timer_t limit;
  bool late;
  cvos_acceptor *acceptor;
  bool acceptor_closed;
  cvos_handle accepted[64];
  int count;
} scene;

/* libuv's first loop opens a pipe that it keeps. */
static void no_handles_lost(void)
{
  uv_loop_t uv;
  REQUIRE(uv_loop_init(&uv) == 0);
  CHECK_INT(uv_loop_close(&uv), 0);
  test_no_handles_lost();
}

static void on_limit(uv_timer_t *timer)
{
  ((scene *)timer->data)->late = true;
}

static void on_accepted(void *arg, cvos_handle connection)
{
  scene *s = arg;
  REQUIRE(s->count < 64);
  s->accepted[s->count++] = connection;
}

static void on_failed(void *arg, int status, int system)
{
  (void)arg;
  TEST_FAIL("accepting failed: %d (%d)", status, system);
}

static void on_acceptor_closed(void *arg)
{
  ((scene *)arg)->acceptor_closed = true;
}

static const cvos_acceptor_events acceptor_events = {on_accepted, on_failed, on_acceptor_closed};

static void scene_begin(scene *s)
{
  memset(s, 0, sizeof *s);
  REQUIRE(uv_loop_init(&s->uv) == 0);
  REQUIRE_OK(cvos_watch_prepare(&s->uv, true));
  uv_timer_init(&s->uv, &s->limit);
  s->limit.data = s;
  uv_timer_start(&s->limit, on_limit, PATIENCE, 0);
}

#define RUN_UNTIL(s, condition)                                                                              \
  do {                                                                                                       \
    while (!(condition) && !(s)->late) uv_run(&(s)->uv, UV_RUN_ONCE);                                        \
    REQUIRE(condition);                                                                                      \
  } while (0)

static void scene_end(scene *s)
{
  if (s->acceptor) {
    cvos_acceptor_close(s->acceptor);
    RUN_UNTIL(s, s->acceptor_closed);
  }
  uv_close((uv_handle_t *)&s->limit, NULL);
  REQUIRE(uv_run(&s->uv, UV_RUN_DEFAULT) == 0);
  CHECK_INT(uv_loop_close(&s->uv), 0);
}

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles,
                     size_t handle_count)
{
  end *e = arg;
  (void)handles;
  CHECK_UINT(handle_count, 0);
  REQUIRE(e->size + size <= sizeof e->data);
  if (e->size == 0) {
    covey_identity who = {.pid = -1};
    cvos_process pin;
    e->sender = cvos_io_sender(e->io);
    if (cvos_stream_peer(cvos_io_handle(e->io), &who, &pin) == 0) cvos_process_close(&pin);
    e->peer = who.pid;
  }
  memcpy(e->data + e->size, data, size);
  e->size += size;
}

static void on_end(void *arg, int status, int system)
{
  (void)system;
  CHECK_INT(status, 0);
  ((end *)arg)->over = true;
}

static void on_closed(void *arg)
{
  ((end *)arg)->closed = true;
}

static const cvos_io_events io_events = {.bytes = on_bytes, .end = on_end, .closed = on_closed};

static void watch(scene *s, end *e, cvos_handle handle)
{
  memset(e, 0, sizeof *e);
  REQUIRE_OK(cvos_io_open(&s->uv, handle, CVOS_IO_READ | CVOS_IO_WRITE, &io_events, e, &e->io));
  cvos_io_read(e->io, true);
}

static void say(end *e, const char *text)
{
  int system = 0;
  cvos_piece piece = {text, strlen(text)};
  CHECK_INT(cvos_io_write(e->io, &piece, 1, NULL, 0, &system), (int64_t)strlen(text));
}

static void leave(scene *s, end *e)
{
  cvos_io_close(e->io, false);
  RUN_UNTIL(s, e->closed);
}

/* Opens a listener and an acceptor on it. */
static cvos_listener *serve(scene *s, const cvos_address *a)
{
  cvos_listener *l;
  REQUIRE_OK(cvos_listener_open(a, &l));
  REQUIRE_OK(cvos_acceptor_open(&s->uv, l, &acceptor_events, s, &s->acceptor));
  return l;
}

static void stop_serving(scene *s, cvos_listener *l)
{
  cvos_acceptor_close(s->acceptor);
  RUN_UNTIL(s, s->acceptor_closed);
  s->acceptor = NULL;
  cvos_listener_close(l);
}

/* ---- bytes ---- */

TEST(stream, bytes_both_ways)
{
  scene s;
  end here, there;
  cvos_handle dialled;
  cvos_address a = address();
  no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = serve(&s, &a);
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  RUN_UNTIL(&s, s.count == 1);
  watch(&s, &here, dialled);
  watch(&s, &there, s.accepted[0]);
  say(&here, "over");
  say(&there, "and back");
  RUN_UNTIL(&s, here.size == 8 && there.size == 4);
  CHECK_MEM(here.data, "and back", 8);
  CHECK_MEM(there.data, "over", 4);
  CHECK_INT(here.sender, -1);
  /* Ending the listener ends no connection. */
  stop_serving(&s, l);
  say(&here, " more");
  RUN_UNTIL(&s, there.size == 9);
  leave(&s, &here);
  RUN_UNTIL(&s, there.over);
  leave(&s, &there);
  scene_end(&s);
}

/* More connections than a system has room for before they are accepted; what the first ones say before that is kept. */
TEST(stream, many_connections)
{
  enum { MANY = 40 };
  scene s;
  end ends[MANY], others[MANY];
  cvos_address a = address();
  no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = serve(&s, &a);
  for (int i = 0; i < MANY; i++) {
    cvos_handle dialled;
    int r;
    while ((r = cvos_stream_dial(&a, &dialled)) == COVEY_EAGAIN && !s.late) uv_run(&s.uv, UV_RUN_ONCE);
    REQUIRE_OK(r);
    watch(&s, &ends[i], dialled);
    say(&ends[i], test_format("number %d", i));
  }
  RUN_UNTIL(&s, s.count == MANY);
  stop_serving(&s, l);
  bool seen[MANY] = {false};
  for (int i = 0; i < MANY; i++) {
    watch(&s, &others[i], s.accepted[i]);
    RUN_UNTIL(&s, others[i].size >= 8);
    int number = atoi(others[i].data + 7);
    REQUIRE(number >= 0 && number < MANY && !seen[number]);
    seen[number] = true;
  }
  for (int i = 0; i < MANY; i++) leave(&s, &ends[i]);
  for (int i = 0; i < MANY; i++) {
    RUN_UNTIL(&s, others[i].over);
    leave(&s, &others[i]);
  }
  scene_end(&s);
}

/* ---- who is there ---- */

static void expect_us(cvos_handle stream)
{
  covey_identity who, self;
  cvos_process pin;
  REQUIRE_OK(cvos_identity(0, &self, NULL));
  memset(&who, 0xff, sizeof who);
  REQUIRE_OK(cvos_stream_peer(stream, &who, &pin));
  CHECK_INT(who.pid, test_pid());
  CHECK_UINT(who.start, self.start);
  CHECK(who.start != 0);
  CHECK_INT(who.uid, self.uid);
  CHECK_INT(who.gid, self.gid);
  CHECK_STR(who.sid, self.sid);
  CHECK_UINT(who.flags & ~(uint32_t)COVEY_ID_PINNED, self.flags);
  CHECK(who.flags & COVEY_ID_SAME_USER);
  CHECK(((who.flags & COVEY_ID_PINNED) != 0) == (pin.handle != CVOS_NONE));
  CHECK_INT(pin.pid, test_pid());
  CHECK_UINT(pin.start, self.start);
  cvos_process_close(&pin);
}

TEST(peer, ourselves_at_both_ends)
{
  scene s;
  cvos_handle dialled;
  cvos_address a = address();
  no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = serve(&s, &a);
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  expect_us(dialled); /* before it is accepted */
  RUN_UNTIL(&s, s.count == 1);
  expect_us(dialled);
  expect_us(s.accepted[0]);
  cvos_handle_close(dialled);
  cvos_handle_close(s.accepted[0]);
  stop_serving(&s, l);
  scene_end(&s);
}

static bool told(void *path)
{
  return test_file_exists(path);
}

static int64_t start(const char *what, const cvos_address *a)
{
  static int number;
  const char *file = test_format("%s/told%d", test_temp_dir(), number++);
  const char *argv[] = {test_helper(), what, a->directory, a->app, a->name, file, NULL};
  int64_t pid = test_start(argv);
  REQUIRE(pid > 0);
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, PATIENCE));
  CHECK_STR(test_read_file(file, NULL), "COVEY_OK");
  return pid;
}

static void expect_helper(cvos_handle stream, int64_t pid, cvos_process *ret_pin)
{
  covey_identity who, known;
  REQUIRE_OK(cvos_identity(pid, &known, NULL));
  REQUIRE_OK(cvos_stream_peer(stream, &who, ret_pin));
  CHECK_INT(who.pid, pid);
  CHECK_UINT(who.start, known.start);
  CHECK(who.flags & COVEY_ID_SAME_USER);
  CHECK_INT(ret_pin->pid, pid);
  CHECK_ERR(cvos_process_wait(ret_pin, 0), COVEY_ETIMEDOUT);
}

/* The process is held for as long as the pin, and afterwards nobody is taken for it. */
static void end_and_look(cvos_handle stream, int64_t pid, cvos_process *pin)
{
  covey_identity who;
  cvos_process other;
  test_process_kill(pid);
  CHECK_OK(cvos_process_wait(pin, PATIENCE));
  int r = cvos_stream_peer(stream, &who, &other); /* ended, on POSIX a zombie */
  CHECK(r == COVEY_EPEERDIED || (test_is_windows() && r == COVEY_ECLOSED));
  test_process_reap(pid);
  r = cvos_stream_peer(stream, &who, &other);
  CHECK(r == COVEY_EPEERDIED || (test_is_windows() && r == COVEY_ECLOSED));
  cvos_process_close(pin);
}

TEST(peer, a_process_that_dialled)
{
  scene s;
  cvos_process pin;
  cvos_address a = address();
  no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = serve(&s, &a);
  int64_t pid = start("dial", &a);
  RUN_UNTIL(&s, s.count == 1);
  expect_helper(s.accepted[0], pid, &pin);
  end_and_look(s.accepted[0], pid, &pin);
  cvos_handle_close(s.accepted[0]);
  stop_serving(&s, l);
  scene_end(&s);
}

TEST(peer, a_process_that_listens)
{
  cvos_handle dialled;
  cvos_process pin;
  cvos_address a = address();
  no_handles_lost();
  int64_t pid = start("listen", &a);
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  expect_helper(dialled, pid, &pin);
  end_and_look(dialled, pid, &pin);
  cvos_handle_close(dialled);
}

TEST(peer, not_a_connection)
{
  covey_identity who;
  cvos_process pin;
  cvos_handle file;
  REQUIRE_OK(cvos_file_open(test_program(), CVOS_FILE_READ, &file));
  CHECK_ERR(cvos_stream_peer(file, &who, &pin), COVEY_EINVAL);
  cvos_handle_close(file);
}

TEST(peer, every_failure_leaves_nothing)
{
  cvos_listener *l;
  cvos_handle dialled;
  cvos_address a = address();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  expect_us(dialled);
  no_handles_lost();
  for (int64_t n = 1;; n++) {
    covey_identity who;
    cvos_process pin;
    cvy_fault_after(CVOS_FAULT_NONE, n, 5);
    int r = cvos_stream_peer(dialled, &who, &pin);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r == 0) {
      CHECK_INT(who.pid, test_pid());
      cvos_process_close(&pin);
    }
    if (over) break;
  }
  cvos_handle_close(dialled);
  cvos_listener_close(l);
}

/* ---- the pair ---- */

/* Both ends in this process. On POSIX the end for the child is already open under the number that the token names. */
TEST(pair, bytes_and_sender)
{
  scene s;
  end ours, theirs;
  cvos_handle a, b, child;
  char token[CVOS_TOKEN_MAX];
  no_handles_lost();
  scene_begin(&s);
  REQUIRE_OK(cvos_stream_pair(&a, &child, token));
  CHECK_UINT(strnlen(token, sizeof token), strlen(token));
  CHECK((child == CVOS_NONE) == test_is_windows());
  watch(&s, &ours, a);
  REQUIRE_OK(cvos_stream_inherit(token, &b));
  if (!test_is_windows()) CHECK(b == child);
  watch(&s, &theirs, b);
  say(&theirs, "child");
  RUN_UNTIL(&s, ours.size == 5);
  CHECK_INT(ours.sender, cvos_stream_tells_sender() ? test_pid() : -1);
  expect_us(cvos_io_handle(ours.io));
  expect_us(cvos_io_handle(theirs.io));
  cvos_stream_quiet(cvos_io_handle(ours.io));
  ours.size = 0;
  say(&theirs, "again");
  say(&ours, "parent");
  RUN_UNTIL(&s, ours.size == 5 && theirs.size == 6);
  CHECK_INT(ours.sender, -1);
  leave(&s, &theirs);
  RUN_UNTIL(&s, ours.over);
  leave(&s, &ours);
  scene_end(&s);
}

/* Spawns the helper with the end, and lets it (or its child) say hello. Returns the pid that spoke by its own word. */
static int64_t hear(const char *behaviour, end *ours, scene *s, cvos_process *ret_child)
{
  cvos_handle a, child;
  char token[CVOS_TOKEN_MAX];
  cvos_tree *tree;
  covey_failure failure;
  const char *file = test_format("%s/told", test_temp_dir());
  const char *argv[] = {test_helper(), behaviour, "COVEY_TEST_TOKEN", file, NULL};
  REQUIRE_OK(cvos_stream_pair(&a, &child, token));
  test_set_env("COVEY_TEST_TOKEN", token);
  cvos_pass pass = {.handle = child, .target = test_is_windows() ? 0 : (int)(intptr_t)child};
  cvos_spawn_request request = {
      .file = test_helper(), .argv = argv, .stdio = {CVOS_NONE, CVOS_NONE, CVOS_NONE}};
  request.command_line = test_format("\"%s\" %s COVEY_TEST_TOKEN \"%s\"", test_helper(), behaviour, file);
  request.pass = &pass;
  request.pass_count = child != CVOS_NONE;
  REQUIRE_OK(cvos_spawn(&request, ret_child, &tree, &failure));
  cvos_handle_close(child);
  watch(s, ours, a);
  RUN_UNTIL(s, ours->size == 5);
  CHECK_MEM(ours->data, "hello", 5);
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, PATIENCE));
  const char *result = test_read_file(file, NULL);
  CHECK(strncmp(result, "COVEY_OK ", 9) == 0);
  CHECK_OK(cvos_tree_kill(tree));
  RUN_UNTIL(s, ours->over);
  CHECK_OK(cvos_process_wait(ret_child, PATIENCE));
  CHECK_OK(cvos_process_reap(ret_child, tree, NULL));
  cvos_tree_release(tree);
  return strtoll(result + 9, NULL, 10);
}

/* The child is known by the kernel's word: with its bytes (Linux), or because it opened the pipe (Windows). */
TEST(pair, a_child)
{
  scene s;
  end ours;
  cvos_process child;
  no_handles_lost();
  scene_begin(&s);
  int64_t pid = hear("inherit", &ours, &s, &child);
  CHECK_INT(pid, child.pid);
  if (cvos_stream_tells_sender()) CHECK_INT(ours.sender, pid);
  if (test_is_windows()) CHECK_INT(ours.peer, pid);
  leave(&s, &ours);
  cvos_process_close(&child);
  scene_end(&s);
}

TEST(pair, a_grandchild_is_told_apart)
{
  scene s;
  end ours;
  cvos_process child;
  scene_begin(&s);
  int64_t pid = hear("hand-down", &ours, &s, &child);
  CHECK(pid != child.pid);
  if (cvos_stream_tells_sender()) CHECK_INT(ours.sender, pid);
  if (test_is_windows()) CHECK_INT(ours.peer, pid);
  leave(&s, &ours);
  cvos_process_close(&child);
  CHECK(test_process_gone(pid, PATIENCE));
  scene_end(&s);
}

TEST(pair, tokens_that_are_refused)
{
  cvos_handle a, child, b, c;
  char token[CVOS_TOKEN_MAX];
  const char *bad[] = {"",
                       "3",
                       "3:",
                       "3:1",
                       "3:1:",
                       "3:1:2:",
                       "-3:1:2",
                       "+3:1:2",
                       " 3:1:2",
                       "3:1:2 ",
                       "2:1:2",
                       "0:0:0",
                       "3:x:1",
                       "99999999999:1:1",
                       "3:1:99999999999999999999999",
                       "ABCDEF00112233445566778899aabbcc",
                       "00112233445566778899aabbccddeef",
                       "00112233445566778899aabbccddeeff0",
                       "..\\..\\x",
                       "/dev/null"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (cvos_stream_inherit(bad[i], &b) != COVEY_EINVAL) TEST_FAIL("%s is taken", bad[i]);
  }
  REQUIRE_OK(cvos_stream_pair(&a, &child, token));
  size_t last = strlen(token) - 1;
  char kept = token[last];
  token[last] = kept == '0' ? '1' : '0';
  CHECK_ERR(cvos_stream_inherit(token, &b), COVEY_ENOTFOUND); /* well formed, but another's */
  token[last] = kept;
  REQUIRE_OK(cvos_stream_inherit(token, &b));
  if (test_is_windows()) CHECK_ERR(cvos_stream_inherit(token, &c), COVEY_ENOTFOUND); /* for one only */
  cvos_handle_close(b);
  cvos_handle_close(a);
  CHECK_ERR(cvos_stream_inherit(token, &c), COVEY_ENOTFOUND); /* gone */
}

TEST(pair, every_failure_leaves_nothing)
{
  no_handles_lost();
  for (int64_t n = 1;; n++) {
    cvos_handle a, b;
    char token[CVOS_TOKEN_MAX];
    cvy_fault_after(CVOS_FAULT_NONE, n, 5);
    int r = cvos_stream_pair(&a, &b, token);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (r == 0) {
      cvos_handle_close(a);
      cvos_handle_close(b);
    }
    if (over) {
      CHECK_INT(r, 0);
      break;
    }
    CHECK(r < 0);
  }
}

/* ---- random ---- */

TEST(random, is_random)
{
  static uint8_t much[100000];
  uint8_t a[16], b[16];
  int counts[256] = {0};
  CHECK_OK(cvos_random(a, 0));
  CHECK_OK(cvos_random(a, sizeof a));
  CHECK_OK(cvos_random(b, sizeof b));
  CHECK(memcmp(a, b, sizeof a) != 0);
  CHECK_OK(cvos_random(much, sizeof much));
  for (size_t i = 0; i < sizeof much; i++) counts[much[i]]++;
  for (int i = 0; i < 256; i++)
    CHECK(counts[i] > 200 && counts[i] < 600); /* 391 are to be expected, deviation 20 */
  cvy_fault_after(CVOS_FAULT_RANDOM, 1, 5);
  int r = cvos_random(a, sizeof a);
  int64_t seen = cvy_fault_seen();
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  CHECK(seen == 0 || r == COVEY_EOS);
}
