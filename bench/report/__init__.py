"""The report: recorded results, and what other commands wrote with --json, as one page of pictures."""
