"""Webhooks: what `metrics.events` carries, sent to addresses that somebody gave, by Standard Webhooks."""
