"""The coordinator's Flower app: a thin shell around `rounds.py`, over the run's own folder."""

from __future__ import annotations

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs what is left of the run whose folder FEDERATED_COORDINATOR_HOME names."""
    from assistant.errors import ConfideError
    from federated.coordinator import FAILED, Home
    from federated.wire import FlowerWire
    from privacy.errors import PrivacyError
    from privacy.keys import durable_write

    home = Home.here()
    try:
        roster, config = home.roster, home.config
        home.conduct(
            FlowerWire(grid, roster.verify, enrolled=roster.cards, quorum=config.quorum, seconds=config.seconds)
        )
    except Exception as error:  # whoever follows the run from another process is told why it ended
        why = str(error) if isinstance(error, ConfideError | PrivacyError) else f"A fault of the program: {error!r}"
        durable_write(home.folder / "run" / FAILED, why.encode())
        raise
