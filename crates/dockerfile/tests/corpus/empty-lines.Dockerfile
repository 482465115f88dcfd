


FROM debian


# a

RUN x


