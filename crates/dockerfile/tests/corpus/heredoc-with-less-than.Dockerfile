FROM a
RUN cat <<EOF < /in > /out
x
EOF
RUN cat <in <<EOF
y
EOF
