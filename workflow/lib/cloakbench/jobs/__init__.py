"""What carries a job: command line, warm start, device."""
