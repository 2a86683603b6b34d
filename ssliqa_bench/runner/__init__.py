"""From a run as asked for to a record: plan, execute, predict, and engines for many runs."""
