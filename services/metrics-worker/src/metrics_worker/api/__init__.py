"""The HTTP API: one file an address family, thin over queries and use cases."""
