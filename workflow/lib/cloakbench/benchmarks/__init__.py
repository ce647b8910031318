"""Measurements of this software against others, against the hardware and against itself."""
