FROM debian
RUN a \

  b \
   
  c
CMD d
