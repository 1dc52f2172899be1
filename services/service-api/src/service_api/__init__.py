"""Service: keeps customers happy, and says so on `service.events`."""
