"""A connected peer: SDP offered and answered, ICE, DTLS, the bundle, and the media path."""
