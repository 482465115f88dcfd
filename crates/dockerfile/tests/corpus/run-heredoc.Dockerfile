FROM debian
RUN <<EOF
set -e
# a comment of the shell

  echo \
  a
EOF
RUN b
