"""Training: data, tasks, adapters and the one loop."""
