FROM a
RUN x \
# the end
