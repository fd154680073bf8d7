# SPDX-License-Identifier: BSD-3-Clause
"""Labs whose relays are less open than the common one: domains, proofs of possession."""

from tokens import Key

HIDDEN = 2000  # bytes up to which proof_lab hides hits

LEASES_PER_HOST = 64  # in closed_lab

# One domain for each limit, so that no test uses up what another one needs.
LIMITS = {
    "alpha": "",
    "beta": "",
    "blobs": "max_blobs = 1\n",
    "bytes": "max_bytes = 100000\n",
    "uploads": "max_uploads = 1\n",
    "requests": "max_requests = 2\n",
    "rate": "requests_per_second = 2\n",
    "ranges": "targets = 10.87.0.2/32, 192.0.2.0/24\n",
}


class Domain:
    """Generation 2 of its key is what members use, 1 is accepted still."""

    def __init__(self, folder, name, id):
        self.name = name
        self.id = id
        self.keys = [Key.make(id, generation) for generation in (2, 1)]
        self.key = self.keys[0]
        self.file = folder / f"{name}.key"
        self.file.touch(mode=0o600)
        self.file.write_text("".join(key.line for key in self.keys))
        self.option = ("--domain-key", self.file)

    def section(self, limits):
        return f"[domain {self.name}]\nkey_file = {self.file}\n{limits}"


def closed_lab(make_lab, folder):
    """A lab whose relays serve the domains only; they are in lab.domains by name."""
    domains = {name: Domain(folder, name, id) for id, name in enumerate(LIMITS, 1)}
    extra = folder / "domains.conf"
    extra.write_text("[store]\nat_limit = refuse\n"
                     f"[limits]\nmax_leases_per_host = {LEASES_PER_HOST}\n" +
                     "".join(domains[name].section(LIMITS[name]) for name in LIMITS))
    lab = make_lab(LAB_SLAB="256M", LAB_HUGEPAGES=0, LAB_EXTRA_PRIVATE=extra,
                   LAB_EXTRA_CENTRAL=extra)
    lab.domains = domains
    return lab


def proof_lab(make_lab, folder):
    extra = folder / "store.conf"
    extra.write_text(f"[store]\npossession = always\nhide_hits = {HIDDEN}\n")
    return make_lab(LAB_SLAB="256M", LAB_HUGEPAGES=0, LAB_EXTRA_PRIVATE=extra,
                    LAB_EXTRA_CENTRAL=extra)
