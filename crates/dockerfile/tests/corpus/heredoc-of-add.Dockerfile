FROM a
ADD <<EOF https://example.org/x ./y /d/
body
EOF
