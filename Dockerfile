# The service: `orders migrate`, `orders bridge`, `orders worker --queue ...`, `orders api`. Local servers and tests are not in it.
# `make image` builds it, with labels that say what it was made of; so does `docker compose up --build`, without them.

# `make digests` puts the digest beside the version.
ARG BASE=python:3.13.16-slim-bookworm@sha256:a1165e272e578941b84abc79e4ab38a0305cd12803a5c4247979ac7655f4d641

FROM ${BASE} AS packages
# Bytecode is made here, for all of it: where it runs, nothing may be written.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements/bootstrap.txt requirements/app.txt requirements/
RUN pip install --require-hashes --requirement requirements/bootstrap.txt \
    && python -m venv --without-pip /opt/orders \
    && uv pip install --python /opt/orders/bin/python --require-hashes --requirement requirements/app.txt \
    && rm -f /opt/orders/.lock

FROM packages AS service
COPY requirements/image.txt requirements/dev.txt requirements/
RUN python -m venv --without-pip /opt/tools \
    && UV_COMPILE_BYTECODE=0 uv pip install --python /opt/tools/bin/python --require-hashes --requirement requirements/image.txt
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md hatch_build.py ./
COPY schemas schemas
COPY activities activities
COPY workflows workflows
COPY bridge bridge
COPY orders orders
COPY migrations migrations
# Beside the packages, not among them, so that the two become layers of their own.
# What builds the package is pinned by hash as well; its pins are in the lock for development.
RUN uv pip install --python /opt/orders/bin/python --prefix /opt/service --no-deps --build-constraints requirements/dev.txt . \
    && rm -f /opt/service/.lock \
    # What was installed, with versions and licences, for whoever looks for known faults in it (CycloneDX).
    && /opt/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
        --output-file /opt/service/sbom.cdx.json /opt/orders/bin/python

FROM ${BASE}
RUN groupadd --system --gid 10001 orders \
    && useradd --system --uid 10001 --gid orders --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin orders
# The packages first, which are large and change seldom; then our own code, a layer of six megabytes.
COPY --from=packages /opt/orders /opt/orders
COPY deploy/image/ready /usr/local/bin/ready
COPY --from=service /opt/service /opt/orders
# Production unless told otherwise: it refuses the sandbox that stands in for a payment provider and a carrier.
ENV PATH=/opt/orders/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORDERS_ENVIRONMENT=production \
    LOG_FORMAT=json \
    HEALTH_BIND_ADDRESS=0.0.0.0 \
    BRIDGE_HEALTH_PORT=8081 \
    BRIDGE_DEAD_LETTERS_LIMIT_ACTION=wait \
    WORKER_HEALTH_PORT=8082 \
    API_HEALTH_PORT=8083
WORKDIR /opt/orders
USER 10001:10001
# /livez and /readyz of the process that runs: `ready` and its name, as docker-compose.yml asks.
# No HEALTHCHECK here, where the command is not known.
EXPOSE 8000 8081 8082 8083
# `docker stop` sends this; the process then drains, and ends within 25 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["orders"]
CMD ["--help"]
# Last, as they differ with each commit and change no layer.
ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
# What `orders --version` says.
ENV ORDERS_REVISION=${REVISION}
LABEL org.opencontainers.image.title="temporal-order-orchestrator" \
      org.opencontainers.image.description="Bridges order messages from Kafka to Temporal, and runs each order once." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13.16-slim-bookworm"
