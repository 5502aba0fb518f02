"""Whether everything that the settings name can be reached, and whether we may do there what we have to."""
