"""Confide's assistant: answers with proof over a company's own documents."""

__version__ = "0.1.0"
