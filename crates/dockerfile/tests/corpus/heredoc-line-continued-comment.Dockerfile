FROM a
RUN cat \
# in between
  <<EOF
body
EOF
