/* covey publish and covey subscribe: what they print, and their exit codes. */
#include "support/test.h"

#include <covey/process.h>
#include <covey/topic.h>

enum { PATIENCE = 30000 };

static covey_process *start(const char *const *words, const char *input, size_t size)
{
  const char *argv[16] = {test_program_beside("covey")};
  covey_process *p = NULL;
  for (size_t i = 0; words[i]; i++) argv[1 + i] = words[i];
  covey_process_options options = {.argv = argv,
                                   .out.kind = COVEY_STDIO_PIPE,
                                   .err.kind = COVEY_STDIO_PIPE,
                                   .input = input,
                                   .input_size = size,
                                   .timeout = 2 * PATIENCE};
  REQUIRE_OK(covey_spawn(&options, &p));
  return p;
}

typedef struct said {
  char out[4096], err[4096];
  size_t out_size, err_size;
} said;

/* All of it is read, and its beginning kept. */
static size_t read_all(covey_process *p, int stream, char *text, size_t capacity)
{
  static char rest[65536];
  size_t size = 0;
  int64_t n;
  while ((n = covey_process_read(p, stream, 2 * PATIENCE, rest, sizeof rest)) > 0) {
    size_t keep = (size_t)n < capacity - 1 - size ? (size_t)n : capacity - 1 - size;
    memcpy(text + size, rest, keep);
    size += keep;
  }
  text[size] = '\0';
  return size;
}

static const said *end(covey_process *p, uint32_t code)
{
  static said s;
  covey_exit e;
  s.out_size = read_all(p, COVEY_STDOUT, s.out, sizeof s.out);
  s.err_size = read_all(p, COVEY_STDERR, s.err, sizeof s.err);
  REQUIRE_OK(covey_process_wait(p, 2 * PATIENCE, &e));
  if (e.code != code) TEST_FAIL("code %u, not %u: \"%s\"", (unsigned)e.code, (unsigned)code, s.err);
  covey_process_close(p);
  return &s;
}

static covey_subscription *subscribe(const char *name)
{
  covey_subscription *s = NULL;
  covey_subscribe_options o = {.name = name, .topic = "t", .timeout = PATIENCE};
  REQUIRE_OK(covey_topic_subscribe(NULL, &o, &s));
  return s;
}

static void expect(covey_subscription *s, const void *data, size_t size)
{
  covey_message m = {0};
  REQUIRE_OK(covey_topic_next(s, PATIENCE, &m));
  CHECK_UINT(m.size, size);
  CHECK_MEM(m.data, data, m.size < size ? m.size : size);
  CHECK_UINT(m.lost, 0);
  covey_message_free(&m);
}

TEST(cli_topic, publishes)
{
  const char *name = test_format("cli-%" PRId64, test_pid());
  covey_message m;
  covey_process *p = start(TEST_WORDS("publish", "--name", name, "--json", "t", "two", "words"), NULL, 0);
  covey_subscription *s = subscribe(name);
  expect(s, "two words", 9);
  CHECK_ERR(covey_topic_next(s, PATIENCE, &m), COVEY_ECLOSED);
  covey_unsubscribe(s);
  const said *r = end(p, 0);
  CHECK_STR(r->out, "{\"messages\":1,\"copies\":1,\"late\":0}\n");
  p = start(TEST_WORDS("publish", "--name", name, "t"), "a\0b\n\r\n\xff", 7);
  s = subscribe(name);
  expect(s, "a\0b\n\r\n\xff", 7);
  covey_unsubscribe(s);
  r = end(p, 0);
  CHECK_UINT(r->out_size, 0);
  p = start(TEST_WORDS("publish", "--name", name, "--lines", "--keep", "--slow=drop-old", "t"),
            "a\0b\n\r\n\n\xff", 8);
  s = subscribe(name);
  expect(s, "a\0b", 3);
  expect(s, "\r", 1);
  expect(s, "", 0);
  expect(s, "\xff", 1);
  CHECK_ERR(covey_topic_next(s, PATIENCE, &m), COVEY_ECLOSED);
  covey_unsubscribe(s);
  r = end(p, 0);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

TEST(cli_topic, subscribes)
{
  const char *pid = test_format("%" PRId64, test_pid());
  covey_topic *t;
  REQUIRE_OK(
      covey_topic_open(NULL, "t", &(covey_topic_options){.keep_last = 1, .slow = COVEY_SLOW_BLOCK}, &t));
  covey_publish(t, "old", 3, 0);
  covey_process *a = start(TEST_WORDS("subscribe", pid, "t"), NULL, 0),
                *b = start(TEST_WORDS("subscribe", "--json", "--count=2", pid, "t"), NULL, 0),
                *c = start(TEST_WORDS("subscribe", "--raw", "--room", "2", pid, "t"), NULL, 0);
  CHECK_INT(covey_topic_wait(t, 3, 2 * PATIENCE), 3);
  CHECK_INT(covey_publish(t, "x\0\"\xff", 4, PATIENCE), 3);
  for (int64_t until = test_now() + PATIENCE; covey_topic_wait(t, 0, 0) > 2 && test_now() < until;)
    test_pause(1);
  CHECK_INT(covey_publish(t, "end", 3, PATIENCE), 2);
  covey_topic_close(t);
  const said *r = end(a, 0);
  CHECK_UINT(r->out_size, 13);
  CHECK_MEM(r->out, "old\nx\0\"\xff\nend\n", r->out_size < 13 ? r->out_size : 13);
  r = end(b, 0);
  CHECK_STR(r->out,
            test_format("{\"topic\":\"t\",\"pid\":%s,\"lost\":0,\"kept\":true,\"size\":3,\"data\":\"old\"}\n"
                        "{\"topic\":\"t\",\"pid\":%s,\"lost\":0,\"kept\":false,\"size\":4,\"data\":"
                        "\"x\\u0000\\\"\\ufffd\"}\n",
                        pid, pid));
  r = end(c, 0);
  CHECK_UINT(r->out_size, 10);
  CHECK_MEM(r->out,
            "oldx\0\"\xff"
            "end",
            r->out_size < 10 ? r->out_size : 10);
}

/* One that has no room for long enough is told what it missed. */
TEST(cli_topic, tells_what_was_missed)
{
  covey_topic *t;
  covey_process *p;
  REQUIRE_OK(covey_topic_open(NULL, "t", NULL, &t));
  p = start(TEST_WORDS("subscribe", "--room", "1", "--idle", "700", test_format("%" PRId64, test_pid()), "t"),
            NULL, 0);
  CHECK_INT(covey_topic_wait(t, 1, 2 * PATIENCE), 1);
  int dropped = 0;
  for (int i = 0; i < 100000 && !dropped; i++) dropped = covey_publish(t, "x", 1, 0) == 0;
  CHECK(dropped);
  int sent = 0;
  for (int64_t until = test_now() + PATIENCE; !sent && test_now() < until;)
    sent = covey_publish(t, "y", 1, 0);
  CHECK_INT(sent, 1);
  const said *r = end(p, 124);
  CHECK(strstr(r->err, " missed\n") != NULL);
  CHECK(strstr(r->err, "no message for 700 ms") != NULL);
  CHECK(strstr(r->out, "y\n") != NULL);
  covey_topic_close(t);
}

TEST_LIMIT(cli_topic, mistakes, 120)
{
  static const struct {
    uint32_t code;
    const char *said, *words[5];
  } cases[] = {
      {2, "TOPIC is missing", {"publish"}},
      {2, "--slow is one of drop-new", {"publish", "--slow", "fast", "t"}},
      {2, "--slow needs a value", {"publish", "--slow"}},
      {2, "from 1 on, not \"0\"", {"publish", "--timeout", "0", "t"}},
      {2, "no option --group", {"publish", "--group", "g", "t"}},
      {2, "one word too many", {"publish", "--lines", "t", "x"}},
      {2, "COVEY_ANY_GROUP", {"publish", "*", "x"}},
      {124, "subscribers", {"publish", "--timeout", "100", "t", "x"}},
      {2, "PID or NAME is missing", {"subscribe"}},
      {2, "TOPIC is missing", {"subscribe", "1"}},
      {2, "one word too many", {"subscribe", "1", "t", "u"}},
      {2, "no option --lines", {"subscribe", "--lines", "1", "t"}},
      {1, "process 2147483632: no such process", {"subscribe", "2147483632", "t"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *words[6] = {NULL};
    for (int k = 0; k < 5; k++) words[k] = cases[i].words[k];
    const said *r = end(start(words, "", 0), cases[i].code);
    if (!strstr(r->err, cases[i].said) || r->out_size) TEST_FAIL("case %u: \"%s\"", (unsigned)i, r->err);
  }
}

TEST(cli_topic, who_dies)
{
  const char *name = test_format("cli-%" PRId64, test_pid());
  covey_topic *t;
  covey_node *home;
  int64_t publisher = test_start(TEST_HELPER("topic-publish", "t", "1", "1000000000", "10", "2"));
  covey_process *p = start(
      TEST_WORDS("subscribe", "--timeout=30000", "--raw", test_format("%" PRId64, publisher), "t"), NULL, 0);
  test_pause(100);
  test_process_kill(publisher);
  const said *r = end(p, 1);
  CHECK(test_process_ended(publisher, PATIENCE));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = name}, &home));
  REQUIRE_OK(covey_topic_open(home, "u", NULL, &t)); /* another one */
  r = end(start(TEST_WORDS("subscribe", "--timeout=300", name, "t"), NULL, 0), 1);
  CHECK(strstr(r->err, "topic t: it has not opened this topic") != NULL);
  CHECK_OK(covey_node_close(home, PATIENCE));
  covey_topic_close(t);
}
