"""Files that are complete or absent and read only if they are what was written."""
