/* What the frames carry. */
#include "support/test.h"

#include "core/frame.h"

static cvy_hello a_hello(const char *name)
{
  cvy_hello h = {.version_least = 1,
                 .version_most = 1,
                 .caps = 3,
                 .max_message = UINT64_C(1) << 24,
                 .pid = 4711,
                 .start = 99,
                 .window = 65536};
  for (int i = 0; i < 16; i++) h.instance[i] = (uint8_t)(i + 1);
  h.name_size = (uint8_t)strlen(name);
  memcpy(h.name, name, strlen(name) + 1);
  return h;
}

TEST(body, hello)
{
  char longest[256];
  memset(longest, 'n', 255);
  longest[255] = '\0';
  const char *names[] = {"", "a", "node-1", longest};
  for (size_t i = 0; i < 4; i++) {
    cvy_hello h = a_hello(names[i]), back;
    uint8_t body[96 + 255];
    size_t size = cvy_hello_encode(&h, body);
    CHECK_UINT(size, 96 + strlen(names[i]));
    REQUIRE_OK(cvy_hello_decode(body, size, &back));
    CHECK_UINT(back.version_least, 1);
    CHECK_UINT(back.version_most, 1);
    CHECK_UINT(back.caps, 3);
    CHECK_UINT(back.max_message, h.max_message);
    CHECK_INT(back.pid, 4711);
    CHECK_UINT(back.start, 99);
    CHECK_UINT(back.window, 65536);
    CHECK_MEM(back.instance, h.instance, 16);
    CHECK_STR(back.name, names[i]);
    CHECK_ERR(cvy_hello_decode(body, size + 1, &back), COVEY_EPROTO);
    CHECK_ERR(cvy_hello_decode(body, size - 1, &back), COVEY_EPROTO);
  }
}

static int hello_with(size_t at, uint8_t value)
{
  cvy_hello h = a_hello("name"), back;
  uint8_t body[96 + 255];
  size_t size = cvy_hello_encode(&h, body);
  body[at] = value;
  return cvy_hello_decode(body, size, &back);
}

TEST(body, hello_is_looked_at_closely)
{
  CHECK_INT(hello_with(0, 'C'), COVEY_EPROTO);   /* magic */
  CHECK_INT(hello_with(4, 0), COVEY_EPROTO);     /* least version 0 */
  CHECK_INT(hello_with(4, 2), COVEY_EPROTO);     /* least above most */
  CHECK_INT(hello_with(47, 0x80), COVEY_EPROTO); /* a negative pid */
  CHECK_INT(hello_with(97, 0), COVEY_EPROTO);    /* NUL in the name */
  CHECK_INT(hello_with(8, 0xff), 0);             /* unknown capabilities */
  for (size_t i = 0; i < 96; i++) {
    bool reserved = (i >= 13 && i < 16) || i >= 60;
    if (reserved) CHECK_INT(hello_with(i, 1), COVEY_EPROTO);
  }
  /* A later version may use what is zero in ours. */
  cvy_hello h = a_hello(""), back;
  uint8_t body[96 + 255];
  h.version_most = 2;
  size_t size = cvy_hello_encode(&h, body);
  body[70] = 1;
  CHECK_OK(cvy_hello_decode(body, size, &back));
}

TEST(body, versions)
{
  cvy_hello h = a_hello("");
  CHECK_INT(cvy_version_choose(&h), 1);
  h.version_most = 9;
  CHECK_INT(cvy_version_choose(&h), CVY_VERSION);
  h.version_least = CVY_VERSION + 1;
  CHECK_INT(cvy_version_choose(&h), COVEY_EVERSION);
}

TEST(body, group_open)
{
  cvy_group_open g = {.window = 262144,
                      .max_count = 77,
                      .flags = CVY_GROUP_DROP_OLD | CVY_GROUP_PRIORITIES,
                      .name_size = 4,
                      .name = "jobs"},
                 back;
  uint8_t body[12 + 255];
  size_t size = cvy_group_open_encode(&g, body);
  REQUIRE_OK(cvy_group_open_decode(body, size, &back));
  CHECK_UINT(back.window, 262144);
  CHECK_UINT(back.max_count, 77);
  CHECK_UINT(back.flags, g.flags);
  CHECK_STR(back.name, "jobs");
  CHECK_ERR(cvy_group_open_decode(body, size + 1, &back), COVEY_EPROTO);
  CHECK_ERR(cvy_group_open_decode(body, size - 1, &back), COVEY_EPROTO);
  body[size - 1] = 0;
  CHECK_ERR(cvy_group_open_decode(body, size, &back), COVEY_EPROTO);
  g.flags = CVY_GROUP_DROP_OLD | CVY_GROUP_DROP_NEW;
  size = cvy_group_open_encode(&g, body);
  CHECK_ERR(cvy_group_open_decode(body, size, &back), COVEY_EPROTO);
  g.flags = CVY_GROUP_FUNCTION | CVY_GROUP_PRIORITIES;
  REQUIRE_OK(cvy_group_open_decode(body, cvy_group_open_encode(&g, body), &back));
  CHECK_UINT(back.flags, CVY_GROUP_FUNCTION | CVY_GROUP_PRIORITIES);
  g.flags = CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER;
  REQUIRE_OK(cvy_group_open_decode(body, cvy_group_open_encode(&g, body), &back));
  CHECK_UINT(back.flags, CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER);
  g.flags = CVY_GROUP_ALL + 1;
  size = cvy_group_open_encode(&g, body);
  CHECK_ERR(cvy_group_open_decode(body, size, &back), COVEY_EPROTO);
}

TEST(body, handle_list)
{
  uint8_t body[CVY_CONTROL_MAX];
  cvy_handle_list l = {.count = 64}, back;
  for (uint32_t i = 0; i < 64; i++) l.value[i] = UINT64_C(1) << i;
  size_t size = cvy_handle_list_encode(&l, body);
  CHECK_UINT(size, CVY_CONTROL_MAX);
  REQUIRE_OK(cvy_handle_list_decode(body, size, &back));
  CHECK_UINT(back.count, 64);
  CHECK_MEM(back.value, l.value, sizeof l.value);
  CHECK_ERR(cvy_handle_list_decode(body, size - 8, &back), COVEY_EPROTO);
  body[0] = 63;
  CHECK_ERR(cvy_handle_list_decode(body, size, &back), COVEY_EPROTO);
  REQUIRE_OK(cvy_handle_list_decode(body, size - 8, &back));
  body[5] = 1;
  CHECK_ERR(cvy_handle_list_decode(body, size - 8, &back), COVEY_EPROTO);
  memset(body, 0, 16);
  CHECK_ERR(cvy_handle_list_decode(body, 16, &back), COVEY_EPROTO);
}

TEST(body, small_ones)
{
  uint8_t body[CVY_PREFIX];
  cvy_deny deny = {CVY_DENY_VERSION, 1, 3}, deny_back;
  REQUIRE_OK(cvy_deny_decode(body, cvy_deny_encode(&deny, body), &deny_back));
  CHECK_UINT(deny_back.reason, CVY_DENY_VERSION);
  CHECK_UINT(deny_back.version_most, 3);
  memset(body, 0, sizeof body);
  CHECK_ERR(cvy_deny_decode(body, 16, &deny_back), COVEY_EPROTO);

  cvy_bye bye = {5, UINT64_MAX}, bye_back;
  REQUIRE_OK(cvy_bye_decode(body, cvy_bye_encode(&bye, body), &bye_back));
  CHECK_UINT(bye_back.count, 5);
  CHECK_UINT(bye_back.id, UINT64_MAX);
  CHECK_ERR(cvy_bye_decode(body, 15, &bye_back), COVEY_EPROTO);

  uint32_t value = 0;
  REQUIRE_OK(cvy_stop_decode(body, cvy_stop_encode(5000, body), &value));
  CHECK_UINT(value, 5000);
  body[7] = 1;
  CHECK_ERR(cvy_stop_decode(body, 8, &value), COVEY_EPROTO);

  uint64_t count = 0;
  REQUIRE_OK(cvy_gap_decode(body, cvy_gap_encode(UINT64_C(1) << 40, body), &count));
  CHECK_UINT(count, UINT64_C(1) << 40);
  CHECK_ERR(cvy_gap_decode(body, 7, &count), COVEY_EPROTO);

  cvy_credit credit = {UINT64_C(1) << 62, 9}, credit_back;
  REQUIRE_OK(cvy_credit_decode(body, cvy_credit_encode(&credit, body), &credit_back));
  CHECK_UINT(credit_back.bytes, UINT64_C(1) << 62);
  CHECK_UINT(credit_back.count, 9);
  credit.bytes++;
  CHECK_ERR(cvy_credit_decode(body, cvy_credit_encode(&credit, body), &credit_back), COVEY_EPROTO);

  REQUIRE_OK(cvy_prefix_decode(body, cvy_prefix_encode(UINT32_MAX, body), &value));
  CHECK_UINT(value, UINT32_MAX);
  body[9] = 1;
  CHECK_ERR(cvy_prefix_decode(body, CVY_PREFIX, &value), COVEY_EPROTO);

  cvy_ask ask = {5000, UINT64_C(1) << 40}, ask_back;
  REQUIRE_OK(cvy_ask_decode(body, cvy_ask_encode(&ask, body), &ask_back));
  CHECK_UINT(ask_back.left, 5000);
  CHECK_UINT(ask_back.room, UINT64_C(1) << 40);
  CHECK_ERR(cvy_ask_decode(body, 15, &ask_back), COVEY_EPROTO);
  body[7] = 1;
  CHECK_ERR(cvy_ask_decode(body, CVY_PREFIX, &ask_back), COVEY_EPROTO);
}

TEST(body, frag)
{
  uint8_t body[CVY_PREFIX];
  cvy_frag back;
  for (int kind = 0; kind < 256; kind++) {
    cvy_frag f = {.total = 100000, .kind = (uint8_t)kind, .lent = 70000};
    bool carried = (kind >= CVY_FRAME_DATA && kind <= CVY_FRAME_ERR) || kind == CVY_FRAME_NEXT;
    CHECK_INT(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back), carried ? 0 : COVEY_EPROTO);
  }
  cvy_frag f = {.total = 100000, .kind = CVY_FRAME_DATA, .lent = 70000};
  REQUIRE_OK(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back));
  CHECK_UINT(back.total, 100000);
  CHECK_UINT(back.kind, CVY_FRAME_DATA);
  CHECK_UINT(back.lent, 70000);
  CHECK_ERR(cvy_frag_decode(body, 15, &back), COVEY_EPROTO);
  body[10] = 1;
  CHECK_ERR(cvy_frag_decode(body, 16, &back), COVEY_EPROTO);
  f.total = 0;
  CHECK_ERR(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back), COVEY_EPROTO);
  f = (cvy_frag){.total = 15, .kind = CVY_FRAME_REP};
  CHECK_ERR(cvy_frag_decode(body, cvy_frag_encode(&f, body), &back), COVEY_EPROTO);
}
