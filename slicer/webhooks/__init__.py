"""Durable, ordered, signed POSTs to subscribers."""
