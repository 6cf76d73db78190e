"""Federation: the floor of many companies. It may import assistant and privacy."""
