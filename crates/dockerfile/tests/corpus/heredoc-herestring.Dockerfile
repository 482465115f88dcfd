FROM a
RUN cat <<<EOF
RUN cat <<< "EOF"
RUN cat <<<<EOF
