FROM a
RUN --network=none\\
