# One image for every job type: 180 MB above its Python, 176 of them dependencies. deploy.sh builds it; by hand:
#   docker build --platform linux/amd64 -t batchlab .
#   docker run --rm --read-only batchlab                         (runs the self-test)
#
# PYTHON_IMAGE    a Debian with Python 3.11 or newer, venv and pip. Debian 13 has OpenSSL 3.5, with which an export over TLS
#                 takes two thirds of the time that it takes with Debian 12's 3.0 (docs/performance.md)
# EXTRA_PACKAGES  your own job types, as pip writes them: "my-jobs==1.2" or "git+https://..."
# EXTRA_FONTS     Debian packages, for what DejaVu Sans lacks on contact sheets: "fonts-noto-cjk" for Chinese, Japanese
#                 and Korean names (90 MB), "fonts-noto-core" for most other scripts. DejaVu Sans itself (Latin, Greek,
#                 Cyrillic, Arabic) comes with contact-sheets
# REVISION        the commit, for the label
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/image-build.lock requirements/processor.lock requirements/
# pip stays in an environment of its own. Everything is made a wheel first: pyvips comes as source, and needs no
# compiler, because its compiled half is the wheel pyvips-binary
RUN python3 -m venv tools \
    && tools/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/image-build.lock \
    && tools/bin/pip wheel --quiet --require-hashes --only-binary :all: --no-binary pyvips --no-build-isolation \
        --wheel-dir dependencies -r requirements/processor.lock \
    && python3 -m venv --without-pip /opt/batchlab \
    && tools/bin/pip --python /opt/batchlab/bin/python install --quiet --no-index --no-deps dependencies/*.whl \
    && rm -r dependencies \
    && /opt/batchlab/bin/python -c 'import pathlib, sysconfig; paths = sysconfig.get_paths(); \
        pathlib.Path(paths["purelib"], "project.pth").write_text(paths["purelib"].replace("/opt/batchlab", "/opt/project"))'

# Ours, and yours on top of it: small, and a layer of their own, since they change most often
FROM dependencies AS project
COPY client/pyproject.toml client/
COPY client/batchlab client/batchlab
COPY processor/pyproject.toml processor/
COPY processor/batchlab_processor processor/batchlab_processor
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels ./client ./processor \
    && tools/bin/pip --python /opt/batchlab/bin/python install --quiet --no-deps --no-index --prefix /opt/project \
        wheels/*.whl
ARG EXTRA_PACKAGES=""
RUN if [ -n "$EXTRA_PACKAGES" ]; then \
        sed -n 's/^\([a-z0-9-]*==[^ ;\\]*\).*/\1/p' requirements/processor.lock >constraints \
        && tools/bin/pip --python /opt/batchlab/bin/python install --quiet --prefix /opt/project \
            --constraint constraints $EXTRA_PACKAGES; \
    fi

FROM ${PYTHON_IMAGE}
ARG EXTRA_FONTS=""
RUN if [ -n "$EXTRA_FONTS" ]; then \
        export DEBIAN_FRONTEND=noninteractive \
        && apt-get update -qq \
        && apt-get install -qq -y --no-install-recommends $EXTRA_FONTS \
        && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin; \
    fi \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin batchlab
COPY --from=dependencies /opt/batchlab /opt/batchlab
COPY --from=project /opt/project /opt/project
ARG REVISION=unknown
LABEL org.opencontainers.image.title="batchlab" \
      org.opencontainers.image.description="Runs a batch of items to the end and can prove what happened to each" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}"
# The root file system may be read-only; only /tmp is written. As a volume it keeps its mode 1777 wherever the image runs:
# Amazon ECS gives other mounts to root with 0755 (its Developer Guide, "Bind mounts")
VOLUME /tmp
ENV PATH=/opt/project/bin:/opt/batchlab/bin:$PATH HOME=/tmp PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["batchlab-processor"]
CMD ["run"]
