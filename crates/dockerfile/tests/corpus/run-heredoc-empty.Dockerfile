FROM debian
RUN <<EOF
EOF
RUN <<A <<B
A
B
