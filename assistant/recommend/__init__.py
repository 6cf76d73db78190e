"""Recommending: the catalogue, hard filters, scorers and reasons. Knows no language model and no web page."""
