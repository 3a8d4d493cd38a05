"""Rooms on WHEP servers (draft-ietf-wish-whep): one resource for each anchor, which we play."""
