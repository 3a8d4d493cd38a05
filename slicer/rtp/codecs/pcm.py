"""How long a packet of PCMU, PCMA or G.722 lasts; nothing is decoded."""


def duration(payload: bytes) -> int:
    """RTP ticks at 8000 Hz of one channel: a byte is a tick. Raises ValueError where it is empty.

    G.711 has 8000 samples of a byte each (RFC 3551 4.5.14). G.722 puts two samples of 16 kHz into
    a byte and counts them on a clock of 8000 Hz, by an old mistake (RFC 3551 4.5.2).
    """
    if not payload:
        raise ValueError("empty PCM packet")
    return len(payload)
