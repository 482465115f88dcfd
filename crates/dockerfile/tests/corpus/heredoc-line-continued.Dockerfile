FROM a
RUN cat \
  <<EOF \
  > /x
body
EOF
RUN y
