"""The settings of our own rooms, which publishers enter by WHIP."""

from dataclasses import dataclass

from slicer.config import ADDRESS, ADDRESS_PORT, DAY, HOST_PORT, Syntax, bounded, secret, spelled

# Pages within apps have schemes of their own, such as capacitor://localhost.
ORIGINS = Syntax(
    rf"\*|(?:[a-z][a-z0-9+.-]*://{HOST_PORT.pattern})?",
    "* (every one), SCHEME://HOST, perhaps with a port, or nothing (none)",
)


@dataclass(frozen=True, slots=True)
class WhipSettings:
    """Who may publish into our own rooms, from where, and how much."""

    sdk_app_id: int = bounded(0, 0, 2**32 - 1)
    """The application whose users may publish; 0: none."""
    usersig_key: str = secret("SLICER_USERSIG_KEY")
    """Verifies a publisher's bearer token, its UserSig; empty: everybody may publish."""
    allow_origin: str = spelled("*", ORIGINS)
    """The origin whose pages may publish (CORS); empty: none but the server's own."""
    max_body: int = 256 * 1024
    """Largest SDP accepted, in bytes."""
    max_publishers: int = 500
    """Connections at once in one server; one more gets 503."""
    redundancy: bool = False
    """Whether RED (RFC 2198) is preferred to Opus alone: browsers then send all audio twice."""
    max_bitrate: int = bounded(0, 0, 100_000_000)
    """Bit/s that a publisher's video is asked to stay below; 0: as much as the path carries."""
    silence: float = bounded(15.0, 1, DAY)
    """Seconds without an authenticated datagram (SRTP, STUN) after which a publisher is gone."""
    udp: str = spelled("", ADDRESS_PORT)
    """ADDRESS:PORT of all publishers' media; empty: the room's address and any free port."""
    tcp: str = spelled("", ADDRESS_PORT)
    """ADDRESS:PORT for the media of publishers without UDP (ICE-TCP); empty: none. It needs
    `udp`."""
    advertise: tuple[str, ...] = spelled((), ADDRESS)
    """Addresses to offer as ICE candidates (1:1 NAT); empty: those of `udp` and `tcp`, or all
    of this host."""
    ice_servers: tuple[str, ...] = ()
    """STUN and TURN servers that publishers are told of, by their URLs (`turn:HOST:PORT`)."""
    turn_secret: str = secret("SLICER_TURN_SECRET")
    """What the TURN servers know us by (coturn: `static-auth-secret`)."""
    turn_ttl: float = bounded(3_600.0, 60, DAY)
    """Seconds that a publisher may use TURN credentials to begin a session."""
    max_pending: int = 64
    """Publishers of one address (IPv6: of one /64) that may be connecting at once; one more gets
    503. Those behind a proxy are of one address."""
    max_pending_room: int = 256
    """Publishers of one room that may be connecting at once, wherever from; one more gets 503."""
