FROM a
RUN <<EOF
# kept
#!also
  # kept too
EOF
