FROM a
RUN x \\\
RUN y
