"""Lets a process of the tests connect to this machine only, and notes what else it tries."""

import os
import socket
from ipaddress import ip_address, ip_network

NOTES = "STGCN_TESTS_CONNECTIONS"  # the file for the notes of all processes of a test
CABLE = ip_network("10.231.7.0/24")  # between two network namespaces that a test makes here


def refuse() -> None:
    """Refuse, from now on, to connect to another machine and to look one up."""
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _within(getattr(socket.socket, name)))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr"):
        setattr(socket, name, _looking_up(getattr(socket, name)))


def _within(call):
    def guarded(self, *arguments):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check(arguments[-1][0])
        return call(self, *arguments)

    return guarded


def _looking_up(call):
    def guarded(host, *arguments, **options):
        _check(host)
        return call(host, *arguments, **options)

    return guarded


def _check(host) -> None:
    if not _here(host):
        with open(os.environ[NOTES], "a") as notes:
            notes.write(f"{host}\n")
        raise OSError(f"no test may connect to {host}")


def _here(host) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or address in CABLE
