FROM a
RUN echo [0m
