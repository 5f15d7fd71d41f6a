/* core/frame.h: what travels on a connection: frames of a header of 16 bytes and a body, little-endian.
 *
 *    0      1       2        4        8                16
 *    +------+-------+--------+--------+----------------+----------
 *    | kind | flags | group  | size   | id             | body ...
 *    | u8   | u8    | u16    | u32    | u64            |
 *    +------+-------+--------+--------+----------------+----------
 *
 * A byte 0 in the place of a header is a doorbell, alone. flags: bits 0-2 priority, 3 MORE, 4 HANDLES, 5
 * WANT_ACK, 6-7 zero; all FRAG of one message have the same, but for MORE.
 * Pure: no memory is ever taken here. Messages are put together by core/intake.h. */
#ifndef COVEY_CORE_FRAME_H
#define COVEY_CORE_FRAME_H

#include "os/types.h"

/* X(name, number, least body, most body, flags that may be set, group, id, carries)
 * group: 0 must be 0, 1 must not, 2 either. id: the same. carries: 1 for kinds whose body is (part of) a
 * message: they are decoded in pieces as they arrive; the others are small and decoded whole. Numbers are the
 * protocol's and are never changed. */
/* clang-format off */
#define CVY_FRAMES(X) \
  X(HELLO, 0x01, 96, 96 + 255, 0, 0, 0, 0)           /* dialler, first: versions, limits, instance, pid, start, name */ \
  X(WELCOME, 0x02, 96, 96 + 255, 0, 0, 0, 0)         /* the answer, in the same form, with one version */ \
  X(DENY, 0x03, 16, 16, 0, 0, 0, 0)                  /* the other answer: a reason; then the connection ends */ \
  X(BYE, 0x04, 16, 16, 0, 0, 0, 0)                   /* no further messages: how many there were */ \
  X(BYE_ACK, 0x05, 16, 16, 0, 0, 0, 0)               /* all of them are here: how many were */ \
  X(PING, 0x06, 0, 0, 0, 0, 2, 0) \
  X(PONG, 0x07, 0, 0, 0, 0, 2, 0)                    /* with the PING's id */ \
  X(STOP, 0x08, 8, 8, 0, 0, 0, 0)                    /* asks a child to end */ \
  X(LOOK, 0x09, 0, 0, 0, 0, 1, 0)                    /* asks for a FILL of each group, and then a PONG with this id */ \
  X(GROUP_OPEN, 0x10, 13, 12 + 255, 0, 1, 2, 0)      /* this number is that name here; its window; id: see CVY_GROUP_CHANNEL */ \
  X(GROUP_CLOSE, 0x11, 0, 0, 0, 1, 0, 0) \
  X(CREDIT, 0x12, 16, 16, 0, 1, 2, 0)                /* window given back; with an id: a large message's grant */ \
  X(ACK, 0x13, 0, 0, 0, 1, 1, 0)                     /* handed out; UINT64_MAX: GROUP_CLOSE was seen */ \
  X(CANCEL, 0x14, 0, 0, 0, 0, 1, 0)                  /* nobody waits for the answer to this request any more */ \
  X(GAP, 0x15, 8, 8, 0, 1, 0, 0)                     /* so many for this group were dropped for want of room; of a topic that ends: its next number */ \
  X(FILL, 0x16, 16, 16, 0, 1, 0, 0)                  /* how much waits in this group, as in CREDIT: bytes, messages */ \
  X(DATA, 0x20, 0, CVY_BODY_MAX, 0x37, 1, 1, 1) \
  X(PUB, 0x21, 16, CVY_BODY_MAX, 0x20, 1, 1, 1)      /* first a cvy_pub: its number in the topic */ \
  X(REQ, 0x22, 16, CVY_BODY_MAX, 0x37, 1, 1, 1)      /* first a cvy_ask: what is left of its time, room for the reply */ \
  X(REP, 0x23, 16, CVY_BODY_MAX, 0x10, 0, 1, 1)      /* first i32 status, 12 zero bytes; id: the request's */ \
  X(ERR, 0x24, 16, CVY_BODY_MAX, 0x10, 0, 1, 1)      /* the same; the body is a text */ \
  X(FRAG, 0x25, 1, CVY_BODY_MAX, 0x3f, 2, 1, 1)      /* a part; all but the last: MORE; first a cvy_frag */ \
  X(NEXT, 0x2a, 0, CVY_BODY_MAX, 0x30, 1, 1, 1)      /* a message of a channel */ \
  X(END, 0x2b, 0, 0, 0, 1, 1, 1)                     /* no more of them; to a side that nobody has accepted: it is refused */ \
  X(HANDLE, 0x30, 16 + 8, 16 + 8 * 64, 0, 1, 1, 0)   /* handles of the next message to this group: a cvy_handle_list */ \
  X(HANDLE_ACK, 0x31, 0, 0, 0, 0, 1, 0)              /* they are here */ \
  X(RING_OFFER, 0x40, 16, 64, 0, 0, 0, 0) \
  X(RING_ACCEPT, 0x41, 16, 64, 0, 0, 0, 0) \
  X(RING_DROP, 0x42, 0, 16, 0, 0, 0, 0) \
  X(SWITCH, 0x43, 0, 16, 0, 0, 0, 0)
/* clang-format on */

enum {
  CVY_HEADER = 16, /* bytes of a header */
  CVY_PREFIX = 16, /* bytes before the message's own in PUB, REQ, REP, ERR and in a message's first FRAG */
  CVY_PIECE_MAX = 65536,             /* most bytes of a message in one frame; larger ones travel as FRAG */
  CVY_BODY_MAX = CVY_PIECE_MAX + 32, /* most bytes of any body: a piece, a cvy_frag, a prefix */
  CVY_CONTROL_MAX = 16 + 8 * 64      /* most bytes of a body that carries no message */
};

enum {
  CVY_FRAME_DOORBELL = 0,
#define CVY_FRAME_ENUM(name, number, least, most, flags, group, id, carries) CVY_FRAME_##name = number,
  CVY_FRAMES(CVY_FRAME_ENUM)
#undef CVY_FRAME_ENUM
      CVY_FRAME_OPTIONAL = 0x80 /* kinds from here on are skipped by who does not know them */
};

/* Kinds that carry (part of) a message. */
#define CVY_FRAME_IS_MESSAGE(kind) (((kind)&0xf0) == CVY_FRAME_DATA)

enum { CVY_FLAG_PRIORITY = 0x07, CVY_FLAG_MORE = 0x08, CVY_FLAG_HANDLES = 0x10, CVY_FLAG_WANT_ACK = 0x20 };

typedef struct cvy_header {
  uint8_t kind; /* CVY_FRAME_... */
  uint8_t flags;
  uint16_t group; /* a number announced by GROUP_OPEN in the other direction; 0 control */
  uint32_t size;  /* of the body */
  uint64_t id;    /* of the message, rising on a connection in each direction (REP, ERR: of the request) */
} cvy_header;

/* "DATA"; "?" for a kind that we do not know. Static. */
const char *cvy_frame_name(int kind);

/* Checks a header by the table: known kind (or from 0x80 on), size, flags, group, id. 0 or COVEY_EPROTO. */
int cvy_header_check(const cvy_header *h);

void cvy_header_encode(const cvy_header *h, uint8_t ret[CVY_HEADER]);
void cvy_header_decode(const uint8_t data[CVY_HEADER], cvy_header *ret);

/* ---- decoding a stream ---- */

/* What a decoder found. A frame that carries a message comes in one or more of these, in order; all others in
 * one. */
typedef struct cvy_chunk {
  cvy_header header;
  const uint8_t *data; /* a view, into the bytes given or into the decoder: until the next call */
  /* Of data in the body. The first chunk of a frame (offset 0) has at least the first CVY_PREFIX bytes, or
   * all. */
  uint32_t offset;
  uint32_t size; /* bytes of data. A doorbell: how many there were */
  bool last;     /* the body is complete with this chunk */
} cvy_chunk;

typedef struct cvy_decoder {
  cvy_header header;
  uint8_t begin[CVY_HEADER];        /* a header, or the first bytes of a message, that came in parts */
  uint8_t control[CVY_CONTROL_MAX]; /* a small body that came in parts */
  uint32_t have;                    /* bytes gathered in begin or control */
  uint32_t done;                    /* bytes of the body that are dealt with */
  uint32_t state;
  int error;   /* sticky */
} cvy_decoder; /* all zero is a fresh one */

/* Takes bytes from *data (moving *data and *size on) until there is something to tell. 1: *ret is filled;
 * call again, also when *size is 0 now. 0: everything was taken, more bytes are needed. COVEY_EPROTO: the
 * stream is broken, for good: every later call says so, whatever it is given. Kinds from 0x80 on are
 * skipped. */
int cvy_decoder_next(cvy_decoder *d, const uint8_t **data, size_t *size, cvy_chunk *ret);

/* Bytes of a message's frame that are still due, where its first chunk was told already; else 0. */
uint32_t cvy_decoder_rest(const cvy_decoder *d);

/* True when the bytes so far ended with a whole frame: the end of the stream here is clean. */
bool cvy_decoder_clean(const cvy_decoder *d);

/* ---- bodies ----
 * Encoders write the body to ret and return its size. Decoders take a body of a size that the table allows,
 * and answer 0 or COVEY_EPROTO. */

#define CVY_MAGIC 0x79766f63u /* "covy" */
enum { CVY_VERSION_LEAST = 1, CVY_VERSION = 1 };

/* HELLO and WELCOME. In WELCOME both versions are the one that was chosen. */
typedef struct cvy_hello {
  uint16_t version_least, version_most;
  uint32_t caps;        /* CVY_CAP_...; unknown bits are ignored */
  uint64_t max_message; /* most bytes of a message that the sender of this takes */
  uint8_t instance[16];
  int64_t pid; /* what it says of itself: compared with the kernel's word, never taken for it */
  uint64_t start;
  uint32_t window;   /* of its groups, where GROUP_OPEN says 0 */
  uint8_t name_size; /* 0 to 255 */
  char name[256];    /* of its node, NUL-terminated here; no NUL inside */
} cvy_hello;

enum { CVY_CAP_RING = 1 << 0 };

size_t cvy_hello_encode(const cvy_hello *h, uint8_t ret[96 + 255]);
int cvy_hello_decode(const uint8_t *body, size_t size, cvy_hello *ret);

/* The highest version that both can; COVEY_EVERSION when there is none. */
int cvy_version_choose(const cvy_hello *theirs);

enum {
  CVY_DENY_IDENTITY = 1, /* refused by user, pid or accept */
  CVY_DENY_VERSION,      /* no common version */
  CVY_DENY_BUSY,         /* max_peers */
  CVY_DENY_GLARE,        /* wait for the other connection between us */
  CVY_DENY_CLOSING       /* the node is closing */
};

typedef struct cvy_deny {
  uint32_t reason; /* CVY_DENY_...; unknown ones are for the user to take as IDENTITY */
  uint16_t version_least, version_most;
} cvy_deny;

size_t cvy_deny_encode(const cvy_deny *d, uint8_t ret[16]);
int cvy_deny_decode(const uint8_t *body, size_t size, cvy_deny *ret);

/* BYE: messages sent on this connection and the last one's id. BYE_ACK: messages received whole, and the last
 * one's id. */
typedef struct cvy_bye {
  uint64_t count, id;
} cvy_bye;

size_t cvy_bye_encode(const cvy_bye *b, uint8_t ret[16]);
int cvy_bye_decode(const uint8_t *body, size_t size, cvy_bye *ret);

/* GAP: messages. */
size_t cvy_gap_encode(uint64_t count, uint8_t ret[8]);
int cvy_gap_decode(const uint8_t *body, size_t size, uint64_t *ret_count);

/* STOP: milliseconds that the child has. */
size_t cvy_stop_encode(uint32_t grace, uint8_t ret[8]);
int cvy_stop_decode(const uint8_t *body, size_t size, uint32_t *ret_grace);

typedef struct cvy_group_open {
  uint32_t window;    /* bytes lent to the receiver of this frame; 0: the HELLO's */
  uint32_t max_count; /* messages lent; 0: no limit */
  uint16_t flags;     /* CVY_GROUP_... */
  uint8_t name_size;  /* 1 to 255 */
  char name[256];     /* NUL-terminated here; no NUL inside */
} cvy_group_open;

enum {
  CVY_GROUP_DROP_NEW = 1 << 0,
  CVY_GROUP_DROP_OLD = 1 << 1,
  CVY_GROUP_PRIORITIES = 1 << 2,
  CVY_GROUP_FUNCTION = 1 << 3, /* it takes REQ in place of DATA; its name is one of functions */
  CVY_GROUP_ENDPOINT =
      1 << 4, /* it takes openings of channels, max_count at a time; its name is one of endpoints */
  /* A new channel: this number takes what its other side sends (NEXT, END). The frame's id is the number of the endpoint there, or with ANSWER, which
   * is the accept, the number that the other side has opened it with. For all others id is 0. */
  CVY_GROUP_CHANNEL = 1 << 5,
  CVY_GROUP_ANSWER = 1 << 6,
  CVY_GROUP_TOPIC = 1 << 7,   /* a subscription: it takes PUB, and its name is one of the receiver's topics */
  CVY_GROUP_HANDLES = 1 << 8, /* its messages may bring handles */
  CVY_GROUP_ALL = (1 << 9) - 1
};

size_t cvy_group_open_encode(const cvy_group_open *g, uint8_t ret[12 + 255]);
int cvy_group_open_decode(const uint8_t *body, size_t size, cvy_group_open *ret);

typedef struct cvy_credit {
  uint64_t bytes; /* given back, or granted; at most 2^62 */
  uint32_t count; /* messages that these bytes were of: they were handed out */
} cvy_credit;

size_t cvy_credit_encode(const cvy_credit *c, uint8_t ret[16]);
int cvy_credit_decode(const uint8_t *body, size_t size, cvy_credit *ret);

typedef struct cvy_handle_list {
  uint32_t count;     /* 1 to 64 */
  uint64_t value[64]; /* in the sender's process; 0 where they travel with the frame's first byte */
} cvy_handle_list;

size_t cvy_handle_list_encode(const cvy_handle_list *l, uint8_t ret[CVY_CONTROL_MAX]);
int cvy_handle_list_decode(const uint8_t *body, size_t size, cvy_handle_list *ret);

/* The first bytes of a message's first FRAG. */
typedef struct cvy_frag {
  /* Bytes of all its pieces together, 1 or more: what the body of one frame of this kind would have been. */
  uint64_t total;
  uint8_t kind;  /* DATA, PUB, REQ, REP, ERR or NEXT */
  uint32_t lent; /* bytes of its charge that are of the window; the rest waits for a grant. 0: all */
} cvy_frag;

size_t cvy_frag_encode(const cvy_frag *f, uint8_t ret[CVY_PREFIX]);
int cvy_frag_decode(const uint8_t *body, size_t size, cvy_frag *ret);

/* The first bytes of a REQ. */
typedef struct cvy_ask {
  uint32_t left; /* milliseconds that the caller still waits; UINT32_MAX: no deadline */
  uint64_t room; /* most bytes of a reply, without its prefix */
} cvy_ask;

size_t cvy_ask_encode(const cvy_ask *a, uint8_t ret[CVY_PREFIX]);
int cvy_ask_decode(const uint8_t *body, size_t size, cvy_ask *ret);

/* The first bytes of a PUB. BEGIN and END have nothing else. */
enum { CVY_PUB_DATA, CVY_PUB_KEPT, CVY_PUB_BEGIN, CVY_PUB_END, CVY_PUBS };

typedef struct cvy_pub {
  uint64_t number; /* of the message in its topic, from 1 on; BEGIN and END: of the next one */
  int32_t code;    /* END: why, a code of error.h; else 0 */
  uint8_t what;    /* CVY_PUB_... */
  bool drop_old;   /* BEGIN: old messages that wait make room for new ones */
} cvy_pub;

size_t cvy_pub_encode(const cvy_pub *p, uint8_t ret[CVY_PREFIX]);
int cvy_pub_decode(const uint8_t *body, size_t size, cvy_pub *ret);

/* The first bytes of REP and ERR: the status, as the bits of an int32_t. */
size_t cvy_prefix_encode(uint32_t value, uint8_t ret[CVY_PREFIX]);
int cvy_prefix_decode(const uint8_t *body, size_t size, uint32_t *ret_value);

#endif
