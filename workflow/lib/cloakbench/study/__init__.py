"""The study's spine: a cell's keys, the grid, the config, what code a job runs. For rules, jobs and tests alike."""
