FROM a
RUN echo ${} <<EOF
RUN y
