FROM debian
RUN <<EOF
echo a
EOF
COPY <<x /y
z
x
