/* SPDX-License-Identifier: BSD-3-Clause
 * How sending ended: the failures in words, and the outcome.
 */
#include "client/lib/clock.h"
#include "client/lib/sender.h"

#define SILENT_AFTER (5 * SECOND)

static bool status_seen(const struct ow_sender *s, uint8_t code)
{
	return s->seen & 1U << code;
}

int sender_changed(struct ow_sender *s)
{
	return fault_set(&s->fault, OW_CHANGED,
			 "the file was changed while it was being sent; send it again when "
			 "nothing writes to it");
}

int sender_unreadable(struct ow_sender *s, int error)
{
	if (input_changed(&s->blob))
		return sender_changed(s);
	return fault_set(&s->fault, OW_FAILED, "cannot read the file: %s", strerror(error));
}

int sender_unreachable(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX], named[ADDR_TEXT_MAX], member[MEMBER_TEXT_MAX];
	const struct member *m = s->relay.member;
	int error = s->udp.error;

	addr_text(&s->relay.asked, relay);
	if (s->relay.named.type != ADDR_NONE)
		return fault_set(&s->fault, OW_UNREACHABLE,
				 "relay %s names itself %s, but there nothing answers; check "
				 "[relay] listen there, and that UDP to that address is allowed",
				 relay, addr_text(&s->relay.named, named));
	return fault_set(&s->fault, OW_UNREACHABLE,
			 "relay %s does not answer%s%s%s; check the address, that oncewired runs "
			 "there and that UDP to it is allowed; in a container or virtual machine "
			 "of the relay's host, `ethtool -K IF tx off`%s%s",
			 relay, error != 0 ? " (" : "", error != 0 ? strerror(error) : "",
			 error != 0 ? ")" : "",
			 m != NULL ? "; it is also silent if it does not know the key: " : "",
			 m != NULL ? member_text(m, member) : "");
}

int sender_no_family(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX];

	return fault_set(&s->fault, OW_INVALID,
			 "the target has no IPv%u address, and relay %s can send to no other; use "
			 "another relay, or another address of the target",
			 s->relay.addr.type, addr_text(&s->relay.addr, relay));
}

int sender_too_long(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX];

	return fault_set(
		&s->fault, OW_REFUSED,
		"the file, %llu bytes, is larger than relay %s takes, %u MiB; split it, or "
		"raise [store] max_blob and slab_size there",
		(unsigned long long)s->blob.file_length, addr_text(&s->relay.asked, relay),
		s->relay.longest);
}

int sender_foreign(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX];

	return fault_set(&s->fault, OW_UNREACHABLE,
			 "relay %s speaks version %u of the protocol and not %u, as we do; "
			 "upgrade the older of the two",
			 addr_text(&s->relay.asked, relay), s->relay.foreign, WIRE_VERSION);
}

int sender_misnamed(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX];
	const char *is = s->relay.central ? "central" : "private";

	return fault_set(&s->fault, OW_INVALID,
			 "relay %s is a %s relay, but was given as the %s one; give it as the %s "
			 "one, or correct the address",
			 addr_text(&s->relay.asked, relay), is,
			 s->relay.central ? "private" : "central", is);
}

int sender_refused(struct ow_sender *s, uint8_t reason)
{
	const char *remedy = "";

	if (reason >= REFUSE_COUNT)
		return fault_set(&s->fault, OW_REFUSED,
				 "refused for reason %u, which this version does not know; "
				 "upgrade it",
				 reason);
	if (reason == REFUSE_MEMBERS_ONLY)
		remedy = s->relay.member == NULL ? "; give the key of a domain: --domain-key FILE"
						 : "; give the key of a domain it serves";
	return fault_set(&s->fault, OW_REFUSED, "refused: %s%s", refuse_text(reason), remedy);
}

int sender_key_refused(struct ow_sender *s)
{
	char relay[ADDR_TEXT_MAX], member[MEMBER_TEXT_MAX];

	if (s->relay.member == NULL)
		return sender_refused(s, REFUSE_MEMBERS_ONLY);
	return fault_set(&s->fault, OW_REFUSED,
			 "relay %s does not accept %s any more; get the domain's newer key file",
			 addr_text(&s->relay.addr, relay), member_text(s->relay.member, member));
}

int sender_unkept(struct ow_sender *s, uint8_t reason)
{
	char relay[ADDR_TEXT_MAX];

	addr_text(&s->relay.addr, relay);
	if (reason == REFUSE_NONE)
		return fault_set(
			&s->fault, OW_UNKEPT,
			"delivered, but relay %s did not say in time that it stored it; who "
			"sends it next may have to upload it",
			relay);
	return fault_set(&s->fault, OW_UNKEPT,
			 "delivered, but relay %s did not keep it: %s; who sends it next uploads "
			 "it",
			 relay, refuse_text(reason));
}

/* As far as is known. */
static bool relay_silent(const struct ow_sender *s, uint64_t now)
{
	return s->relay.asking && now - s->relay.heard >= SILENT_AFTER;
}

int sender_late(struct ow_sender *s, uint64_t now)
{
	char relay[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];
	double seconds = (double)(now - (now >= s->limit ? s->opened : s->moved)) / SECOND;

	if (s->hash != NULL)
		return fault_set(&s->fault, OW_UNCONFIRMED,
				 "hashing was not finished after %.3g s; allow more time", seconds);
	if (s->delivered)
		return sender_unkept(s, REFUSE_NONE);
	addr_text(&s->relay.addr, relay);
	if (s->seen == 0 && s->busy_until != 0)
		return fault_set(&s->fault, OW_REFUSED,
				 "relay %s was too busy for %.3g s; try again later", relay,
				 seconds);
	if (!s->relay.known || s->seen == 0 || relay_silent(s, now))
		return sender_unreachable(s);
	if (s->newest == STATUS_REFUSED)
		return sender_refused(s, s->obstacle);
	addr_text(&s->target, target);
	if (s->newest == STATUS_WAITING)
		return fault_set(&s->fault, OW_UNCONFIRMED,
				 "after %.3g s relay %s was still waiting for another source that "
				 "uploads the same data; allow more time",
				 seconds, relay);
	if (s->newest == STATUS_UPLOAD)
		return fault_set(&s->fault, OW_UNCONFIRMED,
				 now >= s->limit ? "the upload to relay %s was not finished after "
						   "%.3g s; allow more time"
						 : "relay %s asked for no more of the upload for "
						   "%.3g s; allow more time",
				 relay, seconds);
	if (s->newest == STATUS_CHALLENGE)
		return fault_set(&s->fault, OW_UNCONFIRMED,
				 "relay %s did not take the proof that we have the file within "
				 "%.3g s; allow more time",
				 relay, seconds);
	return fault_set(&s->fault, OW_UNCONFIRMED,
			 "target %s did not confirm within %.3g s; check that `oncewire recv` runs "
			 "there and that relay %s reaches it",
			 target, seconds, relay);
}

/* Statuses may be lost; what was uploaded is known for certain. A blob of no
 * bytes has no upload, but a relay that stored it says so. */
int sender_outcome(const struct ow_sender *s)
{
	bool uploaded = s->upload.distinct > 0 ||
			(s->blob.length == 0 &&
			 (status_seen(s, STATUS_STORED) || status_seen(s, STATUS_UPLOAD)));

	if (!s->delivered)
		return OW_NONE;
	if (s->via == OW_VIA_CENTRAL)
		return uploaded ? OW_UPLOADED_CENTRAL : OW_DIRECT_HIT;
	if (uploaded)
		return OW_UPLOADED_PRIVATE;
	return status_seen(s, STATUS_SERVING_CENTRAL) ? OW_CENTRAL_HIT : OW_PRIVATE_HIT;
}

const char *ow_outcome_name(int value)
{
	static const char *const names[] = {
		[OW_PRIVATE_HIT] = "private-hit",	    [OW_CENTRAL_HIT] = "central-hit",
		[OW_UPLOADED_PRIVATE] = "uploaded-private", [OW_DIRECT_HIT] = "direct-hit",
		[OW_UPLOADED_CENTRAL] = "uploaded-central",
	};

	return value > 0 && value < (int)(sizeof(names) / sizeof(names[0])) ? names[value] : NULL;
}
