"""Tables, figures, provenance, and whether they follow from the files."""
