FROM debian
ONBUILD RUN <<EOF
a
EOF
ONBUILD COPY <<x <<y /z/
b
x
c
y
RUN d
