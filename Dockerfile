# The service: docker build -t rtc-slicer .
# Settings are mounted at /etc/slicer/slicer.toml, state and spool lie in the volume /var/lib/slicer.
# docs/deploying.md tells how it is run: without root, and with a read-only root file system.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# What is set at a build's start, such as a package index of one's own: --secret id=pip,src=pip.conf
RUN command -v g++ >/dev/null || { apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends g++ libc6-dev; }
COPY . /src
ARG EXTRAS=fast,janus,livekit,s3
# SLICER_NATIVE: a build without its C would be made all the same, and take many times the CPU.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /opt/slicer \
    && /opt/slicer/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint /src/constraints.txt "/src[${EXTRAS}]" \
    && SLICER_NATIVE=1 /opt/slicer/bin/python -c 'from slicer.hot import check; check()' \
    && /opt/slicer/bin/pip uninstall --yes --quiet pip

FROM ${BASE}
COPY --from=build /opt/slicer /opt/slicer
ENV PATH=/opt/slicer/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/var/lib/slicer \
    SLICER_SERVE_STATE=/var/lib/slicer/state SLICER_SERVE_HEALTH=0.0.0.0:8090
RUN mkdir -p /var/lib/slicer /etc/slicer && chown 10001:10001 /var/lib/slicer \
    && chmod 700 /var/lib/slicer
USER 10001:10001
WORKDIR /var/lib/slicer
VOLUME /var/lib/slicer
# API, media of our own rooms (whip.udp = "0.0.0.0:8189"), health.
EXPOSE 8088 8080 8189/udp 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python3", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8090/readyz', timeout=2)"]
# SIGTERM delivers what has been cut: `docker stop --time 60` waits for outbox.drain.
STOPSIGNAL SIGTERM
ENTRYPOINT ["slicer"]
CMD ["serve", "--config", "/etc/slicer/slicer.toml"]
