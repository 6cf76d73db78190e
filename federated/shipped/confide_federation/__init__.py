"""Shipped to partners: it only names what their own Confide has installed."""
