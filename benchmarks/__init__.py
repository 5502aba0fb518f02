"""What is measured: ratios of two things, taken in turns in one run, with the noise of the run beside them."""
