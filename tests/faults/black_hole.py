"""A network in which packets can be made to vanish without a word, where this computer allows that."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


class BlackHole:
    """A name space with an address of its own, reached over a pair of virtual network cards."""

    def __init__(self, name: str, address: str) -> None:
        self.address = address
        self.wrapper = ("ip", "netns", "exec", name)
        self._name = name

    def open(self) -> None:
        """Let every packet vanish from now on, both ways; no connection is told."""
        for chain in ("input", "output"):
            _run(*self.wrapper, "nft", "add", "rule", "inet", "hole", chain, "drop")


@contextmanager
def black_hole() -> Iterator[BlackHole | None]:
    """Make such a network, or give None where rights or tools are missing."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft"):
        yield None
        return
    mark = os.getpid() % 10_000
    name, ours, theirs = f"recmon{mark}", f"rma{mark}", f"rmb{mark}"
    net = f"198.18.{mark % 250}"
    try:
        try:
            _run("ip", "netns", "add", name)
            _run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
            _run("ip", "addr", "add", f"{net}.1/24", "dev", ours)
            _run("ip", "link", "set", ours, "up")
            inside = ("ip", "netns", "exec", name)
            _run(*inside, "ip", "addr", "add", f"{net}.2/24", "dev", theirs)
            _run(*inside, "ip", "link", "set", theirs, "up")
            _run(*inside, "ip", "link", "set", "lo", "up")
            _run(*inside, "nft", "add", "table", "inet", "hole")
            for chain in ("input", "output"):
                hook = f"{{ type filter hook {chain} priority 0 ; }}"
                _run(*inside, "nft", "add", "chain", "inet", "hole", chain, hook)
        except subprocess.CalledProcessError:
            yield None
        else:
            yield BlackHole(name, f"{net}.2")
    finally:
        subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
