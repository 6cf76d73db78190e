"""Retrieval: files to documents, documents to passages, questions to passages."""
