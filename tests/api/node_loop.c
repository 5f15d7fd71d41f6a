/* Nodes on other loops than the default one: without a helper thread, and lent by the program. */
#include "support/test.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>

#include <uv.h>

enum { PATIENCE = 30000, HELPER_STOPPED = 7 };

static covey_node *open_on(covey_loop *loop, const char *prefix, char **ret_name)
{
  covey_node_options options = {.loop = loop, .name = test_format("%s-%" PRId64, prefix, test_pid())};
  covey_node *node = NULL;
  REQUIRE_OK(covey_node_open(&options, &node));
  *ret_name = test_format("%s", options.name);
  return node;
}

TEST(node_loop, driven_by_dispatch)
{
  covey_loop_options options = {.flags = COVEY_LOOP_NO_THREAD};
  covey_loop *loop;
  char *name, *friend_name;
  covey_message m;
  REQUIRE_OK(covey_loop_open(&options, &loop));
  covey_node *node = open_on(loop, "still", &name), *friend = open_on(NULL, "friend", &friend_name);
  covey_send_options to = {.name = name, .flags = COVEY_SEND_TRY};
  int64_t until = test_now() + PATIENCE;
  int r;
  /* nobody turns its loop but we */
  while ((r = covey_message_send(friend, &to, &(covey_buffer){"x", 1}, 1, NULL)) < 0 && test_now() < until) {
    CHECK(r == COVEY_EAGAIN || r == COVEY_ENOPEER || r == COVEY_ENOGROUP);
    REQUIRE_OK(covey_loop_dispatch(loop));
    test_pause(1);
  }
  CHECK_OK(r);
  while ((r = covey_receive(node, NULL, 0, &m)) == COVEY_ETIMEDOUT && test_now() < until) {
    REQUIRE_OK(covey_loop_dispatch(loop));
    test_pause(1);
  }
  REQUIRE_OK(r);
  covey_message_free(&m);
  CHECK_OK(covey_node_close(node, PATIENCE)); /* it first: a close turns its loop itself */
  CHECK_OK(covey_node_close(friend, PATIENCE));
  covey_loop_close(loop);
}

struct other {
  const char *name;
  uv_async_t done;
  int result;
};

static void talk(void *arg)
{
  struct other *o = arg;
  char *name;
  covey_node *node = open_on(NULL, "guest", &name);
  covey_send_options to = {.name = o->name, .timeout = PATIENCE};
  o->result = covey_message_send(node, &to, &(covey_buffer){"from afar", 9}, 1, NULL);
  CHECK_OK(covey_node_close(node, PATIENCE));
  uv_async_send(&o->done);
}

static void on_done(uv_async_t *done)
{
  uv_close((uv_handle_t *)done, NULL);
}

TEST(node_loop, on_a_loop_that_the_program_runs)
{
  uv_loop_t uv;
  covey_loop *loop;
  covey_message m;
  char *name;
  REQUIRE(uv_loop_init(&uv) == 0);
  REQUIRE_OK(covey_loop_attach(&uv, uv_version(), &loop));
  covey_node *node = open_on(loop, "lent", &name);
  CHECK_ERR(covey_receive(node, NULL, 1000, &m), COVEY_EDEADLK);
  CHECK_ERR(covey_receive(node, NULL, 0, &m), COVEY_ETIMEDOUT);
  covey_send_options to = {.name = "nobody-there", .timeout = 1000};
  CHECK_ERR(covey_message_send(node, &to, NULL, 0, NULL), COVEY_EDEADLK);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  struct other o = {.name = name, .result = 1};
  REQUIRE(uv_async_init(&uv, &o.done, on_done) == 0);
  test_thread *thread = test_thread_start(talk, &o);
  int64_t until = test_now() + PATIENCE;
  int r;
  while ((r = covey_receive(node, NULL, 0, &m)) == COVEY_ETIMEDOUT && test_now() < until)
    uv_run(&uv, UV_RUN_ONCE);
  REQUIRE_OK(r);
  CHECK_STR(m.data, "from afar");
  covey_message_free(&m);
  while (!uv_is_closing((uv_handle_t *)&o.done) && test_now() < until) uv_run(&uv, UV_RUN_ONCE);
  test_thread_join(thread);
  CHECK_OK(o.result);
  r = covey_node_close(node, 1000);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  covey_loop_close(loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
}

TEST(node_loop, signals_ask_a_child_to_end)
{
  static const int signals[] = {COVEY_SIGNAL_TERM, COVEY_SIGNAL_INT, COVEY_SIGNAL_HUP};
  if (test_is_windows()) TEST_SKIP("signals between processes are of POSIX");
  for (int i = 0; i < 3; i++) {
    const char *argv[] = {test_helper(), "node-stop", NULL};
    covey_process_options options = {.argv = argv, .out.kind = COVEY_STDIO_PIPE};
    covey_process *process;
    covey_exit end;
    char text[16] = {0};
    REQUIRE_OK(i == 0 ? covey_spawn(&options, &process) : covey_node_spawn(NULL, &options, &process));
    REQUIRE(covey_process_read(process, COVEY_STDOUT, PATIENCE, text, sizeof text - 1) > 0);
    CHECK_STR(text, "ready\n");
    REQUIRE_OK(covey_process_signal(process, signals[i], COVEY_TARGET_LEADER));
    REQUIRE_OK(covey_process_wait(process, PATIENCE, &end));
    CHECK_INT(end.how, COVEY_HOW_EXITED);
    CHECK_UINT(end.code, HELPER_STOPPED);
    covey_process_close(process);
  }
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}
