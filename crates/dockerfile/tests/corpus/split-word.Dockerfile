FROM debian
RUN ec\
ho a
EN\
V x=y
