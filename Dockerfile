# The service in one image: no compiler, no package manager's cache, no root.

FROM node:24-slim AS page
WORKDIR /src/console
COPY console/package.json console/package-lock.json console/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY console ./
COPY docs/runbook.md /src/docs/
RUN npm run build -- --outDir /page --emptyOutDir

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/flynn && python -m venv /opt/build
# What changes seldom comes first: a change of the code re-uses these layers.
COPY requirements.txt requirements-build.txt ./
RUN /opt/flynn/bin/python -m pip install --require-hashes -r requirements.txt \
    && /opt/build/bin/python -m pip install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY agents ./agents
COPY examples ./examples
COPY prompts ./prompts
COPY backend ./backend
COPY --from=page /page ./backend/flynn/_page
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
    && /opt/flynn/bin/python -m pip install --no-deps /tmp/wheel/*.whl \
    && /opt/flynn/bin/python -m pip uninstall --yes pip

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Flynn" \
      org.opencontainers.image.description="Flynn-Dev as a service: a DevOps agent with a durable log, a sandbox and evidence" \
      org.opencontainers.image.licenses="MIT"
# Debian drops superseded versions from its archive: a pinned one would break the build within weeks.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap git \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 flynn \
    && useradd --uid 1000 --gid 1000 --home-dir /data --no-create-home --shell /usr/sbin/nologin flynn \
    && install -d -o flynn -g flynn -m 0711 /data
COPY --from=build /opt/flynn /opt/flynn
ENV PATH=/opt/flynn/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLYNN_HOST=0.0.0.0 \
    FLYNN_DATA_DIR=/data
WORKDIR /data
USER 1000:1000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('FLYNN_PORT', '8000') + '/health', timeout=4)"]
ENTRYPOINT ["flynn"]
CMD ["serve"]
