FROM a
RUN -x y
CMD -a --b
