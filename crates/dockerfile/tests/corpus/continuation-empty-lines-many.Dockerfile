FROM a
RUN x \



 y \


RUN z
