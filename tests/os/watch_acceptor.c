/* New connections under the loop. */
#include "support/test.h"

#include "support/ends.h"

TEST(watch_acceptor, many_connections)
{
  covey_loop *loop = ends_loop();
  place p;
  place_open(&p, loop);
  enum { N = 30 };
  cvos_handle clients[N];
  for (int i = 0; i < N; i++) {
    clients[i] = place_dial(&p);
    if (i % 3 == 0) ends_turn(loop, 0);
  }
  place_wish all = {&p, N};
  CHECK(ends_wait(loop, place_has_count, &all, ENDS_LONG));
  CHECK_INT(p.count, N);
  CHECK_INT(p.failures, 0);
  /* each of them works */
  for (int i = 0; i < N; i += 7) {
    end a, b;
    end_open(&a, loop, clients[i]);
    end_open(&b, loop, p.accepted[i]);
    cvos_io_read(b.io, true);
    CHECK_INT(end_put(&a, "x", 1), 1);
    CHECK(end_wait_amount(&b, 1));
    end_close(&a);
    end_close(&b);
  }
  for (int i = 0; i < N; i++) {
    if (i % 7 == 0) continue;
    cvos_handle_close(clients[i]);
    cvos_handle_close(p.accepted[i]);
  }
  place_close(&p);
  cvy_loop_private_close(loop);
}

TEST(watch_acceptor, a_client_that_came_and_went)
{
  covey_loop *loop = ends_loop();
  place p;
  place_open(&p, loop);
  for (int i = 0; i < 6; i++) cvos_handle_close(place_dial(&p));
  cvos_handle last = place_dial(&p);
  end a;
  end_open(&a, loop, last);
  CHECK_INT(end_put(&a, "still here", 10), 10);
  place_wish one = {&p, 1};
  CHECK(ends_wait(loop, place_has_count, &one, ENDS_LONG));
  /* whatever came before, the living one gets through */
  bool found = false;
  for (int64_t start = test_now(); !found && test_now() - start < ENDS_LONG;) {
    for (int i = 0; i < p.count; i++) {
      if (p.accepted[i] == CVOS_NONE) continue;
      end b;
      end_open(&b, loop, p.accepted[i]);
      p.accepted[i] = CVOS_NONE;
      cvos_io_read(b.io, true);
      while (!b.ended && !b.size) ends_turn(loop, 1);
      if (b.size) found = true;
      end_close(&b);
    }
    if (!found) ends_turn(loop, 5);
  }
  CHECK(found);
  end_close(&a);
  place_close(&p);
  cvy_loop_private_close(loop);
}

TEST(watch_acceptor, closed_before_its_first_turn)
{
  covey_loop *loop = ends_loop();
  for (int i = 0; i < 5; i++) {
    place p;
    place_open(&p, loop);
    if (i & 1) ends_turn(loop, 0);
    place_close(&p);
    CHECK_INT(p.closed, 1);
  }
  cvy_loop_private_close(loop);
}
