FROM debian
RUN [ -f /x ] && echo y
RUN [ ! -d "z" ] || exit 1
RUN [[ a == b ]]
