FROM buildpack-deps:bookworm
ONBUILD ARG APP_ENV=production
ONBUILD ENV APP_ENV=${APP_ENV} \
    RACK_ENV=${APP_ENV}
ONBUILD COPY --chown=app:app . /app
ONBUILD RUN --mount=type=cache,target=/cache make -C /app
ONBUILD HEALTHCHECK --interval=30s CMD curl -f http://localhost/ || exit 1
ONBUILD LABEL built-with="buildpack-onbuild" stage=final
ONBUILD USER app
ONBUILD EXPOSE 80 443
ONBUILD CMD ["app"]
