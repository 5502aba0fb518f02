"""Compares what is written today with what was recorded."""


def differences(present: object, then: object, path: str = "") -> list[str]:
    """What is no longer as it was then; what came to it since is no difference."""
    if isinstance(then, dict) and isinstance(present, dict):
        return [
            found for name, value in then.items() for found in differences(present.get(name), value, f"{path}.{name}")
        ]
    if isinstance(then, list) and isinstance(present, list) and len(then) == len(present):
        return [found for one, other in zip(present, then, strict=True) for found in differences(one, other, path)]
    return [] if present == then else [f"{path}: {then!r} then, {present!r} now"]
