FROM a
COPY --chmod=u=rwx,g=rx,o= --chown=a=b c d
