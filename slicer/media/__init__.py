"""Makes the file a cut asks for: bytes in, bytes out; knows no network, disk or clock."""
