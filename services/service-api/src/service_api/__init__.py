"""The service API: customers, tickets, surveys and care, published on `service.events`."""
