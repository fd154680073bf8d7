/* SPDX-License-Identifier: BSD-3-Clause
 * The whole wire format. docs/protocol.md describes the same bytes in words.
 *
 * A frame is one UDP payload:
 *
 *   struct wire_header | body of the verb | extensions (TLVs) | payload | trailer
 *
 * Only DATA and OFFER have a payload (HELLO and WELCOME may: probe filler).
 * The trailer is there if WIRE_AUTH is set.
 *
 * frame_parse() checks everything that can be checked without a key; after it
 * no length needs to be looked at again. X_decode() then gives the verb's
 * fields in host order, with pointers into the frame for whatever is longer
 * than an integer. X_encode() is its inverse; it returns the frame's length,
 * or 0 if it does not fit in `cap` or a field is out of range.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "wire/addr.h"
#include "wire/drop.h"
#include "wire/ident.h"
#include "wire/proof.h"
#include "wire/token.h"

#define WIRE_VERSION 1
#define WIRE_PORT 4870	      /* default UDP port of a relay */
#define WIRE_TARGET_PORT 4871 /* default UDP port of a target */
#define WIRE_MAX_FRAME 1232   /* UDP payload: the IPv6 minimum MTU less headers */
#define CHUNK_SIZE 1152
#define PULL_MAX_CHUNKS 32
#define BLOB_MAX_LENGTH (UINT64_C(1) << 36) /* 64 GiB: chunk numbers stay far below 2^32 */
#define META_MAX 255
#define TRANSFER_SIZE 16
#define DEADLINE_MAX 3600  /* seconds a transfer may take, at most */
#define SEND_MIN 432	   /* a SEND is padded to this plus its META and SEALED_KEY extensions */
#define SEALED_KEY_SIZE 80 /* a content key sealed to the target (client/lib/seal.h) */

enum verb {
	VERB_HELLO = 1,
	VERB_WELCOME,
	VERB_LISTEN,
	VERB_LISTENING,
	VERB_SEND,
	VERB_STATUS,
	VERB_QUERY,
	VERB_ANSWER,
	VERB_OFFER,
	VERB_PULL,
	VERB_DATA,
	VERB_RECEIPT,
	VERB_NOTICE,
	VERB_STOP,
	VERB_ERROR,
	VERB_COUNT
};

/* Header flags. */
#define WIRE_AUTH 0x80	  /* a 16-byte trailer ends the frame */
#define WIRE_ACK 0x01	  /* NOTICE: this acknowledges one */
#define WIRE_INLINE 0x01  /* OFFER: the payload is the whole blob */
#define WIRE_UPLOAD 0x01  /* PULL, DATA: towards a relay; the token fields are zero */
#define WIRE_CENTRAL 0x01 /* WELCOME: the relay is a central one */
#define WIRE_BOTH_IP 0x02 /* WELCOME: it sends to targets of either IP version */
#define WIRE_LEASED 0x01  /* QUERY: private holds a lease of the target; ANSWER: central does */
#define WIRE_HOLDING 0x02 /* QUERY: private has the blob; central is to offer it from there */

struct wire_header {
	uint8_t version;
	uint8_t verb;
	uint8_t flags;
	uint8_t ext; /* bytes of extensions / 4 */
	be32 key;    /* 0 = open; else id of a domain or pair << 8 | key generation */
	be64 conn;   /* random, chosen by the receiver; the sender's own before it knows one.
		      * A stateless relay adopts its client's number: the cookie binds it. */
};
_Static_assert(sizeof(struct wire_header) == 16, "wire layout");

/* Extensions: type, length of value, value, zeros up to a multiple of 4.
 * Ascending by type; only PAD may repeat. Top bit: who does not know it must
 * drop the frame. */
enum ext_type {
	EXT_META = 0x01,	 /* SEND, QUERY, OFFER: file name, NUL, MIME type; opaque to relays.
				  * RECEIPT, NOTICE, STATUS: the file name that was taken */
	EXT_META_MAC = 0x02,	 /* reserved */
	EXT_VERSIONS = 0x04,	 /* HELLO, WELCOME: one byte a version spoken */
	EXT_DOMAIN_PROOF = 0x05, /* HELLO: struct mac, the sender knows the domain key */
	EXT_MAX_FRAME = 0x06,	 /* reserved */
	EXT_PUSH_CREDIT = 0x07,	 /* reserved */
	EXT_CHALLENGE = 0x08,	 /* STATUS, ANSWER: struct challenge */
	EXT_PROOF = 0x09,	 /* SEND, QUERY: struct proof */
	EXT_MAILBOX = 0x0b,	 /* reserved */
	EXT_HAVE_RANGES = 0x0c,	 /* reserved */
	EXT_RETRY_AFTER = 0x0d,	 /* STATUS, ERROR: be32 milliseconds */
	EXT_PAD = 0x0e,		 /* zeros, ignored */
	EXT_MOVED = 0x0f,	 /* SEND: struct moved */
	EXT_ATTEMPT = 0x10,	 /* OFFER, PULL: be64, not 0: of a blob that is still uploaded */
	EXT_AVAILABLE = 0x11,	 /* OFFER, DATA, ERROR: be32, chunks of it that are there */
	EXT_TICKET = 0x12,	 /* QUERY: struct ticket, private's, with WIRE_HOLDING */
	EXT_VOUCH = 0x13,	 /* SEND: struct proof, of what came of an earlier upload */
	EXT_HOLDER = 0x83,	 /* OFFER: struct addr of the relay to pull from */
	EXT_SEALED_KEY = 0x8a,	 /* SEND, QUERY, OFFER: the blob is encrypted; opaque to relays */
};

/* Where the same conn was before its address changed, and that it was there. */
struct moved {
	struct addr addr;
	struct cookie cookie;
};
_Static_assert(sizeof(struct moved) == 36, "wire layout");

/* A parsed frame. Pointers lead into the buffer that was parsed. */
struct frame {
	const uint8_t *start;
	size_t len; /* all of it, trailer included */
	uint8_t version;
	uint8_t verb;
	uint8_t flags;
	uint32_t key;
	uint64_t conn;
	const uint8_t *body;
	const uint8_t *payload;
	uint16_t payload_len;
	const uint8_t *trailer; /* NULL without WIRE_AUTH; else the frame's last 16 bytes */
	/* extensions that are known, NULL or 0 when absent */
	const uint8_t *meta;
	uint8_t meta_len;
	const struct addr *holder; /* valid */
	const uint8_t *versions;
	uint8_t versions_len;
	bool has_available;
	uint32_t retry_after; /* milliseconds */
	uint32_t available;
	uint64_t attempt;
	const struct mac *domain_proof;
	const struct challenge *challenge;
	const struct proof *proof;
	const struct proof *vouch;
	const struct moved *moved; /* its address is valid */
	const uint8_t *sealed_key; /* SEALED_KEY_SIZE bytes */
	const struct ticket *ticket;
};

/* Checks version, verb, flags, lengths and extensions. On anything but
 * DROP_NONE `f` holds what was read so far: after DROP_EXT_CRITICAL and
 * DROP_VERB the header's fields and the trailer, for an ERROR to a valid cookie. `start` and
 * `len` are always set. HELLO and WELCOME are accepted under any version. */
enum drop frame_parse(const void *buf, size_t len, struct frame *f);

/* Members of a domain sign what costs or changes something, and relays sign
 * what they answer to members: appends the trailer to a finished frame of `len`
 * bytes and returns its new length; 0 if it does not fit in `cap`. */
size_t frame_sign(uint8_t *buf, size_t cap, size_t len, const struct session *s);
/* In two steps, as tokens are (wire/token.h): nothing of buf or s may change between. */
size_t frame_sign_begin(uint8_t *buf, size_t cap, size_t len, const struct session *s,
			struct sip *out);
void frame_sign_end(const struct sip *s, uint8_t *buf, size_t signed_len);
/* False: there is no trailer. */
bool frame_signed_begin(const struct frame *f, const struct session *s, struct sip *out);
bool frame_signed_end(const struct frame *f, const struct sip *s);
/* Is there a trailer, and is it the session's? */
bool frame_signed(const struct frame *f, const struct session *s);

/* Bytes of body for a verb; 0 for one that does not exist. */
size_t verb_body_size(uint8_t verb);

/* ---- HELLO, WELCOME: stateless address validation. Never change layout ---- */

struct wire_hello {
	be64 nonce;
};
struct hello {
	uint64_t nonce;		 /* WELCOME returns it */
	const struct mac *proof; /* of the domain key; NULL: open */
};
/* A HELLO is padded to the size of a signed WELCOME. */
#define HELLO_SIZE 112
size_t hello_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct hello *h);
enum drop hello_decode(const struct frame *f, struct hello *h);

struct wire_welcome {
	be64 nonce;
	struct cookie cookie;
	struct echo echo;
	struct addr seen; /* the client, as the relay sees it */
	struct addr self; /* this instance of the relay: speak to it from now on */
	be16 longest;	  /* blob that the relay takes, MiB, rounded up; 0: not said */
	be16 lifetime;	  /* seconds the cookie surely lives */
};
struct welcome {
	uint64_t nonce;
	const struct cookie *cookie;
	const struct echo *echo;
	const struct addr *seen;
	const struct addr *self;
	uint16_t longest;
	uint16_t lifetime;
	bool central; /* WIRE_CENTRAL */
	bool both_ip; /* WIRE_BOTH_IP */
};
/* `longest` for a relay that takes blobs of up to so many bytes. */
static inline uint16_t welcome_longest(uint64_t bytes)
{
	uint64_t mib = (bytes + (UINT64_C(1) << 20) - 1) >> 20;

	return mib < UINT16_MAX ? (uint16_t)mib : UINT16_MAX;
}
/* May a relay that says `longest` take a blob of so many bytes? */
static inline bool welcome_takes(uint16_t longest, uint64_t bytes)
{
	return longest == 0 || longest == UINT16_MAX || bytes <= (uint64_t)longest << 20;
}
size_t welcome_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn,
		      const struct welcome *w);
/* DROP_VERSION: the relay does not speak WIRE_VERSION; *w is filled all the same. */
enum drop welcome_decode(const struct frame *f, struct welcome *w);
/* The newest version that the sender of a HELLO or WELCOME speaks, as it says. */
uint8_t frame_newest_version(const struct frame *f);

/* ---- LISTEN, LISTENING, STOP: a target's consent ---- */

struct wire_listen {
	struct cookie cookie;
	be64 number;  /* rises with every LISTEN and STOP of this target */
	be32 seconds; /* lease wanted */
};
struct listen {
	const struct cookie *cookie;
	uint64_t number;
	uint32_t seconds;
};
size_t listen_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct listen *l);
enum drop listen_decode(const struct frame *f, struct listen *l);

struct wire_listening {
	be64 number;  /* of the LISTEN or STOP that this answers */
	be32 seconds; /* lease granted; 0: none */
};
struct listening {
	uint64_t number;
	uint32_t seconds;
};
size_t listening_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn,
			const struct listening *l);
enum drop listening_decode(const struct frame *f, struct listening *l);

struct wire_stop {
	struct cookie cookie;
	be64 number;
};
struct stop {
	const struct cookie *cookie;
	uint64_t number;
};
/* Answered by a LISTENING of 0 seconds. */
size_t stop_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct stop *s);
enum drop stop_decode(const struct frame *f, struct stop *s);

/* ---- SEND, STATUS: a source's request and what becomes of it ---- */

struct wire_send {
	struct cookie cookie;
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t rule;
	uint8_t zero;
	be32 deadline;
	struct ident id;
	be64 length;
	struct target target;
};
struct send {
	const struct cookie *cookie;
	const uint8_t *transfer; /* TRANSFER_SIZE random bytes: repeats are idempotent */
	const struct ident *id;
	const struct addr *target; /* valid: listener keys are reserved */
	const uint8_t *meta;
	const struct proof *proof; /* of possession; NULL: none */
	const struct proof *vouch; /* that its blob begins as an earlier upload; NULL: none */
	const struct moved *moved; /* NULL: it did not move */
	const uint8_t *sealed_key; /* NULL: not encrypted */
	uint8_t meta_len;
	uint16_t leg;
	uint8_t rule;
	uint32_t deadline; /* seconds from now, 1..DEADLINE_MAX */
	uint64_t length;   /* <= BLOB_MAX_LENGTH */
};
/* Padded to SEND_MIN plus the META and SEALED_KEY extensions; a shorter one is
 * DROP_SHORT. */
size_t send_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct send *s);
enum drop send_decode(const struct frame *f, struct send *s);

/* Order matters only to people: later is nearer to the end. */
enum status_code {
	STATUS_WORKING = 1,	/* taken; central is being asked, or the data is being stored */
	STATUS_CHALLENGE,	/* a proof of possession is wanted: repeat the SEND with it */
	STATUS_WAITING,		/* another source is uploading the same blob */
	STATUS_UPLOAD,		/* upload wanted: PULLs follow; bytes = received so far */
	STATUS_STORED,		/* the upload is verified and stored */
	STATUS_SERVING_PRIVATE, /* a hit in the private relay's store */
	STATUS_SERVING_CENTRAL, /* a hit in the central relay's store */
	STATUS_DELIVERING,	/* bytes = what the target has so far */
	STATUS_DELIVERED,	/* the target verified the blob */
	STATUS_REFUSED,		/* reason; final */
	STATUS_CODE_COUNT
};
/* Why. Also in ANSWER; in RECEIPT and NOTICE the target's two alone. */
#define REFUSE_REASONS(X)                                                           \
	X(TARGET_POLICY, "target address not allowed by the relay's configuration") \
	X(TARGET_UNREACHABLE, "no route to the target")                             \
	X(TARGET_DECLINED, "the target declined")                                   \
	X(TARGET_FAILED, "the target could not store the data")                     \
	X(TOO_LARGE, "larger than the relay accepts")                               \
	X(STORE_FULL, "the relay's store is full")                                  \
	X(BUSY, "the relay is at its limit of concurrent uploads")                  \
	X(RULE, "the relay does not accept this identifier rule")                   \
	X(WRONG_IDENTIFIER, "the uploaded data does not match the identifier")      \
	X(MEMBERS_ONLY, "the relay serves its domains' members only")               \
	X(QUOTA, "the domain's share of the relay is used up")                      \
	X(PROOF, "the proof of possession is wrong")                                \
	X(INTERNAL, "internal error of the relay")                                  \
	X(TARGET_STOPPED, "the target was stopped before it had all of it")
enum refuse_reason {
	REFUSE_NONE = 0,
#define X(symbol, text) REFUSE_##symbol,
	REFUSE_REASONS(X)
#undef X
		REFUSE_COUNT
};
/* Human text; never NULL. */
const char *refuse_text(uint8_t reason);

struct wire_status {
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t code;
	uint8_t reason;
	be32 zero;
	be64 bytes;
	uint8_t meta_digest[8]; /* DELIVERED: of what the target got */
};
struct status {
	const uint8_t *transfer;
	const uint8_t *meta_digest; /* NULL encodes zeros */
	/* With STATUS_CHALLENGE. With STATUS_UPLOAD: `bytes` are here of an earlier upload, for
	 * which the source is to vouch; NULL: it is not. Else NULL. */
	const struct challenge *challenge;
	const uint8_t *name; /* STATUS_DELIVERED: RECEIPT's */
	uint8_t name_len;
	uint16_t leg;
	uint8_t code;
	uint8_t reason;
	uint64_t bytes;
	uint32_t retry_after; /* milliseconds; 0: absent */
};
size_t status_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct status *s);
enum drop status_decode(const struct frame *f, struct status *s);

/* ---- QUERY, ANSWER, NOTICE: private <-> central; always WIRE_AUTH ---- */

struct wire_query {
	be64 nonce; /* rises with every frame of this peer */
	be64 time;  /* Unix milliseconds */
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t rule;
	uint8_t zero;
	be32 deadline;
	be32 send_size;	 /* IP bytes of the SEND: the OFFER may not be larger */
	be32 source_key; /* header key of the SEND: domain << 8 | generation */
	struct ident id;
	be64 length;
	struct target target;
	struct addr source;
	be64 source_conn;
};
struct query {
	uint64_t nonce;
	uint64_t time;
	const uint8_t *transfer;
	const struct ident *id;
	const struct addr *target;
	const struct addr *source;
	const uint8_t *meta;
	const struct proof *proof; /* NULL: none */
	const uint8_t *sealed_key; /* NULL: not encrypted */
	uint8_t meta_len;
	uint16_t leg;
	uint8_t rule;
	bool leased;		     /* WIRE_LEASED */
	const struct ticket *ticket; /* WIRE_HOLDING: for the OFFER, as are */
	uint64_t attempt;	     /* these two, as it has them */
	uint32_t available;
	uint32_t deadline;
	uint32_t send_size;
	uint32_t source_key;
	uint64_t length;
	uint64_t source_conn;
};
size_t query_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct query *q,
		    const uint8_t pair_key[PAIR_KEY_SIZE]);
enum drop query_decode(const struct frame *f, struct query *q);

enum answer_code {
	ANSWER_SERVING = 1, /* hit: central has sent the OFFER itself */
	ANSWER_FAILED,	    /* "query failed": central does not have it */
	ANSWER_OFFER,	    /* hit: private, which holds the lease, is to send the OFFER */
	ANSWER_REFUSED,	    /* reason */
	ANSWER_CHALLENGE,   /* hit: the source is to prove that it holds the blob */
	ANSWER_CODE_COUNT
};
struct wire_answer {
	be64 nonce; /* of this frame */
	be64 time;
	be64 query_nonce;
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t code;
	uint8_t reason;
	be32 zero;
	struct ticket ticket; /* ANSWER_OFFER, else zero */
};
struct answer {
	uint64_t nonce;
	uint64_t time;
	uint64_t query_nonce;
	const uint8_t *transfer;
	const struct ticket *ticket;	   /* NULL encodes zeros */
	const struct challenge *challenge; /* with ANSWER_CHALLENGE, else NULL */
	bool leased;			   /* WIRE_LEASED */
	uint16_t leg;
	uint8_t code;
	uint8_t reason;
};
size_t answer_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct answer *a,
		     const uint8_t pair_key[PAIR_KEY_SIZE]);
enum drop answer_decode(const struct frame *f, struct answer *a);

struct wire_notice {
	be64 nonce; /* of this frame */
	be64 time;
	be64 notice_nonce; /* WIRE_ACK: the nonce that this acknowledges, else zero */
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t code; /* enum receipt_code */
	uint8_t reason;
	be32 source_key; /* of the SEND, as QUERY had it */
	be64 bytes;
	uint8_t meta_digest[8];
	struct addr source;
	be64 source_conn;
};
struct notice {
	uint64_t nonce;
	uint64_t time;
	uint64_t notice_nonce;
	const uint8_t *transfer;
	const uint8_t *meta_digest;
	const struct addr *source;
	const uint8_t *name; /* RECEIPT_COMPLETE: RECEIPT's; not in an acknowledgement */
	uint8_t name_len;
	bool ack; /* WIRE_ACK */
	uint16_t leg;
	uint8_t code;
	uint8_t reason;
	uint32_t source_key;
	uint64_t bytes;
	uint64_t source_conn;
};
size_t notice_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct notice *n,
		     const uint8_t pair_key[PAIR_KEY_SIZE]);
enum drop notice_decode(const struct frame *f, struct notice *n);

/* ---- OFFER, PULL, DATA, RECEIPT: moving a blob ---- */

struct wire_offer {
	struct echo echo; /* bound to the target's conn; zero without a lease */
	uint8_t transfer[TRANSFER_SIZE];
	struct ident id;
	be64 length;
	be32 deadline;
	be16 leg;
	uint8_t rule;
	uint8_t zero;
	struct ticket ticket;
};
struct offer {
	const struct echo *echo; /* NULL encodes zeros */
	const uint8_t *transfer;
	const struct ident *id;
	const struct ticket *ticket; /* likewise */
	const struct addr *holder;   /* NULL: the sender of the OFFER holds the blob */
	const uint8_t *meta;
	const uint8_t *sealed_key; /* NULL: not encrypted */
	uint8_t meta_len;
	uint16_t leg;
	uint8_t rule;
	bool has_inline; /* WIRE_INLINE: data is the whole blob */
	uint32_t deadline;
	uint64_t length;
	uint64_t attempt;    /* 0: all of it is there; else it is still uploaded, and */
	uint32_t available;  /* so many chunks can be pulled now */
	const uint8_t *data; /* decoding an inline OFFER: `length` bytes */
};
/* Bytes an OFFER has without extensions and data. */
#define OFFER_SIZE 184
/* Pads with PAD extensions up to pad_to bytes (0: no padding; not with inline
 * data). Inline data is copied behind it when has_inline; with data == NULL the
 * `length` bytes are left for the caller to fill, at the frame's end. */
size_t offer_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct offer *o,
		    size_t pad_to);
enum drop offer_decode(const struct frame *f, struct offer *o);

struct wire_pull {
	struct cookie cookie;
	struct echo echo;
	be64 stream;
	be32 number;
	be32 first;
	be32 mask;
	uint8_t rule;
	uint8_t zero[3];
	struct ident id;
	be64 length;
	struct ticket ticket;
};
struct pull {
	const struct cookie *cookie; /* these three: NULL encodes zeros (uploads) */
	const struct echo *echo;
	const struct ticket *ticket;
	const struct ident *id;
	bool upload; /* WIRE_UPLOAD: from a relay to a source */
	uint8_t rule;
	uint64_t stream; /* the puller's name for this blob; DATA returns it */
	uint32_t number; /* rises; DATA returns it, which times the round trip */
	uint32_t first;	 /* chunk number */
	uint32_t mask;	 /* bit i: chunk first + i is wanted; bit 0 is set; none beyond the blob */
	uint64_t length;
	uint64_t attempt; /* the OFFER's; chunks of no other are wanted. 0: it had none, or `upload`
			   */
};
size_t pull_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct pull *p);
enum drop pull_decode(const struct frame *f, struct pull *p);

struct wire_data {
	struct echo echo;
	be64 stream;
	be32 number;
	be32 first;
};
struct data {
	const struct echo *echo; /* NULL encodes zeros (uploads) */
	bool upload;		 /* WIRE_UPLOAD: from a source to a relay */
	uint64_t stream;
	uint32_t number;
	uint32_t first; /* chunk number; the payload starts with it */
	const uint8_t *bytes;
	uint16_t len;	    /* whole chunks, only the blob's last may be short */
	bool partial;	    /* not `upload`: of a blob that is still uploaded, of which */
	uint32_t available; /* so many chunks can be pulled now */
};
#define DATA_HEAD 40	     /* header and body in front of the payload */
#define DATA_HEAD_PARTIAL 48 /* with AVAILABLE */
static inline size_t data_head_size(bool partial)
{
	return partial ? DATA_HEAD_PARTIAL : DATA_HEAD;
}
/* Copies len bytes of payload; with bytes == NULL writes the head only and
 * returns data_head_size() + len, the payload being the caller's. */
size_t data_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct data *d);
enum drop data_decode(const struct frame *f, struct data *d);

enum receipt_code {
	RECEIPT_COMPLETE = 1, /* verified, and stored by the target */
	RECEIPT_PROGRESS,
	RECEIPT_REFUSED, /* reason */
	RECEIPT_CODE_COUNT
};

/* What a source is told of a RECEIPT. */
static inline uint8_t receipt_status(uint8_t code)
{
	return code == RECEIPT_COMPLETE	  ? STATUS_DELIVERED
	       : code == RECEIPT_PROGRESS ? STATUS_DELIVERING
					  : STATUS_REFUSED;
}

struct wire_receipt {
	struct cookie cookie;
	uint8_t code;
	uint8_t reason;
	uint8_t rule;
	uint8_t zero[5];
	struct ident id;
	be64 length;
	be64 bytes;
	uint8_t meta_digest[8];
	struct ticket ticket;
};
struct receipt {
	const struct cookie *cookie;
	const struct ident *id;
	const uint8_t *meta_digest;
	const struct ticket *ticket;
	/* RECEIPT_COMPLETE: what the target called its file, if that is not what the
	 * metadata says. Goes in EXT_META, sealed as metadata is. */
	const uint8_t *name;
	uint8_t name_len;
	uint8_t code;
	uint8_t reason;
	uint8_t rule;
	uint64_t length;
	uint64_t bytes; /* received so far */
};
size_t receipt_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn,
		      const struct receipt *r);
enum drop receipt_decode(const struct frame *f, struct receipt *r);

/* ---- ERROR ---- */

enum error_code {
	ERROR_STALE = 1,   /* the cookie's epoch has passed: say HELLO again */
	ERROR_FRESH,	   /* the echo is too old: here is a new one */
	ERROR_TICKET,	   /* bad or expired: wait for the next OFFER */
	ERROR_GONE,	   /* the blob is not here (any more) */
	ERROR_UNSUPPORTED, /* unknown verb or critical extension */
	ERROR_BUSY,	   /* retry after */
	ERROR_KEY,	   /* a domain key is needed here, or this one is not valid any more */
	ERROR_LATER,	   /* of a blob that is still uploaded: so much of it is not here yet */
	ERROR_CODE_COUNT
};
struct wire_error {
	uint8_t code;
	uint8_t verb; /* of the frame this is about */
	be16 zero;
	be32 number; /* of the PULL, else 0 */
	be64 stream; /* of the PULL, else 0 */
	struct echo echo;
};
struct error {
	const struct echo *echo; /* NULL encodes zeros */
	uint8_t code;
	uint8_t verb;
	uint32_t number;
	uint64_t stream;
	uint32_t retry_after; /* milliseconds; 0: absent */
	uint32_t available;   /* LATER: chunks that are */
};
size_t error_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct error *e);
enum drop error_decode(const struct frame *f, struct error *e);

/* ---- lengths ---- */

static inline uint32_t chunk_count(uint64_t length)
{
	return (uint32_t)((length + CHUNK_SIZE - 1) / CHUNK_SIZE);
}

/* Bytes in chunk i of a blob; i < chunk_count(length). */
static inline uint32_t chunk_length(uint64_t length, uint32_t i)
{
	uint64_t rest = length - (uint64_t)i * CHUNK_SIZE;

	return rest < CHUNK_SIZE ? (uint32_t)rest : CHUNK_SIZE;
}

#endif
