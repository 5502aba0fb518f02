"""The same job as its users would build it on other engines, to be measured beside ours."""
