FROM a
COPY --chown=a\ b c d
RUN --mount=type=bind,target=a\,b x
