"""How fast and how large, measured: no part of a study. Run by benchmarks/Snakefile."""
