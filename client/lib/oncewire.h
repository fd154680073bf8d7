/* SPDX-License-Identifier: BSD-3-Clause
 * liboncewire: send and receive files through oncewire relays.
 *
 * Two kinds of handle, a sender (one file to one target) and a receiver (any
 * number of files into one directory). Each can be driven from an event loop:
 *
 *   open -> { wait until fd is readable or timeout has passed; process } -> close
 *
 * or by one blocking call, ow_send() or ow_receive(), built on the same.
 *
 * Options are structs in which zero always means the default, so
 * `struct ow_send_options o = {0};` is a sound start. Strings and memory named
 * by options are copied or opened by open(), except `data`, which must stay
 * unchanged until close.
 *
 * Addresses are text: "192.0.2.1", "192.0.2.1:4870", "2001:db8::1",
 * "[2001:db8::1]:4870", "fe80::1%eth0", or a host name, also with a port. open()
 * resolves names, which can take seconds; of several addresses of a relay the first
 * that answers is used, and of a target's the first of the relay's IP version (or the
 * first, if the relay has both). Ports default to 4870 for relays and 4871 for targets.
 *
 * Memory: a sender takes about 0.25 MB, a receiver 0.5 MB once it was busy, and 12 KB more
 * for each file that arrives. Descriptors: four each, and two for each of those files.
 *
 * Threads: a handle belongs to one thread at a time; different handles are
 * independent of each other. Callbacks run inside process() of their handle
 * and must not call any function on it. No signal is raised or handled here
 * (sockets are written without SIGPIPE), no global state is changed.
 */
#ifndef ONCEWIRE_H
#define ONCEWIRE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OW_API __attribute__((visibility("default")))

#define OW_ID_MAX 65	  /* 64 hex digits and a NUL */
#define OW_ADDRESS_MAX 56 /* "[IPv6]:port" and a NUL */
#define OW_NAME_MAX 256	  /* a file name and a NUL */
#define OW_MESSAGE_MAX 512

/* Results. Failures are negative; -1 to -5 are, negated, the exit statuses of
 * the command, and that of OW_UNKEPT is 7. */
enum ow_code {
	OW_AGAIN = 1,	     /* process(): not finished, wait and call again */
	OW_OK = 0,	     /* done */
	OW_FAILED = -1,	     /* on this machine: file, directory, memory, socket */
	OW_INVALID = -2,     /* an option is missing or out of range */
	OW_UNREACHABLE = -3, /* the relay does not answer */
	OW_UNCONFIRMED = -4, /* the target did not confirm in time */
	OW_REFUSED = -5,     /* the relay, or the target through it, refused */
	OW_CHANGED = -6,     /* the file was changed while it was sent */
	OW_TIMEOUT = -7,     /* ow_receive: fewer files than asked for arrived in time */
	OW_STOPPED = -8,     /* *stop became non-zero */
	OW_UNKEPT = -9,	     /* delivered, but the relay did not keep it */
};

/* A short English text for any code; never NULL. */
OW_API const char *ow_strerror(int code);
/* "0.1.0" */
OW_API const char *ow_version(void);

/* How an identifier is computed. */
enum ow_rule {
	OW_SHA256 = 1, /* the default */
	OW_XXH3 = 2,   /* not collision-resistant: closed networks only */
};

/* Computes the identifier of a file. id: OW_ID_MAX bytes. rule: 0 is OW_SHA256.
 * Blocks. Returns OW_OK, OW_INVALID, OW_CHANGED or OW_FAILED with errno set. */
OW_API int ow_identify(const char *path, int rule, char *id, uint64_t *bytes);

/* ---- progress ---- */

enum ow_phase {
	OW_HASHING = 1, /* bytes hashed; shared encryption: of the file, then of its ciphertext */
	OW_UPLOADING,	/* bytes sent to the relay, repetitions not counted */
	OW_WAITING,	/* for the target: milliseconds that have passed, of those it may take */
	OW_DELIVERING,	/* bytes the target has, as far as it has reported */
	OW_RECEIVING,	/* receiver: bytes of all deliveries that are under way */
};

/* Called at most about ten times a second and once at a phase's end. */
typedef void ow_progress_fn(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total);

/* ---- sending ---- */

/* What role the relay has, as the caller knows it: it decides how an outcome is named. */
enum ow_via {
	OW_VIA_PRIVATE = 1,
	OW_VIA_CENTRAL = 2,
};

/* The recipient can read the file, relays cannot. The difference is what they
 * can tell from its ciphertext. */
enum ow_encrypt {
	/* The same file, sent by a member of the domain, is the same ciphertext: a
	 * relay that holds it needs no upload. Who has no content key cannot check
	 * a guess; who has it and the file's SHA-256 can read the ciphertext. */
	OW_ENCRYPT_SHARED = 1,
	/* Every time another ciphertext, to be uploaded each time. */
	OW_ENCRYPT_RANDOM = 2,
};

struct ow_send_options {
	const char *relay;  /* required */
	int via;	    /* required: enum ow_via */
	const char *target; /* required */

	/* The data: `path` if set, else `size` bytes at `data` if set, else the
	 * regular file open for reading as `fd` (from its beginning; its offset
	 * is not moved, and it stays the caller's). At most 64 GiB. */
	const char *path;
	const void *data;
	size_t size;
	int fd;

	const char *name; /* file name for the target; default: last component of `path` */
	const char *mime; /* MIME type; default: none. Name and type together: 254 bytes */
	int rule;	  /* enum ow_rule */

	/* Encryption at the ends: relays get the ciphertext, its identifier, its
	 * length, and the addresses. Name and type together: 214 bytes. */
	int encrypt;		      /* enum ow_encrypt; default: none */
	const char *recipient;	      /* required then: public key of the target's identity, hex */
	const char *content_key_file; /* required for OW_ENCRYPT_SHARED: the domain's */

	/* Without progress; default 120,000. When ow_sender_process() was called more than a
	 * second late, as after Ctrl-Z, the time until then is not counted. */
	uint32_t timeout_ms;
	uint32_t limit_ms; /* from open to confirmation; default: none */
	uint64_t rate;	   /* upload at most so many bytes a second; default 1,000,000,000 */

	/* Key file of the domain to send as a member of; default: of none, which a
	 * relay with domains refuses. Only its owner may have access to it. */
	const char *domain_key_file;

	ow_progress_fn *progress;
	void *ctx; /* for progress */

	/* ow_send() only: returns OW_STOPPED within 0.25 s of *stop becoming
	 * non-zero. A signal handler may write it. */
	const volatile sig_atomic_t *stop;
};

enum ow_outcome {
	OW_NONE = 0,	     /* not delivered */
	OW_PRIVATE_HIT,	     /* the private relay had it */
	OW_CENTRAL_HIT,	     /* the central relay had it, asked by the private one */
	OW_UPLOADED_PRIVATE, /* uploaded to the private relay */
	OW_DIRECT_HIT,	     /* the central relay, asked directly, had it */
	OW_UPLOADED_CENTRAL, /* uploaded to the central relay */
};
/* "private-hit", ...; NULL for OW_NONE. These names are stable. */
OW_API const char *ow_outcome_name(int outcome);

struct ow_send_result {
	char id[OW_ID_MAX]; /* of the data, or its ciphertext; empty if hashing did not end */
	uint64_t bytes;	    /* length of the data */
	int outcome;	    /* enum ow_outcome */
	bool delivered;	    /* the target confirmed the verified data */
	bool stored;	    /* a relay has it: who sends it next need not upload it */
	bool renamed;	    /* delivered, but under metadata of an earlier offer */
	/* What the target called its file, if that is not the name it was given: " (1)"
	 * was added, say, since there was such a file. Else, or if not known, "". It
	 * comes from the target, made safe to print and to use as a file's name. */
	char target_name[OW_NAME_MAX];
	uint64_t uploaded_bytes; /* sent to the relay, each byte counted once; of the
				  * ciphertext, which is a little longer, if encrypted */
	uint64_t repeated_bytes; /* sent again, because of loss */
	uint64_t kept_bytes;	 /* not sent: the relay had them of an upload that was cut off */
	double seconds;		 /* since open */
};

struct ow_sender;

/* Opens the data and a socket; nothing is sent before the first process().
 * Returns OW_OK, OW_INVALID or OW_FAILED. *out is a handle even after a
 * failure, for ow_sender_message() and ow_sender_close(); it is NULL only when
 * there was no memory. */
OW_API int ow_sender_open(const struct ow_send_options *options, struct ow_sender **out);
/* Readable when process() is due, for a datagram or by time, which it knows finer than
 * ow_sender_timeout() can say. The handle's own: do not close, wait for it to be readable
 * and nothing else. */
OW_API int ow_sender_fd(struct ow_sender *s);
/* Milliseconds after which process() is due even if fd is not readable; 0: at once. */
OW_API int ow_sender_timeout(const struct ow_sender *s);
/* Never blocks on the network; hashes or reads a few MiB at most. Returns
 * OW_AGAIN, OW_OK once the target confirmed and a relay has stored it, or the failure that
 * ended it. */
OW_API int ow_sender_process(struct ow_sender *s);
OW_API void ow_sender_result(const struct ow_sender *s, struct ow_send_result *result);
/* What went wrong and what to do about it; "" while nothing did. */
OW_API const char *ow_sender_message(const struct ow_sender *s);
/* NULL is allowed. */
OW_API void ow_sender_close(struct ow_sender *s);

/* All of the above in one call. result and message (OW_MESSAGE_MAX bytes) may
 * be NULL. Returns OW_OK or the failure. */
OW_API int ow_send(const struct ow_send_options *options, struct ow_send_result *result,
		   char *message);

/* ---- receiving ---- */

/* A file that arrived. Valid during the callback only. */
struct ow_file {
	const char *id;	     /* of what the relay delivered: the ciphertext, if encrypted */
	uint64_t bytes;	     /* length of the file */
	bool encrypted;	     /* until here: relays could not read it */
	const char *path;    /* where it is now: directory, "/", final name */
	const char *relay;   /* the relay that delivered it */
	const char *mime;    /* as the sender claims; "" if it does not */
	uint64_t kept_bytes; /* of what was delivered, not pulled: they were here, of a delivery
			      * that was cut off, or of another one at the same time */
};
typedef void ow_file_fn(void *ctx, const struct ow_file *file);
/* One line of text about something the user may want to act on. */
typedef void ow_warning_fn(void *ctx, const char *text);
/* One line of text about how it goes: where it listens, with which relays it is
 * registered. */
typedef void ow_notice_fn(void *ctx, const char *text);

struct ow_receive_options {
	/* Required. Files appear here under their final name once their
	 * identifier is verified, never before. A name from the network never
	 * leaves the directory and never replaces a file: "name (1).ext" is
	 * taken instead. Files are not flushed to the disk (fsync) before they
	 * are confirmed to the sender. */
	const char *directory;
	bool private_files; /* mode 0600; default: what the umask leaves of 0666 */
	const char *listen; /* local address; default: port 4871 of all addresses */
	/* The secret key that opens encrypted files sent to its public key; default:
	 * none, and encrypted files are declined. Plain ones are taken all the same. */
	const char *identity_file;

	/* Relays to keep a lease with: it says that they may send offers here, and
	 * keeps the way open through a NAT. Without, offers of any relay are taken. */
	const char *const *relays;
	size_t relay_count; /* up to 64 */
	/* Key file of a domain of these relays, as in ow_send_options; default: of
	 * none. Relays with domains keep leases with members only. Data is pulled
	 * without it from a relay that does not accept the key. */
	const char *domain_key_file;

	uint32_t count;	     /* finish after so many files; 0: never */
	uint32_t timeout_ms; /* ow_receive() only: 0: none */

	ow_file_fn *file;
	ow_warning_fn *warning;
	ow_notice_fn *notice;
	ow_progress_fn *progress;
	void *ctx; /* for the four */

	const volatile sig_atomic_t *stop; /* ow_receive() only, as in ow_send_options */
};

struct ow_receiver;

/* As ow_sender_open(). The socket is bound when it returns OW_OK. It takes up to 16,384 files at
 * once, if the process may have as many open (RLIMIT_NOFILE, which is left as it is); if not, those
 * too many wait, and a warning says so. */
OW_API int ow_receiver_open(const struct ow_receive_options *options, struct ow_receiver **out);
OW_API int ow_receiver_fd(struct ow_receiver *r);
OW_API int ow_receiver_timeout(const struct ow_receiver *r);
/* As ow_sender_process(). OW_OK: `count` files arrived, or ow_receiver_stop()
 * was called, and the relays know that nobody listens any more. After the last
 * file it stays for 1.5 to 5 seconds to repeat its confirmation if asked. */
OW_API int ow_receiver_process(struct ow_receiver *r);
/* Asks to end: no new delivery is taken, those under way are dropped, which their
 * sources are told, leases are given back; process() returns OW_OK within about a
 * second. */
OW_API void ow_receiver_stop(struct ow_receiver *r);
/* Deliveries that ow_receiver_stop() dropped. */
OW_API uint32_t ow_receiver_dropped(const struct ow_receiver *r);
/* Files that arrived and were verified. */
OW_API uint32_t ow_receiver_files(const struct ow_receiver *r);
OW_API const char *ow_receiver_message(const struct ow_receiver *r);
/* Removes what is incomplete. NULL is allowed. */
OW_API void ow_receiver_close(struct ow_receiver *r);

/* All of the above in one call. message (OW_MESSAGE_MAX bytes) may be NULL.
 * Returns OW_OK, OW_TIMEOUT, OW_STOPPED (without `count`, the only regular
 * end), OW_INVALID or OW_FAILED (also if it was stopped in the middle of a file). */
OW_API int ow_receive(const struct ow_receive_options *options, char *message);

#ifdef __cplusplus
}
#endif

#endif
