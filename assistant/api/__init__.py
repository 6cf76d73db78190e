"""The HTTP API under /v1: an application of its own, mounted by the server behind its safe baseline.

One place for each door: `chat` (OpenAI-compatible), `models`, `embedding`, `recommending`, `rating`, `documents`,
`conversations`, `desk`, `reference` (the page about all of it); `application` puts them together. Who calls and how
often is `house`, what is wrong is `problems`, how an answer is said is `replies`. Bodies in, walks, values out;
nothing is decided here.
"""
