FROM debian
RUN <<'EOF' bash
echo $a
EOF
RUN <<"E F" cat
x
E F
RUN <<E\OF
y
EOF
