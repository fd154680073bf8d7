/* SPDX-License-Identifier: BSD-3-Clause
 * Who may: the domains this relay serves and the pairs it belongs to, with
 * their keys. Built whole by control, published by one pointer, never changed;
 * a reload publishes a new one and frees the old after a grace period.
 */
#ifndef DATAPLANE_KEYRING_H
#define DATAPLANE_KEYRING_H

#include "dataplane/budget.h"
#include "dataplane/policy.h"
#include "store/index.h"
#include "wire/keyfile.h"

#define KEYRING_DOMAINS 1024 /* slots, also of statistics */
#define DOMAIN_OPEN 0	     /* id of the domain of those who belong to none */

struct domain {
	uint32_t id;   /* 0: everybody, on a relay without domains */
	uint16_t slot; /* below KEYRING_DOMAINS; stays with the id over reloads */
	bool limited;  /* `targets` names all it may send to, special-use or not */
	uint32_t key_count;
	uint32_t field[KEY_SET_GENERATIONS]; /* header's key: id << 8 | generation */
	struct domain_keys keys[KEY_SET_GENERATIONS];
	struct index_pad pad[RULE_COUNT];
	struct rate sends; /* of all its members; a bucket in struct relay has the state */
	struct policy targets;
	/* control's: what of the relay it may use; 0: no limit */
	uint64_t max_bytes;
	uint32_t max_blobs;
	uint32_t keep_seconds;
	uint32_t max_uploads;  /* at once */
	uint32_t max_requests; /* waiting for an upload or for central, at once */
};

struct pair {
	uint32_t field; /* header's key */
	uint8_t key[PAIR_KEY_SIZE];
};

struct keyring {
	bool open;	       /* no domains: domain[0] is DOMAIN_OPEN */
	struct policy policy;  /* targets of domains that are not `limited` */
	uint32_t domain_count; /* at least 1 */
	uint32_t pair_count;   /* keys, generations counted each */
	struct pair *pair;
	struct domain domain[]; /* ascending by id */
};

/* With room for so many; NULL: no memory. */
struct keyring *keyring_alloc(uint32_t domains, uint32_t pairs);
void keyring_free(struct keyring *k);

/* NULL: no such domain. */
const struct domain *keyring_domain(const struct keyring *k, uint32_t id);
/* The domain and keys of a frame's key field; NULL if either is unknown. Field
 * 0 finds DOMAIN_OPEN, with *keys NULL, only where `open`. */
const struct domain *keyring_find(const struct keyring *k, uint32_t field,
				  const struct domain_keys **keys);
/* May the domain's members have data sent there? */
bool keyring_allows(const struct keyring *k, const struct domain *d, const struct addr *target);
/* Signs a finished frame of `len` bytes, with room for the trailer behind it,
 * for the member that a key field and conn name; field 0 leaves it as it is.
 * Returns the new length; 0 if the key is not known (any more). */
size_t keyring_sign(const struct keyring *k, uint32_t field, uint64_t conn,
		    const struct addr *member, uint8_t *buf, size_t len);
/* The key of a pair's frame; NULL: no such pair or generation. */
const struct pair *keyring_pair(const struct keyring *k, uint32_t field);

#endif
