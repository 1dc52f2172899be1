"""The shared language of Tandem: every event that passes between services, and nothing else."""
