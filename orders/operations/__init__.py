"""What one can do with orders, without a face: for the command line and whoever else asks."""
