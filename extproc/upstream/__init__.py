"""Stands in for the providers on one machine: simulated answers, or a folder of recorded ones.

For demos and tests only: it listens on loopback or a Unix socket, and trusts whoever reaches it.
"""
