"""Wire formats that several vendors share: bytes and state only, no sockets, no clock."""
