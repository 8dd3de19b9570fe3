# The image of `mailtier operator` and `mailtier sender`. Any base with Python 3.11 or newer and its venv module will do,
# the same for both stages: a virtual environment belongs to the interpreter that made it.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /source
# What changes seldom comes first: the tools that build, and the libraries, each by its hash and as a wheel, so that
# no setup script of theirs runs here. A third of them would be one's second copy for asyncio, which nothing imports.
COPY requirements-build.lock requirements-runtime.lock ./
RUN python3 -m venv /build && \
    /build/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements-build.lock && \
    python3 -m venv --without-pip /opt/mailtier && \
    /build/bin/pip --python /opt/mailtier/bin/python install \
      --require-hashes --no-deps --only-binary :all: -r requirements-runtime.lock && \
    rm -r /opt/mailtier/lib/python3.*/site-packages/kubernetes/aio
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
# Compiled here, because the root file system is read-only at run time. Nobody changes a file afterwards, so that an
# import need not compare it with its source. The libraries' own programs are nobody's need.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . && \
    /build/bin/pip --python /opt/mailtier/bin/python install --no-deps --no-index /wheel/*.whl && \
    /opt/mailtier/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/mailtier/lib && \
    find /opt/mailtier/bin -mindepth 1 ! -name mailtier ! -name 'python*' -delete

FROM ${BASE_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Mailtier" \
      org.opencontainers.image.description="Two tiers of e-mail settings for multi-tenant Kubernetes, and a sender that delivers with them." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/mailtier /opt/mailtier
COPY openssl.cnf /etc/mailtier/openssl.cnf
# OPENSSL_CONF stands here, because OpenSSL reads it before a program could set it. USER has to be set: libraries ask for the user's name, and the number below has no entry in /etc/passwd.
ENV OPENSSL_CONF=/etc/mailtier/openssl.cnf \
    PATH=/opt/mailtier/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    USER=mailtier
# A number, so that the kubelet can tell that it is not root.
USER 65532:65532
WORKDIR /
# Health and metrics of operator and sender, and the intake.
EXPOSE 8080 8081 8443
ENTRYPOINT ["mailtier"]
CMD ["--help"]
