"""deploy/: the Helm chart, rendered and installed on a real API server of Kubernetes, and the units of systemd."""
