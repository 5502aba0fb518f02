"""The bridge: each Kafka record becomes one idempotent call on Temporal, and its offset is committed afterwards.

`bridge.service.Bridge` is the whole; `bridge.router` and `bridge.calls` serve whoever else sends events.
"""
