"""The pages of a study: what its tables say, for readers. Numbers come from the tables, pictures from what was stored."""
