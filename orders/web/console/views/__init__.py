"""What each page shows, as plain data made from records: no server and no markup. Pure."""
