"""Our own room: publishers come by WHIP (RFC 9725)."""
