"""The workflows: an order's life, one shipping attempt, and the answer to an event that came too late."""
