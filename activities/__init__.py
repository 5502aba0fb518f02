"""Activity definitions, each on a port that says what it needs; `activities.adapters` holds the implementations."""
