# One image for the API, the worker, Flower and the migrations: docker-compose.yml names the commands.

# Python 3.13.15. By digest, so that a build next month starts from the same files.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/venv

COPY requirements/runtime.txt requirements/build.txt requirements/
# Wheels alone: nothing that is installed runs code of its own here.
RUN pip --python /opt/venv/bin/python install --only-binary :all: --require-hashes -r requirements/runtime.txt \
 && pip install --only-binary :all: --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY admin admin
COPY api api
COPY shared shared
COPY worker worker
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/venv/bin/python install --no-deps --no-index dist/*.whl


FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
RUN groupadd --gid 10001 fittrack \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fittrack
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/venv /opt/venv
# `alembic upgrade head` looks for its configuration in the working directory.
WORKDIR /app
COPY alembic.ini ./
COPY shared/database/migrations shared/database/migrations
USER 10001:10001
