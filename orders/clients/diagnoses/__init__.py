"""Why a server does not let us in, in the words of `orders.clients.mistakes`; None where it is away, or lets us in.

Each question opens connections of its own, and takes some seconds where the server does not answer. So it is asked
when something has failed, or now and then by a process that watches over its servers. A module for each server, as each
loads that server's client.
"""
