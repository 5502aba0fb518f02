"""The Helm chart, rendered and on a real API server of Kubernetes. By `make try-chart` only, which builds both."""
