# SPDX-License-Identifier: BSD-3-Clause
"""Small disks under a relay's store, and what happens to disks."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess

EXT4_IOC_SHUTDOWN = 0x8004587D  # linux/fs/ext4/ext4.h: _IOR('X', 125, __u32)
NO_LOG_FLUSH = (2).to_bytes(4, "little")  # EXT4_GOING_FLAGS_NOLOGFLUSH: as when power goes


def run(*argv):
    subprocess.run([str(word) for word in argv], check=True, capture_output=True)


class Volume:
    """A file system of its own for the store of a relay, which is restarted on it and starts
    with nothing. At the end the relay has its folder again, and nothing in it."""

    def __init__(self, lab, role, image=None, size="64M"):
        """image: where an ext4 is to be made; without one it is a tmpfs."""
        self.lab, self.role, self.image, self.size = lab, role, image, size
        self.path = lab.stores / role
        self.ballast = self.path / "ballast"
        self.losses = 0  # of power

    def views(self):
        """What to put before a command so that it sees the mounts of this host, and those of
        a relay that runs, which are its own."""
        pid = self.lab.daemon_pid(self.role)
        return [[], ["nsenter", "-t", pid, "-m"]] if pid else [[]]

    def mount(self):
        for view in self.views():
            if self.image:
                run(*view, "mount", "-o", "loop,commit=300", self.image, self.path)
            else:
                run(*view, "mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", self.path)

    def unmount(self):
        for view in self.views():
            run(*view, "umount", "--lazy", self.path)

    def __enter__(self):
        self.lab.stop_relay(self.role)
        owner = self.path.stat()
        shutil.rmtree(self.path)
        self.path.mkdir()
        if self.image:
            run("truncate", "-s", self.size, self.image)
            run("mkfs.ext4", "-q", self.image)
        self.mount()
        os.chown(self.path, owner.st_uid, owner.st_gid)
        self.path.chmod(0o700)
        self.lab.start_relay(self.role)
        return self

    def __exit__(self, *_):
        if self.lab.daemon_pid(self.role):
            self.lab.stop_relay(self.role, signal.SIGKILL)
        self.unmount()
        shutil.rmtree(self.path)
        self.lab.start_relay(self.role)

    # ---- what happens to it ----

    def fill(self, but=0):
        """Somebody else writes to it, until so many bytes are free."""
        free = os.statvfs(self.path)
        left = free.f_bavail * free.f_frsize - but
        with open(self.ballast, "ab") as file:
            with contextlib.suppress(OSError):
                while left > 0:
                    left -= file.write(bytes(min(left, 1 << 20)))
                    file.flush()

    def remount(self, how):
        """ro or rw; what is in use for writing cannot become ro."""
        for view in self.views():
            run(*view, "mount", "-o", f"remount,{how}", self.path)

    def free(self):
        self.ballast.unlink()

    def power_off(self):
        """Of what was not flushed nothing comes to the disk, and all that is done from now on
        fails."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def power_on(self):
        """What came to the disk is there again, as a disk of its own: the old one may be in
        use still, by whoever took over this host's mounts."""
        self.unmount()
        self.losses += 1
        again = self.image.with_suffix(f".{self.losses}")
        run("cp", "--sparse=always", self.image, again)
        self.image.unlink()
        self.image = again
        self.mount()
