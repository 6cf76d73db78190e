"""One reader per file format: bytes in, `layout.Parsed` out.

A new format is one file here and one line in `parsing.READERS`. These modules run in the worker
process of `parsing.py`; nothing else imports them.
"""
