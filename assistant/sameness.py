"""Whether two questions ask the same. Pure; the rules refuse when in doubt."""

from __future__ import annotations

import re
import unicodedata


def same_words(one: str, other: str) -> bool:
    """Whether they are the same but for case, punctuation and white space."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).split())
