/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "control/config/options.h"
#include "dataplane/upload_slot.h"
#include "store/index.h"
#include "store/store.h"

#define KEY(s, t, n) .section = SECTION_##s, .type = TYPE_##t, .name = n
#define FIELD(f) .offset = offsetof(struct config, f), .size = sizeof(((struct config *)0)->f)
#define PEER_FIELD(f) \
	.offset = offsetof(struct peer_config, f), .size = sizeof(((struct peer_config *)0)->f)
#define DOMAIN_FIELD(f) \
	.offset = offsetof(struct domain_config, f), .size = sizeof(((struct domain_config *)0)->f)

const struct config_section_info config_sections[] = {
	[SECTION_RELAY] = {"relay", "relay", false, false, "What this relay is and where it runs."},
	[SECTION_STORE] = {"store", "store", false, false, "Where blobs lie."},
	[SECTION_LIMITS] = {"limits", "limits", false, false,
			    "What is bounded, so that no stranger can use the relay up."},
	[SECTION_TARGETS] = {"targets", "targets", false, false, "Where blobs may be sent."},
	[SECTION_DOMAIN] = {"domain", "domain first", false, true,
			    "Who may use this relay: those who have a domain's key, each domain "
			    "for itself; one section each, with a name of your own. Without any, "
			    "everybody may."},
	[SECTION_UPSTREAM] = {"upstream", "upstream", true, false,
			      "role = private only: the central relay that is asked when a blob is "
			      "not here. Without this section none is asked."},
	[SECTION_PEER] = {"peer", "peer edge-1", true, true,
			  "role = central only: a private relay that may ask; one section each, "
			  "with a name of your own."},
};

const struct config_key config_keys[] = {
	{KEY(RELAY, CHOICE, "role"), .required = true, FIELD(role), .example = "private",
	 .words = "private|central", .min = ROLE_PRIVATE,
	 .help = "private: the edge on the sources' side, which may ask a central relay. central: "
		 "the one that private relays ask."},
	{KEY(RELAY, LABEL, "instance"), FIELD(instance), .example = "private",
	 .help = "Tells relays of one host apart: in the names of sockets and of DPDK's files. "
		 "Default: the role."},
	{KEY(RELAY, LISTEN, "listen"), .required = true, FIELD(listen), .example = "192.0.2.1:4870",
	 .help = "The address and UDP port of this relay, or one of each IP version: 192.0.2.1, "
		 "2001:db8::1. The port is 4870 when it is left out; IPv6 with a port is written "
		 "[2001:db8::1]:4870."},
	{KEY(RELAY, PORT, "port"), .required = true, FIELD(port), .example = "af_xdp:eth0",
	 .help = "The network port: af_xdp:IFNAME for an interface of the kernel, which keeps all "
		 "other traffic; vdev:ARGS for a DPDK virtual device."},
	{KEY(RELAY, PATH, "xdp_program"), FIELD(xdp_program),
	 .example = "/usr/lib/oncewire/steer.bpf.o",
	 .help = "The XDP program that steers this relay's UDP port to it. Default: the one that "
		 "was installed with oncewired."},
	{KEY(RELAY, MAC, "gateway_mac"), FIELD(gateway_mac), .example = "02:00:00:00:00:01",
	 .help = "vdev ports without an interface of the kernel only: the Ethernet address that "
		 "frames go to which answer none (offers, queries, requests for uploads). "
		 "Default: to where the last frame of that host came from, and nowhere before "
		 "there was one."},
	{KEY(RELAY, CHOICE, "unfinished_checksums"), FIELD(unfinished_checksums), .value = "accept",
	 .words = "drop|accept", .min = 0,
	 .help = "Frames whose UDP checksum nobody finished, which is what containers and virtual "
		 "machines of this host send. accept: such a frame crossed no wire that could "
		 "have damaged it. drop: they are lost, and the sender needs `ethtool -K IF tx "
		 "off`."},
	{KEY(RELAY, COUNT, "workers"), FIELD(workers), .value = "1", .min = 1,
	 .max = CONFIG_WORKERS,
	 .help = "Worker threads, each with a queue of the port and, at best, a CPU of its own."},
	{KEY(RELAY, CPU, "control_cpu"), FIELD(control_cpu), .value = "any",
	 .help = "The CPU of the control thread: a number, or any."},
	{KEY(RELAY, CPUS, "worker_cpus"), FIELD(worker_cpus), .value = "any",
	 .help = "The CPUs of the workers, as 2,3 or 2-5: one a worker; or any."},
	{KEY(RELAY, CHOICE, "idle"), FIELD(idle), .value = "adaptive", .words = "adaptive|spin",
	 .min = IDLE_ADAPTIVE,
	 .help = "What a worker without traffic does. adaptive: go to sleep in steps. spin: poll "
		 "on, for the lowest delay, and use its CPU up."},
	{KEY(RELAY, PATH, "master_key_file"), .required = true, .live = true,
	 FIELD(master_key_file), .example = "/etc/oncewire/master.key",
	 .help = "The key of this relay's group, from which its tokens are made, in a file that "
		 "its owner alone may read (mode 0600). Make it with: oncewire keygen master "
		 "FILE"},
	{KEY(RELAY, PATH, "admin_socket"), FIELD(admin_socket),
	 .example = "/run/oncewire/private.sock",
	 .help = "Where `oncewire status` finds the relay. Default: /run/oncewire/INSTANCE.sock."},
	{KEY(RELAY, LABEL, "admin_group"), FIELD(admin_group), .example = "adm",
	 .help = "The group that may use the admin socket, besides root and user. Default: the "
		 "group of user."},
	{KEY(RELAY, LABEL, "user"), FIELD(user), .value = "oncewire",
	 .help = "Whom the relay runs as once it has started as root; it keeps no more than the "
		 "capabilities that its port needs. root: it stays root, which is unwise."},
	{KEY(RELAY, CHOICE, "hugepages"), FIELD(hugepages), .value = "auto", .words = "off|auto",
	 .min = 0,
	 .help = "auto: hugepages when there are some, ordinary pages and a warning otherwise. "
		 "off: ordinary pages."},
	{KEY(RELAY, CHOICE, "zero_copy"), FIELD(zero_copy), .value = "auto", .words = "off|auto",
	 .min = 0,
	 .help = "auto: on ports that can, large frames leave from where their blob lies. off: "
		 "they are copied."},
	{KEY(RELAY, CHOICE, "deliver"), FIELD(stream), .value = "streaming",
	 .words = "stored|streaming", .min = 0,
	 .help = "When a target is offered what is being uploaded. streaming: as soon as the "
		 "upload has begun; it shows no file before all of it is verified. stored: when "
		 "the relay has verified and stored it."},
	{KEY(RELAY, COUNT, "packet_buffers"), FIELD(packet_buffers), .value = "24576", .min = 1024,
	 .max = 1048576, .help = "Packet buffers of each worker, of 4 KB each."},
	{KEY(RELAY, WORD, "log_level"), FIELD(log_level), .value = "warning",
	 .words = "error|warning|info|debug", .help = "How much DPDK and its drivers log."},

	{KEY(STORE, CHOICE, "engine"), FIELD(engine), .value = "rocksdb", .words = "rocksdb|memory",
	 .min = ENGINE_ROCKSDB,
	 .help = "Where blobs are kept. rocksdb: in the folder `path`, of which slab_size of "
		 "memory holds what is asked for most. memory: there alone, so a restart empties "
		 "the store."},
	{KEY(STORE, PATH, "path"), FIELD(store_path), .example = "/var/lib/oncewire/private",
	 .help = "engine = rocksdb: the folder, of this relay alone; it is made if it is not "
		 "there. Default: /var/lib/oncewire/ and the instance."},
	{KEY(STORE, CHOICE, "sync"), FIELD(sync), .value = "group", .words = "group|always|os",
	 .min = STORE_SYNC_GROUP,
	 .help = "engine = rocksdb: when a source is told that its blob is stored. group: once it "
		 "is on disk; blobs that come together share one flush. always: likewise, each "
		 "with a flush of its own. Neither loses what was reported. os: once the kernel "
		 "has it; a crash of the relay loses nothing, a loss of power the last half "
		 "minute."},
	{KEY(STORE, COUNT, "io_threads"), FIELD(io_threads), .value = "4", .min = 1, .max = 64,
	 .help = "engine = rocksdb: threads that read and write."},
	{KEY(STORE, BYTES, "slab_size"), FIELD(slab_size), .automatic = true, .value = "auto",
	 .min = UINT64_C(1) << 20, .max = UINT64_C(1) << 46,
	 .help = "Memory for blobs: bytes, or with K, M, G or T (of 1024, also KiB and so on) "
		 "behind the number. auto: a quarter of the host's memory without its hugepages, "
		 "or of the cgroup's. The start says what that is."},
	{KEY(STORE, BYTES, "max_blob"), FIELD(max_blob), .automatic = true, .value = "auto",
	 .min = 1, .max = BLOB_MAX_LENGTH,
	 .help = "The longest blob that is taken. auto: 64G, or (engine = memory) what fits in "
		 "slab_size, of which 1.6 percent goes to checksums."},
	{KEY(STORE, COUNT, "slab_blobs"), FIELD(slab_blobs), .automatic = true, .value = "auto",
	 .min = 1, .max = INDEX_MAX_ENTRIES,
	 .help = "How many blobs in memory at once, a longer one counting for each 756 KiB of it; "
		 "about 250 bytes of memory each. auto: one for each 8 KiB of slab_size, and 65536 "
		 "at least."},
	{KEY(STORE, BYTES, "max_bytes"), .live = true, FIELD(max_bytes), .value = "0", .min = 0,
	 .max = UINT64_C(1) << 46,
	 .help = "engine = rocksdb: bytes of blobs that are kept, in all; 0: no limit but the "
		 "disk's. The folder takes up to a third and 1 GiB more."},
	{KEY(STORE, COUNT, "max_blobs"), .live = true, FIELD(max_blobs), .value = "0", .min = 0,
	 .max = UINT32_MAX, .help = "engine = rocksdb: how many blobs are kept; 0: no limit."},
	{KEY(STORE, COUNT, "keep_seconds"), .live = true, FIELD(keep_seconds), .value = "0",
	 .min = 0, .max = UINT32_MAX,
	 .help = "How long a blob is kept after it was stored; 0: as long as there is room."},
	{KEY(STORE, BYTES, "min_free"), .live = true, FIELD(min_free), .value = "1G", .min = 0,
	 .max = UINT64_C(1) << 46,
	 .help = "engine = rocksdb: bytes of the disk that stay free. Once half of it is used "
		 "up, nothing is taken until there is room again."},
	{KEY(STORE, CHOICE, "at_limit"), .live = true, FIELD(at_limit), .value = "oldest",
	 .words = "oldest|refuse", .min = AT_LIMIT_OLDEST,
	 .help = "What happens at a limit, of the store, of a domain or of the disk. oldest: the "
		 "oldest blobs go, of the domain if it is the domain's. refuse: new ones are "
		 "refused."},
	{KEY(STORE, RULES, "rules"), FIELD(rules), .value = "sha256",
	 .help = "The rules by which identifiers may be computed: sha256, xxh3, or both, as "
		 "sha256,xxh3. xxh3 is faster and anyone can forge it: closed networks only."},
	{KEY(STORE, CHOICE, "possession"), FIELD(possession), .value = "off", .words = "off|always",
	 .min = 0,
	 .help = "always: on a hit the source must prove that it holds the blob, which costs it a "
		 "round trip and a few reads. off: who knows the identifier may have the blob "
		 "sent."},
	{KEY(STORE, BYTES, "hide_hits"), FIELD(hide_hits), .value = "0", .min = 0,
	 .max = BLOB_MAX_LENGTH,
	 .help = "A blob of up to so many bytes is uploaded each time, so that nobody learns "
		 "from a hit that somebody has it."},

	{KEY(LIMITS, COUNT, "max_uploads"), FIELD(max_uploads), .value = "1024", .min = 1,
	 .max = UPLOAD_SLOTS, .help = "Uploads at once."},
	{KEY(LIMITS, COUNT, "max_uploads_per_source"), FIELD(max_uploads_per_source), .value = "64",
	 .min = 1, .max = UPLOAD_SLOTS, .help = "Uploads at once from one source."},
	{KEY(LIMITS, COUNT, "parked_seconds"), FIELD(parked_seconds), .value = "900", .min = 0,
	 .max = 86400,
	 .help = "How long the relay keeps what came of an upload that was cut off, also by its "
		 "own end (engine = rocksdb), so that the next one goes on from there; 0: not at "
		 "all."},
	{KEY(LIMITS, COUNT, "parked_percent"), FIELD(parked_percent), .value = "10", .min = 1,
	 .max = 50,
	 .help = "Percent of the store that such may take: of slab_size (engine = memory), of "
		 "max_bytes or of the disk (engine = rocksdb)."},
	{KEY(LIMITS, COUNT, "max_waiters"), FIELD(max_waiters), .value = "4096", .min = 1,
	 .max = 1048576,
	 .help = "Requests that may wait for an upload or for the central relay's answer."},
	{KEY(LIMITS, COUNT, "max_waiters_per_source"), FIELD(max_waiters_per_source),
	 .value = "512", .min = 1, .max = 1048576, .help = "Of these, from one host."},
	{KEY(LIMITS, COUNT, "upload_credit"), FIELD(upload_credit), .value = "4096",
	 .min = PULL_MAX_CHUNKS, .max = 65536,
	 .help = "Chunks of 1152 bytes that may be under way to this relay, over all uploads."},
	{KEY(LIMITS, COUNT, "lease_seconds"), FIELD(lease_seconds), .value = "60", .min = 5,
	 .max = 3600, .help = "The longest a target's consent lasts before it must be renewed."},
	{KEY(LIMITS, COUNT, "max_leases"), FIELD(max_leases), .value = "65536", .min = 1,
	 .max = 16777216, .help = "Targets that may be registered at once."},
	{KEY(LIMITS, COUNT, "max_leases_per_host"), FIELD(max_leases_per_host), .value = "1024",
	 .min = 1, .max = 16777216,
	 .help = "Of these, at one host (behind one IPv4 address or in one IPv6 /64), those "
		 "withdrawn in the last ten minutes included."},
	{KEY(LIMITS, COUNT, "offers_per_target"), FIELD(offers_per_target), .value = "64", .min = 1,
	 .max = 1000000, .help = "Offers a second to one target that is not registered."},
	{KEY(LIMITS, BYTES, "rate_per_target"), FIELD(rate_per_target), .value = "1250M", .min = 0,
	 .max = UINT64_C(1) << 40,
	 .help = "Bytes of data a second to one address, ten gigabits by default; 0: no limit."},
	{KEY(LIMITS, COUNT, "strangers_per_source"), FIELD(strangers_per_source), .value = "500",
	 .min = 0, .max = 100000000,
	 .help = "Frames a second from one address (of IPv6: one /64) that are taken before their "
		 "sender has proved itself: first HELLOs, and noise. Twice as many at once. 0: no "
		 "limit."},
	{KEY(LIMITS, COUNT, "strangers"), FIELD(strangers), .value = "20000", .min = 0,
	 .max = 100000000, .help = "The same, from all addresses together; 0: no limit."},
	{KEY(LIMITS, COUNT, "control_per_source"), FIELD(control_per_source), .value = "2000",
	 .min = 0, .max = 100000000,
	 .help = "Requests a second from one address (of IPv6: one /64) that are more than a hit: "
		 "misses and registrations; 0: no limit."},
	{KEY(LIMITS, COUNT, "hash_threads"), FIELD(hash_threads), .value = "1", .min = 1, .max = 64,
	 .help = "Threads that compute the identifiers of uploads."},

	{KEY(TARGETS, RANGES, "allow"), .live = true, FIELD(targets),
	 .example = "10.0.0.0/8, 2001:db8::/32",
	 .help = "Special-use ranges (private, link-local, loopback and so on, RFC 6890) to which "
		 "blobs may be sent all the same, as prefixes; or special, for all of them. "
		 "Default: none. Public addresses are always allowed."},

	{KEY(DOMAIN, PATH, "key_file"), .required = true, .live = true, DOMAIN_FIELD(key_file),
	 .example = "/etc/oncewire/domain-1.key",
	 .help = "The domain's number and keys, the same at every relay and member. Make it with: "
		 "oncewire keygen domain FILE"},
	{KEY(DOMAIN, BYTES, "max_bytes"), .live = true, DOMAIN_FIELD(max_bytes), .value = "0",
	 .min = 0, .max = UINT64_C(1) << 46,
	 .help = "Bytes of its blobs in the store, in all; 0: no limit but the store's."},
	{KEY(DOMAIN, COUNT, "max_blobs"), .live = true, DOMAIN_FIELD(max_blobs), .value = "0",
	 .min = 0, .max = INDEX_MAX_ENTRIES,
	 .help = "How many blobs it may have in the store; 0: no limit but the store's."},
	{KEY(DOMAIN, COUNT, "keep_seconds"), .live = true, DOMAIN_FIELD(keep_seconds), .value = "0",
	 .min = 0, .max = UINT32_MAX,
	 .help = "How long a blob of it is kept; 0: as long as [store] says, which holds in any "
		 "case."},
	{KEY(DOMAIN, COUNT, "max_uploads"), .live = true, DOMAIN_FIELD(max_uploads), .value = "0",
	 .min = 0, .max = UPLOAD_SLOTS,
	 .help = "Its uploads at once; 0: no limit but the one in [limits]."},
	{KEY(DOMAIN, COUNT, "max_requests"), .live = true, DOMAIN_FIELD(max_requests), .value = "0",
	 .min = 0, .max = 1048576,
	 .help = "Its requests that may wait for an upload or for the central relay's answer; 0: "
		 "no limit but max_waiters."},
	{KEY(DOMAIN, COUNT, "requests_per_second"), .live = true, DOMAIN_FIELD(requests_per_second),
	 .value = "0", .min = 0, .max = 100000000,
	 .help = "Requests a second from all its members; 0: no limit."},
	{KEY(DOMAIN, RANGES, "targets"), .live = true, DOMAIN_FIELD(targets),
	 .example = "192.0.2.0/24, 10.1.0.0/16",
	 .help = "All the addresses it may send to, special-use ones included, as prefixes. "
		 "Default: public addresses, and what [targets] allow names."},

	{KEY(UPSTREAM, ADDRESS, "address"), .required = true, FIELD(upstream.addr),
	 .example = "192.0.2.2:4870", .help = "Where the central relay listens."},
	{KEY(UPSTREAM, PATH, "key_file"), .required = true, .live = true, FIELD(upstream.key_file),
	 .example = "/etc/oncewire/pair-1.key",
	 .help = "The number and keys of this pair, the same at both ends. Make it with: oncewire "
		 "keygen pair FILE"},
	{KEY(UPSTREAM, COUNT, "timeout_ms"), .live = true, FIELD(upstream_timeout_ms),
	 .value = "1000", .min = 50, .max = 60000,
	 .help = "Milliseconds after which an unanswered query counts as not found."},

	{KEY(PEER, PATH, "key_file"), .required = true, .live = true, PEER_FIELD(key_file),
	 .example = "/etc/oncewire/pair-1.key",
	 .help = "The number and keys of this pair, the same at both ends."},
	{KEY(PEER, ADDRESS, "address"), .live = true, PEER_FIELD(addr), .example = "192.0.2.1:4870",
	 .help = "Where it asks from. Default: anywhere, its key is proof enough."},
};

/* Writes text as comment lines of at most 80 columns. */
static void comment_print(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strlen(text);

		if (len > 78)
			for (len = 78; len > 1 && text[len] != ' '; len--)
				;
		fprintf(out, "# %.*s\n", (int)len, text);
		text += len;
		text += *text == ' ';
	}
}

void config_print_sample(FILE *out)
{
	comment_print(out,
		      "Configuration of oncewired: a sample with every key. A line that "
		      "starts with '#' is a comment, and so is what follows a blank and '#' or "
		      "';'; what stands in a comment without a blank "
		      "behind the '#' is a key with its default, or with an example where the "
		      "text names the default. `oncewired --check-config FILE` checks a file.");
	for (unsigned int s = 0; s < SECTION_COUNT; s++) {
		const struct config_section_info *info = &config_sections[s];

		fputc('\n', out);
		comment_print(out, info->help);
		fprintf(out, "%s[%s]\n", info->optional ? "#" : "", info->header);
		for (unsigned int i = 0; i < CONFIG_KEYS; i++) {
			const struct config_key *k = &config_keys[i];

			if (k->section != s)
				continue;
			fputc('\n', out);
			comment_print(out, k->help);
			fprintf(out, "%s%s = %s\n", k->required && !info->optional ? "" : "#",
				k->name, k->value ? k->value : k->example);
		}
	}
}
