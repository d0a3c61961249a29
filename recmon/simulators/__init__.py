"""Simulated recording servers for demo and tests; they embody assumptions and prove no interoperability."""
