"""How values are shown to a person: money, times, states and reasons in words, and what strangers wrote. Pure."""
