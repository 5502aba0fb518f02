# syntax=docker/dockerfile:1
# The service: `orders migrate`, `orders bridge`, `orders worker --queue ...`, `orders api`. Local servers and tests are not in it.

FROM python:3.13.9-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# The packages first: they change seldom, so their layer is made seldom.
COPY requirements/bootstrap.txt requirements/app.txt requirements/dev.txt requirements/
RUN pip install --require-hashes --requirement requirements/bootstrap.txt \
    && python -m venv /opt/orders \
    && uv pip install --python /opt/orders/bin/python --require-hashes --requirement requirements/app.txt
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY activities activities
COPY workflows workflows
COPY bridge bridge
COPY orders orders
COPY stack stack
COPY migrations migrations
# What builds the package is pinned by hash as well; its pins are in the lock for development.
RUN uv pip install --python /opt/orders/bin/python --no-deps --build-constraints requirements/dev.txt --compile-bytecode .

FROM python:3.13.9-slim-bookworm
LABEL org.opencontainers.image.title="temporal-order-orchestrator" \
      org.opencontainers.image.description="Bridges order messages from Kafka to Temporal, and runs each order once."
RUN groupadd --system --gid 10001 orders \
    && useradd --system --uid 10001 --gid orders --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin orders
COPY --from=build /opt/orders /opt/orders
ENV PATH=/opt/orders/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LOG_FORMAT=json \
    HEALTH_BIND_ADDRESS=0.0.0.0 \
    BRIDGE_HEALTH_PORT=8081 \
    BRIDGE_DEAD_LETTERS_LIMIT_ACTION=wait \
    WORKER_HEALTH_PORT=8082 \
    API_HEALTH_PORT=8083
WORKDIR /opt/orders
USER 10001:10001
# /livez and /readyz of the process that runs: `orders health` and its name, as docker-compose.yml asks.
# No HEALTHCHECK here, where the command is not known.
EXPOSE 8000 8081 8082 8083
# `docker stop` sends this; the process then drains, and ends within 25 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["orders"]
CMD ["--help"]
