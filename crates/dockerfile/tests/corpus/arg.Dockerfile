ARG A
ARG B=c D="e f" G
FROM debian
ARG H=
ARG I='j k' L=m\ n
