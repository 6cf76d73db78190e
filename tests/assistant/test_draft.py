"""A draft's pieces stand apart unless they say how they join."""

from assistant.composer import CUT, Piece
from assistant.draft import Draft
from assistant.hosting import Choice
from assistant.types import CollectionInfo


def test_a_piece_is_a_paragraph_of_its_own_also_where_its_quote_begins_in_the_middle():
    draft = Draft("?", CollectionInfo("t", "shop", ("en",), "hashing", 0.5), "en", Choice((None,)))
    added = [draft.add(Piece(text, (), lead)).text for text, lead in (("A.", ""), ("b.", CUT), ("C.", " "))]
    assert "".join(added) == "A.\n\n… b. C."
