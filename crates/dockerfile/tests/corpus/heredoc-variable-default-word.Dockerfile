FROM a
RUN cat <<${Z:-EOF}
body
EOF
${Z:-EOF}
