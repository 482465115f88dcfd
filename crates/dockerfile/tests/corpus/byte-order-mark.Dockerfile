FROM debian
RUN x
