FROM a
RUN --network=none
CMD
