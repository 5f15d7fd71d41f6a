/* The first bytes of a PUB: what is encoded comes back, and everything else is refused. */
#include "support/test.h"

#include "core/frame.h"

TEST(pub, comes_back)
{
  static const cvy_pub good[] = {{1, 0, CVY_PUB_DATA, false},
                                 {UINT64_MAX, 0, CVY_PUB_KEPT, false},
                                 {UINT64_C(0x1122334455667788), 0, CVY_PUB_BEGIN, true},
                                 {7, 0, CVY_PUB_BEGIN, false},
                                 {7, COVEY_ECLOSED, CVY_PUB_END, false},
                                 {7, COVEY_EFAILED, CVY_PUB_END, false}};
  static const uint8_t wire[] = {8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, CVY_PUB_BEGIN, 1, 0, 0};
  uint8_t body[CVY_PREFIX];
  cvy_pub back;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    CHECK_UINT(cvy_pub_encode(&good[i], body), CVY_PREFIX);
    REQUIRE_OK(cvy_pub_decode(body, CVY_PREFIX, &back));
    CHECK_UINT(back.number, good[i].number);
    CHECK_INT(back.code, good[i].code);
    CHECK_UINT(back.what, good[i].what);
    CHECK(back.drop_old == good[i].drop_old);
  }
  cvy_pub_encode(&(cvy_pub){UINT64_C(0x0102030405060708), 0, CVY_PUB_BEGIN, true}, body);
  CHECK_MEM(body, wire, sizeof wire);
}

/* Every value of each of the last eight bytes: only what encode makes is taken. */
TEST(pub, refuses_the_rest)
{
  cvy_pub back;
  for (int at = 8; at < CVY_PREFIX; at++) {
    for (int value = 0; value < 256; value++) {
      uint8_t body[CVY_PREFIX] = {1}, again[CVY_PREFIX];
      body[at] = (uint8_t)value;
      if (cvy_pub_decode(body, sizeof body, &back) < 0) continue;
      cvy_pub_encode(&back, again);
      CHECK_MEM(again, body, sizeof body);
      if (value) CHECK(at == 12 && value < CVY_PUB_END); /* an END has a code */
    }
  }
  uint8_t body[CVY_PREFIX + 1] = {1};
  CHECK_OK(cvy_pub_decode(body, sizeof body, &back));
  CHECK_ERR(cvy_pub_decode(body, CVY_PREFIX - 1, &back), COVEY_EPROTO);
  body[12] = CVY_PUB_BEGIN;
  CHECK_ERR(cvy_pub_decode(body, sizeof body, &back), COVEY_EPROTO);
  body[0] = 0;
  body[12] = 0;
  CHECK_ERR(cvy_pub_decode(body, sizeof body, &back), COVEY_EPROTO);
}
