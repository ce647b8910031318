"""Rendered photographs and the small recognisers trained on them: a study without any data."""
