"""Our end of rooms that we host: ICE-lite and DTLS on one UDP port for all peers."""
