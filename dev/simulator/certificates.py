"""The simulator's certificate authority, and one certificate for all simulated hosts."""

import ssl
from collections.abc import Iterable
from pathlib import Path

import trustme

CA_FILE = "ca.pem"
KEY_FILE = "ca.key"


def server_context(directory: Path, hosts: Iterable[str]) -> ssl.SSLContext:
    """Make a TLS context for the hosts and write the authority's certificate to `ca.pem`.

    An authority already in the directory is reused, so that clients still trust a restarted
    simulator.
    """
    authority = _authority(directory)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert(*sorted(hosts)).configure_cert(context)
    return context


def _authority(directory: Path) -> trustme.CA:
    certificate, key = directory / CA_FILE, directory / KEY_FILE
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="Simulated Garmin")
    directory.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    authority.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(certificate)
    return authority
