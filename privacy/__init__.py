"""Privacy: the lowest floor. It imports nothing of ours."""
