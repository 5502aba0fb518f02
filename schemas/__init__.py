"""The message contract: what comes in from Kafka, what goes out on ``order.events``, and what Temporal carries.

Models and enums only: no I/O, no clock, no environment.
"""
