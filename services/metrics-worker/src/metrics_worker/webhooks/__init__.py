"""Webhooks: the events of `metrics.events`, sent to registered addresses by Standard Webhooks."""
