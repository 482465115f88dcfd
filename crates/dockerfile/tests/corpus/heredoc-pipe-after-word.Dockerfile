FROM a
RUN cat <<EOF|sh
x
EOF|sh
RUN cat <<EOF;true
y
EOF;true
