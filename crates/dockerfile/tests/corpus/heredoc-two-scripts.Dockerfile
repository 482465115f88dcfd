FROM a
RUN <<ONE && <<TWO
echo 1
ONE
echo 2
TWO
CMD x
