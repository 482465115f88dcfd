FROM a
RUN echo �
