"""An order's life, told without Temporal. Pure."""
