"""Recognisers: checkpoints in, grey levels to logits out."""
