/* The loop of a storm, and its threads. */
#include "storm.h"

#include "core/atomics.h"

static void tick(uv_timer_t *timer)
{
  storm_place *place = timer->data;

  if (cvy_load_seq_u32(&place->over) == 1) {
    cvy_store_seq_u32(&place->over, 2);
    covey_loop_close(place->loop);
  }
  if (cvy_load_seq_u32(&place->left)) uv_close((uv_handle_t *)timer, NULL);
}

/* The owner of a lent loop. */
static void own(void *arg)
{
  storm_place *place = arg;

  REQUIRE(uv_loop_init(&place->uv) == 0);
  REQUIRE_OK(covey_loop_attach(&place->uv, uv_version(), &place->loop));
  REQUIRE(uv_timer_init(&place->uv, &place->tick) == 0);
  place->tick.data = place;
  uv_timer_start(&place->tick, tick, 1, 1);
  cvy_store_seq_u32(&place->ready, 1);
  CHECK_INT(uv_run(&place->uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&place->uv), 0);
}

static bool is_ready(void *arg)
{
  return cvy_load_seq_u32(&((storm_place *)arg)->ready) != 0;
}

void storm_place_open(storm_place *place, storm_dice *d)
{
  covey_native handle;

  memset(place, 0, sizeof *place);
  switch (storm_roll(d, 5)) {
  case 0: return;
  case 1: REQUIRE_OK(covey_loop_open(NULL, &place->loop)); return;
  case 2:
    REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &place->loop));
    return;
  case 3:
    REQUIRE_OK(covey_loop_open(NULL, &place->loop));
    REQUIRE_OK(covey_loop_handle(place->loop, &handle));
    return;
  default:
    place->lent = true;
    place->owner = test_thread_start(own, place);
    REQUIRE(test_wait_until(is_ready, place, TEST_SOON));
  }
}

void storm_place_turn(storm_place *place)
{
  if (place->lent)
    test_pause(1);
  else
    CHECK_OK(covey_loop_dispatch(place->loop));
}

void storm_place_close(storm_place *place)
{
  cvy_store_seq_u32(&place->over, 1);
  if (!place->owner) covey_loop_close(place->loop);
}

void storm_place_join(storm_place *place)
{
  cvy_store_seq_u32(&place->left, 1);
  if (place->owner) test_thread_join(place->owner);
  place->owner = NULL;
}

static void rest(void *arg)
{
  (void)arg;
  test_pause(100);
}

void storm_make_threads(void)
{
  test_thread *threads[10];

  for (int i = 0; i < 10; i++) threads[i] = test_thread_start(rest, NULL);
  for (int i = 0; i < 10; i++) test_thread_join(threads[i]);
}
