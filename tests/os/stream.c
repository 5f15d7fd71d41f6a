/* Connections: bytes through them, who is at the other end, random bytes. */
#include "support/test.h"

#include "core/fault.h"
#include "os/handle.h"
#include "os/process.h"
#include "os/stream.h"
#include "support/scene.h"

/* ---- bytes ---- */

TEST(stream, bytes_both_ways)
{
  scene s;
  scene_io here, there;
  cvos_handle dialled;
  cvos_address a = scene_address();
  scene_no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = scene_serve(&s, &a);
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  SCENE_RUN_UNTIL(&s, s.count == 1);
  scene_watch(&s, &here, dialled);
  scene_watch(&s, &there, s.accepted[0]);
  scene_say(&here, "over");
  scene_say(&there, "and back");
  SCENE_RUN_UNTIL(&s, here.size == 8 && there.size == 4);
  CHECK_MEM(here.data, "and back", 8);
  CHECK_MEM(there.data, "over", 4);
  CHECK_INT(here.sender, -1);
  /* Ending the listener ends no connection. */
  scene_stop_serving(&s, l);
  scene_say(&here, " more");
  SCENE_RUN_UNTIL(&s, there.size == 9);
  scene_leave(&s, &here);
  SCENE_RUN_UNTIL(&s, there.over);
  scene_leave(&s, &there);
  scene_finish(&s);
}

/* More connections than a system has room for before they are accepted; what the first ones say before that is kept. */
TEST(stream, many_connections)
{
  enum { MANY = 40 };
  scene s;
  scene_io ends[MANY], others[MANY];
  cvos_address a = scene_address();
  scene_no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = scene_serve(&s, &a);
  for (int i = 0; i < MANY; i++) {
    cvos_handle dialled;
    int r;
    while ((r = cvos_stream_dial(&a, &dialled)) == COVEY_EAGAIN && !s.late) uv_run(&s.uv, UV_RUN_ONCE);
    REQUIRE_OK(r);
    scene_watch(&s, &ends[i], dialled);
    scene_say(&ends[i], test_format("number %d", i));
  }
  SCENE_RUN_UNTIL(&s, s.count == MANY);
  scene_stop_serving(&s, l);
  bool seen[MANY] = {false};
  for (int i = 0; i < MANY; i++) {
    scene_watch(&s, &others[i], s.accepted[i]);
    SCENE_RUN_UNTIL(&s, others[i].size >= 8);
    int number = atoi(others[i].data + 7);
    REQUIRE(number >= 0 && number < MANY && !seen[number]);
    seen[number] = true;
  }
  for (int i = 0; i < MANY; i++) scene_leave(&s, &ends[i]);
  for (int i = 0; i < MANY; i++) {
    SCENE_RUN_UNTIL(&s, others[i].over);
    scene_leave(&s, &others[i]);
  }
  scene_finish(&s);
}

/* ---- who is there ---- */

TEST(peer, ourselves_at_both_ends)
{
  scene s;
  cvos_handle dialled;
  cvos_address a = scene_address();
  scene_no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = scene_serve(&s, &a);
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  scene_expect_us(dialled); /* before it is accepted */
  SCENE_RUN_UNTIL(&s, s.count == 1);
  scene_expect_us(dialled);
  scene_expect_us(s.accepted[0]);
  cvos_handle_close(dialled);
  cvos_handle_close(s.accepted[0]);
  scene_stop_serving(&s, l);
  scene_finish(&s);
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
  REQUIRE(test_wait_until(told, (void *)(uintptr_t)file, SCENE_PATIENCE));
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

/* The process is held for as long as the pin, and afterwards nobody is taken for it. Windows and macOS say nothing of who is not connected any more. */
static void end_and_look(cvos_handle stream, int64_t pid, cvos_process *pin)
{
  covey_identity who;
  cvos_process other;
  bool keeps = cvos_stream_tells_sender(); /* Linux */
  test_process_kill(pid);
  CHECK_OK(cvos_process_wait(pin, SCENE_PATIENCE));
  int r = cvos_stream_peer(stream, &who, &other); /* ended, on POSIX a zombie */
  CHECK(r == COVEY_EPEERDIED || (!keeps && r == COVEY_ECLOSED));
  test_process_reap(pid);
  r = cvos_stream_peer(stream, &who, &other);
  CHECK(r == COVEY_EPEERDIED || (!keeps && r == COVEY_ECLOSED));
  cvos_process_close(pin);
}

TEST(peer, a_process_that_dialled)
{
  scene s;
  cvos_process pin;
  cvos_address a = scene_address();
  scene_no_handles_lost();
  scene_begin(&s);
  cvos_listener *l = scene_serve(&s, &a);
  int64_t pid = start("dial", &a);
  SCENE_RUN_UNTIL(&s, s.count == 1);
  expect_helper(s.accepted[0], pid, &pin);
  end_and_look(s.accepted[0], pid, &pin);
  cvos_handle_close(s.accepted[0]);
  scene_stop_serving(&s, l);
  scene_finish(&s);
}

TEST(peer, a_process_that_listens)
{
  cvos_handle dialled;
  cvos_process pin;
  cvos_address a = scene_address();
  scene_no_handles_lost();
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
  cvos_address a = scene_address();
  REQUIRE_OK(cvos_listener_open(&a, &l));
  REQUIRE_OK(cvos_stream_dial(&a, &dialled));
  scene_expect_us(dialled);
  scene_no_handles_lost();
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
