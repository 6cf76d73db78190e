"""See `federated.client_app`."""

from federated.client_app import app

__all__ = ["app"]
