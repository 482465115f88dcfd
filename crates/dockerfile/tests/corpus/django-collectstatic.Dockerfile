FROM python:3.11
ARG DJANGO_ENV=production
ENV DJANGO_ENV=${DJANGO_ENV} \
  # keep pip quiet
  PIP_DISABLE_PIP_VERSION_CHECK=on \
  # and the log unbuffered
  PYTHONUNBUFFERED=1

RUN set -ex; \
	apt-get update; \
	apt-get install -y gettext; \
	rm -rf /var/lib/apt/lists/*

COPY requirements/*.txt /tmp/req/
RUN pip install -r /tmp/req/$DJANGO_ENV.txt
COPY . /code
WORKDIR /code
RUN SECRET_KEY=nothing python manage.py collectstatic --noinput -v 0
VOLUME /code/media
VOLUME ["/code/static"]
EXPOSE 8000
STOPSIGNAL SIGINT
CMD gunicorn --workers $(nproc) core.wsgi
