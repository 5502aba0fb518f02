"""Clients of servers are built here and nowhere else: how settings become connections, what a failure is called.

A module for each server, so that a command imports only what it talks to.
"""
