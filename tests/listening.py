"""Which sockets processes of this machine listen on (Linux)."""

import os
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

LISTENING = "0A"


def listening() -> dict[str, tuple[IPv4Address | IPv6Address, int]]:
    """Inode -> address and port of every TCP socket that listens."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING:
                address, port = words[1].split(":")
                # words of four bytes, each in this machine's order
                raw = b"".join(
                    bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)
                )
                found[words[9]] = ip_address(raw), int(port, 16)
    return found


def of_processes(pids: list[int]) -> set[tuple[IPv4Address | IPv6Address, int]]:
    """Address and port of the TCP sockets that any of some processes listens on."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):  # closed meanwhile
                inodes.add(os.readlink(entry).removeprefix("socket:[").removesuffix("]"))
    return {where for inode, where in listening().items() if inode in inodes}
