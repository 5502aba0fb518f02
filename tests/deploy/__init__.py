"""What is in deploy/: the documents of the Helm chart, and the units of systemd. tests/chart has the chart itself."""
