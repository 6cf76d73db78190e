"""Confide's assistant: answers with proof over a company's own documents."""
