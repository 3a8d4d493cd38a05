"""Who runs which task, where several processes share them: heartbeats, placement, epochs."""
