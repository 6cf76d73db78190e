"""Secret and signing keys in files, and files that are on the disk when the call returns.

Not a key store: whoever can read a key file has the key. Ed25519 (RFC 8032) by `cryptography`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from privacy.errors import BadRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key. `public` is its public half, in hex."""

    private: Ed25519PrivateKey
    public: str

    def sign(self, data: bytes) -> str:
        """The signature of `data`, in hex."""
        return self.private.sign(data).hex()

    def save(self, path: Path) -> None:
        """Writes the key, readable by its owner alone."""
        durable_write(path, self.private.private_bytes_raw().hex().encode() + b"\n")


def secret_key(path: Path, *, made: Iterable[Path] = ()) -> bytes:
    """The 32 secret bytes in a file, made at first use; processes that race for it get the same ones.

    `made`: files that were made with it. Where there is one, a missing key was lost, and no other takes its place.

    Raises:
        BadRequest: the file holds no key, or the key was lost.
    """
    witness = next(iter(made), None)  # looked for first: whoever makes such a file has the key before
    if not path.exists():
        if witness is not None:
            raise BadRequest(
                f"{path} is missing, and {witness} was made with it.",
                hint="Restore it from a backup. With a new one in its place (64 hexadecimal digits) nobody of before "
                "would be recognised.",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        durable_write(fresh, secrets.token_hex(32).encode() + b"\n")
        try:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink()
        _sync_folder(path.parent)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) < 32:
        raise BadRequest(f"{path} holds no key.", hint="Restore it from a backup.")
    return key


def new_signer() -> Signer:
    """A fresh key, not yet on the disk."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _signer(Ed25519PrivateKey.generate())


def load_signer(path: Path) -> Signer:
    """The key in a file that `Signer.save` wrote.

    Raises:
        FileNotFoundError: there is none.
        BadRequest: the file holds no key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        return _signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip())))
    except ValueError as error:
        raise BadRequest(f"{path} holds no signing key.", hint="Restore it from a backup.") from error


def is_signed(public: str, signature: str, data: bytes) -> bool:
    """Whether `signature` (hex) of `data` was made with the key whose public half is `public` (hex)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def durable_write(path: Path, data: bytes) -> None:
    """Replaces a file in one step; after a power cut it is the old one or the new one, whole. Mode 600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename in the folder durable; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _signer(private: Ed25519PrivateKey) -> Signer:
    return Signer(private, private.public_key().public_bytes_raw().hex())
