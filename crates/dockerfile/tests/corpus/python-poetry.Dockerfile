FROM python:3.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=off \
    POETRY_VERSION=1.8.3 \
    POETRY_HOME=/opt/poetry \
    VENV=/opt/venv
ENV PATH="$POETRY_HOME/bin:$VENV/bin:$PATH"

FROM base AS builder
RUN apt-get update \
    && apt-get install --no-install-recommends -y \
        # for psycopg
        libpq-dev \
        # for everything else
        build-essential \
        curl \
    && rm -rf /var/lib/apt/lists/*
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl -sSL https://install.python-poetry.org | python3 -
WORKDIR /srv
COPY poetry.lock pyproject.toml ./
RUN --mount=type=cache,target=/root/.cache/pypoetry \
    poetry install --no-root --only main

FROM base
COPY --from=builder $VENV $VENV
COPY ./src /srv/src
WORKDIR /srv
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s --retries=5 \
    CMD python -c "import urllib.request as u; u.urlopen('http://localhost:8000/healthz')" || exit 1
ENTRYPOINT ["gunicorn", "-k", "uvicorn.workers.UvicornWorker"]
CMD ["--bind=0.0.0.0:8000", "src.main:app"]
