FROM a
RUN cat <<\EOF
$a
EOF
