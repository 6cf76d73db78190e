"""The project's numbers: `python -m benchmarks list`, `python -m benchmarks NAME`. Not shipped with the product."""
