"""HTTP to servers that tests have started: on the loopback, in the clear."""

import ssl

CLEAR = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A client's `verify`. Without it each client reads the certificates of all authorities: 40 ms of work."""
