FROM a
RUN <<--
x
--
RUN <<!
y
!
RUN <<#
z
#
