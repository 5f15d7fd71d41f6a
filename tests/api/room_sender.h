/* tests/api/room_sender.h: who sends messages without waiting, to several groups of a node beside it, and is told of room. */
#ifndef COVEY_TESTS_ROOM_SENDER_H
#define COVEY_TESTS_ROOM_SENDER_H

#include "stream_callback.h"

#include <covey/message.h>

enum { BYTES = 1000, WINDOW = 8192 /* of a group: 7 messages */, GROUPS = 40, MORE = 300 };

/* What has been sent to a group, and told of it. */
typedef struct place {
  char name[16];
  int sent, read;
  int calls, code; /* code: the last one */
} place;

typedef struct sender {
  nodes n;
  place places[GROUPS];
  int count;    /* of places */
  int until;    /* goes on by itself up to so many to each */
  int calls;    /* of all */
  size_t size;  /* of a message */
  bool by_peer; /* goes on by room->peer */
  bool sending, within;
  void (*leave)(struct sender *s, const covey_room *room);
} sender;

extern char sender_data[200000];

/* The connection is there, and each of count groups: one message to each has gone. */
void sender_open(sender *s, turning kind, int count);
void sender_close(sender *s);

/* One message to the place, by peer or (NULL) by name. What the send answers; 0 as well where the library has taken a part and goes on. */
int sender_try(sender *s, place *p, covey_peer *peer);

/* Until there is no room. */
void sender_fill(sender *s, place *p);

/* The other side reads on, up to message number count. */
void sender_read(sender *s, place *p, int count);

/* The place of that group. */
place *sender_place(sender *s, const char *group);

/* The callback: arg is a sender, which goes on, or leaves. */
void sender_told(const covey_room *room, void *arg);

#endif
