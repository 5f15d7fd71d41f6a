#include "support/test.h"

#include "room_sender.h"

#include <covey/node.h>

#include <string.h>

char sender_data[200000];

int sender_try(sender *s, place *p, covey_peer *peer)
{
  covey_send_options o = {
      .name = peer ? NULL : s->n.there_name, .peer = peer, .group = p->name, .flags = COVEY_SEND_TRY};
  memcpy(sender_data, &p->sent, sizeof p->sent);
  s->sending = true;
  int r = covey_message_send(s->n.here, &o, &(covey_buffer){sender_data, s->size}, 1, NULL);
  s->sending = false;
  if (r == COVEY_ETIMEDOUT && covey_last_failure()->reached == COVEY_FAR_MAYBE)
    r = 0; /* the library has the rest */
  if (r == 0) p->sent++;
  return r;
}

void sender_fill(sender *s, place *p)
{
  int r;
  while ((r = sender_try(s, p, NULL)) == 0) continue;
  CHECK_INT(r, COVEY_EAGAIN);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ROOM);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
}

place *sender_place(sender *s, const char *group)
{
  for (int i = 0; i < s->count; i++)
    if (strcmp(s->places[i].name, group) == 0) return &s->places[i];
  TEST_FAIL("told of %s", group);
  return &s->places[0];
}

void sender_told(const covey_room *room, void *arg)
{
  sender *s = arg;
  place *p = sender_place(s, room->group);
  covey_peer_description d;
  if (s->sending) s->within = true;
  CHECK_INT(room->to.pid, test_pid());
  CHECK_INT(room->kind, COVEY_GROUP_MESSAGES);
  CHECK_UINT(room->reserved[0] | room->reserved[3], 0);
  CHECK_OK(covey_peer_describe(room->peer, &d));
  CHECK_STR(d.name, s->n.there_name);
  p->calls++;
  p->code = room->code;
  s->calls++;
  if (s->leave)
    s->leave(s, room);
  else
    while (p->sent < s->until && sender_try(s, p, s->by_peer ? room->peer : NULL) == 0) continue;
}

void sender_open(sender *s, turning kind, int count)
{
  *s = (sender){.size = BYTES, .count = count};
  nodes_open(&s->n, kind);
  int64_t limit = test_now() + PATIENCE;
  for (int i = 0; i < count; i++) {
    place *p = &s->places[i];
    snprintf(p->name, sizeof p->name, "g%d", i);
    REQUIRE_OK(covey_group_open(s->n.there, p->name, &(covey_group_options){.max_bytes = WINDOW}));
    for (int r; (r = sender_try(s, p, NULL)) != 0;) {
      CHECK(r == COVEY_EAGAIN || r == COVEY_ENOGROUP);
      CHECK(r != COVEY_EAGAIN || covey_last_failure()->stage != COVEY_STAGE_ROOM);
      nodes_turn(&s->n, 5);
      REQUIRE(test_now() < limit);
    }
  }
}

void sender_close(sender *s)
{
  CHECK(!s->within);
  nodes_close(&s->n);
}

void sender_read(sender *s, place *p, int count)
{
  for (; p->read < count; p->read++) CHECK_INT(nodes_number(&s->n, NULL, p->name, s->size), p->read);
}
