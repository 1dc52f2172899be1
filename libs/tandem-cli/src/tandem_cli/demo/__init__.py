"""`tandem demo`: the local stack with a simulated business, which drives the two APIs over HTTP like anyone else."""
