FROM python:3.13-slim as build
ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
COPY requirements.txt .
RUN python -m venv /venv && \
    # the environment's own pip
    /venv/bin/pip install -r requirements.txt
FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PATH="/venv/bin:$PATH"
COPY . /app
WORKDIR /app
ENTRYPOINT ["gunicorn", "app:create_app()"]
CMD ["-b", "0.0.0.0:8000"]
