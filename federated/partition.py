"""How one data set is split among partners, for studies: by label, by size, by customer, at random.

Each function returns, for each partner, the indices of its rows; every row goes to exactly one
partner. Source: Hsu et al., label skew by a Dirichlet draw (arXiv:1909.06335).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from federated.errors import BadRequest

Parts = tuple[tuple[int, ...], ...]


def iid(rows: int, partners: int, *, seed: int = 0) -> Parts:
    """Random parts of equal size, up to one row."""
    _check(rows, partners)
    order = np.random.default_rng(seed).permutation(rows)
    return tuple(_sorted(part) for part in np.array_split(order, partners))


def by_size(rows: int, shares: Sequence[float], *, seed: int = 0) -> Parts:
    """Random parts with these shares of the rows.

    Raises:
        BadRequest: a share is not positive.
    """
    _check(rows, len(shares))
    if any(not share > 0 for share in shares):
        raise BadRequest(f"The shares {list(shares)} are not all positive.")
    order = np.random.default_rng(seed).permutation(rows)
    cuts = np.rint(np.cumsum(shares)[:-1] / np.sum(shares) * rows).astype(int)
    return tuple(_sorted(part) for part in np.split(order, cuts))


def by_label(labels: Sequence[object], partners: int, *, alpha: float, seed: int = 0) -> Parts:
    """Skewed parts: each label's rows are dealt by one draw of Dirichlet(alpha). Small alpha = much skew.

    Raises:
        BadRequest: alpha is not positive, or no draw of a hundred gave everyone a row.
    """
    _check(len(labels), partners)
    if not alpha > 0:
        raise BadRequest(f"alpha {alpha} is not positive.")
    rng = np.random.default_rng(seed)
    names = np.asarray([str(label) for label in labels])
    for _ in range(100):
        parts: list[list[int]] = [[] for _ in range(partners)]
        for name in np.unique(names):
            rows = rng.permutation(np.flatnonzero(names == name))
            cuts = np.rint(np.cumsum(rng.dirichlet([alpha] * partners))[:-1] * rows.size).astype(int)
            for part, piece in zip(parts, np.split(rows, cuts), strict=True):
                part.extend(piece.tolist())
        if all(parts):
            return tuple(_sorted(part) for part in parts)
    raise BadRequest(f"{len(labels)} rows are too few for {partners} partners at alpha {alpha}.")


def by_owner(owners: Sequence[str], partners: int, *, seed: int = 0) -> Parts:
    """Each owner (customer, hotel ...) with all its rows at one partner, the parts about equal.

    Raises:
        BadRequest: fewer owners than partners.
    """
    _check(len(set(owners)), partners)
    rows: dict[str, list[int]] = {}
    for index, owner in enumerate(owners):
        rows.setdefault(owner, []).append(index)
    names = sorted(rows)
    np.random.default_rng(seed).shuffle(names)
    parts: list[list[int]] = [[] for _ in range(partners)]
    for name in sorted(names, key=lambda owner: -len(rows[owner])):
        min(parts, key=len).extend(rows[name])
    return tuple(_sorted(part) for part in parts)


def _check(count: int, partners: int) -> None:
    if partners < 1 or count < partners:
        raise BadRequest(f"{count} cannot be split among {partners} partners.")


def _sorted(part: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(int(index) for index in part))
