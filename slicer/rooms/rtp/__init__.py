"""Plain RTP and SRTP that a sender directs at us, as a room with one anchor."""
