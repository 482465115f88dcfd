FROM a
RUN -- x
RUN --
CMD -- x
COPY -- a b
