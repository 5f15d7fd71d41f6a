/* Calls that nobody answers: deadlines, cancels, deaths and closes on either side. */
#include "support/test.h"

#include <covey/call.h>
#include <covey/process.h>

enum { PATIENCE = 30000 };

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

typedef struct pair {
  covey_node *server, *caller;
  char *name;
} pair;

static pair pair_open(const covey_node_options *options)
{
  pair p = {.name = test_format("server-%" PRId64, test_pid())};
  covey_node_options server = *options, caller = {.name = test_format("caller-%" PRId64, test_pid())};
  server.name = p.name;
  REQUIRE_OK(covey_node_open(&server, &p.server));
  REQUIRE_OK(covey_node_open(&caller, &p.caller));
  return p;
}

static pair plain(void)
{
  return pair_open(&(covey_node_options){0});
}

static void pair_close(pair *p)
{
  CHECK_INT(covey_node_close(p->caller, PATIENCE), 0);
  CHECK_INT(covey_node_close(p->server, PATIENCE), 0);
}

static void open_function(covey_node *node, const char *function)
{
  covey_request q;
  CHECK_ERR(covey_call_receive(node, function, 0, &q), COVEY_ETIMEDOUT);
}

static covey_pending *start(const pair *p, const char *text, int64_t timeout)
{
  covey_call_options o = {.name = p->name, .function = "f", .timeout = timeout};
  covey_pending *call = NULL;
  REQUIRE_OK(covey_call_start(p->caller, &o, &(covey_buffer){text, strlen(text)}, 1, &call));
  return call;
}

static covey_request take(const pair *p)
{
  covey_request q = {0};
  REQUIRE_OK(covey_call_receive(p->server, "f", PATIENCE, &q));
  return q;
}

static void answer(covey_request *q, const char *text)
{
  CHECK_OK(covey_call_reply(q, 0, text, strlen(text)));
  covey_request_free(q);
}

static bool is_unwanted(void *arg)
{
  return covey_request_wanted(arg) == 0;
}

/* ---- the caller gives up ---- */

TEST(call_end, the_deadline_travels)
{
  pair p = plain();
  covey_reply reply;
  open_function(p.server, "f");
  covey_pending *forever = start(&p, "a", COVEY_FOREVER), *some = start(&p, "b", PATIENCE),
                *soon = start(&p, "c", 200);
  covey_request a = take(&p), b = take(&p), c = take(&p);
  CHECK_STR(a.data, "a");
  CHECK_STR(c.data, "c");
  CHECK_INT(covey_request_left(&a), COVEY_FOREVER);
  CHECK(covey_request_left(&b) > 0 && covey_request_left(&b) <= PATIENCE + 10);
  CHECK(covey_request_left(&c) <= 210);
  CHECK_ERR(covey_call_wait(soon, 0, &reply), COVEY_EAGAIN);
  CHECK_ERR(covey_call_wait(soon, PATIENCE, &reply), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_SENT);
  CHECK(test_wait_until(is_unwanted, &c, PATIENCE));
  CHECK_INT(covey_request_left(&c), 0);
  CHECK_INT(covey_request_wanted(&a), 1);
  CHECK_INT(covey_request_wanted(&b), 1);
  answer(&a, "A");
  answer(&b, "B");
  covey_request_free(&c);
  REQUIRE_OK(covey_call_wait(some, PATIENCE, &reply));
  CHECK_STR(reply.data, "B");
  covey_reply_free(&reply);
  REQUIRE_OK(covey_call_wait(forever, PATIENCE, &reply));
  CHECK_STR(reply.data, "A");
  covey_reply_free(&reply);
  covey_call_close(forever);
  covey_call_close(some);
  covey_call_close(soon);
  pair_close(&p);
}

TEST(call_end, what_is_late_is_not_handed_out)
{
  pair p = plain();
  covey_request q;
  covey_reply reply;
  open_function(p.server, "f");
  covey_pending *late = start(&p, "late", 100), *now = start(&p, "now", PATIENCE);
  CHECK_ERR(covey_call_wait(late, PATIENCE, &reply), COVEY_ETIMEDOUT);
  int64_t until = test_now() + 50; /* the server's clock begins when it has read the request */
  while (test_now() < until) test_pause(1);
  q = take(&p);
  CHECK_STR(q.data, "now");
  covey_request_free(&q);
  covey_call_close(late);
  covey_call_close(now);
  pair_close(&p);
}

TEST(call_end, a_cancel_reaches_the_server)
{
  pair p = plain();
  covey_reply reply;
  open_function(p.server, "f");
  covey_pending *first = start(&p, "1", COVEY_FOREVER), *second = start(&p, "2", COVEY_FOREVER),
                *third = start(&p, "3", COVEY_FOREVER);
  covey_request q = take(&p);
  covey_call_cancel(first);
  CHECK_ERR(covey_call_wait(first, 0, &reply), COVEY_ECANCELED);
  covey_call_close(second); /* that waits over there: it is taken away */
  CHECK(test_wait_until(is_unwanted, &q, PATIENCE));
  CHECK_ERR(covey_call_reply(&q, 0, "x", 1), COVEY_ECANCELED);
  CHECK_WRONG(covey_call_reply(&q, 0, "x", 1));
  covey_request_free(&q);
  q = take(&p);
  CHECK_STR(q.data, "3");
  answer(&q, "ok");
  REQUIRE_OK(covey_call_wait(third, PATIENCE, &reply));
  covey_reply_free(&reply);
  covey_call_close(first);
  covey_call_close(third);
  pair_close(&p);
}

struct waiting {
  const pair *pair;
  covey_cancel *cancel;
  int result;
  test_counter begun;
};

static void wait_long(void *arg)
{
  struct waiting *w = arg;
  covey_reply reply;
  covey_call_options o = {.name = w->pair->name, .function = "f", .cancel = w->cancel};
  test_add(&w->begun, 1);
  w->result = covey_call_run(w->pair->caller, &o, &(covey_buffer){"x", 1}, 1, &reply);
  if (w->result == 0) covey_reply_free(&reply);
}

TEST(call_end, a_cancel_object_ends_the_wait)
{
  pair p = plain();
  struct waiting w = {.pair = &p};
  REQUIRE_OK(covey_cancel_new(&w.cancel));
  test_thread *thread = test_thread_start(wait_long, &w);
  covey_request q = take(&p);
  covey_cancel_fire(w.cancel);
  test_thread_join(thread);
  CHECK_INT(w.result, COVEY_ECANCELED);
  CHECK(test_wait_until(is_unwanted, &q, PATIENCE));
  covey_request_free(&q);
  thread = test_thread_start(wait_long, &w); /* it is still fired */
  test_thread_join(thread);
  CHECK_INT(w.result, COVEY_ECANCELED);
  covey_cancel_free(w.cancel);
  pair_close(&p);
}

TEST(call_end, no_room_at_the_server)
{
  pair p = pair_open(&(covey_node_options){.window = 4096});
  char block[1500] = {0};
  covey_reply reply;
  covey_pending *calls[8];
  covey_call_options o = {.name = p.name, .function = "f", .timeout = PATIENCE, .flags = COVEY_CALL_TRY};
  int n = 0, r;
  open_function(p.server, "f");
  covey_pending *first = start(&p, "first", PATIENCE); /* connected */
  while ((r = covey_call_start(p.caller, &o, &(covey_buffer){block, sizeof block}, 1, &calls[n])) == 0 &&
         n < 7)
    n++;
  CHECK_INT(r, COVEY_EAGAIN);
  CHECK_INT(n, 2);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  o.flags = 0;
  o.timeout = 50;
  CHECK_ERR(covey_call_run(p.caller, &o, &(covey_buffer){block, sizeof block}, 1, &reply), COVEY_ETIMEDOUT);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  covey_call_close(calls[0]); /* what is given up leaves its room */
  o.timeout = PATIENCE;
  REQUIRE_OK(covey_call_start(p.caller, &o, &(covey_buffer){block, sizeof block}, 1, &calls[0]));
  covey_call_close(calls[0]);
  covey_call_close(calls[1]);
  covey_call_close(first);
  pair_close(&p);
}

/* ---- an end ---- */

TEST(call_end, the_servers_death_fails_all_at_once)
{
  enum { CALLS = 100 };
  covey_pending *calls[CALLS];
  covey_message m;
  covey_reply reply;
  char *me = test_format("%" PRId64, test_pid());
  int64_t pid = test_start(TEST_HELPER("call-hold", "f", "50", me));
  covey_call_options o = {.pid = pid, .function = "f"};
  REQUIRE_OK(covey_group_open(NULL, "back", NULL));
  for (int i = 0; i < CALLS; i++) REQUIRE_OK(covey_call_start(NULL, &o, NULL, 0, &calls[i]));
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  covey_message_free(&m);
  CHECK_ERR(covey_call_wait(calls[0], 0, &reply), COVEY_EAGAIN);
  end(pid);
  for (int i = 0; i < CALLS; i++) {
    CHECK_ERR(covey_call_wait(calls[i], PATIENCE, &reply), COVEY_EPEERDIED);
    CHECK(strstr(covey_last_failure()->what, me) == NULL);
    CHECK(strstr(covey_last_failure()->what, "before it answered") != NULL);
    covey_call_close(calls[i]);
  }
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0); /* each caller was told: nothing is in doubt */
}

TEST(call_end, a_server_that_dies_of_the_request)
{
  int64_t pid = test_start(TEST_HELPER("call-serve", "f"));
  covey_reply reply;
  REQUIRE_OK(covey_call(NULL, pid, "f", "x", 1, PATIENCE, &reply));
  covey_reply_free(&reply);
  CHECK_ERR(covey_call(NULL, pid, "f", "die", 3, PATIENCE, &reply), COVEY_EPEERDIED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_SENT);
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(call_end, the_callers_death_reaches_the_server)
{
  covey_request q, other;
  char *me = test_format("%" PRId64, test_pid());
  int64_t pid = test_start(TEST_HELPER("call-ask", me, "f", "20"));
  REQUIRE_OK(covey_call_receive(NULL, "f", PATIENCE, &q));
  CHECK_INT(q.from.pid, pid);
  CHECK_INT(covey_request_wanted(&q), 1);
  end(pid);
  CHECK(test_wait_until(is_unwanted, &q, PATIENCE));
  CHECK_ERR(covey_call_reply(&q, 0, NULL, 0), COVEY_EPEERDIED);
  covey_request_free(&q);
  CHECK_ERR(covey_call_receive(NULL, "f", 0, &other), COVEY_ETIMEDOUT); /* what waited is nobody's */
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(call_end, our_close_ends_our_calls)
{
  pair p = plain();
  struct waiting w = {.pair = &p};
  covey_reply reply;
  test_thread *thread = test_thread_start(wait_long, &w);
  covey_request q = take(&p);
  covey_pending *call = start(&p, "y", COVEY_FOREVER);
  CHECK_INT(covey_node_close(p.caller, PATIENCE), 0);
  test_thread_join(thread);
  CHECK_INT(w.result, COVEY_ECLOSED);
  CHECK_ERR(covey_call_wait(call, 0, &reply), COVEY_ECLOSED);
  covey_call_close(call);
  CHECK(test_wait_until(is_unwanted, &q, PATIENCE));
  CHECK_ERR(covey_call_reply(&q, 0, NULL, 0), COVEY_EPEERDIED);
  covey_request_free(&q);
  CHECK_INT(covey_node_close(p.server, PATIENCE), 0);
}

TEST(call_end, the_servers_close_ends_what_it_has_not_answered)
{
  pair p = plain();
  covey_reply reply, early;
  open_function(p.server, "f");
  covey_pending *answered = start(&p, "1", COVEY_FOREVER), *held = start(&p, "2", COVEY_FOREVER),
                *waiting = start(&p, "3", COVEY_FOREVER);
  covey_request q = take(&p);
  answer(&q, "in time");
  q = take(&p);
  CHECK_OK(covey_node_close(p.server, PATIENCE));
  CHECK_ERR(covey_call_reply(&q, 0, "x", 1), COVEY_EPEERDIED);
  CHECK_INT(covey_request_wanted(&q), 0);
  covey_request_free(&q);
  REQUIRE_OK(covey_call_wait(answered, PATIENCE, &early));
  CHECK_ERR(covey_call_wait(held, PATIENCE, &reply), COVEY_EPEERDIED);
  CHECK_ERR(covey_call_wait(waiting, PATIENCE, &reply), COVEY_EPEERDIED);
  covey_call_close(answered);
  covey_call_close(held);
  covey_call_close(waiting);
  CHECK_OK(covey_node_close(p.caller, PATIENCE));
  CHECK_STR(early.data, "in time"); /* a reply outlives its node */
  covey_reply_free(&early);
}

TEST(call_end, a_function_that_is_closed_answers_what_waits)
{
  pair p = plain();
  covey_reply reply;
  open_function(p.server, "f");
  covey_pending *held = start(&p, "1", COVEY_FOREVER), *waiting = start(&p, "2", COVEY_FOREVER);
  covey_request q = take(&p);
  CHECK_ERR(covey_group_close(p.server, "f"), COVEY_ENOTFOUND);
  REQUIRE_OK(covey_serve_close(p.server, "f"));
  CHECK_ERR(covey_serve_close(p.server, "f"), COVEY_ENOTFOUND);
  CHECK_ERR(covey_call_wait(waiting, PATIENCE, &reply), COVEY_ENOTFOUND);
  CHECK(strstr(covey_last_failure()->what, "not served any more") != NULL);
  answer(&q, "still");
  REQUIRE_OK(covey_call_wait(held, PATIENCE, &reply));
  CHECK_STR(reply.data, "still");
  covey_reply_free(&reply);
  covey_call_close(held);
  covey_call_close(waiting);
  struct waiting w = {.pair = &p};
  test_thread *thread = test_thread_start(wait_long, &w); /* waits for it to come again */
  q = take(&p);
  answer(&q, "again");
  test_thread_join(thread);
  CHECK_OK(w.result);
  pair_close(&p);
}

/* A function that comes and goes while it is called: every call ends, in one of two ways. */
TEST_LIMIT(call_end, a_function_that_comes_and_goes, 120)
{
  enum { ROUNDS = 100 };
  pair p = plain();
  uint8_t *large = calloc(1, 300000); /* in fragments, and beyond the window */
  int answered = 0, gone = 0;
  for (int i = 0; i < ROUNDS; i++) {
    covey_call_options o = {.name = p.name, .function = "f", .timeout = PATIENCE};
    covey_pending *calls[4];
    covey_request q;
    covey_reply reply;
    open_function(p.server, "f");
    for (int k = 0; k < 4; k++)
      REQUIRE_OK(covey_call_start(p.caller, &o, &(covey_buffer){large, k % 2 ? 10 : 50000}, 1, &calls[k]));
    if (i % 3 && covey_call_receive(p.server, "f", PATIENCE, &q) == 0) answer(&q, "a");
    if (i % 3 == 2 && covey_call_receive(p.server, "f", PATIENCE, &q) == 0) covey_request_free(&q);
    REQUIRE_OK(covey_serve_close(p.server, "f"));
    for (int k = 0; k < 4; k++) {
      int r = covey_call_wait(calls[k], PATIENCE, &reply);
      CHECK(r == 0 || r == COVEY_ENOTFOUND || r == COVEY_EFAILED);
      if (r == 0) covey_reply_free(&reply);
      answered += r == 0;
      gone += r == COVEY_ENOTFOUND;
      covey_call_close(calls[k]);
    }
  }
  CHECK_INT(answered, 66);
  CHECK(gone > 200);
  free(large);
  pair_close(&p);
}

/* Many calls of large requests and answers that are given up anywhere on their way; what follows is not disturbed. */
TEST_LIMIT(call_end, given_up_anywhere, 120)
{
  int64_t pid = test_start(TEST_HELPER("call-serve", "f"));
  uint8_t *large = calloc(1, 3000000);
  covey_reply reply;
  memcpy(large, "x", 2);
  for (int i = 0; i < 60; i++) {
    covey_call_options o = {.pid = pid, .function = "f", .timeout = 1 + i % 12, .reply_max = 3000000};
    int r = covey_call_run(NULL, &o, &(covey_buffer){large, 3000000}, 1, &reply);
    CHECK(r == 0 || r == COVEY_ETIMEDOUT || r == COVEY_ENOPEER || r == COVEY_ENOTFOUND);
    if (r == 0) covey_reply_free(&reply);
  }
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_call(NULL, pid, "f", "fine", 4, PATIENCE, &reply));
    CHECK_STR(reply.data, "fine");
    covey_reply_free(&reply);
  }
  free(large);
  end(pid);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(call_end, after_fork)
{
  covey_reply reply;
  covey_request q;
  if (test_is_windows()) TEST_SKIP("no fork");
  pair p = plain();
  open_function(p.server, "f");
  covey_pending *call = start(&p, "x", COVEY_FOREVER);
  q = take(&p);
  int64_t child = test_fork();
  if (child == 0) {
    CHECK_ERR(covey_call_wait(call, 0, &reply), COVEY_ESTALE);
    CHECK_ERR(covey_call_wait_any(&call, 1, 0), COVEY_ESTALE);
    CHECK_ERR(covey_call_reply(&q, 0, NULL, 0), COVEY_ESTALE);
    CHECK_ERR(covey_request_wanted(&q), COVEY_ESTALE);
    CHECK_INT(covey_request_left(&q), 0);
    CHECK_ERR(covey_call_receive(p.server, "f", 0, &q), COVEY_ESTALE);
    CHECK_ERR(covey_serve_run(p.server, 0, NULL), COVEY_ESTALE);
    CHECK_ERR(covey_serve_close(p.server, "f"), COVEY_ESTALE);
    covey_call_cancel(call);
    covey_call_close(call);
    covey_request_free(&q);
    test_system_exit(test_failures() ? 1 : 0);
  }
  CHECK_INT(test_fork_join(child, PATIENCE), 0);
  answer(&q, "for the parent");
  REQUIRE_OK(covey_call_wait(call, PATIENCE, &reply));
  covey_reply_free(&reply);
  covey_call_close(call);
  pair_close(&p);
}

TEST(call_end, nothing_is_lost)
{
  covey_reply reply;
  test_no_child_handles_lost();
  for (int i = 0; i < 3; i++) {
    pair p = plain();
    open_function(p.server, "f");
    covey_pending *call = start(&p, "x", PATIENCE), *left = start(&p, "y", PATIENCE);
    covey_request q = take(&p);
    answer(&q, "z");
    REQUIRE_OK(covey_call_wait(call, PATIENCE, &reply));
    covey_reply_free(&reply);
    covey_call_close(call);
    pair_close(&p);
    covey_call_close(left); /* after its node */
  }
}
