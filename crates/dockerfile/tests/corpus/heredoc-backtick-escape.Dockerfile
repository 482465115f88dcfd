# escape=`
FROM a
RUN <<EOF
x `
y
EOF
RUN z `
 w
