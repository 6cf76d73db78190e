"""F2: only enrolled keys, invitations work once, revocation is at once."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import pytest

from federated.enrol import (
    Application,
    Invitation,
    Roster,
    apply,
    load_identity,
    make_identity,
)
from federated.errors import BadRequest, IdentityRefused


def invited(folder: Path, name: str = "shop-a") -> tuple[Roster, Invitation]:
    roster = Roster(folder)
    return roster, roster.invite(name, address="h:1", authority="", coordinator="")


def test_a_partner_joins_with_its_invitation_and_is_verified_from_then_on(tmp_path: Path) -> None:
    roster, invitation = invited(tmp_path)
    invitation.save(tmp_path / "invite.json")
    identity = make_identity(tmp_path / "site", "shop-a")
    answer = apply(Invitation.load(tmp_path / "invite.json"), identity)
    assert roster.states() == {"shop-a": "invited"}
    card = roster.enrol(Application.from_dict(json.loads(json.dumps(answer.to_dict()))), now=0)
    assert roster.states() == {"shop-a": "enrolled"}
    assert card.fingerprint == identity.card.fingerprint
    assert roster.verify("shop-a", b"claim", identity.signer.sign(b"claim"))
    assert not roster.verify("shop-a", b"other", identity.signer.sign(b"claim"))
    assert not roster.verify("shop-b", b"claim", identity.signer.sign(b"claim"))


def test_an_invitation_works_once_and_not_after_its_time(tmp_path: Path) -> None:
    roster, invitation = invited(tmp_path)
    answer = apply(invitation, make_identity(tmp_path / "site", "shop-a"))
    with pytest.raises(IdentityRefused, match="expired"):
        roster.enrol(answer, now=invitation.expires + 1)
    roster.enrol(answer, now=0)
    with pytest.raises(IdentityRefused, match="used"):
        roster.enrol(answer, now=0)


def test_a_stolen_name_a_wrong_token_and_a_changed_card_are_refused(tmp_path: Path) -> None:
    roster, invitation = invited(tmp_path)
    identity = make_identity(tmp_path / "site", "shop-a")
    with pytest.raises(BadRequest, match="for 'shop-a'"):
        apply(invitation, make_identity(tmp_path / "other", "shop-b"))
    wrong = apply(dataclasses.replace(invitation, token="00" * 32), identity)
    with pytest.raises(IdentityRefused, match="prove"):
        roster.enrol(wrong, now=0)
    good = apply(invitation, identity)
    changed = dataclasses.replace(good, card=dataclasses.replace(good.card, masking="11" * 32))
    with pytest.raises(IdentityRefused, match="signed"):
        roster.enrol(changed, now=0)


def test_two_partners_may_not_share_a_key(tmp_path: Path) -> None:
    roster, invitation = invited(tmp_path)
    identity = make_identity(tmp_path / "site", "shop-a")
    roster.enrol(apply(invitation, identity), now=0)
    other = roster.invite("shop-b", address="", authority="", coordinator="")
    card = dataclasses.replace(identity.card, name="shop-b")
    card = dataclasses.replace(card, signature=identity.signer.sign(card.content()))
    twin = dataclasses.replace(identity, card=card)
    with pytest.raises(IdentityRefused, match="another partner's"):
        roster.enrol(apply(other, twin), now=0)


def test_revocation_is_in_force_at_once_and_a_new_invitation_brings_new_keys(tmp_path: Path) -> None:
    roster, invitation = invited(tmp_path)
    identity = make_identity(tmp_path / "site", "shop-a")
    roster.enrol(apply(invitation, identity), now=0)
    roster.revoke("shop-a")
    assert not roster.verify("shop-a", b"x", identity.signer.sign(b"x"))
    assert roster.cards() == {}
    fresh = make_identity(tmp_path / "site2", "shop-a")
    again = roster.invite("shop-a", address="", authority="", coordinator="")
    roster.enrol(apply(again, fresh), now=0)
    assert roster.verify("shop-a", b"x", fresh.signer.sign(b"x"))
    assert not roster.verify("shop-a", b"x", identity.signer.sign(b"x"))


@pytest.mark.parametrize("times", [1, 2])
def test_keys_that_were_revoked_are_not_enrolled_again(tmp_path: Path, times: int) -> None:
    roster, invitation = invited(tmp_path)
    identity = make_identity(tmp_path / "site", "shop-a")
    roster.enrol(apply(invitation, identity), now=0)
    for number in range(times):  # however often it was revoked since, and whoever it is for now
        roster.revoke("shop-a")
        again = roster.invite("shop-a", address="", authority="", coordinator="")
        with pytest.raises(IdentityRefused, match="revoked before") as refused:
            roster.enrol(apply(again, make_identity(tmp_path / "site", "shop-a")), now=0)
        assert "new folder" in refused.value.hint
        assert not roster.verify("shop-a", b"x", identity.signer.sign(b"x"))
        # the invitation is still good for new keys
        roster.enrol(apply(again, make_identity(tmp_path / f"new{number}", "shop-a")), now=0)
    other = roster.invite("shop-b", address="", authority="", coordinator="")
    fresh = make_identity(tmp_path / "other", "shop-b")
    card = dataclasses.replace(fresh.card, node=identity.card.node)
    card = dataclasses.replace(card, signature=fresh.signer.sign(card.content()))
    with pytest.raises(IdentityRefused, match="revoked before"):
        roster.enrol(apply(other, dataclasses.replace(fresh, card=card)), now=0)


def test_an_enrolled_partner_is_not_invited_over(tmp_path: Path) -> None:
    roster, invitation = invited(tmp_path)
    roster.enrol(apply(invitation, make_identity(tmp_path / "site", "shop-a")), now=0)
    with pytest.raises(BadRequest, match="enrolled already"):
        roster.invite("shop-a", address="", authority="", coordinator="")


@pytest.mark.parametrize("name", ["", "../x", "Shop", "a b", "-a", "x" * 41])
def test_names_that_could_be_paths_or_look_alike_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        make_identity(tmp_path / "site", name)
    with pytest.raises(BadRequest):
        Roster(tmp_path).invite(name, address="", authority="", coordinator="")


def test_private_keys_are_the_owners_alone_and_an_identity_is_read_back(tmp_path: Path) -> None:
    identity = make_identity(tmp_path / "site", "shop-a")
    for name in ("node.key", "masking.key", "signing.key"):
        assert stat.S_IMODE((tmp_path / "site" / name).stat().st_mode) == 0o600
    assert load_identity(tmp_path / "site").card == identity.card
    assert make_identity(tmp_path / "site", "shop-a").card == identity.card
    (tmp_path / "site" / "masking.key").write_text("22" * 32)
    with pytest.raises(BadRequest, match="not those of its card"):
        load_identity(tmp_path / "site")


def test_no_keys_is_a_hint_to_join(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="join"):
        load_identity(tmp_path)


def signed(folder: Path, **changes: object) -> Application:
    """The answer of shop-a to its invitation with another card, signed with its own key."""
    _, invitation = invited(folder)
    identity = make_identity(folder / "site", "shop-a")
    card = dataclasses.replace(identity.card, **changes)
    card = dataclasses.replace(card, signature=identity.signer.sign(card.content()))
    return apply(invitation, dataclasses.replace(identity, card=card))


@pytest.mark.parametrize(
    "changes",
    [{"masking": "zz"}, {"masking": "00" * 32}, {"masking": "ab"}, {"masking": 5}, {"node": "no key"}, {"node": ""}],
)
def test_a_card_with_a_key_that_cannot_be_used_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    answer = signed(tmp_path, **changes)
    with pytest.raises(IdentityRefused):
        Roster(tmp_path).enrol(answer, now=0)
    with pytest.raises(IdentityRefused):
        Roster(tmp_path).enrol(
            dataclasses.replace(answer, card=make_identity(tmp_path / "site", "shop-a").card, proof="é"), now=0
        )
