FROM a
RUN cat <<$X
body
$X
RUN cat <<${Y}
body
${Y}
