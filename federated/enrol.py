"""Who takes part: keys, invitations, and the list of enrolled partners.

The coordinator's folder holds an authority for TLS (`certificates.py`), its signing key and the
roster. A partner's folder holds three private keys that never leave it: Ed25519 signs its updates,
X25519 makes its masks, EC P-384 identifies its node to Flower. An invitation is a file with the
coordinator's address, its authority and a token that works once; the partner answers with a card
that proves the token and every key. Both files go by any channel; the fingerprint is compared by
telephone. Revocation is a mark on the roster, in force with the next message.

What is not here: speaking to Flower (`deploy.py`), what may leave a partner (`policy` of `local.py`).
Primitives by `cryptography`: RFC 8032, RFC 7748.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from federated.errors import BadRequest, IdentityRefused
from privacy.keys import Signer, durable_write, is_signed, load_signer, new_signer

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_DAY = dt.timedelta(days=1)
_MOST_DAYS = 3650
_CURVE = ec.SECP384R1


# A partner's keys


@dataclass(frozen=True, slots=True)
class Card:
    """A partner's public half: what others need to check and to mask with. Signed by itself.

    `signing` and `masking` are raw public keys in hex, `node` the EC key in OpenSSH's format.
    """

    name: str
    signing: str
    masking: str
    node: str
    signature: str = ""

    def content(self) -> bytes:
        """What is signed."""
        return json.dumps([self.name, self.signing, self.masking, self.node]).encode()

    @property
    def fingerprint(self) -> str:
        """What two people compare by telephone: 8 groups of 4 hex digits."""
        digest = hashlib.sha256(self.content()).hexdigest()[:32]
        return " ".join(digest[start : start + 4] for start in range(0, 32, 4))

    def check(self) -> Card:
        """Itself. Raises IdentityRefused: the card was not signed with its own key, or a key of it is none."""
        if not all(isinstance(getattr(self, field.name), str) for field in dataclasses.fields(self)):
            raise IdentityRefused("This is not a partner's card.")
        if not _NAME.fullmatch(self.name) or not is_signed(self.signing, self.signature, self.content()):
            raise IdentityRefused(f"The card of {self.name!r} is not signed with its own key.")
        try:
            # a key that makes no secret would stop the masked rounds of everybody who has its card
            X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(self.masking)))
            node = serialization.load_ssh_public_key(self.node.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise IdentityRefused(f"A key on the card of {self.name!r} cannot be used: {error}.") from error
        if not isinstance(node, ec.EllipticCurvePublicKey):
            raise IdentityRefused(f"The node's key on the card of {self.name!r} is of another kind.")
        return self


@dataclass(frozen=True, slots=True)
class Identity:
    """A partner's private keys, and its card."""

    card: Card
    signer: Signer
    masking: X25519PrivateKey


def make_identity(folder: Path, name: str) -> Identity:
    """A new partner's keys, written to its folder; an existing identity is read instead.

    Raises:
        BadRequest: the name is not lower-case letters, digits and hyphens, or the folder is another's.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name!r} is no partner name: lower-case letters, digits and hyphens, at most 40.")
    if (folder / "card.json").exists():
        identity = load_identity(folder)
        if identity.card.name != name:
            raise BadRequest(f"{folder} is the identity of {identity.card.name!r}.")
        return identity
    signer, masking, node = new_signer(), X25519PrivateKey.generate(), ec.generate_private_key(_CURVE())
    ssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    public = node.public_key().public_bytes(*ssh)
    card = Card(name, signer.public, masking.public_key().public_bytes_raw().hex(), public.decode())
    card = dataclasses.replace(card, signature=signer.sign(card.content()))
    private = node.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    durable_write(folder / "node.key", private)
    durable_write(folder / "node.pub", public + b"\n")
    durable_write(folder / "masking.key", masking.private_bytes_raw().hex().encode())
    signer.save(folder / "signing.key")
    durable_write(folder / "card.json", json.dumps(dataclasses.asdict(card), indent=1).encode())
    return Identity(card, signer, masking)


def load_identity(folder: Path) -> Identity:
    """The identity that `make_identity` wrote.

    Raises:
        BadRequest: there is none, or a file is damaged.
    """
    try:
        card = Card(**json.loads((folder / "card.json").read_text(encoding="utf-8")))
        masking = X25519PrivateKey.from_private_bytes(bytes.fromhex((folder / "masking.key").read_text().strip()))
        signer = load_signer(folder / "signing.key")
    except (OSError, ValueError, TypeError) as error:
        raise BadRequest(
            f"{folder} holds no partner's keys: {error}.", hint="Join with an invitation: federated partner join FILE"
        ) from error
    if (signer.public, masking.public_key().public_bytes_raw().hex()) != (card.signing, card.masking):
        raise BadRequest(f"The keys in {folder} are not those of its card.", hint="Restore the folder from a backup.")
    return Identity(card.check(), signer, masking)


# Invitations


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a coordinator hands to one partner. `token` (hex) works once, until `expires` (seconds since 1970)."""

    partner: str
    address: str
    authority: str
    coordinator: str
    token: str
    expires: float

    def save(self, path: Path) -> None:
        """Writes the file to send; whoever has it before the partner used it can join as the partner."""
        durable_write(path, json.dumps(dataclasses.asdict(self), indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> Invitation:
        """Reads an invitation. Raises BadRequest: it is not one."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadRequest(
                f"{path} is not an invitation: {error}.", hint="Ask the coordinator for a new one."
            ) from error


@dataclass(frozen=True, slots=True)
class Application:
    """A partner's answer: its card, and a proof that it holds the invitation's token."""

    card: Card
    proof: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Application:
        """The application that `to_dict` wrote."""
        return cls(Card(**data["card"]), str(data["proof"]))


def apply(invitation: Invitation, identity: Identity) -> Application:
    """The partner's answer to an invitation.

    Raises:
        BadRequest: the invitation is for another partner.
    """
    if invitation.partner != identity.card.name:
        raise BadRequest(f"The invitation is for {invitation.partner!r}, not for {identity.card.name!r}.")
    return Application(identity.card, _proof(invitation.token, identity.card))


def _proof(token: str, card: Card) -> str:
    return hmac.new(bytes.fromhex(token), card.content(), hashlib.sha256).hexdigest()


# The coordinator's list


def _keys(card: dict[str, str]) -> list[str]:
    """The public keys on a card."""
    return [card[name] for name in ("signing", "masking", "node") if name in card]


class Roster:
    """The coordinator's partners, in `roster.json`: invited, enrolled, revoked. Written whole each time. `lost` are
    keys that were revoked: nobody joins with one again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "roster.json"

    def invite(self, partner: str, *, address: str, authority: str, coordinator: str, days: float = 7) -> Invitation:
        """A new invitation; an older one of the same partner no longer works.

        Raises:
            BadRequest: the name is not a partner name, the partner is enrolled, or `days` is no such time.
        """
        if not _NAME.fullmatch(partner):
            raise BadRequest(f"{partner!r} is no partner name: lower-case letters, digits and hyphens, at most 40.")
        if not 0 < days <= _MOST_DAYS:
            raise BadRequest(f"An invitation is good for up to {_MOST_DAYS} days, not for {days:g}.", hint="--days 7")
        entries = self._read()
        if entries.get(partner, {}).get("card") and not entries[partner].get("revoked"):
            raise BadRequest(f"{partner} is enrolled already.", hint=f"Revoke it first: coordinator revoke {partner}")
        expires = (dt.datetime.now(dt.UTC) + days * _DAY).timestamp()
        token = secrets.token_hex(32)
        before = entries.get(partner, {})
        lost = {*before.get("lost", ()), *_keys(before.get("card", {}))}
        entries[partner] = {"token": token, "expires": expires, "lost": sorted(lost)}
        self._write(entries)
        return Invitation(partner, address, authority, coordinator, token, expires)

    def enrol(self, application: Application, *, now: float) -> Card:
        """Takes a partner in.

        Raises:
            IdentityRefused: no such invitation, used or expired, or the proof or card is wrong.
        """
        card = application.card.check()
        entries = self._read()
        entry = entries.get(card.name, {})
        token = entry.get("token")
        if token is None or now > entry["expires"]:
            raise IdentityRefused(
                f"There is no open invitation for {card.name}: it was used, has expired or never was.",
                hint=f"Make one: federated coordinator invite {card.name}",
            )
        if not hmac.compare_digest(_proof(token, card).encode(), application.proof.encode(errors="replace")):
            raise IdentityRefused(f"The answer of {card.name} does not prove its invitation.")
        if any(other.get("card", {}).get("signing") == card.signing for other in entries.values()):
            raise IdentityRefused(f"The key of {card.name} is another partner's already.")
        if any({*other.get("lost", ())} & {*_keys(dataclasses.asdict(card))} for other in entries.values()):
            raise IdentityRefused(
                f"A key of {card.name} was revoked before: it joins with new ones.",
                hint="There: federated partner join FILE with a new folder. The invitation still works.",
            )
        entries[card.name] = {"card": dataclasses.asdict(card), "revoked": False, "lost": entry.get("lost", [])}
        self._write(entries)
        return card

    def revoke(self, partner: str) -> None:
        """From now on nothing of this partner is accepted. Raises BadRequest: it is not known."""
        entries = self._read()
        if partner not in entries:
            raise BadRequest(f"There is no partner {partner!r}.", hint="See: federated coordinator status")
        entries[partner] = {**entries[partner], "revoked": True}
        entries[partner].pop("token", None)
        self._write(entries)

    def cards(self) -> dict[str, Card]:
        """The enrolled partners that are not revoked, by name."""
        return {
            name: Card(**entry["card"]).check()
            for name, entry in sorted(self._read().items())
            if entry.get("card") and not entry.get("revoked")
        }

    def states(self) -> dict[str, str]:
        """Every partner and whether it is "invited", "enrolled" or "revoked"."""
        return {
            name: "revoked" if entry.get("revoked") else "enrolled" if entry.get("card") else "invited"
            for name, entry in sorted(self._read().items())
        }

    def verify(self, partner: str, claim: bytes, signature: str) -> bool:
        """Whether this is the signature of an enrolled, unrevoked partner: the gate's `verify`."""
        card = self.cards().get(partner)
        return card is not None and is_signed(card.signing, signature, claim)

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self._path.exists():
            return {}
        try:
            entries: dict[str, dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise IdentityRefused(f"{self._path} is damaged: {error}.", hint="Restore it from a backup.") from error
        return entries

    def _write(self, entries: dict[str, dict[str, Any]]) -> None:
        durable_write(self._path, json.dumps(entries, indent=1, sort_keys=True).encode())
