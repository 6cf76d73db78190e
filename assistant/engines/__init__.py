"""Engines: what turns messages into text. One file an engine."""
