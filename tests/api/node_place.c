/* Where nodes are met: directories that are not ours alone, names that others took, numbers that came again. */
#include "support/test.h"

#include <covey/message.h>
#include <covey/self.h>

#include "msg/node.h"
#include "os/stream.h"

#include <uv.h>

enum { PATIENCE = 30000 };

static char *inside(const char *name)
{
  return test_format("%s/%s", test_temp_dir(), name);
}

/* A directory as it should be. */
static char *folder(const char *name)
{
  uv_fs_t fs;
  if (!test_is_windows()) REQUIRE(uv_fs_mkdir(NULL, &fs, inside(name), 0700, NULL) == 0);
  return inside(name);
}

static void mode(const char *path, int bits)
{
  uv_fs_t fs;
  REQUIRE(uv_fs_chmod(NULL, &fs, path, bits, NULL) == 0);
}

static int entries(const char *path)
{
  uv_fs_t fs;
  int n = uv_fs_scandir(NULL, &fs, path, 0, NULL);
  uv_fs_req_cleanup(&fs);
  return n;
}

static void refused(const char *directory, int code)
{
  covey_node_options options = {.directory = directory};
  covey_node *node = NULL;
  CHECK_ERR(covey_node_open(&options, &node), code);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_OPEN);
  CHECK(strstr(covey_last_failure()->what, directory) != NULL);
}

TEST(place, a_directory_of_ones_own)
{
  covey_node_options options = {.directory = folder("own")};
  covey_node *node;
  covey_message m;
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_node_open(&options, &node));
    REQUIRE_OK(covey_send(node, test_pid(), NULL, "x", 1, PATIENCE));
    REQUIRE_OK(covey_receive(node, NULL, PATIENCE, &m));
    covey_message_free(&m);
    CHECK_OK(covey_node_close(node, PATIENCE));
    if (!test_is_windows()) CHECK_INT(entries(inside("own")), 0);
  }
}

TEST(place, directories_that_are_not_ours_alone)
{
  uv_fs_t fs;
  if (test_is_windows()) TEST_SKIP("pipes have no directory");
  mode(folder("open"), 0777);
  refused(inside("open"), COVEY_EUNSAFE);
  mode(inside("open"), 0750);
  refused(inside("open"), COVEY_EUNSAFE);
  REQUIRE(uv_fs_symlink(NULL, &fs, folder("good"), inside("link"), 0, NULL) == 0);
  refused(inside("link"), COVEY_EUNSAFE);
  test_write_file(inside("file"), "x", 1);
  refused(inside("file"), COVEY_EUNSAFE);
  refused(inside("no/where"), COVEY_ENOTFOUND);
  refused(folder(test_format("%0100d", 1)), COVEY_ETOOBIG);
  if (uv_fs_chown(NULL, &fs, inside("good"), 123, 123, NULL) == 0) {
    refused(inside("good"), COVEY_EUNSAFE);
  }
}

TEST(place, a_directory_that_was_opened_to_others_later)
{
  if (test_is_windows()) TEST_SKIP("pipes have no directory");
  covey_node_options oa = {.directory = folder("later"), .name = "a"},
                     ob = {.directory = inside("later"), .name = "b"};
  covey_node *a, *b;
  covey_message m;
  REQUIRE_OK(covey_node_open(&oa, &a));
  REQUIRE_OK(covey_node_open(&ob, &b));
  covey_send_options to = {.name = "b", .timeout = PATIENCE};
  mode(inside("later"), 0777);
  int64_t before = test_now();
  CHECK_ERR(covey_message_send(a, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_EUNSAFE);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK(strstr(covey_last_failure()->what, inside("later")) != NULL);
  CHECK(test_now() - before < PATIENCE / 2); /* at once */
  covey_node_entry entry;
  CHECK_ERR(covey_node_list(NULL, inside("later"), &entry, 1), COVEY_EUNSAFE);
  CHECK(strstr(covey_last_failure()->what, inside("later")) != NULL);
  mode(inside("later"), 0700);
  REQUIRE_OK(covey_message_send(a, &to, &(covey_buffer){"x", 1}, 1, NULL));
  REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
  covey_message_free(&m);
  CHECK_OK(covey_node_close(a, PATIENCE));
  CHECK_OK(covey_node_close(b, PATIENCE));
}

TEST(place, a_cleaner_that_removes_the_socket_breaks_no_connection)
{
  uv_fs_t fs;
  if (test_is_windows()) TEST_SKIP("pipes have no directory");
  covey_node_options oa = {.directory = folder("clean"), .name = "a"},
                     ob = {.directory = inside("clean"), .name = "b"};
  covey_node *a, *b;
  covey_message m;
  REQUIRE_OK(covey_node_open(&oa, &a));
  REQUIRE_OK(covey_node_open(&ob, &b));
  covey_send_options to = {.name = "b", .timeout = PATIENCE};
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_message_send(a, &to, &(covey_buffer){"x", 1}, 1, NULL));
    REQUIRE_OK(covey_receive(b, NULL, PATIENCE, &m));
    covey_message_free(&m);
    if (i) continue;
    uv_dirent_t entry;
    REQUIRE(uv_fs_scandir(NULL, &fs, inside("clean"), 0, NULL) > 0);
    while (uv_fs_scandir_next(&fs, &entry) == 0) {
      uv_fs_t gone;
      uv_fs_unlink(NULL, &gone, test_format("%s/%s", inside("clean"), entry.name), NULL);
    }
    uv_fs_req_cleanup(&fs);
  }
  CHECK_OK(covey_node_close(a, PATIENCE));
  CHECK_OK(covey_node_close(b, PATIENCE));
}

TEST(place, a_number_that_is_anothers_name)
{
  /* We sit under the number of a process that has no node: nobody is deceived. */
  cvos_listener *listener;
  int64_t pid = covey_self_parent();
  cvos_address address = {.app = "squat", .name = test_format("%" PRId64, pid), .by_pid = true};
  covey_node_options options = {.app = "squat", .name = "x"};
  covey_node *node;
  REQUIRE_OK(cvos_listener_open(&address, &listener));
  REQUIRE_OK(covey_node_open(&options, &node));
  CHECK_ERR(covey_send(node, pid, NULL, "x", 1, PATIENCE), COVEY_EUNSAFE);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_OK(covey_node_close(node, PATIENCE));
  cvos_listener_close(listener);
}

/* A process that the node knew by this number, and that has ended. (Numbers are not really made to come again: that would lead every other program of
 * this machine astray.) */
static void remember(covey_node *node, int64_t pid, uint64_t start, const covey_identity *who, bool farewell)
{
  cvy_loop_lock(node->loop);
  node->gone_epoch++;
  node->gone[0] = (struct cvy_gone){.pid = pid, .start = start, .farewell = farewell};
  memcpy(node->gone[0].instance, who->instance, sizeof who->instance);
  cvy_loop_unlock(node->loop);
}

/* One send that must not go through, and one that must. */
static void told_once(covey_node *node, int64_t pid)
{
  covey_message m;
  CHECK_ERR(covey_send(node, pid, NULL, "for another", 11, PATIENCE), COVEY_EPEERCHANGED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_VERIFY);
  REQUIRE_OK(covey_send(node, pid, NULL, "for this one", 12, PATIENCE));
  REQUIRE_OK(covey_receive(node, "back", PATIENCE, &m));
  CHECK_STR(m.data, "for this one"); /* and nothing was delivered before */
  covey_message_free(&m);
}

TEST(place, a_number_that_came_again)
{
  const char *argv[] = {test_helper(), "node-echo", NULL};
  covey_node *node;
  covey_identity us;
  covey_message m;
  int64_t pid = test_start(argv);
  REQUIRE_OK(covey_node_open(NULL, &node));
  REQUIRE_OK(covey_node_identity(node, &us));
  remember(node, pid, 4711, &us, true); /* another start stamp */
  told_once(node, pid);
  REQUIRE_OK(covey_send(node, pid, NULL, "who", 3, PATIENCE));
  REQUIRE_OK(covey_receive(node, "back", PATIENCE, &m));
  remember(node, pid, m.from.start, &us,
           false); /* the same stamp, for its unit is coarse, but another instance */
  told_once(node, pid);
  remember(node, pid, m.from.start, &m.from, false); /* the same one */
  REQUIRE_OK(covey_send(node, pid, NULL, "x", 1, PATIENCE));
  remember(node, pid, m.from.start, &us, true); /* it had closed its node, and opened another */
  REQUIRE_OK(covey_send(node, pid, NULL, "x", 1, PATIENCE));
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
  covey_send_options reply = {.reply_to = &m, .timeout = PATIENCE};
  CHECK_ERR(covey_message_send(node, &reply, &(covey_buffer){"x", 1}, 1, NULL), COVEY_EPEERDIED);
  covey_message_free(&m);
  CHECK(covey_node_close(node, PATIENCE) >= 0);
}
