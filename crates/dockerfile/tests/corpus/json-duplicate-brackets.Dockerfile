FROM a
RUN [ -f /x ] && [ "a" = "b" ]
RUN [[ a == b ]]
