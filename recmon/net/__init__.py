"""Sockets: links, HTTP, TLS. Nothing else in the program opens a connection."""
