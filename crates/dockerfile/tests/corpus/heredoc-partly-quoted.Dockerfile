FROM a
RUN cat <<E'O'F <<"A"B
1
EOF
2
AB
