"""Connections to servers, made from the settings: built here and nowhere else, and said here where they fail.

A module for each server, so that a command imports only what it talks to; `opened` keeps one of each for a process.
"""
