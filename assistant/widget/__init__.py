"""The chat for other sites: one script, and a page that shows it. What it asks is `assistant/api`'s."""
