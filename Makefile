# Each target is one line over the project's own commands; the environment is made on first use (bin/in-env).
RUN := bin/in-env
# Processes that run tests side by side; 0 for this one alone.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo up test coverage mutation fuzz bench sizing soak image try-image try-chart check fmt contract release-api release-check keep-release record-histories record-messages chart licences audit digests lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 22

demo: ## run the main job on real servers, visibly; the exit status says whether all was as expected
	@$(RUN) orders demo

up: ## run everything on this machine until Ctrl-C
	@$(RUN) orders up

test: ## every test, on real servers; JOBS=2 processes share them out
	@$(RUN) pytest --numprocesses $(JOBS) --dist loadscope

coverage: ## every test again, and which lines none of them runs, also of the processes that they start
	@$(RUN) pytest --numprocesses $(JOBS) --dist loadscope --cov --cov-report=term:skip-covered --cov-report=html

mutation: ## break rules one at a time and see that a test fails, in MODULE= or all, or SAMPLE=70 of each
	@$(RUN) python -m tests.mutation $(if $(SAMPLE),--sample $(SAMPLE)) $(MODULE)

fuzz: ## give strangers' bytes of any kind to all that reads them, for MINUTES=6 in all, or one TARGET=
	@$(RUN) python -m tests.fuzz --minutes $(or $(MINUTES),6) $(TARGET)

bench: ## what is measured, as ratios, or one by NAME= (needs servers: orders stack up, orders stack env)
	@$(RUN) python -m benchmarks $(NAME)

sizing: ## measure a running installation (orders up) by ORDERS=1000 orders, and renew docs/sizing.md
	@$(RUN) python -m benchmarks.sizing $(if $(ORDERS),--orders $(ORDERS))

soak: ## faults at random on servers of its own, for SOAK_MINUTES=10; SEED= runs one again
	@$(RUN) python -m tests.faults.soak

image: ## build the container image, with the Docker engine at hand
	@bin/image

try-image: ## build the image, and run an order through it; on an engine of its own where none is at hand (Debian, root)
	@$(RUN) pytest tests/image

try-chart: ## render the Helm chart, and install and upgrade it on an API server of Kubernetes; builds both first, 6 minutes, once
	@$(RUN) pytest tests/chart

check: ## what needs no server: format, lint, types, import contracts, files, unit tests
	@$(RUN) sh bin/check

fmt: ## format the code
	@$(RUN) sh -c 'ruff format . && ruff check --fix .'

contract: ## renew docs/contract from the models
	@$(RUN) python -m schemas.contract docs/contract
	@$(RUN) python -m workflows.life.event_table docs/contract/state-event-table.md
	@$(RUN) python -m orders.web.contract docs/contract/openapi.json
	@$(RUN) python -m orders.web.reference docs/rest-api.md
	@$(RUN) python -m orders.processes.metrics_reference docs/metrics.md
	@$(RUN) python -m orders.installation.security_reference docs/security.md

release-api: ## record the REST API as released: programs count on it from then on, and what breaks them fails `make check`
	@$(RUN) python -m tests.contract.openapi_changes --release

release-check: ## whether all agree about the version that is about to be tagged, and what to type then
	@$(RUN) python -m tests.deploy.release

keep-release: ## keep the code of REVISION=, a release's tag, for the test that upgrades from it
	@$(RUN) python -m tests.helpers.system.released $(or $(REVISION),HEAD)

record-histories: ## renew the recorded workflow histories, after a change that is meant
	@$(RUN) python -m tests.replay.record

record-messages: ## record what was added to the contract (needs Kafka: orders stack up, orders stack env)
	@$(RUN) python -m tests.contract.record

chart: ## renew the Helm chart's README and schema, after a change of its values or of the settings
	@$(RUN) python -m tests.deploy.documents

licences: ## renew THIRD_PARTY.md from what the installed packages say of their licences
	@$(RUN) python -m tests.deploy.licences

audit: ## ask whether a package that is pinned has a known weakness; needs a network, and fails where nobody answers
	@$(RUN) python -m tests.deploy.audit

digests: ## write the digest beside each image of others; needs a Docker engine with a network. CHECK=1 says which have none
	@$(RUN) python -m tests.deploy.digests $(if $(CHECK),--check)

lock: ## renew the hash-pinned requirements from pyproject.toml
	@$(RUN) sh bin/lock
