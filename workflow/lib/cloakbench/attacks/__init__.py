"""Attacks: from clean to crafted faces."""
