"""What is pushed: KPI values as a stream of server-sent events."""
