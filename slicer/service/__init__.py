"""TRTC's two products over an engine: orders, registry, restarts, webhooks."""
