"""How well an adversarial cloak protects a face photograph against recognition."""
