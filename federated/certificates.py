"""The coordinator's TLS: an authority of its own, and certificates by it.

A partner pins the authority with its invitation, so a certificate can be renewed without a word to anybody.
What is not here: who takes part (`enrol.py`). X.509 (RFC 5280) by `cryptography`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federated.errors import BadRequest
from privacy.keys import durable_write

_DAY = dt.timedelta(days=1)
_CURVE = ec.SECP384R1
_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Confide federation")])


def make_authority(folder: Path, hosts: tuple[str, ...], *, days: int = 365) -> None:
    """Writes `ca.pem`, `server.pem` and their keys: TLS for these host names and addresses.

    Raises:
        BadRequest: the folder has an authority already; a new one would lock every partner out.
    """
    if (folder / "ca.pem").exists():
        raise BadRequest(f"{folder} has an authority already.", hint="Remove the folder to begin a new federation.")
    key = ec.generate_private_key(_CURVE())
    ca = (
        _certificate(_AUTHORITY, _AUTHORITY, key.public_key(), days=10 * days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA384())
    )
    durable_write(folder / "ca.key", _pem(key))
    make_certificate(folder, key, hosts, days=days)
    durable_write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM))


def make_certificate(
    folder: Path, authority: ec.EllipticCurvePrivateKey, hosts: tuple[str, ...], *, days: int = 365
) -> None:
    """Writes a new `server.pem` and its key. Partners trust it as they trust the authority."""
    key = ec.generate_private_key(_CURVE())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    server = (
        _certificate(subject, _AUTHORITY, key.public_key(), days=days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA384())
    )
    durable_write(folder / "server.key", _pem(key))
    durable_write(folder / "server.pem", server.public_bytes(serialization.Encoding.PEM))


def renew_certificate(folder: Path, hosts: tuple[str, ...], *, days: int = 365) -> dt.datetime:
    """A new certificate by the folder's own authority, and when it runs out.

    Raises:
        BadRequest: there is no authority, or its key is damaged.
    """
    try:
        authority = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        assert isinstance(authority, ec.EllipticCurvePrivateKey)
    except (OSError, ValueError, AssertionError) as error:
        raise BadRequest(
            f"{folder} holds no authority: {error}.", hint="Restore ca.key from where you keep it safe."
        ) from error
    make_certificate(folder, authority, hosts, days=days)
    return x509.load_pem_x509_certificate((folder / "server.pem").read_bytes()).not_valid_after_utc


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int) -> Any:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + days * _DAY)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
