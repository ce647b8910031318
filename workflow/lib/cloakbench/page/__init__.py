"""The pages of a study: what its tables say, for readers, and the pictures that were published."""
